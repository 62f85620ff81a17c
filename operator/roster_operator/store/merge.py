"""The merge: exactly what was staged and approved, once, in one transaction.

Readers see the rows before or after, never between. The ledger (sync_run) and the tenant's data_version are written in
the same transaction, so a merge whose COMMIT got no answer is found done or not done, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from . import conflicts, findings, ledger, pins, removals, runs, successions
from . import plan as plans
from .errors import DiscardedError, NotStagedError, StoreError
from .profile import Profile
from .removals import VALID_STAGED, Removals, names
from .tables import TABLES, Table

_LOCK_WAIT = "60s"
# A table is analyzed where so much of it is new or changed: the rule of autovacuum, which may come too late for the
# next pull. Of a table of a few thousand rows that it has never seen, PostgreSQL thinks that it holds one.
_ANALYZE_ROWS, _ANALYZE_SHARE = 50, 0.1


@dataclass(frozen=True)
class Merged:
    """The rows were merged, now or before."""

    plan: plans.Plan
    data_version: int
    before: bool = False  # found done already


@dataclass(frozen=True)
class PlanChanged:
    """Another merge came between: the same staged rows now have another effect. Nothing was merged."""

    plan: plans.Plan


_CHANGED = (
    " from {stage} s where m.tenant = {tenant} and m.sourced_id = s.sourced_id and s.status = 'active'"
    " and m.source = 'SIS' and (m.status = 'inactive' or m.row_hash <> s.row_hash) and " + VALID_STAGED
)
_LOG = (
    "insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)"
    " select {tenant}, {version}, {run}, {entity}, "
)

_LOG_CHANGED = (
    _LOG + "case when m.status = 'inactive' then 'reactivate' else 'update' end, m.sourced_id, to_jsonb(m)"
    " from {merged} m," + _CHANGED.removeprefix(" from")
)
_UPDATE = (
    "update {merged} m set ({columns}, raw_hash, row_hash, status, inactive_cause, inactive_since, last_changed) ="
    " row({staged_columns}, s.raw_hash, s.row_hash, 'active', null, null, now())" + _CHANGED
)
# The same content in other bytes (a touched dateLastModified): no change, but the next pull may skip it by its hash. A
# hash is never taken away: a run that recognised the row by it, and waits, would take it for vanished.
_TOUCH = (
    "update {merged} m set raw_hash = coalesce(s.raw_hash, m.raw_hash), date_last_modified = s.date_last_modified"
    " from {stage} s where m.tenant = {tenant} and m.sourced_id = s.sourced_id and m.source = 'SIS'"
    " and m.status = 'active' and s.status = 'active' and m.row_hash = s.row_hash"
    " and (m.raw_hash is distinct from coalesce(s.raw_hash, m.raw_hash)"
    " or m.date_last_modified is distinct from s.date_last_modified) and " + VALID_STAGED
)
_NEW = (
    " from {stage} s where s.status = 'active' and " + VALID_STAGED + " and not exists (select from {merged} m"
    " where m.tenant = {tenant} and m.sourced_id = s.sourced_id)"
)
_LOG_NEW = _LOG + "'create', s.sourced_id, null" + _NEW
_INSERT = (
    "insert into {merged} (tenant, sourced_id, {columns}, raw_hash, row_hash, first_seen, last_changed)"
    " select {tenant}, s.sourced_id, {staged_columns}, s.raw_hash, s.row_hash, now(), now()" + _NEW
)
_LOG_GONE = _LOG + "g.cause, g.sourced_id, to_jsonb(g.m) from ({gone}) g"
# What goes, and why, was just written down; the conditions are not asked again.
_DEACTIVATE: LiteralString = (
    "update {merged} m set status = 'inactive', inactive_cause = l.action, inactive_since = now(), last_changed = now()"
    " from roster.change_log l where l.tenant = {tenant} and l.data_version = {version} and l.entity = {entity}"
    " and l.action in ('tobedeleted', 'vanished', 'outOfScope', 'concluded', 'schoolClosed')"
    " and m.tenant = {tenant} and m.sourced_id = l.sourced_id and m.status = 'active'"
)
# What goes back to being inactive is as it was then, cause and time too.
_TAKE_BACK = (
    "update {merged} m set ({columns}, raw_hash, row_hash, status, inactive_cause, inactive_since, last_changed) ="
    " row({staged_columns}, null, s.row_hash, 'inactive', coalesce(u.inactive_cause, 'undone'),"
    " coalesce(u.inactive_since, now()), now()) from {stage} s join {undo} u on u.entity = {entity}"
    " and u.sourced_id = s.sourced_id where m.sourced_id = s.sourced_id and " + removals.GOING[removals.UNDONE]
)


def merge(
    conn: psycopg.Connection,
    run_id: Any,
    digest: str,
    approval: dict[str, Any],
    known: ledger.Ledger | None = None,
) -> Merged | PlanChanged:
    """Merge a staged run if the plan, computed again now, has the approved digest.

    `approval` is kept in the ledger. known: what the database was last known to hold; where it is behind that, only a
    plan that said so is merged. Running it again answers with what was recorded. Raises StoreError: NotStaged,
    Discarded, DatabaseRewound, DatabaseUnavailable…; then nothing was merged.
    """
    with conn.transaction():
        tenant = runs.session_tenant(conn)
        conn.execute("select set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
        conn.execute("select roster.lock_tenant(%s)", (tenant,))
        run = runs.find(conn, run_id)
        if run is not None and run.state == "Discarded":
            raise DiscardedError
        if run is None or run.state not in {"Staged", "Merged"}:
            raise NotStagedError
        if run.state == "Merged":
            return Merged(plans.Plan.from_run(run), run.data_version or 0, before=True)
        before = plans.Plan.from_run(run)
        behind = ledger.rewound(conn, known)
        if behind is not None and before.rewound is None:
            raise ledger.RewoundError(behind)
        run = successions.propose(conn, run_id)
        plan = replace(
            plans.compute(conn, run),
            checks=before.checks,
            profile=before.profile,
            trend=before.trend,
            held=before.held,
            rewound=before.rewound,
            taken=before.taken,
        )
        if plan.digest != digest:
            if plan.digest != run.digest:
                plan = findings.added(conn, run, plan, days=Profile.from_dict(before.profile).window.days)
                conn.execute(
                    "select roster.record_new_plan(%s, %s, %s, %s, %s)",
                    (run.run, plan.digest, runs.jsonb(plan.to_dict()), runs.jsonb(plan.issues), plan.base_version),
                )
            return PlanChanged(plan)
        version = plan.base_version + 1
        gone = plan.gone or removals.of(conn, run)
        for table in TABLES:
            _apply(conn, gone, table, version, plan.entities[table.entity])
        successions.apply(conn, run, version)
        if run.mode != conflicts.UNDO:  # which does not say what the source does
            pins.settle(conn, run)
        else:
            conn.execute("select roster.undo_access(%s)", (run.run,))
        row = conn.execute(
            "select roster.record_merge(%s, %s, %s)", (run.run, plan.digest, runs.jsonb(approval))
        ).fetchone()
        if row is None or row[0] != version:
            raise StoreError(
                "VersionSkipped", "The tenant's data version moved during the merge.", "Run it again.", retryable=True
            )
    stale = [table.name for table in TABLES if _stale(plan.entities[table.entity])]
    if stale:
        conn.execute("select roster.analyze_merged(%s)", (stale,))
    return Merged(plan, version)


def _stale(entity: plans.EntityPlan) -> bool:
    return (
        entity.create + entity.arrived + entity.update + entity.followed
        >= _ANALYZE_ROWS + _ANALYZE_SHARE * entity.active
    )


def _apply(conn: psycopg.Connection, gone: Removals, table: Table, version: int, expected: plans.EntityPlan) -> None:
    """One entity's statements. What they change must be what the plan counted."""
    given = {
        **names(gone.run, table, gone.tenant),
        "version": sql.Literal(version),
        "run": sql.Literal(gone.run.run),
        "columns": sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
        "staged_columns": sql.SQL(", ").join(sql.Identifier("s", name) for name in table.column_names),
    }

    def do(statement: LiteralString, **more: sql.Composable) -> int:
        return conn.execute(sql.SQL(statement).format(**given, **more)).rowcount

    done: dict[str, tuple[int, int]] = {}
    # Removals first: a later statement must not see a row that this merge has just changed.
    if expected.deactivate:
        do(_LOG_GONE, gone=gone.gone(table))
        done["removals"] = (do(_DEACTIVATE), expected.deactivate - expected.undone)
    if expected.undone:
        done[removals.UNDONE] = (do(_TAKE_BACK), expected.undone)
    # What was deactivated a moment ago is inactive now, but is never staged as active: the updates pass it by.
    changed = expected.update + expected.reactivate + expected.followed + expected.returned
    if changed:
        do(_LOG_CHANGED)
        done["update"] = (do(_UPDATE), changed)
    if gone.run.mode != conflicts.UNDO:  # which has seen no source
        do(_TOUCH)
    new = expected.create + expected.arrived
    if new:
        do(_LOG_NEW)
        done["create"] = (do(_INSERT), new)
    wrong = [f"{table.entity} {what}" for what, (changed, planned) in done.items() if changed != planned]
    if wrong:
        raise StoreError(
            "PlanMismatch",
            f"The merge would not have done what its plan says: {', '.join(wrong)}.",
            "Report this: nothing was merged.",
        )
