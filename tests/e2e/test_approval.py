"""Nothing is merged but what a person approved."""

from __future__ import annotations

import pytest
from deploy.demo.shell import kubectl
from tests.e2e.districts import USERS, District
from tests.e2e.watching import condition, until

pytestmark = pytest.mark.cluster

OTHER_DIGEST = "sha256:" + "0" * 64


def test_a_fifth_of_the_students_lost_is_blocked_until_the_digest_is_named(district: District) -> None:
    district.open().merged()
    students = len(district.sample.students)
    district.becomes("lost-a-fifth")
    sync = district.sync("second")
    blocked = sync.until("Blocked")
    assert condition(blocked, "WithinLimits")["status"] == "False"
    assert condition(blocked, "Stalled")["reason"] == "BeyondLimits"
    assert "of " in condition(blocked, "Stalled")["message"]
    assert {hit["entity"] for hit in blocked["status"]["plan"]["limits"]} >= {"users"}
    gone = blocked["status"]["plan"]["entities"]["users"]["deactivate"]
    assert gone == round(students / 5)

    sync.patch(approved=True)
    seen = sync.until_seen()
    assert seen["status"]["phase"] == "Blocked"
    assert condition(seen, "Approved")["reason"] == "BeyondLimits"
    assert not sync.jobs("merge")
    assert district.count("users") == USERS, "somebody was removed beyond the limits"
    assert district.data_version() == 1

    sync.patch(approvedPlan=sync.digest)
    merged = sync.until("Merged")
    assert merged["status"]["approval"]["via"] == "approvedPlan"
    assert district.count("users") == USERS - gone
    causes = district.ground.database.rows(
        "select inactive_cause, count(*) from roster.users where tenant = %s and status = 'inactive' group by 1",
        district.tenant,
    )
    assert causes == [("vanished", gone)], "rows are deactivated, never deleted"
    assert district.data_version() == 2


def test_approval_in_advance_waits_for_eyes_once_and_merges_later(district: District) -> None:
    district.open().connect()
    first = district.sync("first", approved=True)
    held = first.until("Blocked")
    assert condition(held, "Approved")["reason"] == "FirstSyncNeedsReview"
    assert condition(held, "Stalled")["reason"] == "FirstSyncNeedsReview"
    assert first.digest in condition(held, "Stalled")["message"], "it must say what is needed"
    assert not first.jobs("merge")
    assert district.count("users") == 0
    first.patch(approvedPlan=first.digest)
    first.until("Merged")

    district.becomes("one-percent")
    second = district.sync("second", approved=True)
    merged = second.until("Merged")
    assert merged["status"]["approval"]["via"] == "inAdvance"
    assert merged["status"]["approval"]["digest"] == merged["status"]["plan"]["digest"]
    assert district.data_version() == 2

    district.becomes("lost-a-fifth")
    third = district.sync("third", approved=True)
    beyond = third.until("Blocked")
    assert condition(beyond, "Approved")["reason"] == "BeyondLimits"
    assert not third.jobs("merge")
    assert district.data_version() == 2


def test_a_merged_manifest_created_again_pulls_nothing(district: District) -> None:
    district.open()
    district.merged("nightly")
    kubectl("-n", district.namespace, "delete", "rostersync", "nightly", "--timeout=60s")
    pages = district.pages_served()
    users = district.count("users")

    again = district.sync("nightly", approved=True)
    merged = again.until("Merged")
    assert condition(merged, "Complete")["reason"] == "AlreadyMerged"
    assert not merged["status"].get("plan")
    assert not again.jobs("merge")
    assert again.staged_tables() == 0
    assert district.pages_served() == pages, "the SIS was pulled again"
    assert district.count("users") == users
    assert district.data_version() == 1


def test_the_wrong_digest_approves_nothing_and_is_told(district: District) -> None:
    district.open().connect()
    sync = district.sync("first")
    sync.until("AwaitingApproval")
    sync.patch(approvedPlan=OTHER_DIGEST, approved=True)
    seen = sync.until_seen()
    assert seen["status"]["phase"] == "AwaitingApproval"
    told = condition(seen, "Approved")
    assert (told["status"], told["reason"]) == ("False", "DigestMismatch")
    assert OTHER_DIGEST in told["message"]
    assert sync.digest in told["message"]
    district.until_event("DigestMismatch", "RosterSync", sync.name)
    assert not sync.jobs("merge")
    assert district.count("users") == 0

    sync.patch(approvedPlan=sync.digest)
    sync.until("Merged")
    assert district.data_version() == 1


def test_a_rejected_sync_ends_and_leaves_nothing_staged(district: District) -> None:
    district.open().connect()
    sync = district.sync("first")
    sync.until("AwaitingApproval")
    assert sync.staged_tables() > 0
    sync.patch(rejected={"reason": "Wrong school year"})
    rejected = sync.until("Rejected")
    told = condition(rejected, "Rejected")
    assert (told["status"], told["message"]) == ("True", "Wrong school year")
    until("staged tables gone", lambda: sync.staged_tables() == 0, lambda: district.tell(sync.body))
    sync.until_holds("without a finalizer", lambda body: not body["metadata"].get("finalizers"))
    run = sync.run()
    assert (run["state"], run["discard_reason"]) == ("Discarded", "Wrong school year")
    assert district.data_version() == 0
    assert district.count("users") == 0


def test_deleting_a_sync_that_waits_takes_what_it_staged(district: District) -> None:
    district.open().connect()
    sync = district.sync("first")
    sync.until("AwaitingApproval")
    assert sync.staged_tables() > 0  # asks for the uid too, while there is one
    kubectl("-n", district.namespace, "delete", "rostersync", "first", "--timeout=120s")
    assert not sync.body
    assert sync.staged_tables() == 0
    assert sync.run()["state"] == "Discarded"
    assert district.data_version() == 0
