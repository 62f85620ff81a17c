"""The Lease, with an API in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.controller.values import SETTINGS

from roster_operator.controller.client import ApiError, ApiUnavailable
from roster_operator.controller.lease import Lease, LeaseLost

QUICK = replace(SETTINGS, lease_duration=1.0, lease_renew_deadline=0.4, lease_retry=0.05)


class Store:
    """One Lease, with a version; it can be out of reach."""

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = None
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise ApiUnavailable("away")

    async def get(self, *_: Any) -> dict[str, Any] | None:
        self._reach()
        return (
            None
            if self.body is None
            else {**self.body, "metadata": dict(self.body["metadata"]), "spec": dict(self.body["spec"])}
        )

    async def create(self, _: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        if self.body is not None:
            raise ApiError(409, "AlreadyExists", "")
        self.body = body | {"metadata": body["metadata"] | {"resourceVersion": 1}}
        return self.body

    async def replace(self, _: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        assert self.body
        if body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "")
        self.body = body | {"metadata": body["metadata"] | {"resourceVersion": body["metadata"]["resourceVersion"] + 1}}
        return self.body


def lease(store: Store, name: str) -> Lease:
    return Lease(store, replace(QUICK, pod_name=name))  # type: ignore[arg-type]


async def test_one_holds_it_and_the_other_waits_until_it_is_given_up() -> None:
    store = Store()
    first, second = lease(store, "first"), lease(store, "second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    keeping = asyncio.create_task(first.keep())
    await asyncio.sleep(1.5)  # longer than its duration: it is renewed
    assert not waiting.done()
    keeping.cancel()
    await first.release()
    await asyncio.wait_for(waiting, 3)
    assert second.held
    assert store.body
    assert store.body["spec"]["leaseTransitions"] == 1


async def test_one_that_died_is_followed_after_the_duration() -> None:
    store = Store()
    await lease(store, "first").acquire()
    second = lease(store, "second")
    started = asyncio.get_running_loop().time()
    await asyncio.wait_for(second.acquire(), 5)
    assert 0.9 < asyncio.get_running_loop().time() - started < 3


async def test_the_same_name_comes_back_at_once() -> None:
    store = Store()
    await lease(store, "first").acquire()
    await asyncio.wait_for(lease(store, "first").acquire(), 0.5)


async def test_an_api_server_out_of_reach_ends_it_after_the_deadline_and_not_before() -> None:
    store = Store()
    one = lease(store, "first")
    await one.acquire()
    keeping = asyncio.create_task(one.keep())
    store.away = True
    await asyncio.sleep(0.2)
    assert not keeping.done()
    store.away = False
    await asyncio.sleep(0.2)
    store.away = True
    with pytest.raises(LeaseLost, match="could not be renewed"):
        await asyncio.wait_for(keeping, 3)


async def test_one_whose_lease_was_taken_ends() -> None:
    store = Store()
    one = lease(store, "first")
    await one.acquire()
    assert store.body
    store.body["spec"]["holderIdentity"] = "second"
    with pytest.raises(LeaseLost, match="took"):
        await asyncio.wait_for(one.keep(), 3)
