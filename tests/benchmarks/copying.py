"""Plain COPY of rows that are already files, into keyed, logged tables: the least that a first load can cost."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg


def main(database: str, folder: str) -> None:
    with psycopg.connect(database) as conn:
        for path in sorted(Path(folder).iterdir()):
            with path.open("rb") as file, conn.cursor().copy(f"copy plain.{path.name} from stdin".encode()) as copy:
                while block := file.read(1 << 18):
                    copy.write(block)


if __name__ == "__main__":
    main(*sys.argv[1:])
