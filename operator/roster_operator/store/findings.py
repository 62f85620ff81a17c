"""What is said of a plan beside its effects: what looks wrong in its result, and what kind of change it is."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from . import checks, profile, runs
from .plan import Plan


def added(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> Plan:
    """The plan of a sealed run with both. To be called inside the transaction in which it was computed."""
    return replace(plan, checks=checks.run(conn, run), profile=profile.run(conn, run).to_dict())
