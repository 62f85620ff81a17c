"""`roster match`: who is one person with whom, of those who were added by hand and those of the SIS."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from roster_operator.store import matches as store

from .cluster.place import ClusterOptions, District, PlaceOptions, records
from .cluster.records import plain
from .cluster.shared import note
from .grouped import grouped
from .output import Output, print_json
from .shared import OutputOption, me, told

match_app = typer.Typer(
    no_args_is_help=True,
    help="People who were added by hand and may be in the SIS. In a cluster through the console; with --database by "
    "the owner's URL.",
)

Manual = Annotated[str, typer.Argument(metavar="MANUAL", help="sourcedId of the person who was added by hand.")]
Sis = Annotated[str, typer.Argument(metavar="SIS", help="sourcedId of the person of the SIS.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]


@match_app.command("list")
@grouped
def match_list(
    district: District,
    decided: Annotated[bool, typer.Option("--decided", help="What was decided, instead.")] = False,
    *,
    where: PlaceOptions,
    output: OutputOption = Output.TABLE,
) -> None:
    """List who may be one person: by e-mail or name you decide; by identifier the next sync links them by itself."""
    if where.database is None:
        with records(district, where.cluster) as there:
            said = there.read("matches")
        found = [] if decided else [_pair(each) for each in said["items"]]
        known = [_decision(each) for each in said["decisions"]] if decided else []
    else:
        with told():
            found = [] if decided else [_stored(each) for each in store.listing(where.database, district)]
            known = [_stored_decision(each) for each in store.decisions(where.database, district)] if decided else []
    if output is Output.JSON:
        print_json("Matches", {"matches": found, "decisions": known})
        return
    for each in found:
        typer.echo(f"{_who(each, 'manual')}  may be  {_who(each, 'sis')}  by {each['basis']}")
    for each in known:
        state = "is" if each["linked"] else "is not"
        by = f"said {plain(each['by']) or 'a sync'}, {each['at'][:10]}"
        typer.echo(f"{_who(each, 'manual')}  {state}  {_who(each, 'sis')}  {by}")
    if not found and not known:
        note("Nothing was decided." if decided else "Nobody is to be decided on.")


@match_app.command("accept")
@grouped
def match_accept(
    district: District,
    manual: Manual,
    sis: Sis,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """They are one person: access, ids in use and enrollments made by hand go over to the SIS's record at once."""
    if where.database is None:
        _decide("accept", district, manual, sis, reason, where.cluster)
    else:
        with told():
            store.accept(where.database, district, manual, sis, by=me(), reason=reason)
    typer.echo("Linked.")


@match_app.command("reject")
@grouped
def match_reject(
    district: District,
    manual: Manual,
    sis: Sis,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """They are two people: no sync links them."""
    if where.database is None:
        _decide("reject", district, manual, sis, reason, where.cluster)
    else:
        with told():
            store.reject(where.database, district, manual, sis, by=me(), reason=reason)
    typer.echo("Kept apart.")


@match_app.command("undo")
@grouped
def match_undo(
    district: District,
    manual: Manual,
    sis: Sis,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Take a decision back, or what a sync linked by identifier."""
    if where.database is None:
        _decide("undo", district, manual, sis, reason, where.cluster)
        typer.echo("Taken back. `match list` and `match list --decided` show how they stand.")
        return
    with told():
        parted = store.undo(where.database, district, manual, sis, by=me(), reason=reason)
    typer.echo("They are two again, and no sync links them." if parted else "Undecided again.")


def _decide(decision: str, district: str, manual: str, sis: str, reason: str | None, where: ClusterOptions) -> None:
    with records(district, where) as there:
        there.change("POST", f"matches/{decision}", {"manual": manual, "sis": sis, "reason": reason})


def _names(each: dict[str, Any]) -> dict[str, Any]:
    """Two people as the console has them: under the names of the list without a cluster, and what they are called."""
    manual, sis = each["manual"], each["sis"]
    called = {"manualName": manual["name"], "sisName": sis["name"]}
    return {"manual": manual["sourcedId"], "sis": sis["sourcedId"], **called}


def _pair(each: dict[str, Any]) -> dict[str, Any]:
    return {**_names(each), "basis": each["basis"]}


def _decision(each: dict[str, Any]) -> dict[str, Any]:
    return {**_names(each), **{key: each.get(key) for key in ("linked", "by", "reason", "at")}}


def _stored(each: store.Match) -> dict[str, Any]:
    return {"manual": each.manual, "sis": each.sis, "basis": each.basis}


def _stored_decision(each: store.Decision) -> dict[str, Any]:
    said = {"linked": each.linked, "by": each.by, "reason": each.reason, "at": each.at.isoformat()}
    return {"manual": each.manual, "sis": each.sis, **said}


def _who(each: dict[str, Any], which: str) -> str:
    name = each.get(f"{which}Name")
    return plain(each[which]) + (f" ({plain(name)})" if name and name != each[which] else "")
