"""The task that a Job is given. Pure."""

from __future__ import annotations

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.limits import Limits
from roster_operator.api.notices import Webhook
from roster_operator.api.sync import Approval, UndoConflicts
from roster_operator.api.task import MergeOrder, Notice, Step, Subject, SyncSubject, WorkerTask

from .approval import has_approval
from .notice_text import payload_of
from .notices import Occurrence
from .objects import Connection, Sync
from .settings import Settings


def sync_task(
    sync: Sync, connection: Connection | None, step: Step, attempt: int, cluster: str, settings: Settings
) -> WorkerTask:
    """The task of a sync's step. A connection that is gone is known by its name alone: enough to merge or discard."""
    subject = Subject(
        namespace=sync.meta.namespace,
        name=sync.spec.connection_ref.name,
        uid=connection.meta.uid if connection else "",
    )
    limits = sync.spec.limits or (connection.spec.limits if connection else Limits())
    rejected = sync.spec.rejected
    return WorkerTask(
        step=step,
        cluster=cluster,
        tenant=sync.status.tenant or "",
        connection=subject,
        # An undo reads no source, so its Job gets nothing of it, the Secret neither.
        spec=_for_the_worker(connection) if connection and step is Step.STAGE and not sync.spec.is_undo else None,
        sync=SyncSubject(
            name=sync.meta.name,
            uid=sync.meta.uid,
            mode=sync.spec.mode,
            upload=_upload(sync),
            undoes=sync.spec.undoes,
            overwrite=sync.spec.undo_conflicts is UndoConflicts.OVERWRITE,
        ),
        attempt=attempt,
        limits=limits,
        order=_order(sync.status.approval) if step is Step.MERGE and sync.status.approval else None,
        known=connection.status.ledger if connection else None,
        unless_merged=step is Step.STAGE and has_approval(sync.spec),
        discard_reason=rejected.reason if rejected and step is Step.DISCARD else None,
        policy=settings.policy,
    )


def task_of_test(connection: Connection, cluster: str, settings: Settings) -> WorkerTask:
    """The task of a connection's test."""
    meta = connection.meta
    return WorkerTask(
        step=Step.TEST,
        cluster=cluster,
        tenant=connection.spec.tenant_of(meta.namespace, meta.name),
        connection=Subject(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        spec=_for_the_worker(connection),
        limits=connection.spec.limits,
        known=connection.status.ledger,
        policy=settings.policy,
    )


def purge_task(connection: Connection, attempt: int, cluster: str) -> WorkerTask:
    """The task of deleting a connection's rows. It reads no source."""
    meta = connection.meta
    return WorkerTask(
        step=Step.PURGE,
        cluster=cluster,
        tenant=connection.status.tenant or connection.spec.tenant_of(meta.namespace, meta.name),
        connection=Subject(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        attempt=attempt,
    )


def notify_task(
    connection: Connection, webhook: Webhook, occurrence: Occurrence, attempt: int, cluster: str, settings: Settings
) -> WorkerTask:
    """The task of telling a webhook. It gets nothing of the source, nor of the database."""
    meta = connection.meta
    return WorkerTask(
        step=Step.NOTIFY,
        cluster=cluster,
        tenant=connection.spec.tenant_of(meta.namespace, meta.name),
        connection=Subject(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        attempt=attempt,
        notice=Notice(
            id=f"msg_{occurrence.key}_{meta.uid}"[:64],
            body=payload_of(meta, occurrence, settings.console_url),
            webhook=webhook,
        ),
        policy=settings.policy,
    )


def database_secret(connection: Connection, settings: Settings) -> str:
    """The Secret with the tenant's logins: as named, else the configured one."""
    reference = connection.spec.database_secret_ref
    return reference.name if reference else settings.database_secret


def _for_the_worker(connection: Connection) -> RosterConnectionSpec:
    """Who is told of what is no Job's business."""
    return connection.spec.model_copy(update={"notify": None})


def _upload(sync: Sync) -> str | None:
    return sync.spec.source.upload if sync.spec.source else None


def _order(approval: Approval) -> MergeOrder:
    return MergeOrder(digest=approval.digest, by=approval.by, via=approval.via, at=approval.at, note=approval.note)
