"""Runs the benchmark, prints a table and writes build/bench.json. `--help` says how."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table as Printed
from tests.benchmarks import validate
from tests.benchmarks.cost import Cost, measured
from tests.benchmarks.source import CLIENT, PAGE, ROOT, SECRET, Source, served

from roster_operator.cli.embedded import Database, EmbeddedPostgres
from roster_operator.store import tenants
from roster_operator.store.migrate import migrate
from roster_operator.store.tables import STAGE_COLUMNS, TABLES

STORED = [table for table in TABLES if table.entity != "demographics"]
CASES = {"first load": "base", "1 % changed": "one-percent", "nothing changed": "one-percent", "all touched": "touched"}
OURS = "stage and merge"
out = Console(highlight=False, width=110)


@dataclass(frozen=True)
class Line:
    """One line of build/bench.json. wall_ratio: the subject's time by the alternative's."""

    case: str
    subject: str
    alternative: str | None
    records: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    wall_ratio: float | None


class Bench:
    """One database, one source, one tenant."""

    def __init__(self, database: Database, source: Source, folder: Path) -> None:
        self.database, self.source, self.folder = database, source, folder
        migrate(database.owner_url)
        logins = tenants.create(database.owner_url, "bench")
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

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.database.owner_url, autocommit=True) as conn:
            return conn.execute(query.encode()).fetchall()

    def worker(self, step: str, uid: str, **more: Any) -> Cost:
        """One step as a Job runs it."""
        task: dict[str, Any] = {
            "step": step,
            "cluster": "bench",
            "tenant": "bench",
            "connection": {"namespace": "bench", "name": "bench", "uid": "bench"},
            "sync": {"name": "bench", "uid": uid},
            "policy": {"allowAddresses": ["127.0.0.0/8"], "allowInsecure": True},
        } | more
        if step == "stage":
            auth = {"tokenURL": self.source.token_url, "secretRef": {"name": "sis"}}
            api = {"endpoint": self.source.endpoint, "version": "1.2", "auth": auth}
            task["spec"] = {"tenant": "bench", "api": api | {"allowInsecure": True, "pageSize": PAGE}}
        message = self.folder / "message"
        cost = measured(
            [sys.executable, "-m", "roster_operator.worker"],
            {
                "ROSTER_TASK": json.dumps(task),
                "ROSTER_TERMINATION_MESSAGE": str(message),
                "ROSTER_SIS_SECRET_PATH": str(self.folder / "sis"),
                "ROSTER_DATABASE_SECRET_PATH": str(self.folder / "database"),
            },
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
        return measured([python, "-m", f"tests.benchmarks.{name}", *arguments])

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
        cost = measured([sys.executable, "-m", "tests.benchmarks.copying", self.database.owner_url, str(files)])
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


def run(bench: Bench, output: Path, others: str | None) -> None:
    """All cases. The figures are written after each, so that a run that is broken off leaves what it has."""
    lines: list[Line] = []
    first: Cost | None = None
    bench.tables_for("naive")
    bench.tables_for("bulk")
    for case, variant in CASES.items():
        if case != "nothing changed":
            bench.source.variant(variant)
        staged, merged, plan = bench.sync()
        ours = staged + merged
        first = first or ours
        records = sum(entity["received"] for entity in plan["entities"].values())
        beside = {"naive script": bench.naive()} | (bench.others(others) if others else {})
        bench.verify(plan)
        if case == "first load":
            beside["plain COPY"] = bench.copying()
            beside["plain download"] = bench.download()
        else:
            beside["its own first load"] = first

        start = len(lines)

        def line(subject: str, cost: Cost, other: str | None = None, against: Cost | None = None) -> None:
            ratio = round(cost.wall_s / against.wall_s, 3) if against else None
            figures = (round(cost.wall_s, 2), round(cost.cpu_s, 2), round(cost.peak_mb, 1))
            lines.append(Line(case, subject, other, records, *figures, ratio))  # noqa: B023 (called at once)

        line("stage", staged)
        line("merge", merged)
        for name, cost in beside.items():
            line(OURS, ours, name, cost)
            if name != "its own first load":
                line(name, cost)
        write(lines, start, output)


def validation(bench: Bench, output: Path) -> None:
    """A large bundle of files; added to the figures that are there."""
    lines = [Line(**each) for each in json.loads(output.read_text())]
    rows, ours, plain = validate.measure(bench.folder)
    start = len(lines)
    for subject, cost in ((validate.SUBJECT, ours), (validate.PLAIN, plain)):
        other = validate.PLAIN if cost is ours else None
        ratio = round(ours.wall_s / plain.wall_s, 3) if cost is ours else None
        figures = (round(cost.wall_s, 2), round(cost.cpu_s, 2), round(cost.peak_mb, 1))
        lines.append(Line("a bundle of files", subject, other, rows, *figures, ratio))
    write(lines, start, output)


def write(lines: list[Line], start: int, output: Path) -> None:
    """Print the lines from `start` on, and write all."""
    show(lines[start:])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(each) for each in lines], indent=1) + "\n")


def show(lines: list[Line]) -> None:
    table = Printed("case", "subject", "beside", "records", "wall s", "CPU s", "peak MB", "ratio")
    for line in lines:
        ratio = "" if line.wall_ratio is None else f"{line.wall_ratio:.2f}"
        figures = (f"{line.records:,}", f"{line.wall_s:.2f}", f"{line.cpu_s:.2f}", f"{line.peak_mb:.0f}", ratio)
        table.add_row(line.case, line.subject, line.alternative or "", *figures)
    out.print(table)


def main() -> int:
    parser = argparse.ArgumentParser("tests.benchmarks", description=__doc__)
    parser.add_argument("--users", type=int, default=200_000, help="users of the district (default: %(default)s)")
    parser.add_argument("--enrollments", type=int, default=500_000, help="enrollments (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json", help="where the figures go")
    parser.add_argument("--others", help="a Python with requirements/bench.txt: dlt and SQLAlchemy are measured too")
    options = parser.parse_args()
    load = os.getloadavg()
    size = f"{options.users:,} users, {options.enrollments:,} enrollments"
    out.print(f"{size}; {os.cpu_count()} CPUs, load {load[0]:.1f}")
    if load[0] > 1:
        out.print("[yellow]The machine is busy with something else: the figures will be too high.[/]")
    with (
        tempfile.TemporaryDirectory() as folder,
        served(options.users, options.enrollments) as source,
        EmbeddedPostgres.temporary(18, tcp=True, durable=True) as server,
    ):
        bench = Bench(server.create_database("bench", "bench_owner"), source, Path(folder))
        run(bench, options.output, options.others)
        validation(bench, options.output)
    out.print(f"load at the end {os.getloadavg()[0]:.1f}; written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
