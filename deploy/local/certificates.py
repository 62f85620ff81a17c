"""Certificates of a native cluster: one authority, and one certificate for each part that must prove who it is.

Made by openssl, with new keys at every start of a cluster. They live in a folder only root can enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.local.progress import run

DAYS = "365"
# Without a file of our own, openssl adds the extensions of the machine's configuration to every certificate.
CONFIGURATION = "[req]\ndistinguished_name = subject\n[subject]\n"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Identity:
    """One certificate: its file name, its subject in openssl's form, and the names and addresses it serves."""

    name: str
    subject: str
    served: tuple[str, ...] = ()


def identities(address: str, service_address: str, node: str) -> tuple[Identity, ...]:
    """Everyone who needs a certificate. Kubernetes reads a user from CN and groups from O."""
    api_server = (
        f"IP:{address}",
        f"IP:{service_address}",
        "IP:127.0.0.1",
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
    )
    return (
        Identity("etcd", "/CN=etcd", ("IP:127.0.0.1", "DNS:localhost")),
        Identity("kube-apiserver", "/CN=kube-apiserver", api_server),
        Identity("kubelet-server", f"/CN={node}", (f"IP:{address}", f"DNS:{node}")),
        # The API server's own, towards etcd and towards the kubelet.
        Identity("kube-apiserver-client", "/O=system:masters/CN=kube-apiserver-client"),
        Identity("admin", "/O=system:masters/CN=roster-local-admin"),
        Identity("kube-controller-manager", "/CN=system:kube-controller-manager"),
        Identity("kube-scheduler", "/CN=system:kube-scheduler"),
        Identity("kube-proxy", "/CN=system:kube-proxy"),
        Identity("kubelet", f"/O=system:nodes/CN=system:node:{node}"),
        Identity("coredns", "/CN=roster-local-coredns"),
    )


def make(folder: Path, wanted: tuple[Identity, ...]) -> None:
    """Write ca.crt, a key and a certificate for each identity, and the key pair for service accounts' tokens."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "openssl.cnf").write_text(CONFIGURATION)
    request: list[str | Path] = ["openssl", "req", "-x509", "-config", folder / "openssl.cnf", *CURVE, "-days", DAYS]
    request += ["-subj", "/CN=roster-local", "-addext", "basicConstraints=critical,CA:TRUE"]
    request += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    run([*request, "-keyout", folder / "ca.key", "-out", folder / "ca.crt"])
    for identity in wanted:
        _sign(folder, identity)
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "service-accounts.key"])
    run(["openssl", "ec", "-in", folder / "service-accounts.key", "-pubout", "-out", folder / "service-accounts.pub"])


def _sign(folder: Path, identity: Identity) -> None:
    extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
    usage = "clientAuth"
    if identity.served:
        extensions.append(f"subjectAltName={','.join(identity.served)}")
        # etcd's one certificate also speaks as a client: to its own gateway.
        usage = "serverAuth,clientAuth" if identity.name == "etcd" else "serverAuth"
    extensions.append(f"extendedKeyUsage={usage}")
    request: list[str | Path] = ["openssl", "req", "-x509", "-config", folder / "openssl.cnf", *CURVE, "-days", DAYS]
    request += ["-subj", identity.subject]
    for extension in extensions:
        request += ["-addext", extension]
    request += ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    request += ["-keyout", folder / f"{identity.name}.key", "-out", folder / f"{identity.name}.crt"]
    run(request)
