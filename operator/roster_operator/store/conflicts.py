"""What an undo cannot simply take back: records that were changed since the undone sync, and records that are gone.

They are found on the merged rows as they are when a plan is computed, not when it was staged: a merge that comes
between must not be overwritten by an undo that nobody saw it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from psycopg import sql

UNDO = "Undo"  # the mode of such a run
GONE = "UndoRecordGone"
CONFLICT = "UndoConflict"

_FOUND: LiteralString = (
    "(select i.entity, i.sourced_id, i.code, i.severity, i.field from {issue} i where i.entity = {entity}"
    " union all select u.entity, u.sourced_id, case when m.sourced_id is null then {gone} else {conflict} end,"
    " case when u.overwrite and m.source = 'SIS' then 'warning' else 'error' end, null::text"
    " from {undo} u join {stage} s on s.sourced_id = u.sourced_id"
    " left join {merged} m on m.tenant = {tenant} and m.sourced_id = u.sourced_id where u.entity = {entity}"
    # A record that was to go, and is gone, needs nothing.
    " and case when m.sourced_id is null then s.status = 'active' else not coalesce(m.source = 'SIS' and ("
    "m.row_hash = u.left_hash and m.status = u.left_status"
    # As it is to be already: neither does this.
    " or case s.status when 'active' then m.status = 'active' and m.row_hash = s.row_hash"
    " else m.status = 'inactive' end), false) end)"
)


def issues(names: Mapping[str, sql.Composable]) -> sql.Composable:
    """The issues of one entity of an undo, conflicts included, to stand in a statement in the place of the issue table.

    names: as plan.names gives them. One with severity error is left as it is.
    """
    return sql.SQL(_FOUND).format(**names, gone=sql.Literal(GONE), conflict=sql.Literal(CONFLICT))
