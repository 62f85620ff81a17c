"""The stage step: pull everything, stage what changed, seal it, compute the plan. Merged rows are not touched."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psycopg

from roster_operator.api.limits import LimitHit, Limits
from roster_operator.api.sync import Mode
from roster_operator.oneroster.choices import EVERYTHING, Choices
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.source import Source
from roster_operator.store import findings, issue_history, origins, runs, successions
from roster_operator.store import plan as plans
from roster_operator.store.conflicts import UNDO
from roster_operator.store.errors import DiscardedError, FencedError, StoreError, translated
from roster_operator.store.ledger import Rewound
from roster_operator.store.plan import Plan
from roster_operator.store.runs import Run, RunName
from roster_operator.store.stage import Stage

from .choices import taken_by
from .decisions import Pull, beyond, holding, judge, removable
from .failures import DeltaNotEnoughError, failure_of
from .file_issues import OfFiles, file_issues, references_of
from .pull import EntityPull, KnownIds, Progress


@dataclass(frozen=True)
class Staged:
    """A plan that waits for a decision."""

    plan: Plan
    hits: list[LimitHit]
    version: str | None
    before: bool = False  # found staged already


@dataclass(frozen=True)
class AlreadyMerged:
    """The sync's name was merged before; nothing was pulled."""


@dataclass(frozen=True)
class Filled:
    """What a stage is sealed with: the facts of each entity, who may lose records, the version that was spoken, how
    the source names what refers to other records, and what of it was taken."""

    pull: dict[str, Any]
    removable: list[str] = field(default_factory=list[str])
    version: str | None = None
    references: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    taken: dict[str, Any] | None = None


def answer_before(conn: psycopg.Connection, name: RunName, limits: Limits) -> Staged | None:
    """What an earlier attempt of this run recorded, or None. Raises DiscardedError."""
    run = runs.find(conn, name.run)
    if run is None:
        return None
    if run.state == "Discarded":
        raise DiscardedError
    if run.state in {"Staged", "Merged"}:
        return recorded(run, limits)
    return None


def recorded(run: Run, limits: Limits) -> Staged:
    """The recorded plan of a run, judged by these limits."""
    plan = Plan.from_run(run)
    return Staged(plan, beyond(plan, limits), run.source_version, before=True)


def stage(
    source: Source,
    conn: psycopg.Connection,
    name: RunName,
    attempt: int,
    limits: Limits,
    progress: Progress,
    choices: Choices = EVERYTHING,
    origin: Mapping[str, Any] | None = None,
    rewound: Rewound | None = None,
    *,
    or_whole: bool = False,
) -> Staged:
    """Pull and stage. Safe to run again: a new attempt begins anew and fences the old one.

    origin: the facts of the file that the records come from, where they come from one. rewound: the database is behind
    what was known of it, and the plan says so. or_whole: where only a whole pull can tell whether records have come
    under another sourcedId, DeltaNotEnoughError is raised, and the caller reads everything.
    Raises OneRosterError, StoreError; then nothing is staged, and the database keeps the reason.
    """
    version = source.version

    def pull_and_judge(opened: Stage) -> Filled:
        if origin is not None:
            origins.record(conn, opened, origin)
        with _without_garbage_collection():
            pulls, active = _pull_all(source, conn, opened, choices, progress, or_whole=or_whole)
        marked = {entity: replace(pull, choices=choices.mark) for entity, pull in pulls.items()}
        judged = judge(marked, active)
        may_lose = removable(judged)
        if choices.scoped:
            opened.close_scope(
                sorted(choices.schools),
                enrolled_only=choices.enrolled_only,
                untaken=choices.untaken,
                removable=may_lose,
                partial=[entity for entity, pull in judged.items() if pull.delta or not pull.pulled],
            )
        facts = {entity: pull.to_dict() for entity, pull in judged.items()}
        return Filled(facts, may_lose, version, references_of(source), taken_by(choices))

    def is_enough(plan: Plan) -> None:
        # People are told apart one by one, before.
        if or_whole and any(hit.limit == "rekeyed" and hit.entity != Entity.USERS for hit in beyond(plan, limits)):
            raise DeltaNotEnoughError

    return planned(conn, name, attempt, limits, pull_and_judge, rewound, is_enough)


def planned(
    conn: psycopg.Connection,
    name: RunName,
    attempt: int,
    limits: Limits,
    fill: Callable[[Stage], Filled],
    rewound: Rewound | None = None,
    check: Callable[[Plan], None] = lambda _: None,
) -> Staged:
    """Open a stage, have it filled, seal it, and compute its plan. Where anything is raised, nothing stays staged.

    check: sees the plan before it is recorded, and may raise."""
    with translated():  # that it was staged before is told apart by whoever asked
        opened = Stage(conn, name, attempt)
    try:
        filled = fill(opened)
        opened.seal(filled.version, filled.pull, filled.removable)
        with conn.transaction():
            conn.execute("set transaction isolation level repeatable read")
            run = successions.propose(conn, name.run)
            plan = replace(
                _judged(conn, run, limits), rewound=rewound.to_dict() if rewound else None, taken=filled.taken
            )
        check(plan)
        if run.mode != Mode.UNDO:  # which has looked at no source
            issue_history.note(conn, run.run, run.token, filled.references)
            plan = replace(plan, trend=asdict(issue_history.trend(conn, run.run)))
        plans.record(conn, run, plan)
    except BaseException as error:
        # The connection may be what failed; a newer attempt or a discard cleans up then.
        ended = None
        with suppress(StoreError), translated():
            opened.fail(failure_of(error).reason)
            ended = _taken_away(conn, opened)
        if ended is not None and isinstance(error, (StoreError, psycopg.Error)):
            raise ended from None
        raise
    return Staged(plan, beyond(plan, limits), filled.version)


def _judged(conn: psycopg.Connection, run: Run, limits: Limits) -> Plan:
    """The plan of a sealed run, its removals left for a later one where the limits say so. An undo is never halved."""
    plan = findings.profiled(conn, run, plans.compute(conn, run), days=limits.window_days)
    held = holding(plan, limits) if run.mode != UNDO else []
    if held:
        waiting = replace(plans.compute(conn, run, hold=True), held=[hit.to_dict() for hit in held])
        schools = plan.profile["schools"]
        waiting = findings.profiled(conn, run, waiting, days=limits.window_days)
        # What waits is looked up by school too.
        plan = replace(waiting, profile=waiting.profile | {"schools": schools})
    return findings.checked(conn, run, plan)


def _taken_away(conn: psycopg.Connection, opened: Stage) -> StoreError | None:
    """Why the tables under a stage are gone: somebody dropped them, and a missing table alone does not say who."""
    run = runs.find(conn, opened.run)
    if run is not None and run.state == "Discarded":
        return DiscardedError()
    return FencedError() if run is not None and run.token != opened.token else None


def _pull_all(
    source: Source, conn: psycopg.Connection, opened: Stage, choices: Choices, progress: Progress, *, or_whole: bool
) -> tuple[dict[str, Pull], dict[str, int]]:
    pulls: dict[str, Pull] = {}
    active: dict[str, int] = {}
    known = KnownIds()
    for entity in Entity:
        pull = EntityPull(source, conn, opened, entity, known, choices, progress, or_whole=or_whole)
        active[entity.value] = pull.active
        pulls[entity.value] = pull.run()
    if isinstance(source, OfFiles):
        opened.issues(list(file_issues(source.findings)))
    return pulls, active


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Records make no cycles; looking for some in millions of them costs a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
