"""The pause image: what holds a pod's namespaces open. A static init in an image archive made by hand.

Made here and not by an image builder, so that a cluster starts without one; the archive is the OCI image layout.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalClusterError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def write_archive(target: Path, name: str) -> None:
    """Write an OCI archive that holds one image under the full `name`, with catatonit as its only file."""
    init = shutil.which("catatonit")
    if init is None:
        raise LocalClusterError("The program catatonit is missing (Debian package catatonit).")
    blobs: dict[str, tuple[bytes, int]] = {}

    def blob(content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = (content, 0o644)
        kind = f"application/vnd.oci.image.{media_type}"
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def document(value: dict[str, Any], media_type: str) -> dict[str, Any]:
        return blob(json.dumps(value).encode(), media_type)

    layer = blob(_tar({"catatonit": (Path(init).read_bytes(), 0o755)}), "layer.v1.tar")
    config = document(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/catatonit", "-P"], "User": "65535:65535"},
            # The layer is not compressed, so its digest is also that of its content.
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        },
        "config.v1+json",
    )
    manifest = document({"schemaVersion": 2, "config": config, "layers": [layer]}, "manifest.v1+json")
    named = manifest | {"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}}
    index = {"schemaVersion": 2, "manifests": [named]}
    layout = {"imageLayoutVersion": "1.0.0"}
    blobs["oci-layout"] = (json.dumps(layout).encode(), 0o644)
    blobs["index.json"] = (json.dumps(index).encode(), 0o644)
    target.write_bytes(_tar(blobs))
