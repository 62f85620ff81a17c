"""Reading Jobs and their pods, live, before anything is concluded from them."""

from __future__ import annotations

from datetime import datetime, timedelta

from roster_operator.api.kinds import EVENT, POD
from roster_operator.api.task import Step

from .client import Api
from .conditions import plain
from .objects import Body, parse_time
from .results import JobState, Patience, is_finished, job_state
from .settings import Settings

YOUNG = timedelta(seconds=10)  # a Job this young is not asked why it has no pod


async def read_job(api: Api, job: Body, step: Step, now: datetime, settings: Settings) -> JobState:
    """What the Job has come to. Pods and events are read only where they can tell something."""
    meta, status = job["metadata"], job.get("status") or {}
    pods: list[Body] = []
    refusal: str | None = None
    age = now - parse_time(meta["creationTimestamp"])
    if is_finished(job) or (age > YOUNG and not status.get("ready")):
        labels = f"batch.kubernetes.io/job-name={meta['name']}"
        pods = [pod async for pod in api.items(POD, meta["namespace"], labels=labels) if _of(pod, meta["uid"])]
        if not pods and not status.get("succeeded"):
            refusal = await _refusal(api, meta)
    return job_state(job, pods, refusal, step, now, patience(step, settings))


def patience(step: Step, settings: Settings) -> Patience:
    """The operator's own deadlines for a Job of this step."""
    grace = timedelta(seconds=settings.deadline_grace)
    return Patience(start=timedelta(seconds=settings.start_deadline), whole=settings.deadline(step) + grace)


def _of(pod: Body, uid: str) -> bool:
    # A Job that was deleted and created again under its name may still have pods about.
    return any(reference.get("uid") == uid for reference in pod["metadata"].get("ownerReferences") or ())


async def _refusal(api: Api, meta: Body) -> str | None:
    fields = f"involvedObject.uid={meta['uid']},reason=FailedCreate"
    messages = [event.get("message") or "" async for event in api.items(EVENT, meta["namespace"], fields=fields)]
    return plain(messages[-1], 512) if messages else None
