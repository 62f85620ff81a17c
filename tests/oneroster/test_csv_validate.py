"""Validation says each fault once, at its place, and the root before what follows from it."""

from __future__ import annotations

import csv
import io
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roster_operator.oneroster.csvfiles.faults import FAULTS
from roster_operator.oneroster.csvfiles.report import KEPT, Report
from roster_operator.oneroster.csvfiles.validate import validate
from roster_sample_sis import generate
from roster_sample_sis.bundles import bundle

Files = dict[str, list[str]]
DISTRICT = generate(11, 300)
RAW: dict[str, bytes] = {version: bundle(DISTRICT, version) for version in ("1.1", "1.2")}


def changed(version: str = "1.1", change: Callable[[Files], object] = lambda files: None) -> Report:
    """The sample district with some lines changed."""
    with zipfile.ZipFile(io.BytesIO(RAW[version])) as file:
        files: Files = {name: file.read(name).decode().splitlines() for name in file.namelist()}
    change(files)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name, lines in files.items():
            file.writestr(name, "\r\n".join(lines) + "\r\n")
    return validate(held)


def put(name: str, line: int, /, **cells: str) -> Callable[[Files], None]:
    """Other cells on a line; 1 is the header."""

    def change(files: Files) -> None:
        header, row = next(csv.reader(files[name][:1])), next(csv.reader([files[name][line - 1]]))
        for column, cell in cells.items():
            row[header.index(column)] = cell
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="").writerow(row)
        files[name][line - 1] = out.getvalue()

    return change


def cell(name: str, line: int, column: str) -> str:
    with zipfile.ZipFile(io.BytesIO(RAW["1.1"])) as file:
        lines = file.read(name).decode().splitlines()
    return lines[line - 1].split(",")[lines[0].split(",").index(column)]


def codes(report: Report) -> set[str]:
    return {code for code, _ in report.counts} - {"CourseWithoutClass"}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_good_bundle_is_valid_and_conforms(version: str) -> None:
    report = changed(version)
    assert codes(report) == set()
    assert report.conforms
    assert report.errors == 0
    assert report.version == version
    assert report.rows["users.csv"] == len(DISTRICT.users)
    assert len(report.imported) == (7 if version == "1.1" else 8)


CASES: list[tuple[str, int, str, str, str]] = [
    ("users.csv", 3, "givenName", "", "MissingRequired"),
    ("users.csv", 3, "username", "", "MissingExpected"),
    ("users.csv", 3, "enabledUser", "perhaps", "BadBoolean"),
    ("users.csv", 3, "enabledUser", "TRUE", "BooleanSpelling"),
    ("users.csv", 3, "role", "wizard", "UnknownVocabulary"),
    ("users.csv", 3, "role", "Teacher", "VocabularyCase"),
    ("users.csv", 3, "userIds", "District:7", "UserIdsSpelling"),
    ("users.csv", 3, "userIds", "{District", "BadUserIds"),
    ("users.csv", 3, "orgSourcedIds", "nowhere", "DanglingReference"),
    ("users.csv", 3, "agentSourcedIds", "nobody", "OptionalDangling"),
    ("users.csv", 3, "sourcedId", "x" * 256, "IdTooLong"),
    ("users.csv", 3, "familyName", "x" * 2001, "TextTooLong"),
    ("users.csv", 3, "password", "canary", "PasswordPresent"),
    ("orgs.csv", 2, "status", "active", "StatusInBulk"),
    ("orgs.csv", 3, "type", "", "MissingRequired"),
    ("academicSessions.csv", 2, "startDate", "1/05/2023", "BadDate"),
    ("academicSessions.csv", 2, "startDate", "2026-8-1", "DateFormat"),
    ("academicSessions.csv", 2, "startDate", "2099-01-01", "EndBeforeBegin"),
    ("academicSessions.csv", 2, "schoolYear", "26", "BadYear"),
    ("classes.csv", 2, "courseSourcedId", "nothing", "DanglingReference"),
    ("classes.csv", 2, "termSourcedIds", "nothing", "DanglingReference"),
    ("classes.csv", 2, "classType", "Scheduled", "VocabularyCase"),
    ("classes.csv", 2, "schoolSourcedId", "ORG00001", "SchoolNotASchool"),
    ("classes.csv", 2, "subjectCodes", "1,2,3", "SubjectsDiffer"),
    ("enrollments.csv", 9, "classSourcedId", "nothing", "DanglingReference"),
    ("enrollments.csv", 9, "userSourcedId", "nobody", "DanglingReference"),
    ("enrollments.csv", 9, "beginDate", "2027-13-01", "BadDate"),
    ("enrollments.csv", 9, "sourcedId", cell("enrollments.csv", 8, "sourcedId"), "DuplicateSourcedId"),
    ("demographics.csv", 4, "sourcedId", "nobody", "DanglingReference"),
    ("demographics.csv", 4, "sex", "unknown", "UnknownVocabulary"),
]


@pytest.mark.parametrize(("name", "line", "column", "value", "code"), CASES)
def test_a_fault_is_told_with_file_line_and_column_and_never_its_value(
    name: str, line: int, column: str, value: str, code: str
) -> None:
    report = changed(change=put(name, line, **{column: value}))
    found = [each for each in report.findings if each.code == code and each.file == name]
    assert found, report.counts
    assert line in {each.line for each in found} or code == "PasswordPresent"
    assert {each.column for each in found} <= {column, "endDate", "schoolSourcedId"}
    for each in report.findings:
        assert each.fault.remedy.endswith(".")
        if len(value) > 5:
            assert value not in each.sentence


def test_every_row_of_a_double_id_is_told() -> None:
    same = cell("orgs.csv", 3, "sourcedId")
    report = changed(change=put("orgs.csv", 4, sourcedId=same))
    assert [each.line for each in report.findings if each.code == "DuplicateSourcedId"] == [3, 4]


def test_a_circle_is_told_of_its_members() -> None:
    one, other = cell("orgs.csv", 3, "sourcedId"), cell("orgs.csv", 4, "sourcedId")

    def change(files: Files) -> None:
        put("orgs.csv", 3, parentSourcedId=other)(files)
        put("orgs.csv", 4, parentSourcedId=one)(files)

    report = changed(change=change)
    assert [each.line for each in report.findings if each.code == "CircularParent"] == [3, 4]


def drop(name: str) -> Callable[[Files], object]:
    return lambda files: files.pop(name)


def test_a_missing_file_stands_before_what_follows_from_it_and_in_its_place() -> None:
    report = changed(change=drop("users.csv"))
    assert codes(report) == {"FileMissing"}
    first = report.findings[0]
    rows = report.rows["enrollments.csv"] + report.rows["demographics.csv"]
    assert (first.code, first.file, first.follows) == ("FileMissing", "users.csv", rows)
    assert f"{rows:,} other problems follow" in first.sentence
    assert report.rejected == ["users.csv"]


def header(name: str, old: str, new: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[name][0] = files[name][0].replace(old, new)

    return change


@pytest.mark.parametrize(
    ("change", "code", "root"),
    [
        (header("classes.csv", "sourcedId,", "nothing,"), "MissingHeader", True),
        (header("classes.csv", "title", "sourcedId"), "DuplicateHeader", True),
        (lambda files: files.update({"classes.csv": files["courses.csv"]}), "WrongTable", True),
        (lambda files: files.update({"classes.csv": [""]}), "FileEmpty", True),
        (lambda files: files.update({"classes.csv": files["classes.csv"][:1]}), "HeaderOnly", True),
        (lambda files: files["classes.csv"].append('C,"open'), "BadQuoting", True),
        (header("classes.csv", "classCode", "code9"), "MissingOptionalHeader", False),
        (header("classes.csv", "periods", "Periods"), "HeaderCase", False),
        (header("classes.csv", "grades", "grade"), "HeaderMisspelt", False),
    ],
)
def test_a_broken_file_is_the_root_of_all_that_refers_to_it(
    change: Callable[[Files], object], code: str, root: bool
) -> None:
    report = changed(change=change)
    found = [each for each in report.findings if each.code == code]
    assert found
    assert found[0].file == "classes.csv"
    # One header that is wrong may make another one missing; what follows from the file is told with the first of them.
    assert any(each.follows for each in report.findings if each.file == "classes.csv") is root, report.counts
    assert "DanglingReference" not in codes(report)
    assert not report.conforms or code == "HeaderOnly"


def test_each_missing_header_of_each_file_is_told() -> None:
    with zipfile.ZipFile(io.BytesIO(RAW["1.2"])) as file:
        names = {name: file.read(name).decode().splitlines()[0].split(",") for name in file.namelist()}
    for name, columns in names.items():
        if name == "manifest.csv":
            continue
        for at, column in enumerate(columns):

            def change(files: Files, name: str = name, at: int = at) -> None:
                files[name] = [
                    ",".join(cells[:at] + cells[at + 1 :]) for cells in (x.split(",") for x in files[name][:1])
                ]

            report = changed("1.2", change)
            found = [each for each in report.findings if each.column == column and "Header" in each.code]
            assert [each.file for each in found] == [name], (name, column)
            assert not report.conforms


def without(name: str, keep: Callable[[dict[str, str]], bool]) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        columns = files[name][0].split(",")
        files[name][1:] = [x for x in files[name][1:] if keep(dict(zip(columns, x.split(","), strict=False)))]

    return change


SANITY: list[tuple[str, str, Callable[[Files], object], str]] = [
    ("1.1", "ClassWithoutTeacher", without("enrollments.csv", lambda row: row["role"] != "teacher"), "classes.csv"),
    ("1.1", "ClassWithoutStudents", without("enrollments.csv", lambda row: row["role"] != "student"), "classes.csv"),
    ("1.1", "StudentWithoutEnrollment", without("enrollments.csv", lambda row: row["role"] != "student"), "users.csv"),
    ("1.2", "StudentWithoutEnrollment", without("enrollments.csv", lambda row: row["role"] != "student"), "users.csv"),
    ("1.2", "TeacherWithoutClass", without("enrollments.csv", lambda row: row["role"] != "teacher"), "users.csv"),
    ("1.1", "SchoolWithoutStudents", without("enrollments.csv", lambda row: row["role"] != "student"), "orgs.csv"),
]


@pytest.mark.parametrize(("version", "code", "change", "name"), SANITY)
def test_what_can_hardly_be_meant_is_warned_of_and_valid(
    version: str, code: str, change: Callable[[Files], object], name: str
) -> None:
    report = changed(version, change)
    assert report.counts[code, name] > 0
    assert report.errors == 0
    assert report.conforms


def everywhere(name: str, column: str, value: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for line in range(2, len(files[name]) + 1):
            put(name, line, **{column: value})(files)

    return change


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_students_without_grade_and_people_listed_twice(version: str) -> None:
    report = changed(version, everywhere("users.csv", "identifier", "7"))
    assert report.counts["PersonListedTwice", "users.csv"] == len(DISTRICT.users)
    report = changed(version, everywhere("users.csv", "username", "same"))
    assert report.counts["DuplicateUsername", "users.csv"] == len(DISTRICT.users)
    report = changed(version, everywhere("users.csv", "grades", ""))
    assert report.counts["StudentWithoutGrade", "users.csv"] == len(DISTRICT.students)


def test_several_primary_teachers_and_a_school_that_differs() -> None:
    def change(files: Files) -> None:
        columns = files["enrollments.csv"][0].split(",")
        row = next(
            x for x in files["enrollments.csv"] if dict(zip(columns, x.split(","), strict=False))["primary"] == "true"
        )
        copy = row.split(",")
        copy[0] = "another"
        files["enrollments.csv"].append(",".join(copy))

    report = changed(change=change)
    assert report.counts["SeveralPrimaryTeachers", "classes.csv"] == 1
    report = changed(change=put("enrollments.csv", 5, schoolSourcedId="ORG00001"))
    assert {"EnrollmentSchoolDiffers", "SchoolNotASchool"} <= codes(report)


def test_counts_are_exact_and_what_is_kept_is_bounded() -> None:
    with zipfile.ZipFile(io.BytesIO(RAW["1.1"])) as file:
        rows = len(file.read("enrollments.csv").splitlines()) - 1
    report = changed(change=everywhere("enrollments.csv", "beginDate", "soon"))
    assert rows > KEPT / 2
    assert report.counts["BadDate", "enrollments.csv"] == rows
    assert sum(each.code == "BadDate" for each in report.findings) == min(rows, KEPT)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize(
    ("file", "column", "value", "code"),
    [
        ("users.csv", "grades", "", "StudentWithoutGrade"),
        ("users.csv", "enabledUser", "perhaps", "BadBoolean"),
        ("enrollments.csv", "beginDate", "soon", "BadDate"),
        ("classes.csv", "classType", "", "MissingExpected"),
        ("courses.csv", "title", "", "MissingRequired"),
        ("demographics.csv", "sex", "perhaps", "UnknownVocabulary"),
    ],
)
def test_each_kind_is_counted_for_each_school(version: str, file: str, column: str, value: str, code: str) -> None:
    seen: dict[str, list[dict[str, str]]] = {}

    def change(files: Files) -> None:
        everywhere(file, column, value)(files)
        seen.update({name: list(csv.DictReader(lines)) for name, lines in files.items() if name in files})

    report = changed(version, change)
    orgs = {row["sourcedId"]: at for at, row in enumerate(seen["orgs.csv"], 2)}
    of_user = {
        row["sourcedId"]: row.get("primaryOrgSourcedId") or (row.get("orgSourcedIds") or "").split(",")[0]
        for row in seen["users.csv"]
    }
    students: set[str] = set()
    for row in seen.get("roles.csv", []):
        of_user[row["userSourcedId"]] = of_user[row["userSourcedId"]] or row["orgSourcedId"]
        students |= {row["userSourcedId"]} if row["role"] == "student" else set()
    students |= {row["sourcedId"] for row in seen["users.csv"] if row.get("role") == "student"}
    expected: Counter[int] = Counter()
    for row in seen[file]:
        if code != "StudentWithoutGrade" or row["sourcedId"] in students:
            school = row.get("schoolSourcedId") or row.get("orgSourcedId") or of_user.get(row["sourcedId"], "")
            expected[orgs.get(school, 0)] += 1
    assert report.schools[code, file] == expected
    assert len(expected) > (file != "courses.csv"), "the courses are the district's"
    assert expected.total() == report.counts[code, file]
    kept = [each for each in report.findings if (each.code, each.file) == (code, file)]
    if len(kept) == expected.total():
        assert Counter(each.school for each in kept) == expected


def test_what_is_at_no_school_that_is_known_is_counted_as_such() -> None:
    report = changed(change=put("classes.csv", 4, schoolSourcedId="gone", classType=""))
    assert report.counts["MissingExpected", "classes.csv"] == 1
    assert ("MissingExpected", "classes.csv") not in report.schools
    assert not any(each.school for each in report.findings if each.code == "MissingExpected")
    bare = changed(change=drop("orgs.csv"))
    assert bare.schools == {}


def lines(count: int) -> Iterable[str]:
    yield "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n"
    for number in range(count):
        yield f"o{number},,,School {number},nonsense {number},,o{number + 1}\n"


def test_memory_is_bounded_where_every_row_is_wrong_in_another_way() -> None:
    held = io.BytesIO()
    manifest = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfile.orgs,bulk\n"
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.csv", manifest)
        file.writestr("orgs.csv", "".join(lines(100_000)))
    tracemalloc.start()
    try:
        report = validate(held)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.counts["UnknownVocabulary", "orgs.csv"] == 100_000
    assert peak < 64 * 2**20


def test_metadata_that_are_too_large_are_told() -> None:
    def change(files: Files) -> None:
        files["orgs.csv"][0] += "," + ",".join(f"metadata.m{n}" for n in range(10))
        files["orgs.csv"][2] += f",{'x' * 1_900}" * 10

    found = [each for each in changed(change=change).findings if each.code == "MetadataTooLarge"]
    assert [(each.file, each.line) for each in found] == [("orgs.csv", 3)]


@given(st.dictionaries(st.sampled_from(["users", "orgs", "roles", "enrollments", "manifest"]), st.binary(max_size=400)),
       st.integers(0, 3), st.binary(max_size=60))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_it_raise(files: dict[str, bytes], seed: int, junk: bytes) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(RAW["1.2"])) as source, zipfile.ZipFile(held, "w") as file:
        for name in source.namelist():
            short = name.removesuffix(".csv")
            # As a whole, or after a true header, where the rows come to be read.
            true = source.read(name)
            data = files.get(short, true)
            file.writestr(
                name, data if seed == 0 or short == "manifest" else true.splitlines()[0] + b"\n" + data + junk
            )
    report = validate(held)
    assert all(finding.sentence for finding in report.findings)


def test_no_meaning_holds_more_than_is_known_beforehand() -> None:
    for code, fault in FAULTS.items():
        assert fault.code == code
        assert fault.meaning.endswith(".")
        assert fault.remedy.endswith(".")
