"""The chart: rights, security, and the one value."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.local import toolchain

from roster_operator.controller.settings import load
from roster_operator.mail import load as load_mail

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


def operator_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The operator's Deployment, beside which there may be a console's."""
    (found,) = (one for one in of(objects, "Deployment") if one["metadata"]["name"] == "roster-operator")
    return found


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
    deployment = operator_of(objects)
    pod = deployment["spec"]["template"]["spec"]
    volumes = [one["secret"] for one in pod["volumes"] if "secret" in one]
    assert all((one["secretName"], len(one["items"])) == ("roster-mail", 2) for one in volumes)
    pod["volumes"] = []
    assert "secret" not in yaml.safe_dump(pod).lower().replace("database_secret", "").replace("pull_secrets", "").replace("imagepullsecrets", "")  # fmt: skip


def test_the_definitions_are_those_of_crds_and_stay(objects: list[dict[str, Any]]) -> None:
    for crd in of(objects, "CustomResourceDefinition"):
        annotations = crd["metadata"].pop("annotations")
        assert annotations == {"helm.sh/resource-policy": "keep"}
        plural = crd["spec"]["names"]["plural"]
        assert crd == yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())


def test_the_operator_understands_every_variable_that_it_is_given(objects: list[dict[str, Any]]) -> None:
    deployment = operator_of(objects)
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    environment = {one["name"]: one.get("value", "x") for one in variables}
    settings = load([], environment)
    known = {f"ROSTER_{name.upper()}" for name in vars(settings)}
    mail = {name for name in environment if name.startswith("ROSTER_SMTP_")}
    assert environment.keys() - mail <= known
    server = load_mail(environment)
    assert (server is not None) is bool(mail)
    assert server is None or (server.number, server.user_file) == (465, Path("/etc/roster/mail/user"))
    assert settings.image.startswith("localhost/roster-operator:")
    bindings = of(objects, "ValidatingAdmissionPolicyBinding")
    denied = any(
        "approvals" in each["metadata"]["name"] and "Deny" in each["spec"]["validationActions"] for each in bindings
    )
    assert settings.approvers_verified is denied


def test_without_the_one_value_it_says_which() -> None:
    assert "database.ownerSecret.name is needed" in template(check=False)


def test_a_misspelt_value_is_refused() -> None:
    said = template("--set", "database.ownerSecret.name=o", "--set", "replcas=2", check=False)
    assert "replcas" in said


def test_the_dashboard_is_the_one_of_deploy() -> None:
    objects = template("--values", str(CHART / "ci" / "zz-everything-values.yaml"))
    (found,) = (one for one in of(objects, "ConfigMap") if one["metadata"]["name"].endswith("-dashboard"))
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    given = (ROOT / "deploy" / "dashboards" / "roster-operator.json").read_text()
    assert json.loads(found["data"]["roster-operator.json"]) == json.loads(given)


ADMISSION = {
    "approvals": {"ValidatingAdmissionPolicy": 4},
    "stamp": {"MutatingAdmissionPolicy": 1},
    "connections": {"ValidatingAdmissionPolicy": 1},
    "jobs": {"ValidatingAdmissionPolicy": 1},
}


@pytest.mark.parametrize("name", sorted(ADMISSION))
def test_each_policy_goes_by_itself(name: str) -> None:
    """With its binding, and nothing else."""
    owner = "database.ownerSecret.name=o"
    every, fewer = template("--set", owner), template("--set", f"{owner},admission.{name}=false")
    for kind in ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"):
        gone = len(of(every, kind)) - len(of(fewer, kind))
        assert gone == ADMISSION[name].get(kind, 0)
        assert len(of(every, f"{kind}Binding")) - len(of(fewer, f"{kind}Binding")) == gone
    assert len(every) - len(fewer) == 2 * sum(ADMISSION[name].values())


def test_a_server_without_mutating_policies_is_given_none() -> None:
    objects = template("--set", "database.ownerSecret.name=o", "--kube-version", "1.30")
    assert of(objects, "MutatingAdmissionPolicy") == []
    assert len(of(objects, "ValidatingAdmissionPolicy")) == 6


def test_policies_can_be_tried_out_before_they_deny() -> None:
    objects = template("--values", str(CHART / "ci" / "zz-everything-values.yaml"))
    bindings = of(objects, "ValidatingAdmissionPolicyBinding")
    assert [one["spec"]["validationActions"] for one in bindings] == [["Warn", "Audit"]] * 6
    watched = [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["k12", "k13"]}]
    for one in [*bindings, *of(objects, "MutatingAdmissionPolicyBinding")]:
        assert one["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"] == watched


def test_the_roles_go_and_so_does_what_adds_them_to_the_clusters_own() -> None:
    owner = "database.ownerSecret.name=o"

    def roles(*more: str) -> dict[str, dict[str, str]]:
        objects = template("--set", ",".join((owner, *more)))
        found = {one["metadata"]["name"]: one["metadata"]["labels"] for one in of(objects, "ClusterRole")}
        return {name: labels for name, labels in found.items() if name.startswith("roster-") and "system" not in name}

    assert len(roles()) == 5
    assert roles("rbac.roles=false") == {}
    assert not any("aggregate" in label for labels in roles("rbac.aggregate=false").values() for label in labels)
