"""Every code that a sync can show stands in the catalogue, and the page is the catalogue's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from roster_operator.oneroster.catalogue import CATALOGUE, CHECKS, PULLS, RECORDS, UNDOS, page

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "oneroster/careful.py",
    "oneroster/decode.py",
    "oneroster/intake.py",
    "oneroster/problems.py",
    "oneroster/values.py",
    "worker/pull.py",
    "worker/role_rows.py",
    "store/plan.py",
    "oneroster/deceptive.py",
    "store/checks.py",
    "store/conflicts.py",
)
CODE = re.compile(r"[A-Z][a-z]+[A-Z][A-Za-z0-9]*")
# A reason why a pull is not proved, and a grade.
OTHERS = {"RecordWithoutId", "PreK"}


def codes() -> set[str]:
    """What looks like a code among the string constants of the modules that make issues."""
    found: set[str] = set()
    for name in SOURCES:
        tree = ast.parse((ROOT / "operator" / "roster_operator" / name).read_text())
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        found |= {value for value in constants if isinstance(value, str) and CODE.fullmatch(value)}
    return found - OTHERS


def test_every_code_is_in_the_catalogue_and_every_entry_is_a_code() -> None:
    assert codes() == set(CATALOGUE)


def test_no_code_is_there_twice_and_each_says_what_to_do() -> None:
    entries = [*RECORDS, *PULLS, *UNDOS, *CHECKS]
    assert len(entries) == len(CATALOGUE)
    for entry in entries:
        assert entry.severity in {"error", "warning", "error or warning"}
        assert entry.meaning.endswith((".", ").")), entry.code
        assert entry.remedy.endswith("."), entry.code


def test_the_page_is_up_to_date() -> None:
    """Else: python -m roster_operator.oneroster.catalogue > docs/reference/issues.md"""
    assert (ROOT / "docs" / "reference" / "issues.md").read_text() == page()
