"""A sample SIS, a database, and a model in plain Python of what the tables must hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from tests.store.fixtures import CLUSTER, NAMESPACE, Roster, run_name

from roster_operator.api.limits import Limits
from roster_operator.api.task import WorkerTask
from roster_operator.oneroster.rest import RestSettings, RestSource
from roster_operator.store import runs
from roster_operator.store.cursors import reach
from roster_operator.store.database import connect
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.runs import RunName
from roster_operator.worker.sources import changed_since
from roster_operator.worker.stage import Staged, stage
from roster_sample_sis import District, SampleSIS
from roster_sample_sis.districts import Status, day_text

CLIENT, SECRET = "canary-client", "canary-secret-77aa"
Model = dict[str, dict[str, dict[str, Any]]]


def model(district: District) -> Model:
    """The active records of a district as rows, by entity and id; written from the district, not from the wire."""

    def org(number: int | None) -> str | None:
        return None if number is None else f"ORG{number:05d}"

    def session(number: int | None) -> str | None:
        return None if number is None else f"SES{number:05d}"

    schools = {each.number: each.school for each in district.classes}
    found: Model = {
        "orgs": {
            each.sourced_id: {
                "name": each.name,
                "type": each.type,
                "identifier": each.identifier,
                "parent_sourced_id": org(each.parent),
            }
            for each in district.orgs
        },
        "academicSessions": {
            each.sourced_id: {
                "title": each.title,
                "type": each.type,
                "start_date": day_text(each.start),
                "end_date": day_text(each.end),
                "school_year": each.school_year,
                "parent_sourced_id": session(each.parent),
            }
            for each in district.sessions
        },
        "courses": {
            each.sourced_id: {
                "title": each.title,
                "course_code": each.code,
                "org_sourced_id": org(each.org),
                "school_year_sourced_id": session(each.session),
                "grades": [each.grade],
                "subjects": [each.subject],
                "subject_codes": [each.subject_code],
            }
            for each in district.courses
        },
        "classes": {
            each.sourced_id: {
                "title": each.title,
                "class_code": each.code,
                "class_type": each.type,
                "location": each.location,
                "course_sourced_id": f"CRS{each.course:05d}",
                "school_sourced_id": org(each.school),
                "term_sourced_ids": [session(term) for term in each.terms],
                "periods": [each.period],
            }
            for each in district.classes
        },
        "users": {
            each.sourced_id: {
                "username": each.username,
                "enabled_user": each.enabled,
                "given_name": each.given,
                "family_name": each.family,
                "middle_name": each.middle or None,
                "preferred_given_name": each.preferred or None,
                "pronouns": each.pronouns or None,
                "role": each.role.value,
                "org_sourced_ids": [org(number) for number in each.orgs],
                "primary_org_sourced_id": org(each.orgs[0]),
                "agent_sourced_ids": [f"PER{agent:08d}" for agent in each.agents],
                "grades": [each.grade] if each.grade else [],
                "identifier": each.identifier,
                "email": each.email,
                "phone": each.phone or None,
            }
            for each in district.users
            if each.status is Status.ACTIVE
        },
        "enrollments": {
            each.sourced_id: {
                "user_sourced_id": f"PER{each.user:08d}",
                "class_sourced_id": f"SEC{each.class_:08d}",
                "school_sourced_id": org(schools[each.class_]),
                "role": each.role.value,
                "primary": each.primary,
                "begin_date": day_text(each.begin),
                "end_date": day_text(each.end),
            }
            for each in district.enrollments
            if each.status is Status.ACTIVE
        },
        "demographics": {
            each.sourced_id: {
                "birth_date": day_text(each.birth),
                "sex": each.sex,
                "hispanic_or_latino_ethnicity": each.hispanic,
                "city_of_birth": each.city if each.country == "US" else None,
            }
            for each in district.demographics
            if each.status is Status.ACTIVE
        },
    }
    return found


@dataclass
class World:
    """One district's SIS and its rows."""

    roster: Roster
    sis: SampleSIS
    folder: Path
    page_size: int = 100
    version: str = "1.2"
    known: dict[str, set[str]] = field(default_factory=dict)  # ids that were ever merged, for the model

    def settings(self) -> RestSettings:
        return RestSettings(
            endpoint=self.sis.endpoint(self.version),
            token_url=self.sis.token_url,
            client_id=CLIENT,
            client_secret=SECRET,
            page_size=self.page_size,
            allow_insecure=True,
            allow_addresses=(ip_network("127.0.0.0/8"),),
            retry_wait=0.01,
            retry_wait_max=0.05,
            retry_attempts=3,
            retry_budget=5,
        )

    def stage(
        self,
        name: RunName | None = None,
        *,
        attempt: int = 1,
        limits: Limits | None = None,
        delta: bool = False,
        or_whole: bool = False,
    ) -> tuple[RunName, Staged]:
        """Pull and stage."""
        name = name or run_name()
        with connect(self.roster.logins().stage_url) as conn:
            reached = reach(conn) if delta else None
            settings = replace(self.settings(), changed_since=changed_since(reached) if reached else None)
        with RestSource(settings) as source, connect(self.roster.logins().stage_url) as conn:
            runs.claim(conn, self.roster.key(), CLUSTER, NAMESPACE, "springfield")
            return name, stage(source, conn, name, attempt, limits or Limits(), lambda *_: None, or_whole=or_whole)

    def merge(self, name: RunName, digest: str) -> Merged | PlanChanged:
        with connect(self.roster.logins().merge_url) as conn:
            return merge(conn, name.run, digest, {"by": "test"})

    def sync(self, *, delta: bool = False) -> Staged:
        """Stage and merge."""
        name, staged = self.stage(delta=delta)
        assert isinstance(self.merge(name, staged.plan.digest), Merged)
        return staged

    def assert_rows_are(self, district: District, *but: str) -> None:
        """The tables hold the district, and nothing else is active; what was there before is inactive."""
        wanted = model(district)
        for entity, rows in self.roster.snapshot().items():
            if entity in but:
                continue
            active = {i for i, row in rows.items() if row["status"] == "active"}
            assert active == set(wanted[entity]), entity
            for sourced_id, expected in wanted[entity].items():
                row = rows[sourced_id]
                assert {key: row[key] for key in expected} == expected
            known = self.known.setdefault(entity, set())
            known |= active
            assert set(rows) == known, entity

    def nothing_merged(self, district: District) -> dict[str, Any]:
        """The rows as they are, for comparing later."""
        self.assert_rows_are(district)
        return self.roster.snapshot()

    # As a Job's pod has it.

    def secrets(self) -> tuple[Path, Path]:
        """The two mounted folders."""
        sis, database = self.folder / "sis", self.folder / "database"
        for folder, values in (
            (sis, {"client-id": CLIENT, "client-secret": SECRET + "\n"}),
            (database, {"stage-url": self.roster.logins().stage_url, "merge-url": self.roster.logins().merge_url}),
        ):
            folder.mkdir(exist_ok=True)
            for key, value in values.items():
                (folder / key).write_text(value)
        return sis, database

    def task(self, step: str, uid: UUID | None = None, **more: Any) -> WorkerTask:
        value: dict[str, Any] = {
            "step": step,
            "cluster": CLUSTER,
            "tenant": self.roster.key(),
            "connection": {"namespace": NAMESPACE, "name": "springfield", "uid": str(uuid4())},
            "sync": {"name": "sync-1", "uid": str(uid or uuid4())},
            "policy": {"allowAddresses": ["127.0.0.0/8"], "allowInsecure": True},
        }
        if step in {"stage", "test"}:
            value["spec"] = {
                "tenant": self.roster.key(),
                "api": {
                    "endpoint": self.sis.endpoint(self.version),
                    "auth": {"tokenURL": self.sis.token_url, "secretRef": {"name": "springfield-sis"}},
                    "allowInsecure": True,
                    "pageSize": self.page_size,
                },
                "databaseSecretRef": {"name": "springfield-database"},
            }
        return WorkerTask.model_validate_json(json.dumps(value | more))
