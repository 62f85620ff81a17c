"""A district's records as JSON of OneRoster 1.1 and 1.2.

Records are put together from text, not encoded from objects: an enrollment costs about a microsecond, and there
are millions. Whatever may need escaping goes through `_text`; numbers, dates and vocabularies cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from roster_sample_sis.districts import (
    CO_TEACHER,
    DELETED,
    STUDENT,
    TEACHER,
    Class,
    Course,
    Demographics,
    District,
    Org,
    Role,
    Session,
    User,
    day_text,
    instant_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Version(StrEnum):
    """A version of the standard that this server speaks."""

    V1_1 = "1.1"
    V1_2 = "1.2"

    @property
    def path(self) -> str:
        """The base path of the version's REST binding, without a slash at the end."""
        return {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}[self.value]

    @property
    def scopes(self) -> tuple[str, str, str]:
        """The scopes of flat collections, of nested paths, and of demographics."""
        base = f"https://purl.imsglobal.org/spec/or/{self.path.rpartition('/')[2]}/scope"
        return (f"{base}/roster-core.readonly", f"{base}/roster.readonly", f"{base}/roster-demographics.readonly")


ROLES_1_1: Mapping[Role, str] = {
    Role.STUDENT: "student",
    Role.TEACHER: "teacher",
    Role.AIDE: "aide",
    Role.COUNSELOR: "aide",
    Role.PRINCIPAL: "administrator",
    Role.DISTRICT_ADMINISTRATOR: "administrator",
    Role.GUARDIAN: "guardian",
}

_encode = msgspec.json.Encoder().encode
_RACES = (
    "americanIndianOrAlaskaNative",
    "asian",
    "blackOrAfricanAmerican",
    "nativeHawaiianOrOtherPacificIslander",
    "white",
)


class Texts(dict[str, str]):
    """JSON string literals by text. Names repeat, so that a look-up replaces nearly all escaping."""

    def __missing__(self, text: str) -> str:
        literal = _encode(text).decode()
        if len(self) < 50_000:
            self[text] = literal
        return literal


class Rendering:
    """Renders one district in one version. `base` is what references start with: the version's whole address."""

    def __init__(self, district: District, version: Version, base: str) -> None:
        self._district = district
        self._base = base
        self._text = Texts()
        self._orgs = {org.number: self._reference("orgs", "org", org.sourced_id) for org in district.orgs}
        self._sessions = {
            each.number: self._reference("academicSessions", "academicSession", each.sourced_id)
            for each in district.sessions
        }
        self._courses = {each.number: each.sourced_id for each in district.courses}
        # Class number -> school number, for enrollments.
        self._schools = {each.number: each.school for each in district.classes}
        self._renderers: dict[str, Callable[[int, int], Iterator[str]]] = {
            "orgs": lambda start, stop: map(self._org, district.orgs[start:stop]),
            "academicSessions": lambda start, stop: map(self._session, district.sessions[start:stop]),
            "courses": lambda start, stop: map(self._course, district.courses[start:stop]),
            "classes": lambda start, stop: map(self._class, district.classes[start:stop]),
            "users": lambda start, stop: map(
                self._user_1_1 if version is Version.V1_1 else self._user_1_2, district.users[start:stop]
            ),
            "demographics": lambda start, stop: map(self._demographics, district.demographics[start:stop]),
            "enrollments": self._enrollments,
        }

    def records(self, table: str, start: int, stop: int) -> list[bytes]:
        """The records of rows `start` to `stop` of a table, each a JSON object."""
        return [record.encode() for record in self._renderers[table](start, stop)]

    def _reference(self, path: str, kind: str, sourced_id: str) -> str:
        return f'{{"href":"{self._base}/{path}/{sourced_id}","sourcedId":"{sourced_id}","type":"{kind}"}}'

    def _head(self, record: Org | Session | Course | Class | User | Demographics) -> str:
        return (
            f'{{"sourcedId":"{record.sourced_id}","status":"{record.status.value}",'
            f'"dateLastModified":"{instant_text(record.modified)}"'
        )

    def _org(self, org: Org) -> str:
        children = ",".join(
            self._reference("orgs", "org", each.sourced_id)
            for each in self._district.orgs
            if org.parent is None and each.parent == org.number
        )
        parent = "" if org.parent is None else f'"parent":{self._orgs[org.parent]},'
        return (
            f'{self._head(org)},"name":{self._text[org.name]},"type":"{org.type}","identifier":"{org.identifier}",'
            f'{parent}"children":[{children}]}}'
        )

    def _session(self, session: Session) -> str:
        children = ",".join(
            self._sessions[each.number] for each in self._district.sessions if each.parent == session.number
        )
        parent = "" if session.parent is None else f'"parent":{self._sessions[session.parent]},'
        return (
            f'{self._head(session)},"title":{self._text[session.title]},"type":"{session.type}",'
            f'"startDate":"{day_text(session.start)}","endDate":"{day_text(session.end)}",'
            f'{parent}"children":[{children}],"schoolYear":"{session.school_year}"}}'
        )

    def _course(self, course: Course) -> str:
        return (
            f'{self._head(course)},"title":{self._text[course.title]},"schoolYear":{self._sessions[course.session]},'
            f'"courseCode":"{course.code}","grades":["{course.grade}"],"subjects":[{self._text[course.subject]}],'
            f'"org":{self._orgs[course.org]},"subjectCodes":["{course.subject_code}"]}}'
        )

    def _class(self, each: Class) -> str:
        terms = ",".join(self._sessions[term] for term in each.terms)
        course = self._reference("courses", "course", self._courses[each.course])
        return (
            f'{self._head(each)},"title":{self._text[each.title]},"classCode":"{each.code}","classType":"{each.type}",'
            f'"location":{self._text[each.location]},"grades":["{each.grade}"],'
            f'"subjects":[{self._text[each.subject]}],"course":{course},"school":{self._orgs[each.school]},'
            f'"terms":[{terms}],"subjectCodes":["{each.subject_code}"],"periods":["{each.period}"]}}'
        )

    def _person(self, user: User) -> tuple[str, str, str]:
        """What both versions say alike: name and identity, contact, and grades with agents."""
        text = self._text
        middle = f'"middleName":{text[user.middle]},' if user.middle else ""
        names = f'"givenName":{text[user.given]},"familyName":{text[user.family]},{middle}'
        phone = f'"phone":"{user.phone}",' if user.phone else ""
        contact = f'"identifier":"{user.identifier}","email":"{user.email}",{phone}'
        agents = ",".join(self._reference("users", "user", f"PER{agent:08d}") for agent in user.agents)
        grades = f'"{user.grade}"' if user.grade else ""
        return names, contact, f'"agents":[{agents}],"grades":[{grades}]'

    def _user_1_1(self, user: User) -> str:
        names, contact, rest = self._person(user)
        orgs = ",".join([self._orgs[org] for org in user.orgs])
        return (
            f'{self._head(user)},"username":"{user.username}",'
            f'"userIds":[{{"type":"District","identifier":"{user.identifier}"}}],'
            f'"enabledUser":"{"true" if user.enabled else "false"}",{names}"role":"{ROLES_1_1[user.role]}",'
            f'{contact}{rest},"orgs":[{orgs}]}}'
        )

    def _user_1_2(self, user: User) -> str:
        names, contact, rest = self._person(user)
        if user.preferred:
            names += f'"preferredFirstName":{self._text[user.preferred]},'
        if user.pronouns:
            names += f'"pronouns":"{user.pronouns}",'
        year = self._district.sessions[0]
        dates = f'"beginDate":"{day_text(year.start)}","endDate":"{day_text(year.end)}"'
        roles = ",".join(
            [
                f'{{"roleType":"primary","role":"{user.role.value}","org":{self._orgs[org]},{dates}}}'
                for org in user.orgs
            ]
        )
        return (
            f'{self._head(user)},"userMasterIdentifier":"{self._district.orgs[0].identifier}-{user.identifier}",'
            f'"username":"{user.username}","userIds":[{{"type":"District","identifier":"{user.identifier}"}}],'
            f'"enabledUser":"{"true" if user.enabled else "false"}",{names}"roles":[{roles}],"userProfiles":[],'
            f'"primaryOrg":{self._orgs[user.orgs[0]]},{contact}{rest}}}'
        )

    def _demographics(self, each: Demographics) -> str:
        flags = "".join(
            f'"{race}":"{"true" if each.races >> bit & 1 else "false"}",' for bit, race in enumerate(_RACES)
        )
        several = "true" if each.races & (each.races - 1) else "false"
        born = f'"stateOfBirthAbbreviation":"{each.state}","cityOfBirth":{self._text[each.city]},'
        return (
            f'{self._head(each)},"birthDate":"{day_text(each.birth)}","sex":"{each.sex}",{flags}'
            f'"demographicRaceTwoOrMoreRaces":"{several}",'
            f'"hispanicOrLatinoEthnicity":"{"true" if each.hispanic else "false"}",'
            f'"countryOfBirthCode":"{each.country}",{born if each.country == "US" else ""}'
            f'"publicSchoolResidenceStatus":"01652"}}'
        )

    def _enrollments(self, start: int, stop: int) -> Iterator[str]:
        columns = [column[start:stop] for column in self._district.enrollments.columns()]
        base = self._base
        before: tuple[int, ...] = ()
        status = user_on = class_on = ""
        roles = {
            STUDENT: ("student", "false"),
            TEACHER: ("teacher", "true"),
            CO_TEACHER: ("teacher", "false"),
        }
        for number, user, class_, kind, begin, end, modified in zip(*columns, strict=True):
            # Neighbours mostly share everything but the user.
            same = (class_, kind, begin, end, modified)
            if same != before:
                before = same
                role, primary = roles[kind & 3]
                section = self._reference("classes", "class", f"SEC{class_:08d}")
                status = "tobedeleted" if kind & DELETED else "active"
                user_on = (
                    f'","status":"{status}","dateLastModified":"{instant_text(modified)}",'
                    f'"user":{{"href":"{base}/users/PER'
                )
                class_on = (
                    f'","type":"user"}},"class":{section},"school":{self._orgs[self._schools[class_]]},"role":"{role}",'
                    f'"primary":"{primary}","beginDate":"{day_text(begin)}","endDate":"{day_text(end)}"}}'
                )
            yield f'{{"sourcedId":"ENR{number:010d}{user_on}{user:08d}","sourcedId":"PER{user:08d}{class_on}'
