"""Every bad input of the table: its reason, its place, nothing leaked, in bounded time and memory."""

from __future__ import annotations

import gc
import logging
import time
import traceback

import pytest

from .cases import CANARIES, Case, Seen
from .conftest import Ledger
from .memory import MIB, peak, restart
from .reference import PAGE, page
from .table import CASES

BOUND = 64 * MIB


@pytest.fixture(scope="module", autouse=True)
def warm(ledger: Ledger) -> None:
    """One case of each family beforehand, so that what is loaded once is no growth."""
    for family in {case.family: case for case in CASES}.values():
        family.world.observe()
    gc.collect()
    ledger.baseline = restart()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.encode("unicode_escape").decode())
def test_bad_input(case: Case, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ledger.counts[case.family] += 1
    restart()
    started = time.monotonic()
    seen = case.world.observe()
    elapsed = time.monotonic() - started
    ledger.slowest = max(ledger.slowest, (elapsed, case.title))
    grown = peak() - ledger.baseline
    ledger.largest = max(ledger.largest, (grown, case.title))
    assert seen.outcome == case.expect
    shown = seen.shown + logged(caplog)
    assert [canary for canary in CANARIES if canary in shown] == []
    assert elapsed < case.seconds
    assert grown < BOUND
    ledger.passed[case.family] += 1


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Every line that was logged, whatever its level, with its exceptions."""
    return "\n".join(
        record.getMessage() + ("".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else "")
        for record in caplog.records
    )


def test_the_table_is_large_enough_and_every_title_is_there_once() -> None:
    titles = [case.title for case in CASES]
    assert len(titles) >= 250
    assert len(set(titles)) == len(titles)


def test_the_measure_of_memory_sees_what_is_too_much() -> None:
    before = restart()
    hoard = b"x" * (BOUND + MIB)
    assert peak() - before > BOUND
    assert len(hoard) > BOUND


def test_a_leak_would_be_seen() -> None:
    assert [canary for canary in CANARIES if canary in Seen(None, f"said {CANARIES[2]}").shown] == [CANARIES[2]]


def test_the_page_of_the_reference_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(CASES), "run `make generate`"
