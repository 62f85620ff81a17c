"""Test Connection: each outcome told apart, each with what to do next."""

import datetime
import ssl
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

import pytest
import trustme

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.rest import CheckStep, RestSource
from roster_sample_sis import Fault, SampleSIS, generate
from roster_sample_sis.faults import Empty, ForbidDemographics, Html, NoTotal, Refuse

from .fake_servers import Answer, Asked, FakeServer, listing, quick

DISTRICT = generate(5, 60)


def check(sis: SampleSIS, **more: Any) -> list[CheckStep]:
    base = {"client_id": sis.client_id, "client_secret": sis.client_secret, "version": "Auto"}
    with RestSource(quick(sis.url, sis.token_url, **(base | more))) as source:
        return list(source.check())


def names(steps: list[CheckStep]) -> list[str]:
    return [step.name if step.entity is None else f"{step.name} {step.entity}" for step in steps]


def test_a_healthy_server_passes_every_step() -> None:
    with SampleSIS(DISTRICT, max_limit=7) as sis:
        base: dict[str, Any] = {"client_id": sis.client_id, "client_secret": sis.client_secret, "version": "Auto"}
        source = RestSource(quick(sis.url, sis.token_url, **base))
        with source:
            steps = list(source.check())
        facts = source.facts
    assert names(steps) == ["Resolve", "Connect", "Token", "Version", "Clock", *(f"Read {entity}" for entity in Entity)]
    assert all(step.ok for step in steps)
    users = next(step for step in steps if step.entity is Entity.USERS)
    assert users.count == 60
    assert "7 at a time" in users.message
    assert (facts.version, facts.page_limit) == ("1.2", 7)
    assert facts.clock_skew is not None


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_server_of_one_version_that_knows_only_its_scopes_passes(version: str) -> None:
    with SampleSIS(DISTRICT, versions=[version]) as sis:
        steps = check(sis)
        assert all(step.ok for step in steps)
        assert sis.tokens.issued <= 2
    assert f"OneRoster {version}" in steps[3].message


@pytest.mark.parametrize(
    ("faults", "more", "name", "reason"),
    [
        ([], {"client_secret": "wrong"}, "Token", Reason.TOKEN_REJECTED),
        ([], {"scopes": ("no-such-scope",)}, "Token", Reason.SCOPE_MISSING),
        ([Refuse(on="token", status=HTTPStatus(503))], {}, "Token", Reason.SERVER_ERROR),
        ([Html()], {}, "Version", Reason.ENDPOINT_NOT_ONEROSTER),
        ([Refuse(status=HTTPStatus(403))], {}, "Version", Reason.FORBIDDEN),
        ([Refuse(status=HTTPStatus(429))], {}, "Version", Reason.THROTTLED),
        ([Refuse(status=HTTPStatus(500))], {}, "Version", Reason.SERVER_ERROR),
        ([Empty(on="users")], {}, "Read users", Reason.EMPTY_ROSTER),
        ([Refuse(on="classes", status=HTTPStatus(403))], {}, "Read classes", Reason.FORBIDDEN),
    ],
)
def test_each_failure_is_told_apart(faults: list[Fault], more: dict[str, Any], name: str, reason: Reason) -> None:
    for fault in faults:
        fault.seen = fault.struck = 0
    with SampleSIS(DISTRICT, faults=faults) as sis:
        steps = check(sis, **({"retry_attempts": 2} | more))
    failed = [step for step in steps if not step.ok]
    assert names(failed) == [name]
    assert failed[0].reason is reason
    assert failed[0].message
    assert failed[0].next_step
    if name in ("Token", "Version"):
        assert steps[-1] is failed[0]
    else:
        assert len(steps) == 5 + len(Entity)


def test_demographics_are_optional() -> None:
    with SampleSIS(DISTRICT, faults=[ForbidDemographics()]) as sis:
        step = check(sis)[-1]
    assert (step.entity, step.ok, step.reason) == (Entity.DEMOGRAPHICS, True, Reason.FORBIDDEN)


def test_a_missing_total_is_said_with_its_consequence() -> None:
    with SampleSIS(DISTRICT, faults=[NoTotal()]) as sis:
        step = check(sis)[5]
    assert (step.ok, step.reason, step.count) == (True, Reason.NO_TOTAL, None)
    assert step.message.startswith("at least ")
    assert "X-Total-Count" in step.next_step


def test_of_an_empty_collection_without_a_total_the_count_is_known() -> None:
    with SampleSIS(DISTRICT, faults=[NoTotal(), Empty(on="demographics")]) as sis:
        step = check(sis)[-1]
    assert (step.entity, step.ok, step.reason, step.count) == (Entity.DEMOGRAPHICS, True, None, 0)


def test_a_wrong_path_is_no_oneroster_endpoint() -> None:
    with SampleSIS(DISTRICT) as sis:
        base = {"client_id": sis.client_id, "client_secret": sis.client_secret}
        for version, reason in (("Auto", Reason.ENDPOINT_NOT_ONEROSTER), ("1.2", Reason.VERSION_UNSUPPORTED)):
            with RestSource(quick(sis.url + "/portal", sis.token_url, version=version, **base)) as source:
                assert list(source.check())[-1].reason is reason


def test_an_endpoint_of_another_version_than_set_is_refused() -> None:
    with pytest.raises(OneRosterError) as caught:
        RestSource(quick("https://sis.example.org/api/v1p1", "https://sis.example.org/token", version="1.2"))
    assert caught.value.reason is Reason.SETTINGS_INVALID


def test_a_clock_that_is_wrong_is_measured() -> None:
    late = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)

    def answer(asked: Asked) -> Answer:
        found = listing(3)(asked)
        found.headers["Date"] = format_datetime(late, usegmt=True)
        return found

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        steps = {step.name: step for step in source.check()}
    clock = steps["Clock"]
    assert clock.ok
    assert clock.reason in (None, Reason.CLOCK_SKEWED)


# TLS, with certificates of our own.

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


def context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


PAST = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=10)
FUTURE = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=10)


@pytest.mark.parametrize(
    ("certificate", "bundle", "reason"),
    [
        (AUTHORITY.issue_cert("127.0.0.1"), AUTHORITY, None),
        (AUTHORITY.issue_cert("127.0.0.1"), None, Reason.CERTIFICATE_UNTRUSTED),
        (STRANGER.issue_cert("127.0.0.1"), AUTHORITY, Reason.CERTIFICATE_UNTRUSTED),
        (AUTHORITY.issue_cert("sis.example.org"), AUTHORITY, Reason.CERTIFICATE_NAME_MISMATCH),
        (AUTHORITY.issue_cert("127.0.0.1", not_before=PAST - datetime.timedelta(days=1), not_after=PAST), AUTHORITY,
         Reason.CERTIFICATE_EXPIRED),
        (AUTHORITY.issue_cert("127.0.0.1", not_before=FUTURE, not_after=FUTURE + datetime.timedelta(days=1)), AUTHORITY,
         Reason.CERTIFICATE_NOT_YET_VALID),
    ],
    ids=["trusted", "no bundle", "another authority", "another name", "expired", "not yet"],
)  # fmt: skip
def test_certificates_are_always_verified(
    certificate: trustme.LeafCert, bundle: trustme.CA | None, reason: Reason | None
) -> None:
    with SampleSIS(DISTRICT, tls=context(certificate)) as sis:
        base = {"client_id": sis.client_id, "client_secret": sis.client_secret, "allow_insecure": False}
        settings = quick(sis.url, sis.token_url, ca_bundle=bundle and pem(bundle), **base)
        with RestSource(settings) as source:
            steps = list(source.check())
            if reason is None:
                assert all(step.ok for step in steps)
                assert source.facts.certificate_expires is not None
                assert len(list(source.pages(Entity.ORGS))) == 1
            else:
                assert (steps[-1].name, steps[-1].reason) == ("Connect", reason)
                with pytest.raises(OneRosterError) as caught:
                    list(source.pages(Entity.ORGS))
                assert caught.value.reason is reason
                assert not caught.value.retryable


@pytest.mark.parametrize(("days", "reason"), [(10, Reason.CERTIFICATE_EXPIRES_SOON), (30, None)])
def test_a_certificate_that_expires_soon_is_said_and_no_failure(days: int, reason: Reason | None) -> None:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    certificate = AUTHORITY.issue_cert("127.0.0.1", not_after=until)
    with SampleSIS(DISTRICT, tls=context(certificate)) as sis:
        steps = check(sis, allow_insecure=False, ca_bundle=pem(AUTHORITY))
    assert all(step.ok for step in steps)
    connect = next(step for step in steps if step.name == "Connect")
    assert connect.reason is reason
    assert f"({days} days)" in connect.message
    assert bool(connect.next_step) is (reason is not None)


def test_https_to_a_server_without_tls_is_a_tls_failure() -> None:
    with SampleSIS(DISTRICT) as sis:
        url = sis.url.replace("http:", "https:")
        with RestSource(quick(url, url + "/token")) as source:
            assert list(source.check())[-1].reason is Reason.TLS_FAILED


@pytest.mark.parametrize("bundle", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_certificates_is_refused(bundle: str) -> None:
    with pytest.raises(OneRosterError) as caught:
        RestSource(quick("https://sis.example.org", "https://sis.example.org/token", ca_bundle=bundle))
    assert caught.value.reason is Reason.SETTINGS_INVALID
