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
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from . import arrivals, conflicts, removals, runs
from .removals import VALID_STAGED, Removals, names
from .tables import BY_SEVERITY, TABLES, Table, stage_table

ENCODING = "roster-plan/1"
# An id succeeds another one: of somebody who was added by hand, or of the same person of the source.
# An undo parts who was linked.
LINK, NEW_KEY, UNLINK = "link", "newKey", "unlink"


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
    concluded: int = 0  # deactivated, and had ended by themselves
    school_closed: int = 0  # deactivated with their school
    left_out: int = 0  # records that the source showed and that are out of scope
    unchanged: int = 0
    invalid: int = 0
    withheld: int = 0  # would be deactivated, had the pull been proved complete
    held: int = 0  # would be deactivated, but removals wait because of a limit
    active: int = 0  # merged before
    linked: int = 0  # added by hand, and come with the source now
    unlinked: int = 0  # two people again, as the sync that made them one is undone
    new_key: int = 0  # come under another sourcedId: neither created nor removed
    rekeyed: int = 0  # vanish, and something like them comes under another sourcedId: a removal and a creation each
    followed: int = 0  # differ only in that they name a person by the new sourcedId
    pinned: int = 0  # whose source says something else than what a person pinned
    # Of those that were linked or have a new key: rows that are new to the tables, and rows that were inactive.
    arrived: int = 0
    returned: int = 0

    @property
    def deactivate(self) -> int:
        """All removals."""
        return self.losses + self.concluded

    @property
    def losses(self) -> int:
        """Removals but those that had ended by themselves: what limits are about."""
        return self.tobedeleted + self.vanished + self.out_of_scope + self.undone + self.school_closed


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
    # How its issues compare to those of the run before, as store.issues counts them. No part of the digest either.
    trend: dict[str, int] = field(default_factory=dict[str, int])
    # The limits for which removals wait for a later run, as the worker judged them; none: they do not wait.
    held: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    # What of the source was taken, as the worker says it; None: everything. No part of the digest.
    taken: dict[str, Any] | None = None
    # The removals that it was computed with; None where it was read from the ledger.
    gone: Removals | None = field(default=None, compare=False)
    # The versions, as a dictionary, where the database was found behind what was known of it. No part of the digest.
    rewound: dict[str, int] | None = None

    @property
    def changes(self) -> bool:
        """Whether a merge would do anything."""
        return any(
            each.create + each.update + each.reactivate + each.deactivate + each.new_key + each.followed
            + each.linked + each.unlinked
            for each in self.entities.values()
        )  # fmt: skip

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
            "trend": self.trend,
            "held": self.held,
            "rewound": self.rewound,
            "taken": self.taken,
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
            trend=recorded.get("trend", {}),
            held=recorded.get("held", []),
            rewound=recorded.get("rewound"),
            taken=recorded.get("taken"),
        )


def issues_of(run: runs.Run, tenant: str) -> sql.Composable:
    """The issues of all entities, to stand in a statement as a table of (entity, sourced_id, code, severity, field)."""
    if run.mode != conflicts.UNDO:
        return stage_table(tenant, run.run, run.token, "issue")
    each = [sql.SQL("select * from {} i").format(names(run, table, tenant)["issue"]) for table in TABLES]
    return sql.SQL("({})").format(sql.SQL(" union all ").join(each))


_EFFECTS = (
    "copy (select e.action, e.sourced_id, e.row_hash from ("
    " select case"
    "   when m.source = 'Manual' then null"
    "   when s.status = 'tobedeleted' then case when m.status = 'active' and not {succeeded} then {marked} end"
    "   when s.status = 'undone' then case when m.status = 'active' and not {succeeded} then 'undone' end"
    "   when m.sourced_id is null then 'create'"
    "   when m.status = 'inactive' then 'reactivate'"
    "   when m.row_hash <> s.row_hash then 'update'"
    "  end as action, s.sourced_id, case when s.status <> 'tobedeleted' then encode(s.row_hash, 'hex') end as row_hash"
    " from {stage} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " where " + VALID_STAGED + "{others} union all"
    " select case x.kind when 'unlink' then 'parted' else x.kind end, x.old_sourced_id, x.new_sourced_id"
    " from {successions} x) e"
    ' where e.action is not null order by e.sourced_id collate "C") to stdout'
)


_OTHERS: LiteralString = " union all select {cause}, m.sourced_id, null from {merged} m where {condition}"
_BLOCK = 5000
# The first two bytes of an effect's line say its action.
_ACTIONS = {
    action[:2].encode(): action
    for action in ("create", "update", "reactivate", LINK, NEW_KEY, *removals.CAUSES, removals.WITHHELD, removals.HELD)
} | {b"pa": UNLINK}
# More removals than these of one entity are looked for again, not listed.
_LISTED = 20_000
_STAY = tuple(action.encode() for action in (removals.WITHHELD, removals.HELD))
_GOING = tuple(cause.encode() + b"\t" for cause in removals.CAUSES)


def _effects(conn: psycopg.Connection, gone: Removals, table: Table) -> Iterator[list[bytes]]:
    """The effects' lines in blocks, ordered by sourcedId."""
    given = names(gone.run, table, gone.tenant)
    others = [
        sql.SQL(_OTHERS).format(cause=gone.cause(table, way), merged=given["merged"], condition=condition)
        for way, condition in gone.ways(table)
        if way in (removals.VANISHED, removals.OUT_OF_SCOPE)
    ]
    query = sql.SQL(_EFFECTS).format(
        **given, marked=gone.cause(table, removals.MARKED), others=sql.SQL("").join(others)
    )
    with conn.cursor() as cursor, cursor.copy(query) as copy:
        lines = map(bytes, copy)
        while block := list(islice(lines, _BLOCK)):
            yield block


def compute(conn: psycopg.Connection, run: runs.Run, *, hold: bool | None = None) -> Plan:
    """The plan of a sealed run against the merged rows as they are now. To be called inside a transaction.

    hold: removals wait for a later run, but those of what ended by itself. None: as it was decided for the run.
    """
    tenant = runs.session_tenant(conn)
    base_version = runs.data_version(conn)
    digest = hashlib.sha256(f"{ENCODING}\n{runs.database_id(conn)}\n{tenant}\n".encode())
    pull = run.pull or {}
    gone = removals.of(conn, run, hold=hold)
    entities: dict[str, EntityPlan] = {}
    for table in TABLES:
        facts: dict[str, Any] = pull.get(table.entity, {})
        counts: Counter[str] = Counter()
        listed: list[tuple[str, str]] | None = []
        digest.update(f"{table.entity}\n".encode())
        for lines in _effects(conn, gone, table):
            for letters, count in Counter([line[:2] for line in lines]).items():
                counts[_ACTIONS[letters]] += count
            listed = _listed(lines, listed)
            digest.update(b"".join([line for line in lines if not line.startswith(_STAY)]))
        if listed is not None:
            gone.listed[table.entity] = listed
        received, invalid = int(facts.get("received", 0)), int(facts.get("invalid", 0))
        changed = sum(counts[action] for action in ("create", "update", "reactivate", removals.MARKED, removals.UNDONE))
        if counts[removals.CONCLUDED] or counts[removals.SCHOOL_CLOSED]:
            changed += gone.marked_but_named_otherwise(conn, table)
        left_out = _left_out(conn, run, table, tenant)
        # Where removals wait, creating what comes again would double it.
        goes = bool(counts[removals.VANISHED] or counts[removals.HELD] or facts.get("delta")) and counts["create"] > 0
        vanished = arrivals.vanished(run, table) if goes else None
        ids = arrivals.counted(conn, run, table, names(run, table, tenant), vanished=vanished)
        entities[table.entity] = EntityPlan(
            received=received,
            create=counts["create"] - ids.arrived,
            update=counts["update"] - ids.followed,
            reactivate=counts["reactivate"] - ids.returned,
            tobedeleted=counts[removals.MARKED],
            vanished=counts[removals.VANISHED],
            out_of_scope=counts[removals.OUT_OF_SCOPE],
            undone=counts[removals.UNDONE],
            concluded=counts[removals.CONCLUDED],
            school_closed=counts[removals.SCHOOL_CLOSED],
            left_out=left_out,
            unchanged=max(0, received - invalid - left_out - changed - ids.shown),
            invalid=invalid,
            withheld=counts[removals.WITHHELD],
            held=counts[removals.HELD],
            active=_active(conn, table, tenant),
            linked=counts[LINK],
            unlinked=counts[UNLINK],
            new_key=counts[NEW_KEY],
            rekeyed=ids.rekeyed,
            followed=ids.followed,
            pinned=ids.pinned,
            arrived=ids.arrived,
            returned=ids.returned,
        )
    reasons = [f"{entity}: {facts['reason']}" for entity, facts in pull.items() if facts.get("reason")]
    return Plan(
        digest=f"sha256:{digest.hexdigest()}",
        base_version=base_version,
        entities=entities,
        complete=not reasons,
        incomplete_reason="; ".join(reasons)[:256] or None,
        issues=_issues(conn, run, tenant, entities),
        gone=gone,
    )


def _listed(lines: list[bytes], before: list[tuple[str, str]] | None) -> list[tuple[str, str]] | None:
    """The removals among the effects, added to those before; None where they are too many, or an id is escaped."""
    if before is None:
        return None
    found = [line.split(b"\t", 2) for line in lines if line.startswith(_GOING)]
    if len(before) + len(found) > _LISTED or any(b"\\" in sourced_id for _, sourced_id, _ in found):
        return None
    return before + [(sourced_id.decode(), cause.decode()) for cause, sourced_id, _ in found]


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
            "select code, severity, entity, count(*) from {} i group by 1, 2, 3 order by {}, count(*) desc, 1, 3"
        ).format(issues_of(run, tenant), sql.SQL(BY_SEVERITY).format(severity=sql.Identifier("severity")))
    ).fetchall()
    found = [{"code": c, "severity": s, "entity": e, "count": n} for c, s, e, n in rows]
    found += [
        {"code": code, "severity": "warning", "entity": name, "count": count}
        for name, plan in entities.items()
        for code, count in (("RemovalWithheld", plan.withheld), ("RemovalHeld", plan.held))
        if count
    ]
    return found


def record(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> None:
    """Keep the plan of a run that was just sealed: from now on it waits for a decision."""
    conn.execute(
        "select roster.record_plan(%s, %s, %s, %s, %s, %s)",
        (run.run, run.token, plan.digest, runs.jsonb(plan.to_dict()), runs.jsonb(plan.issues), plan.base_version),
    )
