"""What GitOps tools make of an object, computed as they do it: kstatus, Flux, Argo CD."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cel_expr_python import cel
from lupa.lua51 import LuaRuntime

GITOPS = Path(__file__).resolve().parents[2] / "deploy" / "gitops"
GROUP = "roster-operator.io"
Body = dict[str, Any]


def conditions(body: Body) -> dict[str, str]:
    """Each condition's status."""
    return {item["type"]: item["status"] for item in body.get("status", {}).get("conditions", [])}


def kstatus(body: Body) -> str:
    """By the rules of kstatus (cli-utils, pkg/kstatus) for a resource that it has no rule of its own for."""
    if body["metadata"].get("deletionTimestamp"):
        return "Terminating"
    observed = body.get("status", {}).get("observedGeneration")
    if observed is not None and observed != body["metadata"]["generation"]:
        return "InProgress"
    known = conditions(body)
    if known.get("Reconciling") == "True":
        return "InProgress"
    if known.get("Stalled") == "True":
        return "Failed"
    if "Ready" in known:
        return "Current" if known["Ready"] == "True" else "InProgress"
    return "Current"


def flux(body: Body, checks: list[Body] | None = None) -> str:
    """By Flux's RFC 0009: observedGeneration first, then inProgress, failed, current; an error means not yet."""
    status, metadata = body.get("status", {}), body["metadata"]
    if "observedGeneration" in status and status["observedGeneration"] != metadata["generation"]:
        return "InProgress"
    every = checks if checks is not None else flux_checks()
    (check,) = (one for one in every if one["kind"] == body["kind"])
    for field, result in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        answer = _expression(check[field], frozenset(body)).eval(data=body)
        if answer.type() != cel.Type.BOOL:  # a field that is not there
            return "InProgress"
        if answer.value():
            return result
    return "InProgress"


def flux_checks() -> list[Body]:
    """The expressions that we hand out."""
    return yaml.safe_load((GITOPS / "flux" / "health-checks.yaml").read_text())["healthCheckExprs"]


@cache
def _expression(text: str, names: frozenset[str]) -> Any:
    # Flux parses without checking types, and takes the object's own fields as variables.
    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN)).compile(text, disable_check=True)


def argo(body: Body) -> tuple[str, str]:
    """Health and message, by the Lua that we hand out, in the Lua that Argo CD runs."""
    data = yaml.safe_load((GITOPS / "argocd" / "argocd-cm.yaml").read_text())["data"]
    # As Argo CD does: no library that reaches outside.
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    for name in ("os", "io", "package", "require", "dofile", "loadfile", "debug"):
        lua.globals()[name] = None
    lua.globals()["obj"] = lua.table_from(body, recursive=True)
    found = lua.execute(data[f"resource.customizations.health.{GROUP}_{body['kind']}"])
    return found["status"], found["message"]
