"""Each vendor's server gives the same rows as the plain one, and its refusals are told apart."""

import dataclasses
import urllib.error
import urllib.request
from typing import Any

import pytest

from roster_operator.api.sources import Provider
from roster_operator.api.task import TestReport
from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.records import Record
from roster_operator.oneroster.rest import CheckStep, RestSource, completeness
from roster_operator.oneroster.settings import RestSettings
from roster_operator.worker.check import look_at
from roster_sample_sis import District, SampleSIS, generate

from .fake_servers import FakeServer, listing, quick
from .vendors.campus import InfiniteCampus
from .vendors.classlink import Proxy, RosterServer
from .vendors.connected import DRESSES, settings
from .vendors.dress import CLIENT_SECRET, Vendor
from .vendors.oauth2 import TokenVendor
from .vendors.skyward import Skyward
from .vendors.standard import Standard
from .vendors.synergy import Synergy

Rows = dict[Entity, dict[str, Record]]

each_dress = pytest.mark.parametrize(("kind", "version"), DRESSES, ids=lambda each: getattr(each, "__name__", each))
VENDORS = list(dict.fromkeys(kind for kind, _ in DRESSES))
each_vendor = pytest.mark.parametrize("kind", VENDORS, ids=lambda kind: kind.__name__)
OAUTH2 = [InfiniteCampus, Skyward, Synergy, Standard]


def pull(source: RestSource, entity: Entity) -> dict[str, Record]:
    decode = Decoder(entity, source.version)
    found: dict[str, Record] = {}
    for page in source.pages(entity):
        for raw in page.records:
            decoded = decode(raw)
            assert decoded.record is not None, decoded.problems
            found[decoded.record.sourced_id] = decoded.record
    assert completeness(source.report(entity), len(found)).complete
    return found


@pytest.fixture(scope="module")
def district() -> District:
    return generate(11, 120)


@pytest.fixture(scope="module")
def plain(district: District) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    with SampleSIS(district) as sis:
        for version in ("1.1", "1.2"):
            own: Any = {"client_id": sis.client_id, "client_secret": sis.client_secret, "version": version}
            with RestSource(quick(sis.url, sis.token_url, **(own | {"page_size": 10_000}))) as source:
                found[version] = {entity: pull(source, entity) for entity in Entity}
    assert all(rows for version in found.values() for rows in version.values())
    return found


def test_every_provider_has_a_server_here(district: District) -> None:
    found: set[str] = set()
    for kind in VENDORS:
        with kind(district, ("1.1",)) as vendor:
            found.add(vendor.spec()["provider"])
    assert found == {provider.value for provider in Provider}


@each_dress
@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_same_rows_in_every_dress(
    district: District, plain: dict[str, Rows], kind: type[Vendor], version: str, concurrency: int
) -> None:
    with kind(district, (version,)) as vendor, RestSource(settings(vendor, maxConcurrency=concurrency)) as source:
        assert {entity: pull(source, entity) for entity in Entity} == plain[version]
        assert source.version == version
        assert vendor.pages > len(Entity)


@each_dress
def test_test_connection_passes(district: District, kind: type[Vendor], version: str) -> None:
    with kind(district, (version,)) as vendor, RestSource(settings(vendor)) as source:
        steps = list(source.check())
        assert [step.reason for step in steps if not step.ok] == []
        assert source.facts.version == version
        report = look_at_steps(settings(vendor))
    names = [step.name for step in steps[:4]]
    assert names == ["Resolve", "Connect", "Credentials" if kind in (RosterServer, Proxy) else "Token", "Version"]
    assert (report.ready, report.reachable, report.authenticated, report.version) == (True, True, True, version)
    assert report.counts["users"] == 120
    assert all(CLIENT_SECRET not in step.message + step.next_step for step in steps)


def look_at_steps(chosen: RestSettings) -> TestReport:
    with RestSource(chosen) as source:
        return look_at(source, None)


def failed(chosen: RestSettings) -> CheckStep:
    with RestSource(chosen) as source:
        return next(step for step in source.check() if not step.ok)


def wrong(vendor: Vendor) -> dict[str, str]:
    return dict.fromkeys(vendor.held(), "wrong")


@each_vendor
def test_wrong_credentials_are_told(district: District, kind: type[Vendor]) -> None:
    with kind(district, (kind.latest,)) as vendor:
        chosen = settings(vendor, wrong(vendor))
        step, report = failed(chosen), look_at_steps(chosen)
        expected = ("Token", Reason.TOKEN_REJECTED) if kind in OAUTH2 else ("Version", Reason.CREDENTIALS_REJECTED)
        assert (step.name, step.reason) == expected
        assert "Secret" in step.next_step
        assert (report.ready, report.reachable, report.authenticated) == (False, True, False)


@each_vendor
def test_a_missing_licence_is_told_apart_from_wrong_credentials(district: District, kind: type[Vendor]) -> None:
    with kind(district, (kind.latest,)) as vendor:
        vendor.licensed = False
        step = failed(settings(vendor))
        assert step.name == "Version"
        assert step.reason in (Reason.ENDPOINT_NOT_ONEROSTER, Reason.VERSION_UNSUPPORTED)
        if kind is InfiniteCampus:
            assert "not licensed" in step.next_step


@each_vendor
def test_permissions_are_told_per_collection(district: District, kind: type[Vendor]) -> None:
    with kind(district, (kind.latest,)) as vendor:
        vendor.forbidden = {"classes", "demographics"}
        with RestSource(settings(vendor)) as source:
            steps = {str(step.entity): step for step in source.check() if step.entity}
    assert (steps["classes"].ok, steps["classes"].reason) == (False, Reason.FORBIDDEN)
    assert (steps["demographics"].ok, steps["demographics"].reason) == (True, Reason.FORBIDDEN)
    assert all(step.ok for name, step in steps.items() if name != "classes")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("kind", OAUTH2, ids=lambda kind: kind.__name__)
def test_a_token_that_ends_in_mid_pull_is_renewed(
    district: District, plain: dict[str, Rows], kind: type[TokenVendor], status: int
) -> None:
    with kind(district, ("1.1",)) as vendor:
        vendor.expired_status = status
        vendor.after = {2: vendor.expire, 3: vendor.expire}
        with RestSource(settings(vendor)) as source:
            assert pull(source, Entity.USERS) == plain["1.1"][Entity.USERS]
        assert vendor.issued >= 3


def test_a_key_that_is_revoked_in_mid_pull_is_told_with_its_place(district: District) -> None:
    with Proxy(district, ("1.1",)) as vendor:
        vendor.after = {2: vendor.expire}
        with RestSource(settings(vendor)) as source, pytest.raises(OneRosterError) as caught:
            pull(source, Entity.USERS)
        assert (caught.value.reason, caught.value.page) == (Reason.CREDENTIALS_REJECTED, 2)


# What is one vendor's own.


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256"])
def test_classlink_checks_each_signature_over_every_parameter(
    district: District, plain: dict[str, Rows], method: str
) -> None:
    with RosterServer(district, ("1.1",), methods=(method,)) as vendor:
        spec = vendor.spec()
        spec["auth"] = spec["auth"] | {"signatureMethod": method}
        query = {"note": 'it\'s 50% "ready" & more', "empty": "", "zeichen": "ß€"}
        with RestSource(settings(vendor, **spec, query=query)) as source:
            assert pull(source, Entity.USERS) == plain["1.1"][Entity.USERS]
        assert vendor.refusals == []
        assert len(vendor.gatekeeper.nonces) == len(vendor.asked)


def test_classlink_refuses_another_method_and_a_request_that_comes_again(district: District) -> None:
    with RosterServer(district, ("1.1",), methods=("HMAC-SHA1",)) as vendor:
        step = failed(settings(vendor))
        assert (step.reason, vendor.refusals[-1]) == (Reason.CREDENTIALS_REJECTED, "method")
        assert "signatureMethod" in step.next_step
    with RosterServer(district, ("1.1",)) as vendor:
        with RestSource(settings(vendor)) as source:
            pull(source, Entity.ORGS)
        asked = vendor.asked[-1]
        own = {"Authorization": asked.headers["authorization"]}
        again = urllib.request.Request(vendor.url + asked.target, headers=own)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(again)
        assert vendor.refusals == ["nonce"]


def test_classlink_says_that_permissions_changed_meanwhile(district: District) -> None:
    with RosterServer(district, ("1.1",)) as vendor:

        def change() -> None:
            vendor.permission_revision = "8"

        vendor.after = {2: change}
        with RestSource(settings(vendor)) as source:
            count = sum(len(page.records) for page in source.pages(Entity.USERS))
            assert completeness(source.report(Entity.USERS), count).reason == "ChangedWhilePaging"


def test_classlinks_proxy_knows_only_the_application_that_it_was_told(district: District) -> None:
    with Proxy(district, ("1.1",)) as vendor:
        step = failed(settings(vendor, parameters={"applicationID": "another"}))
        assert (step.name, step.reason) == ("Version", Reason.ENDPOINT_NOT_ONEROSTER)


def test_infinite_campus_gets_the_form_in_the_query_and_the_secret_never(district: District) -> None:
    with InfiniteCampus(district, ("1.2",)) as vendor:
        with RestSource(settings(vendor)) as source:
            pull(source, Entity.ORGS)
        token = next(asked for asked in vendor.asked if asked.path.endswith("/token"))
        assert set(token.query) == {"appName", "grant_type", "scope"}
        assert token.body == b""
    with InfiniteCampus(district, ("1.2",)) as vendor:
        step = failed(settings(vendor, parameters={"appName": "another"}))
        assert (step.name, step.reason) == ("Token", Reason.NOT_FOUND)


def test_infinite_campus_gives_large_pages(district: District) -> None:
    with InfiniteCampus(district, ("1.2",)) as vendor:
        chosen = dataclasses.replace(settings(vendor), page_size=settings(vendor, pageSize=None).page_size)
        with RestSource(chosen) as source:
            pull(source, Entity.ENROLLMENTS)
        assert {asked.query["limit"] for asked in vendor.asked if asked.path.endswith("/enrollments")} == {"5000"}


def test_synergys_cookies_go_back_to_synergy_alone(district: District) -> None:
    with Synergy(district, ("1.2",)) as vendor:
        assert failed(settings(vendor, keepCookies=False)).reason is Reason.TOKEN_REJECTED
        assert "cookies" in vendor.refusals
        # The same tokens, but records from another server: it must not get the cookies.
        with FakeServer(listing(3)) as other:
            scopes = ("https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly",)
            chosen = dataclasses.replace(settings(vendor), endpoint=other.url, version="1.1", scopes=scopes)
            with RestSource(chosen) as source:
                assert len(list(source.pages(Entity.ORGS))) == 1
            assert {asked.headers.get("cookie") for asked in other.asked} == {None}


def test_synergy_without_the_scope_of_demographics(district: District) -> None:
    with Synergy(district, ("1.2",)) as vendor:
        vendor.demographics = False
        with RestSource(settings(vendor)) as source:
            step = list(source.check())[-1]
            assert (step.entity, step.ok, step.reason) == (Entity.DEMOGRAPHICS, True, Reason.SCOPE_MISSING)
            pull(source, Entity.USERS)


def test_skyward_knows_short_scope_names(district: District) -> None:
    with Skyward(district, ("1.1",)) as vendor:
        with RestSource(settings(vendor)) as source:
            pull(source, Entity.DEMOGRAPHICS)
        assert [set(scopes) for scopes in vendor.granted.values()] == [
            {"roster-core.readonly", "roster-demographics.readonly"}
        ]


@each_vendor
def test_parameters_of_the_connection_are_on_every_page(district: District, kind: type[Vendor]) -> None:
    with kind(district, ("1.1",)) as vendor:
        with RestSource(settings(vendor, query={"schoolYear": "2027 now"})) as source:
            pull(source, Entity.USERS)
        pages = [asked for asked in vendor.asked if "/ims/" in asked.path]
        assert len(pages) > 2
        assert {asked.query["schoolYear"] for asked in pages} == {"2027 now"}


@pytest.mark.parametrize(
    "cookies",
    [(), ("a=b c",), ("=x",), ("a",), ("a=; Max-Age=0",), ("a=1; max-age=0",), ("b" * 5000 + "=1",)],
    ids=["none", "a blank", "no name", "no value", "emptied", "deleted", "too long"],
)
def test_cookies_that_are_none_are_not_sent(district: District, cookies: tuple[str, ...]) -> None:
    with Synergy(district, ("1.2",)) as vendor:
        vendor.cookies = cookies
        assert failed(settings(vendor)).reason is Reason.TOKEN_REJECTED
        assert all("cookie" not in asked.headers for asked in vendor.asked)
