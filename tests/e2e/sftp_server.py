"""An SFTP server in a scenario's namespace: asyncssh's own, from the demo's image, with a folder that tests write to.

As a program it is that server: `python sftp_server.py FOLDER HOST_KEY PORT`, with ACCOUNT and PASSWORD as variables.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

FOLDER, PORT = "/data", 2222
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
    from deploy.demo.shell import secret
    from tests.e2e import programs

    key = asyncssh.generate_private_key("ssh-ed25519")
    password = secrets.token_urlsafe(18)
    secret(namespace, "sftp-for-roster", {"username": ACCOUNT, "password": password})
    programs.started(
        namespace,
        "sftp",
        image,
        files={"server.py": Path(__file__).read_bytes(), "host-key": key.export_private_key()},
        command=["python3", "server.py", FOLDER, "host-key", str(PORT)],
        ports={22: PORT},
        variables={"ACCOUNT": ACCOUNT, "PASSWORD": password, "LOGNAME": "sftp"},
    )
    return SftpPod(namespace, key.export_public_key().decode().strip())


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
