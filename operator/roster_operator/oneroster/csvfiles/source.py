"""A bundle of CSV files as a source of records, by the same protocol as a server."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.paging import Page, PullReport
from roster_operator.oneroster.problems import Decoded
from roster_operator.oneroster.records import User
from roster_operator.oneroster.source import Raw

from .bundle import MAX_BYTES, Bundle, File
from .causes import fatal
from .faults import BundleError, Finding
from .folding import Roles, Shown
from .places import column_of
from .report import KEPT
from .rows import Rows
from .shaping import CsvDecoder, Shaper, role, roles_alone
from .tables import Version

_PAGE = 2_000


class CsvSource:
    """A context manager around one bundle: a zip (a path, or a seekable file, which stays open) or a folder.

    Entering it looks at every file once, to its end, and raises BundleError (a OneRosterError) for whatever is wrong
    with the bundle as a whole. `findings` holds what is odd about the files and was understood.
    """

    def __init__(self, file: BinaryIO | Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._reports: dict[Entity, PullReport] = {}
        self._roles: Roles | None = None
        self._gone: Roles | None = None
        self.findings: list[Finding] = []

    def __enter__(self) -> Self:
        self._bundle = Bundle(self._file, max_bytes=self._max_bytes)
        if fatal(self._bundle.findings):
            with self._bundle as broken:
                raise BundleError(*broken.fatal())
        self.findings = list(self._bundle.findings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bundle.close()

    @property
    def version(self) -> Version:
        """The version that the manifest names."""
        return self._bundle.version

    def reading(self, entity: Entity) -> str:
        """Bulk or delta: in the one an empty status means active. The bytes of a row say the rest."""
        file = self._bundle.files.get(entity.value)
        return "csv" if file is None else f"csv/{file.mode}"

    def offers(self, entity: Entity) -> bool:
        """False where the manifest calls the file absent. A delta of roles alone is one of users."""
        return entity.value in self._bundle.files or (entity is Entity.USERS and self._some_roles)

    @property
    def _some_roles(self) -> bool:
        """Whether only the roles that changed are shown: roles.csv is a delta, or absent beside a delta of users."""
        if self.version != "1.2":
            return False
        file = self._bundle.files.get("roles") or self._bundle.files.get("users")
        return file is not None and not file.bulk

    def gone_roles(self, sourced_ids: Sequence[str]) -> dict[str, bytes]:
        """Of these users, those that lose roles by a delta: a record of each with what it loses."""
        if not self._some_roles:
            return {}
        lost = zip(sourced_ids, self._gone_roles().of(sourced_ids), strict=True)
        return {sourced_id: roles_alone(sourced_id, roles) for sourced_id, roles in lost if roles}

    def decoder(self, entity: Entity) -> CsvDecoder:
        """Reads one row."""
        return CsvDecoder(entity, self.version)

    def name_of(self, entity: Entity, field: str | None) -> str | None:
        """The column of a field, which is named as REST or as the record names it."""
        return column_of(entity, self.version, field).name

    def lines_of(
        self,
        entity: Entity,
        sourced_id: str,
        decode: Callable[[Raw], Decoded],
        code: str,
        field: str | None,
        ids: Collection[str],
    ) -> tuple[str, list[int]] | None:
        """The file and the lines that a problem of a record stands on, where that is another file than the record's.

        decode: as the records are read, by the settings. ids: what the field refers to in vain, if that is the problem.
        """
        table = column_of(entity, self.version, field).table
        if table == entity.value:
            return None
        rows = self._folded().placed(sourced_id)
        if self._some_roles:
            rows += self._gone_roles().placed(sourced_id)
        guilty: list[int] = []
        for line, text in rows:
            decoded = decode(roles_alone(sourced_id, [text]))
            orgs = decoded.record.org_sourced_ids if isinstance(decoded.record, User) else ()
            if any(each in ids for each in orgs) or any(
                (each.code, each.field) == (code, field) for each in decoded.problems
            ):
                guilty.append(line)
        lines = guilty or [line for line, _ in rows]
        return (f"{table}.csv", lines) if lines else None

    def report(self, entity: Entity) -> PullReport:
        """What the last walk through the file saw."""
        return self._reports[entity]

    def pages(self, entity: Entity) -> Iterator[Page]:
        """The rows of a file, from the first. Raises BundleError where the file breaks off or its quotes do; it tells
        of all files that do."""
        try:
            yield from self._pages(entity)
        except BundleError as error:
            others = [each for each in self._bundle.fatal() if each != error.finding]
            raise BundleError(*fatal([error.finding, *others])) from None

    def _pages(self, entity: Entity) -> Iterator[Page]:
        some = entity is Entity.USERS and self._some_roles
        shown = Shown()
        if some and entity.value not in self._bundle.files:
            owners = self._owners(shown)
            yield from self._alone(owners, 0, 0)
            self._reports[entity] = _shown_roles(len(owners))
            return
        file = self._bundle.files[entity.value]
        self._reports[entity] = PullReport(entity, 0, 0, None, None, False, False, 0, delta=not file.bulk)
        shaper = Shaper(file.layout, bulk=file.bulk, some_roles=some)
        roles = self._folded() if entity is Entity.USERS and self.version == "1.2" else None
        at = file.layout.at["sourcedId"]
        number = count = largest = 0
        records: list[bytes] = []
        lines: list[int] = []
        short = False
        blank: Finding | None = None
        for part in self._bundle.rows(file):
            if part.blank and blank is None:
                blank = Finding("BlankLine", file.shown, part.blank[0])
            if part.rows:
                short = len(part.rows[-1]) < file.layout.named
            if some:
                shown.add(row[at] for row in part.rows if at < len(row))
            records += _shaped(shaper, part, roles, at)
            lines += part.lines
            if len(records) >= _PAGE:
                number += 1
                yield Page(number, count, records, None, lines)
                count, largest = count + len(records), max(largest, len(records))
                records, lines = [], []
        if records:
            number += 1
            yield Page(number, count, records, None, lines)
            count, largest = count + len(records), max(largest, len(records))
        for page in self._alone(self._owners(shown), number, count) if some else ():
            yield page
            number, count = page.number, count + len(page.records)
        unproved = self._odd(file, shaper, count, cut=short and not file.text.whole, blank=blank)
        if roles is not None and count:
            self._of_nobody(roles)
        self._reports[entity] = PullReport(
            entity, number, count, count, "end of file", False, False, largest, not file.bulk, unproved
        )

    def _odd(self, file: File, shaper: Shaper, count: int, *, cut: bool, blank: Finding | None) -> str | None:
        """Notes what the walk saw. Gives the reason why the file is no proof, or None."""
        codes = {
            "PasswordPresent": shaper.passwords,
            "StatusInBulk": shaper.filled,
            "CutShort": cut,
            "HeaderOnly": file.bulk and not count,
        }
        found = [Finding(code, file.shown) for code, there in codes.items() if there]
        self._note((*found, *([blank] if blank else [])))
        return "HeaderOnly" if codes["HeaderOnly"] else "CutShort" if cut else None

    def _of_nobody(self, roles: Roles) -> None:
        """Notes the rows of roles.csv whose users the bundle does not have. Of a delta nobody knows that they are not
        there."""
        file = self._bundle.files.get("roles")
        if file is not None and file.bulk and self._bundle.files[Entity.USERS.value].bulk:
            lines = roles.of_nobody(KEPT)
            self._note(Finding("DanglingReference", file.shown, line, "userSourcedId") for line in lines)

    def _note(self, findings: Iterable[Finding]) -> None:
        """Adds to the findings; a file may be walked through again."""
        told = set(self.findings)
        self.findings += [finding for finding in findings if finding not in told]

    def _alone(self, owners: dict[str, int], number: int, count: int) -> Iterator[Page]:
        """Behind page `number` and `count` records: the users of whom only roles are shown, with lines of roles.csv."""
        users, roles = list(owners), self._folded()
        for first in range(0, len(users), _PAGE):
            some = users[first : first + _PAGE]
            records = [roles_alone(user, theirs) for user, theirs in zip(some, roles.of(some), strict=True)]
            number += 1
            yield Page(number, count + first, records, None, [owners[user] for user in some], "roles.csv")

    def _owners(self, shown: Shown) -> dict[str, int]:
        """Whose roles a delta shows beside these users, and the first line on which it does."""
        file = self._bundle.files.get("roles")
        owners: dict[str, int] = {}
        if file is None:
            return owners
        at = file.layout.at["userSourcedId"]
        for part in self._bundle.rows(file):
            rows = [
                (row[at], line) for row, line in zip(part.rows, part.lines, strict=True) if at < len(row) and row[at]
            ]
            for n in shown.others([user for user, _ in rows]):
                owners.setdefault(*rows[n])
        return owners

    def _folded(self) -> Roles:
        if self._roles is None:
            self._roles = self._read_roles(gone=False)
        return self._roles

    def _gone_roles(self) -> Roles:
        if self._gone is None:
            self._gone = self._read_roles(gone=True)
        return self._gone

    def _read_roles(self, *, gone: bool) -> Roles:
        file = self._bundle.files.get("roles")
        if file is None:
            return Roles(())
        shaper = Shaper(file.layout, bulk=file.bulk)
        rows = (each for part in self._bundle.rows(file) for each in zip(part.rows, part.lines, strict=True))
        found = ((role(shaper, file.layout, row, gone=gone), line) for row, line in rows)
        return Roles((*each, line) if each else None for each, line in found)


def _shown_roles(count: int) -> PullReport:
    """Of a delta that has roles and no users."""
    pages, largest = -(-count // _PAGE), min(count, _PAGE)
    return PullReport(Entity.USERS, pages, count, count, "end of file", False, False, largest, delta=True)


def _shaped(shaper: Shaper, part: Rows, roles: Roles | None, at: int) -> list[bytes]:
    if roles is None:
        return [shaper.row(row) for row in part.rows]
    users = [row[at] if at < len(row) else "" for row in part.rows]
    return [shaper.row(row, theirs) for row, theirs in zip(part.rows, roles.of(users), strict=True)]
