"""The commands. Exit codes: 0 done, 1 failed, 2 used wrongly, 3 waits for a person."""

from __future__ import annotations

import ipaddress
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from roster_operator import __version__
from roster_operator.api.sync import Mode
from roster_operator.api.task import Policy
from roster_operator.store.merge import PlanChanged
from roster_operator.store.tables import BY_ENTITY
from roster_operator.worker.decisions import beyond
from roster_operator.worker.inputs import ManifestSecret, NoSecret, SecretValues

from . import engine as engines
from . import holding, owner
from . import upload as uploading
from .access import access_app
from .cluster import acting, deciding, registration
from .cluster.deciding import ReviewOutput
from .cluster.shared import Context, Kubeconfig, Namespace, complete_connection, complete_sync
from .manifests import Connection, connection_from, secret_values
from .matches import match_app
from .output import (
    Output,
    changes_document,
    console,
    errors,
    plan_document,
    print_changes,
    print_json,
    print_plan,
    print_runs,
    print_staged,
    print_test,
)
from .pins import pin_app
from .problems import issues
from .shared import (
    FAILED,
    WAITS,
    AllowAddress,
    AllowInsecure,
    ConnectionFile,
    Database,
    MaybeConnectionFile,
    OutputOption,
    RunId,
    SecretFile,
    told,
)
from .students import student_app
from .undo import undo
from .upload import UploadDigest
from .validate import validate

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="School rosters into PostgreSQL: staged, reviewed, merged.",
)
app.command()(owner.migrate)
app.command("erase")(owner.erase_person)
app.command()(owner.reap)
app.command()(uploading.upload)
app.command()(issues)
app.command()(validate)
app.command()(undo)
app.add_typer(owner.tenant_app, name="tenant")
app.add_typer(owner.reader_app, name="reader")
app.add_typer(owner.console_app, name="console-login")
app.add_typer(access_app, name="access")
app.add_typer(student_app, name="student")
app.add_typer(pin_app, name="pin")
app.add_typer(match_app, name="match")
registration.register(app)


def _policy(allow_address: list[str], allow_insecure: bool) -> Policy:
    for cidr in allow_address:
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            raise typer.BadParameter(f"{cidr} is no CIDR range.", param_hint="--allow-address") from None
    return Policy(allow_addresses=allow_address, allow_insecure=allow_insecure)


def _source_secret(connection: Connection, filename: Path, secret: Path | None) -> SecretValues:
    use = connection.spec.secret()
    return NoSecret() if use is None else ManifestSecret(secret_values(secret or filename, use.name), use)


@app.command("test")
def check_connection(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CONNECTION", help="A RosterConnection of the cluster.", autocompletion=complete_connection
        ),
    ] = None,
    filename: MaybeConnectionFile = None,
    secret: SecretFile = None,
    database: Database = None,
    allow_address: AllowAddress = [],  # noqa: B006  typer copies it
    allow_insecure: AllowInsecure = False,
    wait: Annotated[bool, typer.Option("--wait", help="In a cluster: wait for the result.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="With --wait: seconds at most.")] = 300,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Test a connection, step by step: one of the cluster, or with -f that of a file. Nothing is stored."""
    if (name is None) == (filename is None):
        raise typer.BadParameter("either a CONNECTION of the cluster, or a file", param_hint="--filename")
    if filename is None:
        where = (namespace, context, kubeconfig)
        acting.check(name or "", wait=wait, timeout=timeout, output=output, cluster_options=where)
        return
    with told():
        connection = connection_from(filename)
        values = _source_secret(connection, filename, secret)
        with engines.engine(connection, database, _policy(allow_address, allow_insecure)) as engine:
            report = engine.test(values)
    if output is Output.JSON:
        print_json("Test", {"test": report.to_dict()})
    else:
        print_test(report)
        if report.ready:
            console.print(f"Ready: OneRoster {report.version}." if report.version else "Ready.")
    if not report.ready:
        raise typer.Exit(FAILED)


@app.command()
def stage(
    filename: ConnectionFile,
    secret: SecretFile = None,
    database: Database = None,
    allow_address: AllowAddress = [],  # noqa: B006
    allow_insecure: AllowInsecure = False,
    delta: Annotated[
        bool, typer.Option("--delta", help="Pull only what changed since the last merge. It finds no vanished records.")
    ] = False,
    upload: UploadDigest = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Pull everything, stage it, and print the plan. Nothing is merged; exit code 3: it waits for you."""
    with told():
        connection = connection_from(filename)
        values = _source_secret(connection, filename, secret)
        with (
            engines.engine(connection, database, _policy(allow_address, allow_insecure)) as engine,
            Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=errors,
                transient=True,
                disable=output is Output.JSON,
            ) as bars,
        ):
            tasks = {entity: bars.add_task(entity, total=None, start=False) for entity in BY_ENTITY}

            def progress(entity: str, records: int, total: int | None) -> None:
                bars.start_task(tasks[entity])
                bars.update(tasks[entity], completed=records, total=total)

            name, staged = engine.stage(values, progress, Mode.DELTA if delta else Mode.FULL, upload)
    print_staged(name, staged.plan, staged.hits, filename, output)
    raise typer.Exit(WAITS)


@app.command()
def review(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SYNC|RUN",
            help="A RosterSync of the cluster; with -f, a run's id as `roster stage` printed it.",
            autocompletion=complete_sync,
        ),
    ],
    filename: MaybeConnectionFile = None,
    database: Database = None,
    entity: Annotated[str | None, typer.Option(help=f"List the changes of one entity: {', '.join(BY_ENTITY)}.")] = None,
    action: Annotated[
        str | None,
        typer.Option(help="Only one action: create, vanished, newKey, pinned… (docs/how-to/limits.md)."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many records.")] = 20,
    held: Annotated[
        bool, typer.Option("--held", help="List the records that a limit holds; --entity: only of this one.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Annotated[
        ReviewOutput,
        typer.Option(
            "--output", "-o", help="table, json; in a cluster also yaml, markdown, csv; without one csv with --held."
        ),
    ] = ReviewOutput.TABLE,
) -> None:
    """Show a staged plan. With -f and --entity or --held also its records: those are personal data."""
    if filename is None:
        if entity is not None or action is not None or held:
            raise typer.BadParameter(
                "records of a cluster's sync: `roster diff`", param_hint="--held" if held else "--entity"
            )
        deciding.review(name, output, namespace, context, kubeconfig)
        return
    if output not in (ReviewOutput.TABLE, ReviewOutput.JSON, *([ReviewOutput.CSV] if held else [])):
        raise typer.BadParameter("with a file: table or json; with --held also csv", param_hint="--output")
    if held and action is not None:
        raise typer.BadParameter("a limit says which actions it is about", param_hint="--action")
    try:
        run = uuid.UUID(name)
    except ValueError:
        raise typer.BadParameter("with a file: a run's id, as `roster stage` printed it", param_hint="RUN") from None
    if entity is not None and entity not in BY_ENTITY:
        raise typer.BadParameter(f"one of {', '.join(BY_ENTITY)}", param_hint="--entity")
    if held:
        with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
            run_held, lists = engine.held(run, entity=entity, limit=limit)
        holding.show(run_held, lists, output)
        raise typer.Exit(WAITS)
    with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
        found, staged, changes = engine.review(run, entity=entity, action=action, limit=limit)
    if output is ReviewOutput.JSON:
        print_json(
            "Review",
            {
                "run": str(run),
                "sync": found.name,
                "state": found.state,
                **plan_document(staged.plan, staged.hits),
                "changes": changes_document(changes),
            },
        )
    else:
        console.print(f"{found.name}: {found.state}", highlight=False)
        print_plan(staged.plan, staged.hits)
        print_changes(changes)
    if found.state == "Staged":
        raise typer.Exit(WAITS)


@app.command()
def merge(
    run: RunId,
    filename: ConnectionFile,
    plan: Annotated[str, typer.Option("--plan", metavar="DIGEST", help="The digest of the plan that you approve.")],
    database: Database = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Merge exactly what was staged, if its plan still has this digest. Exit code 3: the plan is another one now."""
    with told():
        connection = connection_from(filename)
        with engines.engine(connection, database, Policy()) as engine:
            result = engine.merge(run, plan)
    changed = isinstance(result, PlanChanged)
    hits = beyond(result.plan, connection.spec.limits)
    if output is Output.JSON:
        version = None if isinstance(result, PlanChanged) else result.data_version
        print_json(
            "Merge",
            {"run": str(run), "merged": not changed, "dataVersion": version, **plan_document(result.plan, hits)},
        )
    elif isinstance(result, PlanChanged):
        print_plan(result.plan, hits)
        console.print(
            f"Not merged: the digest given is not that of the plan as it is now.\nDigest  {result.plan.digest}",
            highlight=False,
        )
    else:
        before = " It was merged before; nothing was done again." if result.before else ""
        console.print(f"Merged: data version {result.data_version}.{before}", highlight=False)
    if changed:
        raise typer.Exit(WAITS)


@app.command()
def discard(run: RunId, filename: ConnectionFile, database: Database = None) -> None:
    """Drop what is staged under a run. A merged run stays merged."""
    with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
        state = engine.discard(run)
    console.print(state)


@app.command()
def runs(
    filename: ConnectionFile,
    database: Database = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the runs of a connection, newest first."""
    with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
        found = engine.runs(limit)
    if output is Output.JSON:
        print_json(
            "Runs",
            {
                "runs": [
                    {
                        "run": str(r.run),
                        "sync": r.name,
                        "state": r.state,
                        "digest": r.digest,
                        "startedAt": r.started_at.isoformat(),
                    }
                    for r in found
                ]
            },
        )
    else:
        print_runs(found)


@app.command()
def demo(
    users: Annotated[int, typer.Option(min=100, max=1_000_000, help="People in the sample district.")] = 2000,
) -> None:
    """Show the whole story in seconds: a sample district, an embedded PostgreSQL, two syncs. Leaves nothing behind."""
    from .demo import tell  # noqa: PLC0415  needs the extra `demo`

    with told():
        tell(users)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
