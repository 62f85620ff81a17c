"""A program of the tests as a pod: its files from a Secret, Python and libraries from the demo's image."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.demo import parts
from deploy.demo.shell import apply

HOME, DATA = "/program", "/data"


def started(
    namespace: str,
    name: str,
    image: str,
    *,
    files: Mapping[str, bytes],
    command: Sequence[str],
    ports: Mapping[int, int],
    variables: Mapping[str, str] | None = None,
) -> None:
    """Make it, with a Service of the same name, and wait until it answers.

    files: by their path under HOME. ports: the Service's, and the program's own. variables: kept in the Secret.
    It may write into DATA.
    """
    for manifest in _manifests(namespace, name, image, files, list(command), dict(ports), dict(variables or {})):
        apply(json.dumps(manifest))
    parts.ready("deployment", namespace, name)


def _manifests(
    namespace: str,
    name: str,
    image: str,
    files: Mapping[str, bytes],
    command: list[str],
    ports: dict[int, int],
    variables: dict[str, str],
) -> list[dict[str, Any]]:
    meta = {"name": name, "namespace": namespace}
    keys = {f"file-{number}": path for number, path in enumerate(files)}
    data = {key: base64.b64encode(files[path]).decode() for key, path in keys.items()}
    held = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-program", "namespace": namespace},
        "data": data,
        "stringData": variables,
    }
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "workingDir": HOME,
        "command": command,
        "env": [
            {"name": key, "valueFrom": {"secretKeyRef": {"name": f"{name}-program", "key": key}}} for key in variables
        ],
        "ports": [{"containerPort": port} for port in ports.values()],
        "readinessProbe": {"tcpSocket": {"port": max(ports.values())}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "program", "mountPath": HOME, "readOnly": True},
        ],
    }
    items = [{"key": key, "path": path} for key, path in keys.items()]
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "program", "secret": {"secretName": f"{name}-program", "defaultMode": 0o440, "items": items}},
        ],
    }
    labels = {"app": name}
    named = [{"name": f"p{port}", "port": port, "targetPort": own} for port, own in ports.items()]
    return [
        held,
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": named}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
    ]
