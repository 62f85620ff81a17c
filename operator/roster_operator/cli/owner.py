"""What the database's owner does: the schema, the tenants, and the application's and the console's logins."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated

import typer

from roster_operator.api.task import MERGE_URL_KEY, STAGE_URL_KEY
from roster_operator.store import console_logins, erase, readers, retention, tenants
from roster_operator.store import migrate as migrating

from .manifests import secret_manifest
from .output import Output, console, print_json
from .shared import OutputOption, OwnerDatabase, me, told

tenant_app = typer.Typer(no_args_is_help=True, help="Tenants and their database logins. Needs the owner's URL.")
reader_app = typer.Typer(no_args_is_help=True, help="The application's own logins. Needs the owner's URL.")
console_app = typer.Typer(no_args_is_help=True, help="The console's login to the database. Needs the owner's URL.")

Tenant = Annotated[str, typer.Argument(help="The key of the district's rows.")]
User = Annotated[str, typer.Argument(metavar="SOURCEDID", help="The person's sourcedId.")]


def migrate(database: OwnerDatabase) -> None:
    """Bring the database's schema up to date. Needs the owner's URL."""
    with told():
        applied = migrating.migrate(database)
        exposed = migrating.exposures(database)
    for migration in applied:
        console.print(f"applied {migration.name}", highlight=False)
    console.print(f"Schema version {migrating.newest_version()}.", highlight=False)
    for each in exposed:
        console.print(
            f"PostgreSQL's log can show personal data: {each.what} ({each.logins} logins; {', '.join(each.settings)}).",
            highlight=False,
        )
    if exposed:
        console.print("What to set: docs/how-to/postgresql-log.md", highlight=False)


@tenant_app.command("create")
def tenant_create(
    tenant: Annotated[str, typer.Argument(help="The key of the district's rows: spec.tenant, or <namespace>.<name>.")],
    database: OwnerDatabase,
    namespace: Annotated[str, typer.Option(help="Namespace of the Secret.")] = "default",
    secret_name: Annotated[str, typer.Option(help="Name of the Secret.")] = "roster-database",  # noqa: S107
    host: Annotated[
        str | None, typer.Option(help="Host and port that the cluster reaches the database by, where yours differ.")
    ] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="New passwords for a tenant that exists.")] = False,
) -> None:
    """Make a tenant with its two logins, and print the Secret for its namespace: pipe it into kubectl apply."""
    with told():
        logins = tenants.create(database, tenant, rotate=rotate, host=host)
        typer.echo(
            secret_manifest(secret_name, namespace, {STAGE_URL_KEY: logins.stage_url, MERGE_URL_KEY: logins.merge_url}),
            nl=False,
        )


@tenant_app.command("list")
def tenant_list(database: OwnerDatabase) -> None:
    """List the tenants."""
    with told():
        for tenant in tenants.listing(database):
            console.print(
                f"{tenant.tenant}  merges: {tenant.data_version}  connection: {tenant.claimed_by or 'nobody'}",
                highlight=False,
            )


@tenant_app.command("release")
def tenant_release(tenant: str, database: OwnerDatabase) -> None:
    """Free a tenant, so that another connection may take it. Its rows stay."""
    with told():
        freed = tenants.release(database, tenant)
    console.print("Released." if freed else "It was free.")


@tenant_app.command("drop")
def tenant_drop(
    tenant: Tenant,
    database: OwnerDatabase,
    confirm: Annotated[str, typer.Option("--confirm", help="The tenant's key once more.")],
    reason: Annotated[str | None, typer.Option(help="Why; kept in the receipt.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Erase a district for good: its rows, its history, what is staged, its two logins. Prints a receipt."""
    if confirm != tenant:
        raise typer.BadParameter("it is not the tenant's key", param_hint="--confirm")
    with told():
        receipt = erase.district(database, tenant, by=me(), reason=reason)
    _print_receipt(receipt, output)


def erase_person(
    tenant: Tenant,
    user: User,
    database: OwnerDatabase,
    discard_staged: Annotated[
        bool,
        typer.Option(
            "--discard-staged",
            help="End the district's waiting syncs and delete its uploads: they may hold the person.",
        ),
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the receipt.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Erase one person for good, history included, and print a receipt. Take them out of the SIS first."""
    with told():
        receipt = erase.person(database, tenant, user, by=me(), reason=reason, discard_staged=discard_staged)
    _print_receipt(receipt, output)


def reap(
    database: OwnerDatabase,
    staged_days: Annotated[int, typer.Option(min=1, max=3650, help="Discard what has been staged for longer.")] = 30,
    output: OutputOption = Output.TABLE,
) -> None:
    """Apply retention to every tenant, and clear what dead clusters left staged. Made for a CronJob."""
    with told():
        done = retention.reap(database, staged_days=staged_days)
    if output is Output.JSON:
        print_json("Reaped", {"tenants": [{**asdict(each), "rows": each.rows} for each in done]})
        return
    for each in done:
        rows = ", ".join(f"{count} {entity}" for entity, count in each.rows.items()) or "no records"
        what = (
            "busy, left for next time"
            if each.busy
            else (
                f"removed {rows}; {each.history} entries of history, {each.runs} old runs, {each.stages} overdue stages"
            )
        )
        # One line a tenant, also in the log of a pod, which is as wide as nothing.
        console.print(f"{each.tenant}  {what}", highlight=False, soft_wrap=True)


def _print_receipt(receipt: erase.Receipt, output: Output) -> None:
    if output is Output.JSON:
        print_json("ErasureReceipt", {"receipt": str(receipt.receipt), "rows": receipt.rows})
        return
    for table, count in receipt.rows.items():
        console.print(f"{table}  {count}", highlight=False)
    console.print(f"Receipt {receipt.receipt}", highlight=False)


@reader_app.command("create")
def reader_create(
    login: Annotated[str, typer.Argument(help="Name of the new PostgreSQL role.")],
    database: OwnerDatabase,
    tenant: Annotated[list[str], typer.Option("--tenant", help="A tenant that it may read. Repeat for more.")] = [],  # noqa: B006  typer copies it
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="Every tenant, future ones too.")] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of the Secret.")] = "default",
    secret_name: Annotated[str, typer.Option(help="Name of the Secret.")] = "roster-reader",  # noqa: S107
    host: Annotated[
        str | None, typer.Option(help="Host and port that the application reaches the database by, where yours differ.")
    ] = None,
) -> None:
    """Make a login that reads the views of roster_app, and print its Secret (key url)."""
    if all_tenants == bool(tenant):
        raise typer.BadParameter("one of --tenant and --all-tenants is needed", param_hint="--tenant")
    with told():
        url = readers.create(database, login, None if all_tenants else tenant, host=host)
        typer.echo(secret_manifest(secret_name, namespace, {"url": url}), nl=False)


@reader_app.command("list")
def reader_list(database: OwnerDatabase) -> None:
    """List the application's logins."""
    with told():
        for reader in readers.listing(database):
            seen = "every tenant" if reader.tenants is None else ", ".join(reader.tenants)
            console.print(f"{reader.login}  reads: {seen or 'nothing'}", highlight=False)


@reader_app.command("drop")
def reader_drop(login: str, database: OwnerDatabase) -> None:
    """Take a login away."""
    with told():
        readers.drop(database, login)
    console.print("Dropped.")


@console_app.command("create")
def console_login_create(
    database: OwnerDatabase,
    login: Annotated[str, typer.Option(help="Name of the PostgreSQL role.")] = "roster_console_login",
    namespace: Annotated[str, typer.Option(help="Namespace of the Secret: the console's.")] = "roster-system",
    secret_name: Annotated[str, typer.Option(help="Name of the Secret.")] = "roster-console",  # noqa: S107
    host: Annotated[
        str | None, typer.Option(help="Host and port that the cluster reaches the database by, where yours differ.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="A new password and a new key for a login that exists.")
    ] = False,
) -> None:
    """Make the console's own login, and print its Secret: pipe it into kubectl apply.

    Its keys are url and session-key, which closes the sessions that the console keeps in the database. A console takes
    new ones when it is started again; with a new session-key everybody signs in once more.
    """
    with told():
        url = console_logins.create(database, login, rotate=rotate, host=host)
        values = {"url": url, "session-key": secrets.token_urlsafe(48)}
        typer.echo(secret_manifest(secret_name, namespace, values), nl=False)


@console_app.command("drop")
def console_login_drop(login: str, database: OwnerDatabase) -> None:
    """Take a console's login away."""
    with told():
        console_logins.drop(database, login)
    console.print("Dropped.")
