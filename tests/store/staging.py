"""Rows as the worker stages them, made by hand."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
from tests.store.fixtures import Roster, run_name

from roster_operator.store import plan as plans
from roster_operator.store import runs
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.plan import Plan
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Issue, Stage
from roster_operator.store.tables import BY_ENTITY, Table

ORGS = BY_ENTITY["orgs"]
USERS = BY_ENTITY["users"]


def raw(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def row_hash(text: str) -> str:
    return "\\x" + hashlib.sha256(text.encode()).hexdigest()


def org(name: str = "North") -> tuple[Any, ...]:
    return (None, None, name, "school", None, None)


def user(given: str = "Ada", **more: Any) -> tuple[Any, ...]:
    values = dict.fromkeys(USERS.column_names) | {"enabled_user": True, "given_name": given} | more
    return tuple(values.values())


def pulled(*tables: Table, received: int = 0, reason: str | None = None) -> dict[str, Any]:
    return {t.entity: {"pulled": True, "received": received, "invalid": 0, "reason": reason} for t in tables}


def stage_orgs(
    conn: psycopg.Connection,
    orgs: dict[str, str],
    *,
    name: RunName | None = None,
    attempt: int = 1,
    gone: dict[str, str] | None = None,
    removable: bool = True,
    deleted: tuple[str, ...] = (),
    issues: tuple[Issue, ...] = (),
) -> tuple[RunName, Plan]:
    """Stage orgs by id and name; `gone` are merged ones (as they are merged) that the pull did not show."""
    name = name or run_name()
    stage = Stage(conn, name, attempt)
    rows = stage.table(ORGS)
    for sourced_id, title in orgs.items():
        rows.add(sourced_id, "active", raw(sourced_id + title), row_hash(sourced_id + title), org(title))
    for sourced_id in deleted:
        rows.add(sourced_id, "tobedeleted", raw(sourced_id + "-"), row_hash(sourced_id), org("gone"))
    rows.flush()
    stage.issues(issues)
    if gone:
        hashes = [raw(sourced_id + title) for sourced_id, title in gone.items()]
        with (
            conn.cursor() as cursor,
            cursor.copy(b"copy " + stage.name("unseen").as_bytes(conn) + b" (entity, raw_hash) from stdin") as copy,
        ):
            for value in hashes:
                copy.write_row(("orgs", value))
    stage.seal("1.2", pulled(ORGS, received=len(orgs)), [ORGS.entity] if removable else [])
    run = runs.get(conn, name.run)
    with conn.transaction():
        plan = plans.compute(conn, run)
    plans.record(conn, run, plan)
    return name, plan


def merge_orgs(roster: Roster, orgs: dict[str, str], tenant: str = "springfield", **more: Any) -> Merged:
    """Stage and merge in one go."""
    with roster.stager(tenant) as conn:
        name, plan = stage_orgs(conn, orgs, **more)
    with roster.merger(tenant) as conn:
        done = merge(conn, name.run, plan.digest, {"by": "test"})
    assert isinstance(done, Merged)
    return done


__all__ = ["Merged", "PlanChanged"]
