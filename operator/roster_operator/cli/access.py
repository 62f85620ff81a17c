"""`roster access`: who of the imported people may use the application."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from roster_operator.store import access as store

from .cluster.grid import table
from .cluster.place import ClusterOptions, District, PlaceOptions, records
from .cluster.records import plain
from .cluster.shared import note, show, width
from .grouped import grouped
from .output import Output, console, print_json
from .shared import WAITS, OutputOption, me, told

access_app = typer.Typer(
    no_args_is_help=True,
    help="Who may use the application. In a cluster through the console; with --database by the owner's URL.",
)
_MOST = 500  # that the console lists
User = Annotated[str, typer.Argument(metavar="SOURCEDID", help="The person's sourcedId.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept beside the grant.")]


@access_app.command("grant")
@grouped
def access_grant(
    district: District,
    user: User,
    permission: Annotated[list[str], typer.Option("--permission", help="A permission. Repeat for more.")],
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Let an imported person use the application, with these permissions instead of any they had."""
    if where.database is None:
        with records(district, where.cluster) as there:
            there.change("POST", "access/grant", {"user": user, "permissions": permission, "reason": reason})
    else:
        with told():
            store.grant(where.database, district, user, permission, by=me(), reason=reason)
    typer.echo("Granted.")


@access_app.command("revoke")
@grouped
def access_revoke(
    district: District,
    user: User,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """End a person's access."""
    if where.database is None:
        with records(district, where.cluster) as there:
            there.change("POST", "access/revoke", {"user": user, "reason": reason})
    else:
        with told():
            store.revoke(where.database, district, user, by=me(), reason=reason)
    typer.echo("Revoked.")


@access_app.command("invite")
@grouped
def access_invite(
    district: District,
    user: User,
    permission: Annotated[
        list[str] | None, typer.Option("--permission", help="Give access with it, as grant does. Repeat for more.")
    ] = None,
    reason: Reason = None,
    *,
    where: ClusterOptions,
) -> None:
    """Send a person who has access a link into the application, by e-mail. Exit 3: it was not sent, and waits."""
    with records(district, where) as there:
        asked = {"user": user, "permissions": permission or None, "reason": reason}
        said = there.change("POST", "access/invite", asked)
    if not said["sent"]:
        note(f"{said['reason']}: {said['message']} {said['next']} Access counts; invite again to send it.")
        raise typer.Exit(WAITS)
    typer.echo("Invited.")


@access_app.command("withdraw")
@grouped
def access_withdraw(
    district: District,
    user: User,
    *,
    where: ClusterOptions,
) -> None:
    """Let the link that a person was sent open nothing any more. Their access stays."""
    with records(district, where) as there:
        there.change("POST", "access/withdraw", {"user": user})
    typer.echo("Withdrawn.")


@access_app.command("list")
@grouped
def access_list(
    district: District,
    find: Annotated[
        str | None,
        typer.Option(help="In a cluster, instead: who could be given access, by a part of a name, an id or address."),
    ] = None,
    *,
    where: PlaceOptions,
    output: OutputOption = Output.TABLE,
) -> None:
    """List who has or had access. Treat the output as personal data; that you looked is recorded in a cluster."""
    if where.database is None:
        with records(district, where.cluster) as there:
            holders: list[dict[str, Any]] = there.read("access", candidates=find)["items"]
        found = [_holder(each) for each in holders]
        if output is Output.TABLE:
            _print_holders(found, searched=find is not None)
            return
    else:
        if find is not None:
            raise typer.BadParameter("only in a cluster", param_hint="--find")
        with told():
            found = [_stored(each) for each in store.listing(where.database, district)]
    if output is Output.JSON:
        print_json("AccessList", {"access": found})
        return
    for each in found:
        line = f"{each['userSourcedId']}  {', '.join(each['permissions'])}  {_state(each)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _stored(each: store.Access) -> dict[str, Any]:
    return {
        "userSourcedId": each.user_sourced_id,
        "permissions": list(each.permissions),
        "grantedBy": each.granted_by,
        "grantedAt": each.granted_at.isoformat(),
        "revokedBy": each.revoked_by,
        "revokedAt": each.revoked_at.isoformat() if each.revoked_at else None,
        "reason": each.reason,
        "effective": each.effective,
    }


def _holder(each: dict[str, Any]) -> dict[str, Any]:
    """As the console has them, under the names of the list without a cluster."""
    given = {key: each.get(key) for key in ("grantedBy", "grantedAt", "revokedAt")}
    person = {key: each.get(key) for key in ("name", "role", "email", "status")}
    known = {"userSourcedId": each["sourcedId"], "permissions": each.get("permissions") or []}
    return {**known, **given, "effective": each["effective"], **person}


def _print_holders(found: list[dict[str, Any]], *, searched: bool) -> None:
    if not found:
        note("Nobody like this is active." if searched else "Nobody has access, or had it.")
        return
    headings = ("SOURCEDID", "NAME", "ROLE", "PERMISSIONS", "STATE", "GRANTED BY")
    rows = [
        (*(plain(each[key]) for key in ("userSourcedId", "name", "role", "permissions")), _state(each),
         plain(each["grantedBy"]))
        for each in found
    ]  # fmt: skip
    show(table(headings, rows, width()))
    if len(found) >= _MOST and not searched:
        note(f"There may be more: the console lists {_MOST}.")


def _state(each: dict[str, Any]) -> str:
    if not each["grantedAt"]:
        return "no access"
    return "revoked" if each["revokedAt"] else "active" if each["effective"] else "rests: the person is not active"
