"""The negative control: without one of the guards the same checks fail. What never fails proves nothing."""

from __future__ import annotations

import psycopg
import pytest
from tests.faults.store_broken import SCHEMAS
from tests.faults.store_cases import Case
from tests.faults.store_ground import Ground, uid
from tests.faults.store_points import MERGE, POINTS

from roster_operator.api.task import Outcome

pytestmark = [pytest.mark.store, pytest.mark.timeout(120)]


def broken(town: Ground, worker: str = "", schema: str = "", *, before: str = "") -> list[str]:
    """What the checks say of a merge that was done without a guard. before: a statement in the staged state."""
    with town.copy("staged") as place:
        case = Case(town, place, MERGE, worker)
        with place.roster.owner() as conn:
            for statement in (SCHEMAS.get(schema), before):
                if statement:
                    conn.execute(statement.encode())
        said = case.begin().end()
        assert said is not None
        assert said.outcome is Outcome.MERGED, said.failure
        return case.wrongs(said)


def numbers(wrongs: list[str]) -> set[str]:
    return {each.split()[0] for each in wrongs}


@pytest.mark.parametrize(
    ("number", "worker", "schema"),
    [
        ("I1", "ledger_in_a_second_transaction", ""),
        ("I2", "", "version_not_stored"),
        ("I3", "changes_without_history", ""),
        ("I5", "new_rows_twice_in_the_history", ""),
        ("I7", "", "nothing_dropped"),
        ("I8", "touching_without_a_tenant", "no_row_security"),
    ],
)
def test_the_checks_notice_that_a_guard_is_missing(town: Ground, number: str, worker: str, schema: str) -> None:
    assert number in numbers(broken(town, worker, schema))


def test_row_security_keeps_other_tenants_rows_from_a_worker_that_forgets_the_tenant(town: Ground) -> None:
    assert "I8" not in numbers(broken(town, "touching_without_a_tenant"))


@pytest.mark.parametrize("worker", ["", "commit_after_each_entity"])
def test_a_reader_sees_half_of_a_merge_that_commits_after_each_entity(town: Ground, worker: str) -> None:
    point = next(each for each in POINTS if each.act is MERGE and each.name == "the last entity's new rows")
    with town.copy("staged") as place:
        case = Case(town, place, MERGE, worker)
        pod, stop = case.frozen(point)
        pod.kill()
        town.wire.cut()
        stop.go_on()
        assert numbers(case.wrongs()) >= ({"I1", "I4", "I9"} if worker else set())
        assert bool(case.wrongs()) == bool(worker)
        said = case.begin().end()
        assert said is not None
        assert said.outcome is (Outcome.PLAN_CHANGED if worker else Outcome.MERGED)


def test_without_the_digest_in_the_merges_transaction_something_else_than_was_approved_is_applied(town: Ground) -> None:
    with town.copy("staged") as place, place.roster.owner() as conn:
        statement = tampering(conn, place.roster.key())
        conn.execute(statement.encode())
        case = Case(town, place, MERGE)
        said = case.begin().end()
        assert said is not None
        assert said.outcome is Outcome.PLAN_CHANGED
        assert case.wrongs() == []
    assert numbers(broken(town, "digest_as_recorded", before=statement)) >= {"I4", "I6"}


def tampering(conn: psycopg.Connection, tenant: str) -> str:
    """A statement that changes one staged person behind the approval, as only the owner can."""
    (table,) = conn.execute(
        "select roster.stage_table(tenant, run, token, 'users') from roster.sync_run where tenant = %s and run = %s",
        (tenant, uid("pull-2")),
    ).fetchone() or ("",)
    return (
        f"update roster_stage.{table} set given_name = 'Mallory', row_hash = sha256('Mallory') where sourced_id ="
        f" (select max(s.sourced_id) from roster_stage.{table} s join roster.users m using (sourced_id)"
        f" where m.tenant = '{tenant}' and s.status = 'active' and m.status = 'active'"
        " and m.row_hash <> s.row_hash)"
    )
