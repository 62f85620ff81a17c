"""approvedPlan on the connection: the waiting plan with this digest merges, once, however often it comes again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.controller.values import NOW, SETTINGS, A, B, connection, metadata, stamp, sync
from tests.support.jobs import Cluster, merged, staged, until

from roster_operator.controller.connection_life import Step, TestSnapshot
from roster_operator.controller.connection_status import SPENT_KEPT, Observed, next_status
from roster_operator.controller.siblings import spends
from roster_operator.controller.view import View

Body = dict[str, Any]


@pytest.mark.parametrize(
    ("status", "spent"),
    [
        ({"phase": "Merged"}, True),
        ({"phase": "Merging"}, True),
        ({"phase": "Failed", "failure": {"reason": "MergeUnknown", "message": "x"}}, True),
        ({"phase": "Failed", "failure": {"reason": "MergedUnanswered", "message": "x"}}, True),
        ({"phase": "Failed", "failure": {"reason": "DatabaseFull", "message": "x"}}, False),
        ({"phase": "AwaitingApproval"}, False),
        ({"phase": "Rejected"}, False),
        ({"phase": "Expired"}, False),
    ],
    ids=str,
)
def test_a_digest_is_spent_by_a_merge_that_may_have_been_done(status: Body, spent: bool) -> None:
    given = sync(status=status | {"plan": {"digest": A}})
    assert spends([given], A) is spent
    assert not spends([given], B)
    assert not spends([], A)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def noted(spent: list[str], merges: list[tuple[int, str]], standing: str | None = None) -> list[str]:
    """status.spentPlans after a look: `merges` are numbers of merged syncs, and how each was approved."""
    view = View()
    for number, via in merges:
        approval = {"digest": digest(number), "at": stamp(), "via": via}
        times = {"finished": stamp(NOW + timedelta(minutes=number))}
        status = {"phase": "Merged", "plan": {"digest": digest(number)}, "approval": approval, "times": times}
        body = sync(status=status).body
        view.sync_seen(body | {"metadata": metadata(f"s{number}")})
    spec = {"approvedPlan": standing} if standing else {}
    given = connection(status={"spentPlans": spent}, **spec)
    syncs = [(name[1], record) for name, record in view.syncs.items()]
    return next_status(TestSnapshot(NOW, given, None, None), Step.NOTHING, Observed(), syncs, SETTINGS).spent_plans


def test_what_it_merged_is_remembered_when_the_syncs_are_gone() -> None:
    first = noted([], [(1, "connectionPlan"), (2, "approved"), (3, "policy")])
    assert first == [digest(1)]
    assert noted(first, []) == first
    assert noted(first, [(2, "approved")], standing=digest(2)) == [digest(1), digest(2)]


def test_the_memory_is_bounded_and_comes_to_rest() -> None:
    many = [(number, "connectionPlan") for number in range(40)]
    once = noted([digest(99)], many)
    assert once == [digest(number) for number in range(40 - SPENT_KEPT, 40)]
    assert noted(once, many) == once


@pytest.mark.apiserver
def test_from_git_on_the_connection(cluster: Cluster, operator: Operator) -> None:
    cluster.connect()
    cluster.make_ready()
    cluster.sync()
    cluster.end(cluster.open_job("stage"), staged("a", first=False, beyond=True))
    cluster.wait_phase("Blocked")
    by = {"annotations": {"roster-operator.io/approved-by": "jane"}}
    cluster.patch("rosterconnections", "springfield", {"metadata": by, "spec": {"approvedPlan": A}})
    cluster.end(cluster.open_job("merge"), merged())
    approval = cluster.wait_phase("Merged")["approval"]
    assert (approval["via"], approval["digest"], approval["by"]) == ("connectionPlan", A, "jane")

    def spent() -> bool:
        return cluster.get("rosterconnections", "springfield")["status"].get("spentPlans") == [A]

    until(spent, 10, operator.said)
    cluster.delete("rostersyncs", "first")
    until(lambda: not cluster.get("rostersyncs", "first"), 10, operator.said)
    cluster.make_ready()
    cluster.sync("again")
    cluster.end(cluster.open_job("stage"), staged("a", first=False))
    cluster.wait_phase("AwaitingApproval", "again")
    with pytest.raises(AssertionError):
        until(lambda: cluster.phase("again") != "AwaitingApproval", 2, "the digest is spent")
    cluster.change("again", approvedPlan=A)  # a person's word for this very sync
    cluster.open_job("merge")
