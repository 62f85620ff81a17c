"""A server as state agencies run it: the Ed-Fi Alliance's OneRoster 1.2 service over an Ed-Fi database, by its sources.

No totals and no links; booleans in quotes; people without an address have an empty username; a year has no
dateLastModified; a grade that nobody knows is `[null]`; every school's parent is an id that no org has; and a course
that is taught in two school years comes twice, once for each.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.oneroster.fake_servers import Answer, Asked
from tests.oneroster.vendors.connected import settings
from tests.oneroster.vendors.standard import Standard
from tests.store.fixtures import CLUSTER, NAMESPACE, run_name
from tests.worker.worlds import World

from roster_operator.api.limits import Limits
from roster_operator.oneroster.rest import RestSource
from roster_operator.store import runs
from roster_operator.store.database import connect
from roster_operator.worker.stage import stage
from roster_sample_sis import District

pytestmark = pytest.mark.store


class StateService(Standard):
    max_limit = 30  # clamped, and nothing says so
    twice = replaced = ""  # the second of them comes under the first's id

    def dressed(self, answer: Answer, asked: Asked) -> Answer:
        found = json.loads(answer.body) if isinstance(answer.body, bytes) else answer.body
        for collection, records in found.items():
            for record in records if isinstance(records, list) else ():
                _as_there(record)
                if collection == "courses" and record["sourcedId"] == self.replaced:
                    record["sourcedId"] = self.twice
        return Answer(answer.status, json.dumps(found).encode(), {"Content-Type": "application/json"})


def _as_there(record: dict[str, Any]) -> None:
    record["metadata"] = {"edfi": {"resource": "students", "naturalKey": {"studentUniqueId": "1"}}}
    for name in ("enabledUser", "primary"):
        if name in record:
            record[name] = "true" if record[name] in (True, "true") else "false"
    if "username" in record and not record.get("email"):
        record["username"] = ""
    if record.get("type") == "schoolYear":
        del record["dateLastModified"]
    if record.get("type") == "school":
        record["parent"] = {"href": "/orgs/nowhere", "sourcedId": "nowhere", "type": "org"}
    if "roles" in record and record["sourcedId"].endswith("7"):
        record["grades"] = [None]


def test_a_course_that_comes_twice_takes_no_class_with_it(world: World, district: District) -> None:
    pair = district.courses[:2]
    with (
        StateService(district, ("1.2",)) as service,
        RestSource(settings(service, pageSize=30)) as source,
        connect(world.roster.logins().stage_url) as conn,
    ):
        service.twice, service.replaced = (each.sourced_id for each in pair)
        runs.claim(conn, world.roster.key(), CLUSTER, NAMESPACE, "springfield")
        name = run_name()
        found = stage(source, conn, name, 1, Limits(), lambda *_: None)
    planned = found.plan.entities
    assert (planned["courses"].create, planned["courses"].invalid) == (len(district.courses) - 2, 1)
    for entity, rows in {
        "orgs": district.orgs, "classes": district.classes, "users": district.users,
        "enrollments": district.enrollments,
    }.items():  # fmt: skip
        assert (planned[entity].create, planned[entity].invalid) == (len(rows), 0), entity
    told = {(each["code"], each["severity"], each["entity"]): each["count"] for each in found.plan.issues}
    alone = sum(each.course in {course.number for course in pair} for each in district.classes)
    assert told["DuplicateSourcedId", "error", "courses"] == 1
    assert told["DanglingReference", "warning", "classes"] == alone > 0
    # Who is active, in which class: it is all there, and merges.
    world.merge(name, found.plan.digest)
