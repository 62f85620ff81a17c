"""RosterConnection: one district's OneRoster source, and how to reach it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .automatic import AutomaticStatus, AutomaticSync
from .job_template import JobTemplate
from .limits import Limits
from .model import Digest, Duration, Model, Observed
from .notices import Notified, Notify
from .retention import Retention
from .scope import FieldChoice, Role, Scope
from .sources import ApiSource, CsvSource, Name, SecretUse

DATABASE_REWOUND = "DatabaseRewound"  # the condition of a connection whose database was put back


class DatabaseRef(Model):
    """The Secret with the two database logins stage-url and merge-url, as `roster tenant create` prints it."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")


class DeletionPolicy(StrEnum):
    """What becomes of the district's rows when the connection is deleted."""

    RETAIN = "Retain"
    PURGE = "Purge"


class RosterConnectionSpec(Model):
    """What a person declares about a district's source. Exactly one source is given."""

    tenant: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")] | None = (
        Field(
            default=None,
            description="Key of this district's rows in the database. Immutable. Default: <namespace>.<name>.",
        )
    )
    api: ApiSource | None = Field(default=None, description="A OneRoster REST API.")
    csv: CsvSource | None = Field(default=None, description="OneRoster CSV, by SFTP or upload.")
    scope: Scope = Field(default_factory=Scope, description="Which records are taken. Default: all of them.")
    fields: FieldChoice = Field(default_factory=FieldChoice, description="Which fields are kept. Default: all of them.")
    role_mapping: Annotated[dict[str, Role], Field(max_length=64)] = Field(
        default_factory=dict, description='Roles as the source has them, and what they are taken as: "ext:para": aide.'
    )
    database_secret_ref: DatabaseRef | None = Field(
        default=None, description="The Secret with stage-url and merge-url. Default: from the operator's configuration."
    )
    test_interval: Duration = Field(
        default="24h", description="How often the connection is tested. A good stage counts as a test."
    )
    automatic_sync: AutomaticSync | None = Field(
        default=None, description="When it is pulled by itself. In force after the first approved merge."
    )
    approved_plan: Digest | None = Field(
        default=None,
        description="Approval from Git on this long-lived object: the waiting plan with this digest is merged, also "
        "beyond limits. A digest approves one merge; status.pendingPlan has the next one.",
    )
    suspend: bool = Field(
        default=False,
        description="true: nothing new is begun, no test, no pull and no merge. What runs goes on, "
        "and so does an undo.",
    )
    limits: Limits = Field(default_factory=Limits, description="How much a sync may change before it is held.")
    retention: Retention = Field(
        default_factory=Retention, description="How long data is kept that no sync shows any more."
    )

    notify: Notify | None = Field(
        default=None,
        description="Who is told when a sync waits, is held, failed or merged, when a pause begins or ends, and when "
        "credentials expire. Counts, reasons and a link: nothing of the data.",
    )
    job_template: JobTemplate = Field(
        default_factory=JobTemplate,
        description="What this connection's Jobs ask for, above the operator's own setting.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="What becomes of the district's rows when this connection is deleted. Retain: they stay. Purge: a "
        "Job deletes every one of them, merged and staged, with their history; a receipt stays in the database.",
    )

    def tenant_of(self, namespace: str, name: str) -> str:
        """The tenant key: as given, else <namespace>.<name>."""
        return self.tenant or f"{namespace}.{name}"

    def secret(self) -> SecretUse | None:
        """The Secret that the source needs, or None where it needs none."""
        if self.api is not None:
            return self.api.auth.secret()
        if self.csv is not None and self.csv.sftp is not None:
            return self.csv.sftp.secret_ref.secret()
        return None


class Condition(Observed):
    """A Kubernetes condition (metav1.Condition)."""

    type: Annotated[str, Field(max_length=64)]
    status: Annotated[str, Field(max_length=7, pattern=r"^(True|False|Unknown)$")]
    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    # Printable ASCII: part of it came from outside, and it is printed on terminals.
    message: Annotated[str, Field(max_length=1024, pattern=r"^[ -~]*$")] = ""
    last_transition_time: datetime
    observed_generation: int | None = None


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of this type, if it is there."""
    return next((condition for condition in conditions if condition.type == kind), None)


class TestCheck(Observed):
    """One step of Test Connection. A step may be ok with a reason: worth a word, and no obstacle."""

    __test__ = False  # not a test of pytest's

    name: Annotated[str, Field(max_length=32)] = Field(
        description="Resolve, Connect, Token, Version, Read… in the order in which they were made."
    )
    ok: bool
    reason: Annotated[str, Field(max_length=64)] | None = None
    entity: Annotated[str, Field(max_length=32)] | None = Field(default=None, description="Read: what was read.")
    count: int | None = Field(default=None, description="Read: records that the source says it has.")


class Ledger(Observed):
    """What the database held of the tenant when it was last asked: it can only grow, or it was put back."""

    database: Annotated[str, Field(max_length=36)] = Field(description="The database's identity.")
    data_version: int = Field(description="The tenant's number of merges and of changes by hand.")
    run: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="The uid of the RosterSync that was merged last."
    )


class PendingPlan(Observed):
    """The plan that waits for a person."""

    sync: Annotated[str, Field(max_length=253)]
    digest: Annotated[str, Field(max_length=80)]
    short_digest: Annotated[str, Field(max_length=16)] = Field(
        default="", description="The digest's beginning, for tables."
    )
    summary: Annotated[str, Field(max_length=256)] = ""


class PurgeStatus(Observed):
    """The purge of a connection that is being deleted."""

    job: Annotated[str, Field(max_length=63)]
    attempt: int


class RosterConnectionStatus(Observed):
    """What the operator saw. Counts, never a name."""

    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list[Condition])
    version: Annotated[str, Field(max_length=16)] | None = None
    tenant: Annotated[str, Field(max_length=128)] | None = None
    counts: Annotated[dict[str, int], Field(max_length=16)] = Field(
        default_factory=dict[str, int], description="Records per entity that the source announced at the last test."
    )
    checks: Annotated[list[TestCheck], Field(max_length=24)] = Field(
        default_factory=list[TestCheck], description="The steps of the last test, permissions per entity among them."
    )
    server_max_page_size: int | None = Field(
        default=None, description="The most records that the server gave in one page."
    )
    certificate_expires: datetime | None = Field(
        default=None, description="When the first of the server's certificates ends."
    )
    credentials_expire: datetime | None = Field(
        default=None,
        description="When the first of the credentials ends, as the Secret, the token or PostgreSQL says.",
    )
    clock_skew_seconds: int | None = Field(
        default=None, description="By how much the server's clock is ahead of ours; less than 0: behind."
    )
    last_test_time: datetime | None = None
    last_handled_test_request: Annotated[str, Field(max_length=64)] | None = None
    next_test_time: datetime | None = None
    test_job: Annotated[str, Field(max_length=63)] | None = None
    pending_plan: PendingPlan | None = None
    spent_plans: Annotated[list[Digest], Field(max_length=16)] = Field(
        default_factory=list[Digest], description="Digests that stood in approvedPlan and were merged, the latest last."
    )
    last_sync: Annotated[str, Field(max_length=253)] | None = None
    last_merged_time: datetime | None = None
    last_full_merged_time: datetime | None = None
    last_pulled_time: datetime | None = Field(default=None, description="When the newest merged pull was pulled.")
    last_undone_time: datetime | None = Field(
        default=None,
        description="When an undo was merged last. Until a pull from after it is merged, no policy approves a sync.",
    )
    ledger: Ledger | None = Field(
        default=None, description="What the database was last known to hold. Every step compares."
    )
    ledger_time: datetime | None = Field(default=None, description="When that was known.")
    database_rewound_time: datetime | None = Field(
        default=None,
        description="When the database was found to hold less than it had. Gone when a plan that says so was merged, "
        "or when a later test finds everything in its place.",
    )
    next_sync: datetime | None = Field(default=None, description="When the next automatic sync is made.")
    automatic: AutomaticStatus | None = None
    notices: Notified | None = Field(default=None, description="What people were told.")
    purge: PurgeStatus | None = None

    @property
    def undone(self) -> bool:
        """An undo was merged, and no pull from after it."""
        if self.last_undone_time is None:
            return False
        return self.last_pulled_time is None or self.last_pulled_time <= self.last_undone_time
