"""A generated district is the same everywhere, consistent, and looks like one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tests.sample_sis.consistency import check, records

from roster_sample_sis import District, Rendering, Role, Version, generate
from roster_sample_sis.districts import GRADES
from roster_sample_sis.variants import VARIANTS, a_year_later, lost_a_fifth, one_percent_changed, touched

_DIGEST = """
import hashlib, sys
from roster_sample_sis import Rendering, Version, generate
from roster_sample_sis.variants import VARIANTS
for name, variant in VARIANTS.items():
    district = variant(generate(11, 400, guardians=True))
    for version in Version:
        rendering = Rendering(district, version, "http://sis")
        for table in ("orgs", "academicSessions", "courses", "classes", "users", "demographics", "enrollments"):
            digest = hashlib.sha256(b"".join(rendering.records(table, 0, 1_000_000)))
            print(name, version, table, digest.hexdigest())
"""


def _digests(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2] / "examples")}
    ran = subprocess.run([sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    first, second = _digests("1"), _digests("2")
    assert first == second
    assert len(first.splitlines()) == len(VARIANTS) * 2 * 7


def test_another_seed_gives_another_district() -> None:
    assert generate(1, 300).users != generate(2, 300).users


@pytest.mark.parametrize("size", [20, 21, 50, 333, 2500])
@pytest.mark.parametrize("guardians", [False, True])
def test_a_district_has_as_many_users_as_was_asked_for(size: int, guardians: bool) -> None:
    district = generate(3, size, guardians=guardians)
    assert len(district.users) == size
    check(district)


@pytest.mark.parametrize(("size", "enrollments"), [(700, 1500), (1000, 2500), (1500, 9000)])
def test_enrollments_are_exactly_as_many_as_was_asked_for(size: int, enrollments: int) -> None:
    district = generate(5, size, enrollments=enrollments)
    assert len(district.enrollments) == enrollments
    check(district)


@pytest.mark.parametrize(("size", "enrollments"), [(19, None), (1000, 900), (1000, 20_000)])
def test_what_cannot_be_had_is_refused(size: int, enrollments: int | None) -> None:
    with pytest.raises(ValueError, match=r"district has|cannot be made"):
        generate(1, size, enrollments=enrollments)


def test_ratios_are_those_of_a_district() -> None:
    district = generate(7, 20_000)
    roles = Counter(user.role for user in district.users)
    assert 0.85 < roles[Role.STUDENT] / 20_000 < 0.96
    assert 10 < roles[Role.STUDENT] / roles[Role.TEACHER] < 25
    assert roles[Role.PRINCIPAL] == len(district.schools)
    assert roles[Role.DISTRICT_ADMINISTRATOR] >= 1
    assert roles[Role.AIDE] > roles[Role.COUNSELOR] > 0
    grades = Counter(user.grade for user in district.students)
    assert set(grades) == set(GRADES)
    assert max(grades.values()) - min(grades.values()) <= 1
    taught = Counter(each.user for each in district.enrollments if each.primary)
    assert set(taught.values()) <= {3, 4, 5, 6}
    assert set(taught) == {user.number for user in district.teachers}
    sizes = Counter(each.class_ for each in district.enrollments if each.role is Role.STUDENT)
    assert max(sizes.values()) <= 27
    assert 15 < sum(sizes.values()) / len(sizes) <= 26


def test_every_student_has_one_homeroom_and_sits_in_no_class_twice() -> None:
    district = generate(7, 3000)
    kinds = {each.number: each.type for each in district.classes}
    classes: dict[int, list[int]] = defaultdict(list)
    for each in district.enrollments:
        classes[each.user].append(each.class_)
    for student in district.students:
        assert len(set(classes[student.number])) == len(classes[student.number])
        assert sum(kinds[each] == "homeroom" for each in classes[student.number]) == 1


def test_names_contain_what_software_trips_over_and_addresses_are_reserved() -> None:
    district = generate(7, 20_000, guardians=True)
    text = " ".join(f"{user.given} {user.family}" for user in district.users)
    for letter in ("'", "-", "é", "ł", "\u02bb", "佐", "Null"):
        assert letter in text
    assert len({user.email for user in district.users}) == len(district.users)
    assert len({user.username for user in district.users}) == len(district.users)
    for user in district.users:
        assert user.email.isascii()
        assert user.email.endswith((".example.org", ".example.net"))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [60, 900])
def test_every_variant_is_consistent_and_leaves_its_district_alone(name: str, size: int) -> None:
    district, untouched = generate(7, size, guardians=True), generate(7, size, guardians=True)
    check(VARIANTS[name](district), classes_filled=name != "lost-a-fifth")
    assert district == untouched


def test_touched_changes_every_date_and_nothing_else(district: District) -> None:
    later = touched(district)
    for version in Version:
        before, after = records(district, version), records(later, version)
        for table, rows in before.items():
            assert all(a["dateLastModified"] > b["dateLastModified"] for a, b in zip(after[table], rows, strict=True))
            for row in (*rows, *after[table]):
                del row["dateLastModified"]
            assert rows == after[table]


def test_lost_a_fifth_only_takes_students_with_what_is_theirs(district: District) -> None:
    less = lost_a_fifth(district)
    gone = {user.number for user in district.users} - {user.number for user in less.users}
    assert len(gone) == round(len(district.students) / 5)
    assert gone <= {user.number for user in district.students}
    assert list(less.enrollments) == [each for each in district.enrollments if each.user not in gone]
    assert less.demographics == [each for each in district.demographics if each.number not in gone]
    assert less.classes == district.classes
    assert less.as_of == district.as_of


def test_one_percent_changed_changes_one_percent() -> None:
    district = generate(7, 10_000)
    later = one_percent_changed(district, 3)
    before = {user.number: user for user in district.users}
    after = {user.number: user for user in later.users}
    updated = [user for number, user in after.items() if number in before and before[number] != user]
    assert len(updated) == 100
    assert all(user.modified > district.as_of for user in updated)
    assert len(after.keys() - before.keys()) == len(before.keys() - after.keys()) == 5
    rows = {each.number: each for each in district.enrollments}
    changed = [each for each in later.enrollments if each.number in rows and rows[each.number] != each]
    assert 0.0095 < len(changed) / len(rows) < 0.0101
    created = [each for each in later.enrollments if each.number not in rows]
    assert created
    assert min(each.number for each in created) >= district.next_enrollment
    assert one_percent_changed(district, 4).users != later.users


def test_every_update_of_one_percent_shows_outside_the_date() -> None:
    district = generate(7, 3000)
    before = {row["sourcedId"]: row for row in records(district, Version.V1_2)["users"]}
    for row in records(one_percent_changed(district), Version.V1_2)["users"]:
        old = before.get(row["sourcedId"])
        if old is not None and old["dateLastModified"] != row["dateLastModified"]:
            assert {**old, "dateLastModified": ""} != {**row, "dateLastModified": ""}


def test_removed_people_can_stay_as_tobedeleted() -> None:
    district = generate(7, 2500)
    later = one_percent_changed(district, mark_removed=True)
    check(later)
    marked = [row for row in records(later, Version.V1_1)["users"] if row["status"] == "tobedeleted"]
    assert len(marked) == 1
    assert {user.number for user in district.users} <= {user.number for user in later.users}
    assert any(row["status"] == "tobedeleted" for row in records(later, Version.V1_1)["enrollments"])


def test_a_year_later_everyone_has_moved_on(district: District) -> None:
    later = a_year_later(district)
    before = {user.number: user for user in district.users}
    after = {user.number: user for user in later.users}
    for number, user in before.items():
        if user.role is Role.STUDENT:
            if user.grade == "12":
                assert number not in after
            else:
                assert GRADES.index(after[number].grade) == GRADES.index(user.grade) + 1
    graduates = sum(user.grade == "12" for user in before.values())
    assert sum(number >= district.next_user and user.grade == "KG" for number, user in after.items()) == graduates
    assert not {each.number for each in later.classes} & {each.number for each in district.classes}
    assert not set(later.enrollments.number) & set(district.enrollments.number)
    assert {each.school_year for each in later.sessions} == {district.school_year + 1}
    old_teachers = {user.number for user in district.teachers}
    assert 0 < len(old_teachers - after.keys()) < len(old_teachers) / 2
    check(a_year_later(a_year_later(later)))


def test_both_versions_tell_of_the_same_district(district: District) -> None:
    old, new = records(district, Version.V1_1), records(district, Version.V1_2)
    for table in old:
        assert [row["sourcedId"] for row in old[table]] == [row["sourcedId"] for row in new[table]]
    for one, two in zip(old["users"], new["users"], strict=True):
        assert "roles" not in one
        assert "role" not in two
        assert [org["sourcedId"] for org in one["orgs"]] == [role["org"]["sourcedId"] for role in two["roles"]]
        assert one["username"] == two["username"]
        assert two["userMasterIdentifier"]
        assert two["primaryOrg"]["sourcedId"] == one["orgs"][0]["sourcedId"]
    assert {user["role"] for user in old["users"]} <= {"administrator", "aide", "guardian", "student", "teacher"}
    assert {"principal", "counselor"} <= {role["role"] for user in new["users"] for role in user["roles"]}
    assert any("preferredFirstName" in user for user in new["users"])


def test_a_record_is_the_same_alone_and_in_a_block(district: District) -> None:
    rendering = Rendering(district, Version.V1_2, "http://sis")
    together = rendering.records("enrollments", 0, len(district.enrollments))
    assert [rendering.records("enrollments", row, row + 1)[0] for row in range(50)] == together[:50]
