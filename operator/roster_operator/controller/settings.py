"""What the operator's configuration says, from arguments and environment variables.

Every setting is an argument `--name` and an environment variable `ROSTER_NAME`; the argument wins. What is here is for
the platform team: none of it can be set from a namespace.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, get_type_hints

from roster_operator.api.job_template import JobTemplate
from roster_operator.api.task import Policy, Step


# What these two return is a dataclass field: nothing is shared between instances.
def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


def _names(text: str) -> Any:
    return field(default_factory=list[str], metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults. Durations are in seconds."""

    image: str = _setting("", "image of the Jobs' pods: the operator's own")
    image_pull_policy: str = _setting("IfNotPresent", "imagePullPolicy of the Jobs' pods")
    image_pull_secrets: list[str] = _names("names of image pull secrets, comma separated")  # noqa: RUF009
    pod_namespace: str = _setting("roster-operator", "namespace of the operator itself, for its Lease")
    pod_name: str = _setting("", "who holds the Lease; default: the host's name")
    watch_namespaces: list[str] = _names("namespaces to watch, comma separated; default: all")  # noqa: RUF009
    database_secret: str = _setting(
        "roster-database", "Secret with stage-url and merge-url, where a connection names none"
    )
    allow_addresses: list[str] = _names("private address ranges (CIDR) that sources may have, comma separated")  # noqa: RUF009
    allow_insecure: bool = _setting(False, "permit sources that ask for http with allowInsecure")
    approvers_verified: bool = _setting(
        False, "an admission policy holds the annotation approved-by to the person who makes the request"
    )
    max_jobs: int = _setting(20, "Jobs under way at the same time")
    workers: int = _setting(8, "objects reconciled at the same time")
    max_attempts: int = _setting(3, "Jobs of one step that may end without an answer before the sync fails")
    merge_attempts: int = _setting(
        10, "Jobs of one merge that may end without an answer that settles it before the sync fails"
    )
    discard_attempts: int = _setting(3, "discard Jobs tried before the finalizer is let go")
    discard_window: float = _setting(600.0, "time in which a discard is tried")
    retry_delay: float = _setting(15.0, "pause before a merge or a discard is tried again, doubled each time")
    retry_delay_max: float = _setting(60.0, "longest pause before a merge or a discard is tried again")
    start_deadline: float = _setting(600.0, "time in which a Job's pod must have started")
    test_deadline: float = _setting(180.0, "activeDeadlineSeconds of a test")
    stage_deadline: float = _setting(14400.0, "activeDeadlineSeconds of staging")
    merge_deadline: float = _setting(7200.0, "activeDeadlineSeconds of a merge")
    discard_deadline: float = _setting(300.0, "activeDeadlineSeconds of a discard")
    purge_deadline: float = _setting(3600.0, "activeDeadlineSeconds of a purge")
    notify_deadline: float = _setting(180.0, "activeDeadlineSeconds of a notice to a webhook")
    purge_window: float = _setting(7200.0, "time in which a purge is tried before the finalizer is let go")
    deadline_grace: float = _setting(120.0, "the operator's own deadline comes this much after the Job's")
    job_ttl: float = _setting(3600.0, "ttlSecondsAfterFinished of Jobs; the status has long been read by then")
    job_cpu: str = _setting("100m", "CPU request of a Job's pod")
    job_memory: str = _setting("128Mi", "memory request of a Job's pod")
    job_memory_limit: str = _setting("256Mi", "memory limit of a Job's pod")
    job_template: JobTemplate = field(
        default_factory=JobTemplate,
        metadata={"help": "what every Job asks for, as JSON: resources, nodeSelector, tolerations, labels"},
    )
    test_retry_min: float = _setting(15.0, "first pause after a failed test")
    test_retry_max: float = _setting(300.0, "longest pause after a failed test")
    schedule_jitter: float = _setting(300.0, "an automatic sync is made up to this much later than scheduled")
    relist_interval: float = _setting(600.0, "time between two full lists")
    watch_silence: float = _setting(70.0, "a watch that said nothing for so long is opened anew")
    lease_name: str = _setting("roster-operator", "name of the Lease")
    lease_duration: float = _setting(15.0, "a Lease not renewed for so long may be taken over")
    lease_renew_deadline: float = _setting(10.0, "an operator that could not renew for so long exits")
    lease_retry: float = _setting(2.0, "pause between two looks at the Lease")
    console_url: str = _setting("", "the console's address as in a browser, for links in notices")
    listen: str = _setting("0.0.0.0", "address of /healthz, /readyz and /metrics")  # noqa: S104  a pod's own network
    port: int = _setting(8080, "port of /healthz, /readyz and /metrics")
    log_level: str = _setting("INFO", "INFO, WARNING or ERROR; DEBUG is refused, it prints whole objects")

    @property
    def identity(self) -> str:
        """Who this process is, in the Lease."""
        return self.pod_name or socket.gethostname()

    @property
    def policy(self) -> Policy:
        """What every task is told about the sources that are permitted."""
        return Policy(allow_addresses=self.allow_addresses, allow_insecure=self.allow_insecure)

    def deadline(self, step: Step) -> timedelta:
        """The Job's own deadline."""
        seconds = {
            Step.TEST: self.test_deadline,
            Step.STAGE: self.stage_deadline,
            Step.MERGE: self.merge_deadline,
            Step.DISCARD: self.discard_deadline,
            Step.PURGE: self.purge_deadline,
            Step.NOTIFY: self.notify_deadline,
        }[step]
        return timedelta(seconds=seconds)


class SettingsError(ValueError):
    """A setting that makes no sense. The message names it and says what is expected."""


def load(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read arguments, then the environment, then the defaults. Raises SettingsError."""
    environment = os.environ if environment is None else environment
    parser = argparse.ArgumentParser(prog="python -m roster_operator.controller", description=__doc__)
    for item in fields(Settings):
        variable = f"ROSTER_{item.name.upper()}"
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            default=environment.get(variable),
            help=f"{item.metadata['help']} [{variable}]",
        )
    given = vars(parser.parse_args(arguments))
    kinds = get_type_hints(Settings)
    values = {name: _convert(name, kinds[name], text) for name, text in given.items() if text not in (None, "")}
    settings = Settings(**values)
    _check(settings)
    return settings


def _convert(name: str, kind: Any, text: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind == list[str]:
            return [item.strip() for item in text.split(",") if item.strip()]
        if kind is JobTemplate:
            return JobTemplate.from_dict(json.loads(text))
        return kind(text)
    except (KeyError, ValueError):
        expected = "true or false" if kind is bool else f"a value of type {kind.__name__}"
        raise SettingsError(f"{name}: {text!r} is not {expected}") from None


def _check(settings: Settings) -> None:
    if not settings.image:
        raise SettingsError("image: not set. It is the image of the Jobs' pods, normally the operator's own")
    if settings.log_level not in {"INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"log_level: {settings.log_level!r} is none of INFO, WARNING, ERROR")
    if not settings.lease_retry < settings.lease_renew_deadline < settings.lease_duration:
        raise SettingsError("lease_retry < lease_renew_deadline < lease_duration is needed")
    for name in ("max_jobs", "workers", "max_attempts", "merge_attempts", "discard_attempts"):
        if getattr(settings, name) < 1:
            raise SettingsError(f"{name}: must be at least 1")
    for text in settings.allow_addresses:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise SettingsError(f"allow_addresses: {text!r} is not a range like 10.0.0.0/8 ({error})") from None
