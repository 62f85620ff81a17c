"""A school district as plain data: one model, whatever version of the standard it is later written in.

Nothing here knows HTTP, JSON or randomness. People, classes and the like are small structs; enrollments, of which
there are millions, are columns. Every entity has a number, and its sourcedId is a prefix and that number with
leading zeros, so ascending numbers are ascending sourcedIds, too. References are numbers.

Units: instants are milliseconds since 1970-01-01 UTC; days are days since 2000-01-01. End days are exclusive, as
in the standard.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

import msgspec

Ints: TypeAlias = "array[int]"

_EPOCH = date(2000, 1, 1)
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)

GRADES = ("KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")


class Role(StrEnum):
    """What somebody is in the district."""

    STUDENT = "student"
    TEACHER = "teacher"
    AIDE = "aide"
    COUNSELOR = "counselor"
    PRINCIPAL = "principal"
    DISTRICT_ADMINISTRATOR = "districtAdministrator"
    GUARDIAN = "guardian"


class Status(StrEnum):
    """The standard's record status."""

    ACTIVE = "active"
    TOBEDELETED = "tobedeleted"


def day(value: date) -> int:
    """Days since 2000-01-01."""
    return (value - _EPOCH).days


@lru_cache(maxsize=65536)
def day_text(value: int) -> str:
    """`YYYY-MM-DD` of a number of days since 2000-01-01."""
    return (_EPOCH + timedelta(days=value)).isoformat()


def instant(value: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime."""
    return round((value - _UNIX).total_seconds() * 1000)


@lru_cache(maxsize=65536)
def instant_text(value: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.sssZ` of milliseconds since 1970."""
    moment = _UNIX + timedelta(milliseconds=value)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{value % 1000:03d}Z"


class Org(msgspec.Struct, frozen=True, gc=False):
    """The district itself (`type` is "district", no parent) or one of its schools."""

    number: int
    name: str
    type: str
    identifier: str
    parent: int | None
    modified: int
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"ORG{self.number:05d}"


class Session(msgspec.Struct, frozen=True, gc=False):
    """An academic session; `type` is schoolYear, term or gradingPeriod, `school_year` the year in which it ends."""

    number: int
    title: str
    type: str
    start: int
    end: int
    school_year: int
    parent: int | None
    modified: int
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"SES{self.number:05d}"


class Course(msgspec.Struct, frozen=True, gc=False):
    """A course of the district's catalogue, taught in one grade."""

    number: int
    title: str
    code: str
    grade: str
    subject: str
    subject_code: str
    session: int
    org: int
    modified: int
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"CRS{self.number:05d}"


class Class(msgspec.Struct, frozen=True, gc=False):
    """A section of a course; `type` is homeroom or scheduled, `terms` are numbers of sessions."""

    number: int
    title: str
    code: str
    type: str
    location: str
    grade: str
    subject: str
    subject_code: str
    course: int
    school: int
    terms: tuple[int, ...]
    period: str
    modified: int
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"SEC{self.number:08d}"


class User(msgspec.Struct, frozen=True, gc=False):
    """A person. `orgs` are numbers, the primary one first; `grade` is "" unless a student; `agents` are user numbers
    (a student's guardians, a guardian's children)."""

    number: int
    given: str
    middle: str
    family: str
    email: str
    role: Role
    orgs: tuple[int, ...]
    grade: str
    modified: int
    phone: str = ""
    preferred: str = ""
    pronouns: str = ""
    enabled: bool = True
    agents: tuple[int, ...] = ()
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"PER{self.number:08d}"

    @property
    def username(self) -> str:
        return self.email.partition("@")[0]

    @property
    def identifier(self) -> str:
        """The number on the person's card: kept when an SIS gives out new sourcedIds."""
        return str(self.number * 3 + 400_007)


class Demographics(msgspec.Struct, frozen=True, gc=False):
    """A student's demographics; `number` is the student's. `races` is a set of bits in the standard's order of the
    five race flags (1 americanIndianOrAlaskaNative … 16 white)."""

    number: int
    birth: int
    sex: str
    races: int
    hispanic: bool
    country: str
    state: str
    city: str
    modified: int
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"PER{self.number:08d}"


class Enrollment(msgspec.Struct, frozen=True, gc=False):
    """One row of Enrollments. `primary` says something about teachers only."""

    number: int
    user: int
    class_: int
    role: Role
    primary: bool
    begin: int
    end: int
    modified: int
    status: Status = Status.ACTIVE

    @property
    def sourced_id(self) -> str:
        return f"ENR{self.number:010d}"


# What an enrollment's `kind` byte stands for.
STUDENT, TEACHER, CO_TEACHER, DELETED = 0, 1, 2, 4


class Enrollments:
    """Columns of enrollments, ascending by number: about 25 bytes a row where a struct would need 200.

    `kind` is STUDENT, TEACHER or CO_TEACHER, plus DELETED when the row's status is tobedeleted.
    """

    __slots__ = ("begin", "class_", "end", "kind", "modified", "number", "user")

    def __init__(self) -> None:
        self.number: Ints = array("I")
        self.user: Ints = array("I")
        self.class_: Ints = array("I")
        self.kind: Ints = array("B")
        self.begin: Ints = array("H")
        self.end: Ints = array("H")
        self.modified: Ints = array("q")

    def columns(self) -> tuple[Ints, ...]:
        """All columns, in the order number, user, class, kind, begin, end, modified."""
        return (self.number, self.user, self.class_, self.kind, self.begin, self.end, self.modified)

    def append(self, row: Sequence[int]) -> None:
        """Adds one row: a value for each column."""
        for column, value in zip(self.columns(), row, strict=True):
            column.append(value)

    def extend(self, first: int, users: Iterable[int], rest: Sequence[int]) -> int:
        """Adds a row for each of `users`, numbered from `first`, alike in the `rest` of the columns (class, kind,
        begin, end, modified). Returns the next free number."""
        before = len(self.user)
        self.user.extend(users)
        count = len(self.user) - before
        self.number.extend(range(first, first + count))
        for column, value in zip(self.columns()[2:], rest, strict=True):
            column.extend(array(column.typecode, [value]) * count)
        return first + count

    def copy(self) -> Enrollments:
        other = Enrollments()
        for mine, its in zip(self.columns(), other.columns(), strict=True):
            its.extend(mine)
        return other

    def pick(self, rows: Iterable[int]) -> Enrollments:
        """A new table with these rows only; `rows` must ascend."""
        chosen = list(rows)
        other = Enrollments()
        for mine, its in zip(self.columns(), other.columns(), strict=True):
            its.extend([mine[row] for row in chosen])
        return other

    def __len__(self) -> int:
        return len(self.number)

    def __getitem__(self, row: int) -> Enrollment:
        kind = self.kind[row]
        return Enrollment(
            number=self.number[row],
            user=self.user[row],
            class_=self.class_[row],
            role=Role.STUDENT if kind & 3 == STUDENT else Role.TEACHER,
            primary=kind & 3 == TEACHER,
            begin=self.begin[row],
            end=self.end[row],
            modified=self.modified[row],
            status=Status.TOBEDELETED if kind & DELETED else Status.ACTIVE,
        )

    def __iter__(self) -> Iterator[Enrollment]:
        return (self[row] for row in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Enrollments) and self.columns() == other.columns()

    __hash__ = None  # type: ignore[assignment]


class District(msgspec.Struct, frozen=True):
    """A district at one moment. Lists ascend by number and are never changed in place: variants make new ones.

    `school_year` is the year in which it ends. `as_of` is the instant of the last change. The `next_*` numbers have
    never been given out, so that a sourcedId is never used for somebody else.
    """

    seed: int
    school_year: int
    as_of: int
    domain: str
    enrollments_per_student: float
    orgs: list[Org]
    sessions: list[Session]
    courses: list[Course]
    classes: list[Class]
    users: list[User]
    demographics: list[Demographics]
    enrollments: Enrollments
    next_user: int
    next_class: int
    next_enrollment: int

    @property
    def district(self) -> Org:
        return self.orgs[0]

    @property
    def schools(self) -> list[Org]:
        return [org for org in self.orgs if org.type == "school"]

    @property
    def students(self) -> list[User]:
        return [user for user in self.users if user.role is Role.STUDENT]

    @property
    def teachers(self) -> list[User]:
        return [user for user in self.users if user.role is Role.TEACHER]

    def __len__(self) -> int:
        """Records of all seven entities."""
        tables = (self.orgs, self.sessions, self.courses, self.classes, self.users, self.demographics)
        return sum(map(len, tables)) + len(self.enrollments)
