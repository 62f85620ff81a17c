"""I1 to I9, from the database and the source's truth alone: what must hold whatever was killed, and when.

I1 a run is merged once, and the ledger is written in the merge's own transaction · I2 data_version is the number of
commits · I3 the change_log leads from the rows back to nothing, through every version · I4 the rows of every version
are the source's truth · I5 the plan's counts, the change_log's and those that were reported agree · I6 what was applied
has the digest that was planned and approved · I7 nothing staged outlives its run · I8 other tenants' rows are as they
were · I9 whoever read in between saw one version whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from roster_operator.api.task import WorkerSummary
from roster_operator.store.plan import ENCODING
from roster_operator.store.tables import BY_ENTITY

Rows = dict[str, dict[str, dict[str, Any]]]
_COUNTED = {
    "create": ("create", "arrived"),
    "update": ("update", "followed"),
    "reactivate": ("reactivate", "returned"),
    "tobedeleted": ("tobedeleted",),
    "vanished": ("vanished",),
    "outOfScope": ("out_of_scope",),
    "undone": ("undone",),
    "concluded": ("concluded",),
    "schoolClosed": ("school_closed",),
}
_HASHED = {"create", "update", "reactivate", "undone"}
_UNTOLD = {"raw_hash", "date_last_modified"}  # the same content in other bytes is no change
_TABLES = sql.SQL(" union all ").join(
    sql.SQL("select {}, sourced_id, to_jsonb(t) from {} t where tenant = %(tenant)s").format(
        sql.Literal(entity), sql.Identifier("roster", table.name)
    )
    for entity, table in BY_ENTITY.items()
)


@dataclass(frozen=True)
class Sight:
    """What a reader saw at one moment: a version, and rows."""

    version: int
    rows: Rows


def look(conn: psycopg.Connection, tenant: str) -> Sight:
    """As an application reads: one transaction, one snapshot."""
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        row = conn.execute("select data_version from roster.tenant where tenant = %s", (tenant,)).fetchone()
        rows: Rows = {entity: {} for entity in BY_ENTITY}
        for entity, sourced_id, found in conn.execute(_TABLES, {"tenant": tenant}):
            rows[entity][sourced_id] = found
    assert row is not None
    return Sight(row[0], rows)


def others(conn: psycopg.Connection, tenant: str) -> str:
    """Everything of other tenants, in one word."""
    told = hashlib.sha256()
    for table in _tables_with_a_tenant(conn):
        row = conn.execute(
            sql.SQL("select md5(string_agg(t::text, '|' order by t::text)) from {} t where tenant <> %s").format(
                sql.Identifier("roster", table)
            ),
            (tenant,),
        ).fetchone()
        told.update(f"{table} {row and row[0]}\n".encode())
    return told.hexdigest()


def picture(conn: psycopg.Connection, tenant: str) -> dict[str, list[str]]:
    """Everything of a tenant but times and numbers of attempts: to be compared with an undisturbed run's."""
    volatile = "(_at|_since|^first_seen|^last_changed|^attempt|^token)$"
    rows = "select (select jsonb_object_agg(key, value)::text from jsonb_each(to_jsonb(t)) where key !~ {}) from {} t"
    found = {
        table: conn.execute(
            sql.SQL(rows + " where tenant = {} order by 1").format(
                sql.Literal(volatile), sql.Identifier("roster", table), sql.Literal(tenant)
            )
        ).fetchall()
        for table in _tables_with_a_tenant(conn)
    }
    # An earlier attempt that could not be waited for may have left its tables: they go with the run.
    staged = conn.execute(
        "select n.what, roster.stage_table(r.tenant, r.run, r.token, n.what) from roster.sync_run r,"
        " (select replace(relname, 'template_', '') as what from pg_class"
        " where relnamespace = 'roster_stage'::regnamespace and relname like 'template\\_%%') n"
        " where r.tenant = %s and r.state in ('Staging', 'Sealed', 'Staged')"
        " and to_regclass('roster_stage.' || roster.stage_table(r.tenant, r.run, r.token, n.what)) is not null",
        (tenant,),
    ).fetchall()
    for what, table in staged:
        query = sql.SQL(rows + " order by 1").format(sql.Literal(volatile), sql.Identifier("roster_stage", table))
        found[f"stage.{what}"] = conn.execute(query).fetchall()
    return {table: [row[0] for row in of_table] for table, of_table in found.items()}


def _tables_with_a_tenant(conn: psycopg.Connection) -> list[str]:
    return [
        name
        for (name,) in conn.execute(
            "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
            " where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r' order by 1"
        )
    ]


def wrongs(
    conn: psycopg.Connection,
    tenant: str,
    truths: Sequence[Rows],
    elsewhere: str,
    *,
    seen: Sequence[Sight] = (),
    said: WorkerSummary | None = None,
) -> list[str]:
    """What does not hold, each with its number.

    truths: the active rows that each version must have, from the first on. elsewhere: `others` of before.
    seen: what was read in between. said: what the last merge reported.
    """
    now = look(conn, tenant)
    versions, broken = _versions(conn, tenant, now)
    found = [f"I3 {each}" for each in broken]
    found += _i1(conn, tenant)
    found += _i2(conn, tenant, now)
    if versions[0] and any(versions[0].values()):
        found.append("I3 the history does not lead back to nothing")
    found += _i4(versions, truths)
    found += _i5(conn, tenant, said)
    found += _i6(conn, tenant, versions)
    found += _i7(conn)
    if others(conn, tenant) != elsewhere:
        found.append("I8 rows of other tenants changed")
    found += _i9(versions, seen)
    return found


def _versions(conn: psycopg.Connection, tenant: str, now: Sight) -> tuple[list[Rows], list[str]]:
    """The rows of every version, by undoing the history from its end, and where that fails."""
    log = conn.execute(
        "select data_version, entity, sourced_id, old from roster.change_log where tenant = %s", (tenant,)
    ).fetchall()
    rows, broken = deepcopy(now.rows), list[str]()
    newest = max([now.version, *(version for version, *_ in log)])
    versions = [deepcopy(rows)]
    for version in range(newest, 0, -1):
        for _, entity, sourced_id, old in (each for each in log if each[0] == version):
            if old is not None:
                rows[entity][sourced_id] = old
            elif rows[entity].pop(sourced_id, None) is None:
                broken.append(f"version {version} created a row of {entity} that is not there, or twice")
        versions.append(deepcopy(rows))
    return versions[::-1], broken


def _i1(conn: psycopg.Connection, tenant: str) -> Iterator[str]:
    ledger = (
        "select data_version, count(*), array_agg(distinct run), array_agg(distinct xmin::text) from roster.{} "
        " where tenant = %s {} group by 1 order by 1"
    )
    runs = conn.execute(ledger.format("sync_run", "and state = 'Merged'").encode(), (tenant,)).fetchall()
    log = {row[0]: row for row in conn.execute(ledger.format("change_log", "").encode(), (tenant,)).fetchall()}
    for version, number, run, transaction in runs:
        if number != 1:
            yield f"I1 version {version} was made by {number} runs"
        elif version in log and log[version][2] != run:
            yield f"I1 the history of version {version} is of other runs"
        elif version in log and log[version][3] != transaction:
            yield f"I1 version {version} took more than one transaction"
    for version in set(log) - {row[0] for row in runs}:
        yield f"I1 version {version} stands in the history, and no run is merged as it"


def _i2(conn: psycopg.Connection, tenant: str, now: Sight) -> Iterator[str]:
    row = conn.execute(
        "select count(*), count(distinct data_version), coalesce(max(data_version), 0) from roster.sync_run"
        " where tenant = %s and state = 'Merged'",
        (tenant,),
    ).fetchone()
    if row != (now.version,) * 3:
        yield f"I2 data_version is {now.version}; merged runs, their versions and the highest are {row}"


def _i4(versions: Sequence[Rows], truths: Sequence[Rows]) -> Iterator[str]:
    for version, (rows, truth) in enumerate(zip(versions[1:], truths, strict=False), 1):
        for entity, wanted in truth.items():
            active = {i: row for i, row in rows[entity].items() if row["status"] == "active"}
            other = [i for i, row in active.items() if i in wanted and not wanted[i].items() <= row.items()]
            if set(active) != set(wanted) or other:
                number = "I4" if version == len(versions) - 1 else "I3"
                yield (
                    f"{number} version {version}: {entity}: {len(set(wanted) - set(active))} are missing,"
                    f" {len(set(active) - set(wanted))} too many, {len(other)} different"
                )
    if len(versions) - 1 > len(truths):
        yield f"I4 there are {len(versions) - 1} versions, and the source had {len(truths)}"


def _i5(conn: psycopg.Connection, tenant: str, said: WorkerSummary | None) -> Iterator[str]:
    log: dict[int, Counter[tuple[str, str]]] = {}
    for version, entity, action, number in conn.execute(
        "select data_version, entity, action, count(*) from roster.change_log where tenant = %s group by 1, 2, 3",
        (tenant,),
    ):
        log.setdefault(version, Counter())[entity, action] = number
    for version, plan in conn.execute(
        "select data_version, plan from roster.sync_run where tenant = %s and state = 'Merged'", (tenant,)
    ):
        planned = Counter[tuple[str, str]]()
        for entity, counts in plan["entities"].items():
            for action, names in _COUNTED.items():
                planned[entity, action] = sum(counts[name] for name in names)
        if +planned != log.get(version, Counter()):
            yield f"I5 version {version}: the plan's counts are not the history's"
        if said is not None and said.plan is not None and said.data_version == version:
            told = {entity: counts.deactivate + counts.create for entity, counts in said.plan.entities.items()}
            kept = {
                entity: counts["create"] + sum(planned[entity, action] for action in list(_COUNTED)[3:])
                for entity, counts in plan["entities"].items()
            }
            if told != kept:
                yield f"I5 version {version}: the counts that were reported are not the plan's"


def _i6(conn: psycopg.Connection, tenant: str, versions: Sequence[Rows]) -> Iterator[str]:
    row = conn.execute("select database_id from roster.meta").fetchone()
    assert row is not None
    for version, digest, approved in conn.execute(
        "select data_version, digest, approval ->> 'digest' from roster.sync_run"
        " where tenant = %s and state = 'Merged'",
        (tenant,),
    ).fetchall():
        applied = hashlib.sha256(f"{ENCODING}\n{row[0]}\n{tenant}\n".encode())
        for entity in BY_ENTITY:
            applied.update(f"{entity}\n".encode())
            for action, sourced_id in conn.execute(
                "select action, sourced_id from roster.change_log where tenant = %s and data_version = %s"
                " and entity = %s order by 2",
                (tenant, version, entity),
            ).fetchall():
                after = versions[version][entity].get(sourced_id, {}) if version < len(versions) else {}
                told = str(after.get("row_hash", ""))[2:] if action in _HASHED else r"\N"
                applied.update(f"{action}\t{sourced_id}\t{told}\n".encode())
        if not f"sha256:{applied.hexdigest()}" == digest == approved:
            yield f"I6 version {version}: what was applied is not what was approved"


def _i7(conn: psycopg.Connection) -> Iterator[str]:
    (left,) = conn.execute(
        "select count(*) from pg_class c where c.relnamespace = 'roster_stage'::regnamespace and c.relkind = 'r'"
        " and c.relname not like 'template\\_%' and not exists (select from roster.sync_run r"
        " where r.state in ('Staging', 'Sealed', 'Staged')"
        " and c.relname like roster.stage_prefix(r.tenant, r.run) || '\\_%')"
    ).fetchone() or (0,)
    if left:
        yield f"I7 {left} tables outlive their runs"


def _i9(versions: Sequence[Rows], seen: Sequence[Sight]) -> Iterator[str]:
    for sight in seen:
        if sight.version >= len(versions) or _plain(sight.rows) != _plain(versions[sight.version]):
            yield f"I9 a reader of version {sight.version} saw something else"


def _plain(rows: Rows) -> Rows:
    return {
        entity: {i: {n: v for n, v in row.items() if n not in _UNTOLD} for i, row in of_entity.items()}
        for entity, of_entity in rows.items()
    }
