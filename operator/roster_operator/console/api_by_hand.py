"""The JSON API of pins and matches."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from roster_operator.api.model import Model

from . import by_hand
from .api_people import PersonBody, Reason
from .endpoints import MORE, NO_NUL, PROBLEMS, Caller, Here, Name, Namespace, Text

router = APIRouter(prefix="/api/namespaces/{namespace}/connections/{name}", tags=["by hand"], responses=PROBLEMS | MORE)
_Id = Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)]
_Word = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_]+$")]


class PinBody(Model):
    """A value that a person set against the source. released: the next sync that shows the record takes its value."""

    entity: str
    sourced_id: str
    field: str
    value: Any = None
    until: datetime | None = None
    pinned_by: str
    pinned_at: datetime
    reason: str | None = None
    released: bool


class PinsBody(Model):
    """All pins, by entity, sourcedId and field."""

    items: list[PinBody]


class PinTarget(Model):
    """A field of a record. field: the column, as in the database."""

    entity: _Word
    sourced_id: _Id
    field: _Word
    reason: Reason = None


class PinWanted(PinTarget):
    """A value to pin: text and dates as they are, true or false, a list with commas; null empties the field.
    until: the first day on which it holds no more, in UTC."""

    value: Annotated[str | None, Field(max_length=1024, pattern=NO_NUL)]
    until: date | None = None


class ByHandDone(Model):
    """What was done, and by whom as the cluster knows them."""

    done: str
    by: str


class MatchBody(Model):
    """Two who may be one person: somebody who was added by hand, and somebody of the SIS."""

    manual: PersonBody
    sis: PersonBody
    basis: str


class MatchDecision(Model):
    """What was said of two. linked: they are one person now. by: missing where a sync linked them."""

    manual: PersonBody
    sis: PersonBody
    linked: bool
    by: str | None = None
    reason: str | None = None
    at: datetime


class MatchesBody(Model):
    """What is to be decided, and what was; 500 at most of each."""

    items: list[MatchBody]
    decisions: list[MatchDecision]


class Two(Model):
    """The sourcedIds of two people."""

    manual: _Id
    sis: _Id
    reason: Reason = None


@router.get("/pins", response_model_exclude_none=True)
async def list_pins(
    namespace: Namespace,
    name: Name,
    caller: Caller,
    site: Here,
    entity: Text = None,
    id: Text = None,  # noqa: A002
) -> PinsBody:
    """The pinned values. They are personal data."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    found = await by_hand.read_pins(site, caller, connection, entity or None, id or None)
    return PinsBody(items=[PinBody(**each.__dict__) for each in found])


@router.post("/pins")
async def set_pin(namespace: Namespace, name: Name, caller: Caller, site: Here, body: PinWanted) -> ByHandDone:
    """Give a record of the SIS another value at once, and keep it so, whatever syncs bring."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await by_hand.set_pin(
        site, caller, connection, body.entity, body.sourced_id, body.field, body.value,
        until=body.until, reason=body.reason,
    )  # fmt: skip
    return ByHandDone(done="pinned", by=caller.person)


@router.post("/pins/release")
async def release_pin(namespace: Namespace, name: Name, caller: Caller, site: Here, body: PinTarget) -> ByHandDone:
    """Let the SIS have its way again: the next sync that shows the record takes its value."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await by_hand.release_pin(site, caller, connection, body.entity, body.sourced_id, body.field, body.reason)
    return ByHandDone(done="released", by=caller.person)


@router.get("/matches", response_model_exclude_none=True)
async def list_matches(namespace: Namespace, name: Name, caller: Caller, site: Here) -> MatchesBody:
    """Who may be one person, and what was decided."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    found = await by_hand.read_matches(site, caller, connection)
    return MatchesBody(
        items=[
            MatchBody(manual=PersonBody.of(each.manual), sis=PersonBody.of(each.sis), basis=each.basis)
            for each in found.open
        ],
        decisions=[
            MatchDecision(
                manual=PersonBody.of(each.manual), sis=PersonBody.of(each.sis), linked=each.decision.linked,
                by=each.decision.by, reason=each.decision.reason, at=each.decision.at,
            )
            for each in found.decided if each.decision
        ],
    )  # fmt: skip


@router.post("/matches/{decision}")
async def decide_match(
    namespace: Namespace,
    name: Name,
    caller: Caller,
    site: Here,
    decision: Literal["accept", "reject", "undo"],
    body: Two,
) -> ByHandDone:
    """accept: they are one person. reject: they are two, and no sync links them. undo: take back what was decided, or
    what a sync linked."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await by_hand.decide_match(site, caller, connection, decision, body.manual, body.sis, body.reason)
    return ByHandDone(done=decision, by=caller.person)
