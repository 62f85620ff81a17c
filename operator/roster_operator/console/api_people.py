"""The JSON API of people: a search, one person's story, and students who are added by hand. Each look is recorded."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self

import psycopg
from fastapi import APIRouter, Query
from pydantic import Field

from roster_operator.api.model import Model
from roster_operator.store import access as granting
from roster_operator.store import manual
from roster_operator.store import people as store
from roster_operator.store.readings import Kind

from . import problems
from .api_access import AccessBody
from .endpoints import MORE, MOST, NO_NUL, PROBLEMS, Caller, Here, Name, Namespace, SourcedId, Text

router = APIRouter(prefix="/api/namespaces/{namespace}/connections/{name}", tags=["people"], responses=PROBLEMS | MORE)
# Of a row, what is bookkeeping of the database's own.
_OWN = frozenset({"tenant", "raw_hash", "row_hash", "metadata"})
_STATES = {"active": "active", "inactive": "inactive", "all": None}
Value = Annotated[str, Field(max_length=255, pattern=NO_NUL)]
Values = Annotated[list[Value], Field(max_length=100)]
Reason = Annotated[str | None, Field(max_length=512, pattern=NO_NUL)]


class PersonBody(Model):
    """A person in a list."""

    sourced_id: str
    name: str
    role: str | None = None
    grades: list[str] | None = None
    school: str | None = None
    status: str
    source: str
    granted: bool

    @classmethod
    def of(cls, found: store.Found) -> Self:
        """From what the search found."""
        return cls(**found.__dict__)


class PeopleBody(Model):
    """Some people. after: give it back to read on."""

    items: list[PersonBody]
    after: str | None = None


class SeatBody(Model):
    """One enrollment."""

    class_sourced_id: str
    class_title: str
    school: str | None = None
    role: str
    begin_date: date | None = None
    end_date: date | None = None
    source: str
    status: str


class EventField(Model):
    """One value that an event changed."""

    field: str
    old: Any = None
    new: Any = None


class EventBody(Model):
    """Something that happened to the person's record."""

    at: datetime | None = None
    what: str
    sync: str | None = None
    by: str | None = None
    reason: str | None = None
    fields: list[EventField]


class StoryBody(Model):
    """One person, from the source to the application. record: columns as in the database."""

    name: str
    school: str | None = None
    testable: bool
    record: dict[str, Any]
    classes: list[SeatBody]
    events: list[EventBody]
    uses: list[str]
    access: AccessBody | None = None


class SchoolBody(Model):
    """An active school."""

    sourced_id: str
    name: str


class SchoolsBody(Model):
    """All active schools by name."""

    items: list[SchoolBody]


class ClassBody(Model):
    """An active class."""

    sourced_id: str
    title: str
    code: str | None = None


class ClassesBody(Model):
    """The active classes of a school by title, 500 at most."""

    items: list[ClassBody]


class StudentBody(Model):
    """All that is known of a student who is added by hand. school, classes: sourcedIds."""

    given_name: Annotated[Value, Field(min_length=1)]
    family_name: Annotated[Value, Field(min_length=1)]
    school: Annotated[Value, Field(min_length=1)]
    middle_name: Value | None = None
    email: Value | None = None
    username: Value | None = None
    identifier: Value | None = None
    grades: Values = Field(default_factory=list)
    classes: Values = Field(default_factory=list)
    reason: Reason = None

    @property
    def student(self) -> manual.Student:
        """As the store takes it."""
        return manual.Student(**self.model_dump(exclude={"reason"}))


class StudentChange(Model):
    """What is to be another of a student who was added by hand. What is left out stays; null, or an empty list, empties
    it. classes: all that they are in from now on."""

    given_name: Annotated[Value, Field(min_length=1)] = ""
    family_name: Annotated[Value, Field(min_length=1)] = ""
    school: Annotated[Value, Field(min_length=1)] = ""
    middle_name: Value | None = None
    email: Value | None = None
    username: Value | None = None
    identifier: Value | None = None
    grades: Values = Field(default_factory=list)
    classes: Values = Field(default_factory=list)
    reason: Reason = None

    @property
    def named(self) -> dict[str, Any]:
        """What was said, as the store takes it."""
        return self.model_dump(exclude={"reason"}, exclude_unset=True)


class StudentMade(Model):
    """The student's sourcedId."""

    sourced_id: str


@router.get("/people", response_model_exclude_none=True)
async def search_people(
    namespace: Namespace,
    name: Name,
    caller: Caller,
    site: Here,
    text: Text = None,
    role: Text = None,
    school: Text = None,
    status: Annotated[str, Query(pattern="^(active|inactive|all)$")] = "active",
    after: Text = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> PeopleBody:
    """People by a part of their name, or by their whole id, user name or address. school: its sourcedId."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    found = await site.records.use(
        caller,
        connection,
        Kind.PEOPLE,
        lambda conn, tenant: store.search(
            conn, tenant, text=(text or "").strip() or None, role=role or None, school=school or None,
            status=_STATES[status], after=after or None, limit=limit + 1,
        ),
    )  # fmt: skip
    items = [PersonBody.of(each) for each in found[:limit]]
    return PeopleBody(items=items, after=items[-1].sourced_id if len(found) > limit else None)


@router.get("/people/person", response_model_exclude_none=True)
async def read_person(namespace: Namespace, name: Name, caller: Caller, site: Here, sourced_id: SourcedId) -> StoryBody:
    """One person's story. The look is recorded with the person's hash."""
    connection = await site.cluster.connection(caller.token, namespace, name)

    def work(conn: psycopg.Connection, tenant: str) -> tuple[store.Story, granting.Access | None]:
        found = store.story(conn, tenant, sourced_id)
        if found is None:
            raise problems.not_found("This person")
        return found, granting.of(conn, tenant, sourced_id)

    story, access = await site.records.use(caller, connection, Kind.PERSON, work, subject=sourced_id)
    return StoryBody(
        name=story.name,
        school=story.school,
        testable=story.testable,
        record={key: value for key, value in story.row.items() if key not in _OWN and value is not None},
        classes=[SeatBody(**seat.__dict__) for seat in story.seats],
        events=[
            EventBody(
                at=event.at, what=event.what, sync=event.sync, by=event.by, reason=event.reason,
                fields=[EventField(field=key, old=old, new=new) for key, (old, new) in event.fields.items()],
            )
            for event in story.events
        ],
        uses=story.uses,
        access=AccessBody.of(access) if access else None,
    )  # fmt: skip


@router.get("/schools")
async def list_schools(namespace: Namespace, name: Name, caller: Caller, site: Here) -> SchoolsBody:
    """The active schools."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    found = await site.records.use(caller, connection, Kind.PEOPLE, store.schools)
    return SchoolsBody(items=[SchoolBody(**each.__dict__) for each in found])


@router.get("/classes", response_model_exclude_none=True)
async def list_classes(
    namespace: Namespace,
    name: Name,
    caller: Caller,
    site: Here,
    school: Annotated[str, Query(min_length=1, max_length=255, pattern=NO_NUL)],
) -> ClassesBody:
    """The active classes of a school, by its sourcedId."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    found = await site.records.use(
        caller, connection, Kind.PEOPLE, lambda conn, tenant: store.classes(conn, tenant, school)
    )
    return ClassesBody(items=[ClassBody(**each.__dict__) for each in found])


@router.post("/students", status_code=201)
async def add_student(namespace: Namespace, name: Name, caller: Caller, site: Here, body: StudentBody) -> StudentMade:
    """Add a student by hand. No sync changes or removes them."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    made = await site.records.use(
        caller,
        connection,
        Kind.STUDENT,
        lambda conn, tenant: manual.add(conn, tenant, body.student, by=caller.person, reason=body.reason),
        write=True,
    )
    return StudentMade(sourced_id=made)


@router.put("/students")
async def edit_student(
    namespace: Namespace, name: Name, caller: Caller, site: Here, sourced_id: SourcedId, body: StudentBody
) -> StudentMade:
    """Say anew everything that is known of a student who was added by hand. What is left out is emptied."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await site.records.use(
        caller,
        connection,
        Kind.STUDENT,
        lambda conn, tenant: manual.edit(
            conn, tenant, sourced_id, body.student, by=caller.person, reason=body.reason
        ),
        subject=sourced_id,
        write=True,
    )  # fmt: skip
    return StudentMade(sourced_id=sourced_id)


@router.patch("/students")
async def amend_student(
    namespace: Namespace, name: Name, caller: Caller, site: Here, sourced_id: SourcedId, body: StudentChange
) -> StudentMade:
    """Change what is named of a student who was added by hand. What is left out stays."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await site.records.use(
        caller,
        connection,
        Kind.STUDENT,
        lambda conn, tenant: manual.amend(conn, tenant, sourced_id, body.named, by=caller.person, reason=body.reason),
        subject=sourced_id,
        write=True,
    )
    return StudentMade(sourced_id=sourced_id)


@router.delete("/students")
async def end_student(
    namespace: Namespace, name: Name, caller: Caller, site: Here, sourced_id: SourcedId, reason: Text = None
) -> StudentMade:
    """Deactivate a student who was added by hand, with their enrollments."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await site.records.use(
        caller,
        connection,
        Kind.STUDENT,
        lambda conn, tenant: manual.end(conn, tenant, sourced_id, by=caller.person, reason=reason),
        subject=sourced_id,
        write=True,
    )
    return StudentMade(sourced_id=sourced_id)
