"""What a namespace, a login, a pod and the operator may reach, and no more."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from deploy.demo import parts
from deploy.demo.shell import DemoError, apply, get, kubectl, secret
from tests.e2e.districts import STEP, USERS, District
from tests.e2e.watching import condition, until

pytestmark = pytest.mark.cluster

TABLES = ("orgs", "academic_sessions", "courses", "classes", "users", "enrollments", "demographics")


def test_a_second_namespace_cannot_see_the_first_ones_rows(district: District) -> None:
    first = district.open()
    first.merged()
    waiting = first.sync("second")
    second = District(district.ground, f"{district.slug[:30]}-second").open()
    waiting.until("AwaitingApproval")
    prefix = first.ground.database.value("select roster.stage_prefix(%s, %s)", first.tenant, waiting.uid)
    staged = first.ground.database.rows(
        "select relname from pg_class where relnamespace = 'roster_stage'::regnamespace and relname like %s || '%%'",
        prefix,
    )
    assert staged
    for key in ("stage-url", "merge-url"):
        user, password = second.database_login(key)
        with second.ground.database.session(user, password) as conn:
            for table in (*TABLES, "change_log", "sync_run"):
                assert conn.execute(f"select count(*) from roster.{table}".encode()).fetchone() == (0,), table
            assert conn.execute("select tenant from roster.tenant").fetchall() == [(second.tenant,)]
            done = _rowcount(conn, f"update roster.users set given_name = 'x' where tenant = '{first.tenant}'")
            assert done in {0, None}
            for (table,) in staged:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f'select from roster_stage."{table}"'.encode())
    assert first.count("users") == USERS

    # In the cluster: another's tenant with one's own logins, and one's own tenant a second time.
    second.connect(tenant=first.tenant)
    other = second.until_ready("False", "TenantMismatch")
    assert condition(other, "TenantClaimed")["status"] == "False"
    first.connect("twin")
    twin = first.until_ready("False", "TenantTaken", "twin")
    assert condition(twin, "TenantClaimed")["status"] == "False"
    # Even with the first one's Secret in hand: the tenant is that connection's.
    logins = {key: parts.decoded(first.namespace, "roster-database", key) for key in ("stage-url", "merge-url")}
    secret(second.namespace, "stolen", logins)
    second.connect("thief", tenant=first.tenant, databaseSecretRef={"name": "stolen"})
    second.until_ready("False", "TenantTaken", "thief")
    theft = second.sync("theft", "thief")
    held = theft.until("Pending")
    assert condition(held, "Staged")["reason"] == "ConnectionNotReady"


def _rowcount(conn: psycopg.Connection, statement: str) -> int | None:
    try:
        return conn.execute(statement.encode()).rowcount
    except psycopg.errors.InsufficientPrivilege:
        return None


def test_jobs_run_under_restricted_pod_security_with_no_more_secrets_than_needed(district: District) -> None:
    district.open()
    _privileged_pod_is_refused(district)
    sync = district.merged()
    keys = {
        "test": {
            ("sis-for-roster", "client-id"),
            ("sis-for-roster", "client-secret"),
            ("roster-database", "stage-url"),
        },
        "merge": {("roster-database", "merge-url")},
    }
    keys["stage"] = keys["test"]
    # The test alone looks at when the credentials end.
    keys["test"] = keys["test"] | {("sis-for-roster", "expires")}
    pods = {pod["metadata"]["labels"][STEP]: pod for pod in district.pods()}
    assert set(pods) == set(keys), district.tell(sync.body)
    for step, pod in pods.items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert not [one for one in container["env"] if "valueFrom" in one], "secrets are files, never variables"
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "secret"}
        assert _mounted(spec) == keys[step], step


def _mounted(spec: dict[str, Any]) -> set[tuple[str, str]]:
    """Which keys of which Secrets."""
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    return {(one["secretName"], item["key"]) for one in secrets for item in one["items"]}


def _privileged_pod_is_refused(district: District) -> None:
    """The namespace does enforce what the Jobs are held to."""
    container = {"name": "c", "image": "none.invalid/none", "securityContext": {"privileged": True}}
    meta = {"name": "privileged", "namespace": district.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}
    with pytest.raises(DemoError, match="PodSecurity"):
        apply(json.dumps(pod))


def test_the_operator_may_read_no_secret_and_its_pod_is_restricted(district: District) -> None:
    account = f"system:serviceaccount:{parts.SYSTEM}:roster-operator"
    for verb in ("get", "list", "watch", "create", "update", "delete"):
        with pytest.raises(DemoError):  # kubectl answers "no" with an exit code
            kubectl("auth", "can-i", verb, "secrets", "--all-namespaces", f"--as={account}")
        with pytest.raises(DemoError):
            kubectl("-n", parts.SYSTEM, "auth", "can-i", verb, "secrets", f"--as={account}")
    assert kubectl("auth", "can-i", "create", "jobs.batch", "--all-namespaces", f"--as={account}").strip() == "yes"
    labels = get("namespace", "default", parts.SYSTEM)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    until("the operator runs in it", district.ground.operator_pods, district.ground.operator_log)
