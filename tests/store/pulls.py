"""Whole pulls of small worlds, staged as the worker stages them: what is new, what vanished, what is marked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from tests.store.fixtures import Roster, run_name
from tests.store.staging import pulled, raw, row_hash

from roster_operator.store import findings, runs
from roster_operator.store import plan as plans
from roster_operator.store.merge import Merged, merge
from roster_operator.store.plan import Plan
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Stage
from roster_operator.store.tables import BY_ENTITY, Kind, Table

ENTITIES = ("orgs", "users", "enrollments")
_NEEDED = {"name", "type", "user_sourced_id", "class_sourced_id", "school_sourced_id", "role"}
_QUERY: LiteralString = "select sourced_id, status, source, raw_hash from roster."


@dataclass(frozen=True)
class Item:
    """One record: its content, the bytes it came in, and whether it is marked as deleted or left out of scope."""

    content: int
    bytes: int = 0
    status: str = "active"  # active | tobedeleted | outOfScope


World = dict[str, dict[str, Item]]


def values(table: Table, sourced_id: str, content: int) -> list[Any]:
    """A value of every kind, other with each content; some are empty."""
    made: list[Any] = []
    for at, column in enumerate(table.columns):
        text = f"{column.name} {sourced_id} {content} ä\t\\\"{{}}'"
        if column.name not in _NEEDED and (at + content) % 5 == 0:
            made.append(None)
            continue
        match column.kind:
            case Kind.TEXT:
                made.append(text)
            case Kind.BOOLEAN:
                made.append(content % 2 == 0)
            case Kind.INTEGER:
                made.append(content)
            case Kind.DATE:
                made.append((datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=content)).date())
            case Kind.TIMESTAMP:
                made.append(datetime(2026, 1, 1, 3, 4, 5, 678901, tzinfo=UTC) + timedelta(hours=content))
            case Kind.ARRAY:
                made.append([text, "", "null", "a,b"][: content % 5])
            case Kind.JSON:
                made.append({"text": text, "number": content, "list": [None, {"deep": []}]})
    return made


def stage_world(conn: psycopg.Connection, world: World, name: str = "sync-1") -> tuple[RunName, Plan]:
    """Stage a complete pull that shows exactly this."""
    run = run_name(name)
    stage = Stage(conn, run, 1)
    for entity in ENTITIES:
        table, items = BY_ENTITY[entity], world.get(entity, {})
        merged = {row[0]: row for row in conn.execute((_QUERY + table.name).encode()).fetchall()}
        rows = stage.table(table)
        shown: set[int] = set()
        left_out: list[str] = []
        for sourced_id, item in items.items():
            hashed = raw(f"{entity} {sourced_id} {item.content} {item.bytes} {item.status}")
            known = merged.get(sourced_id)
            if known and known[1:] == ("active", "SIS", hashed):
                shown.add(hashed)
            elif item.status == "outOfScope":
                left_out.append(sourced_id)
            else:
                content = row_hash(f"{entity} {sourced_id} {item.content}")
                rows.add(sourced_id, item.status, hashed, content, values(table, sourced_id, item.content))
        rows.flush()
        stage.scoped_out(table, left_out)
        unseen = [r[3] for r in merged.values() if r[1:3] == ("active", "SIS") and r[3] and r[3] not in shown]
        with (
            conn.cursor() as cursor,
            cursor.copy(b"copy " + stage.name("unseen").as_bytes(conn) + b" (entity, raw_hash) from stdin") as copy,
        ):
            for value in unseen:
                copy.write_row((entity, value))
    tables = [BY_ENTITY[entity] for entity in ENTITIES]
    stage.seal("1.2", pulled(*tables, received=sum(map(len, world.values()))), list(ENTITIES))
    return run, plan_of(conn, run)


def plan_of(conn: psycopg.Connection, name: RunName) -> Plan:
    """The plan of a sealed run, recorded."""
    run = runs.get(conn, name.run)
    with conn.transaction():
        plan = findings.added(conn, run, plans.compute(conn, run))
    plans.record(conn, run, plan)
    return plan


def merge_world(roster: Roster, world: World, name: str = "sync-1", tenant: str = "springfield") -> Merged:
    """Stage and merge a pull that shows exactly this."""
    with roster.stager(tenant) as conn:
        run, plan = stage_world(conn, world, name)
    return merge_run(roster, run, plan, tenant)


def merge_run(roster: Roster, run: RunName, plan: Plan, tenant: str = "springfield") -> Merged:
    """Merge a staged run."""
    with roster.merger(tenant) as conn:
        done = merge(conn, run.run, plan.digest, {"by": "test"})
    assert isinstance(done, Merged)
    return done
