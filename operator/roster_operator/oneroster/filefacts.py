"""Which file a sync was made from: kept beside the merged rows, so that the next one can tell whether it is older."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as it was read. modified: the server's time of it, whole seconds. size: bytes. sha256: hex.

    It has no name: a district may have written somebody's name into it.
    """

    modified: datetime
    size: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {"modified": self.modified.isoformat(), "size": self.size, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "FileFacts | None":
        """What the database has kept; None where that is about no file on a server."""
        try:
            modified = datetime.fromisoformat(str(kept["modified"])).astimezone(UTC)
            return cls(modified, int(kept["size"]), str(kept["sha256"]))
        except (KeyError, ValueError):
            return None
