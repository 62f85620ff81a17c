"""`roster validate` as a person runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from roster_sample_sis import generate
from roster_sample_sis.bundles import bundle

DISTRICT = generate(11, 300)


def roster(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "roster_operator.cli", "validate", *arguments],
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.zip"
    path.write_bytes(bundle(DISTRICT, "1.2"))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Two rows that nobody can read, one of them a person whose name must not be shown."""
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(io.BytesIO(bundle(DISTRICT, "1.1"))) as source, zipfile.ZipFile(path, "w") as file:
        for name in source.namelist():
            data = source.read(name)
            if name == "orgs.csv":
                data += b"canary-org,,,Canary,,,\r\n"
            if name == "users.csv":
                data += b"canary,,,sometimes,ORG00101,student,c,,Canary,Canary,,,,,,,,\r\n"
            file.writestr(name, data)
    return path


def test_a_good_bundle_and_its_folder(good: Path, tmp_path: Path) -> None:
    assert "0 errors" in roster(str(good))
    folder = tmp_path / "folder"
    with zipfile.ZipFile(good) as file:
        file.extractall(folder)
    assert "0 errors" in roster(str(folder), "--strict")
    assert "folder: OneRoster" in roster(str(folder / ".." / "folder" / "."))


def test_a_bad_bundle_as_a_table_never_shows_a_value(bad: Path) -> None:
    told = roster(str(bad), code=1)
    assert "error orgs.csv: MissingRequired" in told
    assert "type" in told
    assert "BadBoolean" in told
    assert "canary" not in told.lower()


def test_json_says_place_rule_and_remedy(bad: Path) -> None:
    found = json.loads(roster(str(bad), "-o", "json", code=1))
    assert (found["kind"], found["valid"], found["conforms"], found["errors"]) == ("Validation", False, False, 2)
    assert found["rejected"] == ["orgs.csv", "users.csv"]
    (row,) = [each for each in found["findings"] if each["code"] == "BadBoolean"]
    assert (row["file"], row["column"], row["severity"]) == ("users.csv", "enabledUser", "error")
    assert row["line"] == len(DISTRICT.users) + 2
    assert row["remedy"]


def test_csv_has_a_line_for_each_finding(bad: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(roster(str(bad), "-o", "csv", code=1))))
    assert {"MissingRequired", "BadBoolean"} <= {row["code"] for row in rows}


def test_the_counts_of_each_school_are_in_every_output(tmp_path: Path) -> None:
    path = tmp_path / "grades.zip"
    with zipfile.ZipFile(io.BytesIO(bundle(DISTRICT, "1.1"))) as source, zipfile.ZipFile(path, "w") as file:
        for name in source.namelist():
            data = source.read(name)
            if name == "enrollments.csv":
                head, *rows = data.decode().splitlines()
                at = head.split(",").index("beginDate")
                rows = [",".join([*row.split(",")[:at], "soon", *row.split(",")[at + 1 :]]) for row in rows]
                data = "\r\n".join([head, *rows, ""]).encode()
            file.writestr(name, data)
    found = json.loads(roster(str(path), "-o", "json", code=1))
    (kind,) = [each for each in found["counts"] if each["code"] == "BadDate"]
    by_school = {each["line"]: each["count"] for each in kind["schools"]}
    assert sum(by_school.values()) == kind["count"] > 1000
    assert kind["remedy"]
    assert len(by_school) > 1
    summed: dict[int, int] = {}
    for row in csv.DictReader(io.StringIO(roster(str(path), "-o", "csv", code=1))):
        if row["code"] == "BadDate":
            summed[int(row["school"])] = summed.get(int(row["school"]), 0) + int(row["count"])
    assert summed == by_school
    line, most = max(by_school.items(), key=lambda item: (item[1], -item[0]))
    assert f"by school: {most:,} at orgs.csv line {line}" in roster(str(path), code=1)


def test_the_conformance_log_of_a_good_and_a_bad_bundle(good: Path, bad: Path) -> None:
    (log,) = csv.DictReader(io.StringIO(roster(str(good), "-o", "conformance")))
    assert (log["Test Identifier"], log["Status"], log["CSV Files Rejected"]) == ("good.zip", "Success", "")
    assert "users.csv" in log["CSV Files Imported"].split()
    (log,) = csv.DictReader(io.StringIO(roster(str(bad), "-o", "conformance", code=1)))
    assert (log["Status"], log["CSV Files Rejected"].split()) == ("Fail", ["orgs.csv", "users.csv"])
    assert "users.csv, line" in log["Comment"]
    assert set(log) == {
        "Test Identifier",
        "Test Date",
        "Status",
        "CSV Files Imported",
        "CSV Files Rejected",
        "Comment",
    }


def test_strict_also_fails_for_what_was_understood(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "folded.zip"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as file:
        for name in source.namelist():
            file.writestr(f"export/{name}", source.read(name))
    assert "FolderInZip" in roster(str(path))
    roster(str(path), "--strict", code=1)


def test_what_is_no_bundle_is_told_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "notes.zip"
    path.write_text("canary, and no zip")
    told = roster(str(path), code=1)
    assert "NotAZip" in told
    assert "canary" not in told
