"""Who comes in a pull of changes, and may be there already under another sourcedId.

A pull of changes does not show what vanished. So where somebody new has the number of somebody who is merged, nobody
can tell whether the SIS has given one person another sourcedId, or has two people with one number. Merged, they would
be two: one without what hangs on the person, and one who never goes. Only a whole pull, which shows what is left of the
old ids, tells.
"""

from __future__ import annotations

from typing import LiteralString

import psycopg
from psycopg import sql

from . import runs, successions
from .database import scalar
from .seen import SeenIndex
from .stage import Stage

# In the order of their strength, as in successions.
STRONG = ("identifier", "userMasterIdentifier")
_KEYS: dict[str, LiteralString] = {
    "identifier": "{r}.identifier",
    "userMasterIdentifier": "{r}.user_master_identifier",
    "username": 'lower({r}.username collate "C")',
    "email": 'lower({r}.email collate "C")',
}
# One on each side who has the key, and no stronger key says that they are two. Who was shown under the old id, too, is
# not asked about: as one who stays they are somebody else, as one who goes the succession is seen. One record may be
# there twice.
_FOUND: LiteralString = (
    "with new as materialized (select s.sourced_id, s.role = 'student' as student, {key_of_s} as key, s.identifier,"
    " s.user_master_identifier, min(s.sourced_id) over w = max(s.sourced_id) over w as alone from {stage} s"
    " left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " where s.status = 'active' and (m.sourced_id is null or m.status = 'inactive') and {key_of_s} <> ''"
    " window w as (partition by s.role = 'student', {key_of_s}))"
    " select w.sourced_id, max(m.raw_hash) from new w join {merged} m on m.tenant = {tenant} and m.status = 'active'"
    " and m.source = 'SIS' and (m.role = 'student') = w.student and {key_of_m} = w.key where w.alone"
    " group by w.sourced_id having count(distinct m.sourced_id) = 1"
    " and bool_and(coalesce(m.identifier = w.identifier, true) or {strongest})"
    " and bool_and(coalesce(m.user_master_identifier = w.user_master_identifier, true) or {strong})"
    " and not bool_or(exists (select from {stage} t where t.sourced_id = m.sourced_id))"
)


def known_otherwise(conn: psycopg.Connection, stage: Stage, index: SeenIndex) -> dict[str, str]:
    """People of an open stage that holds changes alone: the new sourcedId → what they have in common with one merged
    person, as the standard names the field. index: what was recognised, and so not staged.

    User names and e-mail addresses count where so many come with known ones that it is no chance.
    """
    tenant = runs.session_tenant(conn)
    found: dict[str, str] = {}
    for basis, key in reversed(_KEYS.items()):
        query = sql.SQL(_FOUND).format(
            stage=stage.name(successions.USERS.name),
            merged=sql.Identifier("roster", successions.USERS.name),
            tenant=sql.Literal(tenant),
            key_of_s=sql.SQL(key).format(r=sql.Identifier("s")),
            key_of_m=sql.SQL(key).format(r=sql.Identifier("m")),
            strongest=sql.Literal(basis == "identifier"),
            strong=sql.Literal(basis in STRONG),
        )
        for sourced_id, raw_hash in conn.execute(query).fetchall():
            if raw_hash is None or not index.saw(raw_hash):
                found[str(sourced_id)] = basis
    weak = [sourced_id for sourced_id, basis in found.items() if basis not in STRONG]
    if weak:
        query = "select count(*) from roster.users where tenant = %s and status = 'active' and source = 'SIS'"
        active = int(str(scalar(conn, query, tenant)))
        if len(found) < successions.MANY or len(found) < successions.SHARE * active:
            return {sourced_id: basis for sourced_id, basis in found.items() if basis in STRONG}
    return found
