"""The page of one district, and what can be asked for there: a test, a sync, automatic syncing, a rest."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from roster_operator.api.automatic import ApprovalPolicy, AutomaticSync
from roster_operator.api.kinds import CONNECTION, SYNC, TEST_REQUESTED_AT

from . import problems, views
from .endpoints import Name, Namespace
from .listings import Listing, read_syncs
from .resources import Connection
from .rights import rights_of
from .site import Site
from .visitor import Form, Here, Person, onward

router = APIRouter(include_in_schema=False)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
EVERY = {"daily": "* * *", "weekdays": "* * 1-5", "weekly": "* * 1"}


@router.get("/namespaces/{namespace}/connections/{name}")
async def district(
    namespace: Namespace, name: Name, person: Person, site: Here, done: Annotated[str, Query(max_length=32)] = ""
) -> Response:
    """One district: its connection, its syncs, and when it is synced by itself."""
    connection = await site.cluster.connection(person.token, namespace, name)
    rights = await rights_of(site.cluster, person.token, namespace, name)
    listing = await read_syncs(site, person, Listing(namespace))
    syncs = views.newest_first([sync for sync in listing.syncs if sync.spec.connection_ref.name == name])
    return site.page(
        "district.html",
        person,
        connection=connection,
        rights=rights,
        listing=listing,
        syncs=syncs,
        every=every_of(connection.spec.automatic_sync),
        done=done,
    )


@router.post("/namespaces/{namespace}/connections/{name}/test")
async def ask_test(namespace: Namespace, name: Name, person: Person, site: Here, _: Form) -> Response:
    """Test Connection, now. The operator answers in status."""
    asked = datetime.now(UTC).isoformat(timespec="seconds")
    patch = {"metadata": {"annotations": {TEST_REQUESTED_AT: asked}}}
    await site.cluster.change(CONNECTION, person.token, namespace, name, patch)
    return onward(_path(namespace, name), "test")


@router.post("/namespaces/{namespace}/connections/{name}/sync")
async def ask_sync(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """A sync, now. It stages, and waits for a person."""
    spec: dict[str, Any] = {"connectionRef": {"name": name}}
    if form.get("mode") == "Delta":
        spec["mode"] = "Delta"
    made = await site.cluster.create(
        SYNC, person.token, namespace, {"metadata": {"name": new_name(name)}, "spec": spec}
    )
    return onward(f"/namespaces/{namespace}/syncs/{made}")


@router.post("/namespaces/{namespace}/connections/{name}/rest")
async def rest(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Suspend or resume."""
    spec = {"suspend": form.get("suspend") == "yes"}
    return await _write(site, person, namespace, name, spec, "suspended" if spec["suspend"] else "resumed")


@router.post("/namespaces/{namespace}/connections/{name}/automatic")
async def automatic(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Automatic syncing on, changed, or off."""
    if form.get("off") == "yes":
        return await _write(site, person, namespace, name, {"automaticSync": None}, "off")
    return await _write(site, person, namespace, name, {"automaticSync": schedule_of(form)}, "on")


async def _write(site: Site, person: Person, namespace: str, name: str, spec: dict[str, Any], done: str) -> Response:
    """Set it, or print what to commit where Git owns the object: what is set here would be set back there."""
    connection = await site.cluster.connection(person.token, namespace, name)
    if connection.metadata.from_git:
        return site.page("commit.html", person, connection=connection, manifest=to_commit(connection, spec))
    await site.cluster.change(CONNECTION, person.token, namespace, name, {"spec": spec})
    return onward(_path(namespace, name), done)


def to_commit(connection: Connection, spec: dict[str, Any]) -> str:
    """The part of the manifest that has to read so."""
    where = connection.metadata
    document = {
        "apiVersion": CONNECTION.api_version,
        "kind": CONNECTION.kind,
        "metadata": {"name": where.name, "namespace": where.namespace},
        "spec": spec,
    }
    return yaml.safe_dump(document, sort_keys=False, width=120)


def schedule_of(form: dict[str, str]) -> dict[str, Any]:
    """spec.automaticSync from the form's fields. Raises problems.Problem."""
    every = form.get("every", "")
    if every == "custom":
        schedule = " ".join(form.get("cron", "").split())
    elif every == "hourly":
        schedule = "@hourly"
    else:
        clock = _CLOCK.fullmatch(form.get("at", "").strip())
        if every not in EVERY or clock is None:
            raise problems.not_valid("Say how often, and at what time as HH:MM.")
        schedule = f"{int(clock[2])} {int(clock[1])} {EVERY[every]}"
    zone = form.get("time_zone", "").strip() or "Etc/UTC"
    try:
        ZoneInfo(zone)
        made = AutomaticSync(schedule=schedule, time_zone=zone, approval=ApprovalPolicy(form.get("approval", "Manual")))
    except (ZoneInfoNotFoundError, ValidationError, ValueError, OSError):
        raise problems.not_valid(
            "The time zone is none (write it as America/Chicago), or the schedule is not one of five fields."
        ) from None
    # What the form does not show (until, pause, fullEvery) stays as it is.
    return {"schedule": made.schedule, "timeZone": made.time_zone, "approval": made.approval.value}


def every_of(schedule: AutomaticSync | None) -> dict[str, str]:
    """The form's fields for a schedule."""
    if schedule is None:
        return {"every": "daily", "at": "03:00", "cron": "", "time_zone": "Etc/UTC", "approval": "Manual"}
    fields = {"cron": schedule.schedule, "time_zone": schedule.time_zone, "approval": schedule.approval.value}
    minute, _, rest = schedule.schedule.partition(" ")
    hour, _, days = rest.partition(" ")
    known = {words: every for every, words in EVERY.items()}.get(days)
    if schedule.schedule == "@hourly":
        return {"every": "hourly", "at": "03:00", **fields}
    if known and minute.isdigit() and hour.isdigit():
        return {"every": known, "at": f"{int(hour):02}:{int(minute):02}", **fields}
    return {"every": "custom", "at": "03:00", **fields}


def new_name(connection: str) -> str:
    """A sync's name: the connection's and the time; short enough for whatever is made of it."""
    return f"{connection[:40].rstrip('.-')}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _path(namespace: str, name: str) -> str:
    return f"/namespaces/{namespace}/connections/{name}"
