"""The files that the tool writes: kubeconfig, record, configuration, pip's settings."""

from __future__ import annotations

import json
import re
import stat
import tarfile
from pathlib import Path

import pytest
import yaml
from deploy.local import (
    certificates,
    host,
    images,
    kubeconfigs,
    pause,
    pip_settings,
    places,
    record,
    settings,
    toolchain,
)
from deploy.local.errors import LocalClusterError
from deploy.local.processes import Process


def test_a_kubeconfig_is_readable_by_its_owner_only_and_is_whole(tmp_path: Path) -> None:
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (tmp_path / name).write_text(name)
    file = tmp_path / "kubeconfig"
    file.write_text("an older one, readable by everyone")
    file.chmod(0o644)
    kubeconfigs.write(file, kubeconfigs.render("https://10.0.0.1:6443", tmp_path, "admin"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = yaml.safe_load(file.read_text())
    assert content["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert content["current-context"] == content["contexts"][0]["name"]


def test_the_kubeconfig_lies_in_the_checkout_and_not_in_the_persons_home() -> None:
    assert places.KUBECONFIG == places.CHECKOUT / ".local" / "kubeconfig"
    sources = "".join(file.read_text() for file in places.SOURCES.glob("*.py"))
    assert ".kube/" not in sources


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    written = record.new()
    written.processes.append(Process("etcd", 12, 3456, "boot"))
    written.settings_before["net.ipv4.ip_forward"] = "0"
    written.absent_before.append("ip kube-proxy")
    written.save(file)
    assert record.load(file) == written


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"processes": 3})])
def test_a_broken_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "record.json").write_text(content)
    assert record.load(tmp_path / "record.json") is None


def test_every_configuration_file_is_filled_in_completely() -> None:
    filled = settings.words(masquerade_all=False)
    for file in places.FILES.iterdir():
        assert not re.search(r"\$[A-Z_]+", settings.render(file.name, filled)), file.name
    for name in ("kubelet.yaml", "kube-proxy.yaml"):
        assert yaml.safe_load(settings.render(name, filled))["kind"]
    assert json.loads(settings.render("cni.conflist", filled))["plugins"]


def test_everything_listens_on_loopback_or_on_the_bridge() -> None:
    assert {address for address, _ in settings.PORTS} == {"127.0.0.1", settings.ADDRESS}
    assert not re.search(r"0\.0\.0\.0:", str(settings.commands(Path("/bin"))))


def test_names_outside_go_to_the_hosts_resolver_and_nowhere_without_one(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert "NXDOMAIN" in settings.outside_names(file)
    file.write_text("search example.org\nnameserver 192.0.2.1\n")
    assert settings.outside_names(file) == "forward . 192.0.2.1"


def test_mounts_are_taken_away_from_the_inside_out_and_only_ours() -> None:
    mountinfo = "\n".join(
        f"{number} 1 0:1 / {point} rw - tmpfs tmpfs rw"
        for number, point in enumerate(["/", "/data", "/data/a", "/data/a/b\\040c", "/database", "/run/x"])
    )
    assert host.mounts_below([Path("/data")], mountinfo) == ["/data/a/b c", "/data/a", "/data"]


def test_pip_settings_are_lent_without_the_machines_own_folders() -> None:
    listing = "global.index-url='https://mirror.example/simple'\nglobal.timeout='60'\nglobal.find-links='/wheels'\n"
    found = pip_settings.parse(listing, {"PIP_TIMEOUT": "90", "PIPX_HOME": "/x"})
    assert found == {"index-url": "https://mirror.example/simple", "timeout": "90", "find-links": "/wheels"}
    assert "find-links" not in pip_settings.KEPT


def test_the_tag_changes_with_the_sources_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "operator" / "__pycache__").mkdir(parents=True)
    file = tmp_path / "operator" / "one.py"
    file.write_text("1")
    first = images.digest_of(("operator",), root=tmp_path)
    (tmp_path / "operator" / "__pycache__" / "one.pyc").write_text("bytecode")
    (tmp_path / "other").write_text("not a source")
    assert images.digest_of(("operator",), root=tmp_path) == first
    file.write_text("2")
    assert images.digest_of(("operator",), root=tmp_path) != first
    with pytest.raises(LocalClusterError, match="missing"):
        images.digest_of(("absent",), root=tmp_path)


def test_image_names_are_complete_so_that_no_one_looks_for_them_in_a_registry() -> None:
    assert all(
        name.startswith("localhost/") and ":" in name for name in (*images.names("buildah"), settings.PAUSE_IMAGE)
    )


def test_the_dockerignore_lets_through_what_the_image_is_made_from() -> None:
    allowed = Path(places.CHECKOUT, "deploy", "Dockerfile.dockerignore").read_text().split()
    for source in images.OPERATOR_SOURCES:
        assert f"!{source.split('/')[0]}" in allowed


def test_versions_come_from_the_go_modules_and_name_no_registry() -> None:
    assert toolchain.version_of("k8s.io/kubernetes").startswith("v1.")
    assert toolchain.needed_go() >= (1, 26)
    for program in toolchain.PROGRAMS:
        assert program.package in (places.GO_MODULES / program.module / "go.mod").read_text(), program.name
    for file in places.GO_MODULES.glob("*/go.*"):
        assert "://" not in file.read_text(), file


@pytest.mark.skipif(not Path("/usr/bin/openssl").exists(), reason="needs openssl")
def test_certificates_serve_the_addresses_they_must(tmp_path: Path) -> None:
    wanted = certificates.identities(settings.ADDRESS, settings.SERVICE_ADDRESS, settings.NODE)
    certificates.make(tmp_path / "pki", wanted)
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID

    served = x509.load_pem_x509_certificate((tmp_path / "pki" / "kube-apiserver.crt").read_bytes())
    names = served.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} >= {"10.96.0.1", settings.ADDRESS}  # type: ignore[attr-defined]
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    admin = x509.load_pem_x509_certificate((tmp_path / "pki" / "admin.crt").read_bytes())
    assert "O=system:masters" in admin.subject.rfc4514_string()
    assert (
        admin.verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / "pki" / "ca.crt").read_bytes()))
        is None
    )


@pytest.mark.skipif(not Path("/usr/bin/catatonit").exists(), reason="needs catatonit")
def test_the_pause_image_is_an_archive_whose_parts_have_the_digests_it_says(tmp_path: Path) -> None:
    import hashlib

    pause.write_archive(tmp_path / "pause.tar", "localhost/pause:1")
    with tarfile.open(tmp_path / "pause.tar") as archive:
        for entry in archive.getmembers():
            if entry.name.startswith("blobs/"):
                content = archive.extractfile(entry)
                assert content is not None
                assert entry.name.rpartition("/")[2] == hashlib.sha256(content.read()).hexdigest()
