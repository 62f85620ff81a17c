"""The shortcut for records without a fault: typed decoding, then as few steps as possible.

A shortcut returns the record that `careful` would return with no problem at all, or None when the
record is anything but plain; then `careful` has the word. A test holds the two equal. What is expected
of a record beyond that, and what is deceptive about it, `decode` asks of both.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from .entities import Entity
from .records import Demographics, Enrollment, Record, User
from .values import (
    BOOLEANS,
    ENROLLMENT_ROLES,
    GRADES,
    MAX_ID,
    MAX_RECORD_BYTES,
    MAX_TEXT,
    ROLE_TYPES,
    ROLES,
    SEXES,
    STATUSES,
    day,
    plain_metadata,
    stamp,
)

_ODD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, KeyError)
_Flag = bool | int | str | None


class _Ref(msgspec.Struct, gc=False):
    sourcedId: str  # noqa: N815 (the standard's names, here and below)


class _Common(msgspec.Struct, gc=False):
    sourcedId: str  # noqa: N815
    status: str
    dateLastModified: str | None = None  # noqa: N815
    metadata: dict[str, Any] | str | None = None


class _EnrollmentWire(_Common, gc=False, kw_only=True):
    user: _Ref
    class_: _Ref = msgspec.field(name="class")
    school: _Ref
    role: str
    primary: _Flag = None
    beginDate: str | None = None  # noqa: N815
    endDate: str | None = None  # noqa: N815


class _RoleWire(msgspec.Struct, gc=False):
    role: str
    org: _Ref
    roleType: str | None = None  # noqa: N815
    beginDate: str | None = None  # noqa: N815
    endDate: str | None = None  # noqa: N815
    userProfile: str | None = None  # noqa: N815


class _UserIdWire(msgspec.Struct, gc=False):
    identifier: str
    type: str | None = None


class _UserWire(_Common, gc=False, kw_only=True):
    enabledUser: _Flag  # noqa: N815
    givenName: str  # noqa: N815
    familyName: str  # noqa: N815
    username: str | None = None
    userIds: list[_UserIdWire] | None = None  # noqa: N815
    middleName: str | None = None  # noqa: N815
    preferredFirstName: str | None = None  # noqa: N815
    preferredMiddleName: str | None = None  # noqa: N815
    preferredLastName: str | None = None  # noqa: N815
    preferredGivenName: str | None = None  # noqa: N815
    preferredFamilyName: str | None = None  # noqa: N815
    pronouns: str | None = None
    role: str | None = None
    roles: list[_RoleWire] | None = None
    orgs: list[_Ref] | None = None
    primaryOrg: _Ref | None = None  # noqa: N815
    agents: list[_Ref] | None = None
    grades: list[str] | str | None = None
    identifier: str | None = None
    userMasterIdentifier: str | None = None  # noqa: N815
    email: str | None = None
    sms: str | None = None
    phone: str | None = None


class _DemographicsWire(_Common, gc=False, kw_only=True):
    birthDate: str | None = None  # noqa: N815
    birthdate: str | None = None
    sex: str | None = None
    americanIndianOrAlaskaNative: _Flag = None  # noqa: N815
    asian: _Flag = None
    blackOrAfricanAmerican: _Flag = None  # noqa: N815
    nativeHawaiianOrOtherPacificIslander: _Flag = None  # noqa: N815
    white: _Flag = None
    demographicRaceTwoOrMoreRaces: _Flag = None  # noqa: N815
    hispanicOrLatinoEthnicity: _Flag = None  # noqa: N815
    countryOfBirthCode: str | None = None  # noqa: N815
    stateOfBirthAbbreviation: str | None = None  # noqa: N815
    cityOfBirth: str | None = None  # noqa: N815
    publicSchoolResidenceStatus: str | None = None  # noqa: N815


_enrollment_wire = msgspec.json.Decoder(_EnrollmentWire).decode
_user_wire = msgspec.json.Decoder(_UserWire).decode
_demographics_wire = msgspec.json.Decoder(_DemographicsWire).decode

# What "no value" looks like; a flag of None means unknown.
_FLAGS: dict[Any, bool | None] = {**BOOLEANS, None: None, "": None}


class _NotPlainError(ValueError):
    """This record is for `careful`."""


def _metadata(value: dict[str, Any] | str, size: int) -> dict[str, Any]:
    if type(value) is not dict or not plain_metadata(value, size):
        raise _NotPlainError
    return value


def _checked(identity: str) -> str:
    """An id that needs no word; lengths of all others are bounded by the record's own."""
    if not identity or len(identity) > MAX_ID:
        raise _NotPlainError
    return identity


def _enrollment(data: bytes, version: str) -> Record | None:  # noqa: ARG001 (all are called alike)
    size = len(data)
    # No text can be too long in a record that is no longer than one. Longer ones are rare.
    if size > MAX_TEXT:
        return None
    try:
        wire = _enrollment_wire(data)
        role = wire.role
        if role not in ENROLLMENT_ROLES and not role.startswith("ext:"):
            return None
        changed, begin, end, metadata = wire.dateLastModified, wire.beginDate, wire.endDate, wire.metadata
        return Enrollment(
            _checked(wire.sourcedId),
            STATUSES[wire.status],
            stamp(changed) if changed else None,
            _metadata(metadata, size) if metadata else None,
            _checked(wire.user.sourcedId),
            _checked(wire.class_.sourcedId),
            _checked(wire.school.sourcedId),
            role,
            _FLAGS[wire.primary],
            day(begin) if begin else None,
            day(end) if end else None,
        )
    except _ODD:
        return None


def _user(data: bytes, version: str) -> Record | None:
    size = len(data)
    # A star may be a masked value.
    if size > MAX_RECORD_BYTES or b"*" in data:
        return None
    try:
        wire = _user_wire(data)
        if wire.roles:
            role, roles, orgs = _from_roles(wire)
        else:
            role = wire.role
            if version != "1.1" or not role or (role not in ROLES and not role.startswith("ext:")):
                return None
            orgs = _ids(wire.orgs)
            if not orgs:
                return None
            roles: list[dict[str, str | None]] = [
                {
                    "role_type": "primary",
                    "role": role,
                    "org_sourced_id": org,
                    "begin_date": None,
                    "end_date": None,
                    "user_profile": None,
                }
                for org in orgs
            ]
        if not wire.givenName or not wire.familyName:
            return None
        changed, metadata, grades = wire.dateLastModified, wire.metadata, wire.grades
        record = User(
            _checked(wire.sourcedId),
            STATUSES[wire.status],
            stamp(changed) if changed else None,
            _metadata(metadata, size) if metadata else None,
            BOOLEANS[wire.enabledUser],
            wire.username or None,
            [{"type": item.type or "", "identifier": item.identifier} for item in wire.userIds if item.identifier]
            if wire.userIds
            else [],
            wire.givenName,
            wire.familyName,
            wire.middleName or None,
            wire.preferredFirstName or wire.preferredGivenName or None,
            wire.preferredMiddleName or None,
            wire.preferredLastName or wire.preferredFamilyName or None,
            wire.pronouns or None,
            role,
            roles,
            orgs,
            _checked(wire.primaryOrg.sourcedId) if wire.primaryOrg else None,
            _ids(wire.agents) if wire.agents else [],
            _grades(grades) if grades else [],
            wire.identifier or None,
            wire.userMasterIdentifier or None,
            wire.email or None,
            wire.sms or None,
            wire.phone or None,
        )
    except _ODD:
        return None
    if size > MAX_TEXT and _any_too_long(record):
        return None
    return record


def _grades(grades: list[str] | str) -> list[str]:
    if type(grades) is str:
        return [GRADES.get(grades, grades)]
    return [GRADES.get(grade, grade) for grade in grades if grade]


def _ids(references: list[_Ref] | None) -> list[str]:
    if not references:
        return []
    if len(references) == 1:
        return [_checked(references[0].sourcedId)]
    return list(dict.fromkeys([_checked(reference.sourcedId) for reference in references]))


def _from_roles(wire: _UserWire) -> tuple[str, list[dict[str, str | None]], list[str]]:
    roles: list[dict[str, str | None]] = []
    orgs: dict[str, None] = {}
    first: str | None = None
    at_primary_org: str | None = None
    primary_org = wire.primaryOrg.sourcedId if wire.primaryOrg else None
    for item in wire.roles or ():
        role, role_type, begin, end = item.role, item.roleType, item.beginDate, item.endDate
        if (role not in ROLES and not role.startswith("ext:")) or role_type not in ROLE_TYPES:
            raise _NotPlainError
        org = _checked(item.org.sourcedId)
        if begin:
            day(begin)
        if end:
            day(end)
        orgs[org] = None
        if role_type == "primary":
            if first is None:
                first = role
            if at_primary_org is None and org == primary_org:
                at_primary_org = role
        roles.append(
            {
                "role_type": role_type,
                "role": role,
                "org_sourced_id": org,
                "begin_date": begin or None,
                "end_date": end or None,
                "user_profile": item.userProfile or None,
            }
        )
    chosen = at_primary_org or first
    if chosen is None:
        raise _NotPlainError
    return chosen, roles, list(dict.fromkeys([*orgs, *_ids(wire.orgs)])) if wire.orgs else list(orgs)


def _any_too_long(record: User) -> bool:
    def too_long(value: Any) -> bool:
        if type(value) is str:
            return len(value) > MAX_TEXT
        if type(value) is list:
            return any(too_long(item) for item in value)
        if type(value) is dict:
            return any(too_long(item) for item in value.values())
        return False

    metadata = 3
    return any(too_long(value) for index, value in enumerate(msgspec.structs.astuple(record)) if index != metadata)


def _demographics(data: bytes, version: str) -> Record | None:  # noqa: ARG001
    size = len(data)
    if size > MAX_TEXT or b"*" in data:
        return None
    try:
        wire = _demographics_wire(data)
        sex, changed, metadata = wire.sex or None, wire.dateLastModified, wire.metadata
        if sex is not None and sex not in SEXES:
            return None
        born = wire.birthDate or wire.birthdate
        return Demographics(
            _checked(wire.sourcedId),
            STATUSES[wire.status],
            stamp(changed) if changed else None,
            _metadata(metadata, size) if metadata else None,
            day(born) if born else None,
            sex,
            _FLAGS[wire.americanIndianOrAlaskaNative],
            _FLAGS[wire.asian],
            _FLAGS[wire.blackOrAfricanAmerican],
            _FLAGS[wire.nativeHawaiianOrOtherPacificIslander],
            _FLAGS[wire.white],
            _FLAGS[wire.demographicRaceTwoOrMoreRaces],
            _FLAGS[wire.hispanicOrLatinoEthnicity],
            wire.countryOfBirthCode or None,
            wire.stateOfBirthAbbreviation or None,
            wire.cityOfBirth or None,
            wire.publicSchoolResidenceStatus or None,
        )
    except _ODD:
        return None


# Only where a district has hundreds of thousands of records.
SHORTCUTS: dict[Entity, Callable[[bytes, str], Record | None]] = {
    Entity.USERS: _user,
    Entity.ENROLLMENTS: _enrollment,
    Entity.DEMOGRAPHICS: _demographics,
}
