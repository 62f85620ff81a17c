"""Of what people are told: the decision alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError
from tests.controller.values import NOW, A, B, connection

from roster_operator.api.notices import TOLD_KEPT, Notified, Notify, Occasion
from roster_operator.api.sync import Phase
from roster_operator.controller.notice_text import text_of
from roster_operator.controller.notices import (
    ATTEMPTS,
    FRESH,
    LONGEST_PAUSE,
    SETTLED,
    Due,
    Occurrence,
    claimed,
    due,
    followed,
    occurrences,
    settled,
    target,
    wake,
)
from roster_operator.controller.view import SyncRecord

ALL = Notify.from_dict({"email": ["a@example.org", "b@example.org"]})
SINCE = Notified(since=NOW - timedelta(days=30))
LATER = NOW + SETTLED


def record(phase: Phase, *, uid: str = "u1", digest: str = A, at: datetime = NOW) -> SyncRecord:
    return SyncRecord(
        uid=uid, connection="springfield", phase=phase, reason="Why", created=at, waiting_since=at, staged=at,
        finished=None, digest=digest, summary="create 3", settled=False, outlives=None,
    )  # fmt: skip


def look(
    notified: Notified, *records: SyncRecord, now: datetime = LATER, left: tuple[str, ...] = (), notify: Notify = ALL
) -> tuple[list[Due], Notified]:
    """One round: what was told, and what is remembered when `left` of its recipients could not be told."""
    found = occurrences(connection(), notified, [(f"s{n}", one) for n, one in enumerate(records)], now)
    todo = due(notify, found, notified, now)
    after = claimed(notified, todo, found, now)
    outcomes = {one.occurrence.key: [target(person) for person in one.to if person in left] for one in todo}
    return todo, settled(after, outcomes)


@pytest.mark.parametrize(
    ("phase", "occasion"),
    [
        (Phase.AWAITING_APPROVAL, Occasion.WAITING),
        (Phase.BLOCKED, Occasion.HELD),
        (Phase.FAILED, Occasion.FAILED),
        (Phase.MERGED, Occasion.MERGED),
        (Phase.STAGING, None),
        (Phase.MERGING, None),
        (Phase.REJECTED, None),
        (Phase.SUPERSEDED, None),
        (Phase.EXPIRED, None),
    ],
)
def test_each_phase_is_told_once(phase: Phase, occasion: Occasion | None) -> None:
    todo, after = look(SINCE, record(phase))
    assert [one.occurrence.occasion for one in todo] == ([occasion] if occasion else [])
    assert all(one.to == ("a@example.org", "b@example.org") for one in todo)
    assert look(after, record(phase), now=LATER + timedelta(days=1))[0] == []


def test_what_is_not_asked_for_is_not_told() -> None:
    notify = Notify.from_dict({"on": ["Failed"], "email": ["a@example.org"]})
    todo, _ = look(SINCE, record(Phase.MERGED), record(Phase.FAILED, uid="u2"), notify=notify)
    assert [one.occurrence.occasion for one in todo] == [Occasion.FAILED]


def test_what_waits_for_a_moment_only_is_told_to_nobody() -> None:
    waiting = [("s", record(Phase.AWAITING_APPROVAL))]
    found = occurrences(connection(), SINCE, waiting, NOW)
    assert due(ALL, found, SINCE, NOW) == []
    assert wake(ALL, found, SINCE, NOW) == SETTLED.total_seconds()
    assert len(due(ALL, found, SINCE, LATER)) == 1


def test_another_digest_waits_anew_and_so_does_another_sync() -> None:
    _, after = look(SINCE, record(Phase.AWAITING_APPROVAL))
    assert len(look(after, record(Phase.AWAITING_APPROVAL, digest=B))[0]) == 1
    assert len(look(after, record(Phase.AWAITING_APPROVAL, uid="u2"))[0]) == 1


def test_who_was_told_is_not_told_again_because_another_was_not() -> None:
    _, after = look(SINCE, record(Phase.FAILED), left=("b@example.org",))
    assert look(after, record(Phase.FAILED))[0] == []
    [again], done = look(after, record(Phase.FAILED), now=LATER + timedelta(minutes=1))
    assert again.to == ("b@example.org",)
    assert look(done, record(Phase.FAILED), now=LATER + timedelta(days=1))[0] == []


def test_it_is_tried_with_growing_pauses_and_given_up() -> None:
    notified, now, tries, pauses = SINCE, LATER, 0, []
    while True:
        todo, notified = look(notified, record(Phase.FAILED), now=now, left=tuple(ALL.email))
        tries += len(todo)
        found = occurrences(connection(), notified, [("s0", record(Phase.FAILED))], now)
        pause = wake(ALL, found, notified, now)
        if pause is None:
            break
        pauses.append(pause)
        now += timedelta(seconds=pause)
    assert tries == ATTEMPTS
    assert pauses == sorted(pauses)
    assert pauses[0] == 60
    assert pauses[-1] == LONGEST_PAUSE.total_seconds()
    assert look(notified, record(Phase.FAILED), now=now + timedelta(hours=2))[0] == []


def test_a_claim_without_an_outcome_is_tried_again_later() -> None:
    """The process died in between."""
    found = occurrences(connection(), SINCE, [("s", record(Phase.FAILED))], LATER)
    dead = claimed(SINCE, due(ALL, found, SINCE, LATER), found, LATER)
    assert look(dead, record(Phase.FAILED))[0] == []
    assert [one.to for one in look(dead, record(Phase.FAILED), now=LATER + timedelta(minutes=2))[0]] == [
        ("a@example.org", "b@example.org")
    ]


def test_who_is_added_later_is_not_told_of_what_was() -> None:
    _, after = look(SINCE, record(Phase.FAILED))
    more = Notify.from_dict({"email": [*ALL.email, "c@example.org"]})
    assert look(after, record(Phase.FAILED), notify=more)[0] == []


def test_what_was_before_the_first_look_or_is_old_is_told_to_nobody() -> None:
    fresh = followed(None, paused=True, now=NOW)
    assert look(fresh, record(Phase.FAILED, at=NOW - timedelta(minutes=1)))[0] == []
    assert look(SINCE, record(Phase.FAILED, at=LATER - FRESH - timedelta(seconds=1)))[0] == []


def test_a_pause_is_told_when_it_begins_and_when_it_ends() -> None:
    quiet = followed(SINCE, paused=False, now=NOW)
    assert quiet == SINCE
    paused = followed(quiet, paused=True, now=NOW)
    todo, after = look(paused)
    assert [one.occurrence.occasion for one in todo] == [Occasion.PAUSED]
    still = followed(after, paused=True, now=NOW + timedelta(hours=1))
    assert look(still, now=NOW + timedelta(hours=1))[0] == []
    resumed = followed(still, paused=False, now=NOW + timedelta(hours=2))
    todo, after = look(resumed, now=NOW + timedelta(hours=2))
    assert [one.occurrence.occasion for one in todo] == [Occasion.RESUMED]
    again = followed(after, paused=True, now=NOW + timedelta(hours=3))
    todo, _ = look(again, now=NOW + timedelta(hours=3))
    assert [one.occurrence.occasion for one in todo] == [Occasion.PAUSED]


def test_credentials_that_end_are_told_once_for_each_end() -> None:
    def tell(notified: Notified, days: int, now: datetime) -> tuple[list[Due], Notified]:
        status = {"credentialsExpire": (NOW + timedelta(days=days)).isoformat()}
        found = occurrences(connection(status=status), notified, [], now)
        todo = due(ALL, found, notified, now)
        return todo, settled(claimed(notified, todo, found, now), {one.occurrence.key: [] for one in todo})

    assert tell(SINCE, 22, NOW)[0] == []
    todo, after = tell(SINCE, 22, NOW + timedelta(days=1))
    assert [(one.occurrence.occasion, one.occurrence.reason) for one in todo] == [(Occasion.EXPIRING, "credentials")]
    assert tell(after, 22, NOW + timedelta(days=9))[0] == []
    assert len(tell(after, 25, NOW + timedelta(days=9))[0]) == 1


def test_what_is_remembered_is_bounded_and_names_nobody() -> None:
    notified = SINCE
    for turn in range(20):
        records = [record(Phase.FAILED, uid=f"{turn}/{n}") for n in range(5)]
        _, notified = look(notified, *records, left=tuple(ALL.email))
        assert look(notified, *records)[0] == []
    text = notified.model_dump_json()
    assert len(notified.told) == TOLD_KEPT
    assert len(text) < 5000
    assert "example" not in text
    Notified.model_validate_json(text)


def test_more_than_can_be_remembered_at_once_are_told_once() -> None:
    records = [record(Phase.FAILED, uid=str(n), at=NOW + timedelta(seconds=n)) for n in range(TOLD_KEPT + 8)]
    todo, after = look(SINCE, *records)
    assert len(todo) == TOLD_KEPT
    assert look(after, *records)[0] == []


@pytest.mark.parametrize("occasion", list(Occasion))
def test_a_notice_says_what_where_and_what_next(occasion: Occasion) -> None:
    meta = connection().meta
    sync = "first" if occasion.value in {"Waiting", "Held", "Failed", "Merged"} else ""
    reason = "certificate" if occasion is Occasion.EXPIRING else "Why"
    one = Occurrence(occasion, "m", NOW, sync, A, reason, "create 3, remove 2" if sync else "")
    subject, text = text_of(meta, one, "https://roster.example.org/")
    assert subject.startswith("[roster] k12/springfield: ")
    assert subject.isprintable()
    page = "syncs/first" if sync else "connections/springfield"
    assert text.endswith(f"\n\nhttps://roster.example.org/namespaces/k12/{page}\n")
    assert ("create 3, remove 2" in text) is bool(sync)
    assert "http" not in text_of(meta, one)[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": ["it@example.org\nBcc: x@example.org"]},
        {"email": ["IT <it@example.org>"]},
        {"email": [f"a{n}@example.org" for n in range(11)]},
        {"email": ["a@example.org"], "on": []},
        {"email": ["a@example.org"], "on": ["Everything"]},
        {"webhook": {"url": "https://h.example"}},
        {"webhook": {"url": "http://h.example", "secretRef": {"name": "s"}}},
        {"webhook": {"url": "https://u:p@h.example/", "secretRef": {"name": "s"}}},
        {"webhook": {"url": "https://h.example/#x", "secretRef": {"name": "s"}}},
        {"webhook": {"url": "https://h.example/ x", "secretRef": {"name": "s"}}},
    ],
)
def test_what_is_no_configuration(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Notify.from_dict(wrong)
