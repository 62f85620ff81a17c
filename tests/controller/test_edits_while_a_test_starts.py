"""Somebody edits a connection between the creation of its test Job and the status that would record it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.controller.fake_api import FakeApi
from tests.controller.values import SETTINGS, connection_body

from roster_operator.api.kinds import JOB, TEST_REQUESTED_AT, Kind
from roster_operator.controller.connection_reconciler import GENERATION, reconcile_connection
from roster_operator.controller.context import Context
from roster_operator.controller.events import Recorder
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.queue import Again, Key
from roster_operator.controller.slots import Slots
from roster_operator.controller.view import View

KEY = Key("RosterConnection", "k12", "springfield")
Body = dict[str, Any]
Edit = Callable[[FakeApi], None]


class EditedApi(FakeApi):
    """Its connection is edited right after a Job was created, once."""

    def __init__(self, edit: Edit) -> None:
        super().__init__()
        self._edit: Edit | None = edit

    async def create(self, kind: Kind, body: Body) -> Body:
        stored = await super().create(kind, body)
        if kind is JOB and self._edit:
            edit, self._edit = self._edit, None
            edit(self)
        return stored

    def jobs(self) -> list[Body]:
        return [body for (plural, _), body in self.objects.items() if plural == "jobs"]


def new_spec(api: FakeApi) -> None:
    api.change("rosterconnections", "springfield", {"spec": {"api": {"pageSize": 500}}})


def new_request(api: FakeApi) -> None:
    api.change("rosterconnections", "springfield", {"metadata": {"annotations": {TEST_REQUESTED_AT: "now"}}})


def something_else(api: FakeApi) -> None:
    api.change("rosterconnections", "springfield", {"metadata": {"annotations": {"example.org/owner": "it"}}})


def world_of(api: FakeApi) -> Context:
    """An operator, and a connection that was never tested."""
    api.put("rosterconnections", connection_body())
    view = View()
    recorder, slots = Recorder(api, "test"), Slots(view, 1000)
    return Context(api, SETTINGS, Metrics(view), recorder, slots, view, "cluster", lambda _: None)


def looked_at(edit: Edit) -> EditedApi:
    """The world after a look that was refused and the one that follows it."""
    api = EditedApi(edit)
    context = world_of(api)

    async def looks() -> None:
        with pytest.raises(Again):
            await reconcile_connection(context, KEY)
        await reconcile_connection(context, KEY)

    asyncio.run(looks())
    return api


@pytest.mark.parametrize("edit", [new_spec, new_request])
def test_the_job_of_what_is_no_longer_asked_for_is_called_off(edit: Edit) -> None:
    api = looked_at(edit)
    connection = api.objects["rosterconnections", "springfield"]
    (job,) = api.jobs()
    assert len(api.created) == 2, "the test of what is asked for now is another one"
    assert job["metadata"]["name"] == connection["status"]["testJob"] == api.created[1]["metadata"]["name"]
    assert job["metadata"]["annotations"][GENERATION] == str(connection["metadata"]["generation"])


def test_the_job_of_a_test_that_is_still_due_goes_on() -> None:
    api = looked_at(something_else)
    (job,) = api.jobs()
    assert len(api.created) == 1
    assert api.objects["rosterconnections", "springfield"]["status"]["testJob"] == job["metadata"]["name"]


def test_the_job_of_a_connection_that_is_gone_is_left_to_the_garbage_collector() -> None:
    api = EditedApi(lambda world: world.remove("rosterconnections", "springfield"))
    context = world_of(api)
    with pytest.raises(Again):
        asyncio.run(reconcile_connection(context, KEY))
    assert len(api.jobs()) == 1
