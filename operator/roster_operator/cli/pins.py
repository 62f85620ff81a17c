"""`roster pin`: values that people set against the SIS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from roster_operator.store import pins as store

from .cluster.place import District, PlaceOptions, records
from .cluster.records import plain
from .cluster.shared import note
from .grouped import grouped
from .output import Output, print_json
from .shared import OutputOption, me, told

pin_app = typer.Typer(
    no_args_is_help=True,
    help="Values that syncs leave alone. In a cluster through the console; with --database by the owner's URL.",
)

Entity = Annotated[str, typer.Argument(help="As the standard names it: users, classes, orgs and so on.")]
SourcedId = Annotated[str, typer.Argument(metavar="SOURCEDID", help="The record's sourcedId.")]
Field = Annotated[str, typer.Argument(help="The column, as in the database: given_name, email and so on.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]


@pin_app.command("set")
@grouped
def pin_set(
    district: District,
    entity: Entity,
    sourced_id: SourcedId,
    field: Field,
    value: Annotated[str | None, typer.Option("--value", help="The value; of a list, with commas.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="No value at all.")] = False,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day on which it holds no more (UTC).")
    ] = None,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Give a record of the SIS another value at once, and keep it so, whatever syncs bring."""
    if (value is None) == (not empty):
        raise typer.BadParameter("one of --value and --empty is needed", param_hint="--value")
    if where.database is None:
        target = {"entity": entity, "sourcedId": sourced_id, "field": field, "reason": reason}
        wanted = {**target, "value": value, "until": f"{until:%Y-%m-%d}" if until else None}
        with records(district, where.cluster) as there:
            there.change("POST", "pins", wanted)
    else:
        ends = until.replace(tzinfo=UTC) if until else None
        with told():
            given = None if value is None else store.parsed(entity, field, value)
            store.put(where.database, district, entity, sourced_id, field, given, by=me(), reason=reason, until=ends)
    typer.echo("Pinned.")


@pin_app.command("release")
@grouped
def pin_release(
    district: District,
    entity: Entity,
    sourced_id: SourcedId,
    field: Field,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Let the SIS have its way again: the next sync that shows the record takes its value."""
    if where.database is None:
        target = {"entity": entity, "sourcedId": sourced_id, "field": field, "reason": reason}
        with records(district, where.cluster) as there:
            there.change("POST", "pins/release", target)
    else:
        with told():
            store.release(where.database, district, entity, sourced_id, field, by=me(), reason=reason)
    typer.echo("Released.")


@pin_app.command("list")
@grouped
def pin_list(
    district: District,
    entity: Annotated[str | None, typer.Option(help="Only of this entity.")] = None,
    sourced_id: Annotated[str | None, typer.Option("--id", help="Only of the record with this sourcedId.")] = None,
    *,
    where: PlaceOptions,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the pinned values. They are personal data; that you looked is recorded in a cluster."""
    if where.database is None:
        with records(district, where.cluster) as there:
            items: list[dict[str, Any]] = there.read("pins", entity=entity, id=sourced_id)["items"]
        found = [{**dict.fromkeys(("value", "until", "reason")), **each} for each in items]
    else:
        with told():
            found = [_stored(each) for each in store.listing(where.database, district, entity, sourced_id)]
    if output is Output.JSON:
        print_json("Pins", {"pins": found})
        return
    for each in found:
        until = f" until {each['until'][:10]}" if each["until"] else ""
        state = "released, the SIS's value comes with the next sync" if each["released"] else f"pinned{until}"
        shown = plain(each["value"]) or "-"
        typer.echo(f"{each['entity']} {plain(each['sourcedId'])}  {each['field']} = {shown}  {state}, "
                   f"by {plain(each['pinnedBy'])}")  # fmt: skip
    if not found:
        note("Nothing is pinned.")


def _stored(each: store.Pin) -> dict[str, Any]:
    return {
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
