"""Ids that succeed others: recognised before a plan is computed, proposed, and done by the merge.

Two kinds. A link: somebody who was added by hand has come with the SIS. A new key: the SIS gives a person another
sourcedId, and no longer shows the old one or marks it as deleted. Both go by what is equal on both sides
and unique on each:

- an identifier, or a userMasterIdentifier, is enough for either kind;
- a user name or an e-mail address is enough for a new key only, and only where so many people are re-keyed that chance
  is no explanation (SHARE, MANY): both are given again to other people when somebody leaves.

A student and somebody on the staff never succeed each other: their numbers may come from two series. Demographics and
enrollments follow their person. Text is compared bytewise; for user names and e-mail addresses the case of ASCII
letters does not count, and nothing else is folded (the Kelvin sign is no k).
"""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from . import conflicts, removals, runs
from .database import scalar
from .tables import BY_ENTITY, Table

USERS, ENROLLMENTS, DEMOGRAPHICS = (BY_ENTITY[each] for each in ("users", "enrollments", "demographics"))
# User names and e-mail addresses count only where so many people, and such a share of all, would vanish, and half of
# them are found again.
MANY, SHARE, FOUND = 20, 0.2, 0.5
_WEAK = ("username", "email")
_VANISHED: LiteralString = removals.GOING[removals.VANISHED]
# Whose id another one may succeed: whom the source no longer shows, and whom it marks. A pull of changes shows the
# second alone.
_GONE: LiteralString = "select m.* from {merged} m where "
_MARKED: LiteralString = _GONE + removals.GOING[removals.MARKED]
_NOT_SHOWN: LiteralString = _GONE + _VANISHED + " union all " + _MARKED

# (basis, its strength, key). A key that is empty proves nothing.
_KEYS: LiteralString = (
    "(values ('identifier', 1, {r}.identifier), ('userMasterIdentifier', 2, {r}.user_master_identifier),"
    " ('username', 3, lower({r}.username collate \"C\")), ('email', 4, lower({r}.email collate \"C\")))"
)
_COLUMNS: LiteralString = (
    "{r}.sourced_id, {r}.role = 'student' as student, {r}.identifier, {r}.user_master_identifier, {r}.username,"
    " {r}.email"
)
# Pairs by the strongest key that two people have in common, if neither has a stronger one in common with somebody else
# and no stronger key of theirs says that they are two.
_PAIRS: LiteralString = (
    "old_keys as (select o.sourced_id, o.student, k.basis, k.strength, k.key,"
    " count(*) over (partition by o.student, k.basis, k.key) as n from old o cross join lateral {keys}"
    " k(basis, strength, key) where k.key <> '' and k.basis = any ({bases})),"
    "new_keys as (select o.sourced_id, o.student, k.basis, k.strength, k.key,"
    " count(*) over (partition by o.student, k.basis, k.key) as n from new o cross join lateral {keys}"
    " k(basis, strength, key) where k.key <> '' and k.basis = any ({bases})),"
    "pairs as (select distinct on (o.sourced_id, n.sourced_id) o.sourced_id as old, n.sourced_id as new, o.basis,"
    " o.strength from old_keys o join new_keys n using (student, basis, key) where o.n = 1 and n.n = 1"
    " order by o.sourced_id, n.sourced_id, o.strength),"
    "told as (select p.*, min(p.strength) over (partition by p.old) as of_old,"
    " min(p.strength) over (partition by p.new) as of_new from pairs p),"
    "found as (select t.old, t.new, t.basis from told t join old o on o.sourced_id = t.old"
    " join new n on n.sourced_id = t.new where t.strength = t.of_old and t.strength = t.of_new"
    " and (t.strength = 1 or coalesce(o.identifier = n.identifier, true))"
    " and (t.strength <= 2 or coalesce(o.user_master_identifier = n.user_master_identifier, true)))"
)
_PROPOSE: LiteralString = (
    "insert into roster.proposed_succession"
    " (tenant, run, entity, old_sourced_id, new_sourced_id, kind, basis, arrival) "
)
_VALID_NEW: LiteralString = (
    " from {plain} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " where s.status = 'active' and " + removals.VALID_STAGED
)
_ARRIVES: LiteralString = " and (m.sourced_id is null or m.status = 'inactive')"

_NEW_KEYS: LiteralString = (
    "with old as materialized (select {old_columns} from {gone} m),"
    "new as materialized (select {new_columns}, case when m.sourced_id is null then 'create' else 'reactivate' end"
    " as arrival"
    + _VALID_NEW
    + _ARRIVES
    + " and exists (select from old)),"
    + _PAIRS
    + ", made as ("
    + _PROPOSE
    + "select {tenant}, {run}, 'users', f.old, f.new, 'newKey', f.basis, n.arrival from found f"
    " join new n on n.sourced_id = f.new on conflict do nothing returning basis)"
    " select (select count(*) from old), (select count(*) from made),"
    " (select count(*) from made where basis = any ({weak}))"
)
# Somebody who has an identifier that somebody who was added by hand has, too.
_WANTED: LiteralString = (
    " and ({r}.identifier in (select o.identifier from old o)"
    " or {r}.user_master_identifier in (select o.user_master_identifier from old o))"
)
# Who of the SIS will be there after the merge: staged, or merged and going to stay.
_LINKS: LiteralString = (
    "with old as materialized (select {old_columns} from {merged} m where m.tenant = {tenant} and m.source = 'Manual'"
    " and m.status = 'active' and coalesce(m.identifier, m.user_master_identifier) is not null),"
    "new as materialized (select {new_columns}, case when m.sourced_id is null then 'create' when m.status = 'inactive'"
    " then 'reactivate' end as arrival"
    + _VALID_NEW
    + " and coalesce(m.source, 'SIS') = 'SIS'"
    + _WANTED.replace("{r}", "s")
    + " union all select {there_columns}, null from {merged} r where r.tenant = {tenant} and r.status = 'active'"
    " and r.source = 'SIS'"
    + _WANTED.replace("{r}", "r")
    + " and not exists (select from {plain} s where s.sourced_id = r.sourced_id and "
    + removals.VALID_STAGED
    + ") and not exists (select from {merged} m where m.tenant = {tenant}"
    " and m.sourced_id = r.sourced_id and (("
    + _VANISHED
    + ") or ("
    + removals.GOING[removals.OUT_OF_SCOPE]
    + ")))),"
    + _PAIRS
    + " "
    + _PROPOSE
    + "select {tenant}, {run}, 'users', f.old, f.new, 'link', f.basis, n.arrival from found f"
    " join new n on n.sourced_id = f.new where not exists (select from roster.match_decision d"
    " where d.tenant = {tenant} and d.manual_sourced_id = f.old and d.sourced_id = f.new"
    " and d.decision = 'rejected') on conflict do nothing"
)
_DEMOGRAPHICS: LiteralString = (
    _PROPOSE + "select {tenant}, {run}, 'demographics', m.sourced_id, s.sourced_id, x.kind, x.basis,"
    " case when k.sourced_id is null then 'create' when k.status = 'inactive' then 'reactivate' end"
    " from {gone} m join roster.proposed_succession x on x.tenant = {tenant} and x.run = {run} and x.entity = 'users'"
    " and x.kind = 'newKey' and x.old_sourced_id = m.sourced_id join {plain} s on s.sourced_id = x.new_sourced_id"
    " and s.status = 'active' left join {merged} k on k.tenant = {tenant} and k.sourced_id = s.sourced_id"
    " where " + removals.VALID_STAGED + " on conflict do nothing"
)
# The same person in the same class, in the same role and from the same day on.
_ENROLLMENTS: LiteralString = (
    "with old as (select m.sourced_id, x.new_sourced_id as person, m.class_sourced_id as class, m.role, m.begin_date,"
    " count(*) over (partition by x.new_sourced_id, m.class_sourced_id, m.role, m.begin_date) as n from {gone} m"
    " join roster.proposed_succession x on x.tenant = {tenant} and x.run = {run} and x.entity = 'users'"
    " and x.kind = 'newKey' and x.old_sourced_id = m.user_sourced_id),"
    "new as (select s.sourced_id, s.user_sourced_id as person, s.class_sourced_id as class, s.role, s.begin_date,"
    " case when m.sourced_id is null then 'create' else 'reactivate' end as arrival,"
    " count(*) over (partition by s.user_sourced_id, s.class_sourced_id, s.role, s.begin_date) as n"
    + _VALID_NEW
    + _ARRIVES
    + ") "
    + _PROPOSE
    + "select {tenant}, {run}, 'enrollments', o.sourced_id, n.sourced_id, 'newKey', 'person and class', n.arrival"
    " from old o join new n on (n.person, n.class, n.role) = (o.person, o.class, o.role)"
    " and n.begin_date is not distinct from o.begin_date where o.n = 1 and n.n = 1 on conflict do nothing"
)
# An undo turns new keys round, where it has both rows as the undone merge had left them, and parts who was linked.
_STAGED_AS: LiteralString = (
    "exists (select from {plain} s where s.sourced_id = {id} and s.status = {status} and " + removals.VALID_STAGED + ")"
)
_NEW_IS_UNDONE: LiteralString = _STAGED_AS.replace("{id}", "x.new_sourced_id").replace("{status}", "'undone'")
_TURNED_ROUND: LiteralString = (
    _PROPOSE + "select {tenant}, {run}, x.entity, x.new_sourced_id, x.old_sourced_id, 'newKey', 'undo',"
    " case when m.sourced_id is null then 'create' else 'reactivate' end from roster.succession x"
    " left join {merged} m on m.tenant = {tenant} and m.sourced_id = x.old_sourced_id where x.tenant = {tenant}"
    " and x.run = {undoes} and x.entity = {entity} and x.kind = 'newKey' and m.status is distinct from 'active' and "
    + _NEW_IS_UNDONE
    + " and "
    + _STAGED_AS.replace("{id}", "x.old_sourced_id").replace("{status}", "'active'")
)
_PARTED: LiteralString = (
    _PROPOSE + "select {tenant}, {run}, 'users', x.new_sourced_id, x.old_sourced_id, 'unlink', 'undo', null"
    " from roster.succession x join {merged} m on m.tenant = {tenant} and m.sourced_id = x.old_sourced_id"
    " and m.status = 'inactive' where x.tenant = {tenant} and x.run = {undoes} and x.entity = 'users'"
    " and x.kind = 'link' and x.undone_at is null and (x.arrival is null or " + _NEW_IS_UNDONE + ")"
)


def propose(conn: psycopg.Connection, run_id: UUID) -> runs.Run:
    """Write down anew which ids succeed others in a sealed run, and give the run.

    To be called inside the plan's transaction, before `plan.compute`. Raises NotStagedError.
    """
    conn.execute("delete from roster.proposed_succession where run = %s", (run_id,))
    run = runs.get(conn, run_id)
    if run.mode == conflicts.UNDO:
        changed = [
            *(_do(conn, run, table, _TURNED_ROUND).rowcount for table in (USERS, DEMOGRAPHICS, ENROLLMENTS)),
            _do(conn, run, USERS, _PARTED).rowcount,
        ]
        return runs.get(conn, run_id) if any(changed) else run
    pull = run.pull or {}
    facts: dict[str, Any] = pull.get("users", {})
    if not facts.get("pulled"):
        return run
    linked = bool(_has_people(conn, run, "Manual")) and _links(conn, run)
    moved = (
        bool(facts.get("staged"))
        and "users" in run.removable
        and bool(_has_people(conn, run, "SIS"))
        and _new_keys(conn, run)
    )
    if moved:
        followers: tuple[tuple[Table, LiteralString], ...] = (
            (DEMOGRAPHICS, _DEMOGRAPHICS),
            (ENROLLMENTS, _ENROLLMENTS),
        )
        for table, statement in followers:
            if table.entity in run.removable:
                _do(conn, run, table, statement)
    return runs.get(conn, run_id) if linked or moved else run


def apply(conn: psycopg.Connection, run: runs.Run, version: int) -> None:
    """The last of a merge's changes: the old ids' rows end, and what hangs on them moves to the new ids."""
    if run.succeeded:
        conn.execute("select roster.apply_successions(%s, %s)", (run.run, version))
    if scalar(conn, "select exists (select from roster.succession where tenant = %s)", run.tenant):
        conn.execute("select roster.tell_apart(%s, %s)", (run.run, version))


def _has_people(conn: psycopg.Connection, run: runs.Run, source: str) -> object:
    query = "select exists (select from roster.users where tenant = %s and status = 'active' and source = %s)"
    return scalar(conn, query, run.tenant, source)


def _links(conn: psycopg.Connection, run: runs.Run) -> bool:
    return _do(conn, run, USERS, _LINKS, bases=["identifier", "userMasterIdentifier"]).rowcount > 0


def _new_keys(conn: psycopg.Connection, run: runs.Run) -> bool:
    bases = ["identifier", "userMasterIdentifier", *_WEAK]
    row = _do(conn, run, USERS, _NEW_KEYS, bases=bases).fetchone() or (0, 0, 0)
    gone, found, weak = (int(each) for each in row)
    if not weak:
        return found > 0
    active = int(
        str(
            scalar(
                conn, "select count(*) from roster.users where tenant = %s and status = 'active' and source = 'SIS'",
                run.tenant,
            )
        )
    )  # fmt: skip
    if gone >= MANY and gone >= SHARE * active and found >= FOUND * gone:
        return True
    conn.execute(
        "delete from roster.proposed_succession where run = %s and entity = 'users' and basis = any (%s)",
        (run.run, list(_WEAK)),
    )
    return found > weak


def _do(
    conn: psycopg.Connection, run: runs.Run, table: Table, statement: LiteralString, *, bases: list[str] | None = None
) -> psycopg.Cursor:
    places: tuple[tuple[str, LiteralString, str], ...] = (
        ("old_columns", _COLUMNS, "m"),
        ("there_columns", _COLUMNS, "r"),
        ("new_columns", _COLUMNS, "s"),
        ("keys", _KEYS, "o"),
    )
    sides = {side: sql.SQL(text).format(r=sql.Identifier(r)) for side, text, r in places}
    given = removals.names(run, table, run.tenant)
    delta = (run.pull or {}).get(table.entity, {}).get("delta")
    return conn.execute(
        sql.SQL(statement).format(
            **given,
            gone=sql.SQL("({})").format(sql.SQL(_MARKED if delta else _NOT_SHOWN).format(**given)),
            **sides,
            run=sql.Literal(run.run),
            undoes=sql.Literal(run.undoes),
            bases=sql.Literal(bases or []),
            weak=sql.Literal(list(_WEAK)),
        )
    )
