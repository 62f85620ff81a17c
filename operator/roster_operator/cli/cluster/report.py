"""`report`: one zip for whoever helps: objects, events, the operator's log. No Secrets, no records, no names."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from roster_operator import __version__
from roster_operator.api.kinds import CONNECTION, EVENT, JOB, POD, SYNC, Kind
from roster_operator.cli.output import Output
from roster_operator.cli.shared import OutputOption

from . import redact
from .access import Body, Cluster
from .doctor import OPERATOR, OUR_JOBS, SYSTEM, SystemNamespace, as_document, examine
from .problems import ClusterError, ForbiddenError
from .shared import FAILED, Context, Kubeconfig, Namespace, open_cluster, show_json, tell, told

LOG_LINES = 2000  # of each of the operator's pods


def report(
    file: Annotated[
        Path | None, typer.Option("--file", dir_okay=False, help="Default: roster-report-<time>.zip, here.")
    ] = None,
    operator_namespace: SystemNamespace = SYSTEM,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a support bundle about one namespace: no Secrets, no records, no names of people."""
    path = file or Path(f"roster-report-{datetime.now(UTC):%Y%m%d-%H%M%S}.zip")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        parts, missing = collect(cluster, operator_namespace)
    try:
        with path.open("xb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in parts.items():
                bundle.writestr(name, text)
    except OSError as error:
        tell(ClusterError("FileNotWritten", f"{path} cannot be written ({type(error).__name__}).", "Give --file."))
        raise typer.Exit(FAILED) from None
    if output is Output.JSON:
        show_json("Report", {"file": str(path), "parts": sorted(parts), "missing": missing})
        return
    typer.echo(f"{path}: {', '.join(sorted(parts))}")
    for reason in missing:
        typer.echo(f"left out: {reason}")
    typer.echo("It holds no Secret, no record and no name of a person. Read it before you send it.")


def collect(cluster: Cluster, operator_namespace: str) -> tuple[dict[str, str], list[str]]:
    """The bundle's files, and what the person may not read."""
    missing: list[str] = []
    raw: dict[str, list[Body]] = {}

    def read(name: str, kind: Kind, labels: str = "", keep: Callable[[Body], bool] = lambda _: True) -> None:
        try:
            raw[name] = [body for body in cluster.items(kind, cluster.namespace, labels=labels) if keep(body)]
        except ForbiddenError as error:
            missing.append(error.message)

    read("connections", CONNECTION)
    read("syncs", SYNC)
    read("jobs", JOB, OUR_JOBS)
    read("pods", POD, OUR_JOBS)
    read("events", EVENT, keep=_is_ours)
    words = redact.words_of_people([*raw.get("connections", []), *raw.get("syncs", [])])
    shown: dict[str, Callable[[Body], Body]] = {
        "connections": redact.resource,
        "syncs": redact.resource,
        "jobs": redact.job,
        "pods": redact.pod,
        "events": redact.event,
    }
    parts = {
        f"{name}.json": _text(redact.without([shown[name](body) for body in bodies], words))
        for name, bodies in raw.items()
    }
    me = cluster.person()
    words = [*words, *([me] if me else [])]
    findings = [as_document(one) for one in examine(cluster, operator_namespace)]
    about = {"roster": __version__, "kubernetes": cluster.version(), "namespace": cluster.namespace}
    parts["doctor.json"] = _text(redact.without({**about, "findings": findings}, words))
    for name, text in _logs(cluster, operator_namespace, missing):
        parts[f"operator/{name}.log"] = redact.without(text, words)
    return parts, missing


def _is_ours(event: Body) -> bool:
    about = event.get("involvedObject") or {}
    return about.get("kind") in ("RosterConnection", "RosterSync", "Job", "Pod")


def _logs(cluster: Cluster, operator_namespace: str, missing: list[str]) -> list[tuple[str, str]]:
    try:
        try:
            pods = list(cluster.items(POD, labels=OPERATOR))
        except ForbiddenError:
            pods = list(cluster.items(POD, operator_namespace, labels=OPERATOR))
        return [
            (
                pod["metadata"]["name"],
                cluster.log(pod["metadata"]["namespace"], pod["metadata"]["name"], lines=LOG_LINES),
            )
            for pod in pods
        ]
    except ClusterError as error:
        missing.append(error.message)
        return []


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, default=str)
