"""A district as a bundle of OneRoster CSV files, in either version."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence

from roster_sample_sis.districts import (
    DELETED,
    STUDENT,
    TEACHER,
    Class,
    Course,
    Demographics,
    District,
    Org,
    Session,
    User,
    day_text,
    instant_text,
)
from roster_sample_sis.renderings import ROLES_1_1, Version

_BEGIN = "sourcedId,status,dateLastModified,"
_PERSON = "username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password"
HEADERS = {
    "orgs": "name,type,identifier,parentSourcedId",
    "academicSessions": "title,type,startDate,endDate,parentSourcedId,schoolYear",
    "courses": "schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes",
    "classes": "title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,"
    "subjectCodes,periods",
    "users": "enabledUser,orgSourcedIds,role," + _PERSON,
    "enrollments": "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
    "demographics": "birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,"
    "nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,"
    "countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus",
}
HEADERS_1_2 = {
    "users": f"enabledUser,{_PERSON},userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,"
    "primaryOrgSourcedId,pronouns",
    "roles": "userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId",
}
_ABSENT = "categories,classResources,courseResources,lineItems,resources,results"
_ABSENT_1_2 = (
    "lineItemLearningObjectiveIds,lineItemScoreScales,resultLearningObjectiveIds,resultScoreScales,scoreScales,"
    "userProfiles,userResources"
)
_RACES = 5
Row = Sequence[str]


def bundle(district: District, version: Version | str, *, delta: bool = False) -> bytes:
    """The zip. delta: every row with its status and time; else rows to be deleted are left out."""
    version = Version(version)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name, rows in files(district, version, delta=delta).items():
            # A zip's times have no zone, and equal districts shall be equal bytes: all are of 1980.
            info = zipfile.ZipInfo(f"{name}.csv")
            info.compress_type = zipfile.ZIP_DEFLATED
            with file.open(info, "w") as entry:
                text = io.TextIOWrapper(entry, "utf-8", newline="")
                csv.writer(text).writerows(rows)
                text.flush()
                text.detach()
    return held.getvalue()


def files(district: District, version: Version, *, delta: bool = False) -> dict[str, Iterable[Row]]:
    """The rows of each file by its name, the header first. Rows are made as they are read."""
    rows = _Rows(district, version, delta=delta)
    headers = HEADERS | (HEADERS_1_2 if version is Version.V1_2 else {})
    tables: dict[str, Iterator[Row]] = {
        "orgs": map(rows.org, district.orgs),
        "academicSessions": map(rows.session, district.sessions),
        "courses": map(rows.course, district.courses),
        "classes": map(rows.class_, district.classes),
        "users": map(rows.user_1_1 if version is Version.V1_1 else rows.user_1_2, district.users),
        "enrollments": rows.enrollments(),
        "demographics": map(rows.demographics, district.demographics),
    }
    if version is Version.V1_2:
        tables["roles"] = (row for user in district.users for row in rows.roles(user))
    found: dict[str, Iterable[Row]] = {"manifest": _manifest(version, tables, "delta" if delta else "bulk")}
    for name, body in tables.items():
        found[name] = _with_header(f"{_BEGIN}{headers[name]}".split(","), body, delta=delta)
    return found


def _with_header(header: Row, body: Iterator[Row], *, delta: bool) -> Iterator[Row]:
    yield header
    for row in body:
        if delta:
            yield row
        elif row[1] == "active":
            yield [row[0], "", "", *row[3:]]


def _manifest(version: Version, tables: Iterable[str], mode: str) -> list[Row]:
    absent = [*_ABSENT.split(","), *(_ABSENT_1_2.split(",") if version is Version.V1_2 else [])]
    modes = dict.fromkeys(tables, mode) | dict.fromkeys(absent, "absent")
    return [
        ("propertyName", "value"),
        ("manifest.version", "1.0"),
        ("oneroster.version", version.value),
        *((f"file.{name}", modes[name]) for name in sorted(modes)),
        ("source.systemName", "Sample SIS"),
        ("source.systemCode", "sample"),
    ]


class _Rows:
    """Renders records as rows, each with its status and time."""

    def __init__(self, district: District, version: Version, *, delta: bool) -> None:
        self._district = district
        self._version = version
        self._delta = delta
        self._orgs = {org.number: org.sourced_id for org in district.orgs}
        self._sessions = {session.number: session.sourced_id for session in district.sessions}
        self._courses = {course.number: course.sourced_id for course in district.courses}
        self._schools = {each.number: self._orgs[each.school] for each in district.classes}

    def _head(self, record: Org | Session | Course | Class | User | Demographics) -> list[str]:
        return [record.sourced_id, record.status.value, instant_text(record.modified)]

    def org(self, org: Org) -> Row:
        parent = "" if org.parent is None else self._orgs[org.parent]
        return [*self._head(org), org.name, org.type, org.identifier, parent]

    def session(self, session: Session) -> Row:
        parent = "" if session.parent is None else self._sessions[session.parent]
        dates = day_text(session.start), day_text(session.end)
        return [*self._head(session), session.title, session.type, *dates, parent, str(session.school_year)]

    def course(self, course: Course) -> Row:
        year, org = self._sessions[course.session], self._orgs[course.org]
        taught = course.subject, course.subject_code
        return [*self._head(course), year, course.title, course.code, course.grade, org, *taught]

    def class_(self, each: Class) -> Row:
        return [
            *self._head(each),
            each.title,
            each.grade,
            self._courses[each.course],
            each.code,
            each.type,
            each.location,
            self._orgs[each.school],
            ",".join(self._sessions[term] for term in each.terms),
            each.subject,
            each.subject_code,
            each.period,
        ]

    def _person(self, user: User) -> list[str]:
        return [
            user.username,
            f"{{District:{user.identifier}}}",
            user.given,
            user.family,
            user.middle,
            user.identifier,
            user.email,
            "",
            user.phone,
            ",".join(f"PER{agent:08d}" for agent in user.agents),
            user.grade,
            "",
        ]

    def user_1_1(self, user: User) -> Row:
        orgs = ",".join(self._orgs[org] for org in user.orgs)
        enabled = "true" if user.enabled else "false"
        return [*self._head(user), enabled, orgs, ROLES_1_1[user.role], *self._person(user)]

    def user_1_2(self, user: User) -> Row:
        master = f"{self._district.orgs[0].identifier}-{user.identifier}"
        names = [user.preferred, "", "", self._orgs[user.orgs[0]], user.pronouns]
        return [*self._head(user), "true" if user.enabled else "false", *self._person(user), master, *names]

    def roles(self, user: User) -> Iterator[Row]:
        year = self._district.sessions[0]
        for number, org in enumerate(user.orgs):
            head = [f"ROL{user.number:08d}-{number}", *self._head(user)[1:]]
            if self._delta:
                # A user who goes is told by users; the roles say who it was.
                head[1] = "active"
            dates = day_text(year.start), day_text(year.end)
            yield [*head, user.sourced_id, "primary", user.role.value, *dates, self._orgs[org], ""]

    def enrollments(self) -> Iterator[Row]:
        for number, user, class_, kind, begin, end, modified in zip(*self._district.enrollments.columns(), strict=True):
            yield [
                f"ENR{number:010d}",
                "tobedeleted" if kind & DELETED else "active",
                instant_text(modified),
                f"SEC{class_:08d}",
                self._schools[class_],
                f"PER{user:08d}",
                "student" if kind & 3 == STUDENT else "teacher",
                "true" if kind & 3 == TEACHER else "false",
                day_text(begin),
                day_text(end),
            ]

    def demographics(self, each: Demographics) -> Row:
        races = ["true" if each.races >> bit & 1 else "false" for bit in range(_RACES)]
        several = "true" if each.races & (each.races - 1) else "false"
        born = (each.state, each.city) if each.country == "US" else ("", "")
        hispanic = "true" if each.hispanic else "false"
        return [
            *self._head(each),
            day_text(each.birth),
            each.sex,
            *races,
            several,
            hispanic,
            each.country,
            *born,
            "01652",
        ]
