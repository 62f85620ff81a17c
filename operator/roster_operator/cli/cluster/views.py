"""What the commands print for people. Pure: objects, the time and the terminal's width go in, lines come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from roster_operator.api.scope import ScopedEntity, in_order
from roster_operator.api.sync import EntityCounts, Phase, PublishedPlan

from . import sentences
from .grid import Line, sentence, table
from .objects import Connection, Sync
from .sentences import Program

_TONES = {Phase.FAILED: "red", Phase.BLOCKED: "yellow", Phase.AWAITING_APPROVAL: "yellow", Phase.MERGED: "green"}
_ENTITIES = frozenset(entity.value for entity in ScopedEntity)
_COLUMNS = (
    ("RECEIVED", "received"),
    ("CREATE", "create"),
    ("UPDATE", "update"),
    ("DEACTIVATE", "deactivate"),
    ("REACTIVATE", "reactivate"),
    ("UNCHANGED", "unchanged"),
    ("INVALID", "invalid"),
)
_ALWAYS = ("received", "create", "update", "deactivate", "invalid")  # others only where they count something


def connection_lines(
    connection: Connection, syncs: Sequence[Sync], now: datetime, width: int | None, program: Program
) -> Iterator[Line]:
    """One connection: whether it works, what waits, what came last."""
    where = connection.metadata
    ready = connection.ready
    good = ready is not None and ready.status == "True"
    tone = "" if ready is None or connection.spec.suspend else "green" if good else "red"
    lead = f"{where.namespace}/{where.name}   {connection.source}   "
    yield from sentence(lead + sentences.readiness(connection, now), width, tone=tone)
    own = sentences.of_connection(syncs, connection)
    waiting = [sync for sync in own if sync.waits]
    for sync in waiting:
        yield from waiting_lines(sync, width, program)
    running = next((sync for sync in own if not sync.waits and not sync.ended), None)
    if running:
        yield from _told("Now", running, width)
    last = next((sync for sync in own if sync.ended), None)
    if last:
        yield from _told("Last", last, width)
    shown = waiting[0] if waiting else last
    if shown and shown.status.plan and shown.status.plan.entities:
        yield from plan_lines(shown.status.plan, width)
    if connection.status.next_sync:
        yield Line(f"Next     {moment(connection.status.next_sync)}, {sentences.ago(connection.status.next_sync, now)}")
    if not own:
        command = program.command("sync", where.name, namespace=where.namespace)
        yield from sentence(f"no sync yet; next: {command}", width, "Syncs    ")


def waiting_lines(sync: Sync, width: int | None, program: Program) -> Iterator[Line]:
    """A sync that waits for a person, and what to do."""
    where = sync.metadata
    yield from sentence(f"{where.name}: {sentences.headline(sync)}", width, "Waiting  ", "yellow")
    yield Line(f"         next: {program.command('review', where.name, namespace=where.namespace)}")


def _told(word: str, sync: Sync, width: int | None) -> list[Line]:
    text = f"{sync.metadata.name} {sync.status.phase.value}: {sentences.headline(sync)}"
    return sentence(text, width, word.ljust(9), _TONES.get(sync.status.phase, ""))


def plan_lines(plan: PublishedPlan, width: int | None) -> Iterator[Line]:
    """The plan's numbers. `!` marks what goes beyond a limit."""
    rows = in_order(plan.entities)
    columns = [
        (heading, field)
        for heading, field in _COLUMNS
        if field in _ALWAYS or any(getattr(counts, field) for _, counts in rows)
    ]
    hits = {(hit.entity, hit.limit) for hit in plan.limits}
    cells = [
        [entity, *(_number(counts, field, (entity, field) in hits) for _, field in columns)] for entity, counts in rows
    ]
    tones = ["yellow" if any(entity == hit for hit, _ in hits) else "" for entity, _ in rows]
    yield from table(["ENTITY", *(heading for heading, _ in columns)], cells, width, tones)
    if plan.checks:
        found = "   ".join(f"{code} {count:,} !" for code, count in sorted(plan.checks.items()))
        yield from sentence(found, width, "Checks   ")


def _number(counts: EntityCounts, field: str, hit: bool) -> str:
    return f"{getattr(counts, field):,}{' !' if hit else ''}"


def connections_table(
    connections: Sequence[Connection], syncs: Sequence[Sync], now: datetime, width: int | None, *, everywhere: bool
) -> list[Line]:
    """One line a connection."""
    rows: list[list[str]] = []
    tones: list[str] = []
    for one in sorted(connections, key=lambda each: (each.metadata.namespace, each.metadata.name)):
        ready, status = one.ready, one.status
        own = sentences.of_connection(syncs, one)
        waits = sum(sync.waits for sync in own)
        last = own[0].metadata.creation_timestamp if own else None
        rows.append(
            [
                *([one.metadata.namespace] if everywhere else []),
                one.metadata.name,
                one.source,
                "Suspended" if one.spec.suspend else ready.status if ready else "Unknown",
                ready.reason if ready else "NotTested",
                sentences.short(last, now),
                sentences.short(status.next_sync, now),
                str(waits or "-"),
                sentences.short(one.metadata.creation_timestamp, now),
            ]
        )
        tones.append("red" if ready and ready.status == "False" else "yellow" if waits else "")
    headings = ["NAME", "SOURCE", "READY", "REASON", "LAST SYNC", "NEXT SYNC", "WAITING", "AGE"]
    return table([*(["NAMESPACE"] if everywhere else []), *headings], rows, width, tones)


def history_table(syncs: Sequence[Sync], now: datetime, width: int | None) -> list[Line]:
    """One line a sync, newest first."""
    rows: list[list[str]] = []
    for sync in sentences.newest_first(syncs):
        plan, approval = sync.status.plan, sync.status.approval
        totals = [sum(int(getattr(row, field)) for row in plan.entities.values()) for field in _TOTALS] if plan else []
        rows.append(
            [
                sync.metadata.name,
                sync.spec.mode,
                sync.status.phase.value,
                *([f"{number:,}" for number in totals] or ["-"] * len(_TOTALS)),
                (approval.by or approval.via) if approval else "-",
                sentences.short(sync.metadata.creation_timestamp, now),
            ]
        )
    tones = [_TONES.get(sync.status.phase, "") for sync in sentences.newest_first(syncs)]
    headings = ["NAME", "MODE", "PHASE", "CREATE", "UPDATE", "REMOVE", "INVALID", "APPROVED BY", "AGE"]
    return table(headings, rows, width, tones)


_TOTALS = ("create", "update", "deactivate", "invalid")


def review_lines(sync: Sync, width: int | None, program: Program) -> Iterator[Line]:
    """A staged plan, what holds it, what was wrong with the data, and how to decide."""
    where, status, plan = sync.metadata, sync.status, sync.status.plan
    yield Line(f"{where.namespace}/{where.name}   {sync.spec.connection_ref.name}, {sync.spec.mode}", "")
    yield from sentence(sentences.headline(sync), width, f"{status.phase.value}: ", _TONES.get(status.phase, ""))
    if plan is None:
        return
    yield Line("")
    yield from plan_lines(plan, width)
    yield Line("")
    for hit in plan.limits:
        yield from sentence(hit.sentence, width, "Limit    ", "yellow")
    if plan.totals.deactivate or plan.removals.explained or plan.removals.unexplained:
        yield from sentence(removals_text(plan), width, "Removed  ")
    for hit in plan.held:
        yield from sentence(
            f"removals wait, the next sync plans them again: {hit.sentence}", width, "Held     ", "yellow"
        )
    if plan.schools_over_limit:
        over = plan.schools_over_limit
        text = (
            f"{sentences.plural(over.count, 'school')} beyond the limit, {over.worst_percent} % lost in the hardest hit"
        )
        yield from sentence(text, width, "Schools  ", "yellow")
    if not plan.complete:
        why = plan.incomplete_reason or "the pull could not be proved complete"
        yield from sentence(f"{why}: nothing is removed by this plan.", width, "Proof    ", "yellow")
    if plan.taken:
        yield from sentence(f"{plan.taken.sentence}.", width, "Taken    ")
    for issue in status.issues:
        # Of files, rows and columns are told of, not records.
        what = (
            f"{sentences.plural(issue.count)} of"
            if issue.entity in _ENTITIES
            else f"{sentences.plural(issue.count, 'time')} in"
        )
        text = f"{issue.code}: {what} {issue.entity}"
        yield from sentence(text, width, f"{issue.severity.capitalize():<9}")
    yield Line(f"Digest   {plan.digest}")
    if status.approval:
        by = (
            f" by {status.approval.by}{'' if status.approval.verified else ' (unverified)'}"
            if status.approval.by
            else ""
        )
        noted = f": {status.approval.note}" if status.approval.note else ""
        yield from sentence(f"{moment(status.approval.at)}{by}, via {status.approval.via}{noted}", width, "Approved ")
    if sync.waits:
        name, space = where.name, where.namespace
        yield Line("")
        yield Line(f"approve  {program.command('approve', name, '--plan', plan.digest, namespace=space)}")
        yield Line(f"reject   {program.command('reject', name, '--reason', 'say why', namespace=space)}")
        yield from sentence("The records, old and new, are shown by the console to those who may see them.", width)


def removals_text(plan: PublishedPlan) -> str:
    """Why records go."""
    gone = plan.removals
    parts = [
        f"{gone.explained:,} marked by the source",
        *([f"{gone.concluded:,} ended by themselves (no limit counts them)"] if gone.concluded else []),
        *([f"{gone.school_closed:,} gone with their school"] if gone.school_closed else []),
        *([f"{gone.out_of_scope:,} out of scope"] if gone.out_of_scope else []),
        *([f"{gone.undone:,} brought by what is undone"] if gone.undone else []),
        f"{gone.unexplained:,} unexplained",
    ]
    return ", ".join(parts)


def review_markdown(sync: Sync, program: Program) -> str:
    """The review as the text of a pull request. Counts only."""
    where, status, plan = sync.metadata, sync.status, sync.status.plan
    lines = [
        f"## Roster sync {where.namespace}/{where.name}",
        "",
        f"**{status.phase.value}**: {sentences.headline(sync)}",
    ]
    if plan is None:
        return "\n".join(lines) + "\n"
    fields = [field for _, field in _COLUMNS]
    lines += ["", f"| entity | {' | '.join(heading.lower() for heading, _ in _COLUMNS)} |"]
    lines += ["|---|" + "---:|" * len(fields)]
    hits = {(hit.entity, hit.limit) for hit in plan.limits}
    for entity, counts in in_order(plan.entities):
        cells = (_number(counts, field, (entity, field) in hits) for field in fields)
        lines.append(f"| {entity} | {' | '.join(cells)} |")
    lines.append("")
    lines += [f"- Beyond limits: {sentences.limit(hit, plan.removals)}" for hit in plan.limits]
    lines += [f"- Removals wait, the next sync plans them again: {hit.sentence}" for hit in plan.held]
    if plan.totals.deactivate or plan.removals.explained or plan.removals.unexplained:
        lines.append(f"- Removed: {removals_text(plan)}")
    if not plan.complete:
        lines.append(f"- Not proved complete, so nothing is removed: {plan.incomplete_reason or 'no reason given'}")
    if plan.taken:
        lines.append(f"- Taken: {plan.taken.sentence}")
    lines += [f"- Check {code}: {count:,}" for code, count in sorted(plan.checks.items())]
    lines += [
        f"- {issue.severity.capitalize()} {issue.code}, {issue.entity}: {issue.count:,}" for issue in status.issues
    ]
    lines += [f"- Digest: `{plan.digest}`"]
    if sync.waits:
        command = program.command("approve", where.name, "--plan", plan.digest, "-o", "yaml", namespace=where.namespace)
        lines += ["", "To approve exactly this plan, commit what this prints:", "", f"    {command}"]
    return "\n".join(lines) + "\n"


def moment(time: datetime) -> str:
    """A time that means the same to everybody."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
