"""RosterSync: one staged import, like a Job."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .connection import Condition, DatabaseRef
from .kinds import NOTE_LENGTH
from .limits import LimitHit, Limits
from .model import Digest, Duration, Model, Observed
from .scope import Role, Terms
from .sources import Name

# Text that came, in part, from outside: printable ASCII, so that no control code reaches a terminal by way of the API.
SafeText = Annotated[str, Field(max_length=1024, pattern=r"^[ -~]*$")]


class Mode(StrEnum):
    """What is pulled; with Undo nothing is."""

    FULL = "Full"
    DELTA = "Delta"
    UNDO = "Undo"


class UndoConflicts(StrEnum):
    """What an undo does with records that something changed since."""

    LEAVE = "Leave"
    OVERWRITE = "Overwrite"


class Phase(StrEnum):
    """Where a sync stands; derived from its conditions, for people's eyes."""

    PENDING = "Pending"
    STAGING = "Staging"
    AWAITING_APPROVAL = "AwaitingApproval"
    BLOCKED = "Blocked"
    MERGING = "Merging"
    MERGED = "Merged"
    REJECTED = "Rejected"
    FAILED = "Failed"
    EXPIRED = "Expired"
    SUPERSEDED = "Superseded"


FINAL = frozenset({Phase.MERGED, Phase.REJECTED, Phase.FAILED, Phase.EXPIRED, Phase.SUPERSEDED})
WAITING = frozenset({Phase.AWAITING_APPROVAL, Phase.BLOCKED})  # for a person


class ConnectionRef(Model):
    """A RosterConnection in the same namespace."""

    name: Name = Field(description="Name of the RosterConnection.")


class Rejected(Model):
    """A person's no."""

    reason: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="Why; kept in status and in the database."
    )


class IgnorePause(Model):
    """A person's reason not to wait for the end of a pause."""

    reason: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="Why; kept with the sync.")


class SyncSource(Model):
    """What this sync reads, where the connection alone does not say it."""

    upload: Digest | None = Field(
        default=None, description="Digest of an uploaded OneRoster CSV zip, for connections with csv.upload."
    )


class RosterSyncSpec(Model):
    """What a person asks for. All but the decision and the two times is immutable."""

    connection_ref: ConnectionRef = Field(description="The RosterConnection to pull from.")
    mode: Mode = Field(
        default=Mode.FULL,
        description="Full: everything is pulled. Delta: what changed since the last merged sync; it removes only what "
        "the source marks as tobedeleted. Undo: nothing is pulled; the plan takes back what the sync in undoes did.",
    )
    undoes: Name | None = Field(
        default=None, description="With mode Undo: the name of a merged sync of the same connection."
    )
    undo_conflicts: UndoConflicts | None = Field(
        default=None,
        description="With mode Undo, for records that something changed since. Leave (the default): they stay as they "
        "are. Overwrite: they get the values from before the undone sync.",
    )
    source: SyncSource | None = Field(default=None, description="What to read, for connections with csv.upload.")
    approved: bool = Field(default=False, description="true merges the plan that status shows.")
    approved_plan: Digest | None = Field(
        default=None,
        description="Approves only the plan with this digest; the only approval of a plan beyond its limits.",
    )
    rejected: Rejected | None = Field(default=None, description="Ends the sync without merging, with a trace.")
    limits: Limits | None = Field(default=None, description="Limits for this sync instead of the connection's.")
    ignore_pause: IgnorePause | None = Field(
        default=None, description="Stages and merges although the connection's pause windows say no."
    )
    staged_for: Duration = Field(
        default="168h",
        description="How long a plan waits for a person. Then the sync is Expired, and what it staged is discarded.",
    )
    ttl_after_finished: Duration = Field(
        default="720h",
        description="How long the object stays after it has ended. What Argo CD or Flux tracks is never deleted.",
    )

    @property
    def is_undo(self) -> bool:
        """It takes back what another sync did, and pulls nothing."""
        return self.mode is Mode.UNDO


class EntityCounts(Observed):
    """What a plan does to one entity, in records."""

    received: int = 0
    create: int = 0
    update: int = 0
    deactivate: int = 0
    reactivate: int = 0
    unchanged: int = 0
    invalid: int = 0
    out_of_scope: int = Field(default=0, description="Records that the source showed and that scope leaves out.")
    withheld: int = Field(default=0, description="Records that would go, had the pull been proved complete.")
    held: int = Field(default=0, description="Records that would go, but removals wait: see plan.held.")
    linked: int = Field(
        default=0, description="People who were added by hand and have come with the source; by an undo, parted."
    )
    rekeyed: int = Field(
        default=0,
        description="People, with their demographics and enrollments, that come under another sourcedId: they are "
        "neither created nor removed, and keep what hangs on them.",
    )
    pinned: int = Field(default=0, description="Records of which the source says something else than what is pinned.")

    @property
    def effects(self) -> str:
        """What a merge does by these counts, as the end of a sentence that begins with "it"."""
        parts = [
            f"{verb} {amount:,}"
            for verb, amount in (
                ("creates", self.create),
                ("updates", self.update),
                ("deactivates", self.deactivate),
                ("reactivates", self.reactivate),
                ("links", self.linked),
                ("re-keys", self.rekeyed),
            )
            if amount
        ]
        if not parts:
            return "changes nothing"
        return (", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]) + " records"


class Removals(Observed):
    """Deactivations by cause. `explained`: the source marks them as tobedeleted; `concluded`: they had ended by their
    own dates or those of their terms, and no limit counts them; `schoolClosed`: their school is gone; `outOfScope`: the
    connection's scope no longer takes them; `undone`: the sync that brought them is undone; `unexplained`: they simply
    vanished."""

    explained: int = 0
    concluded: int = 0
    school_closed: int = 0
    out_of_scope: int = 0
    undone: int = 0
    unexplained: int = 0


class Taken(Observed):
    """What of the source a plan was made from: scope, fields and roleMapping of the connection as they were then."""

    schools: int = Field(default=0, description="How many schools the scope names; 0: all are taken.")
    roles: Annotated[list[Role], Field(max_length=16)] = Field(
        default_factory=list[str], description="Of the people that are taken. Empty: all."
    )
    terms: Terms = Field(default=Terms.ALL)
    enrolled_only: bool = False
    entities: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=7)] = Field(
        default_factory=list[str], description="Entities that are taken. Empty: all."
    )
    omitted: Annotated[list[Annotated[str, Field(max_length=96)]], Field(max_length=16)] = Field(
        default_factory=list[str], description="Fields that are not."
    )
    role_mapping: Annotated[dict[str, Role], Field(max_length=8)] = Field(
        default_factory=dict[str, str], description="Roles, and what they are taken as."
    )
    more: int = Field(default=0, description="How many roles, fields and mapped roles have no room in these lists.")

    @property
    def sentence(self) -> str:
        """As people read it, without a period."""
        parts = [
            *([f"{self.schools:,} school{'' if self.schools == 1 else 's'}"] if self.schools else []),
            *([f"people who are {' or '.join(self.roles)}"] if self.roles else []),
            *(["terms of the school year that is under way"] if self.terms is Terms.CURRENT else []),
            *(["no student without an enrollment"] if self.enrolled_only else []),
            *([f"only {', '.join(self.entities)}"] if self.entities else []),
            *([f"without {', '.join(self.omitted)}"] if self.omitted else []),
            *(f"{role} as {taken_as}" for role, taken_as in self.role_mapping.items()),
            *([f"and {self.more:,} more such settings"] if self.more else []),
        ]
        return "; ".join(parts) or "everything"

    def without_one(self) -> bool:
        """Leaves one entry of the lists to the count of more. False where none is left."""
        if self.omitted:
            self.omitted.pop()
        elif self.role_mapping:
            self.role_mapping.popitem()
        elif self.roles:
            self.roles.pop()
        else:
            return False
        self.more += 1
        return True


class SchoolsOverLimit(Observed):
    """Schools that lose more than limits.perSchool allows; which ones stands in the database."""

    count: int = Field(default=0, description="Schools.")
    worst_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0, description="Per cent that the hardest hit one loses of an entity."
    )


class FieldChanges(Observed):
    """One field of one entity, in records that the plan updates: how many get another value, how many lose theirs."""

    entity: Annotated[str, Field(max_length=32)]
    field: Annotated[str, Field(max_length=64)]
    changed: int
    emptied: int = 0


class IssueTrend(Observed):
    """Problems of single records since the run before."""

    new: int = 0
    still: int = Field(default=0, description="Open before, and open now.")
    fixed: int = 0
    back: int = Field(default=0, description="Had been fixed, and are there again.")


class Rewound(Observed):
    """The database is older than it was: versions of the tenant's data, as known before and as found."""

    known: int
    found: int


class PlanSummary(Observed):
    """The plan, as counts. `complete` says whether the pull was proved complete; without it nothing is removed."""

    digest: Digest
    entities: Annotated[dict[str, EntityCounts], Field(max_length=16)] = Field(default_factory=dict[str, EntityCounts])
    removals: Removals = Field(default_factory=Removals)
    limits: Annotated[list[LimitHit], Field(max_length=16)] = Field(default_factory=list[LimitHit])
    held: Annotated[list[LimitHit], Field(max_length=8)] = Field(
        default_factory=list[LimitHit],
        description="The limits for which removals wait. The next sync plans them again.",
    )
    schools_over_limit: SchoolsOverLimit | None = None
    complete: bool = False
    incomplete_reason: Annotated[str, Field(max_length=256)] | None = None
    taken: Taken | None = Field(
        default=None, description="What of the source was taken, where that was not everything as it came."
    )
    first: bool = Field(default=False, description="No sync of this tenant was merged before.")
    rewound: Rewound | None = Field(
        default=None,
        description="The database was put back behind what had been merged. Only approvedPlan approves this plan.",
    )
    checks: Annotated[dict[str, int], Field(max_length=32)] = Field(
        default_factory=dict[str, int],
        description="What looks wrong in the result, by code (docs/reference/issues.md): warnings that hold nothing.",
    )
    field_changes: Annotated[list[FieldChanges], Field(max_length=5)] = Field(
        default_factory=list[FieldChanges], description="The five fields that change in most records."
    )
    new_privileged: int = Field(
        default=0, description="People who would newly be a principal or an administrator of any kind."
    )

    issue_trend: IssueTrend = Field(
        default_factory=IssueTrend, description="Problems of single records, compared to the run before."
    )

    def summed(self) -> EntityCounts:
        """The counts of all entities together."""
        rows = self.entities.values()
        return EntityCounts(**{name: sum(getattr(row, name) for row in rows) for name in EntityCounts.model_fields})


class PublishedPlan(PlanSummary):
    """A plan in status, and what was true of the spec when its digest was first published."""

    short_digest: Annotated[str, Field(max_length=16)] = Field(
        default="", description="The digest's beginning, for tables."
    )
    totals: EntityCounts = Field(default_factory=EntityCounts, description="The counts of all entities together.")
    generation: int = Field(default=0, description="metadata.generation when this digest was first published.")
    in_advance: bool = Field(
        default=False, description="approved was set before this plan was published and has not been unset since."
    )
    recomputed: bool = Field(default=False, description="Another merge came between: only approvedPlan approves it.")


class IssueCount(Observed):
    """One kind of problem, counted. Examples are in the database, for those who may read them."""

    code: Annotated[str, Field(max_length=64)]
    severity: Annotated[str, Field(max_length=7, pattern=r"^(error|warning|info)$")]
    entity: Annotated[str, Field(max_length=32)]
    count: int


class Approval(Observed):
    """The decision, latched: a tool that reverts the field undoes nothing."""

    digest: Digest
    at: datetime
    via: Annotated[str, Field(max_length=32)]  # approved | approvedPlan | inAdvance | connectionPlan | policy
    by: Annotated[str, Field(max_length=256)] | None = (
        None  # from the annotation; unverified until an admission policy holds it
    )
    verified: bool = False
    note: Annotated[str, Field(max_length=NOTE_LENGTH, pattern=r"^[ -~]*$")] | None = Field(
        default=None, description="What the approver, or a pipeline, wrote beside it; nobody has verified it."
    )


class Failure(Observed):
    """Why a step ended without its result."""

    reason: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    message: SafeText  # what is wrong, and what to do next
    retryable: bool = False


class JobRef(Observed):
    """The Job under way or last run. Written after the Job was created, so a Job that is gone was deleted."""

    step: Annotated[str, Field(max_length=16)] = Field(description="stage, merge or discard.")
    name: Annotated[str, Field(max_length=63)] = Field(description="The Job's name; derived, so it is found again.")
    attempt: int = Field(
        description="Counts all Jobs of this sync, whatever their step: a later Job fences an earlier."
    )
    losses: int = Field(default=0, description="Attempts of this step that ended without an answer.")
    digest: Digest | None = Field(default=None, description="merge: the digest this Job was told to merge.")
    since: datetime | None = Field(default=None, description="When the first attempt of this step was made.")


class Times(Observed):
    """When the phases were entered."""

    started: datetime | None = None
    pulled: datetime | None = Field(default=None, description="When the pull was staged, whatever became of its plan.")
    staged: datetime | None = Field(default=None, description="When the present plan was published.")
    approved: datetime | None = None
    finished: datetime | None = None


class RosterSyncStatus(Observed):
    """Counts, reasons, times: never a name, an e-mail address, a birth date or a sourcedId."""

    observed_generation: int | None = None
    phase: Phase = Phase.PENDING
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list[Condition])
    tenant: Annotated[str, Field(max_length=128)] | None = None
    database: DatabaseRef | None = None
    plan: PublishedPlan | None = None
    issues: Annotated[list[IssueCount], Field(max_length=10)] = Field(default_factory=list[IssueCount])
    approval: Approval | None = None
    failure: Failure | None = None
    job: JobRef | None = None
    times: Times = Field(default_factory=Times)
    data_version: int | None = Field(default=None, description="The tenant's number of merges after this one.")
    database_id: Annotated[str, Field(max_length=36)] | None = Field(
        default=None, description="The identity of the database that it was merged into."
    )
