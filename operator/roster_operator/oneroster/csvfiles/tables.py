"""The files of OneRoster CSV and their columns, as data: both versions, in the standard's order."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.values import (
    CLASS_TYPES,
    ENROLLMENT_ROLES,
    ORG_TYPES,
    ROLE_TYPES,
    ROLES,
    SESSION_TYPES,
    SEXES,
)

Version = Literal["1.1", "1.2"]
Need = Literal["optional", "expected", "required"]


class Kind(StrEnum):
    """What a column's cells are."""

    ID = "id"
    STATUS = "status"
    STAMP = "stamp"
    TEXT = "text"
    LIST = "list"
    REF = "ref"
    REFS = "refs"
    DATE = "date"
    FLAG = "flag"
    WORD = "word"
    YEAR = "year"
    USER_IDS = "userIds"
    PASSWORD = "password"  # noqa: S105 (a kind of column)
    OLD = "old"


@dataclass(frozen=True)
class Column:
    """One column. need: `required`, a record is nothing without it; `expected`, the standard requires it and a record
    can live without. target: the table that a reference leads to. words: of a vocabulary. field: its name in REST."""

    name: str
    kind: Kind = Kind.TEXT
    need: Need = "optional"
    target: str = ""
    words: frozenset[str] = frozenset()

    @property
    def field(self) -> str:
        """What the field is called in REST, where a reference is an object."""
        if self.kind is Kind.REF and self.name != "userProfileSourcedId":
            return self.name.removesuffix("SourcedId")
        if self.kind is Kind.REFS:
            return self.name.removesuffix("SourcedIds") + "s"
        return "userProfile" if self.name == "userProfileSourcedId" else self.name


@dataclass(frozen=True)
class Table:
    """One file, `<name>.csv`. entity: what its rows are, None for the two that are folded into users."""

    name: str
    columns: tuple[Column, ...]
    entity: Entity | None = None

    @property
    def file(self) -> str:
        """The file's name in a bundle."""
        return f"{self.name}.csv"


def _columns(kind: Kind, names: str) -> tuple[Column, ...]:
    """`!` after a name: required. `?`: expected."""
    needs: dict[str, Need] = {"!": "required", "?": "expected"}
    return tuple(Column(name.rstrip("!?"), kind, needs.get(name[-1], "optional")) for name in names.split())


def _text(names: str) -> tuple[Column, ...]:
    return _columns(Kind.TEXT, names)


def _ref(name: str, target: str, need: Need = "optional", kind: Kind = Kind.REF) -> Column:
    return Column(name, kind, need, target)


def _word(name: str, words: frozenset[str], need: Need = "optional") -> Column:
    return Column(name, Kind.WORD, need, words=words)


_BEGIN = (
    Column("sourcedId", Kind.ID, "required"),
    Column("status", Kind.STATUS),
    Column("dateLastModified", Kind.STAMP),
)
_PERSON = (
    *_text("username?"),
    Column("userIds", Kind.USER_IDS),
    *_text("givenName! familyName! middleName identifier email sms phone"),
    _ref("agentSourcedIds", "users", kind=Kind.REFS),
    *_columns(Kind.LIST, "grades"),
    Column("password", Kind.PASSWORD),
)
_SHARED = (
    Table(
        "orgs",
        (
            *_BEGIN,
            *_text("name!"),
            _word("type", ORG_TYPES, "required"),
            *_text("identifier"),
            _ref("parentSourcedId", "orgs"),
        ),
        Entity.ORGS,
    ),
    Table(
        "academicSessions",
        (
            *_BEGIN,
            *_text("title!"),
            _word("type", SESSION_TYPES, "required"),
            *_columns(Kind.DATE, "startDate! endDate!"),
            _ref("parentSourcedId", "academicSessions"),
            *_columns(Kind.YEAR, "schoolYear?"),
        ),
        Entity.ACADEMIC_SESSIONS,
    ),
    Table(
        "courses",
        (
            *_BEGIN,
            _ref("schoolYearSourcedId", "academicSessions"),
            *_text("title! courseCode"),
            *_columns(Kind.LIST, "grades"),
            _ref("orgSourcedId", "orgs", "expected"),
            *_columns(Kind.LIST, "subjects subjectCodes"),
        ),
        Entity.COURSES,
    ),
    Table(
        "classes",
        (
            *_BEGIN,
            *_text("title!"),
            *_columns(Kind.LIST, "grades"),
            _ref("courseSourcedId", "courses", "required"),
            *_text("classCode"),
            _word("classType", CLASS_TYPES, "expected"),
            *_text("location"),
            _ref("schoolSourcedId", "orgs", "required"),
            _ref("termSourcedIds", "academicSessions", "expected", Kind.REFS),
            *_columns(Kind.LIST, "subjects subjectCodes periods"),
        ),
        Entity.CLASSES,
    ),
)
_USERS_1_1 = Table(
    "users",
    (
        *_BEGIN,
        *_columns(Kind.FLAG, "enabledUser!"),
        _ref("orgSourcedIds", "orgs", "expected", Kind.REFS),
        _word("role", ROLES, "required"),
        *_PERSON,
    ),
    Entity.USERS,
)
_USERS_1_2 = Table(
    "users",
    (
        *_BEGIN,
        *_columns(Kind.FLAG, "enabledUser!"),
        *_PERSON,
        *_text("userMasterIdentifier"),
        Column("resourceSourcedIds", Kind.OLD),
        *_text("preferredGivenName preferredMiddleName preferredFamilyName"),
        _ref("primaryOrgSourcedId", "orgs"),
        *_text("pronouns"),
    ),
    Entity.USERS,
)
# Recognised and checked, and not imported: it holds other systems' user names and passwords.
PROFILES = "userProfiles"
_PROFILES = Table(
    PROFILES,
    (
        *_BEGIN,
        _ref("userSourcedId", "users", "required"),
        *_text("profileType? vendorId? applicationId description credentialType? username?"),
        Column("password", Kind.PASSWORD),
    ),
)
_ROLES = Table(
    "roles",
    (
        *_BEGIN,
        _ref("userSourcedId", "users", "required"),
        _word("roleType", ROLE_TYPES, "expected"),
        _word("role", ROLES, "required"),
        *_columns(Kind.DATE, "beginDate endDate"),
        _ref("orgSourcedId", "orgs", "required"),
        _ref("userProfileSourcedId", "userProfiles"),
    ),
)
_REST = (
    Table(
        "enrollments",
        (
            *_BEGIN,
            _ref("classSourcedId", "classes", "required"),
            _ref("schoolSourcedId", "orgs", "required"),
            _ref("userSourcedId", "users", "required"),
            _word("role", ENROLLMENT_ROLES, "required"),
            *_columns(Kind.FLAG, "primary"),
            *_columns(Kind.DATE, "beginDate endDate"),
        ),
        Entity.ENROLLMENTS,
    ),
    Table(
        "demographics",
        (
            *_BEGIN,
            *_columns(Kind.DATE, "birthDate"),
            _word("sex", SEXES),
            *_columns(
                Kind.FLAG,
                "americanIndianOrAlaskaNative asian blackOrAfricanAmerican nativeHawaiianOrOtherPacificIslander white"
                " demographicRaceTwoOrMoreRaces hispanicOrLatinoEthnicity",
            ),
            *_text("countryOfBirthCode stateOfBirthAbbreviation cityOfBirth publicSchoolResidenceStatus"),
        ),
        Entity.DEMOGRAPHICS,
    ),
)

# In load order: a table refers only to earlier ones and to itself.
TABLES: dict[Version, dict[str, Table]] = {
    "1.1": {table.name: table for table in (*_SHARED, _USERS_1_1, *_REST)},
    "1.2": {table.name: table for table in (*_SHARED, _USERS_1_2, _PROFILES, _ROLES, *_REST)},
}
# Recognised, and not imported: they hold no rostering.
OTHERS = frozenset(
    {
        "categories", "classResources", "courseResources", "lineItemLearningObjectiveIds", "lineItemScoreScales",
        "lineItems", "resources", "resultLearningObjectiveIds", "resultScoreScales", "results", "scoreScales",
        "userResources",
    }
)  # fmt: skip
MANIFEST = "manifest"
KNOWN: frozenset[str] = frozenset({*TABLES["1.2"], *OTHERS})
# By lower case: the file names that are looked at.
FILES: dict[str, str] = {f"{name.lower()}.csv": name for name in (*KNOWN, MANIFEST)}

# Names of columns as they come in the field, by lower case: of OneRoster 1.0, and misspelt. A name counts only where
# its table has what it stands for.
ALIASES: dict[str, str] = {
    "datalastmodified": "dateLastModified",
    "lastmodified": "dateLastModified",
    "sourceid": "sourcedId",
    "grade": "grades",
    "prefferedgivenname": "preferredGivenName",
    "prefferedmiddlename": "preferredMiddleName",
    "prefferedfamilyname": "preferredFamilyName",
    "preferredfirstname": "preferredGivenName",
    "preferredlastname": "preferredFamilyName",
    "userid": "userIds",
    "usersourcedid": "sourcedId",
    "agents": "agentSourcedIds",
    "schoolyearid": "schoolYearSourcedId",
}
