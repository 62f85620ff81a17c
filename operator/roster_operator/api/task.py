"""The two messages between the operator and a Job's pod: the task going in, the summary coming out.

The task travels in the environment variable ROSTER_TASK and holds no secret: the pod mounts its Secrets as files.
The summary is the container's termination message. It is at most 4,096 bytes (the kubelet keeps no more) and can be
lost with the pod; then the step is run again and answers with what the database had recorded.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .connection import Ledger, RosterConnectionSpec, TestCheck
from .kinds import NOTE_LENGTH
from .limits import Limits
from .model import Model, Observed
from .notices import Webhook
from .sync import Digest, Failure, IssueCount, Mode, PlanSummary, Rewound

TASK_VARIABLE = "ROSTER_TASK"
SIS_SECRET_PATH = "/var/run/roster/sis"  # noqa: S105  a path, not a secret
DATABASE_SECRET_PATH = "/var/run/roster/database"  # noqa: S105
WEBHOOK_SECRET_PATH = "/var/run/roster/webhook"  # noqa: S105
STAGE_URL_KEY = "stage-url"
MERGE_URL_KEY = "merge-url"
TERMINATION_MESSAGE_PATH = "/dev/termination-log"
TERMINATION_MESSAGE_LIMIT = 4096

# The Job's podFailurePolicy reads these. Anything else (a kill, an eviction) is run again.
EXIT_DONE = 0
EXIT_PERMANENT = 65  # running it again gives the same answer
EXIT_RETRY = 75  # running it again may heal it


class Step(StrEnum):
    """What one Job does."""

    TEST = "test"
    STAGE = "stage"
    MERGE = "merge"
    DISCARD = "discard"
    PURGE = "purge"
    NOTIFY = "notify"


class Subject(Model):
    """The connection that a task is about."""

    namespace: Annotated[str, Field(max_length=63)]
    name: Annotated[str, Field(max_length=253)]
    uid: Annotated[str, Field(max_length=64)]


class SyncSubject(Model):
    """The sync that a task is about. `uid` is the run's id in the database; `upload` the zip that it names; `undoes`
    the name of the sync that it takes back, `overwrite` whether also where something changed since."""

    name: Annotated[str, Field(max_length=253)]
    uid: Annotated[str, Field(max_length=64)]
    mode: Mode = Mode.FULL
    upload: Digest | None = None
    undoes: Annotated[str, Field(max_length=253)] | None = None
    overwrite: bool = False


class MergeOrder(Model):
    """What was approved, by whom, and how."""

    digest: Digest
    by: Annotated[str, Field(max_length=256)] | None = None
    via: Annotated[str, Field(max_length=32)]
    at: datetime
    note: Annotated[str, Field(max_length=NOTE_LENGTH)] | None = None


class Policy(Model):
    """What the operator's configuration permits to sources; never the tenant's to choose."""

    allow_addresses: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)  # CIDR ranges
    allow_insecure: bool = False


class Notice(Model):
    """One notice for a webhook. id: the same in every attempt. body: JSON, signed and sent as it is."""

    id: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    body: Annotated[str, Field(max_length=4096)]
    webhook: Webhook


class WorkerTask(Model):
    """One step of one sync, or the test of a connection."""

    step: Step
    cluster: Annotated[str, Field(max_length=64)]  # uid of the kube-system namespace: tells two clusters apart
    tenant: Annotated[str, Field(max_length=128)]
    connection: Subject
    spec: RosterConnectionSpec | None = None  # test and stage, but for an undo: it needs no source
    sync: SyncSubject | None = None  # stage, merge, discard
    attempt: Annotated[int, Field(ge=1)] = 1  # of the Job; fences a late pod of an earlier one
    limits: Limits = Field(default_factory=Limits)
    order: MergeOrder | None = None  # merge
    known: Ledger | None = None  # what the database held when it was last asked
    unless_merged: bool = Field(
        default=False,
        description="The sync came with an approval in it: if its name was merged before, say so and pull nothing.",
    )
    discard_reason: Annotated[str, Field(max_length=512)] | None = None  # discard: rejected for this reason, or none
    notice: Notice | None = None  # notify
    policy: Policy = Field(default_factory=Policy)


class Outcome(StrEnum):
    """How a step ended."""

    TESTED = "Tested"  # the test ran to its end; `test` says what it found
    STAGED = "Staged"
    ALREADY_MERGED = "AlreadyMerged"
    MERGED = "Merged"
    PLAN_CHANGED = "PlanChanged"  # another merge came between; `plan` is the new one, nothing was merged
    DISCARDED = "Discarded"
    PURGED = "Purged"
    NOTIFIED = "Notified"
    FAILED = "Failed"


class TestReport(Observed):
    """What Test Connection found. `failure` is the first check that failed, with its next step."""

    __test__ = False

    ready: bool
    reachable: bool
    authenticated: bool | None = None  # None: not reached
    # Why it is so, where it is True: what let us in, or that nothing has to.
    let_in_by: Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z]+$")] = "TokenIssued"
    tenant_claimed: bool | None = None
    version: Annotated[str, Field(max_length=16)] | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    checks: Annotated[list[TestCheck], Field(max_length=24)] = Field(default_factory=list[TestCheck])
    failure: Failure | None = None
    server_max_page_size: int | None = None
    certificate_expires: datetime | None = None
    credentials_expire: datetime | None = None
    clock_skew_seconds: int | None = None


class PurgeReport(Observed):
    """What a purge deleted: rows by table. The receipt names it in the database, where it stays."""

    receipt: Annotated[str, Field(max_length=64)]
    rows: Annotated[dict[str, int], Field(max_length=64)] = Field(default_factory=dict)


class WorkerSummary(Observed):
    """What a step says when it ends."""

    step: Step
    outcome: Outcome
    attempt: int = 1
    run: Annotated[str, Field(max_length=64)] | None = None
    test: TestReport | None = None
    purge: PurgeReport | None = None
    plan: PlanSummary | None = None
    issues: Annotated[list[IssueCount], Field(max_length=10)] = Field(default_factory=list[IssueCount])
    failure: Failure | None = None
    data_version: int | None = None
    ledger: Ledger | None = None  # test, merge: what the database holds
    rewound: Rewound | None = None  # test: the database is behind what was known
    version: Annotated[str, Field(max_length=16)] | None = None  # OneRoster version spoken
    counts: dict[str, int] = Field(default_factory=dict)  # stage: records received per entity
    seconds: float | None = None
    max_rss_mb: int | None = None
