"""A district behind every vendor's server, with a fault at each page, is the same rows as from the plain one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.oneroster.fake_servers import Answer, Asked
from tests.oneroster.vendors.connected import DRESSES, settings
from tests.oneroster.vendors.dress import HTML, Vendor
from tests.oneroster.vendors.oauth2 import TokenVendor
from tests.store.fixtures import CLUSTER, NAMESPACE, run_name
from tests.worker.worlds import World

from roster_operator.api.limits import Limits
from roster_operator.oneroster.rest import RestSource
from roster_operator.store import runs
from roster_operator.store.database import connect
from roster_operator.worker.stage import Staged, stage
from roster_sample_sis import District

pytestmark = pytest.mark.store


def _too_short() -> Iterator[bytes]:
    yield b'{"users": [{"sourcedId": "PER'


def _torn_off() -> Iterator[bytes]:
    yield b""


# Each fails one page once; what follows is the page itself.
FAULTS: list[Callable[[], Answer]] = [
    lambda: Answer(500, HTML),
    lambda: Answer(503, b"", {"Retry-After": "0"}),
    lambda: Answer(429, HTML, {"Retry-After": "0"}),
    lambda: Answer(200, headers={"Content-Length": "100000"}, chunks=_too_short()),
    lambda: Answer(502, {"error": "bad gateway"}),
    lambda: Answer(200, headers={"Content-Length": "100000"}, chunks=_torn_off()),
]


class TroubleAtEachPage:
    """Every page fails once, each in the next way; between them, tokens end."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.faults: Counter[int] = Counter()
        self._seen: set[str] = set()

    def __call__(self, asked: Asked) -> Answer | None:
        if asked.target in self._seen:
            return None
        self._seen.add(asked.target)
        number = len(self._seen)
        if isinstance(self.vendor, TokenVendor) and number % 5 == 0:
            self.vendor.expire()
        which = number % len(FAULTS)
        self.faults[which] += 1
        return FAULTS[which]()


def staged(world: World, vendor: Vendor, **spec: object) -> Staged:
    """Stage and merge, by what the connection says."""
    with (
        RestSource(settings(vendor, **spec)) as source,
        connect(world.roster.logins().stage_url) as conn,
    ):
        runs.claim(conn, world.roster.key(), CLUSTER, NAMESPACE, "springfield")
        name = run_name()
        found = stage(source, conn, name, 1, Limits(), lambda *_: None)
    world.merge(name, found.plan.digest)
    return found


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize(("kind", "version"), DRESSES, ids=lambda each: getattr(each, "__name__", each))
def test_the_same_rows_in_every_dress_with_a_fault_at_each_page(
    world: World, district: District, kind: type[Vendor], version: str, concurrency: int
) -> None:
    world.version = version
    with kind(district, (version,)) as vendor:
        vendor.trouble = trouble = TroubleAtEachPage(vendor)
        first = staged(world, vendor, maxConcurrency=concurrency)
    assert len(trouble.faults) == len(FAULTS)
    assert (first.plan.complete, first.plan.issues, first.version) == (True, [], version)
    if version == "1.2":
        world.assert_rows_are(district)
    # The plain server, read with a page for all: not one row is another, of no entity.
    world.page_size = 10_000
    plain = world.sync()
    assert not plain.plan.changes
    assert {name: each.unchanged for name, each in plain.plan.entities.items()} == {
        name: each.create for name, each in first.plan.entities.items()
    }
    assert all(each.create for each in first.plan.entities.values())
