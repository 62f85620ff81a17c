"""`roster student`: somebody who arrives today and is not in the SIS yet."""

from __future__ import annotations

from typing import Annotated

import typer

from roster_operator.store import manual

from .output import console
from .shared import OwnerDatabase, me, told

student_app = typer.Typer(
    no_args_is_help=True,
    help="Students who are added by hand. Needs the owner's URL. No sync changes them before the SIS has them.",
)

Tenant = Annotated[str, typer.Argument(help="The key of the district's rows.")]
SourcedId = Annotated[str, typer.Argument(metavar="SOURCEDID", help="The student's sourcedId, as `add` printed it.")]
Given = Annotated[str, typer.Option("--given-name", help="Given name.")]
Family = Annotated[str, typer.Option("--family-name", help="Family name.")]
School = Annotated[str, typer.Option("--school", help="sourcedId of the school.")]
Middle = Annotated[str | None, typer.Option("--middle-name", help="Middle name.")]
Email = Annotated[str | None, typer.Option("--email", help="E-mail address.")]
Username = Annotated[str | None, typer.Option("--username", help="User name.")]
Identifier = Annotated[
    str | None, typer.Option("--identifier", help="The student number; by it the student is found again in the SIS.")
]
Grade = Annotated[list[str], typer.Option("--grade", help="A grade. Repeat for more.")]
Class = Annotated[list[str], typer.Option("--class", help="sourcedId of a class. Repeat for more.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]


@student_app.command()
def add(
    tenant: Tenant,
    database: OwnerDatabase,
    given_name: Given,
    family_name: Family,
    school: School,
    middle_name: Middle = None,
    email: Email = None,
    username: Username = None,
    identifier: Identifier = None,
    grade: Grade = [],  # noqa: B006  typer copies it
    class_: Class = [],  # noqa: B006
    reason: Reason = None,
) -> None:
    """Add a student, and print the new sourcedId. Access to the application is granted for itself."""
    student = manual.Student(
        given_name, family_name, school, middle_name, email, username, identifier, tuple(grade), tuple(class_)
    )
    with told():
        typer.echo(manual.add(database, tenant, student, by=me(), reason=reason))


@student_app.command()
def edit(
    tenant: Tenant,
    sourced_id: SourcedId,
    database: OwnerDatabase,
    given_name: Given,
    family_name: Family,
    school: School,
    middle_name: Middle = None,
    email: Email = None,
    username: Username = None,
    identifier: Identifier = None,
    grade: Grade = [],  # noqa: B006
    class_: Class = [],  # noqa: B006
    reason: Reason = None,
) -> None:
    """Say anew everything that is known of a student who was added by hand. What is left out is emptied."""
    student = manual.Student(
        given_name, family_name, school, middle_name, email, username, identifier, tuple(grade), tuple(class_)
    )
    with told():
        manual.edit(database, tenant, sourced_id, student, by=me(), reason=reason)
    console.print("Changed.")


@student_app.command()
def end(tenant: Tenant, sourced_id: SourcedId, database: OwnerDatabase, reason: Reason = None) -> None:
    """Deactivate a student who was added by hand, with their enrollments."""
    with told():
        manual.end(database, tenant, sourced_id, by=me(), reason=reason)
    console.print("Ended.")
