"""Which addresses a source may live at."""

import asyncio
from ipaddress import ip_address, ip_network

import pytest

from roster_operator.oneroster.addresses import permitted
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.rest import RestSource

from .fake_servers import quick

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "168.63.129.16",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2001:10::1",
    "2002:a9fe:a9fe::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "4000::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not permitted(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450::8", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert permitted(ip_address(address))


def test_the_operator_opens_a_range() -> None:
    allow = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert permitted(ip_address("10.1.2.3"), allow)
    assert permitted(ip_address("::ffff:10.1.2.3"), allow)
    assert permitted(ip_address("fd12::1"), allow)
    assert not permitted(ip_address("10.2.0.1"), allow)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16", "100.100.100.200"])
def test_only_its_very_address_opens_a_metadata_service(address: str) -> None:
    target = ip_address(address)
    wide = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert not permitted(target, wide)
    plain = address.removeprefix("::ffff:")
    assert permitted(target, (ip_network(plain),))


def test_a_closed_range_beats_an_open_one() -> None:
    assert not permitted(ip_address("10.1.2.3"), (ip_network("10.0.0.0/8"),), (ip_network("10.1.0.0/16"),))
    assert not permitted(ip_address("8.8.8.8"), (), (ip_network("8.8.8.0/24"),))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "127.1", "[::1]", "[::ffff:169.254.169.254]", "localhost",
     "169.254.169.254", "[fe80::1]", "[64:ff9b::a9fe:a9fe]", "[::]"],
)  # fmt: skip
def test_a_name_is_judged_by_what_it_resolves_to(host: str) -> None:
    with RestSource(quick(f"https://{host}:9/x", "https://127.0.0.1:9/token", allow_addresses=())) as source:
        step = next(iter(source.check()))
    assert (step.name, step.ok, step.reason) == ("Resolve", False, Reason.ADDRESS_REFUSED)


@pytest.mark.parametrize(
    "host", ["0177.0.0.1", "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127\u30020.0.1"]
)
def test_a_name_in_disguise_gets_nowhere(host: str) -> None:
    assert outcome(f"https://{host}") in (Reason.SETTINGS_INVALID, Reason.ADDRESS_REFUSED)


def outcome(endpoint: str) -> Reason | None:
    try:
        with RestSource(quick(endpoint, "https://127.0.0.1/token", allow_addresses=())) as source:
            return next(iter(source.check())).reason
    except OneRosterError as error:
        return error.reason


def test_one_refused_answer_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(self: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", both)
    with RestSource(quick("https://sis.example.org", "https://sis.example.org/token", allow_addresses=())) as source:
        step = next(iter(source.check()))
    assert step.reason is Reason.ADDRESS_REFUSED


def test_an_unknown_name_is_a_dns_failure() -> None:
    with RestSource(quick("https://sis.invalid", "https://sis.invalid/token")) as source:
        step = next(iter(source.check()))
    assert step.reason is Reason.DNS_FAILED
