"""A district of a scenario: a namespace, a tenant, a sample SIS, a connection and its syncs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from deploy.demo import parts
from deploy.demo.shell import DemoError, apply, kubectl
from tests.e2e.ground import LABEL, Ground
from tests.e2e.watching import Body, condition, told, told_events, until

from roster_sample_sis import District as Sample
from roster_sample_sis import generate

API = "apis/roster-operator.io/v1alpha1"
STEP = "roster-operator.io/step"
USERS = 240


class District:
    """One scenario's own. Nothing is made before `open`."""

    def __init__(self, ground: Ground, slug: str) -> None:
        self.ground = ground
        self.slug = slug[:40].strip("-")
        self.namespace = f"e2e-{self.slug}-{ground.mark}"
        self.tenant = f"{self.namespace}.district"

    def open(self, users: int = USERS, *, credentials: bool = True) -> District:
        """Make the namespace, the SIS and the Secrets."""
        parts.namespace(self.namespace, **{LABEL: self.slug})
        parts.sis(self.namespace, self.ground.images["demo"], users)
        parts.tenant(self.tenant, self.namespace)
        if credentials:
            self.give_credentials()
        self.users = users
        return self

    @cached_property
    def sample(self) -> Sample:
        """The district that the SIS speaks for, generated once more."""
        return generate(7, self.users)

    # The connection

    @cached_property
    def certificate(self) -> str:
        """The SIS's certificate, which the connection has to trust."""
        return parts.decoded(self.namespace, "sis-tls", "tls.crt")

    def give_credentials(self, **changes: str) -> None:
        """Write the Secret with the SIS's client, or with something else in its place."""
        parts.sis_credentials(self.namespace, "sis-for-roster", self.namespace)
        for key, value in changes.items():
            patch = {"stringData": {key.replace("_", "-"): value}}
            kubectl("-n", self.namespace, "patch", "secret", "sis-for-roster", "--type=merge", "-p", json.dumps(patch))

    def connection_manifest(self, name: str = "district", api: Body | None = None, **spec: Any) -> Body:
        """A RosterConnection to the SIS; `api` and `spec` stand in place of what it would say."""
        host = f"https://sis.{self.namespace}.svc"
        auth = {"type": "OAuth2", "tokenURL": f"{host}/oauth/token", "secretRef": {"name": "sis-for-roster"}}
        source = {"endpoint": host, "auth": auth, "caBundle": self.certificate, **(api or {})}
        return self._manifest("RosterConnection", name, {"tenant": self.tenant, "api": source, **spec})

    def sync_manifest(self, name: str, connection: str = "district", **spec: Any) -> Body:
        """A RosterSync of a connection."""
        return self._manifest("RosterSync", name, {"connectionRef": {"name": connection}, **spec})

    def _manifest(self, kind: str, name: str, spec: Body) -> Body:
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "roster-operator.io/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}

    def connect(self, name: str = "district", *, api: Body | None = None, **spec: Any) -> None:
        """Apply a RosterConnection."""
        apply(json.dumps(self.connection_manifest(name, api, **spec)))

    def connection(self, name: str = "district") -> Body:
        """The RosterConnection as it stands."""
        return self.ground.api.get(f"/{API}/namespaces/{self.namespace}/rosterconnections/{name}")

    def until_connection(
        self, what: str, holds: Callable[[Body], bool], name: str = "district", *, seconds: float = 180
    ) -> Body:
        """The connection, as soon as something holds of it."""

        def look() -> Body | None:
            body = self.connection(name)
            return body if body and holds(body) else None

        return until(f"{name}: {what}", look, lambda: self.tell(self.connection(name)), seconds=seconds)

    def until_ready(self, status: str, reason: str, name: str = "district", *, seconds: float = 180) -> Body:
        """The connection, as soon as its present spec was tested, with this outcome."""

        def holds(body: Body) -> bool:
            ready = condition(body, "Ready")
            return (ready["status"], ready["reason"]) == (status, reason) and (
                ready.get("observedGeneration") == body["metadata"]["generation"]
            )

        return self.until_connection(f"Ready={status} {reason}", holds, name, seconds=seconds)

    # Syncs

    def sync(self, name: str, connection: str = "district", **spec: Any) -> Sync:
        """Apply a RosterSync."""
        apply(json.dumps(self.sync_manifest(name, connection, **spec)))
        return Sync(self, name)

    def merged(self, name: str = "first") -> Sync:
        """A sync that goes the whole way without a word: connected, staged, approved, merged."""
        if not self.connection():
            self.connect()
        sync = self.sync(name)
        sync.until("AwaitingApproval")
        sync.patch(approved=True)
        sync.until("Merged")
        return sync

    # The SIS

    def sis(self, method: str, path: str, body: Any = None) -> Any:
        """Speak to the SIS's admin endpoint."""
        return parts.sis_admin(self.namespace, method, path, body)

    def becomes(self, variant: str) -> None:
        """Change the district, as districts change overnight."""
        self.sis("POST", "variant", {"variant": variant})

    def pages_served(self) -> int:
        """Pages that were pulled from the SIS so far."""
        return self.sis("GET", "stats")["pages"]

    # The database

    def count(self, table: str, status: str = "active") -> int:
        """Merged rows of the tenant."""
        query = f"select count(*) from roster.{table} where tenant = %s and status = %s"
        return self.ground.database.value(query, self.tenant, status)

    def data_version(self) -> int:
        """How often something was merged."""
        return self.ground.database.value("select data_version from roster.tenant where tenant = %s", self.tenant)

    def roster(self, *arguments: str) -> str:
        """`roster …` as the database's owner runs it, at the demo's database. Raises DemoError with what it said."""
        # In the environment, where the owner's password is not seen by whoever lists processes.
        given = {"ROSTER_OWNER_URL": self.ground.database.owner_url(), "COLUMNS": "400"}
        command = [sys.executable, "-m", "roster_operator.cli", *arguments]
        done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise DemoError(f"roster {' '.join(arguments)}: {done.returncode} {done.stdout} {done.stderr}")
        return done.stdout

    def database_login(self, key: str) -> tuple[str, str]:
        """Name and password of one of the tenant's logins: stage-url or merge-url."""
        url = urlsplit(parts.decoded(self.namespace, "roster-database", key))
        return url.username or "", url.password or ""

    # What is in the namespace

    def jobs(self, step: str = "") -> list[Body]:
        """The operator's Jobs in the namespace, of one step where it is given."""
        selector = f"?labelSelector={STEP}{'=' if step else ''}{step}"
        return self.ground.api.items(f"/apis/batch/v1/namespaces/{self.namespace}/jobs{selector}")

    def pods(self, selector: str = STEP) -> list[Body]:
        """The pods of the operator's Jobs, or of another selector."""
        return self.ground.api.items(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector}")

    def events(self, kind: str = "", name: str = "") -> list[Body]:
        """The Events in the namespace, or those about one object."""
        found = self.ground.api.items(f"/api/v1/namespaces/{self.namespace}/events")
        return [
            event
            for event in found
            if kind in ("", event["involvedObject"]["kind"]) and name in ("", event["involvedObject"].get("name"))
        ]

    def until_event(self, reason: str, kind: str, name: str) -> Body:
        """The first Event of this reason about an object. Events follow a status in their own time."""

        def look() -> Body | None:
            return next((event for event in self.events(kind, name) if event["reason"] == reason), None)

        return until(f"Event {reason} about {kind} {name}", look, self.tell)

    def tell(self, *bodies: Body) -> str:
        """Everything that a person would look at next."""
        parts_told = [told(body) for body in bodies]
        parts_told.append(told_events(self.events()))
        for job in self.jobs():
            parts_told.append(f"Job {job['metadata']['name']}: {json.dumps(job.get('status', {}))}")
        for pod in self.pods():
            name = pod["metadata"]["name"]
            log = self.ground.api.log(self.namespace, name)
            parts_told.append(f"Pod {name} {pod['status'].get('phase')}\n{log[-1500:]}")
        about = [line for line in self.ground.operator_log().splitlines() if self.namespace in line]
        parts_told.append("The operator:\n" + "\n".join(about[-15:]))
        return "\n\n".join(parts_told)


class Sync:
    """One RosterSync of a district."""

    def __init__(self, district: District, name: str) -> None:
        self.district = district
        self.name = name

    @property
    def body(self) -> Body:
        """The RosterSync as it stands; {} where there is none."""
        return self.district.ground.api.get(f"/{API}/namespaces/{self.district.namespace}/rostersyncs/{self.name}")

    @cached_property
    def uid(self) -> str:
        """Its uid, which is the run's id in the database. Asked for the first time while the object is there."""
        return self.body["metadata"]["uid"]

    @property
    def digest(self) -> str:
        """The digest of the plan that waits."""
        return self.body["status"]["plan"]["digest"]

    def until_holds(self, what: str, holds: Callable[[Body], bool], *, seconds: float = 240) -> Body:
        """The object, as soon as something holds of it."""

        def look() -> Body | None:
            body = self.body
            return body if body and holds(body) else None

        return until(f"{self.name}: {what}", look, lambda: self.district.tell(self.body), seconds=seconds)

    def until(self, *phases: str, seconds: float = 240) -> Body:
        """The object, as soon as it is in one of these phases; a final phase that was not asked for fails at once."""
        ends = {"Merged", "Rejected", "Failed", "Expired", "Superseded"} - set(phases)

        def holds(body: Body) -> bool:
            phase = body.get("status", {}).get("phase")
            assert phase not in ends, f"{self.name} is {phase}, not {phases}.\n{self.district.tell(body)}"
            return phase in phases

        return self.until_holds(f"phase {' or '.join(phases)}", holds, seconds=seconds)

    def until_seen(self) -> Body:
        """The object, as soon as the operator has looked at its present spec."""
        return self.until_holds(
            "looked at", lambda body: body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
        )

    def patch(self, **spec: Any) -> None:
        """`kubectl patch` of fields of the spec."""
        given = json.dumps({"spec": spec})
        kubectl("-n", self.district.namespace, "patch", "rostersync", self.name, "--type=merge", "-p", given)

    def jobs(self, step: str) -> list[Body]:
        """Its Jobs of one step."""
        return [
            job
            for job in self.district.jobs(step)
            if any(owner["name"] == self.name for owner in job["metadata"].get("ownerReferences", ()))
        ]

    def reasons(self) -> list[str]:
        """The reasons of its Events, in the order of their time."""

        def when(event: dict[str, Any]) -> tuple[str, int]:
            # Times are whole seconds; within one, etcd's own count says what was written first.
            return event["lastTimestamp"], int(event["metadata"]["resourceVersion"])

        found = sorted(self.district.events("RosterSync", self.name), key=when)
        return [event["reason"] for event in found]

    def staged_tables(self) -> int:
        """Tables that hold what this sync pulled."""
        return self.district.ground.database.value(
            "select count(*) from pg_class where relnamespace = 'roster_stage'::regnamespace and relkind = 'r'"
            r" and relname like roster.stage_prefix(%s, %s) || '\_%%'",
            self.district.tenant,
            self.uid,
        )

    def run(self) -> Body:
        """Its run in the database; {} where there is none."""
        columns = ("state", "digest", "approval", "data_version", "failure", "discard_reason")
        query = f"select {', '.join(columns)} from roster.sync_run where tenant = %s and run = %s"
        rows: Sequence[tuple[Any, ...]] = self.district.ground.database.rows(query, self.district.tenant, self.uid)
        return dict(zip(columns, rows[0], strict=True)) if rows else {}
