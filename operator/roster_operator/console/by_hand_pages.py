"""The page of what people said against the source: matches to decide, decisions, and pinned values."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from . import by_hand, problems
from .endpoints import Name, Namespace
from .rights import rights_of
from .visitor import Form, Here, Person, onward

router = APIRouter(prefix="/namespaces/{namespace}/connections/{name}/by-hand", include_in_schema=False)
_LONGEST = {"value": 1024, "reason": 512}


@router.get("")
async def overview(
    namespace: Namespace, name: Name, person: Person, site: Here, done: Annotated[str, Query(max_length=16)] = ""
) -> Response:
    """Who may be one person, what was decided, and which values are pinned."""
    connection = await site.cluster.connection(person.token, namespace, name)
    matches = await by_hand.read_matches(site, person, connection)
    pins = await by_hand.read_pins(site, person, connection)
    return site.page(
        "by_hand.html",
        person,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, namespace, name),
        matches=matches,
        pins=pins[: by_hand.MOST],
        done=done,
    )


@router.post("/matches/{decision}")
async def match(
    namespace: Namespace,
    name: Name,
    person: Person,
    site: Here,
    form: Form,
    decision: Literal["accept", "reject", "undo"],
) -> Response:
    """They are one person, they are two, or what was said is taken back."""
    manual, sis = _text(form, "manual"), _text(form, "sis")
    connection = await site.cluster.connection(person.token, namespace, name)
    await by_hand.decide_match(site, person, connection, decision, manual, sis, _text(form, "reason") or None)
    return onward(_path(namespace, name), decision)


@router.post("/pin")
async def pin(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Give a record another value, and keep it so."""
    entity, sourced_id, field = (_text(form, each) for each in ("entity", "id", "field"))
    try:
        until = date.fromisoformat(_text(form, "until")) if _text(form, "until") else None
    except ValueError:
        raise problems.not_valid("Write the day as 2027-06-30.") from None
    value = None if form.get("empty") == "yes" else _text(form, "value")
    if value == "":
        raise problems.not_valid("Give a value, or say that the field is to be empty.")
    connection = await site.cluster.connection(person.token, namespace, name)
    await by_hand.set_pin(
        site, person, connection, entity, sourced_id, field, value, until=until, reason=_text(form, "reason") or None
    )
    return _back(namespace, name, form, sourced_id, "pinned")


@router.post("/release")
async def release(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Let the source have its way again."""
    entity, sourced_id, field = (_text(form, each) for each in ("entity", "id", "field"))
    connection = await site.cluster.connection(person.token, namespace, name)
    await by_hand.release_pin(site, person, connection, entity, sourced_id, field, _text(form, "reason") or None)
    return _back(namespace, name, form, sourced_id, "released")


def _back(namespace: str, name: str, form: dict[str, str], sourced_id: str, done: str) -> Response:
    if form.get("back") == "person":
        person = f"/namespaces/{namespace}/connections/{name}/people/person?id={quote(sourced_id, safe='')}"
        return onward(f"{person}&done={done}")
    return onward(_path(namespace, name), done)


def _text(form: dict[str, str], field: str) -> str:
    text = form.get(field, "").strip()
    if "\0" in text or len(text) > _LONGEST.get(field, 255):
        raise problems.bad_request()
    return text


def _path(namespace: str, name: str) -> str:
    return f"/namespaces/{namespace}/connections/{name}/by-hand"
