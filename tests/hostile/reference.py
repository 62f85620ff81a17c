"""docs/reference/hostile-inputs.md, from the table.

Usage: python -m tests.hostile.reference
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from .cases import Case
from .table import CASES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "hostile-inputs.md"
_HEAD = """# Hostile inputs

What a stranger's server, file or value may do, and what comes of it. `make test-hostile` meets each of these with the
real code: the outcome has to be exactly the one that stands here, at that place, within seconds, and with the process
below 64 MiB more than at its beginning. No value of the data and no secret may stand in a message, a log line or an
exception.

This page is made from the table of the tests: `make generate` writes it again.

An outcome is one of these:

- A reason, such as `BodyTooLarge`, with the collection and page where it happened. *Tried again* means that the same
  request may succeed later.
- Records that were read all the same, and the proof of completeness that follows. Only `DistinctEqualsTotal` and
  `TwoEqualLooks` let anything be removed.
- A record or bundle that is kept or rejected, with the codes of what is wrong and their places.
- *Kept as it came*: the value is stored exactly so.
"""


def page(cases: list[Case]) -> str:
    """The page's whole text."""
    counts = Counter(case.family for case in cases)
    rows = "\n".join(f"| {family} | {count} |" for family, count in counts.items())
    parts = [_HEAD, f"| family | cases |\n|---|---|\n{rows}\n| all | {counts.total()} |\n"]
    for family in counts:
        lines = [f"| {_shown(case.name)} | {_shown(str(case.expect))} |" for case in cases if case.family == family]
        parts.append(f"## {family}\n\n| input | outcome |\n|---|---|\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _shown(text: str) -> str:
    """One cell of a table: printable, one line, no markup of its own but the codes."""
    text = "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in text)
    text = text if len(text) <= 160 else text[:157] + "..."
    return re.sub(r"([\\|<>*_\[\]{}$])", r"\\\1", text)


if __name__ == "__main__":
    PAGE.write_text(page(CASES), encoding="utf-8")
