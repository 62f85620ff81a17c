"""Addresses, ports and configuration files of a native cluster.

The files under `files/` are templates with $-words, so that each can be read beside its program's documentation.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template

from deploy.local import places

NODE = "roster-local"
BRIDGE = "roster0"
TABLE = "roster-local"
POD_RANGE = "10.244.0.0/24"
ADDRESS = "10.244.0.1"
"""The bridge's own: the node's address, where the API server, the kubelet and the DNS server listen."""
SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
API_PORT = 6443
SERVER = f"https://{ADDRESS}:{API_PORT}"
# Not etcd's usual ports, so that another etcd on the machine stays undisturbed.
ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
PAUSE_IMAGE = "localhost/roster-local/pause:1"

# (address, port) of everything that listens, looked at before the start.
PORTS = (
    ("127.0.0.1", ETCD_PORT),
    ("127.0.0.1", ETCD_PEER_PORT),
    ("127.0.0.1", 10248),
    ("127.0.0.1", 10249),
    ("127.0.0.1", 10256),
    ("127.0.0.1", 10257),
    ("127.0.0.1", 10259),
    (ADDRESS, 53),
    (ADDRESS, API_PORT),
    (ADDRESS, 10250),
)

CERTIFICATES = places.DATA / "certificates"
SOCKET = places.RUN / "containerd.sock"


def kubeconfig(identity: str) -> Path:
    return places.DATA / f"{identity}.kubeconfig"


def outside_names(resolv_conf: Path = Path("/etc/resolv.conf")) -> str:
    """What the DNS server answers for names outside the cluster: what the host's resolver says, else "no such name"."""
    try:
        lines = resolv_conf.read_text().splitlines()
    except OSError:
        lines = []
    servers = [words[1] for words in map(str.split, lines) if len(words) >= 2 and words[0] == "nameserver"]
    if servers:
        return f"forward . {' '.join(servers[:3])}"
    return "template ANY ANY {\n    rcode NXDOMAIN\n  }"


def words(*, masquerade_all: bool) -> dict[str, str]:
    return {
        "ADDRESS": ADDRESS,
        "BRIDGE": BRIDGE,
        "DATA": str(places.DATA),
        "MASQUERADE_ALL": "true" if masquerade_all else "false",
        "OUTSIDE": outside_names(),
        "PAUSE_IMAGE": PAUSE_IMAGE,
        "POD_RANGE": POD_RANGE,
        "RUN": str(places.RUN),
        "RUNC": shutil.which("runc") or "runc",
        "TABLE": TABLE,
    }


def render(name: str, filled: dict[str, str]) -> str:
    """One template of `files/`, filled in. A word that nobody filled in is an error, not an empty string."""
    return Template((places.FILES / name).read_text()).substitute(filled)


def write(*, masquerade_all: bool) -> None:
    """Write the configuration files of all programs."""
    filled = words(masquerade_all=masquerade_all)
    targets = {
        "containerd.toml": places.DATA / "containerd.toml",
        "kubelet.yaml": places.DATA / "kubelet.yaml",
        "kube-proxy.yaml": places.DATA / "kube-proxy.yaml",
        "cni.conflist": places.DATA / "cni" / "10-roster-local.conflist",
        "masquerade.nft": places.DATA / "masquerade.nft",
        "Corefile": places.DATA / "Corefile",
    }
    for name, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(render(name, filled))


def commands(bin_folder: Path) -> dict[str, list[str]]:
    """The command line of each long-lived program, in the order in which they start."""
    pki = CERTIFICATES
    return {
        "etcd": [
            f"{bin_folder}/etcd",
            f"--data-dir={places.DATA}/etcd",
            f"--listen-client-urls=https://127.0.0.1:{ETCD_PORT}",
            f"--advertise-client-urls=https://127.0.0.1:{ETCD_PORT}",
            f"--listen-peer-urls=https://127.0.0.1:{ETCD_PEER_PORT}",
            f"--initial-advertise-peer-urls=https://127.0.0.1:{ETCD_PEER_PORT}",
            f"--initial-cluster=default=https://127.0.0.1:{ETCD_PEER_PORT}",
            # Who can write to etcd owns the node, and other users of the machine reach its loopback address too.
            "--client-cert-auth",
            f"--trusted-ca-file={pki}/ca.crt",
            f"--cert-file={pki}/etcd.crt",
            f"--key-file={pki}/etcd.key",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={pki}/ca.crt",
            f"--peer-cert-file={pki}/etcd.crt",
            f"--peer-key-file={pki}/etcd.key",
            # This cluster is for tests: nothing in it must outlive a power cut.
            "--unsafe-no-fsync",
        ],
        "containerd": [f"{bin_folder}/containerd", f"--config={places.DATA}/containerd.toml"],
        "kube-apiserver": [
            f"{bin_folder}/kube-apiserver",
            f"--bind-address={ADDRESS}",
            f"--advertise-address={ADDRESS}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--etcd-servers=https://127.0.0.1:{ETCD_PORT}",
            f"--etcd-cafile={pki}/ca.crt",
            f"--etcd-certfile={pki}/kube-apiserver-client.crt",
            f"--etcd-keyfile={pki}/kube-apiserver-client.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/kube-apiserver.crt",
            f"--tls-private-key-file={pki}/kube-apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/service-accounts.pub",
            f"--service-account-signing-key-file={pki}/service-accounts.key",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            # Without these `kubectl logs` and `kubectl exec` find no address, or are not believed.
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/kube-apiserver-client.crt",
            f"--kubelet-client-key={pki}/kube-apiserver-client.key",
        ],
        "kube-controller-manager": [
            f"{bin_folder}/kube-controller-manager",
            "--bind-address=127.0.0.1",
            f"--kubeconfig={kubeconfig('kube-controller-manager')}",
            f"--authentication-kubeconfig={kubeconfig('kube-controller-manager')}",
            f"--authorization-kubeconfig={kubeconfig('kube-controller-manager')}",
            "--use-service-account-credentials",
            "--allocate-node-cidrs=false",
            "--leader-elect=false",
            f"--root-ca-file={pki}/ca.crt",
            f"--flex-volume-plugin-dir={places.DATA}/volume-plugins",
            f"--service-account-private-key-file={pki}/service-accounts.key",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
        ],
        "kube-scheduler": [
            f"{bin_folder}/kube-scheduler",
            "--bind-address=127.0.0.1",
            f"--kubeconfig={kubeconfig('kube-scheduler')}",
            f"--authentication-kubeconfig={kubeconfig('kube-scheduler')}",
            f"--authorization-kubeconfig={kubeconfig('kube-scheduler')}",
            "--leader-elect=false",
        ],
        "coredns": [f"{bin_folder}/coredns", "-conf", f"{places.DATA}/Corefile"],
        "kubelet": [
            f"{bin_folder}/kubelet",
            f"--config={places.DATA}/kubelet.yaml",
            f"--kubeconfig={kubeconfig('kubelet')}",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
            f"--root-dir={places.DATA}/kubelet",
            f"--cert-dir={places.DATA}/kubelet-certificates",
        ],
        "kube-proxy": [
            f"{bin_folder}/kube-proxy",
            f"--config={places.DATA}/kube-proxy.yaml",
            f"--hostname-override={NODE}",
        ],
    }
