"""What all scenarios stand on: one cluster, one installation (the demo's own), one PostgreSQL.

Objects are read by the official client, since polling by kubectl would cost more than what is tested; they are written
by kubectl, as people do it.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from deploy.demo import parts
from deploy.demo.shell import KUBECONFIG, DemoError, forwarded, kubectl
from kubernetes import client, config
from tests.e2e.watching import Body

LABEL = "roster-e2e"
# Seconds. What spreads ten thousand connections would only be waited for here: five minutes, if it were the default.
JITTER = 5
OPERATOR = "app.kubernetes.io/name=roster-operator,app.kubernetes.io/component=operator"


class Api:
    """Reads from the API server, as plain JSON."""

    def __init__(self) -> None:
        self._client = config.new_client_from_config(str(KUBECONFIG))
        self._client.configuration.retries = 3
        self._core = client.CoreV1Api(self._client)

    def get(self, path: str) -> Body:
        """An object or a list by its path; {} where there is none."""
        try:
            answer = self._client.call_api(
                *self._client.param_serialize(
                    method="GET", resource_path=path, header_params={"Accept": "application/json"},
                    auth_settings=["BearerToken"],
                )
            )  # fmt: skip
            data = answer.read()
        except client.ApiException as error:
            if error.status == 404:
                return {}
            raise
        if answer.status == 404:
            return {}
        if answer.status >= 400:
            raise AssertionError(f"GET {path}: {answer.status} {data[:300]!r}")
        return json.loads(data)

    def items(self, path: str) -> list[Body]:
        """The items of a list."""
        return self.get(path).get("items", [])

    def log(self, namespace: str, pod: str) -> str:
        """What a pod has printed, or why that cannot be read."""
        try:
            return self._core.read_namespaced_pod_log(pod, namespace, _preload_content=False).data.decode()
        except client.ApiException as error:
            return f"(no log: {error.reason})"


class Database:
    """The installation's PostgreSQL as its superuser sees it. A port-forward that broke is made anew."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self._lock = threading.Lock()
        self._port = 0
        self._password = parts.decoded(parts.SYSTEM, "postgres-superuser", "password")

    def _forwarded(self, broken: int | None) -> int:
        with self._lock:
            if not self._port or self._port == broken:
                self._port = self._closing.enter_context(forwarded(parts.SYSTEM, "deployment/postgres", 5432))
            return self._port

    @contextmanager
    def session(self, user: str = "postgres", password: str | None = None) -> Generator[psycopg.Connection]:
        """A connection that commits each statement; as another login, where one is given."""

        def connect(port: int) -> psycopg.Connection:
            return psycopg.connect(
                host="127.0.0.1", port=port, user=user, password=password or self._password, dbname="roster",
                sslmode="disable", autocommit=True, connect_timeout=20,
            )  # fmt: skip

        port = self._forwarded(None)
        try:
            conn = connect(port)
        except psycopg.OperationalError:
            conn = connect(self._forwarded(port))
        with conn:
            yield conn

    def owner_url(self) -> str:
        """The URL of the database's owner, by the port-forward."""
        with self.session():
            port = self._forwarded(None)
        return parts.decoded(parts.SYSTEM, "roster-database-owner", "owner-url").replace(
            parts.DATABASE_HOST, f"127.0.0.1:{port}"
        )

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.session() as conn:
            return conn.execute(query.encode(), values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """The one value of a query."""
        ((found,),) = self.rows(query, *values)
        return found


class Ground:
    """The cluster with the operator in it."""

    def __init__(self, closing: ExitStack, images: dict[str, str]) -> None:
        self.images = images
        self.api = Api()
        self.database = Database(closing)
        # Tenants outlive their namespaces; with a mark of its own no run meets the rows of an earlier one.
        self.mark = secrets.token_hex(2)

    def operator_pods(self) -> list[Body]:
        """The operator's pods."""
        return self.api.items(f"/api/v1/namespaces/{parts.SYSTEM}/pods?labelSelector={OPERATOR}")

    def operator_log(self) -> str:
        """What the operator's pods have printed."""
        return "\n".join(self.api.log(parts.SYSTEM, pod["metadata"]["name"]) for pod in self.operator_pods())

    def clean(self) -> None:
        """Take away the namespaces of this run and of earlier ones: the syncs first, while the operator can discard
        what they staged. Nobody waits for the end of it, except for the syncs."""
        kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "-l", LABEL)
        found = self.api.items(f"/api/v1/namespaces?labelSelector={LABEL}")
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(_remove, (namespace["metadata"]["name"] for namespace in found)))


def _remove(namespace: str) -> None:
    try:
        kubectl("-n", namespace, "delete", "rostersync", "--all", "--timeout=60s")
    except DemoError as error:
        print(f"{namespace}: {error}")
    kubectl("delete", "namespace", namespace, "--wait=false")


@contextmanager
def installed() -> Generator[Ground]:
    """The demo's installation, brought up or reused; cleaned of what the scenarios made."""
    images = parts.cluster()
    parts.database(images["demo"])
    parts.operator(images["operator"], schedule_jitter=f"{JITTER}")
    with ExitStack() as closing:
        ground = Ground(closing, images)
        ground.clean()
        try:
            yield ground
        finally:
            ground.clean()
