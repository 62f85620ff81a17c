"""What people set against the source, and say of two who may be one: for the pages and the API alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import psycopg

from roster_operator.store import matches, people, pins
from roster_operator.store.readings import Kind

from . import problems
from .resources import Connection
from .sessions import Session
from .site import Site

MOST = 500  # of a list
DECISIONS = ("accept", "reject", "undo")


@dataclass(frozen=True)
class Pair:
    """Two who may be one person, or of whom that was said. decision: None where nobody has decided."""

    manual: people.Found
    sis: people.Found
    basis: str
    decision: matches.Decision | None = None


@dataclass(frozen=True)
class Matches:
    """What is to be decided, and what was."""

    open: list[Pair]
    decided: list[Pair]


async def read_matches(site: Site, person: Session, connection: Connection) -> Matches:
    """Who may be one person, with names. Recorded as a reading. Raises problems.Problem."""

    def work(conn: psycopg.Connection, tenant: str) -> Matches:
        waiting, decided = matches.listing(conn, tenant)[:MOST], matches.decisions(conn, tenant)[:MOST]
        ids = {each.manual for each in (*waiting, *decided)} | {each.sis for each in (*waiting, *decided)}
        known = people.named(conn, tenant, sorted(ids))

        def named(sourced_id: str) -> people.Found:
            gone = people.Found(sourced_id, sourced_id, None, None, None, "gone", "", granted=False)
            return known.get(sourced_id, gone)

        return Matches(
            [Pair(named(each.manual), named(each.sis), each.basis) for each in waiting],
            [
                Pair(named(each.manual), named(each.sis), "person" if each.by else "identifier", each)
                for each in decided
            ],
        )

    return await site.records.use(person, connection, Kind.MATCHES, work)


async def decide_match(
    site: Site, person: Session, connection: Connection, decision: str, manual: str, sis: str, reason: str | None
) -> None:
    """decision: one of DECISIONS. Raises problems.Problem."""
    act = {"accept": matches.accept, "reject": matches.reject, "undo": matches.undo}[decision]
    await site.records.use(
        person,
        connection,
        Kind.MATCH,
        lambda conn, tenant: act(conn, tenant, manual, sis, by=person.person, reason=reason),
        subject=sis,
        write=True,
    )


async def read_pins(
    site: Site, person: Session, connection: Connection, entity: str | None = None, sourced_id: str | None = None
) -> list[pins.Pin]:
    """The pins of a district, of an entity or of one record. Recorded as a reading. Raises problems.Problem."""
    return await site.records.use(
        person,
        connection,
        Kind.PINS,
        lambda conn, tenant: pins.listing(conn, tenant, entity, sourced_id),
        subject=sourced_id,
    )


async def set_pin(
    site: Site,
    person: Session,
    connection: Connection,
    entity: str,
    sourced_id: str,
    field: str,
    value: str | None,
    *,
    until: date | None,
    reason: str | None,
) -> None:
    """value: as a person types it; None empties the field. until: the first day on which it holds no more, in UTC.

    Raises problems.Problem.
    """
    ends = datetime(until.year, until.month, until.day, tzinfo=UTC) if until else None
    if ends and ends <= datetime.now(UTC):
        raise problems.not_valid("A value is pinned until a day that is still to come.")

    def work(conn: psycopg.Connection, tenant: str) -> None:
        given = None if value is None else pins.parsed(entity, field, value)
        pins.put(conn, tenant, entity, sourced_id, field, given, by=person.person, reason=reason, until=ends)

    await site.records.use(person, connection, Kind.PIN, work, subject=sourced_id, write=True)


async def release_pin(
    site: Site, person: Session, connection: Connection, entity: str, sourced_id: str, field: str, reason: str | None
) -> None:
    """Let the source have its way again, with the next sync. Raises problems.Problem."""
    await site.records.use(
        person,
        connection,
        Kind.PIN,
        lambda conn, tenant: pins.release(
            conn, tenant, entity, sourced_id, field, by=person.person, reason=reason
        ),
        subject=sourced_id,
        write=True,
    )  # fmt: skip
