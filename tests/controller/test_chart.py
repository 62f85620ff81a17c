"""The chart: rights, security, and the one value."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.local import toolchain

from roster_operator.controller.settings import load

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "roster-operator"
pytestmark = pytest.mark.apiserver  # not for what it needs, but for helm, which is built where these run


def template(*arguments: str, check: bool = True) -> Any:
    """The rendered objects; what helm says where it is not to be checked."""
    helm = toolchain.provide(("helm",)) / "helm"
    command = [
        helm,
        "template",
        "roster-operator",
        CHART,
        "--namespace",
        "roster-system",
        "--kube-version",
        "1.36",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not check:
        return done.stderr
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


@pytest.fixture(scope="module", params=["minimal", "zz-everything"])
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return template("--values", str(CHART / "ci" / f"{request.param}-values.yaml"))


def of(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == kind]


def test_no_right_on_secrets_and_none_on_everything(objects: list[dict[str, Any]]) -> None:
    rules = [rule for kind in ("ClusterRole", "Role") for role in of(objects, kind) for rule in role["rules"]]
    assert rules
    for rule in rules:
        for name in (*rule["resources"], *rule["apiGroups"], *rule["verbs"]):
            assert "*" not in name
            assert not name.startswith("secrets")


def test_every_pod_is_restricted(objects: list[dict[str, Any]]) -> None:
    reaper = [one["spec"]["jobTemplate"] for one in of(objects, "CronJob")]
    for one in [*of(objects, "Deployment"), *of(objects, "Job"), *reaper]:
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "limits" in container["resources"]


def test_only_migration_and_reaper_see_the_owners_secret(objects: list[dict[str, Any]]) -> None:
    (job,) = of(objects, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    (reaper,) = of(objects, "CronJob")
    assert reaper["spec"]["concurrencyPolicy"] == "Forbid"
    pod = reaper["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["command"] == ["roster", "reap"]
    (deployment,) = of(objects, "Deployment")
    assert "secret" not in yaml.safe_dump(deployment["spec"]["template"]["spec"]).lower().replace("database_secret", "").replace("pull_secrets", "").replace("imagepullsecrets", "")  # fmt: skip


def test_the_definitions_are_those_of_crds_and_stay(objects: list[dict[str, Any]]) -> None:
    for crd in of(objects, "CustomResourceDefinition"):
        annotations = crd["metadata"].pop("annotations")
        assert annotations == {"helm.sh/resource-policy": "keep"}
        plural = crd["spec"]["names"]["plural"]
        assert crd == yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())


def test_the_operator_understands_every_variable_that_it_is_given(objects: list[dict[str, Any]]) -> None:
    (deployment,) = of(objects, "Deployment")
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    environment = {one["name"]: one.get("value", "x") for one in variables}
    settings = load([], environment)
    known = {f"ROSTER_{name.upper()}" for name in vars(settings)}
    assert environment.keys() <= known
    assert settings.image.startswith("localhost/roster-operator:")


def test_without_the_one_value_it_says_which() -> None:
    assert "database.ownerSecret.name is needed" in template(check=False)


def test_a_misspelt_value_is_refused() -> None:
    said = template("--set", "database.ownerSecret.name=o", "--set", "replcas=2", check=False)
    assert "replcas" in said
