"""Each page and its text, from the code itself. Usage: python -m tests.reference.pages"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.reference import commands, metrics, paths, reasons, resources

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "resources.md": resources.page,
    "metrics.md": metrics.page,
    "reasons.md": reasons.page,
    "command-line.md": commands.page,
    "api.md": paths.page,
    "api.json": lambda: json.dumps(paths.document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n",
}


def main() -> None:
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
