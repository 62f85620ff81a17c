"""The JSON API of uploads and undos: what begins a sync with a person's own bundle, or from a merged one."""

from __future__ import annotations

import tempfile
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from roster_operator.api.kinds import CONNECTION
from roster_operator.api.model import Digest, Model
from roster_operator.store import uploads as store
from roster_operator.store.readings import Kind

from . import problems, standard, undoing, uploading
from .endpoints import MORE, NO_NUL, PROBLEMS, Caller, Here, Name, Namespace

router = APIRouter(prefix="/api/namespaces/{namespace}", tags=["uploads"], responses=PROBLEMS | MORE)
_ZIP = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_TOO_LARGE: dict[int | str, dict[str, Any]] = {
    413: PROBLEMS[400] | {"description": "The bundle is larger than one may be."}
}


class RestingBody(Model):
    """A bundle that was sent in. gone: Merged or Expired, where its content is not here any more."""

    digest: str
    size: int
    uploaded_by: str
    uploaded_at: datetime
    expires_at: datetime
    gone: str | None = None


class UploadsBody(Model):
    """The newest bundles first, 50 at most."""

    items: list[RestingBody]


class FindingBody(Model):
    """One kind of problem in one file. places: of the first of them; no value of the file."""

    code: str
    severity: str
    file: str
    count: int
    meaning: str
    remedy: str
    places: tuple[str, ...]


class UploadBody(Model):
    """What came of an upload. digest: what a sync names; missing where the bundle cannot be read and was not kept.
    before: it was there already."""

    kept: bool
    digest: str | None = None
    size: int | None = None
    expires_at: datetime | None = None
    before: bool | None = None
    version: str | None = None
    findings: list[FindingBody]


class StageBody(Model):
    """A sync of a bundle that rests."""

    digest: Digest


class UndoBody(Model):
    """An undo. overwrite: records that something changed since get their old values all the same. ignorePause: why it
    does not wait for the end of a pause."""

    overwrite: bool = False
    ignore_pause: Annotated[str | None, Field(min_length=1, max_length=256, pattern=NO_NUL)] = None


class SyncMade(Model):
    """The sync's name. It is staged, and waits for a person."""

    name: str


@router.get("/connections/{name}/uploads", response_model_exclude_none=True)
async def list_uploads(namespace: Namespace, name: Name, caller: Caller, site: Here) -> UploadsBody:
    """The bundles that were sent in."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    found = await site.records.use(caller, connection, Kind.UPLOADS, store.resting)
    return UploadsBody(items=[RestingBody(**each.__dict__) for each in found])


@router.post("/connections/{name}/uploads", openapi_extra=_ZIP, responses=_TOO_LARGE, response_model_exclude_none=True)
async def send_upload(request: Request, namespace: Namespace, name: Name, caller: Caller, site: Here) -> UploadBody:
    """Send in a OneRoster CSV zip as the request's body. It is looked at, and kept if a sync could be made of it."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    uploading.takes_uploads(connection)
    # Asked before half a gigabyte is read; the gate asks again.
    if not await site.cluster.may(caller.token, "upload", CONNECTION, namespace, name):
        raise problems.needs_right("upload", CONNECTION.plural, "send in bundles")
    with tempfile.TemporaryFile() as whole:
        async for piece in uploading.bounded(request):
            await run_in_threadpool(whole.write, piece)
        whole.seek(0)
        checked = await uploading.check(site, caller, connection, whole)
    kept = checked.kept
    return UploadBody(
        kept=kept is not None,
        **(kept.__dict__ if kept else {}),
        version=checked.report.version or None,
        findings=[
            FindingBody.model_validate(each.__dict__) for each in standard.grouped(checked.report, uploading.FINDINGS)
        ],
    )


@router.post("/connections/{name}/uploads/stage", status_code=201)
async def stage_upload(namespace: Namespace, name: Name, caller: Caller, site: Here, body: StageBody) -> SyncMade:
    """Begin a sync from a bundle that rests."""
    return SyncMade(name=await uploading.stage(site, caller, namespace, name, body.digest))


@router.post("/syncs/{name}/undo", status_code=201, tags=["review"])
async def undo_sync(namespace: Namespace, name: Name, caller: Caller, site: Here, body: UndoBody) -> SyncMade:
    """Begin a sync that takes back what a merged one did: a plan like any other."""
    made = await undoing.begin(
        site.cluster, caller, namespace, name, overwrite=body.overwrite, ignore_pause=body.ignore_pause
    )
    return SyncMade(name=made)
