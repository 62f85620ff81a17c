"""What `doctor` concludes. Pure: facts go in, findings with their next steps come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from roster_operator.api.connection import DATABASE_REWOUND, find
from roster_operator.api.model import API_VERSION
from roster_operator.api.sync import Phase

from . import sentences
from .objects import Connection, Sync


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # someone should look
    PROBLEM = "problem"  # it does not work
    UNKNOWN = "unknown"  # the person may not look


@dataclass(frozen=True)
class Finding:
    """One check: what it is about, how it ended, and what to do."""

    check: str
    state: State
    message: str
    step: str = ""


@dataclass(frozen=True)
class Right:
    """A right, what it is for, and whether the person has it."""

    verb: str
    what: str
    use: str
    held: bool


def of_definition(plural: str, served: Sequence[str] | None) -> Finding:
    """A resource definition. `served`: its versions; None where it is missing."""
    check = f"definition {plural}"
    if served is None:
        return Finding(check, State.PROBLEM, "It is missing.", "Install the chart, or apply the folder crds/.")
    if API_VERSION not in served:
        versions = ", ".join(served) or "nothing"
        return Finding(
            check,
            State.PROBLEM,
            f"It serves {versions}, not {API_VERSION}.",
            "Install the roster that fits the cluster.",
        )
    return Finding(check, State.OK, f"It serves {', '.join(served)}.")


def of_deployment(deployment: dict[str, Any]) -> Finding:
    """The operator's Deployment."""
    meta, status = deployment["metadata"], deployment.get("status") or {}
    wanted = int((deployment.get("spec") or {}).get("replicas", 1))
    available = int(status.get("availableReplicas") or 0)
    check = f"operator {meta['namespace']}/{meta['name']}"
    look = f"`kubectl -n {meta['namespace']} describe deployment {meta['name']}` says why."
    message = f"{available} of {wanted} replicas are available."
    if wanted == 0:
        return Finding(check, State.PROBLEM, "It is scaled to 0.", "Scale it to 1 or 2.")
    state = State.OK if available >= wanted else State.WARNING if available else State.PROBLEM
    return Finding(check, state, message, "" if state is State.OK else look)


def of_lease(name: str, lease: dict[str, Any] | None, now: datetime) -> Finding:
    """The Lease by which one operator works at a time."""
    check = f"leader {name}"
    look = "See the operator's log."
    spec = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return Finding(check, State.PROBLEM, "No operator holds the Lease.", look)
    age = now - datetime.fromisoformat(spec["renewTime"])
    if age > timedelta(seconds=int(spec.get("leaseDurationSeconds") or 30) + 5):
        text = f"{spec['holderIdentity']} holds the Lease, and renewed it {sentences.ago(now - age, now)}."
        return Finding(check, State.PROBLEM, text, look)
    return Finding(check, State.OK, f"{spec['holderIdentity']} is at work.")


def of_rights(rights: Sequence[Right], namespace: str) -> Iterator[Finding]:
    """The person's rights: those held in one finding, each missing one in its own."""
    held = [right for right in rights if right.held]
    if held:
        verbs = ", ".join(f"{right.verb} {right.what}" for right in held)
        yield Finding("your rights", State.OK, f"In {namespace} you may {verbs}.")
    for right in rights:
        if not right.held:
            yield Finding(
                "your rights",
                State.UNKNOWN,
                f"You may not {right.verb} {right.what}.",
                f"Ask for that right where you want to {right.use}.",
            )


def of_secret(connection: str, name: str, there: bool | None) -> Finding:
    """A Secret that a connection needs. `there` is None where the person may not look."""
    check = f"database Secret of {connection}"
    if there is None:
        return Finding(check, State.UNKNOWN, f"You may not see whether the Secret {name} is there.")
    if there:
        return Finding(check, State.OK, f"The Secret {name} is there.")
    return Finding(
        check, State.PROBLEM, f"There is no Secret {name}.", "`roster tenant create` prints one, for kubectl apply."
    )


def of_connection(connection: Connection, now: datetime) -> Finding:
    """The last test of a connection."""
    check = f"connection {connection.metadata.name}"
    ready, words = connection.ready, sentences.readiness(connection, now)
    if connection.spec.suspend:
        return Finding(check, State.WARNING, words + ".", f"`roster resume {connection.metadata.name}` undoes that.")
    if ready is None:
        return Finding(check, State.WARNING, words + ".", "The operator tests it by itself; see that it is at work.")
    if ready.status == "True":
        return Finding(check, State.OK, words + ".")
    state = State.PROBLEM if ready.status == "False" else State.WARNING
    return Finding(check, state, words, f"Correct what it names, then `roster test {connection.metadata.name} --wait`.")


def of_database(connection: Connection) -> Finding | None:
    """The operator found the database to be older than it was; None where it did not."""
    behind = find(connection.status.conditions, DATABASE_REWOUND)
    if behind is None:
        return None
    step = "Ask who runs the database whether this is the right one; docs/runbooks/RosterDatabaseRewound.md goes on."
    return Finding(f"database of {connection.metadata.name}", State.PROBLEM, behind.message, step)


def of_syncs(syncs: Sequence[Sync]) -> Iterator[Finding]:
    """What waits, what has not begun, and each connection's newest sync where it failed."""
    newest: set[tuple[str, str]] = set()
    for sync in sentences.newest_first(syncs):
        key = (sync.metadata.namespace, sync.spec.connection_ref.name)
        name, phase = sync.metadata.name, sync.status.phase
        if sync.waits:
            yield Finding(
                f"sync {name}",
                State.WARNING,
                f"It waits for a person: {sentences.headline(sync)}",
                f"`roster review {name}`",
            )
        elif phase is Phase.FAILED and key not in newest:
            yield Finding(
                f"sync {name}",
                State.PROBLEM,
                f"It failed. {sentences.headline(sync)}",
                "Then begin another with `roster sync`.",
            )
        elif phase in (Phase.PENDING, Phase.STAGING, Phase.MERGING):
            yield Finding(f"sync {name}", State.OK, f"{phase.value}: {sentences.headline(sync)}")
        newest.add(key)


def of_job(job: dict[str, Any]) -> Finding | None:
    """A Job that failed; None for others."""
    failed = next(
        (
            one
            for one in (job.get("status") or {}).get("conditions") or []
            if one.get("type") == "Failed" and one.get("status") == "True"
        ),
        None,
    )
    if failed is None:
        return None
    meta = job["metadata"]
    return Finding(
        f"Job {meta['name']}",
        State.WARNING,
        f"It failed: {failed.get('reason') or 'no reason given'}.",
        f"Its sync's or connection's status says why; see `kubectl -n {meta['namespace']} logs job/{meta['name']}`.",
    )
