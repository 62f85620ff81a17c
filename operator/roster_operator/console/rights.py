"""What the person may do here, as the API server says it at this moment. Every button follows it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from roster_operator.api.kinds import CONNECTION, SYNC, Kind

from .cluster import Cluster

# field → (verb, resource). Some are verbs of ours: docs/reference/permissions.md.
ASKED: dict[str, tuple[str, Kind]] = {
    "approve": ("approve", SYNC),
    "decide": ("patch", SYNC),
    "sync": ("create", SYNC),
    "edit": ("patch", CONNECTION),
    "upload": ("upload", CONNECTION),
    "viewrecords": ("viewrecords", CONNECTION),
    "grantaccess": ("grantaccess", CONNECTION),
}


@dataclass(frozen=True)
class Rights:
    """One person's rights on one district."""

    approve: bool = False
    decide: bool = False
    sync: bool = False
    edit: bool = False
    upload: bool = False
    viewrecords: bool = False
    grantaccess: bool = False


async def rights_of(cluster: Cluster, token: str, namespace: str, connection: str, sync: str = "") -> Rights:
    """All of them, asked for at once. Raises problems.Problem."""
    answers = await asyncio.gather(
        *(
            # A sync that is yet to be made has no name.
            cluster.may(
                token, verb, kind, namespace, connection if kind is CONNECTION else "" if verb == "create" else sync
            )
            for verb, kind in ASKED.values()
        )
    )
    return Rights(**dict(zip(ASKED, answers, strict=True)))
