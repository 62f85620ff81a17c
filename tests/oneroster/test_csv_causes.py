"""A broken bundle is refused for everything that is wrong with it, the root cause before what follows from it."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

import pytest

from roster_operator.oneroster.csvfiles.causes import fatal, roots_first
from roster_operator.oneroster.csvfiles.faults import FAULTS, BundleError, Finding
from roster_operator.oneroster.csvfiles.source import CsvSource
from roster_operator.oneroster.csvfiles.validate import validate
from roster_operator.oneroster.entities import Entity
from roster_sample_sis import generate
from roster_sample_sis.bundles import bundle

Files = dict[str, bytes]
Place = tuple[str, str, int]
RAW: dict[str, bytes] = {version: bundle(generate(11, 60), version) for version in ("1.1", "1.2")}


def zipped(change: Callable[[Files], object], version: str = "1.1") -> io.BytesIO:
    with zipfile.ZipFile(io.BytesIO(RAW[version])) as file:
        files: Files = {name: file.read(name) for name in file.namelist()}
    change(files)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return held


def refused(held: io.BytesIO) -> BundleError:
    """As a sync is refused: on opening, or while a file is read."""
    with pytest.raises(BundleError) as caught:
        read(held)
    return caught.value


def read(held: io.BytesIO) -> int:
    with CsvSource(held) as source:
        pages = (page for entity in Entity if source.offers(entity) for page in source.pages(entity))
        return sum(len(page.records) for page in pages)


def places(error: BundleError) -> list[Place]:
    return [(each.code, each.file, each.line) for each in error.findings]


def told(held: io.BytesIO) -> list[Place]:
    """What refuses the bundle, as `roster validate` lists it."""
    found = [each for each in validate(held).findings if each.fault.severity == "error"]
    return [(each.code, each.file, each.line) for each in found if each.fault.reason is not None]


def drop(*names: str) -> Callable[[Files], None]:
    return lambda files: [files.pop(name) for name in names] and None


def many(files: Files) -> None:
    """Something of each kind, the last files first."""
    files["demographics.csv"] = files["demographics.csv"].replace(b"sourcedId", b"nothing", 1)
    files["enrollments.csv"] += b'E,"open'
    files["orgs.csv"] = b"\xff\xfe" + "sourcedId".encode("utf-16-be") + b"\xd8"
    files["manifest.csv"] = files["manifest.csv"].replace(b"manifest.version,1.0", b"manifest.version,9")
    files.pop("users.csv")


def test_the_manifest_comes_before_missing_files_and_those_before_broken_ones() -> None:
    expected = [
        "ManifestVersionUnknown manifest.csv",
        "FileMissing users.csv",
        "BadUTF16 orgs.csv",
        "BadQuoting enrollments.csv",
        "MissingHeader demographics.csv",
    ]
    error = refused(zipped(many))
    assert [f"{code} {file}" for code, file, _ in places(error)] == expected
    assert places(error) == told(zipped(many))
    assert error.finding == error.findings[0]
    assert error.message.startswith(error.finding.sentence)
    assert error.message.endswith(
        " And 4 more, among them FileMissing (users.csv), BadUTF16 (orgs.csv), BadQuoting (enrollments.csv)."
        " `roster validate` shows each."
    )
    assert len(error.message) < 400


def test_without_a_manifest_the_files_are_looked_at_all_the_same() -> None:
    def change(files: Files) -> None:
        files.pop("manifest.csv")
        files["users.csv"] = files["users.csv"].replace(b"givenName", b"nothing", 1)
        files["orgs.csv"] = b""

    expected = [("ManifestMissing", "manifest.csv", 0), ("FileEmpty", "orgs.csv", 0), ("MissingHeader", "users.csv", 1)]
    assert places(refused(zipped(change))) == expected == told(zipped(change))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_without_a_manifest_files_of_either_version_are_no_fault(version: str) -> None:
    held = zipped(drop("manifest.csv"), version)
    assert places(refused(held)) == [("ManifestMissing", "manifest.csv", 0)] == told(held)


def test_a_manifest_that_breaks_off_is_not_asked_for_what_it_may_have_said() -> None:
    def change(files: Files) -> None:
        lines = files["manifest.csv"].splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if line.startswith(b"file.users"))
        lines.insert(at + 1, b"file.orgs\r\n")
        files["manifest.csv"] = b"".join(lines)
        files.pop("users.csv")

    code, *rest = places(refused(zipped(change)))
    assert code[:2] == ("ManifestMalformed", "manifest.csv")
    assert [each[0] for each in rest] in ([], ["FileMissing"])


def test_an_unknown_version_comes_before_the_files_that_are_promised() -> None:
    def change(files: Files) -> None:
        files["manifest.csv"] = files["manifest.csv"].replace(b"oneroster.version,1.1", b"oneroster.version,2.0")
        files.pop("classes.csv")
        files["orgs.csv"] += b'O,"open'

    expected = ["OneRosterVersionUnknown manifest.csv", "FileMissing classes.csv", "BadQuoting orgs.csv"]
    assert [f"{code} {file}" for code, file, _ in places(refused(zipped(change)))] == expected
    assert [f"{code} {file}" for code, file, _ in told(zipped(change))] == expected


def test_every_file_that_breaks_off_in_its_rows_is_told_though_one_is_read_first() -> None:
    def change(files: Files) -> None:
        for name in ("enrollments.csv", "roles.csv", "courses.csv"):
            files[name] += b'X,"open'

    held = zipped(change, "1.2")
    assert [file for _, file, _ in places(refused(held))] == ["courses.csv", "roles.csv", "enrollments.csv"]
    assert told(held) == places(refused(held))


def test_a_missing_users_file_stands_before_its_dangling_references_in_every_list() -> None:
    def change(files: Files) -> None:
        files.pop("users.csv")
        files["orgs.csv"] += b"o9,,,No type,,,\r\n"

    report = validate(zipped(change))
    assert (report.findings[0].code, report.findings[0].file) == ("FileMissing", "users.csv")
    assert report.findings[0].follows > 0
    assert "DanglingReference" not in {code for code, _ in report.counts}


def test_what_is_wrong_with_a_zip_is_told_at_once() -> None:
    held = zipped(lambda files: files.update({"../x.csv": b"x", "inner.tar": b"x", "a/b/users.csv": b"x"}))
    with pytest.raises(BundleError) as caught, CsvSource(held):
        pass
    # Nothing is read of a zip whose directory is not to be trusted, so that is all.
    assert {each.code for each in caught.value.findings} == {"UnsafeName", "NestedArchive"}
    held = zipped(lambda files: files.update({"a/b/users.csv": b"x", "USERS.CSV": b"x"}))
    with pytest.raises(BundleError) as caught, CsvSource(held):
        pass
    assert {each.code for each in caught.value.findings} == {"FolderTooDeep", "DuplicateEntry"}


def test_the_order_depends_on_what_is_wrong_and_not_on_when_it_was_seen() -> None:
    findings = [Finding(code, file, line) for code in FAULTS for file in ("users.csv", "orgs.csv") for line in (2, 1)]
    expected = fatal(findings)
    for seed in range(5):
        shuffled = random.Random(seed).sample(findings, len(findings))
        assert fatal(shuffled) == expected
    stable = roots_first(findings)
    rest = [each for each in findings if each.fault.reason is None]
    assert stable[-len(rest) :] == rest
