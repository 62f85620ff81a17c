"""What a sync tells of a row stands where the row stands: in its own file, on its own line, in its own column."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.worker.bundles import bundle, bundle_1_2, touched
from tests.worker.test_worker_csv import UPLOAD, District, district

from roster_operator.console.reports import issues_file
from roster_operator.store import issue_history, issues, runs
from roster_operator.store.issues import RecordIssue

__all__ = ["district"]
pytestmark = pytest.mark.store
Place = tuple[str, str, str | None, str | None, int | None]


def staged(district: District, data: bytes) -> tuple[list[RecordIssue], set[Place]]:
    """The run's own list, and what is kept of it over the runs."""
    uid = uuid4()
    district.staged(UPLOAD, uid, upload=district.upload(data))
    with district.roster.stager() as conn:
        listed = issues.listing(conn, runs.get(conn, uid))
        kept = issue_history.problems(conn, uid)
    district.run(district.task("discard", UPLOAD, uid))
    open_ones = [each for each in kept if each.state != "fixed"]
    return listed, {(each.code, each.sourced_id, each.field, each.file, each.line) for each in open_ones}


def places(listed: list[RecordIssue]) -> set[Place]:
    return {(each.code, each.sourced_id or "", each.field, each.file, each.line) for each in listed}


def test_a_reference_into_nothing_names_the_column_and_is_fixed_from_where_it_points_to(district: District) -> None:
    lost = touched(bundle(3), ("users.csv", "u2,,,true,s1", "u2,,,true,s9"))
    listed, kept = staged(district, lost)
    told = {("DanglingReference", "u2", "orgSourcedIds", "users.csv", 3)}
    assert places(listed) == kept == told
    assert ",users.csv,3,orgSourcedIds,error," in issues_file(listed)
    # With a second org that is there it is a warning, and the school that comes later solves it.
    half = touched(bundle(3), ("users.csv", "u2,,,true,s1", 'u2,,,true,"s1,s9"'))
    district.merged(UPLOAD, upload=district.upload(half))
    with_school = touched(half, ("orgs.csv", "s1,,,", "s9,,,Nine,school,,\r\ns1,,,"))
    _, kept = staged(district, with_school)
    assert kept == set()


def test_an_id_that_is_there_twice_is_told_with_the_line_on_which_it_stands_again(district: District) -> None:
    listed, kept = staged(district, touched(bundle(5), ("users.csv", "u4,", "u2,")))
    assert places(listed) == kept == {("DuplicateSourcedId", "u2", "sourcedId", "users.csv", 5)}
    # The same where one of the two rows is as it was merged, and where both are.
    district.merged(UPLOAD, upload=district.upload(bundle(5)))
    listed, _ = staged(district, touched(bundle(5), ("users.csv", "u4,", "u2,")))
    assert places(listed) == {("DuplicateSourcedId", "u2", "sourcedId", "users.csv", 5)}
    again = "u2,,,true,s1,student,user2,,Given2,Canary" + "," * 8 + "\r\n"
    listed, _ = staged(district, touched(bundle(5), ("users.csv", again, again + "\r\n" + again)))
    assert ("DuplicateSourcedId", "u2", "sourcedId", "users.csv", 5) in places(listed)


def test_somebody_who_may_be_there_under_another_id_is_told_where_they_stand(district: District) -> None:
    """The store finds it after the whole file was read."""
    numbered = touched(bundle(3), ("users.csv", "Given2,Canary,,,", "Given2,Canary,,77,"))
    district.merged(UPLOAD, upload=district.upload(numbered))
    stamp = "active,2026-11-25T03:00:00.000Z"
    renamed = touched(
        bundle(3, orgs="absent", users="delta"),
        ("users.csv", "u1,,", f"u1,{stamp}"),
        ("users.csv", "u2,,", f"w2,{stamp}"),
        ("users.csv", "u3,,", f"u3,{stamp}"),
        ("users.csv", "Given2,Canary,,,", "Given2,Canary,,77,"),
    )
    listed, kept = staged(district, renamed)
    assert places(listed) == kept == {("KnownUnderAnotherId", "w2", "identifier", "users.csv", 3)}


def test_what_is_wrong_with_a_role_stands_in_its_row_of_roles_csv(district: District) -> None:
    people = {"ann": "Ann", "ben": "Ben", "cat": "Cat", "dan": "Dan", "eve": "Eve"}
    roles = [
        ("ann", "primary", "teacher", "s1"),
        ("ben", "primary", "student", "s1"),
        ("ann", "secondary", "janitor", "s2"),  # line 4
        ("ann", "secondary", "wizard", "s3"),  # line 5
        ("cat", "primary", "student", "s1"),
        ("cat", "secondary", "student", "s9"),  # line 7
        ("dan", "second", "aide", "s1"),  # line 8
        ("eve", "primary", "student", "s1"),  # line 9
    ]
    sent = touched(
        bundle_1_2(people, roles), ("roles.csv", "r7,,,eve,primary,student,,,s1,", "r7,,,eve,primary,student,,,s1,,,x")
    )
    listed, kept = staged(district, sent)
    assert places(listed) == {
        ("UnknownVocabulary", "ann", "role", "roles.csv", 4),
        ("UnknownVocabulary", "ann", "role", "roles.csv", 5),
        ("DanglingReference", "cat", "orgSourcedId", "roles.csv", 7),
        ("UnknownVocabulary", "dan", "roleType", "roles.csv", 8),
        ("TooManyCells", "eve", None, "roles.csv", 9),
    }
    assert {each[4] for each in kept} == {4, 7, 8, 9}, "of one kind the first is kept over the runs"
    cells = ("cat", "roles.csv", "7", "orgSourcedId")
    assert any(all(cell in line for cell in cells) for line in issues_file(listed).splitlines())


def test_a_role_of_somebody_whom_the_bundle_does_not_have_is_told_and_keeps_nobody(district: District) -> None:
    people, schools = {"ann": "Ann", "ben": "Ben"}, ["s1", "s2"]
    roles = [(who, "primary", "student", school) for who, school in zip(people, schools, strict=True)]
    district.merged(UPLOAD, upload=district.upload(bundle_1_2(people, roles)))
    # Ben is gone, and his role was left behind; another one is of nobody at all, and one is to be deleted.
    left = [*roles, ("zoe", "primary", "teacher", "s1"), ("max", "primary", "teacher", "s1")]
    sent = touched(bundle_1_2({"ann": "Ann"}, left), ("roles.csv", "r3,,", "r3,tobedeleted,"))
    uid = uuid4()
    summary = district.staged(UPLOAD, uid, upload=district.upload(sent))
    told = [(each.code, each.severity, each.entity, each.count) for each in summary.issues]
    assert ("DanglingReference", "error", "roles", 2) in told
    assert summary.plan is not None
    assert (summary.plan.entities["users"].deactivate, summary.plan.entities["users"].invalid) == (1, 0)
    with district.roster.stager() as conn:
        listed = issues.listing(conn, runs.get(conn, uid), code="DanglingReference")
    assert places(listed) == {("DanglingReference", "", "userSourcedId", "roles.csv", line) for line in (3, 4)}


def test_metadata_of_roles_are_told_as_not_kept(district: District) -> None:
    sent = touched(
        bundle_1_2({"ann": "Ann"}, [("ann", "primary", "teacher", "s1")]),
        ("roles.csv", "userProfileSourcedId", "userProfileSourcedId,metadata.badge"),
        ("roles.csv", "primary,teacher,,,s1,", "primary,teacher,,,s1,,canary"),
        ("users.csv", "pronouns", "pronouns,metadata.badge"),
        ("users.csv", "Ann,Canary" + "," * 14, "Ann,Canary" + "," * 14 + ",7"),
    )
    listed, _ = staged(district, sent)
    told = [(each.code, each.severity, each.file, each.line) for each in listed]
    assert told == [("MetadataNotKept", "info", "roles.csv", 1)]
    district.merged(UPLOAD, upload=district.upload(sent))
    (ann,) = district.roster.snapshot()["users"].values()
    assert ann["metadata"] == {"badge": "7"}
    assert "canary" not in repr(ann)


@pytest.mark.parametrize("mode", ["bulk", "delta"])
def test_profiles_are_told_as_not_imported_and_their_secrets_stay_nowhere(district: District, mode: str) -> None:
    profile = "p1,active,2026-11-25T03:00:00.000Z,ann,login,canary-vendor,,,basic,canary-name,canary-password\r\n"
    names = "userSourcedId,profileType,vendorId,applicationId,description,credentialType,username,password"
    with_profile = touched(
        bundle_1_2({"ann": "Ann"}, [("ann", "primary", "teacher", "s1")], mode="bulk"),
        ("roles.csv", "primary,teacher,,,s1,", "primary,teacher,,,s1,p1"),
        ("manifest.csv", "file.userProfiles,absent", f"file.userProfiles,{mode}"),
        also={"userProfiles.csv": f"sourcedId,status,dateLastModified,{names}\r\n{profile}"},
    )
    listed, _ = staged(district, with_profile)
    told = [(each.code, each.severity, each.entity, each.file, each.line) for each in listed]
    assert told == [("ProfilesNotImported", "info", "userProfiles", "userProfiles.csv", 0)]
    district.merged(UPLOAD, upload=district.upload(with_profile))
    (ann,) = district.roster.snapshot()["users"].values()
    assert [role["user_profile"] for role in ann["roles"]] == ["p1"]
    assert "canary-" not in repr(ann)


def test_a_date_that_was_understood_is_told_of_a_role_too(district: District) -> None:
    sent = bundle_1_2({"ann": "Ann"}, [("ann", "primary", "teacher", "s1")])
    written = touched(sent, ("roles.csv", "primary,teacher,,", "primary,teacher,8/25/2026,"))
    listed, _ = staged(district, written)
    assert places(listed) == {("DateFormat", "ann", "beginDate", "roles.csv", 2)}


def test_a_role_that_a_delta_takes_away_and_nobody_can_read_is_told_at_its_line(district: District) -> None:
    before = [("ann", "primary", "teacher", "s1"), ("ann", "secondary", "aide", "s2")]
    district.merged(UPLOAD, upload=district.upload(bundle_1_2({"ann": "Ann"}, before)))
    changed = [("ann", "primary", "teacher", "s1"), ("ann", "-second", "aide", "s2")]
    listed, _ = staged(district, bundle_1_2(None, changed, mode="delta"))
    assert places(listed) == {("UnknownVocabulary", "ann", "roleType", "roles.csv", 3)}
