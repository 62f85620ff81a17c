"""`review`, `approve`, `reject`: a person looks at a staged plan and decides."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from roster_operator.api.kinds import APPROVAL_NOTE, APPROVED_BY, NOTE_LENGTH, SYNC
from roster_operator.api.model import DIGEST_PATTERN
from roster_operator.api.sync import Phase
from roster_operator.cli.output import Output
from roster_operator.cli.shared import OutputOption
from roster_operator.cli.spreadsheets import as_csv

from . import documents, views
from .access import Cluster
from .objects import Sync, one, parsed
from .problems import ClusterError, printable
from .shared import (
    FAILED,
    WAITS,
    Context,
    Kubeconfig,
    Namespace,
    SyncName,
    document,
    note,
    open_cluster,
    program,
    show,
    show_json,
    tell,
    told,
    width,
)


class ReviewOutput(StrEnum):
    """The ways to print a review."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    CSV = "csv"  # the numbers; without a cluster, the records that a limit holds


class ApproveOutput(StrEnum):
    """The ways to approve: do it, with or without JSON, or print what to commit."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def review(
    name: str, output: ReviewOutput, namespace: str | None, context: str | None, kubeconfig: Path | None
) -> None:
    """Show a sync's plan from its status. Exit code 3: it waits for a person."""
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        sync = one(cluster, Sync, name)
    who = program(cluster, context, kubeconfig)
    match output:
        case ReviewOutput.JSON:
            show_json("SyncReview", documents.sync(sync))
        case ReviewOutput.YAML:
            typer.echo(
                yaml.safe_dump(document("SyncReview", documents.sync(sync)), sort_keys=False, width=120), nl=False
            )
        case ReviewOutput.MARKDOWN:
            typer.echo(views.review_markdown(sync, who), nl=False)
        case ReviewOutput.CSV:
            typer.echo(as_csv(documents.review_rows(sync)), nl=False)
            if sync.status.plan is None:
                note(f"{name} has no plan: it is {sync.status.phase.value}.")
        case ReviewOutput.TABLE:
            show(views.review_lines(sync, width(), who))
    if sync.waits:
        raise typer.Exit(WAITS)


def approve(
    sync: SyncName,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="DIGEST", help="Approve only if the plan has this digest.")
    ] = None,
    words: Annotated[str | None, typer.Option("--note", help="Why, or a link; kept in status and history.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Annotated[
        ApproveOutput, typer.Option("--output", "-o", help="table, json, or yaml: print the change to commit instead.")
    ] = ApproveOutput.TABLE,
) -> None:
    """Approve the plan that is shown, by its digest. Another plan is not approved by it. Asks, unless --yes."""
    if plan is not None and not re.fullmatch(DIGEST_PATTERN, plan):
        raise typer.BadParameter("sha256: and 64 hexadecimal digits", param_hint="--plan")
    if words is not None and len(words) > NOTE_LENGTH:
        raise typer.BadParameter(f"{NOTE_LENGTH} characters at most", param_hint="--note")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        found = one(cluster, Sync, sync)
        digest = _decidable(found)
    who = program(cluster, context, kubeconfig)
    if plan not in (None, digest):
        tell(
            ClusterError(
                "PlanChanged",
                f"The plan of {sync} has another digest by now: {digest}.",
                f"Look at it: {who.command('review', sync, namespace=cluster.namespace)}",
            )
        )
        raise typer.Exit(WAITS)
    if output is ApproveOutput.YAML:
        manifest = documents.approval_to_commit(found, digest)
        typer.echo(yaml.safe_dump(manifest, sort_keys=False, width=120), nl=False)
        return
    if output is ApproveOutput.TABLE:
        show(views.review_lines(found, width(), who))
    if found.metadata.from_git:
        note("Git owns this sync: commit what -o yaml prints as well, or the pipeline may show a difference.")
    if not yes:
        if not sys.stdin.isatty():
            with told():
                raise ClusterError("ConfirmationNeeded", "Nobody can be asked here.", "Give --yes, and --plan too.")
        typer.confirm(f"Approve {digest[:15]} of {sync}?", abort=True, err=True)
    with told():
        person = cluster.person()
        changed = _write(cluster, found, digest, person, words)
    if not person:
        note("The cluster does not tell who you are, so the approval names nobody.")
    if output is ApproveOutput.JSON:
        show_json("Approve", {"sync": sync, "namespace": cluster.namespace, "digest": digest, "by": person or None})
        return
    by = f" by {printable(person)}" if person else ""
    typer.echo(f"Approved{by}: {changed.metadata.name}, {digest}")
    typer.echo(f"next: {who.command('watch', sync, namespace=cluster.namespace)}")


def reject(
    sync: SyncName,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the sync and in the database.")],
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """End a sync without merging it, with a trace."""
    if not 1 <= len(reason.strip()) <= 512:
        raise typer.BadParameter("1 to 512 characters", param_hint="--reason")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        found = one(cluster, Sync, sync)
        if found.ended or found.status.phase is Phase.MERGING:
            raise _too_late(found)
        cluster.patch(SYNC, sync, cluster.namespace, {"spec": {"rejected": {"reason": reason.strip()}}})
    if output is Output.JSON:
        show_json("Reject", {"sync": sync, "namespace": cluster.namespace})
        return
    typer.echo(f"Rejected: {sync}. Nothing of it is merged.")


def _decidable(sync: Sync) -> str:
    plan = sync.status.plan
    if sync.ended or sync.status.phase is Phase.MERGING:
        raise _too_late(sync)
    if sync.metadata.deletion_timestamp is not None:
        raise ClusterError(
            "BeingDeleted", f"{sync.metadata.name} is being deleted.", "Begin another with `roster sync`."
        )
    if plan is None:
        raise ClusterError(
            "NoPlan",
            f"{sync.metadata.name} has no plan yet: it is {sync.status.phase.value}.",
            "`roster watch` waits until it has one.",
        )
    return plan.digest


def _too_late(sync: Sync) -> ClusterError:
    phase = sync.status.phase
    if phase is Phase.MERGING:
        return ClusterError(
            "TooLate", f"{sync.metadata.name} was approved and is being merged.", "`roster watch` follows it."
        )
    return ClusterError(
        "TooLate", f"{sync.metadata.name} has ended: it is {phase.value}.", "Begin another with `roster sync`."
    )


def _write(cluster: Cluster, sync: Sync, digest: str, who: str, words: str | None) -> Sync:
    # The digest binds the approval to the plan, so another's write in between does no harm.
    # A note of before was about something else.
    notes: dict[str, Any] = {APPROVED_BY: who or None, APPROVAL_NOTE: printable(words, NOTE_LENGTH) if words else None}
    patch = {"metadata": {"annotations": notes}, "spec": {"approvedPlan": digest}}
    written = parsed(Sync, cluster.patch(SYNC, sync.metadata.name, cluster.namespace, patch))
    if written.spec.rejected is not None:
        note("The sync is rejected as well, which counts first.")
        raise typer.Exit(FAILED)
    return written
