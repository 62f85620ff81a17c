"""What is a mask and what is a name, and what a decoder says of masked fields."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.intake import filled, masked_fields
from roster_operator.oneroster.masks import is_masked
from roster_operator.oneroster.records import Demographics, User

USER = {
    "sourcedId": "u1",
    "status": "active",
    "enabledUser": True,
    "givenName": "Ada",
    "familyName": "North",
    "username": "ada",
    "role": "student",
    "orgs": [{"sourcedId": "o1"}],
}


def decoded(entity: Entity = Entity.USERS, **more: Any):
    return Decoder(entity, "1.1")(msgspec.json.encode(USER | more))


@pytest.mark.parametrize(
    "text",
    [
        "****",
        "**",
        "T***",
        "T**",
        "Ti****",
        "***-**-1234",
        "t***@example.org",
        "****@****.***",
        "****-**-**",
        "T*** M***",
    ],
)
def test_these_are_masked(text: str) -> None:
    assert is_masked(text)


@pytest.mark.parametrize(
    "text",
    ["", "*", "Smith", "Smith*", "*Smith", "Wu**", "Smith***", "M*A*S*H", "a*b", "Ann***", "name*@x.org"],
)
def test_these_are_not(text: str) -> None:
    assert not is_masked(text)


def test_a_masked_field_is_a_warning_and_a_required_one_keeps_its_mask() -> None:
    found = decoded(givenName="A***", phone="****", grades=["**"], userIds=[{"type": "x", "identifier": "****"}] * 2)
    assert [(each.code, each.severity, each.field) for each in found.problems] == [
        ("ValueMasked", "warning", "userIds"),
        ("ValueMasked", "warning", "givenName"),
        ("ValueMasked", "warning", "grades"),
        ("ValueMasked", "warning", "phone"),
    ]
    record = found.record
    assert isinstance(record, User)
    assert (record.given_name, record.phone, record.grades, record.user_ids) == ("A***", None, [], [])
    assert masked_fields(Entity.USERS, found.problems) == ["user_ids", "given_name", "grades", "phone"]


def test_masked_values_become_the_merged_ones_and_nothing_else_does() -> None:
    found = decoded(givenName="A***", email="e@example.org", phone="****", metadata={"a": "1", "b": "***", "c": "***"})
    assert found.record is not None
    merged = {"given_name": "Ada", "phone": "555", "email": "old@example.org", "metadata": {"a": "0", "b": "2"}}
    record = filled(found.record, masked_fields(Entity.USERS, found.problems), merged)
    assert isinstance(record, User)
    assert (record.given_name, record.phone, record.email) == ("Ada", "555", "e@example.org")
    assert record.metadata == {"a": "1", "b": "2"}
    new = filled(found.record, masked_fields(Entity.USERS, found.problems), None)
    assert isinstance(new, User)
    assert (new.given_name, new.phone, new.metadata) == ("A***", None, {"a": "1"})


def test_masked_days_and_flags_are_withheld_and_make_no_record_invalid() -> None:
    raw = {"sourcedId": "u1", "status": "active", "birthDate": "****-**-**", "asian": "***", "sex": "female"}
    found = Decoder(Entity.DEMOGRAPHICS, "1.2")(msgspec.json.encode(raw))
    assert isinstance(found.record, Demographics)
    assert (found.record.birth_date, found.record.asian, found.record.sex) == (None, None, "female")
    record = filled(
        found.record,
        masked_fields(Entity.DEMOGRAPHICS, found.problems),
        {"birth_date": date(2010, 1, 2), "asian": True, "sex": "male"},
    )
    assert isinstance(record, Demographics)
    assert (record.birth_date, record.asian, record.sex) == (date(2010, 1, 2), True, "female")


def test_a_mask_that_is_written_as_an_escape_is_seen() -> None:
    raw = msgspec.json.encode(USER | {"phone": "@@@@"}).replace(b"@@@@", rb"\u002a\u002a\u002a\u002a")
    assert [each.code for each in Decoder(Entity.USERS, "1.1")(raw).problems] == ["ValueMasked"]


def test_titles_with_stars_are_titles() -> None:
    raw = {"sourcedId": "o1", "status": "active", "name": "****", "type": "school", "identifier": "1"}
    found = Decoder(Entity.ORGS, "1.2")(msgspec.json.encode(raw))
    assert (found.problems, found.record is not None) == ((), True)
