"""A database that was put back to an older state: it is noticed, and nothing is merged until a person has decided."""

from __future__ import annotations

from typing import Any

import pytest
from tests.faults import store_checks as checks
from tests.faults.store_ground import Ground, Place, order, uid
from tests.worker.worlds import model

from roster_operator.api.connection import Ledger
from roster_operator.api.sync import Mode
from roster_operator.api.task import Outcome, WorkerSummary

pytestmark = [pytest.mark.store, pytest.mark.timeout(120)]


def run(place: Place, step: str, sync: str, known: Ledger | None, **more: Any) -> WorkerSummary:
    return place.run(place.given(step, sync, **more).model_copy(update={"known": known}))


@pytest.fixture(scope="module")
def known(town: Ground) -> Ledger:
    """What the operator knows, after a merge that the older states do not have."""
    with town.copy("newer") as place:
        said = run(place, "merge", "pull-2", None, attempt=3, **order(town.digests["pull-2"]))
    assert said.ledger is not None
    assert (said.ledger.data_version, said.ledger.run) == (3, str(uid("pull-2")))
    return said.ledger


def test_a_pull_says_so_reads_everything_and_is_merged_when_approved(town: Ground, known: Ledger) -> None:
    with town.copy("merged") as place:
        tested = run(place, "test", "pull-3", known)
        assert tested.rewound is not None
        assert tested.ledger is not None
        assert (tested.rewound.known, tested.rewound.found, tested.ledger.data_version) == (3, 2, 2)
        read = place.sis.snapshot().records
        given = place.given("stage", "pull-3").model_copy(update={"known": known})
        assert given.sync is not None
        given = given.model_copy(update={"sync": given.sync.model_copy(update={"mode": Mode.DELTA})})
        staged, again = place.run(given), place.run(given.model_copy(update={"attempt": 2}))
        assert staged.plan is not None
        assert staged.plan.rewound == tested.rewound
        assert again.plan == staged.plan
        assert place.sis.snapshot().records - read >= sum(each.received for each in staged.plan.entities.values()) > 100
        merged = run(place, "merge", "pull-3", known, attempt=3, **order(staged.plan.digest))
        assert (merged.outcome, merged.data_version) == (Outcome.MERGED, 3)
        assert merged.ledger is not None
        assert merged.ledger.run == str(uid("pull-3"))
        # From here on this is what is known.
        assert run(place, "test", "pull-4", merged.ledger).rewound is None
        base, lost, newer = map(model, town.districts)
        with place.roster.owner() as conn:
            key = place.roster.key()
            assert checks.wrongs(conn, key, [base, lost, newer], checks.others(conn, key), said=merged) == []


def test_a_plan_that_was_made_before_is_not_merged_any_more(town: Ground, known: Ledger) -> None:
    with town.copy("staged") as place, place.roster.owner() as conn:
        before = checks.picture(conn, place.roster.key())
        said = run(place, "merge", "pull-2", known, attempt=3, **order(town.digests["pull-2"]))
        assert said.failure is not None
        assert (said.failure.reason, said.failure.retryable) == ("DatabaseRewound", False)
        assert "version 2" in said.failure.message
        assert checks.picture(conn, place.roster.key()) == before


def test_an_undo_says_so_too(town: Ground, known: Ledger) -> None:
    with town.copy("merged") as place:
        staged = run(place, "stage", "undo", known, undoes="pull-1")
        assert staged.plan is not None
        assert staged.plan.rewound is not None


def test_changes_by_hand_do_not_hide_it(town: Ground, known: Ledger) -> None:
    with town.copy("merged") as place:
        with place.roster.owner() as conn:
            conn.execute("update roster.tenant set data_version = 7 where tenant = %s", (place.roster.key(),))
        tested = run(place, "test", "pull-3", known)
        assert tested.rewound is not None
        assert (tested.rewound.known, tested.rewound.found) == (3, 7)


def test_what_is_as_it_was_or_grew_and_another_database_are_no_matter(town: Ground, known: Ledger) -> None:
    with town.copy("newer") as place:
        assert run(place, "test", "pull-3", known).rewound is None
        older = known.model_copy(update={"data_version": 1, "run": str(uid("pull-0"))})
        staged = run(place, "stage", "pull-3", older)
        assert staged.plan is not None
        assert staged.plan.rewound is None
    with town.copy("merged") as place:
        with place.roster.owner() as conn:
            conn.execute("update roster.meta set database_id = gen_random_uuid()")
        tested = run(place, "test", "pull-3", known)
        assert (tested.rewound, tested.test is not None) == (None, True)
