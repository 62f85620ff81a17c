"""`roster student`: somebody who arrives today and is not in the SIS yet."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import typer

from roster_operator.store import manual

from .cluster.place import District, PlaceOptions, records
from .grouped import grouped
from .shared import me, told

student_app = typer.Typer(
    no_args_is_help=True,
    help="Students who are added by hand. No sync changes them before the SIS has them. In a cluster through the "
    "console; with --database by the owner's URL.",
)

SourcedId = Annotated[str, typer.Argument(metavar="SOURCEDID", help="The student's sourcedId, as `add` printed it.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]


@dataclass(frozen=True)
class StudentOptions:
    """Everything that is known of a student who is added by hand (grouped.py)."""

    given_name: Annotated[str, typer.Option("--given-name", help="Given name.")]
    family_name: Annotated[str, typer.Option("--family-name", help="Family name.")]
    school: Annotated[str, typer.Option("--school", help="sourcedId of the school.")]
    middle_name: Annotated[str | None, typer.Option("--middle-name", help="Middle name.")] = None
    email: Annotated[str | None, typer.Option("--email", help="E-mail address.")] = None
    username: Annotated[str | None, typer.Option("--username", help="User name.")] = None
    identifier: Annotated[
        str | None,
        typer.Option("--identifier", help="The student number; by it the student is found again in the SIS."),
    ] = None
    grade: Annotated[list[str], typer.Option("--grade", help="A grade. Repeat for more.")] = field(
        default_factory=list[str]
    )
    class_: Annotated[list[str], typer.Option("--class", help="sourcedId of a class. Repeat for more.")] = field(
        default_factory=list[str]
    )

    def student(self) -> manual.Student:
        """As the store takes it."""
        names = (self.given_name, self.family_name, self.school, self.middle_name)
        return manual.Student(*names, self.email, self.username, self.identifier, tuple(self.grade), tuple(self.class_))


class Emptied(StrEnum):
    """What may be empty, by its option."""

    MIDDLE_NAME = "middle-name"
    EMAIL = "email"
    USERNAME = "username"
    IDENTIFIER = "identifier"
    GRADE = "grade"
    CLASS = "class"


@dataclass(frozen=True)
class ChangeOptions:
    """What is to be another of such a student (grouped.py)."""

    given_name: Annotated[str | None, typer.Option("--given-name", help="Given name.")] = None
    family_name: Annotated[str | None, typer.Option("--family-name", help="Family name.")] = None
    school: Annotated[str | None, typer.Option("--school", help="sourcedId of the school.")] = None
    middle_name: Annotated[str | None, typer.Option("--middle-name", help="Middle name.")] = None
    email: Annotated[str | None, typer.Option("--email", help="E-mail address.")] = None
    username: Annotated[str | None, typer.Option("--username", help="User name.")] = None
    identifier: Annotated[str | None, typer.Option("--identifier", help="The student number.")] = None
    grade: Annotated[list[str], typer.Option("--grade", help="All grades from now on. Repeat for more.")] = field(
        default_factory=list[str]
    )
    class_: Annotated[
        list[str], typer.Option("--class", help="sourcedIds of all classes from now on. Repeat for more.")
    ] = field(default_factory=list[str])
    empty: Annotated[list[Emptied], typer.Option("--empty", help="Empty this one. Repeat for more.")] = field(
        default_factory=list[Emptied]
    )

    def changed(self) -> dict[str, Any]:
        """The fields of manual.Student that are named, and their values. Raises typer.BadParameter."""
        told = {_LISTS.get(key, key): value for key, value in asdict(self).items() if key != "empty" and value}
        empty = {_LISTS.get(each.name.lower(), each.name.lower()) for each in self.empty}
        if both := sorted(told.keys() & empty):
            raise typer.BadParameter(f"{', '.join(both)}: a value, or empty", param_hint="--empty")
        if any(value == "" for key, value in asdict(self).items() if key != "empty"):
            raise typer.BadParameter("an empty value is said with --empty", param_hint="--empty")
        if not told and not empty:
            raise typer.BadParameter("say what is to be another, as --email", param_hint="OPTIONS")
        return told | {key: [] if key in _LISTS.values() else None for key in empty}


_LISTS = {"grade": "grades", "class_": "classes", "class": "classes"}


@student_app.command()
@grouped
def add(
    district: District,
    known: StudentOptions,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Add a student, and print the new sourcedId. Access to the application is granted for itself."""
    student = known.student()
    if where.database is None:
        with records(district, where.cluster) as there:
            typer.echo(there.change("POST", "students", _body(asdict(student), reason))["sourcedId"])
        return
    with told():
        typer.echo(manual.add(where.database, district, student, by=me(), reason=reason))


@student_app.command()
@grouped
def edit(
    district: District,
    sourced_id: SourcedId,
    known: ChangeOptions,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Change what is named of a student who was added by hand. What is left out stays as it is."""
    changed = known.changed()
    if where.database is None:
        with records(district, where.cluster) as there:
            there.change("PATCH", "students", _body(changed, reason), id=sourced_id)
    else:
        with told():
            manual.amend(where.database, district, sourced_id, changed, by=me(), reason=reason)
    typer.echo("Changed.")


@student_app.command()
@grouped
def end(
    district: District,
    sourced_id: SourcedId,
    reason: Reason = None,
    *,
    where: PlaceOptions,
) -> None:
    """Deactivate a student who was added by hand, with their enrollments."""
    if where.database is None:
        with records(district, where.cluster) as there:
            there.change("DELETE", "students", id=sourced_id, reason=reason)
    else:
        with told():
            manual.end(where.database, district, sourced_id, by=me(), reason=reason)
    typer.echo("Ended.")


def _body(given: dict[str, Any], reason: str | None) -> dict[str, Any]:
    """As the console's API takes it."""
    names = {"given_name": "givenName", "family_name": "familyName", "middle_name": "middleName"}
    return {names.get(key, key): value for key, value in given.items()} | ({"reason": reason} if reason else {})
