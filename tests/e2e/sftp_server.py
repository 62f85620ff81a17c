"""An SFTP server in a scenario's namespace: asyncssh's own, from the demo's image, with a folder that tests write to.

As a program it is that server: `python sftp_server.py FOLDER HOST_KEY PORT`, with ACCOUNT and PASSWORD as variables.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

FOLDER, KEYS, PORT = "/data", "/keys", 2222
ACCOUNT = "roster"
# Writes a file beside the others and renames it, as a careful export does: its content on stdin, in base64.
_PUT = (
    "import base64, os, sys; name, at = sys.argv[1], int(sys.argv[2]); part = name + '.part';"
    " open(part, 'wb').write(base64.b64decode(sys.stdin.read())); os.utime(part, (at, at)); os.replace(part, name)"
)


class _Gatekeeper(asyncssh.SSHServer):
    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (os.environ["ACCOUNT"], os.environ["PASSWORD"])

    def password_auth_supported(self) -> bool:
        return True


async def _serve(folder: str, host_key: str, port: int) -> None:
    await asyncssh.create_server(
        _Gatekeeper,
        "0.0.0.0",
        port,
        server_host_keys=[host_key],
        sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=folder),
    )
    await asyncio.Event().wait()


@dataclass(frozen=True)
class SftpPod:
    """A running server. host_key: its public key, as a connection pins it."""

    namespace: str
    host_key: str

    @property
    def spec(self) -> dict[str, Any]:
        """`csv` of a connection to it."""
        place = {"host": f"sftp.{self.namespace}.svc", "path": "/", "hostKeys": [self.host_key]}
        return {"sftp": place | {"secretRef": {"name": "sftp-for-roster"}}}

    def put(self, name: str, data: bytes, mtime: int) -> None:
        """Write a file into the folder, with a time."""
        from deploy.demo.shell import kubectl  # the program in the pod has no such module

        kubectl(
            "-n", self.namespace, "exec", "-i", "deployment/sftp", "--",
            "python3", "-c", _PUT, f"{FOLDER}/{name}", str(mtime),
            given=base64.b64encode(data).decode(),
        )  # fmt: skip


def started(namespace: str, image: str) -> SftpPod:
    """Make the server and the connection's Secret, and wait until it answers."""
    from deploy.demo import parts
    from deploy.demo.shell import apply, secret

    key = asyncssh.generate_private_key("ssh-ed25519")
    password = secrets.token_urlsafe(18)
    secret(namespace, "sftp-server", {"host-key": key.export_private_key().decode(), "ACCOUNT": ACCOUNT,
                                      "PASSWORD": password, "server.py": Path(__file__).read_text()})  # fmt: skip
    secret(namespace, "sftp-for-roster", {"username": ACCOUNT, "password": password})
    for manifest in _manifests(namespace, image):
        apply(json.dumps(manifest))
    parts.ready("deployment", namespace, "sftp")
    return SftpPod(namespace, key.export_public_key().decode().strip())


def _manifests(namespace: str, image: str) -> list[dict[str, Any]]:
    meta = {"name": "sftp", "namespace": namespace}

    def from_secret(key: str) -> dict[str, Any]:
        return {"name": key, "valueFrom": {"secretKeyRef": {"name": "sftp-server", "key": key}}}

    container = {
        "name": "sftp",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", f"{KEYS}/server.py", FOLDER, f"{KEYS}/host-key", str(PORT)],
        "env": [from_secret("ACCOUNT"), from_secret("PASSWORD"), {"name": "LOGNAME", "value": "sftp"}],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": FOLDER},
            {"name": "keys", "mountPath": KEYS, "readOnly": True},
        ],
    }
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
            {"name": "keys", "secret": {"secretName": "sftp-server", "defaultMode": 0o440}},
        ],
    }
    labels = {"app": "sftp"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 22, "targetPort": PORT}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
