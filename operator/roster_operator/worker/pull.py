"""One entity from the source into its staging table: hash, look up, decode only what is new, check references.

The data flow is that of docs/decisions/0002: a record whose bytes were merged before is recognised by its hash and not
even decoded.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import psycopg
import xxhash

from roster_operator.oneroster.choices import Choices
from roster_operator.oneroster.entities import OPTIONAL, Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.intake import Intake, filled, masked_fields
from roster_operator.oneroster.paging import Page, completeness
from roster_operator.oneroster.problems import Decoded
from roster_operator.oneroster.records import Record, canonical
from roster_operator.oneroster.references import REFERENCES, ReferenceField
from roster_operator.oneroster.scope import current_sessions, judges, out_of_scope
from roster_operator.oneroster.source import Source
from roster_operator.store.newcomers import known_otherwise
from roster_operator.store.seen import Hashes, SeenIndex, distinct
from roster_operator.store.stage import Issue, Stage, TableStage, known_sessions, merged_rows, missing_merged
from roster_operator.store.tables import BY_ENTITY

from .decisions import Pull
from .failures import DeltaNotEnoughError
from .file_issues import OfFiles, name_of
from .known import KnownIds, hashes_of, id_hash
from .role_rows import RoleRows, ShowsChangedRoles

# Part of every raw hash: raise it when records are read differently, so that no row hides behind its old bytes.
READING = 2
RESTARTS = 2
_OPTIONAL_MISSING = frozenset({Reason.SCOPE_MISSING, Reason.FORBIDDEN, Reason.NOT_FOUND})

Progress = Callable[[str, int, int | None], None]  # entity, records so far, total


@dataclass(frozen=True)
class _Place:
    """Where a record stood: on a page of a server, or on a line of a file."""

    page: int | None
    line: int | None
    file: str | None


_NOWHERE = _Place(None, None, None)


@dataclass
class _Suspect:
    """A record that refers to something which this pull did not stage: merged before, or missing."""

    sourced_id: str
    place: _Place
    missing: dict[ReferenceField, list[str]] = field(default_factory=dict[ReferenceField, list[str]])
    resolved: set[ReferenceField] = field(default_factory=set[ReferenceField])


class EntityPull:
    """The pull of one entity. `run` does it all; a listing that shifted is read again, RESTARTS times at most."""

    def __init__(
        self,
        source: Source,
        conn: psycopg.Connection,
        stage: Stage,
        entity: Entity,
        known: KnownIds,
        choices: Choices,
        progress: Progress,
        *,
        or_whole: bool = False,
    ) -> None:
        """or_whole: where a pull of changes may show people under another sourcedId, DeltaNotEnoughError is raised.
        Otherwise these people are skipped, and stay as they are."""
        self._or_whole = or_whole
        self._source = source
        self._conn = conn
        self._stage = stage
        self._entity = entity
        self._table = BY_ENTITY[entity.value]
        self._known = known
        self._progress = progress
        self._choices = choices
        self._intake = Intake(choices, entity)
        self._judges = judges(choices, entity)
        reading = f"{READING}/{source.version}/{entity.value}/{source.reading(entity)}"
        # Other settings make other records of the same bytes, so they are part of what is recognised.
        self._seed = id_hash(reading + (f"/{self._intake.reading}" if self._intake.reading else ""))
        self._index = SeenIndex.load(conn, self._table)
        self.active = self._index.active

    def run(self) -> Pull:
        """Stage the entity. Raises OneRosterError, StoreError."""
        if self._entity not in self._choices.entities or not self._source.offers(self._entity):
            return Pull(pulled=False)
        for restart in range(RESTARTS + 1):
            self._begin()
            try:
                for page in self._source.pages(self._entity):
                    self._take(page)
            except OneRosterError as error:
                if self._entity in OPTIONAL and error.reason in _OPTIONAL_MISSING:
                    self._again()  # nothing of it counts, not even the pages that came before
                    return Pull(pulled=False)
                if error.reason is Reason.LISTING_UNSTABLE and restart < RESTARTS:
                    self._again()
                    continue
                raise
            self._rows.flush()
            self._write_issues()
            # Of a delta nothing vanishes, so what it did not show is of no interest.
            if not self._source.report(self._entity).delta:
                self._stage.unseen(self._table, self._index.unseen())
            twice = self._rows.shown_twice(self._index)
            changed = self._source.report(self._entity).revision_changed
            if (twice or changed or self._shifted()) and restart < RESTARTS:
                self._again()
                continue
            return self._end(restart, twice)
        raise AssertionError("the last round always ends")

    def _begin(self) -> None:
        self._rows: TableStage = self._stage.table(self._table)
        self._decode = self._intake.decoder(self._source.decoder(self._entity))
        source = self._source
        self._role_rows = (
            RoleRows(source, self._conn, self._decode, self._intake.emptied)
            if self._entity is Entity.USERS and isinstance(source, ShowsChangedRoles)
            else None
        )
        self._issues: list[Issue] = []
        self._suspects: list[_Suspect] = []
        self._ids = array("Q")  # hashes of the ids of all misses that have one
        self._id_pages = array("I")
        self._id_lines = array("I")  # of files: where each of them begins
        self._valid = array("Q")
        self._repeats: dict[str, _Place] = {}  # records shown twice with the same bytes, and where the second time
        self._unfit = array("Q")  # ids of records that are skipped though they were decoded: nothing may refer to them
        self._left_out = array("Q")  # ids of records that are out of scope
        self._nameless = 0

    def _again(self) -> None:
        self._rows.drop_pending()
        self._stage.restart(self._table)
        self._index.restart()

    def _take(self, page: Page) -> None:
        records = page.records
        seed = self._seed
        digest = xxhash.xxh3_64_intdigest
        hashes = np.fromiter((digest(record, seed) for record in records), dtype=np.uint64, count=len(records))
        misses, repeated = self._index.look_up(hashes)
        for position in repeated.tolist():
            decoded = self._decode(records[position])
            if decoded.sourced_id is not None:
                self._repeats.setdefault(decoded.sourced_id, _place(page, position))
        if len(misses):
            self._stage_misses(page, misses.tolist(), hashes)
        self._progress(self._entity.value, page.offset + len(records), page.total)

    def _stage_misses(self, page: Page, misses: list[int], hashes: Hashes) -> None:
        rows, number = self._rows, page.number
        signed: list[int] = hashes.view(np.int64).tolist()
        decode = self._decode
        read: Iterable[Decoded] = (decode(page.records[position]) for position in misses)
        if self._role_rows is not None:
            read = self._role_rows.completed(list(read))
        if self._judges:
            read = self._scoped(list(read))
        staged: list[Record] = []
        places: list[_Place] = []
        masked: list[tuple[Record, int | None, list[str]]] = []
        for position, (record, sourced_id, problems, secret) in zip(misses, read, strict=True):
            for n, problem in enumerate(problems):
                self._note(
                    sourced_id, problem.code, problem.severity, problem.field, _place(page, position),
                    before=problems[:n].count(problem),
                )  # fmt: skip
            if sourced_id is None:
                self._nameless += 1
                continue
            hashed = id_hash(sourced_id)
            self._ids.append(hashed)
            self._id_pages.append(number)
            if page.lines is not None:
                self._id_lines.append(page.lines[position])
            if record is None:
                if problems:
                    self._unfit.append(hashed)  # another record with this id may be readable: neither is taken
                continue
            self._valid.append(hashed)
            raw_hash = None if secret else signed[position]
            if problems and (withheld := masked_fields(self._entity, problems)):
                masked.append((record, raw_hash, withheld))
            else:
                _add(rows, record, raw_hash)
            # What is marked as deleted goes, whatever became of the records that it refers to.
            if record.status == "active":
                staged.append(record)
                places.append(_place(page, position))
        if masked:
            merged = merged_rows(self._conn, self._table, [record.sourced_id for record, _, _ in masked])
            for record, raw_hash, withheld in masked:
                _add(rows, filled(record, withheld, merged.get(record.sourced_id)), raw_hash)
        self._check_references(staged, places)
        if len(self._issues) >= _ISSUE_BATCH:
            self._write_issues()

    def _scoped(self, read: list[Decoded]) -> list[Decoded]:
        """The records without those that are out of scope, of which only the id is left."""
        known = [(at, decoded.record) for at, decoded in enumerate(read) if decoded.record is not None]
        records = [record for _, record in known]
        out = out_of_scope(self._choices, self._entity, records, self._known.left_out)
        gone = [records[n].sourced_id for n in sorted(out)]
        for n in out:
            read[known[n][0]] = Decoded(None, records[n].sourced_id, (), False)
        self._leave_out(gone, shown=True)
        return read

    def _leave_out(self, sourced_ids: Sequence[str], *, shown: bool) -> None:
        self._stage.scoped_out(self._table, sourced_ids, shown=shown)
        self._left_out.extend(id_hash(sourced_id) for sourced_id in sourced_ids)

    def _leave_out_sessions(self) -> None:
        """Which school year is under way only all sessions together tell."""
        if self._entity is not Entity.ACADEMIC_SESSIONS or not self._choices.current_terms:
            return
        sessions = known_sessions(self._conn, self._stage, partial=self._source.report(self._entity).delta)
        current = current_sessions(sessions, self._choices.today)
        for shown in (True, False):
            gone = [each.sourced_id for each in sessions if each.sourced_id not in current and each.shown is shown]
            self._leave_out(gone, shown=shown)

    def _note(
        self,
        sourced_id: str | None,
        code: str,
        severity: str,
        field: str | None,
        place: _Place,
        *,
        ids: Collection[str] = (),
        before: int = 0,
    ) -> None:
        """ids: what the field refers to in vain. before: how many times the record was said to have this already."""
        entity = self._entity.value
        name = name_of(self._source, self._entity, field)
        if place.line is None or not isinstance(self._source, OfFiles):
            self._issues.append(Issue(entity, sourced_id, code, severity, name, place.page))
            return
        file, line = place.file or f"{entity}.csv", place.line
        if sourced_id is not None:
            other = self._source.lines_of(self._entity, sourced_id, self._decode, code, field, ids)
            file, lines = other or (file, [line])
            line = lines[min(before, len(lines) - 1)]
        self._issues.append(Issue(entity, sourced_id, code, severity, name, file=file, line=line))

    def _check_references(self, records: Sequence[Record], places: Sequence[_Place]) -> None:
        """Note the records that refer to something which this pull has not staged."""
        if not records:
            return
        suspects: dict[int, _Suspect] = {}
        for reference in REFERENCES[self._entity]:
            if reference.target not in self._choices.entities:
                continue
            owners, ids = _targets(records, reference)
            unknown = self._known.unknown(reference.target, ids)
            if unknown:
                left_out = self._known.left_out(reference.target, {ids[at] for at in unknown})
                unknown = [at for at in unknown if ids[at] not in left_out]
            if not unknown:
                continue
            gone = set(unknown)
            for at in unknown:
                owner = owners[at]
                suspect = suspects.setdefault(owner, _Suspect(records[owner].sourced_id, places[owner]))
                suspect.missing.setdefault(reference, []).append(ids[at])
            if reference.many:
                for at, owner in enumerate(owners):
                    if at not in gone and owner in suspects:
                        suspects[owner].resolved.add(reference)
        self._suspects.extend(suspects.values())
        # Everything that they may refer to was pulled before them, so they need not wait for the end.
        if len(self._suspects) >= _SUSPECT_BATCH:
            self._judge_suspects()

    def _judge_suspects(self) -> None:
        """What is neither staged nor merged dangles: the record is skipped where it means nothing without it."""
        wanted: dict[Entity, set[str]] = {}
        for suspect in self._suspects:
            for reference, ids in suspect.missing.items():
                wanted.setdefault(reference.target, set()).update(ids)
        missing = {
            target: missing_merged(self._conn, BY_ENTITY[target.value], sorted(ids)) for target, ids in wanted.items()
        }
        for suspect in self._suspects:
            for reference, ids in suspect.missing.items():
                dangling = [i for i in ids if i in missing[reference.target]]
                if not dangling:
                    continue
                alive = reference in suspect.resolved or len(dangling) < len(ids)
                severity = "error" if reference.required and not alive else "warning"
                if severity == "error":
                    self._unfit.append(id_hash(suspect.sourced_id))
                self._note(
                    suspect.sourced_id, "DanglingReference", severity, reference.name, suspect.place, ids=dangling
                )
        self._suspects.clear()

    def _missing_schools(self) -> list[Issue]:
        """Schools that the scope names and nobody knows: a slip of the pen would leave out everything."""
        if self._entity is not Entity.ORGS or not self._choices.schools or self._source.report(self._entity).delta:
            return []
        valid = set(self._valid)
        asked = sorted(school for school in self._choices.schools if id_hash(school) not in valid)
        missing = missing_merged(self._conn, self._table, asked)
        return [Issue(self._entity.value, i, "ScopedSchoolMissing", "warning", "sourcedId") for i in sorted(missing)]

    def _skip_known_otherwise(self) -> None:
        """Merged under the new id before the old one is known to be gone, a person would be two for good."""
        found = known_otherwise(self._conn, self._stage, self._index) if self._rows.rows and self.active else {}
        if found and self._or_whole:
            raise DeltaNotEnoughError
        self._unfit.extend(id_hash(sourced_id) for sourced_id in found)
        places = self._last_places(found)
        for sourced_id, basis in found.items():
            self._note(sourced_id, "KnownUnderAnotherId", "error", basis, places.get(sourced_id, _NOWHERE))

    def _shifted(self) -> bool:
        """The same id on two pages: the listing moved while it was read, so another record may be lost."""
        if self._repeats:
            return True
        ids = hashes_of(self._ids)
        once = len(distinct(ids))
        if once == len(ids):
            return False
        pages = np.frombuffer(self._id_pages, dtype=np.uint32)
        pairs = np.unique(np.stack([ids, pages.astype(np.uint64)]), axis=1).shape[1]
        return pairs != once

    def _end(self, restarts: int, twice: Sequence[str]) -> Pull:
        self._judge_suspects()
        self._leave_out_sessions()
        ids = hashes_of(self._ids)
        distinct_missed = len(distinct(ids))
        # Ids that came twice, in whatever way: nobody can tell which record is true, so none of them is taken.
        doubled = {*twice, *self._repeats}
        if distinct_missed != len(ids):
            doubled.update(self._rows.duplicates())
        self._issues.extend(self._missing_schools())
        if self._source.report(self._entity).delta and self._entity is Entity.USERS:
            self._skip_known_otherwise()
        self._note_doubled(doubled)
        self._write_issues()
        received = self._index.seen_count + distinct_missed - len(set(twice))
        invalid = self._stage.skipped(self._entity.value) + self._nameless
        self._unfit.extend(id_hash(sourced_id) for sourced_id in doubled)
        self._known.put(self._entity, self._valid, self._unfit, self._left_out)
        report = self._source.report(self._entity)
        proof = completeness(report, received)
        reason = None if proof.complete else "RecordWithoutId" if self._nameless else proof.reason
        return Pull(
            pulled=True,
            received=received + self._nameless,
            invalid=invalid,
            total=report.total,
            pages=report.pages,
            restarts=restarts,
            complete=proof.complete,
            reason=reason,
            delta=report.delta,
            staged=self._rows.rows,
        )

    def _note_doubled(self, doubled: Collection[str]) -> None:
        """Of each id the last place that is known: there it stands again."""
        places = self._last_places(doubled)
        for sourced_id in doubled:
            place = self._repeats.get(sourced_id) or _NOWHERE
            self._note(sourced_id, "DuplicateSourcedId", "error", "sourcedId", places.get(sourced_id, place))

    def _last_places(self, sourced_ids: Collection[str]) -> dict[str, _Place]:
        """Where each of these records stood last, of those that were not recognised."""
        if not sourced_ids:
            return {}
        ids = hashes_of(self._ids)
        wanted = np.fromiter((id_hash(each) for each in sourced_ids), dtype=np.uint64, count=len(sourced_ids))
        last = {int(ids[n]): int(n) for n in np.flatnonzero(np.isin(ids, wanted))}
        lines = self._id_lines
        return {
            sourced_id: _Place(self._id_pages[n], lines[n] if lines else None, None)
            for sourced_id, hashed in zip(sourced_ids, wanted.tolist(), strict=True)
            if (n := last.get(hashed)) is not None
        }

    def _write_issues(self) -> None:
        self._stage.issues(self._issues)
        self._issues.clear()


def _place(page: Page, position: int) -> _Place:
    return _Place(page.number, None if page.lines is None else page.lines[position], page.file)


def _add(rows: TableStage, record: Record, raw_hash: int | None) -> None:
    values = msgspec.structs.astuple(record)
    row_hash = "\\x" + hashlib.sha256(canonical(record)).hexdigest()
    rows.add(record.sourced_id, record.status, raw_hash, row_hash, values[2:])


_ISSUE_BATCH = 5000
_SUSPECT_BATCH = 5000


def _targets(records: Sequence[Record], reference: ReferenceField) -> tuple[list[int], list[str]]:
    """(position of the record, id that it refers to) for each reference, as two lists."""
    values: list[Any] = [getattr(record, reference.name) for record in records]
    if reference.many:
        owners = [n for n, ids in enumerate(values) for _ in ids]
        return owners, [i for ids in values for i in ids]
    if reference.required:
        return list(range(len(values))), values
    owners = [n for n, i in enumerate(values) if i is not None]
    return owners, [values[n] for n in owners]
