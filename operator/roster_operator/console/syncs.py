"""The pages of one sync: the review, its lists, and the decision."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from roster_operator.store import issues as record_issues
from roster_operator.store import proposals, review
from roster_operator.store.readings import Kind
from roster_operator.store.tables import BY_ENTITY

from . import decisions, problems, reports, undoing, verdict, views
from .endpoints import Name, Namespace
from .problems import Problem
from .resources import Connection, Sync
from .rights import Rights, rights_of
from .sessions import Session
from .site import Site
from .staged import staged_run
from .visitor import Form, Here, Person, onward

SCHOOLS_SHOWN = 12
PAGE = 50  # records of a list
_Short = Annotated[str, Query(max_length=255)]

router = APIRouter(include_in_schema=False)


@router.get("/namespaces/{namespace}/syncs/{name}")
async def sync_review(namespace: Namespace, name: Name, person: Person, site: Here, done: _Short = "") -> Response:
    """What a sync would change, and the decision."""
    found, connection, rights = await _gather(site, person, namespace, name)
    schools: list[review.SchoolChanges] | None = None
    trouble: Problem | None = None
    if _shows_records(site, found, connection, rights):
        assert connection is not None
        try:
            schools = await site.records.use(
                person, connection, Kind.PLAN, lambda conn, _: review.by_school(conn, staged_run(conn, found))
            )
        except Problem as problem:
            trouble = problem
    return site.page(
        "sync.html",
        person,
        sync=found,
        connection=connection,
        rights=rights,
        verdict=verdict.verdict(found),
        how=views.instructions(found),
        lists=_shows_records(site, found, connection, rights) and trouble is None,
        schools=schools,
        schools_shown=SCHOOLS_SHOWN,
        trouble=trouble,
        done=done,
        longest=decisions.LONGEST,
    )


@router.get("/namespaces/{namespace}/syncs/{name}/changes")
async def sync_changes(
    namespace: Namespace,
    name: Name,
    person: Person,
    site: Here,
    entity: _Short = "users",
    action: _Short = "",
    search: _Short = "",
    school: _Short = "",
    field: _Short = "",
    after: _Short = "",
) -> Response:
    """The records that change, old → new."""
    if entity not in BY_ENTITY or (action and action not in review.ACTIONS):
        raise problems.bad_request()
    if field and field not in BY_ENTITY[entity].column_names:
        raise problems.bad_request()
    if any("\0" in text for text in (search, school, after)):
        raise problems.bad_request()
    found, connection = await _with_connection(site, person, namespace, name)
    wanted = review.Wanted(action or None, search or None, school or None, field or None, after or None, PAGE + 1)
    run, changes, schools = await site.records.use(
        person, connection, Kind.PLAN, lambda conn, _: reports.changes(conn, staged_run(conn, found), entity, wanted)
    )
    return site.page(
        "changes.html",
        person,
        sync=found,
        connection=connection,
        entity=entity,
        wanted={"entity": entity, "action": action, "search": search, "school": school, "field": field},
        entities=list(BY_ENTITY),
        actions=review.ACTIONS,
        fields=views.review_fields(entity),
        changes=changes[:PAGE],
        more=changes[PAGE - 1].sourced_id if len(changes) > PAGE else "",
        first=not after,
        schools=schools,
        removable=entity in run.removable,
    )


@router.get("/namespaces/{namespace}/syncs/{name}/issues")
async def sync_issues(
    namespace: Namespace,
    name: Name,
    person: Person,
    site: Here,
    code: _Short = "",
    entity: _Short = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """The records that have problems, and what to do about each."""
    found, connection = await _with_connection(site, person, namespace, name)
    if "\0" in code + entity:
        raise problems.bad_request()
    listed = await site.records.use(
        person,
        connection,
        Kind.PLAN,
        lambda conn, _: record_issues.listing(
            conn, staged_run(conn, found), code=code or None, entity=entity or None,
            limit=PAGE + 1, offset=PAGE * (page - 1),
        ),
    )  # fmt: skip
    return site.page(
        "issues.html",
        person,
        sync=found,
        connection=connection,
        issues=listed[:PAGE],
        more=len(listed) > PAGE,
        page=page,
        code=code,
        entity=entity,
    )


@router.get("/namespaces/{namespace}/syncs/{name}/issues.csv")
async def sync_issues_file(namespace: Namespace, name: Name, person: Person, site: Here) -> Response:
    """The same as a file to send to the school or the SIS's administrator."""
    found, connection = await _with_connection(site, person, namespace, name)
    listed = await site.records.use(
        person,
        connection,
        Kind.REPORT,
        lambda conn, _: record_issues.listing(conn, staged_run(conn, found), limit=reports.MOST_ROWS),
    )
    return Response(
        reports.issues_file(listed),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}-issues.csv"'},
    )


@router.get("/namespaces/{namespace}/syncs/{name}/keys")
async def sync_keys(namespace: Namespace, name: Name, person: Person, site: Here, after: _Short = "") -> Response:
    """Who would be who: the people who come under another sourcedId, old id → new id."""
    if "\0" in after:
        raise problems.bad_request()
    found, connection = await _with_connection(site, person, namespace, name)
    listed = await site.records.use(
        person, connection, Kind.PLAN,
        lambda conn, _: proposals.proposed(conn, staged_run(conn, found), after or None, PAGE + 1),
    )  # fmt: skip
    return site.page(
        "keys.html",
        person,
        sync=found,
        connection=connection,
        keys=listed[:PAGE],
        more=listed[PAGE - 1].old if len(listed) > PAGE else "",
        first=not after,
    )


@router.post("/namespaces/{namespace}/syncs/{name}/undo")
async def sync_undo(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """A sync that takes back what this one did. It waits for a person like any other."""
    made = await undoing.begin(site.cluster, person, namespace, name, overwrite=form.get("overwrite") == "yes")
    return onward(f"/namespaces/{namespace}/syncs/{made}")


@router.post("/namespaces/{namespace}/syncs/{name}/approve")
async def sync_approve(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Approve the plan whose digest stood on the person's screen."""
    found = await site.cluster.sync(person.token, namespace, name)
    if found.status.plan and found.status.plan.limits and form.get("looked") != "yes":
        raise problems.not_valid("This plan is beyond its limits: say that you have looked at why.")
    digest, note = form.get("digest", ""), form.get("note", "")
    await decisions.approve(site.cluster, person.token, person.person, found, digest, note)
    return onward(f"/namespaces/{namespace}/syncs/{name}", "approved")


@router.post("/namespaces/{namespace}/syncs/{name}/reject")
async def sync_reject(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """End it without merging, with a reason."""
    found = await site.cluster.sync(person.token, namespace, name)
    await decisions.reject(site.cluster, person.token, found, form.get("reason", ""))
    return onward(f"/namespaces/{namespace}/syncs/{name}", "rejected")


async def _gather(site: Site, person: Session, namespace: str, name: str) -> tuple[Sync, Connection | None, Rights]:
    found = await site.cluster.sync(person.token, namespace, name)
    of = found.spec.connection_ref.name
    rights = await rights_of(site.cluster, person.token, namespace, of, name)
    try:
        return found, await site.cluster.connection(person.token, namespace, of), rights
    except Problem as problem:
        if problem.status == 401:
            raise
        return found, None, rights  # deleted, or not theirs to see: the sync is there all the same


async def _with_connection(site: Site, person: Session, namespace: str, name: str) -> tuple[Sync, Connection]:
    found = await site.cluster.sync(person.token, namespace, name)
    return found, await site.cluster.connection(person.token, namespace, found.spec.connection_ref.name)


def _shows_records(site: Site, sync: Sync, connection: Connection | None, rights: Rights) -> bool:
    """Records are there to be listed while they are staged."""
    waits = sync.status.plan is not None and sync.status.phase in views.STAGED
    return waits and connection is not None and rights.viewrecords and site.records.there
