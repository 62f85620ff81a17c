"""Which connections are left alone at the start: only those of which a look would find nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from tests.controller.values import NOW, connection_body, metadata, ready, stamp

from roster_operator.api.kinds import CONNECTION, SYNC, Kind
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.queue import Key, WorkQueue
from roster_operator.controller.quiet import quiet_of
from roster_operator.controller.relist import relist
from roster_operator.controller.settings import Settings
from roster_operator.controller.view import View

Body = dict[str, Any]
RESTS: Body = ready() | {
    "observedGeneration": 1,
    "lastTestTime": stamp(hours=1),
    "nextTestTime": stamp(hours=-20),
    "lastSync": "second",
    "lastMergedTime": stamp(hours=2),
}


def connection(*, status: Body | None = None, meta: Body | None = None, **spec: Any) -> Body:
    body = connection_body(status=RESTS | (status or {}), **spec)
    body["metadata"] |= meta or {}
    return body


def sync(name: str, phase: str = "Merged", *, meta: Body | None = None, **status: Any) -> Body:
    times = {"staged": stamp(hours=3), "finished": stamp(hours=2)}
    made = metadata(name, creationTimestamp=stamp(hours=4 if name == "first" else 3)) | (meta or {})
    told = {"phase": phase, "times": times, "plan": {"digest": "sha256:" + "a" * 64, "entities": {}}} | status
    return {"metadata": made, "spec": {"connectionRef": {"name": "springfield"}}, "status": told}


def looked_at(one: Body, *syncs: Body) -> set[Key]:
    """What the first list puts into the queue."""
    queued: set[Key] = set()

    async def see(key: Key) -> None:
        queued.add(key)

    class Listed:
        def now(self) -> datetime:
            return NOW

        async def items(self, kind: Kind, namespace: str | None, labels: str = "") -> AsyncIterator[Body]:
            for body in {CONNECTION: [one], SYNC: syncs}.get(kind, ()):
                yield body

    async def run() -> None:
        view, api = View(), Listed()
        queue = WorkQueue(see, Metrics(view))
        given: Any = api
        await relist(given, view, queue, Settings(image="x"))
        worker = asyncio.create_task(queue.run())
        await asyncio.sleep(0.02)
        worker.cancel()

    asyncio.run(run())
    return queued


KEY = Key("RosterConnection", "k12", "springfield")


def test_a_connection_of_which_all_is_told_is_left_alone() -> None:
    assert looked_at(connection(), sync("first"), sync("second")) == set()


@pytest.mark.parametrize(
    "one",
    [
        connection(status={"observedGeneration": 0}),
        connection(status=ready(status="False")),
        connection(status={"conditions": []}),
        connection(status={"testJob": "x"}),
        connection(status={"nextTestTime": stamp(seconds=1)}),
        connection(status={"nextTestTime": None}),
        connection(status={"lastTestTime": None}),
        connection(status={"lastSync": "first"}),
        connection(status={"lastMergedTime": stamp(hours=9)}),
        connection(status={"lastMergedTime": None}),
        connection(status={"pendingPlan": {"sync": "first", "digest": "x"}}),
        connection(meta={"generation": 2}),
        connection(meta={"deletionTimestamp": stamp()}),
        connection(meta={"annotations": {"roster-operator.io/test-requested-at": "now"}}),
        connection(meta={"finalizers": ["roster-operator.io/purge"]}),
        connection(deletionPolicy="Purge"),
        connection(suspend=True),
        connection(approvedPlan="sha256:" + "a" * 64),
        connection(automaticSync={"schedule": "@daily"}),
        connection(automaticSync={"schedule": "@daily"}, status={"nextSync": stamp(seconds=1)}),
        connection(
            automaticSync={
                "schedule": "@daily",
                "pause": [{"from": "2026-07-01", "to": "2026-08-31", "mode": "Skip", "reason": "summer"}],
            },
            status={"nextSync": stamp(hours=-3)},
        ),
    ],
)
def test_whatever_is_in_doubt_is_looked_at(one: Body) -> None:
    assert KEY in looked_at(one, sync("first"), sync("second"))


@pytest.mark.parametrize(
    "other",
    [
        sync("third", "AwaitingApproval"),
        sync("third", "Staging"),
        sync("second", meta={"finalizers": ["roster-operator.io/staged"]}),
        sync("second", times={"staged": stamp(minutes=1), "finished": stamp(hours=2)}),
        sync("second", times={"staged": stamp(hours=3), "finished": stamp(minutes=1)}),
        sync("second", approval={"digest": "sha256:" + "a" * 64, "at": stamp(), "via": "connectionPlan"}),
        sync("newest", meta={"creationTimestamp": stamp(minutes=1)}),
    ],
)
def test_a_sync_that_its_status_does_not_tell_of_yet_has_it_looked_at(other: Body) -> None:
    assert KEY in looked_at(connection(), sync("first"), other)


def test_one_with_a_schedule_is_left_alone_until_it_is_due() -> None:
    one = connection(automaticSync={"schedule": "@daily"}, status={"nextSync": stamp(hours=-3)})
    assert looked_at(one, sync("first"), sync("second")) == set()
    found = quiet_of(one, NOW)
    assert found is not None
    assert (found.due - NOW).total_seconds() == 3 * 3600
