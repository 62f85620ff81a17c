"""A district that is real but for the operator: objects on a real API server, rows in a real PostgreSQL.

What the operator would do is done here by hand with its own code: it pulls the sample SIS, stages, merges, and writes
status as the controller does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from tests.store.fixtures import Roster
from tests.support import admission
from tests.support.apiserver import ApiServer

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.sync import PublishedPlan
from roster_operator.api.task import Policy
from roster_operator.console.settings import Settings, load
from roster_operator.store import console_logins, runs
from roster_operator.store.database import connect
from roster_operator.store.merge import Merged, merge
from roster_operator.store.runs import RunName
from roster_operator.worker.inputs import ManifestSecret
from roster_operator.worker.staging import stage_connection
from roster_operator.worker.summaries import issue_counts, plan_summary
from roster_sample_sis import SampleSIS
from roster_sample_sis.districts import District

CLUSTER = "cluster-of-the-tests"
GROUP = "rbac.authorization.k8s.io"
CLIENT, SECRET = "console", "geheim-4711"
DISTRICT = "springfield"


@cache
def roles() -> tuple[dict[str, Any], ...]:
    """The chart's cluster roles for people."""
    made = admission.rendered("roster-system")
    return tuple(one for one in made if one["kind"] == "ClusterRole" and one["metadata"]["name"].startswith("roster-"))


@dataclass
class World:
    """One namespace with one district."""

    server: ApiServer
    namespace: str
    roster: Roster
    sis: SampleSIS
    console_url: str = ""
    login: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    client: tuple[str, str] = (CLIENT, SECRET)  # what the SIS knows us by

    def begin(self) -> None:
        """The roles, the connection, and the console's login."""
        self.server.apply(*roles())
        self.login = f"console_{self.namespace.replace('-', '_')}"
        self.console_url = console_logins.create(self.roster.database.owner_url, self.login)
        self.connect()

    def end(self) -> None:
        """Only what lies outside the namespace and the database."""
        console_logins.drop(self.roster.database.owner_url, self.login)

    @property
    def tenant(self) -> str:
        return self.roster.key(DISTRICT)

    @property
    def settings(self) -> Settings:
        """A console of this world."""
        made = load(
            {
                "KUBECONFIG": str(self.server.kubeconfig),
                "ROSTER_CONSOLE_DATABASE_URL": self.console_url,
                "ROSTER_CONSOLE_CLUSTER": CLUSTER,
                "ROSTER_CONSOLE_SUPPORT": "the roster team, roster@district.example",
            }
        )
        return replace(made, session_keys=(b"k" * 40,))

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "api": {
                "endpoint": self.sis.endpoint("1.2").split("/ims/")[0],
                "allowInsecure": True,
                "auth": {"tokenURL": self.sis.token_url, "secretRef": {"name": "sis"}},
            },
        }

    def person(self, name: str, *held: str) -> str:
        """The token of somebody who holds these cluster roles here."""
        if name not in self.tokens:
            self.server.kubectl("-n", self.namespace, "create", "serviceaccount", name)
            self.server.apply(
                *(
                    {
                        "apiVersion": f"{GROUP}/v1",
                        "kind": "RoleBinding",
                        "metadata": {"name": f"{name}-{role}", "namespace": self.namespace},
                        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
                        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
                    }
                    for role in held
                )
            )
            made = self.server.kubectl("-n", self.namespace, "create", "token", name)
            self.tokens[name] = made.stdout.strip()
        return self.tokens[name]

    def who(self, name: str) -> str:
        """As the API server calls them."""
        return f"system:serviceaccount:{self.namespace}:{name}"

    def connect(self) -> None:
        """The connection, as it stands after a good test."""
        self.server.apply(
            {
                "apiVersion": "roster-operator.io/v1alpha1",
                "kind": "RosterConnection",
                "metadata": {"name": DISTRICT, "namespace": self.namespace},
                "spec": self.spec,
            }
        )
        with self.roster.stager(DISTRICT) as conn:
            runs.claim(conn, self.tenant, CLUSTER, self.namespace, DISTRICT)
        self.status("rosterconnection", DISTRICT, self.tested())

    def tested(self) -> dict[str, Any]:
        """A connection's status after a good test."""
        now = datetime.now(UTC).isoformat()
        condition = {"status": "True", "reason": "Tested", "message": "", "lastTransitionTime": now}
        return {
            "tenant": self.tenant,
            "version": "1.2",
            "lastTestTime": now,
            "nextTestTime": (datetime.now(UTC) + timedelta(hours=23)).isoformat(),
            "conditions": [
                {**condition, "type": "Ready", "message": "All entities can be read."},
                {**condition, "type": "Reachable"},
                {**condition, "type": "Authenticated"},
                {**condition, "type": "TenantClaimed", "reason": "Claimed"},
            ],
            "checks": [
                {"name": "Resolve", "ok": True},
                {"name": "Connect", "ok": True},
                {"name": "Token", "ok": True},
                {"name": "Version", "ok": True},
                {"name": "Read", "ok": True, "entity": "users", "count": 812},
            ],
            "counts": {"orgs": 4, "users": 812, "classes": 120, "enrollments": 4210},
        }

    def status(self, kind: str, name: str, status: dict[str, Any]) -> None:
        """Write a status as the operator does."""
        self.server.kubectl(
            "-n", self.namespace, "patch", kind, name, "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": status}),
        )  # fmt: skip

    def stage(self, name: str, district: District | None = None) -> str:
        """Make a sync, pull what the SIS shows now, and publish the plan. The plan's digest."""
        if district is not None:
            self.sis.swap(district)
        self.server.apply(
            {
                "apiVersion": "roster-operator.io/v1alpha1",
                "kind": "RosterSync",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"connectionRef": {"name": DISTRICT}},
            }
        )
        body = self.server.read("rostersync", name, self.namespace)
        assert body is not None
        run = RunName(UUID(body["metadata"]["uid"]), CLUSTER, self.namespace, name)
        spec = RosterConnectionSpec.from_dict(self.spec)
        use = spec.secret()
        assert use is not None
        secret = ManifestSecret(dict(zip(("client-id", "client-secret"), self.client, strict=True)), use)
        policy = Policy(allow_addresses=["127.0.0.0/8"], allow_insecure=True)
        with connect(self.roster.logins(DISTRICT).stage_url) as conn:
            staged = stage_connection(
                conn, run, spec, secret, policy, attempt=1, limits=spec.limits, progress=_quiet, upload=None
            )
        summary = plan_summary(staged.plan, staged.hits)
        published = PublishedPlan(
            **{key: getattr(summary, key) for key in type(summary).model_fields},
            short_digest=summary.digest[:15],
            totals=summary.summed(),
            generation=1,
        )
        now = datetime.now(UTC).isoformat()
        self.status(
            "rostersync",
            name,
            {
                "phase": "Blocked" if staged.hits else "AwaitingApproval",
                "tenant": self.tenant,
                "observedGeneration": 1,
                "plan": published.to_dict(),
                "issues": [issue.to_dict() for issue in issue_counts(staged.plan)],
                "times": {"started": now, "pulled": now, "staged": now},
                "conditions": [
                    {
                        "type": kind, "status": "True", "reason": "Staged", "message": "", "lastTransitionTime": now,
                    }
                    for kind in ("Staged", "Valid")
                ],
            },
        )  # fmt: skip
        return staged.plan.digest

    def merge(self, name: str, by: str = "ada") -> None:
        """Merge what is staged, as the operator does after an approval."""
        body = self.server.read("rostersync", name, self.namespace)
        assert body is not None
        digest, now = body["status"]["plan"]["digest"], datetime.now(UTC).isoformat()
        approval = {"digest": digest, "by": by, "via": "approvedPlan", "at": now}
        with connect(self.roster.logins(DISTRICT).merge_url) as conn:
            done = merge(conn, UUID(body["metadata"]["uid"]), digest, approval)
        assert isinstance(done, Merged)
        times = body["status"]["times"] | {"approved": now, "finished": now}
        self.status(
            "rostersync", name,
            {"phase": "Merged", "approval": approval, "times": times, "dataVersion": done.data_version},
        )  # fmt: skip
        self.status("rosterconnection", DISTRICT, {"lastMergedTime": now, "lastSync": name})

    def readings(self) -> list[tuple[str, str]]:
        """Who looked at what, oldest first."""
        return self.roster.ask(
            "select person, kind from roster.reading where tenant = %s order by at, kind", self.tenant
        )


_quiet: Callable[[str, int, int | None], None] = lambda _entity, _records, _total: None  # noqa: E731
