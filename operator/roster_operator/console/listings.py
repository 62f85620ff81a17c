"""Reading a namespace's connections and syncs, part by part, with what could not be read noted beside."""

from __future__ import annotations

from dataclasses import dataclass, field

from .cluster import PAGE
from .problems import Problem
from .resources import Connection, Sync
from .sessions import Session
from .site import Site

MOST_PARTS = 4  # parts of a list that one page reads; what is beyond is said to be there


@dataclass
class Listing:
    """What one page read of one namespace."""

    namespace: str
    connections: list[Connection] = field(default_factory=list[Connection])
    syncs: list[Sync] = field(default_factory=list[Sync])
    unreadable: list[str] = field(default_factory=list[str])
    cut: bool = False
    problems: list[Problem] = field(default_factory=list[Problem])


async def read(site: Site, person: Session, namespace: str) -> Listing:
    """Connections and syncs. Raises Problem only for a token that is worth nothing any more."""
    listing = Listing(namespace)
    try:
        following: str | None = None
        for _ in range(MOST_PARTS):
            part = await site.cluster.connections(person.token, namespace, PAGE, following)
            listing.connections += part.items
            listing.unreadable += part.unreadable
            following = part.following
            if not following:
                break
        listing.cut |= bool(following)
    except Problem as problem:
        _note(listing, problem)
    return await read_syncs(site, person, listing)


async def read_syncs(site: Site, person: Session, listing: Listing) -> Listing:
    """The syncs of the listing's namespace, into it."""
    try:
        following: str | None = None
        for _ in range(MOST_PARTS):
            part = await site.cluster.syncs(person.token, listing.namespace, PAGE, following)
            listing.syncs += part.items
            listing.unreadable += part.unreadable
            following = part.following
            if not following:
                break
        listing.cut |= bool(following)
    except Problem as problem:
        _note(listing, problem)
    return listing


def _note(listing: Listing, problem: Problem) -> None:
    if problem.status == 401:  # nothing more can be read with this token
        raise problem
    listing.problems.append(problem)
