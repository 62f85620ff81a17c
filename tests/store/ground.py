"""A tenant's rows, synced by pulls of records that are given as dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from tests.store.fixtures import Roster, run_name
from tests.store.staging import raw, row_hash

from roster_operator.store import findings, runs
from roster_operator.store import plan as plans
from roster_operator.store.merge import Merged, merge
from roster_operator.store.plan import Plan
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Stage
from roster_operator.store.tables import BY_ENTITY, TABLES

Records = dict[str, dict[str, dict[str, Any]]]
TODAY = datetime.now(UTC).date()
PAST, TODAY_ITSELF, FUTURE = TODAY - timedelta(days=30), TODAY, TODAY + timedelta(days=30)


def text_of(record: dict[str, Any]) -> str:
    return repr(sorted(record.items()))


def school(name: str) -> dict[str, Any]:
    return {"name": name, "type": "school"}


def session(end: date, kind: str = "semester") -> dict[str, Any]:
    return {"title": "S", "type": kind, "start_date": PAST - timedelta(days=90), "end_date": end}


def class_(school: str, *terms: str) -> dict[str, Any]:
    return {"title": "Maths", "school_sourced_id": school, "term_sourced_ids": list(terms)}


def person(school: str, **more: Any) -> dict[str, Any]:
    return {"given_name": "A", "family_name": "B", "role": "student", "org_sourced_ids": [school]} | more


def enrollment(user: str, of: str, school: str, end: date | None = None) -> dict[str, Any]:
    ids = {"user_sourced_id": user, "class_sourced_id": of, "school_sourced_id": school}
    return ids | {"role": "student", "end_date": end}


@dataclass
class Ground:
    """A tenant's rows, synced by full pulls of records given as dictionaries."""

    roster: Roster
    merged: Records = field(default_factory=dict[str, dict[str, dict[str, Any]]])

    def stage(
        self, records: Records, marked: tuple[tuple[str, str], ...] = (), *, removable: bool = True, hold: bool = False
    ) -> tuple[RunName, Plan]:
        """Stage what changed, as the worker does: what is as it was merged is only seen."""
        name = run_name()
        with self.roster.stager() as conn:
            stage = Stage(conn, name, 1)
            pull = self.fill(conn, stage, records, marked)
            stage.seal("1.2", pull, list(BY_ENTITY) if removable else [])
            run = runs.get(conn, name.run)
            with conn.transaction():
                plan = findings.added(conn, run, plans.compute(conn, run, hold=hold))
            plans.record(conn, run, plan)
        return name, plan

    def fill(
        self, conn: psycopg.Connection, stage: Stage, records: Records, marked: tuple[tuple[str, str], ...] = ()
    ) -> dict[str, Any]:
        """Stage the records; gives the facts of the pull."""
        for table in TABLES:
            rows, before = stage.table(table), self.merged.get(table.entity, {})
            now = records.get(table.entity, {})
            for sourced_id, record in now.items():
                if before.get(sourced_id) != record:
                    values = [record.get(column) for column in table.column_names]
                    told = sourced_id + text_of(record)
                    rows.add(sourced_id, "active", raw(told), row_hash(told), values)
            for entity, sourced_id in marked:
                if entity == table.entity:
                    values = [before[sourced_id].get(column) for column in table.column_names]
                    rows.add(sourced_id, "tobedeleted", raw("-" + sourced_id), row_hash("-" + sourced_id), values)
            rows.flush()
            unseen = [i for i, record in before.items() if now.get(i) != record]
            copying = b"copy " + stage.name("unseen").as_bytes(conn) + b" (entity, raw_hash) from stdin"
            with conn.cursor() as cursor, cursor.copy(copying) as copy:
                for sourced_id in unseen:
                    copy.write_row((table.entity, raw(sourced_id + text_of(before[sourced_id]))))
        return {
            entity: {"pulled": True, "received": len(records.get(entity, {})) + sum(e == entity for e, _ in marked)}
            for entity in BY_ENTITY
        }

    def sync(self, records: Records, marked: tuple[tuple[str, str], ...] = ()) -> Plan:
        """Stage and merge."""
        name, plan = self.stage(records, marked)
        with self.roster.merger() as conn:
            assert isinstance(merge(conn, name.run, plan.digest, {"by": "test"}), Merged)
        self.merged = records
        return plan

    def causes(self) -> dict[tuple[str, str], str]:
        """Of the rows that are inactive: (entity, id) → cause."""
        return {
            (entity, sourced_id): row["inactive_cause"]
            for entity, rows in self.roster.snapshot().items()
            for sourced_id, row in rows.items()
            if row["status"] == "inactive"
        }


def without(records: Records, *gone: tuple[str, str]) -> Records:
    return {e: {i: r for i, r in rows.items() if (e, i) not in gone} for e, rows in records.items()}
