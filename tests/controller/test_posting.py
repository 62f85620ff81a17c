"""What a webhook is told: the decision alone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.controller.test_notices import LATER, SINCE, record
from tests.controller.values import NOW, connection

from roster_operator.api.notices import TOLD_KEPT, Notified, Notify, Posted
from roster_operator.api.sync import Failure, Phase
from roster_operator.api.task import Outcome, Step, WorkerSummary
from roster_operator.controller import notices, posting
from roster_operator.controller.notice_text import payload_of
from roster_operator.controller.notices import ATTEMPTS, Occurrence, occurrences
from roster_operator.controller.results import GONE, JobKind, JobState

HOOK = {"url": "https://hooks.example.org/roster", "secretRef": {"name": "hook"}}
ALONE = Notify.from_dict({"webhook": HOOK})


def found_of(*phases: Phase) -> list[Occurrence]:
    records = [(f"s{n}", record(phase, uid=f"u{n}", at=NOW + timedelta(seconds=n))) for n, phase in enumerate(phases)]
    return occurrences(connection(), SINCE, records, LATER)


def done() -> JobState:
    return JobState(JobKind.DONE, WorkerSummary(step=Step.NOTIFY, outcome=Outcome.NOTIFIED))


def failed(*, retryable: bool, reason: str = "WebhookRefused") -> JobState:
    failure = Failure(reason=reason, message="No.", retryable=retryable)
    return JobState(JobKind.DONE, WorkerSummary(step=Step.NOTIFY, outcome=Outcome.FAILED, failure=failure))


def test_one_job_at_a_time_and_the_oldest_first() -> None:
    found, notified, order = found_of(Phase.FAILED, Phase.MERGED, Phase.FAILED), SINCE, list[str]()
    while todo := posting.due(ALONE, found, notified, LATER):
        order.append(todo[0].occurrence.sync)
        notified = posting.begun(notified, todo[0], "job", found)
        assert posting.due(ALONE, found, notified, LATER) == []
        assert posting.wake(ALONE, found, notified, LATER) == posting.LOOK
        entry = posting.under_way(notified)
        assert entry
        notified = posting.replaced(notified, posting.ended(entry, done(), LATER)[0])
    assert order == ["s0", "s1", "s2"]
    assert posting.wake(ALONE, found, notified, LATER) is None


def test_what_waits_for_a_moment_only_is_told_to_nobody() -> None:
    waiting = occurrences(connection(), SINCE, [("s", record(Phase.AWAITING_APPROVAL))], NOW)
    assert posting.due(ALONE, waiting, SINCE, NOW) == []
    assert posting.wake(ALONE, waiting, SINCE, NOW) == notices.SETTLED.total_seconds()
    assert len(posting.due(ALONE, waiting, SINCE, LATER)) == 1


@pytest.mark.parametrize(
    "state", [failed(retryable=True), GONE, JobState(JobKind.NEVER_STARTED, reason="PodNotStarted", message="no node")]
)
def test_it_is_tried_with_growing_pauses_and_given_up_with_a_reason(state: JobState) -> None:
    found, notified, now, pauses, why = found_of(Phase.FAILED), SINCE, LATER, list[float](), ""
    while todo := posting.due(ALONE, found, notified, now):
        notified = posting.begun(notified, todo[0], f"job-{todo[0].attempt}", found)
        entry = posting.under_way(notified)
        assert entry
        entry, why = posting.ended(entry, state, now)
        notified = posting.replaced(notified, entry)
        pause = posting.wake(ALONE, found, notified, now)
        if pause is not None:
            assert why == ""
            pauses.append(pause)
            now += timedelta(seconds=pause)
    assert len(pauses) == ATTEMPTS - 1
    assert pauses == sorted(pauses)
    assert pauses[0] == 60
    assert why.startswith(("WebhookRefused: No.", "WorkerLost: ", "PodNotStarted: no node"))
    assert posting.due(ALONE, found, notified, now + timedelta(days=1)) == []


def test_what_no_second_try_mends_is_given_up_at_once() -> None:
    entry = Posted(key="k", job="j", attempts=1)
    assert posting.ended(entry, failed(retryable=False, reason="WebhookGone"), NOW) == (
        Posted(key="k"),
        "WebhookGone: No.",
    )


@pytest.mark.parametrize("kind", [JobKind.RUNNING, JobKind.STUCK])
def test_a_job_that_may_still_end_is_left_alone(kind: JobKind) -> None:
    entry = Posted(key="k", job="j", attempts=1)
    assert posting.ended(entry, JobState(kind), NOW) == (entry, "")


def test_a_job_that_is_refused_is_tried_again_and_given_up() -> None:
    found, notified, now, tries = found_of(Phase.FAILED), SINCE, LATER, 0
    last = False
    while todo := posting.due(ALONE, found, notified, now):
        notified, last = posting.refused(notified, todo[0], found, now)
        tries += 1
        now += notices.LONGEST_PAUSE
    assert (tries, last) == (ATTEMPTS, True)


def test_mail_and_webhook_are_remembered_apart() -> None:
    both = Notify.from_dict({"email": ["a@example.org"], "webhook": HOOK})
    found = found_of(Phase.FAILED)
    mailed = notices.claimed(SINCE, notices.due(both, found, SINCE, LATER), found, LATER)
    assert len(posting.due(both, found, mailed, LATER)) == 1
    posted = posting.begun(SINCE, posting.due(both, found, SINCE, LATER)[0], "job", found)
    assert len(notices.due(both, found, posted, LATER)) == 1
    assert notices.due(ALONE, found, SINCE, LATER) == []
    assert notices.wake(ALONE, found, SINCE, LATER) is None


def test_without_a_webhook_nothing_is_posted() -> None:
    mail = Notify.from_dict({"email": ["a@example.org"]})
    assert posting.due(mail, found_of(Phase.FAILED), SINCE, LATER) == []
    assert posting.wake(mail, found_of(Phase.FAILED), SINCE, LATER) is None


def test_status_stays_small_and_forgets_last_what_stands() -> None:
    found, notified = found_of(Phase.FAILED), Notified(since=SINCE.since)
    old = [Posted(key=f"old{n}") for n in range(TOLD_KEPT)]
    notified = notified.model_copy(update={"posted": [Posted(key=found[0].key), *old]})
    begin = posting.Begin(found_of(Phase.MERGED)[0], 1)
    after = posting.begun(notified, begin, "job", [*found, begin.occurrence])
    assert len(after.posted) == TOLD_KEPT
    assert {found[0].key, begin.occurrence.key} <= {entry.key for entry in after.posted}


def test_a_body_has_names_counts_and_a_link_and_nothing_else() -> None:
    [one] = found_of(Phase.FAILED)
    body = json.loads(payload_of(connection().meta, one, "https://roster.example.org/"))
    assert (body["type"], body["timestamp"]) == ("roster.failed", NOW.strftime("%Y-%m-%dT%H:%M:%SZ"))
    meta = connection().meta
    assert body["data"] == {
        "namespace": meta.namespace,
        "connection": meta.name,
        "sync": "s0",
        "reason": "Why",
        "summary": "create 3",
        "digest": one.digest,
        "url": f"https://roster.example.org/namespaces/{meta.namespace}/syncs/s0",
    }
    assert "url" not in json.loads(payload_of(meta, one))["data"]
