"""The JSON API of a review: what the person may do, the records that change, the issues, and the decision."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from roster_operator.api.model import Digest, Model
from roster_operator.store import issues as record_issues
from roster_operator.store import review
from roster_operator.store.readings import Kind
from roster_operator.store.tables import BY_ENTITY

from . import decisions, problems
from .endpoints import MORE, MOST, PROBLEMS, Caller, Here, Name, Namespace, Text, Token
from .resources import Sync
from .rights import ASKED, Rights, rights_of
from .sessions import Session
from .site import Site
from .staged import staged_run

router = APIRouter(prefix="/api/namespaces/{namespace}/syncs/{name}", tags=["review"], responses=PROBLEMS | MORE)


class RightsBody(Model):
    """What the caller may do with this sync and its connection."""

    approve: bool
    decide: bool
    sync: bool
    edit: bool
    upload: bool
    viewrecords: bool
    grantaccess: bool

    @classmethod
    def of(cls, rights: Rights) -> RightsBody:
        """From the rights as they were asked."""
        return cls(**{name: getattr(rights, name) for name in ASKED})


class ChangedField(Model):
    """One field of a record that changes."""

    field: str
    old: Any = None
    new: Any = None


class ChangeBody(Model):
    """One record that changes."""

    entity: str
    action: str
    sourced_id: str
    label: str
    school: str | None = None
    fields: list[ChangedField]


class ChangesBody(Model):
    """Some of the records. after: give it back to read on."""

    items: list[ChangeBody]
    after: str | None = None


class IssueBody(Model):
    """One problem of one record, or of a file: then it has no sourcedId, and field is the column."""

    entity: str
    sourced_id: str | None = None
    code: str
    severity: str
    field: str | None = None
    label: str
    school: str
    file: str | None = None
    line: int | None = None


class IssuesBody(Model):
    """Some of the problems. more: there are others behind them."""

    items: list[IssueBody]
    more: bool


class ApprovalBody(Model):
    """An approval of exactly this plan."""

    digest: Digest
    note: Annotated[str, Field(max_length=decisions.LONGEST)] = ""


class RejectionBody(Model):
    """A no, with its reason."""

    reason: Annotated[str, Field(min_length=1, max_length=decisions.LONGEST)]


class DecisionBody(Model):
    """What was decided, and by whom as the cluster knows them."""

    decision: str
    by: str


@router.get("/rights")
async def read_rights(namespace: Namespace, name: Name, token: Token, site: Here) -> RightsBody:
    """What the caller may do here."""
    sync = await site.cluster.sync(token, namespace, name)
    return RightsBody.of(await rights_of(site.cluster, token, namespace, sync.spec.connection_ref.name, name))


@router.get("/changes", response_model_exclude_none=True)
async def read_changes(
    namespace: Namespace,
    name: Name,
    caller: Caller,
    site: Here,
    entity: Annotated[str, Query(max_length=32)] = "users",
    action: Annotated[str | None, Query(max_length=32)] = None,
    search: Text = None,
    school: Text = None,
    field: Annotated[str | None, Query(max_length=64)] = None,
    after: Text = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> ChangesBody:
    """The records that the plan changes, old and new, while they are staged. Recorded as a reading."""
    if entity not in BY_ENTITY or (action is not None and action not in review.ACTIONS):
        raise problems.bad_request()
    if field is not None and field not in BY_ENTITY[entity].column_names:
        raise problems.bad_request()
    sync, connection = await _both(site, caller, namespace, name)
    wanted = review.Wanted(action, search or None, school, field, after, limit + 1)
    found = await site.records.use(
        caller, connection, Kind.PLAN, lambda conn, _: review.changes(conn, staged_run(conn, sync), entity, wanted)
    )
    items = [
        ChangeBody(
            entity=each.entity, action=each.action, sourced_id=each.sourced_id, label=each.label, school=each.school,
            fields=[ChangedField(field=key, old=old, new=new) for key, (old, new) in each.fields.items()],
        )
        for each in found[:limit]
    ]  # fmt: skip
    return ChangesBody(items=items, after=items[-1].sourced_id if len(found) > limit else None)


@router.get("/issues", response_model_exclude_none=True)
async def read_issues(
    namespace: Namespace,
    name: Name,
    caller: Caller,
    site: Here,
    code: Text = None,
    entity: Text = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> IssuesBody:
    """The problems of single records, while they are staged. Recorded as a reading."""
    sync, connection = await _both(site, caller, namespace, name)
    found = await site.records.use(
        caller,
        connection,
        Kind.PLAN,
        lambda conn, _: record_issues.listing(
            conn, staged_run(conn, sync), code=code, entity=entity, limit=limit + 1, offset=offset
        ),
    )
    return IssuesBody(items=[IssueBody(**each.__dict__) for each in found[:limit]], more=len(found) > limit)


@router.post("/approve")
async def approve(namespace: Namespace, name: Name, caller: Caller, site: Here, body: ApprovalBody) -> DecisionBody:
    """Approve the plan with this digest, if it is the one that waits."""
    sync = await site.cluster.sync(caller.token, namespace, name)
    await decisions.approve(site.cluster, caller.token, caller.person, sync, body.digest, body.note)
    return DecisionBody(decision="approved", by=caller.person)


@router.post("/reject")
async def reject(namespace: Namespace, name: Name, caller: Caller, site: Here, body: RejectionBody) -> DecisionBody:
    """End the sync without a merge."""
    sync = await site.cluster.sync(caller.token, namespace, name)
    await decisions.reject(site.cluster, caller.token, sync, body.reason)
    return DecisionBody(decision="rejected", by=caller.person)


async def _both(site: Site, caller: Session, namespace: str, name: str) -> tuple[Sync, Any]:
    sync = await site.cluster.sync(caller.token, namespace, name)
    return sync, await site.cluster.connection(caller.token, namespace, sync.spec.connection_ref.name)
