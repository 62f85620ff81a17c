"""The test step: is the source reachable, are we let in, does it speak OneRoster, is the tenant ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from roster_operator.api.connection import TestCheck
from roster_operator.api.sync import Failure
from roster_operator.api.task import TestReport
from roster_operator.oneroster.check import CheckStep, Facts
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.source import Testable
from roster_operator.store.errors import StoreError

from .failures import WorkerError, failure, failure_of

_REACHED = ("Resolve", "Connect", "HostKey")
# What a step that let us in is called in status.
_LET_IN = {"Token": "TokenIssued", "Login": "LoggedIn"}
# Without a token to be had, as with OAuth 1, only the first read tells.
_UNTESTED, _FIRST_READ = "Credentials", "Version"
_REFUSED = frozenset({Reason.CREDENTIALS_REJECTED, Reason.CLOCK_SKEWED})


def problem_of(attempt: Callable[[], object]) -> Failure | None:
    """What stands in the way of claiming the tenant, or of choosing what is taken.

    Tried before the source and told after it: a person wants to hear about the source that they are setting up.
    """
    try:
        attempt()
    except (StoreError, WorkerError, OneRosterError) as error:
        return failure_of(error)
    return None


def look_at(source: Testable, database: Failure | None, choices: Failure | None = None) -> TestReport:
    """Go through the source, step by step."""
    steps = list(source.check())
    return report(steps, source.facts, database, choices)


def _authenticated(steps: Iterable[CheckStep]) -> tuple[bool | None, str]:
    """Whether the source let us in, and what did; None where that was not reached."""
    for step in steps:
        if step.name in _LET_IN or (step.name == _UNTESTED and not step.ok):
            return step.ok, _LET_IN.get(step.name, _UNTESTED)
        if step.name == _FIRST_READ and (step.ok or step.reason in _REFUSED):
            return step.ok, "RequestAccepted"
    return None, ""


def report(
    steps: Iterable[CheckStep], facts: Facts, database: Failure | None, choices: Failure | None = None
) -> TestReport:
    """The test's findings. `database` is what stood in the way of claiming the tenant, `choices` what is wrong with
    the scope, the fields or the roles of the spec, if anything is."""
    seen = list(steps)
    wrong = next((step for step in seen if not step.ok), None)
    first = (
        choices or database
        if wrong is None
        else failure(str(wrong.reason or "TestFailed"), f"{wrong.name}: {wrong.message}", wrong.next_step)
    )
    asked = {step.name: step.ok for step in seen if step.name in _REACHED}
    authenticated, by = _authenticated(seen)
    if authenticated is None and wrong is None:
        authenticated, by = True, "NotNeeded"  # nobody has to let us in: files that people bring
    return TestReport(
        ready=first is None,
        # Where no server is asked, as for uploads, none is out of reach.
        reachable=all(asked.values()) and ("Connect" in asked or wrong is None),
        authenticated=authenticated,
        let_in_by=by or "TokenIssued",
        tenant_claimed=database is None,
        version=facts.version,
        counts={str(step.entity): step.count for step in seen if step.entity and step.count is not None},
        checks=[
            TestCheck(
                name=step.name,
                ok=step.ok,
                reason=str(step.reason) if step.reason else None,
                entity=str(step.entity) if step.entity else None,
                count=step.count,
            )
            for step in seen[:24]
        ],
        failure=first,
        server_max_page_size=facts.page_limit,
        certificate_expires=facts.certificate_expires,
        clock_skew_seconds=None if facts.clock_skew is None else round(facts.clock_skew),
    )
