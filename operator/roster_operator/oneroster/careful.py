"""Reads a record from any JSON object, field by field, and says what is wrong with each field.

This is the whole meaning of decoding; `fast` is only a shortcut to the same result for records
without a fault.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

from .entities import Entity
from .expected import NO_NEEDS, Needs
from .masks import is_masked
from .problems import VALUE_MASKED, Problem
from .records import AcademicSession, Class, Course, Demographics, Enrollment, Org, Record, User
from .values import (
    BOOLEANS,
    CLASS_TYPES,
    ENROLLMENT_ROLES,
    GRADES,
    MAX_ID,
    MAX_TEXT,
    ORG_TYPES,
    ROLE_TYPES,
    ROLES,
    SESSION_TYPES,
    SEXES,
    STATUSES,
    day,
    known,
    metadata_fault,
    stamp,
)


class Reader:
    """One JSON object under the eyes of the standard. Collects problems instead of stopping at the first."""

    def __init__(self, fields: dict[str, Any], size: int, version: str, needs: Needs = NO_NEEDS) -> None:
        self.fields = fields
        self.size = size
        self.version = version
        self.needs = needs
        self.problems: list[Problem] = []
        self.invalid = False
        self.withheld = False  # whether a masked value counts as withheld; only people's are

    def error(self, code: str, field: str | None) -> None:
        self.problems.append(Problem(code, "error", field))
        self.invalid = True

    def warn(self, code: str, field: str | None) -> None:
        self.problems.append(Problem(code, "warning", field))

    def masked(self, value: Any, field: str) -> bool:
        """Whether the source withholds this value, which is then noted, once a field."""
        if not self.withheld or not isinstance(value, str) or not is_masked(value):
            return False
        found = Problem(VALUE_MASKED, "warning", field)
        if found not in self.problems:
            self.problems.append(found)
        return True

    def _text(self, value: Any, field: str) -> str | None:
        """Text or None of one value; numbers are taken as their digits. A masked value is none."""
        if value is None or value == "" or self.masked(value, field):
            return None
        if type(value) is int and abs(value) < 2**63:
            self.warn("NumberAsText", field)
            return str(value)
        if not isinstance(value, str):
            self.error("WrongType", field)
            return None
        if "\0" in value:
            self.error("NulCharacter", field)
            return None
        if len(value) > MAX_TEXT:
            self.error("TextTooLong", field)
            return None
        return value

    def text(self, *names: str) -> str | None:
        """Optional text under the first of the names that has any."""
        for name in names:
            value = self.fields.get(name)
            if value is not None and value != "":
                return self._text(value, names[0])
        return None

    def must(self, name: str) -> str:
        """Required text; "" and a noted error when there is none."""
        value = self.fields.get(name)
        if value is None or value == "":
            self.error("MissingRequired", name)
            return ""
        # A record cannot be without it: a masked value is better than none, where nothing is merged yet.
        return self._text(value, name) or (value if isinstance(value, str) and self._is_withheld(name) else "")

    def _is_withheld(self, name: str) -> bool:
        return any(found.code == VALUE_MASKED and found.field == name for found in self.problems)

    def expected(self, value: Any, name: str) -> None:
        """Warns when something is missing that the standard requires but a record can live without."""
        if value in (None, []) and not any(found.field == name for found in self.problems):
            self.warn("MissingExpected", name)

    def word(self, name: str, vocabulary: frozenset[str], *, required: bool = False) -> str | None:
        """A word of an open vocabulary, in the standard's spelling."""
        value = self.must(name) if required else self.text(name)
        if not value:
            return value
        value, standard = known(value, vocabulary)
        if not standard:
            self.warn("UnknownVocabulary", name)
        return value

    def identity(self, value: Any, field: str) -> str | None:
        """A sourcedId or None. Never guessed: a number is not an id."""
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self.error("WrongType", field)
        elif "\0" in value:
            self.error("NulCharacter", field)
        elif len(value) > MAX_ID:
            self.error("IdTooLong", field)
        else:
            return value
        return None

    def _reference(self, value: Any, field: str) -> str | None:
        if isinstance(value, dict):
            found = self.identity(value.get("sourcedId"), field)
            href = value.get("href")
            if found is None and not value.get("sourcedId") and isinstance(href, str) and "/" in href.rstrip("/"):
                self.warn("ReferenceFromHref", field)
                return self.identity(unquote(href.split("?")[0].rstrip("/").rsplit("/", 1)[-1]), field)
            return found
        if isinstance(value, str) and value:
            self.warn("ReferenceAsText", field)
            return self.identity(value, field)
        if value not in (None, ""):
            self.error("WrongType", field)
        return None

    def reference(self, name: str, *, required: bool = False) -> str | None:
        """The sourcedId that a reference names."""
        before = len(self.problems)
        found = self._reference(self.fields.get(name), name)
        if found is None and required and len(self.problems) == before:
            self.error("MissingRequired", name)
        return found

    def items(self, name: str) -> list[Any]:
        """A list; null, missing and "" are empty, one string or object is a list of one."""
        value = self.fields.get(name)
        if value is None or value == "":
            return []
        if isinstance(value, list):
            return value
        if isinstance(value, str | dict):
            return [value]
        self.error("WrongType", name)
        return []

    def references(self, name: str) -> list[str]:
        """The distinct sourcedIds that a list of references names, in its order."""
        found = [self._reference(item, name) for item in self.items(name)]
        return list(dict.fromkeys(item for item in found if item is not None))

    def texts(self, name: str) -> list[str]:
        """A list of texts without the empty ones."""
        found = [self._text(item, name) for item in self.items(name)]
        return [item for item in found if item is not None]

    def grades(self) -> list[str]:
        """Grades in the spelling of the CEDS list where they are known."""
        return [GRADES.get(grade, grade) for grade in self.texts("grades")]

    def flag(self, name: str) -> bool | None:
        """A boolean in any of its spellings."""
        value = self.fields.get(name)
        if value is None or value == "" or self.masked(value, name):
            return None
        if isinstance(value, list | dict):
            self.error("WrongType", name)
            return None
        found = BOOLEANS.get(value)
        if found is None and isinstance(value, str):
            found = BOOLEANS.get(value.strip().lower())
        if found is None:
            self.error("BadBoolean", name)
        return found

    def day_of(self, value: Any, field: str) -> date | None:
        """A day; of a moment its date part, with a warning."""
        if value is None or value == "" or self.masked(value, field):
            return None
        if not isinstance(value, str):
            self.error("WrongType", field)
            return None
        try:
            if len(value) > 10 and value[10] in "T ":
                stamp(value)
                self.warn("DateWithTime", field)
                value = value[:10]
            return day(value)
        except ValueError:
            self.error("BadDate", field)
            return None

    def optional_date(self, *names: str) -> date | None:
        """An optional day under the first of the names that has any."""
        for name in names:
            value = self.fields.get(name)
            if value is not None and value != "":
                return self.day_of(value, names[0])
        return None

    def must_date(self, name: str) -> date:
        """A required day; the first of the calendar and a noted error when there is none."""
        if self.fields.get(name) in (None, ""):
            self.error("MissingRequired", name)
        return self.optional_date(name) or date.min

    def common(self) -> tuple[str, str, datetime | None, dict[str, Any] | None]:
        """The four fields that begin every record."""
        sourced_id = self.identity(self.fields.get("sourcedId"), "sourcedId")
        if sourced_id is None and not self.invalid:
            self.error("MissingRequired", "sourcedId")
        return sourced_id or "", self._status(), self._changed(), self._metadata()

    def _status(self) -> str:
        value = self.fields.get("status")
        if value is None or value == "":
            self.warn("MissingExpected", "status")
            return "active"
        status = STATUSES.get(value.strip().lower()) if isinstance(value, str) else None
        if status is None:
            self.error("BadStatus", "status")
            return ""
        return status

    def _changed(self) -> datetime | None:
        value = self.fields.get("dateLastModified")
        if value is None or value == "":
            return None
        try:
            return stamp(value)
        except (ValueError, TypeError):
            self.warn("BadTimestamp", "dateLastModified")
            return None

    def _metadata(self) -> dict[str, Any] | None:
        value = self.fields.get("metadata")
        if isinstance(value, dict):
            fault = metadata_fault(value, self.size)
            if fault:
                self.error(fault, "metadata")
            for item in value.values():
                self.masked(item, "metadata")
            return value or None
        if value not in (None, "", []):
            self.error("WrongType", "metadata")
        return None


def _org(read: Reader) -> Org:
    return Org(
        *read.common(),
        name=read.must("name"),
        type=read.word("type", ORG_TYPES, required=True) or "",
        identifier=read.text("identifier"),
        parent_sourced_id=read.reference("parent"),
    )


def _session(read: Reader) -> AcademicSession:
    return AcademicSession(
        *read.common(),
        title=read.must("title"),
        type=read.word("type", SESSION_TYPES, required=True) or "",
        start_date=read.must_date("startDate"),
        end_date=read.must_date("endDate"),
        school_year=_year(read),
        parent_sourced_id=read.reference("parent"),
    )


def _year(read: Reader) -> int | None:
    value = read.fields.get("schoolYear")
    if value is None or value == "":
        return None
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and len(text) == 4 and text.isascii() and text.isdigit():
        return int(text)
    read.error("BadYear", "schoolYear")
    return None


def _course(read: Reader) -> Course:
    return Course(
        *read.common(),
        title=read.must("title"),
        course_code=read.text("courseCode"),
        school_year_sourced_id=read.reference("schoolYear"),
        org_sourced_id=read.reference("org"),
        grades=read.grades(),
        subjects=read.texts("subjects"),
        subject_codes=read.texts("subjectCodes"),
    )


def _class(read: Reader) -> Class:
    return Class(
        *read.common(),
        title=read.must("title"),
        class_code=read.text("classCode"),
        class_type=read.word("classType", CLASS_TYPES),
        location=read.text("location"),
        course_sourced_id=read.reference("course", required=True) or "",
        school_sourced_id=read.reference("school", required=True) or "",
        term_sourced_ids=read.references("terms"),
        grades=read.grades(),
        subjects=read.texts("subjects"),
        subject_codes=read.texts("subjectCodes"),
        periods=read.texts("periods"),
    )


def _user(read: Reader) -> User:
    read.withheld = True
    common = read.common()
    orgs = read.references("orgs")
    roles = _roles(read)
    if roles:
        orgs = list(dict.fromkeys([*(role["org_sourced_id"] for role in roles if role["org_sourced_id"]), *orgs]))
    primary_org = read.reference("primaryOrg")
    role = primary_role(roles, primary_org)
    if role is None:
        if read.version == "1.2" and read.fields.get("role"):
            read.expected(roles, "roles")
        role = read.word("role", ROLES, required=True) or ""
        roles = [one_role("primary", role, org) for org in orgs] or [one_role("primary", role, None)]
    enabled = read.flag("enabledUser")
    if enabled is None and not any(problem.field == "enabledUser" for problem in read.problems):
        read.error("MissingRequired", "enabledUser")
    return User(
        *common,
        enabled_user=bool(enabled),
        username=read.text("username"),
        user_ids=_user_ids(read),
        given_name=read.must("givenName"),
        family_name=read.must("familyName"),
        middle_name=read.text("middleName"),
        preferred_given_name=read.text("preferredFirstName", "preferredGivenName"),
        preferred_middle_name=read.text("preferredMiddleName"),
        preferred_family_name=read.text("preferredLastName", "preferredFamilyName"),
        pronouns=read.text("pronouns"),
        role=role,
        roles=roles,
        org_sourced_ids=orgs,
        primary_org_sourced_id=primary_org,
        agent_sourced_ids=read.references("agents"),
        grades=read.grades(),
        identifier=read.text("identifier"),
        user_master_identifier=read.text("userMasterIdentifier"),
        email=read.text("email"),
        sms=read.text("sms"),
        phone=read.text("phone"),
    )


def one_role(role_type: str | None, role: str, org: str | None) -> dict[str, str | None]:
    """One entry of User.roles, without dates."""
    return {
        "role_type": role_type,
        "role": role,
        "org_sourced_id": org,
        "begin_date": None,
        "end_date": None,
        "user_profile": None,
    }


def _roles(read: Reader) -> list[dict[str, str | None]]:
    roles: list[dict[str, str | None]] = []
    for item in read.items("roles"):
        if not isinstance(item, dict):
            read.error("WrongType", "roles")
            continue
        inner = Reader(item, 0, read.version)
        role = inner.word("role", ROLES, required=True) or ""
        role_type = inner.text("roleType")
        role_type, standard = known(role_type, ROLE_TYPES) if role_type else (None, True)
        if not standard or (role_type or "").startswith("ext:"):
            inner.error("UnknownVocabulary", "roleType")
        org = inner.reference("org", required=read.needs.role_org)
        if read.version == "1.2":
            inner.expected(role_type, "roleType")
            inner.expected(org, "org")
        begin, end = inner.optional_date("beginDate"), inner.optional_date("endDate")
        # A profile is a URI. Servers put whole profile objects here, with credentials in them: never kept.
        profile = item.get("userProfile")
        entry = one_role(role_type, role, org)
        entry["begin_date"] = begin.isoformat() if begin else None
        entry["end_date"] = end.isoformat() if end else None
        entry["user_profile"] = inner.text("userProfile") if isinstance(profile, str) else None
        roles.append(entry)
        read.problems += [Problem(found.code, found.severity, f"roles.{found.field}") for found in inner.problems]
        read.invalid = read.invalid or inner.invalid
    return roles


def primary_role(roles: list[dict[str, str | None]], primary_org: str | None) -> str | None:
    """One primary role is allowed for each org; the one at the primary org speaks for the person."""
    primary = [role for role in roles if role["role_type"] == "primary"] or roles
    for role in primary:
        if role["org_sourced_id"] == primary_org:
            return role["role"]
    return primary[0]["role"] if primary else None


def _user_ids(read: Reader) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for item in read.items("userIds"):
        if not isinstance(item, dict):
            read.error("WrongType", "userIds")
            continue
        inner = Reader(item, 0, read.version)
        inner.withheld = read.withheld
        kind, identifier = inner.text("type"), inner.text("identifier")
        faults = [Problem(fault.code, fault.severity, "userIds") for fault in inner.problems]
        read.problems += [fault for fault in faults if fault.code != VALUE_MASKED or fault not in read.problems]
        read.invalid = read.invalid or inner.invalid
        if identifier is not None:
            found.append({"type": kind or "", "identifier": identifier})
    return found


def _enrollment(read: Reader) -> Enrollment:
    return Enrollment(
        *read.common(),
        user_sourced_id=read.reference("user", required=True) or "",
        class_sourced_id=read.reference("class", required=True) or "",
        school_sourced_id=read.reference("school", required=True) or "",
        role=read.word("role", ENROLLMENT_ROLES, required=True) or "",
        primary=read.flag("primary"),
        begin_date=read.optional_date("beginDate"),
        end_date=read.optional_date("endDate"),
    )


def _demographics(read: Reader) -> Demographics:
    read.withheld = True
    return Demographics(
        *read.common(),
        birth_date=read.optional_date("birthDate", "birthdate"),
        sex=read.word("sex", SEXES),
        american_indian_or_alaska_native=read.flag("americanIndianOrAlaskaNative"),
        asian=read.flag("asian"),
        black_or_african_american=read.flag("blackOrAfricanAmerican"),
        native_hawaiian_or_other_pacific_islander=read.flag("nativeHawaiianOrOtherPacificIslander"),
        white=read.flag("white"),
        demographic_race_two_or_more_races=read.flag("demographicRaceTwoOrMoreRaces"),
        hispanic_or_latino_ethnicity=read.flag("hispanicOrLatinoEthnicity"),
        country_of_birth_code=read.text("countryOfBirthCode"),
        state_of_birth_abbreviation=read.text("stateOfBirthAbbreviation"),
        city_of_birth=read.text("cityOfBirth"),
        public_school_residence_status=read.text("publicSchoolResidenceStatus"),
    )


READERS: dict[Entity, Callable[[Reader], Record]] = {
    Entity.ORGS: _org,
    Entity.ACADEMIC_SESSIONS: _session,
    Entity.COURSES: _course,
    Entity.CLASSES: _class,
    Entity.USERS: _user,
    Entity.ENROLLMENTS: _enrollment,
    Entity.DEMOGRAPHICS: _demographics,
}
