"""Tables for spreadsheets, as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from roster_operator.oneroster.csvfiles.cells import safe_cell


def as_csv(rows: list[dict[str, Any]]) -> str:
    """A table for a spreadsheet: what would be taken for a formula there is text."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: safe_cell(value) if isinstance(value, str) else value for key, value in row.items()})
    return out.getvalue()
