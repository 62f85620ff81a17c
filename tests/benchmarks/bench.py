"""One tenant of a database whose syncs are run as Jobs run them, and what others take for the same pull."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from tests.benchmarks.cost import Cost, measured, with_children
from tests.benchmarks.source import CLIENT, PAGE, SECRET, Source

from roster_operator.cli.embedded import Database, EmbeddedPostgres
from roster_operator.store import tenants
from roster_operator.store.migrate import migrate
from roster_operator.store.tables import STAGE_COLUMNS, TABLES

STORED = [table for table in TABLES if table.entity != "demographics"]
CASES = {"first load": "base", "1 % changed": "one-percent", "nothing changed": "one-percent", "all touched": "touched"}


class Bench:
    """One tenant of a database, and one source."""

    def __init__(
        self, server: EmbeddedPostgres, database: Database, source: Source, folder: Path, tenant: str = "bench"
    ) -> None:
        self.server, self.database, self.source, self.folder, self.tenant = server, database, source, folder, tenant
        migrate(database.owner_url)
        logins = tenants.create(database.owner_url, tenant)
        for name, values in (
            ("sis", {"client-id": CLIENT, "client-secret": SECRET}),
            ("database", {"stage-url": logins.stage_url, "merge-url": logins.merge_url}),
        ):
            (folder / name).mkdir()
            for key, value in values.items():
                (folder / name / key).write_text(value)
        self.summary: dict[str, Any] = {}

    def settle(self) -> None:
        """The server has nothing left to write when a clock starts."""
        with psycopg.connect(self.database.superuser_url, autocommit=True) as conn:
            conn.execute("checkpoint")

    def database_cpu(self) -> float:
        """CPU seconds that the server has spent so far."""
        assert self.server.pid is not None
        return with_children(self.server.pid)

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.database.owner_url, autocommit=True) as conn:
            return conn.execute(query.encode()).fetchall()

    def worker(self, step: str, uid: str, **more: Any) -> Cost:
        """One step as a Job runs it."""
        task: dict[str, Any] = {
            "step": step,
            "cluster": "bench",
            "tenant": self.tenant,
            "connection": {"namespace": "bench", "name": "bench", "uid": "bench"},
            "sync": {"name": "bench", "uid": uid},
            "policy": {"allowAddresses": ["127.0.0.0/8"], "allowInsecure": True},
        } | more
        if step == "stage":
            auth = {"tokenURL": self.source.token_url, "secretRef": {"name": "sis"}}
            api = {"endpoint": self.source.endpoint, "version": "1.2", "auth": auth}
            task["spec"] = {"tenant": self.tenant, "api": api | {"allowInsecure": True, "pageSize": PAGE}}
        message = self.folder / "message"
        cost = measured(
            [sys.executable, "-m", "roster_operator.worker"],
            {
                "ROSTER_TASK": json.dumps(task),
                "ROSTER_TERMINATION_MESSAGE": str(message),
                "ROSTER_SIS_SECRET_PATH": str(self.folder / "sis"),
                "ROSTER_DATABASE_SECRET_PATH": str(self.folder / "database"),
            },
            self.database_cpu,
        )
        self.summary = json.loads(message.read_text())
        return cost

    def sync(self) -> tuple[Cost, Cost, dict[str, Any]]:
        """Cost of stage, cost of merge, the plan."""
        uid = str(uuid4())
        self.settle()
        staged = self.worker("stage", uid)
        plan = self.summary["plan"]
        order = {"digest": plan["digest"], "via": "approved", "at": "2026-01-01T00:00:00Z"}
        merged = self.worker("merge", uid, order=order)
        assert self.summary["outcome"] == "Merged", self.summary
        assert plan["complete"], plan
        return staged, merged, plan

    def tables_for(self, schema: str) -> None:
        """Keyed and logged as the merged ones, without tenant, policy or history."""
        with psycopg.connect(self.database.owner_url, autocommit=True) as conn:
            conn.execute(f"create schema {schema}".encode())
            for table in STORED:
                conn.execute(
                    f"create table {schema}.{table.name} (like roster_stage.template_{table.name},"
                    " primary key (sourced_id))".encode()
                )
                for column in ("status", "row_hash"):
                    conn.execute(f"alter table {schema}.{table.name} alter {column} drop not null".encode())

    def naive(self) -> Cost:
        return self._script(sys.executable, "naive")

    def others(self, python: str) -> dict[str, Cost]:
        """What other people's libraries take for the same pull, checked by the number of their rows."""
        found = {
            "SQLAlchemy bulk upsert": self._script(python, "sqlalchemy_upsert"),
            "dlt": self._script(python, "dlt_pipeline", str(self.folder / "dlt")),
        }
        for name in ("users", "enrollments"):
            shown = self.ask(f"select count(*) from naive.{name}")
            for schema in ("bulk", "dlt_bench"):
                assert self.ask(f"select count(*) from {schema}.{name}") == shown, (schema, name)
        return found

    def _script(self, python: str, name: str, *more: str) -> Cost:
        self.settle()
        arguments = [self.source.url, self.source.endpoint, self.database.owner_url, *more]
        return measured([python, "-m", f"tests.benchmarks.{name}", *arguments], database=self.database_cpu)

    def download(self) -> Cost:
        return measured([sys.executable, "-m", "tests.benchmarks.source", self.source.url, self.source.endpoint])

    def copying(self) -> Cost:
        """COPY of the merged rows, from files, into tables of the same columns."""
        files = self.folder / "rows"
        files.mkdir()
        self.tables_for("plain")
        with psycopg.connect(self.database.owner_url, autocommit=True) as conn:
            for table in STORED:
                columns = ", ".join(f'"{name}"' for name in (*STAGE_COLUMNS, *table.column_names))
                query = f"copy (select {columns} from roster.{table.name}) to stdout"
                with (files / table.name).open("wb") as file, conn.cursor().copy(query.encode()) as copy:
                    for block in copy:
                        file.write(block)
        self.settle()
        cost = measured(
            [sys.executable, "-m", "tests.benchmarks.copying", self.database.owner_url, str(files)],
            database=self.database_cpu,
        )
        for table in STORED:
            assert self.ask(f"select count(*) from plain.{table.name}") == self.ask(
                f"select count(*) from roster.{table.name}"
            )
        return cost

    def verify(self, plan: dict[str, Any]) -> None:
        """The merged rows are those that the naive script wrote, which read the wire by itself; nothing is staged."""
        for table in STORED:
            received = plan["entities"][table.entity]["received"]
            assert self.ask(f"select count(*) from roster.{table.name} where status = 'active'") == [(received,)]
        for name, columns in (
            ("users", "given_name family_name middle_name email phone role enabled_user org_sourced_ids grades"),
            ("enrollments", "user_sourced_id class_sourced_id school_sourced_id role begin_date end_date"),
        ):
            mine, theirs = (", ".join(f"{t}.{column}" for column in columns.split()) for t in "mn")
            wrong = self.ask(
                f"select count(*) from roster.{name} m full join naive.{name} n using (sourced_id)"
                f" where m.sourced_id is null or n.sourced_id is null"
                f" or m.status = 'active' and ({mine}) is distinct from ({theirs})"
            )
            assert wrong == [(0,)], (name, wrong)
        left = "select count(*) from pg_class where relnamespace = 'roster_stage'::regnamespace and relkind = 'r'"
        assert self.ask(left + " and relname not like 'template%'") == [(0,)]
