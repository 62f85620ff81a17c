"""Whole pulls from the sample SIS, healthy and with faults."""

from http import HTTPStatus
from typing import Any

import pytest

from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.records import Record
from roster_operator.oneroster.rest import Completeness, PullReport, RestSource, completeness
from roster_sample_sis import District, Fault, SampleSIS, TokenAuth, generate
from roster_sample_sis.faults import (
    Cut,
    Die,
    Empty,
    EndlessNext,
    ExpireTokens,
    ForbidDemographics,
    ForeignNext,
    Html,
    IgnoreLimit,
    LoseRecord,
    NoTotal,
    Refuse,
    RepeatRecord,
    WrongTotal,
)

from .fake_servers import quick


@pytest.fixture(scope="module")
def district() -> District:
    return generate(11, 300)


def pull(source: RestSource, entity: Entity) -> tuple[dict[str, Record], PullReport, Completeness]:
    decode = Decoder(entity, source.version)
    found: dict[str, Record] = {}
    for page in source.pages(entity):
        for raw in page.records:
            decoded = decode(raw)
            assert decoded.record is not None, decoded.problems
            found[decoded.record.sourced_id] = decoded.record
    report = source.report(entity)
    return found, report, completeness(report, len(found))


def settings(sis: SampleSIS, **more: Any) -> Any:
    return quick(sis.url, sis.token_url, client_id=sis.client_id, client_secret=sis.client_secret,
                 **({"page_size": 50} | more))  # fmt: skip


@pytest.fixture(scope="module")
def plain(district: District) -> dict[tuple[str, Entity], dict[str, Record]]:
    with SampleSIS(district) as sis:
        rows: dict[tuple[str, Entity], dict[str, Record]] = {}
        for version in ("1.1", "1.2"):
            with RestSource(settings(sis, version=version, page_size=10_000)) as source:
                for entity in Entity:
                    rows[version, entity], _, proof = pull(source, entity)
                    assert proof.complete
                    assert rows[version, entity]
        return rows


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_all_entities_in_both_versions_page_by_page(
    district: District, plain: dict[Any, Any], version: str, concurrency: int
) -> None:
    with SampleSIS(district) as sis, RestSource(settings(sis, version=version, max_concurrency=concurrency)) as source:
        for entity in Entity:
            rows, report, proof = pull(source, entity)
            assert rows == plain[version, entity]
            assert proof.complete
            assert report.records == len(rows)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("whole", [False, True])
def test_auto_finds_the_version(district: District, version: str, whole: bool) -> None:
    with SampleSIS(district, versions=[version]) as sis:
        chosen = settings(sis, version="Auto")
        if whole:
            chosen = quick(sis.endpoint(version), sis.token_url, client_id=sis.client_id,
                           client_secret=sis.client_secret, version="Auto")  # fmt: skip
        with RestSource(chosen) as source:
            assert source.version == version


def test_auto_prefers_1_2_and_an_endpoint_that_names_one_wins(district: District) -> None:
    with SampleSIS(district) as sis:
        with RestSource(settings(sis, version="Auto")) as source:
            assert source.version == "1.2"
        named = quick(sis.endpoint("1.1"), sis.token_url, client_id=sis.client_id, client_secret=sis.client_secret,
                      version="Auto")  # fmt: skip
        with RestSource(named) as source:
            assert source.version == "1.1"


@pytest.mark.parametrize("way", list(TokenAuth))
def test_either_way_of_asking_for_a_token(district: District, way: TokenAuth) -> None:
    with SampleSIS(district, token_auth=[way]) as sis, RestSource(settings(sis)) as source:
        assert pull(source, Entity.ORGS)[2].complete


HEALED: list[list[Fault]] = [
    [Die(after=2)],
    [Refuse(status=HTTPStatus(503), after=1, times=2)],
    [Refuse(status=HTTPStatus(500), times=1)],
    [Refuse(status=HTTPStatus(429), retry_after="0", after=2, times=2)],
    [Refuse(status=HTTPStatus(429), retry_after="1", after=1, times=1)],
    [Refuse(status=HTTPStatus(503), on="token", times=1)],
    [Cut(after=1, times=2)],
    [ExpireTokens(after=2)],
    [ExpireTokens(after=2, status=HTTPStatus.FORBIDDEN)],
    [IgnoreLimit(size=7)],
    [ForeignNext()],
    [EndlessNext()],
    [EndlessNext(empty=True)],
]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("faults", HEALED, ids=lambda faults: repr(faults[0])[:60])
def test_what_a_pull_survives_whole(
    district: District, plain: dict[Any, Any], faults: list[Fault], concurrency: int
) -> None:
    import copy

    with SampleSIS(district, faults=copy.deepcopy(faults)) as sis:
        more: dict[str, Any] = {"retry_attempts": 8, "max_concurrency": concurrency}
        with RestSource(settings(sis, **more)) as source:
            rows, _, proof = pull(source, Entity.USERS)
            assert rows == plain["1.1", Entity.USERS]
            assert proof.complete


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (LoseRecord(), "FewerThanTotal"),
        (LoseRecord(honest=True), "ChangedWhilePaging"),
        (RepeatRecord(), "DuplicateIds"),
        (RepeatRecord(honest=True), "ChangedWhilePaging"),
        (WrongTotal(by=1), "FewerThanTotal"),
        (WrongTotal(by=-1), "MoreThanTotal"),
    ],
    ids=repr,
)
def test_what_cannot_be_proved_complete_is_not(district: District, fault: Fault, reason: str) -> None:
    with SampleSIS(district, faults=[fault]) as sis, RestSource(settings(sis)) as source:
        rows, report, proof = pull(source, Entity.USERS)
        assert report.ended_by is not None
        assert (proof.complete, proof.reason) == (False, reason)
        assert len(rows) >= 299


@pytest.mark.parametrize("links", [True, False])
def test_without_a_total_two_equal_looks_are_proof(district: District, plain: dict[Any, Any], links: bool) -> None:
    with SampleSIS(district, faults=[NoTotal(links=links)]) as sis, RestSource(settings(sis)) as source:
        rows, _, proof = pull(source, Entity.USERS)
        assert rows == plain["1.1", Entity.USERS]
        assert (proof.complete, proof.reason) == (True, "TwoEqualLooks")


def test_an_empty_collection_is_proved_empty_and_said_so(district: District) -> None:
    with SampleSIS(district, faults=[Empty()]) as sis, RestSource(settings(sis)) as source:
        rows, report, proof = pull(source, Entity.USERS)
        assert (rows, report.records, report.total) == ({}, 0, 0)
        assert proof.complete  # the worker refuses to remove on it all the same


def test_a_server_that_dies_for_good_is_a_retryable_failure_with_its_place(district: District) -> None:
    with SampleSIS(district, faults=[Die(after=3, connections=1000)]) as sis, RestSource(settings(sis)) as source:
        with pytest.raises(OneRosterError) as caught:
            pull(source, Entity.USERS)
        assert caught.value.reason in (Reason.CONNECTION_LOST, Reason.CONNECT_FAILED)
        assert (caught.value.entity, caught.value.page, caught.value.retryable) == (Entity.USERS, 4, True)
        report = source.report(Entity.USERS)
        assert completeness(report, report.records).reason == "NotFinished"


def test_calling_again_begins_again(district: District, plain: dict[Any, Any]) -> None:
    with SampleSIS(district) as sis, RestSource(settings(sis)) as source:
        for page in source.pages(Entity.USERS):
            if page.number == 2:
                break
        assert completeness(source.report(Entity.USERS), 100).reason == "NotFinished"
        assert pull(source, Entity.USERS)[0] == plain["1.1", Entity.USERS]


def test_no_more_pages_are_read_ahead_than_allowed(district: District) -> None:
    import time

    with SampleSIS(district) as sis, RestSource(settings(sis, page_size=10)) as source:
        pages = source.pages(Entity.USERS)
        next(pages)
        time.sleep(0.3)
        assert sis.stats.pages == 2
        next(pages)
        time.sleep(0.3)
        assert sis.stats.pages == 3


def test_demographics_without_permission_is_told_apart(district: District) -> None:
    with SampleSIS(district, faults=[ForbidDemographics()]) as sis, RestSource(settings(sis)) as source:
        with pytest.raises(OneRosterError) as caught:
            pull(source, Entity.DEMOGRAPHICS)
        assert (caught.value.reason, caught.value.entity) == (Reason.FORBIDDEN, Entity.DEMOGRAPHICS)


def test_a_scope_that_was_not_granted_is_named(district: District) -> None:
    core = "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly"
    with SampleSIS(district) as sis, RestSource(settings(sis, scopes=(core,))) as source:
        assert pull(source, Entity.ORGS)[2].complete
        with pytest.raises(OneRosterError) as caught:
            pull(source, Entity.DEMOGRAPHICS)
        assert caught.value.reason is Reason.SCOPE_MISSING


def test_a_wrong_secret_is_a_rejected_token(district: District) -> None:
    with SampleSIS(district) as sis:
        with RestSource(quick(sis.url, sis.token_url, client_id=sis.client_id, client_secret="wrong")) as source:
            with pytest.raises(OneRosterError) as caught:
                pull(source, Entity.ORGS)
            assert (caught.value.reason, caught.value.retryable) == (Reason.TOKEN_REJECTED, False)
        assert sis.stats.by_path["/token"] <= 2 if "/token" in sis.stats.by_path else True


def test_html_is_no_roster(district: District) -> None:
    with SampleSIS(district, faults=[Html(after=1)]) as sis, RestSource(settings(sis)) as source:
        with pytest.raises(OneRosterError) as caught:
            pull(source, Entity.USERS)
        assert (caught.value.reason, caught.value.page) == (Reason.ENDPOINT_NOT_ONEROSTER, 2)


def test_one_token_serves_a_whole_pull(district: District) -> None:
    with SampleSIS(district) as sis, RestSource(settings(sis, max_concurrency=4)) as source:
        for entity in Entity:
            pull(source, entity)
        assert sum(count for path, count in sis.stats.by_path.items() if "token" in path) == 1


def test_short_lived_tokens_are_renewed_in_time(district: District) -> None:
    with SampleSIS(district, token_lifetime=0.3) as sis, RestSource(settings(sis, page_size=20)) as source:
        import time

        count = 0
        for page in source.pages(Entity.USERS):
            count += len(page.records)
            time.sleep(0.05)
        assert count == source.report(Entity.USERS).total


def test_a_rate_is_kept(district: District) -> None:
    import time

    with SampleSIS(district) as sis, RestSource(settings(sis, requests_per_second=10, page_size=50)) as source:
        started = time.monotonic()
        pull(source, Entity.USERS)
        assert time.monotonic() - started > (sis.stats.requests - 2) / 10
