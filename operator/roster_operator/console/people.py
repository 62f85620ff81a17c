"""People: a search, one person's story, and students who are added by hand."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Query, Request, Response

from roster_operator.store import access as granting
from roster_operator.store import manual
from roster_operator.store import people as store
from roster_operator.store import pins as pinning
from roster_operator.store.readings import Kind

from . import problems
from .access import trouble_of
from .endpoints import Name, Namespace
from .rights import rights_of
from .visitor import Form, Here, Person, onward, posted

router = APIRouter(prefix="/namespaces/{namespace}/connections/{name}/people", include_in_schema=False)
PAGE = 50
_Text = Annotated[str, Query(max_length=255)]
_FIELDS = ("given_name", "family_name", "middle_name", "email", "username", "identifier")
_STATES = {"": "active", "inactive": "inactive", "all": None}


@router.get("")
async def search(
    namespace: Namespace,
    name: Name,
    person: Person,
    site: Here,
    text: _Text = "",
    role: _Text = "",
    school: _Text = "",
    status: _Text = "",
    after: _Text = "",
) -> Response:
    """People of the district by name, id, user name or address."""
    if status not in _STATES or "\0" in text + role + school + after:
        raise problems.bad_request()
    connection = await site.cluster.connection(person.token, namespace, name)

    def work(conn: psycopg.Connection, tenant: str) -> tuple[list[store.Found], list[str], list[store.School]]:
        found = store.search(
            conn, tenant, text=text.strip() or None, role=role or None, school=school or None,
            status=_STATES[status], after=after or None, limit=PAGE + 1,
        )  # fmt: skip
        return found, store.roles(conn, tenant), store.schools(conn, tenant)

    found, roles, schools = await site.records.use(person, connection, Kind.PEOPLE, work)
    return site.page(
        "people.html",
        person,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, namespace, name),
        found=found[:PAGE],
        more=found[PAGE - 1].sourced_id if len(found) > PAGE else "",
        first=not after,
        roles=roles,
        schools=schools,
        wanted={"text": text, "role": role, "school": school, "status": status},
    )


@router.get("/person")
async def story(
    namespace: Namespace, name: Name, person: Person, site: Here, sourced_id: Annotated[str, Query(alias="id")] = "",
    done: _Text = "",
) -> Response:  # fmt: skip
    """One person, from the source to the application."""
    wanted = _id(sourced_id)
    connection = await site.cluster.connection(person.token, namespace, name)

    def work(conn: psycopg.Connection, tenant: str) -> tuple[store.Story, granting.Access | None, list[pinning.Pin]]:
        found = store.story(conn, tenant, wanted)
        if found is None:
            raise problems.not_found("This person")
        return found, granting.of(conn, tenant, wanted), pinning.listing(conn, tenant, "users", wanted)

    found, access, pins = await site.records.use(person, connection, Kind.PERSON, work, subject=wanted)
    return site.page(
        "person.html",
        person,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, namespace, name),
        story=found,
        access=access,
        pins=pins,
        pinnable=pinning.fields("users"),
        done=done,
        trouble=trouble_of(done),
    )


@router.get("/student")
async def student_form(
    namespace: Namespace,
    name: Name,
    person: Person,
    site: Here,
    school: _Text = "",
    sourced_id: Annotated[str, Query(alias="id", max_length=255)] = "",
) -> Response:
    """The form for a student who is added, or was added, by hand. First the school, then the classes."""
    connection = await site.cluster.connection(person.token, namespace, name)
    values: dict[str, Any] = {"school": school}
    return await _form(site, person, connection, sourced_id, values, "", 200)


@router.post("/student")
async def student_save(request: Request, namespace: Namespace, name: Name, person: Person, site: Here) -> Response:
    """Add or change the student."""
    form = await posted(request, person)
    connection = await site.cluster.connection(person.token, namespace, name)
    sourced_id = form.one("id")
    student = manual.Student(
        given_name=form.one("given_name").strip(),
        family_name=form.one("family_name").strip(),
        school=form.one("school"),
        **{field: form.one(field).strip() or None for field in _FIELDS[2:]},
        grades=[grade for grade in form.one("grades").replace(",", " ").split() if grade],
        classes=form.all("classes"),
    )
    reason = form.one("reason").strip()[:512] or None

    def work(conn: psycopg.Connection, tenant: str) -> str:
        if sourced_id:
            manual.edit(conn, tenant, sourced_id, student, by=person.person, reason=reason)
            return sourced_id
        return manual.add(conn, tenant, student, by=person.person, reason=reason)

    try:
        made = await site.records.use(person, connection, Kind.STUDENT, work, subject=sourced_id or None, write=True)
    except problems.Problem as problem:
        if problem.status != 422:
            raise
        # What was typed is not lost.
        values: dict[str, Any] = {field: form.one(field) for field in (*_FIELDS, "school", "grades", "reason")}
        values["classes"] = form.all("classes")
        return await _form(site, person, connection, sourced_id, values, problem.body.message, 422)
    return onward(f"/namespaces/{namespace}/connections/{name}/people/person?id={quote(made, safe='')}")


@router.post("/end")
async def student_end(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Deactivate a student who was added by hand."""
    connection = await site.cluster.connection(person.token, namespace, name)
    sourced_id = _id(form.get("id", ""))
    reason = form.get("reason", "").strip()[:512] or None
    await site.records.use(
        person,
        connection,
        Kind.STUDENT,
        lambda conn, tenant: manual.end(conn, tenant, sourced_id, by=person.person, reason=reason),
        subject=sourced_id,
        write=True,
    )
    return onward(f"/namespaces/{namespace}/connections/{name}/people/person?id={quote(sourced_id, safe='')}")


async def _form(
    site: Here, person: Person, connection: Any, sourced_id: str, values: dict[str, Any], wrong: str, status: int
) -> Response:
    def work(conn: psycopg.Connection, tenant: str) -> tuple[list[store.School], list[store.Class], dict[str, Any]]:
        known: dict[str, Any] = {}
        if sourced_id:
            found = store.story(conn, tenant, sourced_id)
            if found is None or found.row.get("source") != "Manual":
                raise problems.not_found("A student who was added by hand with this id")
            known = {field: found.row.get(field) or "" for field in _FIELDS}
            known["school"] = found.row.get("primary_org_sourced_id") or ""
            known["grades"] = " ".join(found.row.get("grades") or [])
            known["classes"] = [seat.class_sourced_id for seat in found.seats if seat.status == "active"]
        merged = known | {key: value for key, value in values.items() if value or wrong}
        classes = store.classes(conn, tenant, str(merged["school"])) if merged.get("school") else []
        return store.schools(conn, tenant), classes, merged

    # Nothing is changed by looking at the form, and it needs the right of whoever will send it.
    schools, classes, merged = await site.records.use(
        person, connection, Kind.STUDENT, work, subject=sourced_id or None
    )
    return site.page(
        "student.html",
        person,
        status,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, connection.metadata.namespace, connection.metadata.name),
        schools=schools,
        classes=classes,
        values=dict.fromkeys((*_FIELDS, "grades", "reason", "school"), "") | {"classes": []} | merged,
        sourced_id=sourced_id,
        wrong=wrong,
    )


def _id(text: str) -> str:
    if not 0 < len(text) <= 255 or "\0" in text:
        raise problems.bad_request()
    return text
