"""Upload: a OneRoster CSV zip, looked at at once, kept until a sync is made from it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import IO

import psycopg
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser

from roster_operator.api.kinds import CONNECTION, SYNC
from roster_operator.store import uploads as store
from roster_operator.store.readings import Kind

from . import problems, standard
from .district import new_name
from .endpoints import Name, Namespace
from .guard import check_form_token, check_origin
from .resources import Connection
from .rights import rights_of
from .sessions import Session
from .site import Site
from .visitor import Form, Here, Person, onward

router = APIRouter(prefix="/namespaces/{namespace}/connections/{name}/upload", include_in_schema=False)
LARGEST = 512 * 1024 * 1024  # bytes; a tenant's own bound in the database may be lower
FINDINGS = 200  # that are shown


@dataclass(frozen=True)
class Checked:
    """What came of one upload: the report, and what is kept where the bundle can be read."""

    report: standard.Report
    kept: store.Upload | None


@router.get("")
async def upload_form(namespace: Namespace, name: Name, person: Person, site: Here) -> Response:
    """The form, and the bundles that rest."""
    connection = await site.cluster.connection(person.token, namespace, name)
    return await _page(site, person, connection, None, 200)


@router.post("")
async def upload(request: Request, namespace: Namespace, name: Name, person: Person, site: Here) -> Response:
    """Take a zip, say what is wrong with it, and keep it if it is a bundle."""
    check_origin(request)
    connection = await site.cluster.connection(person.token, namespace, name)
    takes_uploads(connection)
    # Asked before half a gigabyte is read; the gate asks again.
    if not await site.cluster.may(person.token, "upload", CONNECTION, namespace, name):
        raise problems.needs_right("upload", CONNECTION.plural, "send in bundles")
    parser = MultiPartParser(request.headers, bounded(request), max_files=1, max_fields=2)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError):
        raise problems.not_valid("The form did not arrive whole.") from None
    try:
        given, sent = form.get("form_token"), form.get("bundle")
        check_form_token(given if isinstance(given, str) else None, person.form_token)
        if sent is None or isinstance(sent, str) or not sent.size:
            raise problems.not_valid("Choose a zip file.")
        checked = await check(site, person, connection, sent.file)
    finally:
        await form.close()
    return await _page(site, person, connection, checked, 200 if checked.kept else 422)


@router.post("/stage")
async def upload_stage(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """A sync from a bundle that rests here."""
    made = await stage(site, person, namespace, name, form.get("digest", ""))
    return onward(f"/namespaces/{namespace}/syncs/{made}")


async def stage(site: Site, person: Session, namespace: str, name: str, digest: str) -> str:
    """Begin a sync of a bundle that rests; its name. Raises problems.Problem."""
    takes_uploads(await site.cluster.connection(person.token, namespace, name))
    spec = {"connectionRef": {"name": name}, "source": {"upload": digest}}
    return await site.cluster.create(
        SYNC, person.token, namespace, {"metadata": {"name": new_name(name)}, "spec": spec}
    )


async def check(site: Site, person: Session, connection: Connection, file: IO[bytes]) -> Checked:
    """Look at a bundle, and keep it if a sync could be made of it. Raises problems.Problem."""
    with tempfile.TemporaryFile() as whole:  # the form's own file may be one in memory, of another kind
        file.seek(0)
        await run_in_threadpool(_copy, file, whole)
        report = await run_in_threadpool(standard.check_bundle, whole)
        if not report.readable:
            return Checked(report, None)

        def work(conn: psycopg.Connection, _: str) -> store.Upload:
            return store.put(conn, whole, person.person)

        return Checked(report, await site.records.use(person, connection, Kind.UPLOADS, work, write=True))


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while piece := source.read(1024 * 1024):
        target.write(piece)
    target.seek(0)


async def bounded(request: Request) -> AsyncGenerator[bytes]:
    """The body, and an end to it: the sender's Content-Length is not believed."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST:
            raise problems.too_large()
        yield chunk


async def _page(site: Here, person: Person, connection: Connection, checked: Checked | None, status: int) -> Response:
    where = connection.metadata
    resting = await site.records.use(person, connection, Kind.UPLOADS, store.resting)
    return site.page(
        "upload.html",
        person,
        status,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, where.namespace, where.name),
        takes=connection.spec.csv is not None and connection.spec.csv.upload is not None,
        resting=resting,
        checked=checked,
        groups=standard.grouped(checked.report, FINDINGS) if checked else [],
        largest=LARGEST,
    )


def takes_uploads(connection: Connection) -> None:
    """Raises problems.Problem where the connection's source is another one."""
    if connection.spec.csv is None or connection.spec.csv.upload is None:
        raise problems.not_valid("This connection takes no uploads: its source is another one.")
