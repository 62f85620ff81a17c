"""Stage, plan, merge: once, exactly what was approved, and nothing in between."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.store.fixtures import Roster, run_name
from tests.store.staging import ORGS, USERS, merge_orgs, org, raw, row_hash, stage_orgs, user

from roster_operator.store import merge as merges
from roster_operator.store import plan as plans
from roster_operator.store import runs
from roster_operator.store.database import connect
from roster_operator.store.errors import AlreadyStagedError, FencedError, StoreError, translate, translated
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.stage import Issue, Stage

pytestmark = pytest.mark.store
TWO = {"o1": "North", "o2": "South"}


def test_a_merge_writes_rows_ledger_and_history_together(roster: Roster) -> None:
    done = merge_orgs(roster, TWO)
    assert (done.data_version, done.before, roster.data_version()) == (1, False, 1)
    assert {i: r["name"] for i, r in roster.snapshot()["orgs"].items()} == TWO
    log = roster.ask("select action, sourced_id, old from roster.change_log where tenant = %s order by 2", roster.key())
    assert log == [("create", "o1", None), ("create", "o2", None)]
    assert roster.stage_tables() == []


def test_merging_again_answers_the_same_and_does_nothing(roster: Roster) -> None:
    with roster.stager() as conn:
        name, plan = stage_orgs(conn, TWO)
        with roster.merger() as merger:
            first = merge(merger, name.run, plan.digest, {"by": "a"})
            before = roster.snapshot()
            again = merge(merger, name.run, plan.digest, {"by": "b"})
        assert isinstance(first, Merged)
        assert isinstance(again, Merged)
        assert (again.data_version, again.before) == (1, True)
        assert (again.plan.digest, again.plan.entities) == (first.plan.digest, first.plan.entities)
        with pytest.raises(psycopg.Error) as refused:
            Stage(conn, name, 2)
        assert isinstance(translate(refused.value), AlreadyStagedError)
    assert roster.snapshot() == before
    assert roster.one("select approval->>'by' from roster.sync_run where run = %s", name.run) == "a"
    assert roster.one("select count(*) from roster.change_log where tenant = %s", roster.key()) == 2


def test_another_digest_merges_nothing(roster: Roster) -> None:
    with roster.stager() as conn:
        name, plan = stage_orgs(conn, TWO)
    with roster.merger() as merger:
        result = merge(merger, name.run, "sha256:" + "0" * 64, {})
    assert isinstance(result, PlanChanged)
    assert result.plan.digest == plan.digest
    assert (roster.state(name.run), roster.data_version(), roster.snapshot()["orgs"]) == ("Staged", 0, {})


def test_nothing_staged_is_said(roster: Roster) -> None:
    with roster.merger() as merger, pytest.raises(StoreError) as refused:
        merge(merger, uuid4(), "sha256:x", {})
    assert refused.value.reason == "NotStaged"
    assert refused.value.next_step


def test_the_digest_does_not_depend_on_the_order_of_arrival(roster: Roster) -> None:
    merge_orgs(roster, {"z": "Z"})
    with roster.stager() as conn:
        digests = {
            stage_orgs(conn, orgs, gone={"z": "Z"})[1].digest
            for orgs in ({"a": "1", "b": "2", "ä": "3"}, {"ä": "3", "b": "2", "a": "1"})
        }
    assert len(digests) == 1


def test_the_digest_changes_with_every_effect(roster: Roster) -> None:
    merge_orgs(roster, {"x": "X", "y": "Y"})
    with roster.stager() as conn:
        plans_made = [
            stage_orgs(conn, {}),
            stage_orgs(conn, {"a": "1"}),
            stage_orgs(conn, {"a": "2"}),
            stage_orgs(conn, {"b": "1"}),
            stage_orgs(conn, {"a": "1", "b": "1"}),
            stage_orgs(conn, {"x": "other"}, gone={"x": "X"}),
            stage_orgs(conn, {}, gone={"x": "X"}),
            stage_orgs(conn, {}, gone={"y": "Y"}),
            stage_orgs(conn, {}, deleted=("x",)),
            stage_orgs(conn, {}, gone={"x": "X", "y": "Y"}),
        ]
        digests = [plan.digest for _, plan in plans_made]
        assert len(set(digests)) == len(digests)
        withheld = stage_orgs(conn, {}, gone={"x": "X"}, removable=False)[1]
        assert withheld.digest == digests[0]
        assert withheld.entities["orgs"].withheld == 1
        skipped = stage_orgs(conn, {"a": "1"}, issues=(Issue("orgs", "a", "Bad", "error"),))[1]
        assert skipped.digest == digests[0]
        warned = stage_orgs(conn, {"a": "1"}, issues=(Issue("orgs", "a", "Odd", "warning"),))[1]
        assert warned.digest == digests[1]


def test_the_digest_belongs_to_one_tenant_and_one_database(roster: Roster, own_roster: Roster) -> None:
    def digest(where: Roster, tenant: str) -> str:
        with where.stager(tenant) as conn:
            return stage_orgs(conn, TWO)[1].digest

    own_roster.number = roster.number  # the same tenant's key
    assert len({digest(roster, "a"), digest(roster, "b"), digest(own_roster, "a")}) == 3
    assert digest(roster, "a") == digest(roster, "a")


def test_update_create_deactivate_and_reactivate(roster: Roster) -> None:
    merge_orgs(roster, TWO)
    done = merge_orgs(roster, {"o1": "North High", "o3": "West"}, gone={"o1": "North", "o2": "South"})
    orgs = done.plan.entities["orgs"]
    assert (orgs.update, orgs.create, orgs.vanished, orgs.deactivate, orgs.active) == (1, 1, 1, 1, 2)
    rows = roster.snapshot()["orgs"]
    assert (rows["o1"]["name"], rows["o1"]["status"]) == ("North High", "active")
    assert (rows["o2"]["status"], rows["o2"]["inactive_cause"]) == ("inactive", "vanished")
    done = merge_orgs(roster, {"o2": "South"}, deleted=("o3",))
    orgs = done.plan.entities["orgs"]
    assert (orgs.reactivate, orgs.tobedeleted, orgs.update) == (1, 1, 0)
    rows = roster.snapshot()["orgs"]
    assert (rows["o2"]["status"], rows["o2"]["inactive_cause"], rows["o2"]["inactive_since"]) == ("active", None, None)
    assert (rows["o3"]["status"], rows["o3"]["inactive_cause"]) == ("inactive", "tobedeleted")
    assert roster.data_version() == 3


def test_manual_rows_are_never_touched(roster: Roster) -> None:
    merge_orgs(roster, TWO)
    with roster.owner() as conn:
        conn.execute(
            "update roster.orgs set source = 'Manual' where tenant = %s and sourced_id = 'o1'", (roster.key(),)
        )
    before = roster.snapshot()["orgs"]["o1"]
    merge_orgs(roster, {"o1": "Other"}, gone=TWO)
    merge_orgs(roster, {}, deleted=("o1",))
    assert roster.snapshot()["orgs"]["o1"] == before


def test_a_row_whose_record_is_skipped_stays_as_it_was_and_never_vanishes(roster: Roster) -> None:
    merge_orgs(roster, TWO)
    before = roster.snapshot()
    done = merge_orgs(roster, {"o1": "Broken"}, gone=TWO, issues=tuple(Issue("orgs", i, "Bad", "error") for i in TWO))
    assert done.plan.entities["orgs"].deactivate == 0
    assert roster.snapshot() == before


def test_the_same_content_in_other_bytes_is_no_change_but_the_hash_is_kept(roster: Roster) -> None:
    merge_orgs(roster, {"o1": "North"})
    with roster.stager() as conn:
        name = run_name()
        stage = Stage(conn, name, 1)
        rows = stage.table(ORGS)
        rows.add("o1", "active", 42, row_hash("o1North"), org("North"))
        rows.flush()
        stage.seal("1.2", {"orgs": {"pulled": True, "received": 1}}, ["orgs"])
        run = runs.get(conn, name.run)
        with conn.transaction():
            plan = plans.compute(conn, run)
        plans.record(conn, run, plan)
    assert (plan.entities["orgs"].update, plan.entities["orgs"].unchanged) == (0, 1)
    with roster.merger() as conn:
        merge(conn, name.run, plan.digest, {})
    assert roster.snapshot()["orgs"]["o1"]["raw_hash"] == 42
    assert roster.one("select count(*) from roster.change_log where tenant = %s", roster.key()) == 1


def test_the_second_of_two_staged_syncs_is_planned_again(roster: Roster) -> None:
    merge_orgs(roster, TWO)
    with roster.stager() as conn, roster.merger() as merger:
        first, first_plan = stage_orgs(conn, {"o1": "A", "o3": "X"}, gone={"o1": "North"})
        second, second_plan = stage_orgs(conn, {"o1": "B", "o3": "X"}, gone={"o1": "North"})
        merge(merger, first.run, first_plan.digest, {})
        before = roster.snapshot()
        changed = merge(merger, second.run, second_plan.digest, {})
        assert isinstance(changed, PlanChanged)
        assert changed.plan.digest != second_plan.digest
        assert (changed.plan.entities["orgs"].create, changed.plan.entities["orgs"].update) == (0, 1)
        assert roster.snapshot() == before
        assert (roster.state(second.run), roster.data_version()) == ("Staged", 2)
        recorded = runs.get(conn, second.run)
        assert (recorded.digest, recorded.base_version) == (changed.plan.digest, 2)
        # The approval of the old digest is worth nothing any more, however often it is tried.
        assert isinstance(merge(merger, second.run, second_plan.digest, {}), PlanChanged)
        done = merge(merger, second.run, changed.plan.digest, {})
        assert isinstance(done, Merged)
    assert (roster.data_version(), roster.snapshot()["orgs"]["o1"]["name"]) == (3, "B")
    assert roster.stage_tables() == []


def test_an_approval_stands_where_the_effect_is_the_same_after_another_merge(roster: Roster) -> None:
    merge_orgs(roster, TWO)
    with roster.stager() as conn, roster.merger() as merger:
        first, first_plan = stage_orgs(conn, {"o4": "Four"})
        second, second_plan = stage_orgs(conn, {"o5": "Five"})
        merge(merger, first.run, first_plan.digest, {})
        assert isinstance(merge(merger, second.run, second_plan.digest, {}), Merged)
    assert set(roster.snapshot()["orgs"]) == {"o1", "o2", "o4", "o5"}


def test_discarding_drops_what_was_staged_and_leaves_what_was_merged(roster: Roster) -> None:
    with roster.stager() as conn, roster.merger() as merger:
        name, plan = stage_orgs(conn, TWO)
        assert roster.stage_tables()
        assert runs.discard(conn, name, "rejected: not now") == "Discarded"
        assert runs.discard(conn, name, None) == "Discarded"
        assert roster.stage_tables() == []
        with pytest.raises(StoreError) as refused:
            merge(merger, name.run, plan.digest, {})
        assert refused.value.reason == "Discarded"
        merged, plan = stage_orgs(conn, TWO)
        merge(merger, merged.run, plan.digest, {})
        before = roster.snapshot()
        assert runs.discard(conn, merged, "too late") == "Merged"
    assert roster.snapshot() == before
    assert roster.state(merged.run) == "Merged"


def test_a_discard_before_the_stage_refuses_the_late_worker(roster: Roster) -> None:
    with connect(roster.logins().stage_url) as conn:
        name = run_name()
        assert runs.discard(conn, name, None) == "Discarded"
        with pytest.raises(psycopg.Error) as refused:
            Stage(conn, name, 1)
        assert translate(refused.value).reason == "Discarded"


def test_a_discard_waits_for_a_merge_under_way_and_neither_dies(roster: Roster) -> None:
    with roster.stager() as conn, roster.merger() as merger, roster.owner() as owner:
        name, plan = stage_orgs(conn, TWO)
        answers: list[object] = []
        with owner.transaction():
            owner.execute("lock table roster.orgs in share row exclusive mode")
            merging = threading.Thread(target=lambda: answers.append(merge(merger, name.run, plan.digest, {})))
            merging.start()
            time.sleep(0.3)
            discarding = threading.Thread(target=lambda: answers.append(runs.discard(conn, name, None)))
            discarding.start()
            time.sleep(0.5)
        merging.join(30)
        discarding.join(30)
    # Both threads are told at the same moment, so either may note its answer first.
    assert sorted("Merged" if isinstance(answer, Merged) else str(answer) for answer in answers) == ["Merged", "Merged"]
    assert sum(isinstance(answer, Merged) for answer in answers) == 1


def test_a_newer_attempt_fences_the_one_that_is_still_writing(roster: Roster) -> None:
    name = run_name()
    with roster.stager() as old, roster.stager() as new:
        late = Stage(old, name, 1)
        rows = late.table(ORGS)
        rows.add("o1", "active", raw("late"), row_hash("late"), org("late"))
        _, plan = stage_orgs(new, TWO, name=name, attempt=2)
        with pytest.raises(psycopg.Error):  # its tables are gone
            rows.flush()
        with pytest.raises(psycopg.Error) as refused:
            late.seal("1.2", {}, ["orgs"])
        assert isinstance(translate(refused.value), FencedError)
        late.fail("Late")
        assert roster.state(name.run) == "Staged"
        with pytest.raises(psycopg.Error) as refused:
            Stage(old, run_name(), 1) and Stage(old, name, 1)
        assert isinstance(translate(refused.value), AlreadyStagedError)
        with roster.merger() as merger:
            assert isinstance(merge(merger, name.run, plan.digest, {}), Merged)
    assert {r["name"] for r in roster.snapshot()["orgs"].values()} == {"North", "South"}


def test_an_attempt_lower_than_the_recorded_one_is_refused(roster: Roster) -> None:
    name = run_name()
    with roster.stager() as conn:
        Stage(conn, name, 3)
        for attempt in (1, 2):
            with pytest.raises(psycopg.Error) as refused:
                Stage(conn, name, attempt)
            assert isinstance(translate(refused.value), FencedError)
        assert Stage(conn, name, 3).token == 2  # a second pod of one attempt


def test_a_writer_that_holds_its_tables_does_not_hold_up_the_next_attempt(roster: Roster) -> None:
    name = run_name()
    with roster.stager() as old, roster.stager() as new:
        late = Stage(old, name, 1)
        with old.transaction():
            old.execute(sql.SQL("insert into {} values ('orgs', 1)").format(late.name("unseen")))
            _, plan = stage_orgs(new, TWO, name=name, attempt=2)
        with pytest.raises(psycopg.Error) as refused:
            late.seal("1.2", {}, ["orgs"])
        assert isinstance(translate(refused.value), FencedError)
        with roster.merger() as merger:
            assert isinstance(merge(merger, name.run, plan.digest, {}), Merged)
    assert roster.stage_tables() == []


def test_readers_see_before_or_after_never_between(roster: Roster) -> None:
    count = 2000
    merge_orgs(roster, {f"o{n}": "A" for n in range(count)})
    with roster.stager() as conn:
        name, plan = stage_orgs(conn, {f"o{n}": "B" for n in range(count)}, gone={f"o{n}": "A" for n in range(count)})
    seen: set[tuple[object, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        with roster.owner() as conn:
            while not stop.is_set():
                seen.add(
                    conn.execute(
                        "select min(o.name), max(o.name), count(*), (select data_version from roster.tenant t"
                        " where t.tenant = %s) from roster.orgs o where o.tenant = %s",
                        (roster.key(), roster.key()),
                    ).fetchone()
                )

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with roster.merger() as merger:
            merge(merger, name.run, plan.digest, {})
        time.sleep(0.05)
    finally:
        stop.set()
        reader.join()
    assert seen <= {("A", "A", count, 1), ("B", "B", count, 2)}
    assert ("B", "B", count, 2) in seen


def test_a_merge_that_would_do_something_else_than_its_plan_says_does_nothing(
    roster: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with roster.stager() as conn:
        name, plan = stage_orgs(conn, TWO)
    real = plans.compute

    def lying(*given):
        made = real(*given)
        return replace(made, entities=made.entities | {"orgs": replace(made.entities["orgs"], create=1)})

    monkeypatch.setattr(merges.plans, "compute", lying)
    with roster.merger() as merger, pytest.raises(StoreError) as refused:
        merge(merger, name.run, plan.digest, {})
    assert refused.value.reason == "PlanMismatch"
    assert (roster.state(name.run), roster.data_version(), roster.snapshot()["orgs"]) == ("Staged", 0, {})


def test_the_history_played_backwards_gives_the_tables_before(roster: Roster) -> None:
    def plain(rows):
        """Without what is not part of a row's content: its raw hash and the time stamp it was read with."""
        return {i: {k: v for k, v in r.items() if k not in ("raw_hash", "date_last_modified")} for i, r in rows.items()}

    states = [{}]
    for orgs, gone, deleted in (
        (TWO, {}, ()),
        ({"o1": "North 2", "o3": "West"}, {"o1": "North", "o2": "South"}, ()),
        ({"o2": "South 2"}, {}, ("o3",)),
        ({"o3": "West 2", "o4": "East"}, {"o1": "North 2"}, ()),
    ):
        merge_orgs(roster, orgs, gone=gone, deleted=deleted)
        states.append(plain(roster.snapshot()["orgs"]))
    now = states[-1]
    for version in range(len(states) - 1, 0, -1):
        changes = roster.ask(
            "select action, sourced_id, old from roster.change_log where tenant = %s and data_version = %s",
            roster.key(),
            version,
        )
        assert len({i for _, i, _ in changes}) == len(changes)
        now = {i: r for i, r in now.items() if i not in {c[1] for c in changes if c[0] == "create"}}
        now |= plain({i: old for action, i, old in changes if action != "create"})
        assert now == states[version - 1]


@pytest.mark.parametrize("fault", ["duplicate key", "null in a column", "NUL", "too long"])
def test_no_value_of_any_row_is_in_an_error(roster: Roster, fault: str) -> None:
    canary = "Canary-Quimby-4711"
    rows = {
        "null in a column": ("o1", "active", 1, row_hash("x"), (None, None, None, canary, canary, None)),
        "NUL": (f"o1\0{canary}", "active", 1, row_hash("x"), org(canary)),
    }

    def break_it() -> None:
        if fault == "duplicate key":
            merge_orgs(roster, {canary: canary})
            with roster.owner() as conn, translated():
                conn.execute(
                    "insert into roster.orgs select * from roster.orgs where sourced_id = %s and tenant = %s",
                    (canary, roster.key()),
                )
        if fault == "too long":
            with translated():
                merge_orgs(roster, {canary + "".join(sha256(bytes([n])).hexdigest() for n in range(200)): canary})
        with connect(roster.logins().stage_url) as conn:
            writer = Stage(conn, run_name(), 1).table(ORGS)
            writer.add(*rows[fault])
            writer.flush()

    with pytest.raises(StoreError) as refused:
        break_it()
    error = refused.value
    told = f"{error!r} {error} {error.reason} {error.message} {error.next_step} {error.args}"
    assert "Canary" not in told
    assert "Canary" not in "".join(traceback.format_exception(error))
    assert error.next_step


def test_users_with_every_column_set_come_through_the_merge(roster: Roster) -> None:
    values = user(
        "Ada\t\\N\n\"{,}'", user_ids=[{"type": "a,b", "identifier": '"{}"'}], roles=[{"role": "student"}],
        org_sourced_ids=["o,1", 'o"2', "NULL", ""], agent_sourced_ids=[], grades=["09"], metadata={"a\\": ["\t"]},
        email="ada@example.org", family_name="Null",
    )  # fmt: skip
    with roster.stager() as conn:
        name = run_name()
        stage = Stage(conn, name, 1)
        rows = stage.table(USERS)
        rows.add("\\N", "active", None, row_hash("x"), values)
        rows.flush()
        stage.seal("1.2", {"users": {"pulled": True, "received": 1}}, [])
        run = runs.get(conn, name.run)
        with conn.transaction():
            plan = plans.compute(conn, run)
        plans.record(conn, run, plan)
    with roster.merger() as conn:
        merge(conn, name.run, plan.digest, {})
    found = roster.snapshot()["users"]["\\N"]
    assert {name: found[name] for name in USERS.column_names} == dict(zip(USERS.column_names, values, strict=True))
