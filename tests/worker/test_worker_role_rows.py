"""A 1.2 delta whose roles.csv shows only the roles that changed: nobody loses another one by it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.worker.bundles import bundle_1_2, touched
from tests.worker.test_worker_csv import UPLOAD, District, district

from roster_operator.api.task import WorkerSummary
from roster_operator.store import issues, runs
from roster_operator.store.tables import stage_table

__all__ = ["district"]
pytestmark = pytest.mark.store
Rows = list[tuple[str, str, str, str]]
# Every sync of such a delta says, for information, what becomes of the roles that it does not show.
LAID_OVER = ("RolesInDelta", "info", "roles", 1)
USERS = {"ann": "Ann", "ben": "Ben", "cat": "Cat", "dan": "Dan"}
BEFORE: Rows = [
    ("ann", "primary", "teacher", "s1"),
    ("ann", "secondary", "aide", "s2"),
    ("ben", "primary", "student", "s1"),
    ("ben", "secondary", "student", "s2"),
    ("cat", "primary", "student", "s1"),
    ("dan", "primary", "principal", "s1"),
    ("dan", "secondary", "teacher", "s2"),
]


def begun(district: District) -> None:
    district.merged(UPLOAD, upload=district.upload(bundle_1_2(USERS, BEFORE)))


def delta(
    district: District, users: dict[str, str] | None, roles: Rows | None, gone: tuple[str, ...] = ()
) -> WorkerSummary:
    sent = bundle_1_2(users, roles, mode="delta", gone=gone)
    return district.merged(UPLOAD, upload=district.upload(sent))


def merged(district: District) -> dict[str, tuple[str, str, list[str]]]:
    """Given name, role, and all roles, of those who are active."""
    rows = district.roster.snapshot()["users"].values()
    return {
        row["sourced_id"]: (
            row["given_name"], row["role"], [f"{each['role']}@{each['org_sourced_id']}" for each in row["roles"]]
        )
        for row in rows if row["status"] == "active"
    }  # fmt: skip


def told(summary: WorkerSummary) -> list[tuple[str, str, str, int]]:
    return [(each.code, each.severity, each.entity, each.count) for each in summary.issues]


def test_single_roles_of_a_delta_are_laid_over_those_that_are_merged(district: District) -> None:
    begun(district)
    changed: Rows = [
        ("ann", "-secondary", "aide", "s2"),  # Ann is in no users.csv, and loses this one only
        ("ben", "secondary", "student", "s3"),
        ("ben", "-secondary", "student", "s2"),
        ("dan", "primary", "teacher", "s1"),
    ]
    summary = delta(district, {"ben": "Benjamin", "cat": "Catherine"}, changed)
    assert told(summary) == [LAID_OVER]
    assert summary.plan is not None
    assert (summary.plan.entities["users"].update, summary.plan.removals.unexplained) == (4, 0)
    assert merged(district) == {
        "ann": ("Ann", "teacher", ["teacher@s1"]),
        "ben": ("Benjamin", "student", ["student@s1", "student@s3"]),
        "cat": ("Catherine", "student", ["student@s1"]),  # no role of hers was shown
        "dan": ("Dan", "teacher", ["teacher@s1", "teacher@s2"]),
    }
    again = delta(district, {"ben": "Benjamin", "cat": "Catherine"}, changed)
    assert again.plan is not None
    assert again.plan.entities["users"].update == 0
    # A bundle of bulk files is what counts in the end.
    begun(district)
    assert merged(district)["ann"] == ("Ann", "teacher", ["teacher@s1", "aide@s2"])
    assert merged(district)["dan"] == ("Dan", "principal", ["principal@s1", "teacher@s2"])


def test_what_cannot_be_known_is_told_with_its_place_and_loses_nothing(district: District) -> None:
    begun(district)
    before = merged(district)
    changed: Rows = [
        ("eve", "primary", "student", "s1"),  # never merged
        ("fay", "-primary", "student", "s1"),  # nor she, and she has nothing to lose
        ("cat", "-primary", "student", "s1"),  # the last one
        ("dan", "secondary", "aide", "s3"),  # a third, or one of the two
    ]
    uid = uuid4()
    named = district.upload(bundle_1_2(None, changed, mode="delta"))
    summary = district.staged(UPLOAD, uid, upload=named)
    assert told(summary) == [
        ("NoRoleLeft", "error", "users", 1),
        ("RoleWithoutUser", "error", "users", 1),
        ("RoleChangeUnclear", "warning", "users", 1),
    ]
    assert "canary" not in summary.model_dump_json().lower()
    with district.roster.stager() as conn:
        places = {(each.sourced_id, each.file, each.line) for each in issues.listing(conn, runs.get(conn, uid))}
    assert places == {("eve", "roles.csv", 2), ("cat", "roles.csv", 4), ("dan", "roles.csv", 5)}
    district.merged(UPLOAD, upload=named)
    assert merged(district) == before | {"dan": ("Dan", "principal", ["principal@s1", "teacher@s2", "aide@s3"])}


def test_a_user_who_is_to_be_deleted_goes_without_a_role_and_a_new_one_comes_with_theirs(district: District) -> None:
    begun(district)
    summary = delta(district, {"ben": "Ben", "eve": "Eve"}, [("eve", "primary", "student", "s2")], gone=("ben",))
    assert told(summary) == [LAID_OVER]
    assert merged(district).keys() == {"ann", "cat", "dan", "eve"}
    assert merged(district)["eve"] == ("Eve", "student", ["student@s2"])
    without = delta(district, {"fay": "Fay"}, [])
    assert told(without) == [("MissingRequired", "error", "users", 1), LAID_OVER]


def test_users_of_a_delta_without_roles_csv_keep_the_roles_that_are_merged(district: District) -> None:
    begun(district)
    before = merged(district)
    summary = delta(district, {"ann": "Anna", "ben": "Ben"}, None, gone=("ben",))
    assert summary.plan is not None
    users = summary.plan.entities["users"]
    assert (users.update, users.create, summary.plan.removals.unexplained) == (1, 0, 0)
    del before["ben"]
    assert merged(district) == before | {"ann": ("Anna", *before["ann"][1:])}
    # Somebody new has none to keep, and cannot be without.
    assert ("MissingRequired", "error", "users", 1) in told(delta(district, {"fay": "Fay"}, None))
    assert "fay" not in merged(district)


def test_a_role_without_a_status_costs_nobody_a_role(district: District) -> None:
    begun(district)
    before = merged(district)
    data = bundle_1_2({"ann": "Anna"}, [("ann", "primary", "principal", "s1")], mode="delta")
    summary = district.merged(UPLOAD, upload=district.upload(touched(data, ("roles.csv", "r0,active", "r0,"))))
    assert [code for code, _, _, _ in told(summary)] == ["MissingRequired", "RolesInDelta"]
    assert merged(district) == before


def test_omitted_fields_stay_out_of_what_is_completed(district: District) -> None:
    begun(district)
    named = district.upload(bundle_1_2(None, [("ann", "-secondary", "aide", "s2")], mode="delta"))
    uid = uuid4()
    spec = {"tenant": district.roster.key(), "csv": UPLOAD, "fields": {"omit": ["users.username"]}}
    summary = district.run(district.task("stage", UPLOAD, uid, upload=named, spec=spec))
    assert summary.failure is None
    with district.roster.stager() as conn:
        run = runs.get(conn, uid)
        name = stage_table(district.roster.key(), uid, run.token, "users").as_bytes(conn)
        assert conn.execute(b"select username from " + name).fetchall() == [(None,)]
