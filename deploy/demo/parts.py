"""What a cluster needs before a district can be connected: images, PostgreSQL, the operator, a sample SIS.

Every function finds what is there and adds what is missing, so each may be called again. The demo tells its story with
them, and the end-to-end tests stand on the same ground.
"""

from __future__ import annotations

import json
import secrets
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import psycopg

from .shell import (
    HELM,
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

SYSTEM = "roster-system"
CONSOLE = "roster-operator-console"
SUPPORT = "docs/how-to/console.md (this is a demo)"
DATABASE_HOST = f"postgres.{SYSTEM}.svc:5432"
# What pods and Services have on the local cluster: private addresses, which a source may not have unless it is said.
PRIVATE_RANGES = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]


def cluster() -> dict[str, str]:
    """The cluster, and the names of the two images that it has: operator, demo."""
    headline("A cluster")
    local("up")
    headline("Images: the operator's, and one with PostgreSQL and the sample SIS")
    found: dict[str, str] = json.loads(local("image", "--output", "json"))
    return found


def local(*arguments: str) -> str:
    """Run the cluster tool in the person's sight: its progress goes to stderr. Gives its answer on stdout."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "deploy.local", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DemoError(f"`python3 -m deploy.local {' '.join(arguments)}` failed.")
    return done.stdout


def namespace(name: str, **labels: str) -> None:
    """A namespace in which only pods of restricted pod security may run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", **labels}
    apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))


def database(image: str) -> None:
    """PostgreSQL in the cluster, and the Secret with its owner's URL."""
    headline("PostgreSQL in the cluster (yours would be elsewhere)")
    namespace(SYSTEM)
    if not get("secret", SYSTEM, "postgres-superuser"):
        secret(SYSTEM, "postgres-superuser", {"password": secrets.token_urlsafe(18)})
    apply(template("database.yaml", demo_image=image))
    ready("deployment", SYSTEM, "postgres")
    with superuser() as conn:
        if conn.execute("select from pg_roles where rolname = 'roster_owner'").fetchone() is None:
            password = secrets.token_urlsafe(18)
            conn.execute(f"create role roster_owner login createrole password '{password}'".encode())
            conn.execute("create database roster owner roster_owner")
            # Inside the demo's cluster the database has no certificate; the URL says so. Anywhere else leave sslmode
            # out: verify-full is the default.
            url = f"postgresql://roster_owner:{password}@{DATABASE_HOST}/roster?sslmode=disable"
            secret(SYSTEM, "roster-database-owner", {"owner-url": url})
    say("  a database, and its owner's URL in the Secret roster-database-owner")


class superuser:  # noqa: N801  reads as a with-statement
    """A superuser's connection through a port-forward."""

    def __init__(self, database: str = "postgres") -> None:
        self._database = database

    def __enter__(self) -> psycopg.Connection:
        self._forward = forwarded(SYSTEM, "deployment/postgres", 5432)
        port = self._forward.__enter__()
        password = decoded(SYSTEM, "postgres-superuser", "password")
        self._conn = psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", password=password, dbname=self._database, autocommit=True,
            sslmode="disable",
        )  # fmt: skip
        return self._conn

    def __exit__(self, *error: Any) -> None:
        self._conn.close()
        self._forward.__exit__(*error)


def decoded(namespace: str, name: str, key: str) -> str:
    """A value of a Secret."""
    return kubectl("-n", namespace, "get", "secret", name, f'--template={{{{index .data "{key}" | base64decode}}}}')


def ready(kind: str, namespace: str, name: str) -> None:
    """Wait until a Deployment has all its pods, as its spec has them now."""

    def look() -> str | None:
        found = get(kind, namespace, name)
        status = found.get("status", {})
        if status.get("observedGeneration") != found.get("metadata", {}).get("generation"):
            return None
        wanted = found.get("spec", {}).get("replicas")
        done = wanted == status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas")
        return "ready" if wanted and done else None

    wait(f"{kind} {namespace}/{name}", look, seconds=180)


def operator(image: str, **settings: str) -> None:
    """Install the chart with its console, or upgrade it. `settings` are the operator's own, like `max_jobs="4"`."""
    headline("The operator and the console, by their Helm chart")
    repository, _, tag = image.rpartition(":")
    ranges = ",".join(PRIVATE_RANGES)
    command = [
        "upgrade", "--install", "roster-operator", "charts/roster-operator", "--namespace", SYSTEM,
        "--set", "database.ownerSecret.name=roster-database-owner",
        "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
        "--set", f"allowedAddresses={{{ranges}}}",
        "--set", "console.enabled=true", "--set", f"console.support={SUPPORT}",
        *(f"--set-string=settings.{name.replace('_', '-')}={value}" for name, value in settings.items()),
        "--timeout", "5m",
    ]  # fmt: skip
    say(f"$ helm {' '.join(command)}")
    run([str(HELM), *command])
    # Once the chart's hook has made the schema there can be a login; the console's pod waits for its Secret.
    _console_login()
    ready("deployment", SYSTEM, "roster-operator")
    ready("deployment", SYSTEM, CONSOLE)
    show("-n", SYSTEM, "get", "pods")


def _console_login() -> None:
    with superuser("roster") as conn:
        known = conn.execute("select from roster.console where login = 'roster_console_login'").fetchone() is not None
    there = bool(get("secret", SYSTEM, "roster-console"))
    if known and there:
        return
    say(f"$ roster console-login create --namespace {SYSTEM} --host {DATABASE_HOST} | kubectl apply -f -")
    apply(_as_owner("console-login", "create", "--namespace", SYSTEM, *(["--rotate"] if known else [])))
    if there:  # it was another database's, and the console has read it
        kubectl("-n", SYSTEM, "rollout", "restart", f"deployment/{CONSOLE}")


def sis(namespace: str, image: str, users: int) -> None:
    """A sample SIS in a namespace, at https://sis.<namespace>.svc, with a certificate and a client of its own."""
    host = f"sis.{namespace}.svc"
    if not get("secret", namespace, "sis-tls"):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = Path(folder, "key"), Path(folder, "crt")
            run(
                [
                    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "825",
                    "-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={host}",
                    "-addext", f"subjectAltName=DNS:{host},DNS:localhost",
                ]
            )  # fmt: skip
            values = {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}
            secret(namespace, "sis-tls", values, "kubernetes.io/tls")
        client = {"SIS_CLIENT_ID": "roster-operator", "SIS_CLIENT_SECRET": secrets.token_urlsafe(18)}
        secret(namespace, "sis-client", client)
    apply(template("sis.yaml", namespace=namespace, demo_image=image, users=str(users)))
    ready("deployment", namespace, "sis")


def sis_admin(namespace: str, method: str, path: str, body: Any = None) -> Any:
    """Bend a sample SIS: another variant of its district, faults, its counts."""
    context = ssl.create_default_context(cadata=decoded(namespace, "sis-tls", "tls.crt"))
    data = None if body is None else json.dumps(body).encode()
    with forwarded(namespace, "deployment/sis", 8443) as port:
        request = urllib.request.Request(f"https://localhost:{port}/_admin/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            return json.load(answer)


def has_tenant(name: str) -> bool:
    """Whether the database knows a tenant. A Secret with its logins is no proof: the demo's data goes with its pod."""
    with superuser("roster") as conn:
        return conn.execute("select from roster.tenant where tenant = %s", (name,)).fetchone() is not None


def tenant(name: str, namespace: str, secret_name: str = "roster-database") -> None:  # noqa: S107
    """A district's two database logins, as a Secret in its namespace."""
    apply(_as_owner("tenant", "create", name, "--namespace", namespace, "--secret-name", secret_name))


def _as_owner(*command: str) -> str:
    """What `roster` prints, with the database's owner's login, for a login in the cluster."""
    owner = decoded(SYSTEM, "roster-database-owner", "owner-url")
    with forwarded(SYSTEM, "deployment/postgres", 5432) as port:
        database = owner.replace(DATABASE_HOST, f"127.0.0.1:{port}")
        program = [sys.executable, "-m", "roster_operator.cli", *command]
        return run([*program, "--host", DATABASE_HOST, "--database", database])


def person(namespace: str, name: str, *roles: str) -> str:
    """Somebody who holds these cluster roles in a namespace; a token of theirs, for an hour."""
    group = "rbac.authorization.k8s.io"
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    ]
    objects += [
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{name}-{role}", "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        for role in roles
    ]
    apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return kubectl("-n", namespace, "create", "token", name, "--duration=1h").strip()


def sis_credentials(namespace: str, name: str, sis_namespace: str) -> None:
    """The Secret of a connection to a sample SIS."""
    values = {
        "client-id": decoded(sis_namespace, "sis-client", "SIS_CLIENT_ID"),
        "client-secret": decoded(sis_namespace, "sis-client", "SIS_CLIENT_SECRET"),
    }
    secret(namespace, name, values)
