"""Where the console looks for its API server, and that it takes nobody's credentials from there."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trustme
import yaml

from roster_operator.console.settings import SettingsError, load

PEM = trustme.CA().cert_pem.bytes().decode()


def kubeconfig(folder: Path, **cluster: str) -> str:
    path = folder / "config"
    document = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "first", "user": "u"}},
            {"name": "two", "context": {"cluster": "second", "user": "u"}},
        ],
        "clusters": [
            {"name": "first", "cluster": {"server": "https://first.example:6443"} | cluster},
            {"name": "second", "cluster": {"server": "https://second.example:6443"}},
        ],
        "users": [{"name": "u", "user": {"token": "never-read"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_of_a_kubeconfig_only_the_cluster_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM)
    settings = load({"KUBECONFIG": kubeconfig(tmp_path, **{"certificate-authority": "ca.crt"})})
    assert (settings.server, settings.authority) == ("https://first.example:6443", PEM)
    assert "never-read" not in repr(settings)
    data = base64.b64encode(PEM.encode()).decode()
    settings = load({"KUBECONFIG": kubeconfig(tmp_path, **{"certificate-authority-data": data})})
    assert settings.authority == PEM


def test_a_context_can_be_named(tmp_path: Path) -> None:
    settings = load({"KUBECONFIG": kubeconfig(tmp_path), "ROSTER_CONSOLE_CONTEXT": "two"})
    assert settings.server == "https://second.example:6443"


def test_in_a_cluster_the_address_is_the_pods_own(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM)
    found = {"KUBERNETES_SERVICE_HOST": "fd00::1", "ROSTER_CONSOLE_API_CA": str(tmp_path / "ca.crt")}
    assert load(found).server == "https://[fd00::1]:443"
    settings = load(found | {"ROSTER_CONSOLE_LISTEN": "0.0.0.0", "ROSTER_CONSOLE_PORT": "8443"})
    assert (settings.listen, settings.port) == ("0.0.0.0", 8443)


def test_session_keys_stand_one_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "session-key"
    found = {"ROSTER_CONSOLE_API_SERVER": "https://a", "ROSTER_CONSOLE_SESSION_KEY_FILE": str(file)}
    file.write_text("n" * 40 + "\n" + "o" * 40 + "\n")
    settings = load(found)
    assert settings.session_keys == (b"n" * 40, b"o" * 40)
    assert "nnnn" not in repr(settings)
    for wrong in ("", "short\n", "n" * 40 + "\nshort"):
        file.write_text(wrong)
        with pytest.raises(SettingsError, match="ROSTER_CONSOLE_SESSION_KEY_FILE"):
            load(found)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "no cluster is named"),
        ({"ROSTER_CONSOLE_API_SERVER": "https://a", "ROSTER_CONSOLE_TLS_KEY": "/k"}, "one without the other"),
        ({"ROSTER_CONSOLE_API_SERVER": "http://api.example"}, "must be https"),
        ({"ROSTER_CONSOLE_API_SERVER": "https://u:p@api.example"}, "is not an address"),
        ({"ROSTER_CONSOLE_API_SERVER": "https://api.example:port"}, "is not an address"),
        ({"ROSTER_CONSOLE_API_SERVER": "https://a", "ROSTER_CONSOLE_PORT": "0"}, "is not a port"),
        ({"ROSTER_CONSOLE_API_SERVER": "https://a", "ROSTER_CONSOLE_API_CA": "/absent"}, "cannot be read"),
        ({"KUBECONFIG": "/absent"}, "cannot be read"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(environment)


def test_a_kubeconfig_without_the_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has not the context 'three'"):
        load({"KUBECONFIG": kubeconfig(tmp_path), "ROSTER_CONSOLE_CONTEXT": "three"})
    (tmp_path / "config").write_text("[]")
    with pytest.raises(SettingsError, match="has not a current context"):
        load({"KUBECONFIG": str(tmp_path / "config")})
