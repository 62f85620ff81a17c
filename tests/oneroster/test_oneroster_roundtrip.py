"""Any record, rendered in either version and read back, is itself; and the shortcut never differs."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roster_operator.oneroster.careful import one_role
from roster_operator.oneroster.decode import Decoder, Version
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.fast import SHORTCUTS
from roster_operator.oneroster.records import Record, User, canonical, record_type

from .wires import wire

printable = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
text = st.text(printable, min_size=1, max_size=40)
ids = st.text(printable, min_size=1, max_size=255)
optional = st.none() | text
day = st.dates(date(1900, 1, 1), date(2100, 1, 1))
leaf = st.none() | st.booleans() | st.text(printable, max_size=20) | st.integers(-(2**63), 2**63 - 1)
safe_key = st.text(st.characters(categories=["Lu", "Nd"]), max_size=10).map(lambda key: f"x{key}")
metadata = st.none() | st.dictionaries(
    safe_key,
    st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(safe_key, inner, max_size=3), max_leaves=6
    ),
    min_size=1,
    max_size=4,
)
# hypothesis wants them naive, and adds the zone itself.
EARLY, LATE = datetime(1990, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001
common = {
    "sourced_id": ids,
    "status": st.sampled_from(["active", "tobedeleted"]),
    "date_last_modified": st.none() | st.datetimes(EARLY, LATE, timezones=st.just(UTC)),
    "metadata": metadata,
}
grades = st.lists(st.sampled_from(["KG", "01", "09", "12", "PK", "Sonstige"]), max_size=3)
distinct = st.lists(ids, max_size=3, unique=True)
special: dict[tuple[Entity, str], st.SearchStrategy[Any]] = {
    (Entity.ORGS, "type"): st.sampled_from(["school", "district", "ext:house"]),
    (Entity.ACADEMIC_SESSIONS, "type"): st.sampled_from(["term", "gradingPeriod", "ext:block"]),
    (Entity.CLASSES, "class_type"): st.none() | st.sampled_from(["homeroom", "scheduled"]),
    (Entity.CLASSES, "term_sourced_ids"): st.lists(ids, min_size=1, max_size=3, unique=True),
    (Entity.ENROLLMENTS, "role"): st.sampled_from(["student", "teacher", "ext:observer"]),
    (Entity.DEMOGRAPHICS, "sex"): st.none() | st.sampled_from(["male", "female", "other"]),
}


def strategy(entity: Entity, name: str, kind: Any) -> st.SearchStrategy[Any]:
    if name in common:
        return common[name]
    if (entity, name) in special:
        return special[entity, name]
    if name == "grades":
        return grades
    if name.endswith("_sourced_ids"):
        return distinct
    if name == "school_year":
        return st.integers(1900, 2200)
    if name.endswith("sourced_id"):
        return ids if kind is str else st.none() | ids
    if name in ("subjects", "subject_codes", "periods"):
        return st.lists(text, max_size=3)
    plain = {
        str: text,
        bool: st.booleans(),
        date: day,
        bool | None: st.none() | st.booleans(),
        date | None: st.none() | day,
    }
    return plain.get(kind, optional)


@st.composite
def users(draw: st.DrawFn, version: str) -> User:
    values = {
        field.name: draw(strategy(Entity.USERS, field.name, field.type))
        for field in msgspec.structs.fields(User)
        if field.name not in ("user_ids", "role", "roles", "org_sourced_ids")
    }
    names = st.sampled_from(["student", "teacher", "aide", "ext:coach"])
    orgs = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    role = draw(names)
    roles = [one_role("primary", role, org) for org in orgs]
    if version == "1.2":
        for entry in roles[1:]:
            entry |= {"role": draw(names), "role_type": draw(st.sampled_from(["primary", "secondary"]))}
        for entry in roles:
            begin, end = draw(st.none() | day), draw(st.none() | day)
            entry |= {"begin_date": begin and begin.isoformat(), "end_date": end and end.isoformat(),
                      "user_profile": draw(optional)}  # fmt: skip
        at_primary = [
            entry["role"]
            for entry in roles
            if entry["role_type"] == "primary" and entry["org_sourced_id"] == values["primary_org_sourced_id"]
        ]
        role = at_primary[0] if at_primary else roles[0]["role"]
    user_ids = draw(st.lists(st.fixed_dictionaries({"type": text, "identifier": text}), max_size=2))
    return User(**values, user_ids=user_ids, role=role, roles=roles, org_sourced_ids=orgs)


def records(entity: Entity, version: str) -> st.SearchStrategy[Record]:
    if entity is Entity.USERS:
        return users(version)
    kind = record_type(entity)
    return st.builds(
        kind, **{field.name: strategy(entity, field.name, field.type) for field in msgspec.structs.fields(kind)}
    )


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("entity", list(Entity))
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_record_sent_and_read_is_itself(entity: Entity, version: Version, data: st.DataObject) -> None:
    record = data.draw(records(entity, version))
    decoded = Decoder(entity, version)(json.dumps(wire(record, version)).encode())
    assert [problem for problem in decoded.problems if problem.severity == "error"] == []
    assert decoded.record == record
    assert canonical(decoded.record) == canonical(record)
    assert not decoded.secret


ODD = st.sampled_from(
    [None, "", "x", [], {}, 0, 1, True, "true", "2026-08-01", "T" * 2100, "a\0", [None], [""], 1.5, ["09", "09"],
     {"sourcedId": "z"}, [{"sourcedId": "z"}], {"sourcedId": ""}, "inactive"]
)  # fmt: skip


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("entity", sorted(SHORTCUTS))
@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_shortcut_is_the_careful_reading_or_none(entity: Entity, version: Version, data: st.DataObject) -> None:
    fields = wire(data.draw(records(entity, version)), version)
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
        fields[name] = data.draw(ODD)
    raw = json.dumps(fields).encode()
    quick = SHORTCUTS[entity](raw, version)
    if quick is None or b"\\u00" in raw:
        return
    careful = Decoder(entity, version)._carefully(raw, False, plain=b"\\" not in raw)
    assert careful.record == quick
    assert careful == Decoder(entity, version)(raw)
    assert {problem.code for problem in careful.problems} <= {
        "MissingExpected", "BidiControl", "ZeroWidth", "LookalikeLetters"}  # fmt: skip


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_a_decoder_raise(raw: bytes) -> None:
    for entity in Entity:
        assert Decoder(entity, "1.1")(raw).record is None


def test_the_hash_does_not_see_order_where_there_is_none() -> None:
    raw = {"sourcedId": "u1", "status": "active", "enabledUser": True, "givenName": "A", "familyName": "B",
           "role": "student", "metadata": {"b": 1, "a": 2}}  # fmt: skip
    one = raw | {"orgs": [{"sourcedId": "o1"}, {"sourcedId": "o2"}], "dateLastModified": "2026-01-01T00:00:00Z"}
    other = raw | {"orgs": [{"sourcedId": "o2"}, {"sourcedId": "o1"}], "metadata": {"a": 2, "b": 1}}
    decode = Decoder(Entity.USERS, "1.1")
    first, second = (decode(json.dumps(fields).encode()).record for fields in (one, other))
    assert first is not None
    assert second is not None
    assert first != second
    assert canonical(first) == canonical(second)
    third = decode(json.dumps(one | {"phone": "1"}).encode()).record
    assert third is not None
    assert canonical(third) != canonical(first)
