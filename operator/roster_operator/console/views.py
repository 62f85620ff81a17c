"""What the pages say about connections and syncs. Pure: objects go in, sentences and their order come out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import yaml

from roster_operator.api.automatic import ApprovalPolicy, AutomaticSync
from roster_operator.api.connection import find
from roster_operator.api.limits import LimitHit
from roster_operator.api.model import API_VERSION, GROUP
from roster_operator.api.scope import in_order
from roster_operator.api.sync import WAITING, EntityCounts, Phase, PlanSummary
from roster_operator.store.tables import BY_ENTITY

from . import standard
from .cluster import FIELD_MANAGER
from .resources import Connection, Sync
from .words import standard_name

# A column's heading is the field's name in EntityCounts, with a word people know.
COLUMNS = (
    ("received", "Received"),
    ("create", "Create"),
    ("update", "Update"),
    ("deactivate", "Deactivate"),
    ("reactivate", "Reactivate"),
    ("unchanged", "Unchanged"),
    ("invalid", "Invalid"),
)

# Phase → (words, tone). The tone only colours; the words say everything.
_PHASES: dict[Phase, tuple[str, str]] = {
    Phase.PENDING: ("Pending", "calm"),
    Phase.STAGING: ("Staging", "calm"),
    Phase.AWAITING_APPROVAL: ("Waits for approval", "waits"),
    Phase.BLOCKED: ("Held", "held"),
    Phase.MERGING: ("Merging", "calm"),
    Phase.MERGED: ("Merged", "good"),
    Phase.REJECTED: ("Rejected", "calm"),
    Phase.FAILED: ("Failed", "bad"),
    Phase.EXPIRED: ("Expired", "calm"),
    Phase.SUPERSEDED: ("Superseded", "calm"),
}
# Columns whose records can be listed, and the action that they are listed by; None where there are several.
LISTED: dict[str, str | None] = {"create": "create", "update": "update", "reactivate": "reactivate", "deactivate": None}
# While these last, the records are in the staging tables.
STAGED = frozenset({Phase.BLOCKED, Phase.AWAITING_APPROVAL, Phase.MERGING})
# While these last, the operator is at work: the page looks again.
BUSY = frozenset({Phase.PENDING, Phase.STAGING, Phase.MERGING})
ACTIONS = {
    "create": ("New", "comes"),
    "update": ("Changed", "changes"),
    "reactivate": ("Back", "comes"),
    "tobedeleted": ("Marked as deleted", "goes"),
    "vanished": ("No longer shown", "goes"),
    "outOfScope": ("Out of scope", "goes"),
    "concluded": ("Had ended", "goes"),
    "schoolClosed": ("School is gone", "goes"),
    "undone": ("Taken back", "goes"),
    "link": ("Was added by hand", "changes"),
    "newKey": ("Another sourcedId", "changes"),
    "unlink": ("Two people again", "changes"),
    "pinned": ("Pinned, stays", "changes"),
}


@dataclass(frozen=True)
class Need:
    """Something that a person has to look at. `rank` sorts: the smallest first."""

    rank: int
    since: datetime
    tone: str
    what: str
    namespace: str
    kind: str  # syncs | connections, as in the address
    name: str
    sentence: str


@dataclass(frozen=True)
class Instructions:
    """How a person decides on the plan that is shown."""

    approve: str
    commit: str
    reject: str


CAUSES = {
    "tobedeleted": "the source marked it as deleted",
    "vanished": "the source no longer showed it",
    "outOfScope": "it fell out of what is taken",
    "concluded": "it had ended by its own dates",
    "schoolClosed": "its school is gone",
    "undone": "the sync that brought it was taken back",
    "link": "it is the source's record now",
    "newKey": "it has another sourcedId now",
}
EVENTS = {
    "create": "Came with the source",
    "update": "Changed",
    "reactivate": "Came back",
    "tobedeleted": "Marked as deleted by the source",
    "vanished": "No longer shown by the source",
    "outOfScope": "Fell out of what is taken",
    "concluded": "Had ended",
    "schoolClosed": "Went with its school",
    "undone": "Taken back",
    "link": "Went over to the source's record",
    "newKey": "Got another sourcedId",
    "followed": "Followed the person to another id",
    "unlink": "Parted from the source's record",
    "unpin": "A pinned value was released",
    "manualCreate": "Added by hand",
    "manualUpdate": "Changed by hand",
    "manualEnd": "Deactivated by hand",
}
ACTS = {
    "merge": "Merged a sync",
    "ended": "A sync ended without a merge",
    "byHand": "Changed people by hand",
    "granted": "Gave access",
    "revoked": "Ended an access",
    "invited": "Invited people",
    "uploaded": "Sent in a bundle",
    "read": "Looked at records",
}
# What was done about an invitation, and how one stands: (tone, words).
INVITED = {
    "invited": "wrote an invitation",
    "notSent": "it could not be sent:",
    "withdrawn": "withdrew an invitation",
    "redeemed": "the application took an invitation in",
}
INVITATIONS = {
    "Sent": ("calm", "Sent"),
    "Waiting": ("waits", "Not sent"),
    "Redeemed": ("good", "Used"),
    "Expired": ("waits", "Expired"),
    "Withdrawn": ("calm", "Withdrawn"),
}
READ = {
    "plan": "a sync's records",
    "report": "a file for the school",
    "people": "a list of people",
    "person": "one person",
    "student": "a student added by hand",
    "pins": "pinned values",
    "pin": "a pinned value",
    "matches": "who may be one person",
    "match": "a decision on who is one person",
    "export": "everything that is merged, as a file",
    "access": "who has access",
    "uploads": "bundles",
    "activity": "activity",
}
# What a person's page shows; demographics are not among it.
PERSON_FIELDS = (
    "given_name", "middle_name", "family_name", "preferred_given_name", "preferred_family_name", "pronouns", "role",
    "grades", "identifier", "username", "email", "enabled_user",
)  # fmt: skip


def source(connection: Connection) -> str:
    """Where the records come from, in a few words."""
    spec = connection.spec
    if spec.api:
        profile = standard.vendors().get(spec.api.provider.value)
        title = profile.title if profile else spec.api.provider.value
        return f"{title}, OneRoster {connection.status.version or spec.api.version.value}"
    return "CSV bundles that people send in" if spec.csv and spec.csv.upload is not None else "CSV bundles by SFTP"


def schedule_words(schedule: AutomaticSync) -> str:
    """A schedule as a sentence."""
    when = f"By the schedule {schedule.schedule}, {schedule.time_zone} time."
    who = "A person approves each plan."
    if schedule.approval is ApprovalPolicy.WITHIN_LIMITS:
        who = "What is within the limits is merged by itself."
    until = f" Until {schedule.until}." if schedule.until else ""
    return f"{when} {who}{until}"


def phase_words(sync: Sync) -> str:
    """The phase, in words."""
    return _PHASES[sync.status.phase][0]


def phase_tone(sync: Sync) -> str:
    """The phase's colour."""
    return _PHASES[sync.status.phase][1]


def needs(connections: Sequence[Connection], syncs: Sequence[Sync]) -> list[Need]:
    """What needs a person: held syncs, waiting ones, failed newest ones, connections that do not work."""
    found: list[Need] = []
    for sync in syncs:
        since = sync.status.times.staged or sync.metadata.creation_timestamp
        if sync.status.phase is Phase.BLOCKED:
            found.append(_of_sync(0, since, sync, headline(sync)))
        elif sync.status.phase is Phase.AWAITING_APPROVAL:
            found.append(_of_sync(1, since, sync, headline(sync)))
    for sync in newest(syncs):
        if sync.status.phase is Phase.FAILED:
            since = sync.status.times.finished or sync.metadata.creation_timestamp
            found.append(_of_sync(2, since, sync, headline(sync)))
    for connection in connections:
        ready = find(connection.status.conditions, "Ready")
        if ready and ready.status == "False":
            metadata = connection.metadata
            found.append(
                Need(
                    rank=3,
                    since=ready.last_transition_time,
                    tone="bad",
                    what="Connection not ready",
                    namespace=metadata.namespace,
                    kind="connections",
                    name=metadata.name,
                    sentence=ready.message or ready.reason,
                )
            )
    return sorted(found, key=lambda need: (need.rank, need.since, need.namespace, need.name))


def _of_sync(rank: int, since: datetime, sync: Sync, sentence: str) -> Need:
    where = sync.metadata
    return Need(rank, since, phase_tone(sync), phase_words(sync), where.namespace, "syncs", where.name, sentence)


def newest(syncs: Sequence[Sync]) -> list[Sync]:
    """The newest sync of each connection."""
    latest: dict[tuple[str, str], Sync] = {}
    for sync in newest_first(syncs):
        latest.setdefault((sync.metadata.namespace, sync.spec.connection_ref.name), sync)
    return list(latest.values())


def newest_first(syncs: Sequence[Sync]) -> list[Sync]:
    """As a person reads a history."""
    return sorted(syncs, key=lambda sync: (sync.metadata.creation_timestamp, sync.metadata.name), reverse=True)


def headline(sync: Sync) -> str:
    """The sync in one sentence."""
    status = sync.status
    if status.phase is Phase.FAILED:
        return status.failure.message if status.failure else "It failed; its conditions say why."
    if status.phase is Phase.REJECTED:
        return "It was rejected, and nothing of it was merged."
    if status.phase is Phase.EXPIRED:
        return "Nobody decided in time, and nothing of it was merged."
    if status.phase is Phase.SUPERSEDED:
        return "Another pull of this connection took its place, and nothing of it was merged."
    if status.plan is None:
        return {
            Phase.PENDING: "It has not begun.",
            Phase.STAGING: "The district's data is being pulled and checked. Nothing is merged by that.",
            Phase.MERGED: "It is merged.",
        }.get(status.phase, "There is no plan yet.")
    effects = status.plan.summed().effects
    if status.phase is Phase.MERGED:
        return f"Merged: it {effects}."
    if status.phase is Phase.MERGING:
        return f"Being merged: it {effects}."
    sentence = f"If approved, it {effects}."
    if status.plan.limits:
        sentence += f" Held, because {limit_sentence(status.plan.limits[0])}"
        more = len(status.plan.limits) - 1
        sentence += f", and {more} more." if more else "."
    return sentence


def entity_rows(plan: PlanSummary) -> list[tuple[str, EntityCounts]]:
    """The plan's rows in the standard's order, unknown ones last."""
    return in_order(plan.entities)


def count_rows(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Counts per entity in the standard's order."""
    return in_order(counts)


def percent(hit: LimitHit) -> str:
    """How much of the merged records the limit's count is."""
    return f"{hit.percent:.1f} %" if hit.of else "all"


def limit_sentence(hit: LimitHit) -> str:
    """One limit that the plan goes beyond."""
    return hit.sentence


def is_hit(plan: PlanSummary, entity: str, column: str) -> bool:
    """This number of the table goes beyond a limit."""
    return any(hit.entity == entity and hit.limit == column for hit in plan.limits)


def instructions(sync: Sync) -> Instructions | None:
    """How to decide on a waiting sync. Bound to the digest on the screen: another plan is not approved by it."""
    plan = sync.status.plan
    if plan is None or sync.status.phase not in WAITING or sync.metadata.deletion_timestamp:
        return None
    where = sync.metadata
    document = {
        "apiVersion": f"{GROUP}/{API_VERSION}",
        "kind": "RosterSync",
        "metadata": {"name": where.name, "namespace": where.namespace},
        "spec": {"approvedPlan": plan.digest},
    }
    return Instructions(
        approve=_patch(sync, {"approvedPlan": plan.digest}),
        commit=yaml.safe_dump(document, sort_keys=False, width=120),
        reject=_patch(sync, {"rejected": {"reason": "say why"}}),
    )


def _patch(sync: Sync, spec: dict[str, object]) -> str:
    where = sync.metadata
    resource = f"rostersyncs.{GROUP}"
    return (
        f"kubectl -n {shlex.quote(where.namespace)} patch {resource} {shlex.quote(where.name)} "
        f"--field-manager={FIELD_MANAGER} --type=merge -p {shlex.quote(json.dumps({'spec': spec}))}"
    )


def removal_rows(plan: PlanSummary) -> list[tuple[str, int, bool]]:
    """Why records go, how many, and whether somebody should wonder. The first two are always told."""
    gone = plan.removals
    rows = [
        ("Marked as deleted by the source", gone.explained, False),
        ("Simply no longer shown", gone.unexplained, True),
        ("Had ended by their own dates", gone.concluded, False),
        ("Went with their school", gone.school_closed, True),
        ("Out of what is taken", gone.out_of_scope, False),
        ("Taken back", gone.undone, False),
        ("Wait for another sync, because of a limit", plan.summed().held, True),
        ("Would go, and stay", plan.summed().withheld, False),
    ]
    return [row for at, row in enumerate(rows) if row[1] or at < 2]


def review_fields(entity: str) -> list[tuple[str, str]]:
    """The columns of an entity that a list can be asked for, with the standard's names."""
    names = BY_ENTITY[entity].column_names
    return [(name, standard_name(name)) for name in names if name not in {"date_last_modified", "metadata"}]


def moment(time: datetime) -> str:
    """A time that means the same to everybody."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def ago(time: datetime, now: datetime) -> str:
    """How far away a time is, in one unit."""
    seconds = (now - time).total_seconds()
    size = abs(seconds)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if size >= length:
            amount = int(size // length)
            text = f"{amount} {unit}{'s' if amount > 1 else ''}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now"
