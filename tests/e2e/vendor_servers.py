"""Every vendor's server of the tests, over https, in a scenario's namespace: one pod, a port for each.

As a program it is those servers: `python -m tests.e2e.vendor_servers HOST`, with `tls.crt` and `tls.key` beside it.
"""

from __future__ import annotations

import io
import sys
import threading
import zipfile
from contextlib import ExitStack
from pathlib import Path

from tests.oneroster.fake_servers import Serving
from tests.oneroster.vendors.campus import InfiniteCampus
from tests.oneroster.vendors.classlink import Proxy, RosterServer
from tests.oneroster.vendors.dress import Vendor
from tests.oneroster.vendors.skyward import Skyward
from tests.oneroster.vendors.standard import Standard
from tests.oneroster.vendors.synergy import Synergy

from roster_sample_sis import District, generate
from roster_sample_sis.certificates import context

NAME, USERS = "vendors", 60
SERVERS: dict[str, tuple[type[Vendor], str]] = {
    "classlink": (RosterServer, "1.1"),
    "classlink-proxy": (Proxy, "1.1"),
    "infinite-campus": (InfiniteCampus, "1.2"),
    "skyward": (Skyward, "1.1"),
    "synergy": (Synergy, "1.2"),
    "generic": (Standard, "1.2"),
}
PORTS = {name: 8441 + number for number, name in enumerate(SERVERS)}
ROOT = Path(__file__).parents[2]


def host(namespace: str) -> str:
    """Where the servers are found in the cluster."""
    return f"{NAME}.{namespace}.svc"


def vendors(host: str, district: District, folder: Path | None = None) -> dict[str, Vendor]:
    """The servers by name, not yet serving. folder: where the certificate is; without one they cannot be served."""
    tls = context(folder / "tls.crt", folder / "tls.key") if folder else None
    made: dict[str, Vendor] = {}
    for name, (kind, version) in SERVERS.items():
        serving = Serving("0.0.0.0" if tls else "127.0.0.1", PORTS[name] if tls else 0, tls)
        made[name] = kind(district, (version,), serving=serving)
        made[name].url = f"https://{host}:{PORTS[name]}"
    return made


def started(namespace: str, image: str, certificate: str, key: str) -> None:
    """Make the pod, and wait until it answers."""
    from tests.e2e import programs  # the program in the pod has no such module

    own = ("tests/e2e/vendor_servers.py", "tests/oneroster/fake_servers.py")
    sources = [*(ROOT / path for path in own), *(ROOT / "tests/oneroster/vendors").glob("*.py")]
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in sources}
    files |= {"tls.crt": certificate.encode(), "tls.key": key.encode(), "oauthlib.zip": _oauthlib()}
    programs.started(
        namespace, NAME, image, files=files, command=["python3", "-m", "tests.e2e.vendor_servers", host(namespace)],
        ports={port: port for port in PORTS.values()}, variables={"PYTHONPATH": "oauthlib.zip"},
    )  # fmt: skip


def _oauthlib() -> bytes:
    """The library that judges signatures; the image has no need of it."""
    import oauthlib

    folder = Path(oauthlib.__file__).parent
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(folder.rglob("*.py")):
            bundle.write(path, path.relative_to(folder.parent))
    return packed.getvalue()


if __name__ == "__main__":
    with ExitStack() as serving:
        for vendor in vendors(sys.argv[1], generate(7, USERS), Path.cwd()).values():
            serving.enter_context(vendor)
        threading.Event().wait()
