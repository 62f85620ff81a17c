"""`diff`, `person`, `console`: records, which the console shows to those who may see them. It records who looked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from roster_operator.api.kinds import SERVICE
from roster_operator.cli.output import Output, changes_document, print_changes
from roster_operator.cli.shared import OutputOption
from roster_operator.store.review import ACTIONS, Change
from roster_operator.store.tables import BY_ENTITY

from .console import Console
from .grid import table
from .objects import Connection, Sync, one
from .problems import ClusterError
from .shared import (
    ConnectionName,
    ConsoleUrl,
    Context,
    Kubeconfig,
    Namespace,
    SyncName,
    note,
    open_cluster,
    show,
    show_json,
    told,
    width,
)

_LABEL = "app.kubernetes.io/component=console"
_LOCAL_PORT = 8090


def diff(
    name: SyncName,
    entity: Annotated[str, typer.Option(help=f"One of {', '.join(BY_ENTITY)}.")] = "users",
    action: Annotated[str | None, typer.Option(help=f"Only one of {', '.join(ACTIONS)}.")] = None,
    field: Annotated[
        str | None, typer.Option(help="Only where this column changes: given_name, email and so on.")
    ] = None,
    school: Annotated[str | None, typer.Option(help="Only of the school with this sourcedId.")] = None,
    search: Annotated[str | None, typer.Option(help="A part of a name, or an id or address.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many records.")] = 50,
    console: ConsoleUrl = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the records that a waiting sync would change, old and new. They are personal data, and it is recorded."""
    if entity not in BY_ENTITY:
        raise typer.BadParameter(f"one of {', '.join(BY_ENTITY)}", param_hint="--entity")
    if action is not None and action not in ACTIONS:
        raise typer.BadParameter(f"one of {', '.join(ACTIONS)}", param_hint="--action")
    if field is not None and field not in BY_ENTITY[entity].column_names:
        raise typer.BadParameter(f"one of {', '.join(BY_ENTITY[entity].column_names)}", param_hint="--field")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        one(cluster, Sync, name)  # a name that is nearly right is told so
        api = Console(console, cluster)
        found = list(
            api.changes(name, limit + 1, entity=entity, action=action, field=field, school=school, search=search)
        )
    changes = [_change(each) for each in found[:limit]]
    if output is Output.JSON:
        show_json("Diff", {"sync": name, "changes": changes_document(changes), "more": len(found) > limit})
        return
    print_changes(changes)
    if not changes:
        typer.echo("No record like this changes.")
    if len(found) > limit:
        note(f"There are more than {limit:,}: give --limit, or narrow it.")


def _change(body: dict[str, Any]) -> Change:
    fields = {each["field"]: (each.get("old"), each.get("new")) for each in body["fields"]}
    return Change(body["entity"], body["action"], body["sourcedId"], fields, body["label"], body.get("school"))


def person(
    connection: ConnectionName,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="A part of a name, or a whole id, user name or address.")
    ] = None,
    sourced_id: Annotated[str | None, typer.Option("--id", help="One person's story, by their sourcedId.")] = None,
    role: Annotated[str | None, typer.Option(help="Only this role: student, teacher and so on.")] = None,
    school: Annotated[str | None, typer.Option(help="Only of the school with this sourcedId.")] = None,
    console: ConsoleUrl = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Find people of a district; with --id, tell one person's story. They are personal data, and it is recorded."""
    if (text or role or school) and sourced_id:
        raise typer.BadParameter("either a search, or one person", param_hint="--id")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        one(cluster, Connection, connection)
        api = Console(console, cluster)
        if sourced_id:
            found = api.of_connection(connection, "people/person", id=sourced_id)
        else:
            found = api.of_connection(connection, "people", text=text, role=role, school=school, limit="100")
    if output is Output.JSON:
        show_json("Person" if sourced_id else "People", {"connection": connection, **found})
    elif sourced_id:
        _tell(found)
    else:
        rows = [
            (plain(each["sourcedId"]), plain(each["name"]), *(plain(each.get(key)) for key in ("role", "school")),
             each["status"], each["source"], "yes" if each["granted"] else "")
            for each in found["items"]
        ]  # fmt: skip
        headings = ("SOURCEDID", "NAME", "ROLE", "SCHOOL", "STATUS", "SOURCE", "ACCESS")
        show(table(headings, rows, width()))
        if found.get("after"):
            note("There are more: give more of the name, --role or --school.")


def _tell(story: dict[str, Any]) -> None:
    record, access = story["record"], story.get("access")
    school = f", {plain(story['school'])}" if story.get("school") else ""
    typer.echo(f"{plain(story['name'])}: {plain(record.get('role'))}{school}, {record['status']}, {record['source']}")
    for key, value in record.items():
        if value not in (None, "", [], {}):
            typer.echo(f"    {key}: {plain(value)}")
    if access:
        state = "counts" if access["effective"] else "does not count"
        typer.echo(f"Access, {state}: {plain(access['permissions'])}, granted by {plain(access['grantedBy'])}")
    for seat in story["classes"]:
        typer.echo(f"Class {plain(seat['classTitle'])}: {plain(seat['role'])}, {seat['status']}")
    for event in story["events"]:
        by = f" by {plain(event['by'])}" if event.get("by") else ""
        of = f" in {plain(event['sync'])}" if event.get("sync") else ""
        typer.echo(f"{event.get('at') or ''} {event['what']}{of}{by}".strip())


def plain(value: Any) -> str:
    """One line without control codes: a name comes from outside, and a terminal obeys them."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def console_address(
    console: ConsoleUrl = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where the console runs.")] = "roster-system",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say how to reach the console: its address, or the port-forward that leads to it."""
    if console:
        found, command, address = "", "", console
    else:
        with told():
            cluster = open_cluster(namespace, context, kubeconfig)
            services = list(cluster.items(SERVICE, namespace, labels=_LABEL))
            if not services:
                raise ClusterError(
                    "NoConsole",
                    f"The namespace {namespace} has no console.",
                    "Name another one with -n, or have the chart's console switched on "
                    "(docs/how-to/console-in-the-cluster.md).",
                )
            found, port = str(services[0]["metadata"]["name"]), services[0]["spec"]["ports"][0]
        given = (("--context", context), ("--kubeconfig", kubeconfig))
        options = "".join(f" {option} {value}" for option, value in given if value)
        command = f"kubectl{options} -n {namespace} port-forward service/{found} {_LOCAL_PORT}:{port['port']}"
        address = f"{'https' if port.get('name') == 'https' else 'http'}://localhost:{_LOCAL_PORT}"
    if output is Output.JSON:
        show_json("Console", {"address": address, "service": found or None, "portForward": command or None})
        return
    typer.echo(f"{command}\n{address}" if command else address)
