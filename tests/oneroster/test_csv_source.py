"""CSV bundles as a source: a district says the same in files as over REST, and odd files are read as they are meant."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from roster_operator.oneroster.csvfiles.faults import BundleError
from roster_operator.oneroster.csvfiles.source import CsvSource
from roster_operator.oneroster.decode import Decoder, Version
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.paging import completeness
from roster_operator.oneroster.problems import Decoded
from roster_operator.oneroster.records import Record, User, canonical
from roster_operator.oneroster.source import Source
from roster_sample_sis import District, Rendering, generate
from roster_sample_sis import Version as SisVersion
from roster_sample_sis.bundles import bundle
from roster_sample_sis.variants import one_percent_changed

USERS_1_1 = (
    "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
    "identifier,email,sms,phone,agentSourcedIds,grades,password"
)
USERS_1_2 = (
    "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,"
    "phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,"
    "preferredFamilyName,primaryOrgSourcedId,pronouns"
)
ROLES = (
    "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"
)
SESSIONS = "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear"
ANA = "u1,,,true,s1,student,ana,{District:7},Ana,Null,,7,a@example.org,,,,09,"


@pytest.fixture(scope="module")
def district() -> District:
    return generate(11, 300)


def zipped(files: dict[str, str | bytes], version: str = "1.1", mode: str = "bulk", **modes: str) -> io.BytesIO:
    """A zip of these files, their mode in the manifest."""
    said = {name.removesuffix(".csv"): mode for name in files} | modes
    manifest = f"propertyName,value\nmanifest.version,1.0\noneroster.version,{version}\n"
    manifest += "".join(f"file.{name},{value}\n" for name, value in said.items())
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.csv", manifest)
        for name, text in files.items():
            file.writestr(name, text)
    held.seek(0)
    return held


def read(source: CsvSource, entity: Entity) -> list[Decoded]:
    decode = source.decoder(entity)
    return [decode(raw) for page in source.pages(entity) for raw in page.records]


def users(text: str | bytes, **more: Any) -> list[Decoded]:
    with CsvSource(zipped({"users.csv": text}, **more)) as source:
        return read(source, Entity.USERS)


def by_rest(district: District, version: Version, entity: Entity) -> list[Record]:
    rendering = Rendering(district, SisVersion(version), "https://sis.example.org")
    decode = Decoder(entity, version)
    found = [decode(raw).record for raw in rendering.records(entity.value, 0, 1_000_000)]
    assert None not in found
    return [record for record in found if record is not None]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("entity", list(Entity))
def test_a_district_says_the_same_in_files_as_over_rest(district: District, version: Version, entity: Entity) -> None:
    with CsvSource(io.BytesIO(bundle(district, version))) as source:
        assert isinstance(source, Source)
        assert source.version == version
        found = read(source, entity)
        report = source.report(entity)
        assert completeness(report, report.records).complete
        assert source.findings == []
    expected = [canonical(record) for record in by_rest(district, version, entity) if record.status == "active"]
    assert expected
    assert [canonical(each.record) for each in found if each.record] == expected
    assert all(each.problems == () for each in found)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("entity", list(Entity))
def test_a_delta_says_what_goes_and_when_it_changed(district: District, version: Version, entity: Entity) -> None:
    changed = one_percent_changed(district)
    with CsvSource(io.BytesIO(bundle(changed, version, delta=True))) as source:
        found = [each.record for each in read(source, entity)]
        assert source.report(entity).delta
    assert found == by_rest(changed, version, entity)
    assert any(record and record.date_last_modified for record in found)


def test_a_folder_is_read_as_its_zip(district: District, tmp_path: Path) -> None:
    data = io.BytesIO(bundle(district, "1.2"))
    with zipfile.ZipFile(data) as file:
        file.extractall(tmp_path)
    with CsvSource(data) as one, CsvSource(tmp_path) as other:
        for entity in Entity:
            assert [p.records for p in one.pages(entity)] == [p.records for p in other.pages(entity)]


def test_passwords_are_gone_before_a_row_is_bytes() -> None:
    text = f"{USERS_1_1},metadata.password\n{ANA}canary-one,canary-two\n"
    with CsvSource(zipped({"users.csv": text})) as source:
        raw = [bytes(record) for page in source.pages(Entity.USERS) for record in page.records]
        assert b"canary" not in raw[0]
        assert "PasswordPresent" in {finding.code for finding in source.findings}
        decoded = source.decoder(Entity.USERS)(raw[0])
        assert decoded.record is not None
        assert not decoded.secret
        assert decoded.record.metadata is None


def test_lines_are_those_of_the_file() -> None:
    rows = ['u1,,,true,s1,student,a,,"two\nlines",B,,,,,,,,', "", "u2,,,true,s1,student,b,,A,B,,,,,,,,"]
    with CsvSource(zipped({"users.csv": "\n".join([USERS_1_1, *rows])})) as source:
        (page,) = source.pages(Entity.USERS)
        assert list(page.lines or ()) == [2, 5]
        assert [finding.line for finding in source.findings if finding.code == "BlankLine"] == [4]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (USERS_1_1.replace("dateLastModified", "dataLastModified"), ANA),
        (USERS_1_1.replace("grades", "grade"), ANA),
        (USERS_1_1.replace("grades", "grads"), ANA),
        (USERS_1_1.replace("sourcedId", "\u200bSourcedID "), ANA),
        ("\ufeff" + USERS_1_1, ANA),
        (USERS_1_1 + ",,", ANA + ",,"),
        (USERS_1_1 + ",,", ANA),
        (USERS_1_1 + ",ext_vendor", ANA + ",x"),
        (",".join(reversed(USERS_1_1.split(","))), ",".join(reversed(ANA.split(",")))),
        (USERS_1_1, ",".join(f'"{cell}"' for cell in ANA.split(","))),
        (USERS_1_1, ANA.replace("true", "TRUE").replace("student", "Student")),
        (USERS_1_1, ANA[:-1]),
    ],
)
def test_what_is_unambiguous_is_understood(header: str, row: str) -> None:
    (plain,), (odd,) = users(f"{USERS_1_1}\n{ANA}\n"), users(f"{header}\n{row}\n")
    assert plain.record == odd.record
    assert isinstance(odd.record, User)
    assert (odd.record.family_name, odd.record.grades) == ("Null", ["09"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_names_survive_every_encoding_that_is_accepted(encoding: str) -> None:
    name = "Zoë" if encoding == "cp1252" else "山田Zoë"
    (found,) = users(f"{USERS_1_1}\n{ANA.replace('Ana', name)}\n".encode(encoding))
    assert isinstance(found.record, User)
    assert found.record.given_name == name


@pytest.mark.parametrize(
    ("cell", "day", "codes"),
    [
        ("2026-08-01", "2026-08-01", []),
        ("2026-8-1", "2026-08-01", ["DateFormat"]),
        ("13/05/2023", "2023-05-13", ["DateFormat"]),
        ("05/13/2023", "2023-05-13", ["DateFormat"]),
        ("5/5/2023", "2023-05-05", ["DateFormat"]),
        ("2026-08-01 00:00:00", "2026-08-01", ["DateWithTime"]),
        ("1/05/2023", None, ["BadDate"]),
        ("2026-02-30", None, ["BadDate"]),
        ("32/13/2023", None, ["BadDate"]),
        ("soon", None, ["BadDate"]),
    ],
)
def test_a_date_counts_where_it_can_be_read_in_one_way(cell: str, day: str | None, codes: list[str]) -> None:
    text = f"{SESSIONS}\nt1,,,Autumn,term,{cell},2027-01-31,,2027\n"
    with CsvSource(zipped({"academicSessions.csv": text})) as source:
        (found,) = read(source, Entity.ACADEMIC_SESSIONS)
    assert [problem.code for problem in found.problems] == codes
    assert (None if found.record is None else str(found.record.start_date)) == day  # type: ignore[union-attr]
    assert found.sourced_id == "t1"


@pytest.mark.parametrize(
    ("row", "code", "taken"),
    [
        (ANA.replace(",09,", ",09"), "ShortRow", True),
        (ANA + ",,", "LongRow", True),
        (ANA + ",x", "TooManyCells", False),
        (ANA.replace("{District:7}", "District:7"), "UserIdsSpelling", True),
        (ANA.replace("{District:7}", "{District:7"), "BadUserIds", False),
        (ANA.replace("ana,", ","), "MissingExpected", True),
        (ANA.replace("Ana", ""), "MissingRequired", False),
        (ANA.replace("true", "maybe"), "BadBoolean", False),
        (ANA.replace("student", "wizard"), "UnknownVocabulary", True),
    ],
)
def test_an_odd_row_is_told_and_taken_only_where_it_is_clear(row: str, code: str, taken: bool) -> None:
    (found,) = users(f"{USERS_1_1}\n{row}\n")
    assert code in [problem.code for problem in found.problems]
    assert (found.record is not None) is taken
    assert found.sourced_id == "u1"


def test_a_delta_without_status_is_refused_row_by_row() -> None:
    (found,) = users(f"{USERS_1_1}\n{ANA}\n", mode="delta")
    assert found.record is None
    assert next((p.code, p.field) for p in found.problems) == ("MissingRequired", "status")


def roles(*rows: str, user: str = "u1,,,true,ana,,Ana,Null,,,,,,,,,,,,,s2,") -> list[Decoded]:
    files: dict[str, str | bytes] = {
        "users.csv": f"{USERS_1_2}\n{user}\n",
        "roles.csv": "\n".join([ROLES, *rows]) + "\n",
    }
    with CsvSource(zipped(files, "1.2")) as source:
        return read(source, Entity.USERS)


def test_roles_are_folded_into_their_user_in_the_order_of_the_file() -> None:
    (found,) = roles(
        "r1,,,u1,primary,student,2026-08-01,2027-06-30,s1,p1",
        "r2,,,u2,primary,teacher,,,s1,",
        "r3,,,u1,primary,aide,,,s2,",
        "r4,,,u1,secondary,teacher,,,s3,",
        "r5,tobedeleted,,u1,secondary,proctor,,,s3,",
    )
    assert isinstance(found.record, User)
    assert [role["role"] for role in found.record.roles] == ["student", "aide", "teacher"]
    assert found.record.role == "aide"  # the one at the primary org
    assert found.record.org_sourced_ids == ["s1", "s2", "s3"]
    assert found.record.roles[0]["user_profile"] == "p1"


def test_a_changed_role_changes_the_bytes_of_its_user() -> None:
    user = f"{USERS_1_2}\nu1,,,true,,,A,B{',' * 14}\n"
    first, second = (
        zipped({"users.csv": user, "roles.csv": f"{ROLES}\nr,,,u1,primary,aide,,,{org},\n"}, "1.2") for org in "st"
    )
    with CsvSource(first) as one, CsvSource(second) as other:
        assert next(one.pages(Entity.USERS)).records != next(other.pages(Entity.USERS)).records


def test_a_role_that_cannot_be_read_costs_its_user_and_no_role() -> None:
    (found,) = roles("r1,,,u1,primary,student,,,s1,", "r2,,,u1,secondary,teacher,,,s2,,stray")
    assert found.record is None


def test_a_file_with_headers_only_and_a_cut_one_are_no_proof() -> None:
    for text, reason in ((USERS_1_1, "HeaderOnly"), (f"{USERS_1_1}\n{ANA}\nu2,,,tr", "CutShort")):
        with CsvSource(zipped({"users.csv": text})) as source:
            count = len(read(source, Entity.USERS))
            assert completeness(source.report(Entity.USERS), count).reason == reason
            assert reason in {finding.code for finding in source.findings}


def test_what_the_manifest_calls_absent_is_not_offered() -> None:
    files: dict[str, str | bytes] = {"users.csv": f"{USERS_1_1}\n", "orgs.csv": "x"}
    with CsvSource(zipped(files, orgs="absent")) as source:
        assert source.offers(Entity.USERS)
        assert not source.offers(Entity.ORGS)
        assert "FileCalledAbsent" in {finding.code for finding in source.findings}


ORGS = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n"


@pytest.mark.parametrize(
    ("manifest", "code", "reason"),
    [
        (None, "ManifestMissing", Reason.BUNDLE_MANIFEST_INVALID),
        (
            "manifest.version,1.0\noneroster.version,2.0\nfile.orgs,bulk",
            "OneRosterVersionUnknown",
            "VersionUnsupported",
        ),
        (
            "manifest.version,9\noneroster.version,1.1\nfile.orgs,bulk",
            "ManifestVersionUnknown",
            "BundleManifestInvalid",
        ),
        ("manifest.version,1.0\noneroster.version,1.1\nfile.orgs,full", "ManifestModeUnknown", "BundleManifestInvalid"),
        ("manifest.version,1.0\noneroster.version,1.1\nfile.orgs,", "ManifestModeMissing", "BundleManifestInvalid"),
        ("manifest.version,1.0\noneroster.version,1.1", "ManifestModeMissing", "BundleManifestInvalid"),
        ("manifest.version,1.0\noneroster.version,1.1\nfile.orgs,bulk\nfile.users,bulk", "FileMissing", "FileMissing"),
        ("manifest.version,1.0\noneroster.version,1.1\nfile.orgs,absent", "NothingOffered", "FileMissing"),
        ("manifest.version,1.0\noneroster.version,1.1\nfile.orgs,bulk\nfile.orgs,delta", "ManifestContradicts", None),
    ],
)
def test_a_manifest_that_leaves_a_doubt_is_refused(manifest: str | None, code: str, reason: str | None) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("orgs.csv", ORGS + "o,,,North,school,,\n")
        if manifest is not None:
            file.writestr("manifest.csv", f"propertyName,value\n{manifest}\n")
    with pytest.raises(OneRosterError) as caught, CsvSource(held):
        pass
    assert isinstance(caught.value, BundleError)
    assert caught.value.finding.code == code
    assert reason in (None, caught.value.reason)
    assert caught.value.next_step


def test_a_misspelt_property_of_the_manifest_is_understood() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("orgs.csv", ORGS + "o,,,North,school,,\n")
        file.writestr(
            "manifest.csv", "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfiel.orgs,Bulk\n"
        )
    with CsvSource(held) as source:
        assert len(read(source, Entity.ORGS)) == 1
        assert {"ManifestTypo", "ManifestModeCase"} <= {finding.code for finding in source.findings}


def cells(rows: Iterable[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


def test_items_with_commas_and_quotes_in_a_list() -> None:
    row = ANA.split(",")
    row[7], row[16] = "{A:1},{B:2}", '"9, honours",10'
    (found,) = users(cells([USERS_1_1.split(","), row]))
    assert isinstance(found.record, User)
    assert found.record.grades == ["9, honours", "10"]
    assert found.record.user_ids == [{"type": "A", "identifier": "1"}, {"type": "B", "identifier": "2"}]
