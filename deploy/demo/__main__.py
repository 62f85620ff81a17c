"""The story of the demo, from nothing to the second sync. Leaves the cluster for the user."""

from __future__ import annotations

import argparse
import json
import secrets
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from .shell import (
    HELM,
    KUBECONFIG,
    ROOT,
    DemoError,
    apply,
    forwarded,
    get,
    headline,
    kubectl,
    run,
    say,
    secret,
    show,
    template,
    wait,
)

SYSTEM, DISTRICT, SIS = "roster-system", "k12", "sis"
TENANT = f"{DISTRICT}.springfield"
DATABASE_HOST = f"postgres.{SYSTEM}.svc:5432"
# What pods and Services have on the local cluster: private addresses, which a source may not have unless it is said.
PRIVATE_RANGES = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]


def main() -> int:
    """Tell the story; 1 where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--users", type=int, default=2000, help="people in the sample district")
    parser.add_argument("--down", action="store_true", help="take the cluster down again, and everything in it")
    options = parser.parse_args()
    users: int = options.users
    begun = time.monotonic()
    try:
        if options.down:
            _local("down")
            return 0
        _story(users)
    except DemoError as error:
        say(f"\nThe demo stopped. {error}")
        return 1
    say(f"\nThe demo took {time.monotonic() - begun:.0f} s. `make demo-down` takes the cluster away again.")
    return 0


def _story(users: int) -> None:
    say(
        "This brings up a Kubernetes cluster of its own, installs the operator, and takes a sample district through two"
        " syncs.\nThe first time everything is built from source: about 12 minutes on 2 cores. After that under 2."
    )
    images = _cluster()
    _database(images["demo"])
    _operator(images["operator"])
    _sis(images["demo"], users)
    _connect()
    _sync("The first sync: staged, and waiting for a person", "base")
    _metrics()
    _sync("The next night: about one per cent of the district has changed", "one-percent")
    headline("Yours to try")
    say(f"  export KUBECONFIG={KUBECONFIG.relative_to(ROOT)} PATH=$PWD/.local/bin:$PATH")
    say(f"  kubectl -n {DISTRICT} get rconn,rsync")
    say(f"  kubectl -n {DISTRICT} describe rsync")
    say("  kubectl explain rosterconnection.spec.api")


def _cluster() -> dict[str, str]:
    headline("A cluster")
    _local("up")
    headline("Images: the operator's, and one with PostgreSQL and the sample SIS")
    _local("image")
    said = run([sys.executable, "-m", "deploy.local", "image", "--output", "json"])
    found: dict[str, str] = json.loads(said[said.index("{") :])
    return found


def _local(command: str) -> None:
    sys.stdout.flush()
    if subprocess.run([sys.executable, "-m", "deploy.local", command], cwd=ROOT, check=False).returncode:
        raise DemoError(f"`python3 -m deploy.local {command}` failed.")


def _namespaces() -> None:
    for name, level in ((SYSTEM, "restricted"), (DISTRICT, "restricted"), (SIS, "restricted")):
        labels = {"pod-security.kubernetes.io/enforce": level}
        apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))


def _database(image: str) -> None:
    headline("PostgreSQL in the cluster (yours would be elsewhere)")
    _namespaces()
    if not get("secret", SYSTEM, "postgres-superuser"):
        secret(SYSTEM, "postgres-superuser", {"password": secrets.token_urlsafe(18)})
    apply(template("database.yaml", demo_image=image))
    _ready("deployment", SYSTEM, "postgres")
    with _superuser() as conn:
        if not conn.execute("select from pg_roles where rolname = 'roster_owner'").fetchone():
            password = secrets.token_urlsafe(18)
            conn.execute(f"create role roster_owner login createrole password '{password}'".encode())
            conn.execute("create database roster owner roster_owner")
            # Inside the demo's cluster the database has no certificate; the URL says so. Anywhere else leave sslmode
            # out: verify-full is the default.
            url = f"postgresql://roster_owner:{password}@{DATABASE_HOST}/roster?sslmode=disable"
            secret(SYSTEM, "roster-database-owner", {"owner-url": url})
    say("  a database, and its owner's URL in the Secret roster-database-owner")


class _superuser:  # noqa: N801  reads as a with-statement
    """A superuser's connection through a port-forward."""

    def __init__(self, database: str = "postgres") -> None:
        self._database = database

    def __enter__(self) -> psycopg.Connection:
        self._forward = forwarded(SYSTEM, "deployment/postgres", 5432)
        port = self._forward.__enter__()
        password = _decoded(SYSTEM, "postgres-superuser", "password")
        self._conn = psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", password=password, dbname=self._database, autocommit=True,
            sslmode="disable",
        )  # fmt: skip
        return self._conn

    def __exit__(self, *error: Any) -> None:
        self._conn.close()
        self._forward.__exit__(*error)


def _decoded(namespace: str, name: str, key: str) -> str:
    return kubectl("-n", namespace, "get", "secret", name, f'--template={{{{index .data "{key}" | base64decode}}}}')


def _ready(kind: str, namespace: str, name: str) -> None:
    def look() -> str | None:
        status = get(kind, namespace, name).get("status", {})
        return "ready" if status.get("availableReplicas") and not status.get("unavailableReplicas") else None

    wait(f"{kind} {namespace}/{name}", look, seconds=180)


def _operator(image: str) -> None:
    headline("The operator, by its Helm chart")
    repository, _, tag = image.rpartition(":")
    ranges = ",".join(PRIVATE_RANGES)
    command = [
        "upgrade", "--install", "roster-operator", "charts/roster-operator", "--namespace", SYSTEM,
        "--set", "database.ownerSecret.name=roster-database-owner",
        "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
        "--set", f"allowedAddresses={{{ranges}}}",
        "--wait", "--timeout", "5m",
    ]  # fmt: skip
    say(f"$ helm {' '.join(command)}")
    run([str(HELM), *command])
    show("-n", SYSTEM, "get", "pods")


def _sis(image: str, users: int) -> None:
    headline(f"A sample School Information System with {users:,} people")
    if not get("secret", SIS, "sis-tls"):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = Path(folder, "key"), Path(folder, "crt")
            run(
                [
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "825",
                    "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=sis.sis.svc",
                    "-addext", "subjectAltName=DNS:sis.sis.svc,DNS:localhost",
                ]
            )  # fmt: skip
            secret(
                SIS, "sis-tls", {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}, "kubernetes.io/tls"
            )
        secret(SIS, "sis-client", {"SIS_CLIENT_ID": "roster-operator", "SIS_CLIENT_SECRET": secrets.token_urlsafe(18)})
    apply(template("sis.yaml", demo_image=image, users=str(users)))
    _ready("deployment", SIS, "sis")


def _variant(name: str) -> None:
    """Let the district change, as districts do overnight."""
    context = ssl.create_default_context(cadata=_decoded(SIS, "sis-tls", "tls.crt"))
    with forwarded(SIS, "deployment/sis", 8443) as port:
        request = urllib.request.Request(
            f"https://localhost:{port}/_admin/variant", json.dumps({"variant": name}).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            answer.read()


def _connect() -> None:
    headline("A district: its database logins, its credentials, its connection")
    if not get("secret", DISTRICT, "roster-database"):
        owner = _decoded(SYSTEM, "roster-database-owner", "owner-url")
        with forwarded(SYSTEM, "deployment/postgres", 5432) as port:
            say(f"$ roster tenant create {TENANT} --namespace {DISTRICT} --host {DATABASE_HOST} | kubectl apply -f -")
            manifest = run(
                [
                    sys.executable, "-m", "roster_operator.cli", "tenant", "create", TENANT, "--namespace", DISTRICT,
                    "--host", DATABASE_HOST, "--database", owner.replace(DATABASE_HOST, f"127.0.0.1:{port}"),
                ]
            )  # fmt: skip
        apply(manifest)
    secret(
        DISTRICT,
        "springfield-sis",
        {
            "client-id": _decoded(SIS, "sis-client", "SIS_CLIENT_ID"),
            "client-secret": _decoded(SIS, "sis-client", "SIS_CLIENT_SECRET"),
        },
    )
    bundle = textwrap.indent(_decoded(SIS, "sis-tls", "tls.crt").strip(), " " * 6)
    manifest = template("connection.yaml", ca_bundle=bundle)
    say(manifest.replace(bundle, "      -----BEGIN CERTIFICATE----- …"))
    apply(manifest)

    def look() -> str | None:
        status = get("rosterconnection", DISTRICT, "springfield").get("status", {})
        for condition in status.get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                return f"{condition['reason']}, OneRoster {status.get('version')}"
        return None

    wait("Ready", look, seconds=180)
    show("-n", DISTRICT, "get", "rconn")


def _sync(title: str, variant: str) -> None:
    headline(title)
    _variant(variant)
    name = f"springfield-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    manifest = template("sync.yaml", name=name)
    say(manifest)
    apply(manifest)

    def phase(wanted: set[str]) -> str:
        def look() -> str | None:
            status = get("rostersync", DISTRICT, name).get("status", {})
            found = status.get("phase")
            if found in {"Failed", "Blocked"} and found not in wanted:
                raise DemoError(f"{name} is {found}: kubectl -n {DISTRICT} describe rsync {name}")
            return found if found in wanted else None

        return wait("phase", look, seconds=300)

    phase({"AwaitingApproval", "Blocked"})
    show("-n", DISTRICT, "get", "rsync", name)
    _plan(get("rostersync", DISTRICT, name)["status"])
    say("\nNothing has been merged. One field approves exactly this plan:")
    show("-n", DISTRICT, "patch", "rsync", name, "--type=merge", "-p", '{"spec":{"approved":true}}')
    phase({"Merged"})
    show("-n", DISTRICT, "get", "rsync", name)
    _rows()


def _plan(status: dict[str, Any]) -> None:
    plan = status["plan"]
    columns = ("received", "create", "update", "deactivate", "reactivate", "unchanged", "invalid")
    say(f"\n{'ENTITY':<18}" + "".join(f"{c.upper():>12}" for c in columns))
    for entity, counts in plan["entities"].items():
        say(f"{entity:<18}" + "".join(f"{counts.get(c, 0):>12,}" for c in columns))
    say(f"Digest {plan['digest']}")


def _rows() -> None:
    say("\nThe rows that the application reads:")
    with _superuser("roster") as conn:
        query = "select role, count(*) filter (where status = 'active'), count(*) filter (where status <> 'active')"
        rows = conn.execute(
            f"{query} from roster.users where tenant = %s group by 1 order by 2 desc".encode(), (TENANT,)
        )
        say(f"{'roster.users':<26}{'ACTIVE':>10}{'INACTIVE':>10}")
        for role, active, inactive in rows:
            say(f"  {role:<24}{active:>10,}{inactive:>10,}")
        merged = conn.execute(
            "select count(*) from roster.enrollments where tenant = %s and status = 'active'", (TENANT,)
        )
        (count,) = merged.fetchone() or (0,)
        say(f"{'roster.enrollments':<26}{count:>10,}")


def _metrics() -> None:
    headline("What Prometheus sees")
    with (
        forwarded(SYSTEM, "deployment/roster-operator", 8080) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        text: str = answer.read().decode()
    for line in text.splitlines():
        if line.startswith("roster_") and "_created" not in line:
            say(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
