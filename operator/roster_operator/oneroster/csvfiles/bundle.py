"""A bundle: a zip or a folder with a manifest and files. Opening one looks at everything once, and keeps nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from . import zips
from .causes import fatal, roots_first
from .encodings import Text, look
from .faults import BundleError, Finding
from .headers import Layout, read_header
from .manifest import Manifest, read_manifest
from .rows import Rows, read
from .tables import FILES, MANIFEST, TABLES, Version

# All files together, inflated. A district of a million people has about one GiB.
MAX_BYTES = 4 << 30
_MAX_MANIFEST = 1 << 20


@dataclass(frozen=True)
class File:
    """One file of the bundle that can be read."""

    mode: str
    text: Text
    layout: Layout

    @property
    def name(self) -> str:
        """The table's name."""
        return self.layout.table.name

    @property
    def shown(self) -> str:
        """The file's name as the standard has it."""
        return self.layout.table.file

    @property
    def bulk(self) -> bool:
        """Whether it is all there is, and not only what changed."""
        return self.mode == "bulk"


class Bundle:
    """A context manager. file: a zip (its path, or a seekable file, which stays open) or a folder's path.

    Making one raises BundleError for a container that cannot be trusted: nothing in it is looked at then. Everything
    else is in `findings`, roots first; `files` holds what can be read of the tables that the manifest offers.
    """

    def __init__(self, file: BinaryIO | Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.name = file.name if isinstance(file, Path) else "bundle"
        self.findings: list[Finding] = []
        self.files: dict[str, File] = {}
        self._left = max_bytes
        self._opened: BinaryIO | None = None
        self._pieces: dict[str, Callable[[], Iterator[bytes]]] = {}
        self._encodings: dict[str, str] = {}
        try:
            if isinstance(file, Path) and file.is_dir():
                self._folder(file)
            else:
                self._zip(self._open(file) if isinstance(file, Path) else file)
            self.manifest = self._manifest()
            self.findings += self.manifest.findings
            if self.manifest.told:
                self._tables(self.manifest.version)
            else:
                self._guessed()
            self.findings = roots_first(self.findings)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what was opened here. May be called twice."""
        if self._opened is not None:
            self._opened.close()

    @property
    def version(self) -> Version:
        """The version of the files; it means nothing where the manifest does not tell."""
        return self.manifest.version

    def rows(self, file: File) -> Iterator[Rows]:
        """The rows of a file without its header. Raises BundleError."""
        slices = read(self._pieces[file.name](), file.text.encoding, file.shown)
        first = next(slices, None)
        if first is None:
            return
        if len(first.rows) > 1:
            yield Rows(first.rows[1:], first.lines[1:], first.long, first.blank)
        yield from slices

    def fatal(self) -> list[Finding]:
        """Everything for which the bundle is refused, roots first. Reads every file to its end."""
        found = list(self.findings)
        for name, encoding in self._encodings.items():
            try:
                for _ in read(self._pieces[name](), encoding, f"{name}.csv"):
                    pass
            except BundleError as error:
                found.append(error.finding)
        return fatal(found)

    def _open(self, path: Path) -> BinaryIO:
        try:
            self._opened = path.open("rb")
        except OSError:
            raise BundleError(Finding("NotAZip")) from None
        return self._opened

    def _zip(self, file: BinaryIO) -> None:
        refused: list[Finding] = []
        for entry in zips.entries(file):
            try:
                self._entry(file, entry)
            except BundleError as error:
                refused.append(error.finding)
        if refused:
            raise BundleError(*fatal(refused))

    def _entry(self, file: BinaryIO, entry: zips.Entry) -> None:
        folder, _, name = entry.name.rpartition("/")
        if self._takes(folder, name):
            shown = f"{FILES[name.lower()]}.csv"
            self._add(name, lambda: zips.contents(file, entry, shown))
            if entry.size > self._left:
                raise BundleError(Finding("BundleTooLarge"))
            self._left -= entry.size
        elif entry.size and next(zips.contents(file, entry, ""), b"")[:4] == b"PK\x03\x04":
            raise BundleError(Finding("NestedArchive"))

    def _folder(self, folder: Path) -> None:
        inside = [folder] if any(folder.glob("*.[cC][sS][vV]")) else sorted(p for p in folder.iterdir() if p.is_dir())
        for place in inside[:1]:
            for number, path in enumerate(sorted(place.iterdir())):
                if number >= zips.MAX_ENTRIES:
                    raise BundleError(Finding("TooManyEntries"))
                if not path.is_file() or not self._takes("" if place == folder else place.name, path.name):
                    continue
                size = path.stat().st_size
                if size > self._left:
                    raise BundleError(Finding("BundleTooLarge"))
                self._left -= size
                self._add(path.name, lambda path=path: _plain(path))

    def _takes(self, folder: str, name: str) -> bool:
        """Whether this is a file of the standard; notes what is odd about its place and name."""
        known = FILES.get(name.lower())
        if known is None:
            if not name.startswith("."):
                self.findings.append(Finding("FileUnknown"))
            return False
        if "/" in folder:
            raise BundleError(Finding("FolderTooDeep", f"{known}.csv"))
        if folder and not any(finding.code == "FolderInZip" for finding in self.findings):
            self.findings.append(Finding("FolderInZip"))
        if name != f"{known}.csv":
            self.findings.append(Finding("FileNameCase", f"{known}.csv"))
        return True

    def _add(self, name: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        known = FILES[name.lower()]
        if known in self._pieces:
            raise BundleError(Finding("DuplicateEntry", f"{known}.csv"))
        self._pieces[known] = pieces

    def _manifest(self) -> Manifest:
        if MANIFEST not in self._pieces:
            return Manifest(findings=[Finding("ManifestMissing", "manifest.csv")])
        try:
            return read_manifest(self._properties("manifest.csv"), self._pieces.keys() - {MANIFEST})
        except BundleError as error:
            return Manifest(findings=[error.finding])

    def _properties(self, shown: str) -> list[tuple[int, list[str]]]:
        text = look(self._pieces[MANIFEST](), shown)
        if text.size > _MAX_MANIFEST:
            raise BundleError(Finding("BundleTooLarge", shown))
        return [
            (line, row)
            for part in read(self._pieces[MANIFEST](), text.encoding, shown)
            for line, row in zip(part.lines, part.rows, strict=True)
        ]

    def _tables(self, version: Version) -> None:
        for name, mode in self.manifest.modes.items():
            table = TABLES[version][name]
            found = self._begin(table.file, name)
            if found is None:
                continue
            text, begin = found
            layout = read_header(table, version, begin.rows[0], begin.lines[0])
            self.findings += layout.findings
            if layout.usable:
                self.files[name] = File(mode, text, layout)

    def _guessed(self) -> None:
        """Without a version: what is wrong with the files whichever it be."""
        for name in TABLES["1.2"]:
            found = self._begin(f"{name}.csv", name) if name in self._pieces else None
            if found is None:
                continue
            _, begin = found
            each = [
                [one for one in read_header(tables[name], version, begin.rows[0], begin.lines[0]).findings
                 if one.fault.severity == "error"]
                for version, tables in TABLES.items() if name in tables
            ]  # fmt: skip
            self.findings += min(each, key=len)

    def _begin(self, shown: str, name: str) -> tuple[Text, Rows] | None:
        """What a look at the whole file says, and its first rows; None where it cannot be read."""
        pieces = self._pieces[name]
        try:
            text = look(pieces(), shown)
            begin = next(read(pieces(), text.encoding, shown), None)
        except BundleError as error:
            self.findings.append(error.finding)
            return None
        self._encodings[name] = text.encoding
        self.findings += [Finding(code, shown) for code in text.odd]
        if begin is None or not begin.rows:
            self.findings.append(Finding("FileEmpty", shown))
            return None
        return text, begin


def _plain(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(zips.CHUNK):
                yield piece
    except OSError:
        raise BundleError(Finding("FileUnreadable", path.name)) from None
