"""`roster pin` and `roster match`: values that people set against the SIS, and who is one person with whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from roster_operator.store import matches, pins

from .output import Output, console, print_json
from .shared import OutputOption, OwnerDatabase, me, told

pin_app = typer.Typer(no_args_is_help=True, help="Values that syncs leave alone. Needs the owner's URL.")
match_app = typer.Typer(
    no_args_is_help=True, help="People who were added by hand and may be in the SIS. Needs the owner's URL."
)

Tenant = Annotated[str, typer.Argument(help="The key of the district's rows.")]
Entity = Annotated[str, typer.Argument(help="As the standard names it: users, classes, orgs and so on.")]
SourcedId = Annotated[str, typer.Argument(metavar="SOURCEDID", help="The record's sourcedId.")]
Field = Annotated[str, typer.Argument(help="The column, as in the database: given_name, email and so on.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]
Manual = Annotated[str, typer.Argument(metavar="MANUAL", help="sourcedId of the person who was added by hand.")]
Sis = Annotated[str, typer.Argument(metavar="SIS", help="sourcedId of the person of the SIS.")]


@pin_app.command("set")
def pin_set(
    tenant: Tenant,
    entity: Entity,
    sourced_id: SourcedId,
    field: Field,
    database: OwnerDatabase,
    value: Annotated[str | None, typer.Option("--value", help="The value; of a list, with commas.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="No value at all.")] = False,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day on which it holds no more (UTC).")
    ] = None,
    reason: Reason = None,
) -> None:
    """Give a record of the SIS another value at once, and keep it so, whatever syncs bring."""
    if (value is None) == (not empty):
        raise typer.BadParameter("one of --value and --empty is needed", param_hint="--value")
    ends = until.replace(tzinfo=UTC) if until else None
    with told():
        given = None if value is None else pins.parsed(entity, field, value)
        pins.put(database, tenant, entity, sourced_id, field, given, by=me(), reason=reason, until=ends)
    console.print("Pinned.")


@pin_app.command("release")
def pin_release(
    tenant: Tenant, entity: Entity, sourced_id: SourcedId, field: Field, database: OwnerDatabase, reason: Reason = None
) -> None:
    """Let the SIS have its way again: the next sync that shows the record takes its value."""
    with told():
        pins.release(database, tenant, entity, sourced_id, field, by=me(), reason=reason)
    console.print("Released.")


@pin_app.command("list")
def pin_list(tenant: Tenant, database: OwnerDatabase, output: OutputOption = Output.TABLE) -> None:
    """List the pinned values. They are personal data."""
    with told():
        found = pins.listing(database, tenant)
    if output is Output.JSON:
        print_json(
            "Pins",
            {
                "pins": [
                    {
                        "entity": each.entity,
                        "sourcedId": each.sourced_id,
                        "field": each.field,
                        "value": each.value,
                        "until": each.until.isoformat() if each.until else None,
                        "pinnedBy": each.pinned_by,
                        "pinnedAt": each.pinned_at.isoformat(),
                        "reason": each.reason,
                        "released": each.released,
                    }
                    for each in found
                ]
            },
        )
        return
    for each in found:
        until = f" until {each.until:%Y-%m-%d}" if each.until else ""
        state = "released, the SIS's value comes with the next sync" if each.released else f"pinned{until}"
        line = f"{each.entity} {each.sourced_id}  {each.field} = {each.value}  {state}, by {each.pinned_by}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@match_app.command("list")
def match_list(
    tenant: Tenant,
    database: OwnerDatabase,
    decided: Annotated[bool, typer.Option("--decided", help="What was decided, instead.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List who may be one person: by e-mail or name you decide; by identifier the next sync links them by itself."""
    with told():
        found = [] if decided else matches.listing(database, tenant)
        known = matches.decisions(database, tenant) if decided else []
    if output is Output.JSON:
        print_json(
            "Matches",
            {
                "matches": [{"manual": each.manual, "sis": each.sis, "basis": each.basis} for each in found],
                "decisions": [
                    {
                        "manual": each.manual,
                        "sis": each.sis,
                        "linked": each.linked,
                        "by": each.by,
                        "reason": each.reason,
                        "at": each.at.isoformat(),
                    }
                    for each in known
                ],
            },
        )
        return
    for each in found:
        console.print(f"{each.manual}  may be  {each.sis}  by {each.basis}", highlight=False, soft_wrap=True)
    for each in known:
        state = "is" if each.linked else "is not"
        line = f"{each.manual}  {state}  {each.sis}  said {each.by or 'a sync'}, {each.at:%Y-%m-%d}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@match_app.command("accept")
def match_accept(tenant: Tenant, manual: Manual, sis: Sis, database: OwnerDatabase, reason: Reason = None) -> None:
    """They are one person: access, ids in use and enrollments made by hand go over to the SIS's record at once."""
    with told():
        matches.accept(database, tenant, manual, sis, by=me(), reason=reason)
    console.print("Linked.")


@match_app.command("reject")
def match_reject(tenant: Tenant, manual: Manual, sis: Sis, database: OwnerDatabase, reason: Reason = None) -> None:
    """They are two people: no sync links them."""
    with told():
        matches.reject(database, tenant, manual, sis, by=me(), reason=reason)
    console.print("Kept apart.")


@match_app.command("undo")
def match_undo(tenant: Tenant, manual: Manual, sis: Sis, database: OwnerDatabase, reason: Reason = None) -> None:
    """Take a decision back, or what a sync linked by identifier."""
    with told():
        parted = matches.undo(database, tenant, manual, sis, by=me(), reason=reason)
    console.print("They are two again, and no sync links them." if parted else "Undecided again.")
