"""The named points of stage, merge, undo and discard, by the statements that go over the wire.

A point that no longer occurs fails its test, and a statement that writes and that no point names fails another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.faults.store_wire import When

BEFORE, ROWS, ANSWER = When.BEFORE, When.ROWS, When.ANSWER


@dataclass(frozen=True)
class Act:
    """A step of a sync. before, after: the states that it leads from and to."""

    name: str
    step: str
    sync: str
    before: str
    after: str
    undoes: str | None = None


STAGE = Act("stage", "stage", "pull-2", "merged", "staged")
MERGE = Act("merge", "merge", "pull-2", "staged", "newer")
STAGE_UNDO = Act("stage-undo", "stage", "undo", "newer", "undone", "pull-2")
MERGE_UNDO = Act("merge-undo", "merge", "undo", "undone", "restored", "pull-2")
DISCARD = Act("discard", "discard", "pull-2", "staged", "discarded")
ACTS = (STAGE, MERGE, STAGE_UNDO, MERGE_UNDO, DISCARD)


@dataclass(frozen=True)
class Point:
    """Where an act is stopped. done: the act's work is in the database from here on."""

    act: Act
    name: str
    statement: str
    when: When
    number: int = 1
    done: bool = False

    @property
    def id(self) -> str:
        return f"{self.act.name}: {self.when.value} {self.name}"


def _points(act: Act, *rows: tuple[str, str, Iterable[When]] | tuple[str, str, Iterable[When], int]) -> list[Point]:
    last = rows[-1]
    return [
        Point(act, row[0], row[1], when, row[3] if len(row) > 3 else 1, done=row is last and when is ANSWER)
        for row in rows
        for when in row[2]
    ]


def _log(entity: str, action: str) -> str:
    return rf"insert into roster\.change_log .*'{entity}', {action}.*"


_DIGEST = r"copy \(select e\.action, .* to stdout"

POINTS: list[Point] = [
    *_points(
        STAGE,
        ("the claim", r"select roster\.claim_tenant\(.*", (BEFORE,)),
        ("the retention", r"select roster\.set_retention\(.*", (ANSWER,)),
        ("opening", r"select roster\.open_stage\(.*", (BEFORE, ANSWER)),
        ("the first rows", r"copy stage\.users .*", (BEFORE, ROWS, ANSWER)),
        ("the last rows", r"copy stage\.demographics .*", (ROWS, ANSWER)),
        ("what was not seen", r"copy stage\.unseen .*", (ROWS,), 2),
        ("other rows", r"copy stage\.enrollments .*", (BEFORE,)),
        ("sealing", r"select roster\.seal_stage\(.*", (BEFORE, ANSWER)),
        ("new keys", r"delete from roster\.proposed_succession .*", (ANSWER,)),
        ("proposing new keys", r"with old as .*", (ANSWER,)),
        ("the digest", _DIGEST, (BEFORE,), 4),
        ("the commit of the look", r"COMMIT", (BEFORE, ANSWER)),
        ("the problems", r"select roster\.note_issues\(.*", (BEFORE, ANSWER)),
        ("recording the plan", r"select roster\.record_plan\(.*", (BEFORE, ANSWER)),
    ),
    *_points(
        MERGE,
        ("the beginning", r"BEGIN", (BEFORE, ANSWER)),
        ("the lock", r"select roster\.lock_tenant\(.*", (BEFORE, ANSWER)),
        ("new keys", r"delete from roster\.proposed_succession .*", (ANSWER,)),
        ("proposing new keys", r"with old as .*", (ANSWER,)),
        ("the digest's first entity", _DIGEST, (BEFORE,)),
        ("the digest's last entity", _DIGEST, (ANSWER,), 7),
        ("touching", r"update roster\.\w+ m set raw_hash = .*", (BEFORE,)),
        ("the history of changes", _log("users", "case"), (ANSWER,)),
        ("changes", r'update roster\.users m set \("date_last_modified".*', (ANSWER,)),
        ("the history of new rows", _log("users", "'create'"), (ANSWER,)),
        ("new rows", r"insert into roster\.users .*", (ANSWER,)),
        ("the last entity's new rows", r"insert into roster\.demographics .*", (ANSWER,)),
        ("the ledger", r"select roster\.record_merge\(.*", (BEFORE, ANSWER)),
        ("the commit", r"COMMIT", (BEFORE, ANSWER)),
    ),
    *_points(
        STAGE_UNDO,
        ("noting what it undoes", r"select roster\.record_undo\(.*", (BEFORE, ANSWER)),
        ("filling", r"with undone as .* insert into stage\.\w+ .*", (BEFORE, ANSWER), 2),
        ("sealing", r"select roster\.seal_stage\(.*", (ANSWER,)),
        ("parting", r"insert into roster\.proposed_succession .*", (ANSWER,), 2),
        ("recording the plan", r"select roster\.record_plan\(.*", (BEFORE, ANSWER)),
    ),
    *_points(
        MERGE_UNDO,
        ("parting", r"insert into roster\.proposed_succession .*", (ANSWER,), 2),
        ("the history of removals", _log("users", r"g\.cause"), (ANSWER,)),
        ("removals", r"update roster\.users m set status = 'inactive'.*", (BEFORE, ANSWER)),
        ("taking back", r'update roster\.users m set \("date_last_modified".*', (ANSWER,)),
        ("access", r"select roster\.undo_access\(.*", (BEFORE, ANSWER)),
        ("the ledger", r"select roster\.record_merge\(.*", (ANSWER,)),
        ("the commit", r"COMMIT", (BEFORE, ANSWER)),
    ),
    *_points(DISCARD, ("the discard", r"select roster\.discard\(.*", (BEFORE, ANSWER))),
]

# The same statement for another entity is stopped at for one of them. An act of an undo shares the other's statements.
_ALIKE = {"orgs", "academic_sessions", "courses", "classes", "users", "enrollments", "demographics", "academicSessions"}
_WRITES = re.compile(
    r"copy stage\..* from stdin|COMMIT|(?s:.*)\b(insert into|update|delete from|truncate) (roster|stage)\.(?s:.*)"
    r"|select roster\.(?!require_tenant\(|schema_version\()\w+\((?s:.*)"
)


def unnamed(act: Act, heard: Iterable[str]) -> Iterator[str]:
    """Statements of an act that write, and that no point of it stops at."""
    named = [point.statement for point in POINTS if point.act.step == act.step]
    seen: set[str] = set()
    for said in heard:
        alike = re.sub(rf"\b({'|'.join(_ALIKE)})\b", "users", said)
        forms = {said, alike, alike.replace(".users ", ".demographics ")}
        if _WRITES.fullmatch(said) and not any(re.fullmatch(each, form) for each in named for form in forms):
            seen.add(said[:120])
    yield from sorted(seen)
