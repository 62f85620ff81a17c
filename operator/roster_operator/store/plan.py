"""The plan: what a merge of the staged rows would do now, its counts, and its digest.

The digest is SHA-256 over the plan's canonical effects: an encoding version, the database's identity, the tenant, then
per entity one line an effect, ordered by sourcedId bytewise: action, id, SHA-256 of the new row. No times, no names,
no base version. The merge computes it again inside its own transaction, with this same function.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql

from . import conflicts, runs
from .stage import stage_table
from .tables import TABLES, Table

ENCODING = "roster-plan/1"
# What only a pull that is proved complete may remove. A record that is out of scope was shown, or follows from one that
# was, or its entity is not taken at all: that is certain whatever else the pull missed, so it needs no proof.
REMOVALS = ("tobedeleted", "vanished")
OUT_OF_SCOPE = "outOfScope"
# A record that an undo makes inactive, or inactive again.
UNDONE = "undone"


@dataclass(frozen=True)
class EntityPlan:
    """One entity, in records."""

    received: int = 0  # distinct records that the source showed
    create: int = 0
    update: int = 0
    reactivate: int = 0
    tobedeleted: int = 0  # deactivated because the source marks them so
    vanished: int = 0  # deactivated because the source no longer shows them
    out_of_scope: int = 0  # deactivated because they fell out of what is taken
    undone: int = 0  # deactivated because the sync that brought them is undone
    left_out: int = 0  # records that the source showed and that are out of scope
    unchanged: int = 0
    invalid: int = 0
    withheld: int = 0  # would be deactivated, had the pull been proved complete
    active: int = 0  # merged before

    @property
    def deactivate(self) -> int:
        """All removals."""
        return self.tobedeleted + self.vanished + self.out_of_scope + self.undone


@dataclass(frozen=True)
class Plan:
    """What a merge would do now."""

    digest: str
    base_version: int
    entities: dict[str, EntityPlan]
    complete: bool
    incomplete_reason: str | None
    issues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    # What store.checks found in the result. No part of the digest: it says nothing about what is done.
    checks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    # What store.profile says of the changes, as a dictionary. No part of the digest either.
    profile: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def changes(self) -> bool:
        """Whether a merge would do anything."""
        return any(each.create + each.update + each.reactivate + each.deactivate for each in self.entities.values())

    @property
    def first(self) -> bool:
        """Nothing was merged for this tenant before."""
        return self.base_version == 0

    def to_dict(self) -> dict[str, Any]:
        """As kept in sync_run.plan."""
        return {
            "entities": {name: asdict(plan) for name, plan in self.entities.items()},
            "complete": self.complete,
            "incomplete_reason": self.incomplete_reason,
            "checks": self.checks,
            "profile": self.profile,
        }

    @classmethod
    def from_run(cls, run: runs.Run) -> Plan:
        """The recorded plan of a staged or merged run."""
        recorded = run.plan or {}
        return cls(
            digest=run.digest or "",
            base_version=run.base_version or 0,
            entities={name: EntityPlan(**counts) for name, counts in recorded.get("entities", {}).items()},
            complete=bool(recorded.get("complete")),
            incomplete_reason=recorded.get("incomplete_reason"),
            issues=run.issues or [],
            checks=recorded.get("checks", []),
            profile=recorded.get("profile", {}),
        )


def names(run: runs.Run, table: Table, tenant: str) -> dict[str, sql.Composable]:
    """The names that the statements below are written with."""
    given: dict[str, sql.Composable] = {
        "merged": sql.Identifier("roster", table.name),
        "stage": stage_table(tenant, run.run, run.token, table.name),
        "issue": stage_table(tenant, run.run, run.token, "issue"),
        "unseen": stage_table(tenant, run.run, run.token, "unseen"),
        "scoped_out": stage_table(tenant, run.run, run.token, "scoped_out"),
        "undo": stage_table(tenant, run.run, run.token, "undo"),
        "started": sql.Literal(run.started_at),
        "entity": sql.Literal(table.entity),
        "tenant": sql.Literal(tenant),
    }
    return given | {"issue": conflicts.issues(given)} if run.mode == conflicts.UNDO else given


def issues_of(run: runs.Run, tenant: str) -> sql.Composable:
    """The issues of all entities, to stand in a statement as a table of (entity, sourced_id, code, severity, field)."""
    if run.mode != conflicts.UNDO:
        return stage_table(tenant, run.run, run.token, "issue")
    each = [sql.SQL("select * from {} i").format(names(run, table, tenant)["issue"]) for table in TABLES]
    return sql.SQL("({})").format(sql.SQL(" union all ").join(each))


# A record with an error is skipped, and its merged row stays as it was.
SKIPPED = "exists (select from {issue} i where i.entity = {entity} and i.severity = 'error' and i.sourced_id = {id})"
VALID_STAGED = "not " + SKIPPED.replace("{id}", "s.sourced_id")
# Merged rows that the source marks as deleted.
MARKED = (
    "m.tenant = {tenant} and m.status = 'active' and m.source = 'SIS' and exists (select from {stage} s"
    " where s.sourced_id = m.sourced_id and s.status = 'tobedeleted' and " + VALID_STAGED + ")"
)
_IN_SCOPED_OUT = "exists (select from {scoped_out} o where o.entity = {entity} and o.sourced_id = m.sourced_id)"
# Merged rows that are out of scope now.
SCOPED_OUT = (
    "m.tenant = {tenant} and m.status = 'active' and m.source = 'SIS' and "
    + _IN_SCOPED_OUT
    + " and not "
    + SKIPPED.replace("{id}", "m.sourced_id")
)
# Merged rows that an undo makes inactive.
TAKEN_BACK = (
    "m.tenant = {tenant} and m.status = 'active' and m.source = 'SIS' and exists (select from {stage} s"
    " where s.sourced_id = m.sourced_id and s.status = 'undone' and " + VALID_STAGED + ")"
)
# Merged rows that the source did not show: not seen byte for byte, and not staged under their key either.
VANISHED = (
    "m.tenant = {tenant} and m.status = 'active' and m.source = 'SIS'"
    # A row without a hash was never seen by it. One join for both: with an OR PostgreSQL would read all unseen hashes
    # again for each row, where there are too many for its work_mem.
    " and exists (select from (select true as hashed, u.raw_hash from {unseen} u where u.entity = {entity}"
    " union all select false, 0) u where u.hashed = (m.raw_hash is not null) and u.raw_hash = coalesce(m.raw_hash, 0))"
    # One whose hash was cleared since the pull began may well have been shown by it.
    " and (m.raw_hash is not null or m.last_changed < {started})"
    " and not exists (select from {stage} s where s.sourced_id = m.sourced_id)"
    " and not " + SKIPPED.replace("{id}", "m.sourced_id") + " and not " + _IN_SCOPED_OUT
)

_EFFECTS = (
    "copy (select e.action, e.sourced_id, e.row_hash from ("
    " select case"
    "   when m.source = 'Manual' then null"
    "   when s.status = 'tobedeleted' then case when m.status = 'active' then 'tobedeleted' end"
    "   when s.status = 'undone' then case when m.status = 'active' then 'undone' end"
    "   when m.sourced_id is null then 'create'"
    "   when m.status = 'inactive' then 'reactivate'"
    "   when m.row_hash <> s.row_hash then 'update'"
    "  end as action, s.sourced_id, case when s.status <> 'tobedeleted' then encode(s.row_hash, 'hex') end as row_hash"
    " from {stage} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " where " + VALID_STAGED + " union all "
    " select 'vanished', m.sourced_id, null from {merged} m where {pulled} and " + VANISHED + " union all "
    " select 'outOfScope', m.sourced_id, null from {merged} m where " + SCOPED_OUT + ") e"
    ' where e.action is not null order by e.sourced_id collate "C") to stdout'
)


_BLOCK = 5000
# The second byte of an effect's line says its action: no two have the same.
_ACTIONS = {ord(action[1]): action for action in ("create", "update", "reactivate", *REMOVALS, OUT_OF_SCOPE, UNDONE)}


def _effects(
    conn: psycopg.Connection, run: runs.Run, table: Table, tenant: str, *, pulled: bool
) -> Iterator[list[bytes]]:
    """The effects' lines in blocks, ordered by sourcedId."""
    query = sql.SQL(_EFFECTS).format(**names(run, table, tenant), pulled=sql.Literal(pulled))
    with conn.cursor() as cursor, cursor.copy(query) as copy:
        lines = map(bytes, copy)
        while block := list(islice(lines, _BLOCK)):
            yield block


def compute(conn: psycopg.Connection, run: runs.Run) -> Plan:
    """The plan of a sealed run against the merged rows as they are now. To be called inside a transaction."""
    tenant = runs.session_tenant(conn)
    base_version = runs.data_version(conn)
    digest = hashlib.sha256(f"{ENCODING}\n{runs.database_id(conn)}\n{tenant}\n".encode())
    pull = run.pull or {}
    entities: dict[str, EntityPlan] = {}
    for table in TABLES:
        facts: dict[str, Any] = pull.get(table.entity, {})
        removable = table.entity in run.removable
        counts: Counter[str] = Counter()
        digest.update(f"{table.entity}\n".encode())
        for lines in _effects(conn, run, table, tenant, pulled=bool(facts.get("pulled")) and not facts.get("delta")):
            for letter, count in Counter([line[1] for line in lines]).items():
                counts[_ACTIONS[letter]] += count
            kept = lines if removable else [line for line in lines if _ACTIONS[line[1]] not in REMOVALS]
            digest.update(b"".join(kept))
        withheld = 0 if removable else sum(counts.pop(removal, 0) for removal in REMOVALS)
        received, invalid = int(facts.get("received", 0)), int(facts.get("invalid", 0))
        changed = sum(n for action, n in counts.items() if action not in {"vanished", OUT_OF_SCOPE})
        left_out = _left_out(conn, run, table, tenant)
        entities[table.entity] = EntityPlan(
            received=received,
            create=counts["create"],
            update=counts["update"],
            reactivate=counts["reactivate"],
            tobedeleted=counts["tobedeleted"],
            vanished=counts["vanished"],
            out_of_scope=counts[OUT_OF_SCOPE],
            undone=counts[UNDONE],
            left_out=left_out,
            unchanged=max(0, received - invalid - left_out - changed),
            invalid=invalid,
            withheld=withheld,
            active=_active(conn, table, tenant),
        )
    reasons = [f"{entity}: {facts['reason']}" for entity, facts in pull.items() if facts.get("reason")]
    return Plan(
        digest=f"sha256:{digest.hexdigest()}",
        base_version=base_version,
        entities=entities,
        complete=not reasons,
        incomplete_reason="; ".join(reasons)[:256] or None,
        issues=_issues(conn, run, tenant, entities),
    )


def _left_out(conn: psycopg.Connection, run: runs.Run, table: Table, tenant: str) -> int:
    query = "select count(distinct s.sourced_id) from {scoped_out} s where s.entity = {entity} and s.shown and "
    row = conn.execute(sql.SQL(query + VALID_STAGED).format(**names(run, table, tenant))).fetchone()
    return int(row[0]) if row else 0


def _active(conn: psycopg.Connection, table: Table, tenant: str) -> int:
    row = conn.execute(
        sql.SQL("select count(*) from {} where tenant = %s and status = 'active'").format(
            sql.Identifier("roster", table.name)
        ),
        (tenant,),
    ).fetchone()
    return int(row[0]) if row else 0


def _issues(
    conn: psycopg.Connection, run: runs.Run, tenant: str, entities: dict[str, EntityPlan]
) -> list[dict[str, Any]]:
    rows = conn.execute(
        sql.SQL(
            "select code, severity, entity, count(*) from {} i group by 1, 2, 3 order by severity, count(*) desc, 1, 3"
        ).format(issues_of(run, tenant))
    ).fetchall()
    found = [{"code": c, "severity": s, "entity": e, "count": n} for c, s, e, n in rows]
    found += [
        {"code": "RemovalWithheld", "severity": "warning", "entity": name, "count": plan.withheld}
        for name, plan in entities.items()
        if plan.withheld
    ]
    return found


def record(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> None:
    """Keep the plan of a run that was just sealed: from now on it waits for a decision."""
    conn.execute(
        "select roster.record_plan(%s, %s, %s, %s, %s, %s)",
        (run.run, run.token, plan.digest, runs.jsonb(plan.to_dict()), runs.jsonb(plan.issues), plan.base_version),
    )
