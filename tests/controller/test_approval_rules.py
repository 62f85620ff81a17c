"""Whether a plan may be merged."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.values import NOW, SETTINGS, A, B, connection_body, hit, published, ready, sync

from roster_operator.api.sync import RosterSyncSpec
from roster_operator.controller.approval import Verdict, judge
from roster_operator.controller.lifecycle import State, Step, decide
from roster_operator.controller.objects import Connection
from roster_operator.controller.observe import Snapshot, facts_of
from roster_operator.controller.sync_status import Effects, approver_text, next_status

# What stands in the spec, what is true of the plan, the generation now; the verdict, and the field it came by.
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], int, Verdict, str]] = [
    ("nobody said anything", {}, {}, 1, Verdict.WAITS, ""),
    ("approved after it was seen", {"approved": True}, {}, 2, Verdict.APPROVED, "approved"),
    ("approved in the generation of the plan", {"approved": True}, {}, 1, Verdict.WAITS, ""),
    ("approved in advance", {"approved": True}, {"inAdvance": True}, 1, Verdict.APPROVED, "inAdvance"),
    ("in advance, later edited", {"approved": True}, {"inAdvance": True}, 5, Verdict.APPROVED, "inAdvance"),
    ("in advance, nothing merged before", {"approved": True}, {"inAdvance": True, "first": True}, 1, Verdict.FIRST_NEEDS_REVIEW, ""),
    ("the first sync, approved after it was seen", {"approved": True}, {"first": True}, 2, Verdict.APPROVED, "approved"),
    ("the right digest", {"approvedPlan": A}, {}, 1, Verdict.APPROVED, "approvedPlan"),
    ("the right digest in advance, first", {"approvedPlan": A}, {"inAdvance": True, "first": True}, 1, Verdict.APPROVED, "approvedPlan"),
    ("the right digest, beyond limits", {"approvedPlan": A}, {"limits": [hit()]}, 1, Verdict.APPROVED, "approvedPlan"),
    ("the right digest of a plan that changed", {"approvedPlan": A}, {"recomputed": True}, 9, Verdict.APPROVED, "approvedPlan"),
    ("both, and they agree", {"approved": True, "approvedPlan": A}, {}, 2, Verdict.APPROVED, "approvedPlan"),
    ("the wrong digest", {"approvedPlan": B}, {}, 2, Verdict.DIGEST_MISMATCH, ""),
    ("both, and they disagree", {"approved": True, "approvedPlan": B}, {}, 2, Verdict.DIGEST_MISMATCH, ""),
    ("the wrong digest, beyond limits", {"approvedPlan": B}, {"limits": [hit()]}, 2, Verdict.DIGEST_MISMATCH, ""),
    ("approved, beyond limits", {"approved": True}, {"limits": [hit()]}, 2, Verdict.BEYOND_LIMITS, ""),
    ("in advance, beyond limits", {"approved": True}, {"limits": [hit()], "inAdvance": True}, 1, Verdict.BEYOND_LIMITS, ""),
    ("approved, on a database that was put back", {"approved": True}, {"rewound": {"known": 8, "found": 5}}, 9, Verdict.DATABASE_REWOUND, ""),
    ("in advance, on a database that was put back", {"approved": True}, {"rewound": {"known": 8, "found": 5}, "inAdvance": True}, 1, Verdict.DATABASE_REWOUND, ""),
    ("the right digest, on a database that was put back", {"approvedPlan": A}, {"rewound": {"known": 8, "found": 5}}, 1, Verdict.APPROVED, "approvedPlan"),
    ("approved, but the plan changed since", {"approved": True}, {"recomputed": True}, 9, Verdict.PLAN_CHANGED, ""),
    ("nobody said anything, and the plan changed", {}, {"recomputed": True}, 1, Verdict.PLAN_CHANGED, ""),
]  # fmt: skip


# What stands in the spec, what is true of the plan, the digest that the connection approves; the verdict, and by what.
FROM_THE_CONNECTION: list[tuple[str, dict[str, Any], dict[str, Any], str | None, Verdict, str]] = [
    ("the connection approves it", {}, {}, A, Verdict.APPROVED, "connectionPlan"),
    ("also beyond limits", {}, {"limits": [hit()]}, A, Verdict.APPROVED, "connectionPlan"),
    ("also the first", {}, {"first": True}, A, Verdict.APPROVED, "connectionPlan"),
    ("also one that changed", {}, {"recomputed": True}, A, Verdict.APPROVED, "connectionPlan"),
    ("it approves another, which holds nothing up", {"approved": True}, {}, B, Verdict.APPROVED, "approved"),
    ("it approves another", {}, {}, B, Verdict.WAITS, ""),
    ("the sync's own word is nearer", {"approvedPlan": B}, {}, A, Verdict.DIGEST_MISMATCH, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "plan", "standing", "verdict", "via"),
    [row[1:] for row in FROM_THE_CONNECTION],
    ids=[row[0] for row in FROM_THE_CONNECTION],
)
def test_verdict_with_the_connections_approved_plan(
    spec: dict[str, Any], plan: dict[str, Any], standing: str | None, verdict: Verdict, via: str
) -> None:
    given = RosterSyncSpec.from_dict({"connectionRef": {"name": "springfield"}} | spec)
    found = judge(given, 2, published(**plan), standing=standing)
    assert (found.verdict, found.via) == (verdict, via)


@pytest.mark.parametrize(
    ("spec", "plan", "generation", "verdict", "via"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_verdict(spec: dict[str, Any], plan: dict[str, Any], generation: int, verdict: Verdict, via: str) -> None:
    given = RosterSyncSpec.from_dict({"connectionRef": {"name": "springfield"}} | spec)
    found = judge(given, generation, published(**plan))
    assert (found.verdict, found.via) == (verdict, via)


@pytest.mark.parametrize(
    ("annotated", "vouched", "connection_plan", "verified", "said"),
    [
        ("ada", True, False, True, " by ada"),
        ("ada", False, False, False, " by ada (unverified)"),
        ("ada", True, True, False, " by ada (unverified)"),
        (None, True, False, False, ""),
    ],
)
def test_who_approved_is_verified_only_where_the_api_server_vouches_for_it(
    annotated: str | None, vouched: bool, connection_plan: bool, verified: bool, said: str
) -> None:
    annotations = {"roster-operator.io/approval-note": "change 17\x1b[2J"}
    annotations |= {"roster-operator.io/approved-by": annotated} if annotated else {}
    spec = {} if connection_plan else {"approvedPlan": A}
    status = {"phase": "AwaitingApproval", "plan": published().to_dict(), "tenant": "t", "database": {"name": "d"}}
    waiting = sync(status=status, meta={"annotations": annotations}, **spec)
    body = connection_body(status=ready())
    body["metadata"]["annotations"] = annotations
    snapshot = Snapshot(
        NOW, waiting, Connection.of(body), State.AWAITING_APPROVAL, None, None,
        standing=A if connection_plan else None, approvers_verified=vouched,
    )  # fmt: skip
    decision = decide(snapshot.state, waiting.status.phase, facts_of(snapshot, SETTINGS))
    assert decision.step is Step.APPROVE
    approval = next_status(snapshot, decision, Effects()).approval
    assert approval is not None
    assert approval.verified is verified
    assert approval.note == "change 17?[2J"
    assert approver_text(approval) == said
