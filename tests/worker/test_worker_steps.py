"""The steps as a Job's pod runs them: killed anywhere, run again, and always with an answer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest
from tests.worker.worlds import SECRET, World

from roster_operator.api.connection import RosterConnectionSpec, TestCheck
from roster_operator.api.limits import LimitHit
from roster_operator.api.sync import EntityCounts, Failure, IssueCount, PlanSummary, Taken
from roster_operator.api.task import Outcome, Step, TestReport, WorkerSummary, WorkerTask
from roster_operator.oneroster.check import CheckStep, Facts
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import Reason
from roster_operator.store.errors import StoreError
from roster_operator.worker import check, sources
from roster_operator.worker.__main__ import fit
from roster_operator.worker.choices import choices_of
from roster_operator.worker.failures import WorkerError, failure_of
from roster_operator.worker.inputs import MountedSecret
from roster_operator.worker.steps import run_step
from roster_sample_sis import District, variants
from roster_sample_sis.faults import Die, Html, Slow

pytestmark = pytest.mark.store
ROOT = Path(__file__).parents[2]


def order(digest: str) -> dict[str, object]:
    return {"order": {"digest": digest, "by": "ada", "via": "approved", "at": "2026-11-24T12:00:00Z"}}


def run(world: World, step: str, uid=None, **more) -> WorkerSummary:
    sis, database = world.secrets()
    return run_step(world.task(step, uid, **more), sis=sis, database=database)


class Pod:
    """The worker as a process of its own, as in a Job."""

    def __init__(self, world: World, task: WorkerTask) -> None:
        sis, database = world.secrets()
        self.message = world.folder / f"message-{uuid4().hex[:6]}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "roster_operator.worker"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "operator"),
                "ROSTER_TASK": task.model_dump_json(by_alias=True, exclude_none=True),
                "ROSTER_TERMINATION_MESSAGE": str(self.message),
                "ROSTER_SIS_SECRET_PATH": str(sis),
                "ROSTER_DATABASE_SECRET_PATH": str(database),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, WorkerSummary, str]:
        """Exit code, summary, and everything it wrote."""
        out, err = self.process.communicate(timeout=60)
        text = self.message.read_bytes()
        assert len(text) <= 4096
        return self.process.returncode, WorkerSummary.model_validate_json(text), out + err

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def until(ready) -> None:
    for _ in range(600):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_the_steps_one_after_the_other_and_each_twice(world: World, district: District) -> None:
    uid = uuid4()
    tested = run(world, "test")
    assert tested.test is not None
    assert (tested.outcome, tested.test.ready, tested.test.tenant_claimed) == (Outcome.TESTED, True, True)
    staged, again = run(world, "stage", uid), run(world, "stage", uid, attempt=2)
    assert staged.outcome is again.outcome is Outcome.STAGED
    assert staged.plan is not None
    assert staged.plan == again.plan
    assert (staged.counts, staged.issues, staged.version) == (again.counts, again.issues, again.version)
    merged, again = (run(world, "merge", uid, **order(staged.plan.digest)) for _ in range(2))
    assert merged.outcome is again.outcome is Outcome.MERGED
    assert (merged.data_version, merged.plan) == (again.data_version, again.plan) == (1, staged.plan)
    assert run(world, "discard", uid).outcome is Outcome.MERGED
    world.assert_rows_are(district)
    # The same name, created again with an approval in it.
    before = run(world, "stage", unlessMerged=True)
    assert (before.outcome, before.data_version, before.plan) == (Outcome.ALREADY_MERGED, 1, None)


def test_a_discarded_sync_is_not_staged_and_not_merged(world: World) -> None:
    uid = uuid4()
    assert run(world, "discard", uid).outcome is Outcome.DISCARDED
    staged = run(world, "stage", uid)
    assert staged.failure is not None
    assert (staged.outcome, staged.failure.reason, staged.failure.retryable) == (Outcome.FAILED, "Discarded", False)
    merged = run(world, "merge", uid, **order("sha256:" + "0" * 64))
    assert merged.failure is not None
    assert merged.failure.reason == "Discarded"


def test_a_wrong_digest_merges_nothing_and_says_which_is_right(world: World) -> None:
    uid = uuid4()
    staged = run(world, "stage", uid)
    merged = run(world, "merge", uid, **order("sha256:" + "0" * 64))
    assert merged.outcome is Outcome.PLAN_CHANGED
    assert merged.plan == staged.plan
    assert world.roster.data_version() == 0


@pytest.mark.parametrize("moment", ["stage", "merge"])
def test_a_worker_killed_in_the_middle_runs_again_and_merges_once(
    world: World, district: District, moment: str
) -> None:
    uid = uuid4()
    if moment == "stage":
        world.sis.faults.set(Slow(on="enrollments", after=1, seconds=60))
        pod = Pod(world, world.task("stage", uid))
        until(lambda: any(t.endswith("_enrollments") for t in world.roster.stage_tables()))
        until(lambda: any(fault.struck for fault in world.sis.faults))
        pod.kill()
        world.sis.faults.clear()
        assert world.roster.state(uid) == "Staging"
    code, staged, _ = Pod(world, world.task("stage", uid, attempt=2)).end()
    assert code == 0
    assert staged.plan is not None
    if moment == "merge":
        with world.roster.owner() as owner, owner.transaction():
            owner.execute("lock table roster.users in share row exclusive mode")
            pod = Pod(world, world.task("merge", uid, **order(staged.plan.digest)))
            until(lambda: world.roster.one("select count(*) from pg_locks where not granted"))
            pod.kill()
        until(lambda: not world.roster.one("select count(*) from pg_locks where locktype = 'advisory'"))
        assert (world.roster.state(uid), world.roster.data_version()) == ("Staged", 0)
        assert not any(world.roster.snapshot().values())
    for _ in range(2):  # the second time as if the message of the first had been lost
        code, merged, _ = Pod(world, world.task("merge", uid, **order(staged.plan.digest))).end()
        assert (code, merged.outcome, merged.data_version) == (0, Outcome.MERGED, 1)
    world.assert_rows_are(district)
    assert world.roster.stage_tables() == []
    logged = world.roster.one("select count(*) from roster.change_log where tenant = %s", world.roster.key())
    assert logged == len(district)


def test_a_late_worker_says_that_it_was_overtaken_or_discarded(world: World) -> None:
    """Its tables are dropped under it: that is no missing schema."""
    for overtake, reason in (("stage", "Fenced"), ("discard", "Discarded")):
        uid = uuid4()
        world.sis.faults.set(Slow(on="enrollments", seconds=3, times=1))
        answers: list[WorkerSummary] = []
        late = threading.Thread(target=lambda uid=uid, answers=answers: answers.append(run(world, "stage", uid)))
        late.start()
        until(lambda: any(fault.struck for fault in world.sis.faults))
        run(world, overtake, uid, attempt=2)
        late.join(60)
        world.sis.faults.clear()
        if answers[0].failure is None:
            assert overtake == "stage"  # it answers with what the newer attempt had staged
            continue
        assert answers[0].failure.reason == reason
        assert not answers[0].failure.retryable


def test_a_source_that_dies_is_worth_another_try_and_bad_credentials_are_not(world: World, district: District) -> None:
    world.sis.faults.set(Die(on="users", connections=10_000))
    uid = uuid4()
    summary = _quickly(world, world.task("stage", uid))
    assert summary.failure is not None
    assert summary.failure.retryable
    world.sis.faults.clear()
    assert run(world, "stage", uid, attempt=2).outcome is Outcome.STAGED
    sis, database = world.secrets()
    (sis / "client-secret").write_text("wrong")
    refused = run_step(world.task("stage"), sis=sis, database=database)
    assert refused.failure is not None
    assert (refused.failure.reason, refused.failure.retryable) == ("TokenRejected", False)


def _quickly(world: World, task: WorkerTask) -> WorkerSummary:
    real = sources.rest_settings

    def impatient(*given):
        return replace(real(*given), retry_attempts=2, retry_wait=0.01, retry_budget=2)

    sis, database = world.secrets()
    with patch.object(sources, "rest_settings", impatient):
        return run_step(task, sis=sis, database=database)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda sis, _: [each.unlink() for each in sis.iterdir()], "SecretMissing"),
        (lambda sis, _: (sis / "client-id").unlink(), "SecretKeyMissing"),
        (lambda sis, _: (sis / "client-secret").write_text("\n"), "SecretKeyEmpty"),
        (lambda sis, _: (sis / "client-secret").write_bytes(b"\xff\xfe\0"), "SecretMalformed"),
        (lambda _, database: [each.unlink() for each in database.iterdir()], "SecretMissing"),
        (lambda _, db: (db / "stage-url").write_text("postgresql://u:canary-pw@[::1"), "DatabaseURLMalformed"),
        (lambda _, database: (database / "stage-url").unlink(), "SecretKeyMissing"),
    ],
)
def test_each_fault_of_a_mounted_secret_has_a_reason(world: World, change, reason: str) -> None:
    sis, database = world.secrets()
    change(sis, database)
    summary = run_step(world.task("stage"), sis=sis, database=database)
    assert summary.failure is not None
    assert (summary.outcome, summary.failure.reason) == (Outcome.FAILED, reason)
    assert not summary.failure.retryable
    assert re.search(r"springfield-(sis|database)|database URL", summary.failure.message)
    assert "canary" not in summary.model_dump_json()


def test_a_renamed_key_is_told_by_its_name_in_the_secret(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    with pytest.raises(WorkerError) as refused:
        MountedSecret(tmp_path, "s", {"client-id": "my-id"}).need("client-id")
    assert "my-id" in refused.value.message
    assert "client-id" not in refused.value.message


def test_no_name_and_no_secret_is_in_anything_a_worker_says(world: World, district: District) -> None:
    world.page_size = 20
    users = list(district.users)
    users.insert(5, users[3])
    world.sis.swap(type(district)(**{n: getattr(district, n) for n in district.__struct_fields__} | {"users": users}))
    uid = uuid4()
    code, staged, said = Pod(world, world.task("stage", uid)).end()
    assert (code, staged.outcome) == (0, Outcome.STAGED)
    assert staged.plan is not None
    code, _, more = Pod(world, world.task("merge", uid, **order(staged.plan.digest))).end()
    world.sis.faults.set(Html())
    _, _, failed = Pod(world, world.task("stage")).end()
    told = said + more + failed
    for user in district.users:
        assert user.email not in told
        assert user.sourced_id not in told
        assert not re.search(rf"\b{re.escape(user.family)}\b", told)
    assert SECRET not in told
    assert "postgresql://" not in told
    assert all(json.loads(line) for line in said.splitlines())


def test_every_failure_has_a_message_that_says_what_to_do() -> None:
    for error in (
        StoreError("DatabaseFull", "It is full.", "Free space."),
        WorkerError("SourceMissing", "None.", "Set it."),
        MemoryError(),
        ValueError("canary-row"),
        KeyError("canary-row"),
    ):
        failure = failure_of(error)
        assert failure.reason
        assert len(failure.message.split(". ")) > 1
        assert "canary" not in failure.message
    odd = failure_of(StoreError("R", "tab\there ünïcode \x1b[31m" + "x" * 5000, "next"))
    assert re.fullmatch(r"[ -~]{1,1000}", odd.message)


def test_the_largest_summary_fits_and_stays_json() -> None:
    big = 10**9
    entities = {entity.value: EntityCounts(**dict.fromkeys(EntityCounts.model_fields, big)) for entity in Entity}
    hits = [
        LimitHit(limit="deactivate", entity="academicSessions", count=big, of=big, max_percent=100, max_count=big)
        for _ in range(16)
    ]
    taken = Taken(
        roles=["r" * 64] * 16, omitted=["o" * 96] * 16, role_mapping={f"ext:{n:060}": "m" * 64 for n in range(8)}
    )
    plan = PlanSummary(
        digest="sha256:" + "f" * 64,
        entities=entities,
        limits=hits,
        complete=False,
        incomplete_reason='"' * 256,
        taken=taken,
    )
    summary = WorkerSummary(
        step=Step.STAGE,
        outcome=Outcome.FAILED,
        run="u" * 64,
        plan=plan,
        issues=[IssueCount(code="C" * 64, severity="warning", entity="e" * 32, count=big) for _ in range(10)],
        failure=Failure(reason="R" * 64, message="\\" * 1024),
        counts=dict.fromkeys(entities, big),
        test=TestReport(
            ready=False,
            reachable=False,
            checks=[TestCheck(name="n" * 32, ok=False, reason="r" * 64, entity="e" * 32, count=big) for _ in range(24)],
            failure=Failure(reason="R" * 64, message="\\" * 1024),
        ),
        seconds=1.0,
        max_rss_mb=1,
    )
    text = fit(summary)
    assert len(text) <= 4096
    found = WorkerSummary.model_validate_json(text)
    assert found.failure is not None
    assert found.plan is not None
    assert found.plan.digest == plan.digest
    assert found.plan.taken == Taken(more=16 + 16 + 8), "of what has no room the number is left"


@pytest.mark.parametrize("value", ["", "{", '{"step": "dance"}'])
def test_a_task_that_cannot_be_read_is_permanent(value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "roster_operator.worker"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator"), "ROSTER_TASK": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 65
    assert "ROSTER_TASK" in done.stderr


def test_limits_hold_a_district_that_lost_a_fifth(world: World, district: District) -> None:
    world.sync()
    world.sis.swap(variants.lost_a_fifth(district))
    summary = run(world, "stage", limits={"deactivate": {"percent": 10, "floor": 5}})
    assert summary.plan is not None
    assert {hit.entity for hit in summary.plan.limits} == {"users", "enrollments", "demographics"}
    assert (summary.plan.removals.explained, summary.plan.removals.unexplained > 0) == (0, True)
    world.assert_rows_are(district)


def test_each_stage_tells_the_database_the_connections_retention(world: World) -> None:
    sis, database = world.secrets()
    task = world.task("stage")
    assert task.spec is not None
    task.spec.retention.remove_after_days, task.spec.retention.history_days = 30, 60
    assert run_step(task, sis=sis, database=database).outcome is Outcome.STAGED
    kept = world.roster.ask("select remove_after_days, history_days from roster.tenant where tenant = %s",
                            world.roster.key())  # fmt: skip
    assert kept == [(30, 60)]


def test_a_choice_that_cannot_be_meant_fails_the_test_of_a_connection_and_is_told_after_the_source() -> None:
    choices = check.problem_of(
        lambda: choices_of(
            RosterConnectionSpec.model_validate({"csv": {"upload": {}}, "fields": {"omit": ["users.shoeSize"]}})
        )
    )
    assert choices is not None
    assert choices.reason == "SettingsInvalid"
    good = CheckStep("Connect", True, None, "Connected.")
    assert check.report([good], Facts(), None, choices).failure == choices
    bad = CheckStep("Token", False, Reason.TOKEN_REJECTED, "No.")
    told = check.report([good, bad], Facts(), None, choices).failure
    assert told is not None
    assert told.reason == "TokenRejected"


def test_a_purge_deletes_the_district_and_says_what_went_each_time_it_is_asked(
    world: World, district: District
) -> None:
    del district
    assert run(world, "test").outcome is Outcome.TESTED  # which claims the tenant
    world.sync()
    who = {"connection": {"namespace": "k12", "name": "springfield", "uid": "uid-1"}}
    first, again = (run(world, "purge", **who) for _ in range(2))
    assert first.outcome is Outcome.PURGED, first.failure
    assert first.purge is not None
    assert first.purge.rows["users"] > 0
    assert again.purge == first.purge
    assert all(not rows for rows in world.roster.snapshot().values())


def test_a_purge_with_the_logins_of_another_district_deletes_nothing(world: World) -> None:
    world.sync()
    before = world.roster.snapshot()
    refused = run(world, "purge", tenant="shelbyville")
    assert refused.failure is not None
    assert refused.failure.reason == "TenantMismatch"
    assert world.roster.snapshot() == before
