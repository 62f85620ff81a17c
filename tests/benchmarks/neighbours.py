"""What other tenants' rows in the same tables cost one tenant: `make bench-neighbours`.

One tenant syncs with nobody beside it; then the tables are filled with copies of its rows under other tenants, and it
syncs again, as a new one does for the first time. Prints a table and writes build/bench-neighbours.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table as Printed
from tests.benchmarks.bench import STORED, Bench
from tests.benchmarks.cost import Cost
from tests.benchmarks.source import ROOT, Source, served

from roster_operator.cli.embedded import Database, EmbeddedPostgres

ROUNDS = 5
_OTHERS = "select " + " + ".join(
    f"(select count(*) from roster.{table.name} where tenant like 'beside-%')" for table in STORED
)
BYTES_A_ROW = 1_500  # with its indexes, its share of the log, and what a vacuum needs
out = Console(highlight=False, width=110)


@dataclass(frozen=True)
class Figure:
    """The median of some syncs (stage and merge) of one tenant, alone and beside others."""

    case: str
    records: int
    rows_of_others: int
    alone_wall_s: float
    beside_wall_s: float
    alone_database_cpu_s: float
    beside_database_cpu_s: float
    wall_ratio: float


def syncs(bench: Bench, rounds: int) -> dict[str, list[Cost]]:
    """Pulls in which 1 % changed, to and fro, and in which nothing changed."""
    found: dict[str, list[Cost]] = {"1 % changed": [], "nothing changed": []}
    for turn in range(rounds):
        bench.source.variant("base" if turn % 2 else "one-percent")
        for costs in found.values():
            staged, merged, _ = bench.sync()
            costs.append(staged + merged)
    return found


def loads(server: EmbeddedPostgres, database: Database, source: Source, folder: Path, names: list[str]) -> list[Cost]:
    """First loads of new tenants."""
    source.variant("base")
    costs: list[Cost] = []
    for name in names:
        (folder / name).mkdir()
        staged, merged, _ = Bench(server, database, source, folder / name, name).sync()
        costs.append(staged + merged)
    return costs


def fill(database: Database, tenant: str, rows: int) -> int:
    """Copies of a tenant's rows under others, until there are as many. Gives how many rows others have."""
    made = 0
    with psycopg.connect(database.superuser_url, autocommit=True) as conn:
        number = 0
        while made < rows:
            number += 1
            other = f"beside-{number}"
            for table in STORED:
                held = conn.execute(
                    "select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0"
                    " and not attisdropped and attgenerated = '' and attidentity = '' and attname <> 'tenant'",
                    (f"roster.{table.name}",),
                ).fetchall()
                columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in held)
                made += conn.execute(
                    sql.SQL(
                        "insert into roster.{table} (tenant, {columns})"
                        " select {other}, {columns} from roster.{table} where tenant = {tenant}"
                    ).format(
                        table=sql.Identifier(table.name),
                        columns=columns,
                        other=sql.Literal(other),
                        tenant=sql.Literal(tenant),
                    )
                ).rowcount
        conn.execute("vacuum analyze")
    return made


def main() -> int:
    parser = argparse.ArgumentParser("tests.benchmarks.neighbours", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows of other tenants (default: %(default)s)")
    parser.add_argument("--users", type=int, default=20_000, help="users of the tenant (default: %(default)s)")
    parser.add_argument("--enrollments", type=int, default=50_000, help="its enrollments (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench-neighbours.json")
    options = parser.parse_args()
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < options.rows * BYTES_A_ROW:
        out.print(f"[red]{options.rows * BYTES_A_ROW:,} bytes of disk are needed, {free:,} are free.[/]")
        return 1
    out.print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with (
        tempfile.TemporaryDirectory() as place,
        served(options.users, options.enrollments) as source,
        EmbeddedPostgres.temporary(18, tcp=True, durable=True) as server,
    ):
        database = server.create_database("bench", "bench_owner")
        (Path(place) / "one").mkdir()
        one = Bench(server, database, source, Path(place) / "one", "one")
        _, _, plan = one.sync()
        records = sum(entity["received"] for entity in plan["entities"].values())
        alone = {"first load": loads(server, database, source, Path(place), ["two", "three", "four"])}
        alone |= syncs(one, ROUNDS)
        filled = fill(database, "two", options.rows)
        out.print(f"{filled:,} rows of others")
        beside = {"first load": loads(server, database, source, Path(place), ["five", "six", "seven"])}
        beside |= syncs(one, ROUNDS)
        assert one.ask(_OTHERS) == [(filled,)], "rows of others went or came"
    figures = [figure(case, records, filled, alone[case], beside[case]) for case in alone]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps([asdict(each) for each in figures], indent=1) + "\n")
    table = Printed("case", "records", "alone, s", "beside, s", "ratio", "DB CPU alone, s", "DB CPU beside, s")
    for each in figures:
        walls = (f"{each.alone_wall_s:.2f}", f"{each.beside_wall_s:.2f}", f"{each.wall_ratio:.2f}")
        spent = (f"{each.alone_database_cpu_s:.2f}", f"{each.beside_database_cpu_s:.2f}")
        table.add_row(each.case, f"{each.records:,}", *walls, *spent)
    out.print(table)
    out.print(f"load at the end {os.getloadavg()[0]:.1f}; written to {options.output}")
    return 0


def figure(case: str, records: int, filled: int, alone: list[Cost], beside: list[Cost]) -> Figure:
    """The medians of both."""
    walls = [statistics.median(cost.wall_s for cost in costs) for costs in (alone, beside)]
    spent = [statistics.median(cost.database_cpu_s for cost in costs) for costs in (alone, beside)]
    seconds = [round(value, 2) for value in (*walls, *spent)]
    return Figure(case, records, filled, *seconds, round(walls[1] / walls[0], 3))


if __name__ == "__main__":
    sys.exit(main())
