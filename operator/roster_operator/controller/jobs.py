"""The Jobs' manifests. Pure: a task and the settings go in, a manifest comes out.

A Job's pod runs under `restricted` pod security, without a service account token, and mounts of its Secrets only the
keys that its step needs. The Secrets are optional volumes: a missing one is for the worker to name, not for a pod to
hang on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from roster_operator.api.job_template import JobTemplate
from roster_operator.api.kinds import Kind
from roster_operator.api.model import GROUP
from roster_operator.api.sources import EXPIRES
from roster_operator.api.task import (
    DATABASE_SECRET_PATH,
    EXIT_PERMANENT,
    MERGE_URL_KEY,
    SIS_SECRET_PATH,
    STAGE_URL_KEY,
    TASK_VARIABLE,
    TERMINATION_MESSAGE_PATH,
    WEBHOOK_SECRET_PATH,
    Step,
    WorkerTask,
)

from .objects import Body, Meta
from .settings import Settings

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "roster-operator"
SELECTOR = f"{MANAGED_BY}={MANAGER}"
STEP_LABEL = f"{GROUP}/step"
ATTEMPT_LABEL = f"{GROUP}/attempt"
OWNER_UID_LABEL = f"{GROUP}/owner-uid"

NAME_LIMIT = 63  # a Job's name becomes a label of its pods
_BACKOFF = {Step.TEST: 0, Step.STAGE: 3, Step.MERGE: 3, Step.DISCARD: 2, Step.PURGE: 2, Step.NOTIFY: 0}
_DATABASE_KEY = {
    Step.TEST: STAGE_URL_KEY,
    Step.STAGE: STAGE_URL_KEY,
    Step.MERGE: MERGE_URL_KEY,
    Step.DISCARD: STAGE_URL_KEY,
    Step.PURGE: MERGE_URL_KEY,
}


@dataclass(frozen=True)
class Owner:
    """Whom a Job belongs to; it goes when they go."""

    kind: Kind
    meta: Meta

    @property
    def label(self) -> str:
        """The label that names the owner."""
        return f"{GROUP}/{'sync' if self.kind.kind == 'RosterSync' else 'connection'}"


def job_name(owner: Meta, step: Step, attempt: int) -> str:
    """The name of a sync's Job: readable, never longer than 63, and the same whenever it is asked for again."""
    return _name(owner.name, f"{owner.uid}/{step}/{attempt}", f"{step}-{attempt}")


def job_name_of_test(owner: Meta, trigger: str) -> str:
    """The name of the test Job that `trigger` (what made the test due) asks for."""
    return _name(owner.name, f"{owner.uid}/test/{trigger}", "test")


def job_name_of_notice(owner: Meta, key: str, attempt: int) -> str:
    """The name of the Job that tries for this time to tell a webhook of what `key` stands for."""
    return _name(owner.name, f"{owner.uid}/notify/{key}/{attempt}", "notify")


def _name(readable: str, key: str, tail: str) -> str:
    mark = hashlib.sha256(key.encode()).hexdigest()[:10]
    room = NAME_LIMIT - len(tail) - len(mark) - 2
    # A dot is fine in an object's name, but not in the pod's host name that is made of it.
    head = readable.replace(".", "-")[:room].rstrip("-")
    return f"{head}-{tail}-{mark}"


def label_value(name: str) -> str:
    """A name as a label's value: at most 63 characters, cut names kept apart by a hash."""
    if len(name) <= NAME_LIMIT:
        return name
    return f"{name[: NAME_LIMIT - 11].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def build(
    task: WorkerTask,
    name: str,
    owner: Owner,
    database_secret: str,
    settings: Settings,
    annotations: dict[str, str] | None = None,
    template: JobTemplate | None = None,
) -> Body:
    """The manifest of the Job that does `task`. template: the connection's, where there is one."""
    asked = template.over(settings.job_template) if template else settings.job_template
    labels = asked.own_labels | {
        MANAGED_BY: MANAGER,
        STEP_LABEL: task.step.value,
        owner.label: label_value(owner.meta.name),
        OWNER_UID_LABEL: owner.meta.uid,
        ATTEMPT_LABEL: str(task.attempt),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": owner.meta.namespace,
            "labels": labels,
            "annotations": annotations or {},
            "ownerReferences": [
                {
                    "apiVersion": owner.kind.api_version,
                    "kind": owner.kind.kind,
                    "name": owner.meta.name,
                    "uid": owner.meta.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": _BACKOFF[task.step],
            "completions": 1,
            "parallelism": 1,
            # A second pod never starts while a first may still be writing.
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": int(settings.deadline(task.step).total_seconds()),
            "ttlSecondsAfterFinished": int(settings.job_ttl),
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": "worker", "operator": "In", "values": [EXIT_PERMANENT]},
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(task, database_secret, settings, asked),
            },
        },
    }


def _pod(task: WorkerTask, database_secret: str, settings: Settings, asked: JobTemplate) -> Body:
    volumes: list[Body] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Body] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  the pod's own
    if key := _DATABASE_KEY.get(task.step):
        volumes.append(_secret_volume("database", database_secret, {key: key}))
        mounts.append({"name": "database", "mountPath": DATABASE_SECRET_PATH, "readOnly": True})
    if task.notice is not None:
        use = task.notice.webhook.secret_ref.secret()
        volumes.append(_secret_volume("webhook", use.name, use.keys))
        mounts.append({"name": "webhook", "mountPath": WEBHOOK_SECRET_PATH, "readOnly": True})
    secret = task.spec.secret() if task.step in {Step.TEST, Step.STAGE} and task.spec else None
    if secret is not None:
        # Only a test tells when credentials end.
        wanted = {file: key for file, key in secret.keys.items() if task.step is Step.TEST or file != EXPIRES}
        volumes.append(_secret_volume("sis", secret.name, wanted))
        mounts.append({"name": "sis", "mountPath": SIS_SECRET_PATH, "readOnly": True})
    pod: Body = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "worker",
                "image": settings.image,
                "imagePullPolicy": settings.image_pull_policy,
                "command": ["python", "-m", "roster_operator.worker"],
                "env": [{"name": TASK_VARIABLE, "value": json.dumps(task.to_dict(), separators=(",", ":"))}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {
                    "requests": asked.resources.requests.over({"cpu": settings.job_cpu, "memory": settings.job_memory}),
                    "limits": asked.resources.limits.over({"memory": settings.job_memory_limit}),
                },
                "terminationMessagePath": TERMINATION_MESSAGE_PATH,
                "terminationMessagePolicy": "File",
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if asked.node_selector:
        pod["nodeSelector"] = asked.node_selector
    if asked.tolerations:
        pod["tolerations"] = [one.to_dict() for one in asked.tolerations]
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return pod


def _secret_volume(volume: str, secret: str, files: dict[str, str]) -> Body:
    """`files`: what a file is called, and the key that it holds."""
    items: list[dict[str, Any]] = [{"key": key, "path": file} for file, key in files.items()]
    # 0440 with fsGroup: the worker's group reads, nobody else.
    return {"name": volume, "secret": {"secretName": secret, "optional": True, "defaultMode": 0o440, "items": items}}
