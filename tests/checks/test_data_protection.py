"""docs/data-protection.md names every table there is, and its figures are the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from roster_operator.api.retention import Retention
from roster_operator.console import sessions
from roster_operator.store import retention

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "data-protection.md").read_text()
MIGRATIONS = sorted((ROOT / "operator" / "roster_operator" / "store" / "migrations").glob("*.sql"))


def test_every_table_stands_in_the_page_and_no_other() -> None:
    made = {name for file in MIGRATIONS for name in re.findall(r"^create table roster\.(\w+)", file.read_text(), re.M)}
    section = PAGE.partition("### The database")[2].partition("\n### ")[0]
    told = {name for row in re.findall(r"^\| ([^|]+) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert told == made


def test_the_figures_are_those_of_the_code() -> None:
    default = Retention()
    assert f"`removeAfterDays` ({default.remove_after_days})" in PAGE
    assert f"`historyDays` ({default.history_days})" in PAGE
    assert f"{sessions.LIFETIME / 3600:.0f} hours, {sessions.IDLE / 3600:.0f} hour without use" in PAGE
    staged = inspect.signature(retention.reap).parameters["staged_days"].default
    assert f"older than {staged} days" in PAGE
    days = re.search(r"upload_days integer not null default (\d+)", "".join(file.read_text() for file in MIGRATIONS))
    assert days
    assert f"until merged, {days[1]} days at most" in PAGE
