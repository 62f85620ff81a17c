"""Text that is not what it seems is kept and told, whichever way a record is read; what is plain costs nothing."""

import json
from typing import Any
from unittest import mock

import pytest

from roster_operator.oneroster import decode as decoding
from roster_operator.oneroster.decode import Decoder, Version
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.records import User

from .test_csv_validate import changed, put
from .test_oneroster_decode import PLAIN, USER

TURNED = "Ann\u202egro"
ODD = {"password": "x"}  # a record that the shortcut leaves to the careful reader


def told(more: dict[str, Any], entity: Entity = Entity.USERS, version: Version = "1.1") -> set[tuple[str, str | None]]:
    found = Decoder(entity, version)(json.dumps(PLAIN[entity] | more, ensure_ascii=False).encode())
    assert found.record is not None
    return {(problem.code, problem.field) for problem in found.problems if problem.severity == "warning"}


@pytest.mark.parametrize("more", [{}, ODD], ids=["shortcut", "careful"])
@pytest.mark.parametrize("escaped", [True, False])
def test_both_ways_of_reading_say_the_same_and_keep_the_text(more: dict[str, Any], escaped: bool) -> None:
    fields = USER | {"givenName": TURNED, "email": "p\u0430ypal@example.org"} | more
    found = Decoder(Entity.USERS, "1.1")(json.dumps(fields, ensure_ascii=escaped).encode())
    assert isinstance(found.record, User)
    assert found.record.given_name == TURNED
    assert {(problem.code, problem.field) for problem in found.problems} == {
        ("BidiControl", "givenName"), ("LookalikeLetters", "email")}  # fmt: skip


def test_user_ids_are_looked_at_once_for_all() -> None:
    ids = [{"type": "a", "identifier": each} for each in ("x\u200b", "y\u200b", "z")]
    assert told({"userIds": ids}) == {("ZeroWidth", "userIds")}


def test_preferred_names_are_told_by_the_name_of_rest() -> None:
    assert told({"preferredFirstName": TURNED}) == {("BidiControl", "preferredFirstName")}


def test_a_text_that_nobody_is_known_by_is_left_alone() -> None:
    assert told({"phone": TURNED, "pronouns": TURNED, "metadata": {"a": TURNED}}) == set()


@pytest.mark.parametrize("entity", list(Entity))
def test_plain_records_are_not_looked_at_at_all(entity: Entity) -> None:
    with mock.patch.object(decoding, "problems_of", side_effect=AssertionError):
        assert told({}, entity) == set()
        assert told({"metadata": {"a": 1}}, entity) == set()


def test_a_bundle_says_file_line_and_column() -> None:
    def change(files: Any) -> None:
        put("orgs.csv", 3, name=TURNED, identifier="p\u0430y")(files)
        put("orgs.csv", 4, name="\u00c9cole")(files)
        put("users.csv", 5, email="ann\u200b@example.org")(files)

    found = {(each.code, each.file, each.line, each.column) for each in changed("1.2", change).findings}
    found = {each for each in found if each[0] != "CourseWithoutClass" and each[2]}
    assert found == {
        ("BidiControl", "orgs.csv", 3, "name"),
        ("LookalikeLetters", "orgs.csv", 3, "identifier"),
        ("ZeroWidth", "users.csv", 5, "email"),
    }
