"""The running cluster: a second start returns at once, and a Job as the operator's runs under restricted security."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest
from deploy.local import places

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.local", *arguments]
    return subprocess.run(command, cwd=places.CHECKOUT, capture_output=True, text=True, check=False)


def kubectl(*arguments: str, text_in: str | None = None) -> str:
    done = subprocess.run(
        [places.BIN / "kubectl", "--kubeconfig", places.KUBECONFIG, *arguments],
        input=text_in,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def cluster() -> None:
    done = tool("up")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def image() -> str:
    done = tool("image", "--output", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["loaded"]
    return str(answer["operator"])


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"local-{uuid.uuid4().hex[:8]}"
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    kubectl("apply", "-f", "-", text_in=json.dumps(manifest))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_a_second_start_finds_the_running_cluster() -> None:
    ids = json.loads(tool("status", "--output", "json").stdout)
    started = time.monotonic()
    done = tool("up")
    assert done.returncode == 0, done.stderr
    assert "running already" in done.stderr or "up already" in done.stderr
    assert time.monotonic() - started < 20
    assert json.loads(tool("status", "--output", "json").stdout) == ids


def test_status_says_that_it_runs() -> None:
    done = tool("status", "--output", "json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["running"]
    assert answer["cluster"] in {"native", "kind", "named"}


def test_the_kubeconfig_is_the_owners_alone() -> None:
    assert tool("kubeconfig").stdout.strip() == str(places.KUBECONFIG)
    assert stat.S_IMODE(places.KUBECONFIG.stat().st_mode) == 0o600


JOB_SCRIPT = """
import os, pathlib, socket
value = pathlib.Path("/secrets/client-secret").read_text()
assert value == "hush", value
assert os.getuid() == 65532, os.getuid()
assert not pathlib.Path("/var/run/secrets/kubernetes.io").exists()
try:
    pathlib.Path("/opt/roster/x").write_text("x")
except OSError as problem:
    refused = problem.strerror
pathlib.Path("/tmp/scratch").write_text("x")
import roster_operator
address = socket.gethostbyname("kubernetes.default.svc")
socket.create_connection((address, 443), timeout=5).close()
print("refused:", refused, "address:", address)
pathlib.Path("/dev/termination-log").write_text('{"outcome": "good"}')
"""


def job(name: str, image: str, script: str) -> dict[str, object]:
    container = {
        "name": "worker",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", script],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "sis", "mountPath": "/secrets"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 65532},
        "containers": [container],
        "volumes": [
            {"name": "sis", "secret": {"secretName": "sis", "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def test_a_job_like_the_operators_completes_under_restricted_security(namespace: str, image: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sis"},
        "stringData": {"client-secret": "hush"},
    }
    items = {"apiVersion": "v1", "kind": "List", "items": [secret, job("worker", image, JOB_SCRIPT)]}
    kubectl("apply", "--namespace", namespace, "-f", "-", text_in=json.dumps(items))
    try:
        kubectl("wait", "--namespace", namespace, "--for=condition=Complete", "--timeout=120s", "job/worker")
    except AssertionError:
        pytest.fail(kubectl("describe", "pods", "--namespace", namespace))
    assert "refused: Read-only file system address: 10.96.0.1" in kubectl(
        "logs", "--namespace", namespace, "job/worker"
    )
    pods = json.loads(kubectl("get", "pods", "--namespace", namespace, "--output", "json"))["items"]
    ended = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert json.loads(ended["message"]) == {"outcome": "good"}


def test_pods_reach_a_service_by_name_and_commands_reach_into_them(namespace: str, image: str) -> None:
    serve = "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=8080, bind='0.0.0.0')"
    server = job("server", image, serve)["spec"]["template"]["spec"]  # type: ignore[index]
    server["volumes"] = server["volumes"][1:]
    server["containers"][0]["volumeMounts"] = server["containers"][0]["volumeMounts"][1:]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "server", "labels": {"app": "server"}},
        "spec": server,
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    items = {"apiVersion": "v1", "kind": "List", "items": [pod, service]}
    kubectl("apply", "--namespace", namespace, "-f", "-", text_in=json.dumps(items))
    kubectl("wait", "--namespace", namespace, "--for=condition=Ready", "--timeout=120s", "pod/server")
    # From the pod to its own service: the hardest way through the packet filter, as the answer comes from itself.
    address = f"http://server.{namespace}.svc.cluster.local/"
    ask = f"import urllib.request as u; print(u.urlopen('{address}', timeout=5).status)"
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = kubectl("exec", "--namespace", namespace, "server", "--", "python", "-c", ask)
            break
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
    assert answer.strip() == "200"


def test_what_restricted_security_forbids_is_refused(namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "root", "image": "localhost/any:1"}]},
    }
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        kubectl("apply", "--namespace", namespace, "-f", "-", text_in=json.dumps(pod))
