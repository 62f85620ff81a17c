"""The reference says what the code does: `make generate` writes it again."""

from __future__ import annotations

import pytest
from tests.reference.pages import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]()


def test_the_pages_say_something_of_everything() -> None:
    said = {name: make() for name, make in PAGES.items()}
    assert "`spec.limits.perSchool.deactivate.percent`" in said["resources.md"]
    assert "`roster_connection_ready`" in said["metrics.md"]
    assert "| `DNSFailed` | a test or a sync | Check the host" in said["reasons.md"]
    assert "## `roster tenant create`" in said["command-line.md"]
    assert "| POST | `/api/namespaces/{namespace}/syncs/{name}/approve` |" in said["api.md"]
