"""Somebody who was added by hand, and somebody of the SIS: who may be the same person, and what people said of it.

An exact identifier links by itself, with the next sync (successions). E-mail addresses and names prove nothing: a
person decides, and may take it back. Text is compared bytewise but for the case of ASCII letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from .by_hand import begin
from .database import Database, connect, scalar
from .errors import StoreError


@dataclass(frozen=True)
class Match:
    """Two who may be one. basis: identifier (the next sync links them), email or name."""

    manual: str
    sis: str
    basis: str


@dataclass(frozen=True)
class Decision:
    """What was said of two. linked: they are one person now. by: a person, or None where a sync linked them."""

    manual: str
    sis: str
    linked: bool
    by: str | None
    reason: str | None
    at: datetime


_SAME_PLACE = "s.org_sourced_ids && m.org_sourced_ids"
_MAY_MATCH = (
    "select m.sourced_id, s.sourced_id, case when s.identifier = m.identifier then 'identifier'"
    " when lower(s.email collate \"C\") = lower(m.email collate \"C\") then 'email' else 'name' end"
    " from roster.users m join roster.users s on s.tenant = m.tenant and s.source = 'SIS' and s.status = 'active'"
    " and (s.role = 'student') = (m.role = 'student') and (s.identifier = m.identifier"
    ' or lower(s.email collate "C") = lower(m.email collate "C")'
    ' or lower(s.given_name collate "C") = lower(m.given_name collate "C")'
    f' and lower(s.family_name collate "C") = lower(m.family_name collate "C") and {_SAME_PLACE})'
    " where m.tenant = %s and m.source = 'Manual' and m.status = 'active' and not exists ("
    " select from roster.match_decision d where d.tenant = m.tenant and d.manual_sourced_id = m.sourced_id"
    " and d.sourced_id = s.sourced_id)"
    ' order by m.sourced_id collate "C", s.sourced_id collate "C"'
)


def listing(url: Database, tenant: str) -> list[Match]:
    """Who may be one person, as far as nobody has decided on them yet."""
    with connect(url) as conn:
        return [Match(*row) for row in conn.execute(_MAY_MATCH.encode(), (tenant,)).fetchall()]


def decisions(url: Database, tenant: str) -> list[Decision]:
    """What holds now: the links, whoever made them, and the refusals."""
    with connect(url) as conn:
        rows = conn.execute(
            "select x.old_sourced_id, x.new_sourced_id, true, d.decided_by, d.reason, x.since from roster.succession x"
            " left join roster.match_decision d on d.tenant = x.tenant and d.manual_sourced_id = x.old_sourced_id"
            " and d.sourced_id = x.new_sourced_id where x.tenant = %(tenant)s"
            " and x.kind = 'link' and x.entity = 'users' and x.undone_at is null union all select manual_sourced_id,"
            " sourced_id, false, decided_by, reason, decided_at from roster.match_decision"
            " where tenant = %(tenant)s and decision = 'rejected' order by 1, 2",
            {"tenant": tenant},
        ).fetchall()
    return [Decision(*row) for row in rows]


def accept(url: Database, tenant: str, manual: str, sis: str, *, by: str, reason: str | None = None) -> None:
    """They are one person: link them now.

    Raises StoreError(TenantUnknown, PersonUnknown).
    """
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        _both(conn, tenant, manual, sis)
        _decide(conn, tenant, manual, sis, "accepted", by, reason)
        conn.execute("select roster.link_by_hand(%s, %s, %s, %s, %s)", (tenant, manual, sis, run, version))


def reject(url: Database, tenant: str, manual: str, sis: str, *, by: str, reason: str | None = None) -> None:
    """They are two: no sync links them, and nobody is asked again. Raises StoreError(PersonUnknown, TenantUnknown)."""
    with connect(url) as conn, conn.transaction():
        begin(conn, tenant, by, reason)
        _both(conn, tenant, manual, sis)
        _decide(conn, tenant, manual, sis, "rejected", by, reason)


def undo(url: Database, tenant: str, manual: str, sis: str, *, by: str, reason: str | None = None) -> bool:
    """Take back what was decided, or what a sync linked. True: they were one, and are two again; that stands as a
    refusal, or the next sync would link them. False: a refusal was taken back.

    Raises StoreError(MatchUnknown, PersonUnknown, TenantUnknown).
    """
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        query = "select roster.unlink_by_hand(%s, %s, %s, %s, %s, %s)"
        if scalar(conn, query, tenant, manual, sis, run, version, by):
            _decide(conn, tenant, manual, sis, "rejected", by, reason)
            return True
        gone = conn.execute(
            "delete from roster.match_decision where tenant = %s and manual_sourced_id = %s and sourced_id = %s"
            " and decision = 'rejected'",
            (tenant, manual, sis),
        )
        if not gone.rowcount:
            linked = (
                "select exists (select from roster.succession where tenant = %s and entity = 'users' and kind = 'link'"
                " and old_sourced_id = %s and new_sourced_id = %s and undone_at is null)"
            )
            if scalar(conn, linked, tenant, manual, sis):
                raise StoreError(
                    "PersonUnknown",
                    "The record that was added by hand is gone: its retention is over. The two stay one.",
                    "Add the person by hand again, and reject the match.",
                )
            raise StoreError("MatchUnknown", "Nothing was decided about these two.", "`roster match list --decided`")
        return False


def _both(conn: psycopg.Connection, tenant: str, manual: str, sis: str) -> None:
    row = conn.execute(
        "select count(*) from roster.users where tenant = %s and status = 'active' and (sourced_id = %s"
        " and source = 'Manual' or sourced_id = %s and source = 'SIS')",
        (tenant, manual, sis),
    ).fetchone()
    if row is None or row[0] != 2:
        raise StoreError(
            "PersonUnknown",
            "One of the two is no active person: the first has to be added by hand, the second to be of the SIS.",
            "`roster match list` shows both ids.",
        )


def _decide(
    conn: psycopg.Connection, tenant: str, manual: str, sis: str, decision: str, by: str, reason: str | None
) -> None:
    conn.execute(
        "insert into roster.match_decision (tenant, manual_sourced_id, sourced_id, decision, decided_by, reason)"
        " values (%s, %s, %s, %s, %s, %s) on conflict (tenant, manual_sourced_id, sourced_id) do update set"
        " decision = excluded.decision, decided_by = excluded.decided_by, reason = excluded.reason, decided_at = now()",
        (tenant, manual, sis, decision, by, reason),
    )
