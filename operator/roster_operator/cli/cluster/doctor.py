"""`doctor`: look at everything that a sync needs, and say what to do where something is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from roster_operator.api.kinds import CONNECTION, DEFINITION, DEPLOYMENT, JOB, LEASE, POD, SECRET, SYNC
from roster_operator.cli.output import Output
from roster_operator.cli.shared import OutputOption

from . import findings
from .access import METADATA_ONLY, Body, Cluster
from .findings import Finding, Right, State
from .grid import sentence
from .objects import Connection, Sync, several
from .problems import ClusterError, ForbiddenError, NotInstalledError, NotThereError
from .shared import FAILED, Context, Kubeconfig, Namespace, open_cluster, show, show_json, told, width

OPERATOR = "app.kubernetes.io/name=roster-operator,app.kubernetes.io/component=operator"
OUR_JOBS = "app.kubernetes.io/managed-by=roster-operator"
DEFAULT_SECRET = "roster-database"  # noqa: S105  its name
SYSTEM = "roster-system"
SystemNamespace = Annotated[
    str, typer.Option("--operator-namespace", help="Where the operator is, if you may not look everywhere.")
]
_TONES = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "red", State.UNKNOWN: ""}


def doctor(
    operator_namespace: SystemNamespace = SYSTEM,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Look at all that a sync needs, and say what to do where something is wrong. Exit code 1: there is a problem."""
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        found = list(examine(cluster, operator_namespace))
    if output is Output.JSON:
        show_json("Doctor", {"namespace": cluster.namespace, "findings": [as_document(one) for one in found]})
    else:
        for one in found:
            words = f"{one.check}: {one.message}{f' {one.step}' if one.step else ''}"
            show(sentence(words, width(), one.state.value.ljust(9), _TONES[one.state]))
    if any(one.state is State.PROBLEM for one in found):
        raise typer.Exit(FAILED)


def as_document(finding: Finding) -> dict[str, str]:
    """A finding for programs."""
    return {"check": finding.check, "state": finding.state.value, "message": finding.message, "step": finding.step}


def examine(cluster: Cluster, operator_namespace: str) -> Iterator[Finding]:
    """Every check. What the person may not see is told and passed over. Raises ClusterError without a cluster."""
    person, version = cluster.person(), cluster.version()
    yield Finding("cluster", State.OK, f"{cluster.server}, {version}, as {person or 'somebody it does not name'}.")
    for kind in (CONNECTION, SYNC):
        yield _definition(cluster, kind.plural)
    secret, about_operator = _operator(cluster, operator_namespace)
    yield from about_operator
    yield from findings.of_rights(rights(cluster), cluster.namespace)
    try:
        connections, strange = several(cluster, Connection, cluster.namespace)
        syncs, also_strange = several(cluster, Sync, cluster.namespace)
    except (ForbiddenError, NotInstalledError) as error:
        yield Finding("districts", State.UNKNOWN, error.message, error.step)
        return
    if not connections:
        yield Finding("districts", State.OK, f"There is no RosterConnection in {cluster.namespace}.")
    for name in [*strange, *also_strange]:
        yield Finding(
            f"object {name}", State.WARNING, "This version of roster does not understand it.", "Upgrade roster."
        )
    for connection in connections:
        yield findings.of_connection(connection, cluster.now)
        behind = findings.of_database(connection)
        if behind:
            yield behind
        chosen = connection.spec.database_secret_ref
        name = chosen.name if chosen else secret
        yield findings.of_secret(connection.metadata.name, name, _there(cluster, name))
    yield from findings.of_syncs(syncs)
    try:
        for job in cluster.items(JOB, cluster.namespace, labels=OUR_JOBS):
            failed = findings.of_job(job)
            if failed:
                yield failed
    except ForbiddenError as error:
        yield Finding("Jobs", State.UNKNOWN, error.message)


def rights(cluster: Cluster) -> list[Right]:
    """What the person may do in the namespace, of what the commands need."""
    asked = (
        ("list", CONNECTION, "", "see districts"),
        ("list", SYNC, "", "see syncs"),
        ("create", SYNC, "", "begin a sync"),
        ("patch", SYNC, "", "approve or reject"),
        ("approve", SYNC, "", "approve where the admission policies are on"),
        ("patch", CONNECTION, "", "ask for a test, or suspend"),
        ("list", JOB, "", "see Jobs that fail"),
        ("list", POD, "", "see a sync's progress"),
        ("get", POD, "log", "see a sync's progress"),
    )
    space = cluster.namespace
    return [
        Right(verb, f"{kind.plural}/{sub}" if sub else kind.plural, use, cluster.may(verb, kind, space, sub))
        for verb, kind, sub, use in asked
    ]


def operators(cluster: Cluster, operator_namespace: str) -> list[Body]:
    """The operator's Deployments: in the whole cluster, or in one namespace where only that may be read."""
    try:
        return list(cluster.items(DEPLOYMENT, labels=OPERATOR))
    except ForbiddenError:
        return list(cluster.items(DEPLOYMENT, operator_namespace, labels=OPERATOR))


def _definition(cluster: Cluster, plural: str) -> Finding:
    group = CONNECTION.group
    try:
        body = cluster.get(DEFINITION, f"{plural}.{group}")
    except NotThereError:
        return findings.of_definition(plural, None)
    except ForbiddenError:
        # Discovery is open to everyone who is signed in.
        served = cluster.served(group)
        return findings.of_definition(plural, served or None)
    versions = (body.get("spec") or {}).get("versions") or []
    return findings.of_definition(plural, [str(one.get("name")) for one in versions if one.get("served")])


def _operator(cluster: Cluster, operator_namespace: str) -> tuple[str, list[Finding]]:
    """The name of the default database Secret, and what there is to say about the operator."""
    try:
        found = operators(cluster, operator_namespace)
    except ClusterError as error:
        hint = "Name its namespace with --operator-namespace, if it is another one."
        return DEFAULT_SECRET, [Finding("operator", State.UNKNOWN, error.message, hint)]
    if not found:
        return DEFAULT_SECRET, [Finding("operator", State.PROBLEM, "It is not there.", "Install the chart.")]
    told: list[Finding] = []
    secret = DEFAULT_SECRET
    for deployment in found:
        told.append(findings.of_deployment(deployment))
        variables = _variables(deployment)
        secret = variables.get("ROSTER_DATABASE_SECRET") or secret
        name = variables.get("ROSTER_LEASE_NAME") or deployment["metadata"]["name"]
        try:
            lease = cluster.get(LEASE, name, deployment["metadata"]["namespace"])
        except NotThereError:
            lease = None
        except ForbiddenError as error:
            told.append(Finding(f"leader {name}", State.UNKNOWN, error.message))
            continue
        told.append(findings.of_lease(name, lease, cluster.now))
    return secret, told


def _variables(deployment: Body) -> dict[str, str]:
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    return {
        str(one.get("name")): str(one.get("value") or "")
        for container in pod.get("containers") or []
        for one in container.get("env") or []
    }


def _there(cluster: Cluster, name: str) -> bool | None:
    """Whether a Secret is there: its metadata is asked for, and its values stay where they are."""
    try:
        cluster.get(SECRET, name, cluster.namespace, accept=METADATA_ONLY)
    except NotThereError:
        return False
    except ForbiddenError:
        return None
    return True
