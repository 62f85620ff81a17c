"""What is said of a plan beside its effects: what looks wrong in its result, and what kind of change it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg

from . import checks, profile, removals, runs
from .plan import Plan
from .removals import Removals


def added(conn: psycopg.Connection, run: runs.Run, plan: Plan, *, days: int = 0) -> Plan:
    """The plan of a sealed run with both. To be called inside the transaction in which it was computed.

    days: of the window of merges that are counted with it.
    """
    return checked(conn, run, profiled(conn, run, plan, days=days))


def profiled(conn: psycopg.Connection, run: runs.Run, plan: Plan, *, days: int) -> Plan:
    """The plan with what kind of change it is: enough to judge it by limits."""
    found = profile.run(conn, run, plan, _gone(conn, run, plan), days=days)
    return replace(plan, profile=found.to_dict())


def checked(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> Plan:
    """The plan with what looks wrong in its result."""
    found = _known_checks(conn, run, plan)
    return replace(plan, checks=checks.run(conn, run, _gone(conn, run, plan)) if found is None else found)


def _gone(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> Removals:
    """The removals of the plan, as it says itself whether they wait."""
    hold = bool(plan.held)
    return plan.gone if plan.gone is not None and plan.gone.hold is hold else removals.of(conn, run, hold=hold)


def _known_checks(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> list[dict[str, Any]] | None:
    """The checks of the last merge, where this plan changes nothing of what that left; None where they are not known.

    They were made for the rows that it left only if nothing came between its plan and its merge, and nothing since:
    every change, by hand too, counts in data_version.
    """
    if plan.changes:
        return None
    last = runs.merged_at(conn, plan.base_version)
    if last is None or last.base_version is None or last.base_version + 1 != plan.base_version:
        return None
    if checks.pulled_entities(last) != checks.pulled_entities(run):
        return None
    return Plan.from_run(last).checks
