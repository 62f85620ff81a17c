"""Every reason that a failed sync, a refused test or a command can give."""

from __future__ import annotations

import re
from pathlib import Path

from tests.alerts.test_alerts import AT_THE_COMMAND_LINE, OF_NOTICES, reasons_of_workers
from tests.reference.tables import table

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
NOTICES = RUNBOOKS.parent / "how-to" / "notices.md"
_HEAD = """# Reasons

Stable words for what went wrong. They stand in `status.failure.reason`, in conditions, Events, the label `reason` of
`roster_syncs_failed_total`, and in `roster … --output json`. They are never renamed. The message beside one says what
happened and what to do next; of what only a command or the console meets, there is no more to say than that. This page
is made from the code: `make generate` writes it again.

"""


def page() -> str:
    """docs/reference/reasons.md"""
    told = dict(re.findall(r"^\| (\w+) \| (.+) \|$", (RUNBOOKS / "RosterSyncFailed.md").read_text(), re.M))
    told.pop("reason", None)
    told |= re.findall(r"^\| `(\w+)` \| (.+) \|$", NOTICES.read_text(), re.M)
    rows = [
        (
            f"`{reason}`",
            _met_by(reason),
            told.get(reason, "").replace("](", "](../runbooks/"),
        )
        for reason in sorted(reasons_of_workers())
    ]
    return _HEAD + table(("reason", "met by", "what to do"), rows)


def _met_by(reason: str) -> str:
    if reason in OF_NOTICES:
        return "a notice to a webhook"
    return "a command or the console" if reason in AT_THE_COMMAND_LINE else "a test or a sync"
