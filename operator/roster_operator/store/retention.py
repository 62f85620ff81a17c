"""What `roster reap` does, with the owner's login: retention, and what dead clusters left staged.

Each tenant is a transaction of its own under the merge's lock. A tenant that is being merged is passed by this time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from psycopg import sql

from . import endings, sessions
from .database import connect
from .tables import TABLES

_SESSIONS = timedelta(days=1)  # no console lets one live so long


@dataclass(frozen=True)
class Reaped:
    """What went of one tenant. rows: records by entity that had been deactivated long enough. history: entries of
    change_log. runs: runs that ended without a merge long ago. stages: runs that were staged and never decided on.
    busy: nothing was done, as a merge was under way."""

    tenant: str
    rows: dict[str, int] = field(default_factory=dict[str, int])
    history: int = 0
    runs: int = 0
    stages: int = 0
    busy: bool = False


# Former ids that lead nowhere any more: of both rows, and of the person.
_SUCCESSIONS = (
    "delete from roster.succession x where x.tenant = %s and not case x.entity"
    " when 'users' then exists (select from roster.users m where m.tenant = x.tenant"
    " and (m.sourced_id in (x.old_sourced_id, x.new_sourced_id, x.person) or m.person = x.person))"
    " when 'enrollments' then exists (select from roster.enrollments m where m.tenant = x.tenant"
    " and m.sourced_id in (x.old_sourced_id, x.new_sourced_id))"
    " else exists (select from roster.demographics m where m.tenant = x.tenant"
    " and m.sourced_id in (x.old_sourced_id, x.new_sourced_id)) end"
)


def reap(owner_url: str, *, staged_days: int = 30) -> list[Reaped]:
    """Retention for every tenant; then staged tables that belong to no run are dropped. Raises StoreError.

    staged_days: a run that waits longer is discarded. The operator lets them expire long before; this is for runs whose
    cluster is gone.
    """
    with connect(owner_url) as conn:
        tenants = conn.execute(
            'select tenant, remove_after_days, history_days from roster.tenant order by tenant collate "C"'
        ).fetchall()
        done = [
            reap_tenant(conn, str(t), remove_after=int(rows), keep_history=int(history), staged_days=staged_days)
            for t, rows, history in tenants
        ]
        _orphans(conn)
        sessions.forget_old(conn, _SESSIONS)
        return done


def reap_tenant(
    conn: psycopg.Connection, tenant: str, *, remove_after: int, keep_history: int, staged_days: int = 30
) -> Reaped:
    """Retention for one tenant, in a transaction of its own. All in days."""
    with conn.transaction():
        if not _locked(conn, tenant):
            return Reaped(tenant, busy=True)
        overdue = endings.staged(conn, tenant, days=staged_days)
        endings.end(conn, tenant, overdue, "overdue")
        rows: dict[str, int] = {}
        for table in TABLES:
            gone = conn.execute(
                sql.SQL(
                    "delete from {} where tenant = %s and status = 'inactive'"
                    " and (source = 'SIS' or inactive_cause = 'link')"
                    " and inactive_since < now() - make_interval(days => %s)"
                ).format(sql.Identifier("roster", table.name)),
                (tenant, remove_after),
            ).rowcount
            if gone:
                rows[table.entity] = gone
        conn.execute(
            "delete from roster.app_access a where a.tenant = %s and not exists (select from roster.users u"
            " where u.tenant = a.tenant and u.sourced_id = a.user_sourced_id)",
            (tenant,),
        )
        for table in TABLES:
            conn.execute(
                sql.SQL(
                    "delete from roster.pin p where p.tenant = %s and p.entity = %s and not exists (select from {} m"
                    " where m.tenant = p.tenant and m.sourced_id = p.sourced_id)"
                ).format(sql.Identifier("roster", table.name)),
                (tenant, table.entity),
            )
        conn.execute(_SUCCESSIONS, (tenant,))
        conn.execute(
            "delete from roster.match_decision d where d.tenant = %s and not exists (select from roster.users u"
            " where u.tenant = d.tenant and u.sourced_id = d.manual_sourced_id)",
            (tenant,),
        )
        conn.execute("delete from roster.reference_use where tenant = %s and used_until < current_date", (tenant,))
        conn.execute("select roster.expire_uploads(%s)", (tenant,))
        # What was changed by hand has its own ledger beside that of the runs.
        history = sum(
            conn.execute(
                f"delete from roster.change_log l using roster.{ledger} r where l.tenant = %s and r.tenant = l.tenant"
                f" and r.run = l.run and r.{ended} < now() - make_interval(days => %s)".encode(),
                (tenant, keep_history),
            ).rowcount
            for ledger, ended in (("sync_run", "merged_at"), ("manual_change", "changed_at"))
        )
        conn.execute(
            "delete from roster.manual_change where tenant = %s and changed_at < now() - make_interval(days => %s)",
            (tenant, keep_history),
        )
        conn.execute(
            "delete from roster.reading where tenant = %s and at < now() - make_interval(days => %s)",
            (tenant, keep_history),
        )
        conn.execute(
            "delete from roster.access_act where tenant = %s and at < now() - make_interval(days => %s)",
            (tenant, keep_history),
        )
        conn.execute(
            "delete from roster.issue where tenant = %s and fixed_at < now() - make_interval(days => %s)",
            (tenant, keep_history),
        )
        runs = conn.execute(
            "delete from roster.sync_run where tenant = %s and state in ('Failed', 'Discarded')"
            " and ended_at < now() - make_interval(days => %s)",
            (tenant, keep_history),
        ).rowcount
    return Reaped(tenant, rows, history, runs, len(overdue))


def _locked(conn: psycopg.Connection, tenant: str) -> bool:
    """Takes the tenant's lock, if nobody merges or discards at this moment."""
    try:
        # A savepoint: a lock that is not had would end the whole transaction.
        with conn.transaction():
            conn.execute("set local lock_timeout = '50ms'")
            conn.execute("select roster.lock_tenant(%s)", (tenant,))
            conn.execute("set local lock_timeout = default")
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def _orphans(conn: psycopg.Connection) -> None:
    """Tables of runs that ended, or that are not known any more: an attempt that was fenced may leave some."""
    orphans = conn.execute(
        "select c.relname::text from pg_class c where c.relnamespace = 'roster_stage'::regnamespace"
        " and c.relkind = 'r' and c.relname not like 'template\\_%' and not exists ("
        " select from roster.sync_run r where r.state in ('Staging', 'Sealed', 'Staged')"
        " and c.relname like roster.stage_prefix(r.tenant, r.run) || '\\_%')"
    ).fetchall()
    for (name,) in orphans:
        conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier("roster_stage", str(name))))
