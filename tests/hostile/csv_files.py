"""CSV: manifests, headers, encodings, quoting and cells, each with file, line and column."""

from __future__ import annotations

from tests.oneroster.fake_servers import SECRET

from .bundles import GOOD, ORG, ORGS, ORGS_HEADER, USER, USERS_HEADER, Bundle, csv, manifest
from .cases import CANARY, Case, Decoded, Issue

FAMILY = "CSV"
KEPT = Decoded(True)


def broken(code: str, file: str = "orgs.csv", line: int = 0, column: str = "") -> Decoded:
    return Decoded(False, (Issue(code, "error", column, file, line),))


def row(*issues: tuple[str, str, str, int], kept: bool = True) -> Decoded:
    """(code, severity, field, line) of orgs.csv."""
    return Decoded(
        kept, tuple(sorted(Issue(code, severity, name, "orgs.csv", line) for code, severity, name, line in issues))
    )


def odd(code: str, line: int = 0, column: str = "", file: str = "orgs.csv") -> Decoded:
    return Decoded(True, (Issue(code, "warning", column, file, line),))


def orgs(name: str, content: str | bytes, expect: Decoded) -> Case:
    return Case(FAMILY, f"orgs.csv: {name}", Bundle({**GOOD, "orgs.csv": content}), expect)


def told(name: str, content: str | bytes, expect: Decoded) -> Case:
    return Case(FAMILY, f"manifest: {name}", Bundle({**GOOD, "manifest.csv": content}), expect)


def users(name: str, content: str, *issues: Issue, kept: bool = True) -> Case:
    files = {**GOOD, "manifest.csv": manifest(orgs="bulk", users="bulk"), "users.csv": content}
    return Case(FAMILY, f"users.csv: {name}", Bundle(files), Decoded(kept, tuple(sorted(issues))))


def cells(at: int, value: str) -> str:
    """The good row of an org with another cell."""
    parts = ORG.split(",")
    parts[at] = value
    return csv(ORGS_HEADER, ",".join(parts))


_M = "manifest.csv"
_FILES = [
    Case(FAMILY, "a good bundle", Bundle(GOOD), KEPT),
    orgs("nothing", "", broken("FileEmpty")),
    orgs("only a byte order mark", b"\xef\xbb\xbf", broken("FileEmpty")),
    orgs("only a header", csv(ORGS_HEADER), odd("HeaderOnly")),
    orgs("only a header, without a line end", ORGS_HEADER, odd("HeaderOnly")),
    orgs("data without a header", csv(ORG), broken("HeaderMissing", line=1)),
    orgs("a sign-in page", "<!DOCTYPE html><title>" + CANARY + "</title>\n", broken("HeaderMissing", line=1)),
    orgs("a copy of another file", csv(USERS_HEADER, USER), broken("WrongTable", line=1)),
    orgs("a missing required column", csv("sourcedId,status,dateLastModified,type,identifier,parentSourcedId"),
         broken("MissingHeader", line=1, column="name")),
    orgs("a column twice", csv(ORGS_HEADER + ",name", ORG + ",x"), broken("DuplicateHeader", line=1, column="name")),
    orgs("a missing column that is optional", csv(ORGS_HEADER.replace(",identifier", ""), "o1,,,x,school,"),
         odd("MissingOptionalHeader", 1, "identifier")),
    orgs("another order", csv("name,sourcedId,status,dateLastModified,type,identifier,parentSourcedId",
    "x,o1,,,school,7,"),
         odd("HeaderOrder", 1)),
    orgs("a misspelt column", csv(ORGS_HEADER.replace("dateLast", "dataLast"), ORG),
         odd("HeaderMisspelt", 1, "dateLastModified")),
    orgs("a column in other letters", csv(ORGS_HEADER.replace("name", "NAME"), ORG), odd("HeaderCase", 1, "name")),
    orgs("an invisible character in a column", csv(ORGS_HEADER.replace("name", "name\u200b"), ORG),
         Decoded(True, (Issue("HeaderInvisible", "warning", "name", "orgs.csv", 1),
                        Issue("InvisibleCharacters", "warning", "", "orgs.csv")))),
    orgs("an unknown column", csv(ORGS_HEADER + "," + CANARY, ORG + ",x"), odd("HeaderUnknown", 1, "number 8")),
    orgs("a column without a name", csv(ORGS_HEADER + ",", ORG + ","), odd("HeaderNameless", 1, "number 8")),
    orgs("a password among the metadata", csv(ORGS_HEADER + ",metadata.password", ORG + "," + SECRET),
         odd("PasswordPresent", 1, "number 8")),
    orgs("a byte order mark", b"\xef\xbb\xbf" + ORGS.encode(), KEPT),
    orgs("UTF-16", ORGS.encode("utf-16"), odd("EncodingUTF16")),
    orgs("UTF-16 of odd length", ORGS.encode("utf-16") + b"x", broken("BadUTF16")),
    orgs("UTF-16 with half a surrogate", ORGS.encode("utf-16") + b"\x00\xd8\x0a\x00", broken("BadUTF16")),
    orgs("UTF-16 without a mark", ORGS.encode("utf-16-le"), broken("NulInFile", line=1)),
    orgs("UTF-32", ORGS.encode("utf-32"), broken("NulInFile", line=1)),
    orgs("NUL in a cell", cells(3, "a\0b"), broken("NulInFile", line=2)),
    orgs("NUL alone", b"\0" * 100_000, broken("NulInFile", line=1)),
    orgs("Windows-1252", cells(3, "caf\u00e9").encode("cp1252"), odd("EncodingWindows1252")),
    orgs("UTF-8 and Windows-1252", cells(3, "caf\u00e9").encode() + b"o2,,,caf\xe9,school,7,\r\n",
         broken("MixedEncodings")),
    orgs("bytes of no encoding", cells(3, "@").encode().replace(b"@", b"\x81\x8d"), broken("EncodingUnknown")),
    orgs("a cut character at the end", (ORGS + "o2,,,caf").encode() + b"\xc3", Decoded(False, tuple(sorted([
        Issue("MissingRequired", "error", "type", "orgs.csv", 3),
        Issue("EncodingWindows1252", "warning", "", "orgs.csv"), Issue("CutShort", "warning", "", "orgs.csv"),
        Issue("ShortRow", "warning", "", "orgs.csv", 3)])))),
    orgs("mojibake", cells(3, "caf\u00c3\u00a9"), odd("Mojibake")),
    *(orgs(f"{what} in {column}", cells(at, text), Decoded(True, tuple(sorted([
        *(Issue(code, "warning", column, "orgs.csv", 2) for code in codes.split()),
        *([Issue("InvisibleCharacters", "warning", "", "orgs.csv")] if codes != "LookalikeLetters" else [])]))))
      for at, column in ((0, "sourcedId"), (3, "name"), (5, "identifier"))
      for what, text, codes in [
          ("bidi", "\u202eabc", "BidiControl"), ("a zero width space", "a\u200bc", "ZeroWidth"),
          ("a Cyrillic letter", "p\u0430y", "LookalikeLetters"), ("all three", "\u202ep\u200b\u0430y",
           "BidiControl ZeroWidth LookalikeLetters")]),
    orgs("bidi in what is no name", csv(ORGS_HEADER + ",metadata.note", ORG + ",\u202eabc"),
         odd("InvisibleCharacters")),
    orgs("Cyrillic", cells(3, "\u0428\u043a\u043e\u043b\u0430"), KEPT),
    orgs("a quote that never closes", csv(ORGS_HEADER, 'o1,,,"' + CANARY + ",school,7,", "o2,,,x,school,7,"),
         broken("BadQuoting", line=3)),
    orgs("a quote in the middle of a cell", cells(3, '"a"b'), broken("BadQuoting", line=2)),
    orgs("a cell of 200,000 letters", cells(3, "x" * 200_000), broken("CellTooLong", line=2)),
    orgs("a line of 2 MB", cells(3, "x" * 2_000_000), broken("LineTooLong", line=2)),
    orgs("a line of 2 MB of commas", csv(ORGS_HEADER, "," * 2_000_000), broken("LineTooLong", line=2)),
    orgs("a quoted cell over 300,000 lines", csv(ORGS_HEADER, 'o1,,,"' + "x\n" * 300_000 + '",school,7,'),
         broken("CellTooLong", line=65_538)),
    orgs("a cut row at the end", ORGS + "o2,,,x", Decoded(False, tuple(sorted([
        Issue("CutShort", "warning", "", "orgs.csv"), Issue("ShortRow", "warning", "", "orgs.csv", 3),
        Issue("MissingRequired", "error", "type", "orgs.csv", 3)])))),
    orgs("a header with 60,000 unknown columns", csv(ORGS_HEADER + ",x" * 60_000, ORG), broken("TooManyColumns",
    line=1)),
    orgs("a header of 100,000 commas", csv(ORGS_HEADER + "," * 100_000, ORG), broken("TooManyColumns", line=1)),
]  # fmt: skip

_ROWS = [
    orgs("a row of too many cells", csv(ORGS_HEADER, ORG + ",x"), row(("TooManyCells", "error", "", 2), kept=False)),
    orgs("a row of too many empty cells", csv(ORGS_HEADER, ORG + ",,"), row(("LongRow", "warning", "", 2))),
    orgs("a short row", csv(ORGS_HEADER, "o1,,,x,school"), row(("ShortRow", "warning", "", 2))),
    orgs("a blank line", csv(ORGS_HEADER, "", ORG), odd("BlankLine", 2)),
    orgs("a quoted cell with a line end, then a fault", csv(ORGS_HEADER, 'o1,,,"a\r\nb",school,7,', ",,,x,school,7,"),
         row(("MissingRequired", "error", "sourcedId", 4), kept=False)),
    orgs("no id", cells(0, ""), row(("MissingRequired", "error", "sourcedId", 2), kept=False)),
    orgs("an id of 256 letters", cells(0, "x" * 256), row(("IdTooLong", "error", "sourcedId", 2), kept=False)),
    orgs("no name", cells(3, ""), row(("MissingRequired", "error", "name", 2), kept=False)),
    orgs("a name of 2,001 letters", cells(3, "x" * 2_001), row(("TextTooLong", "error", "name", 2), kept=False)),
    orgs("a type of its own", cells(4, CANARY), row(("UnknownVocabulary", "warning", "type", 2))),
    orgs("a status of its own", cells(1, CANARY), Decoded(False, tuple(sorted([
        Issue("BadStatus", "error", "status", "orgs.csv", 2), Issue("StatusInBulk", "warning", "", "orgs.csv")])))),
    orgs("a status in a bulk file", cells(1, "active"), odd("StatusInBulk")),
    orgs("the name Null", cells(3, "Null"), KEPT),
    *(orgs(f"a name of {value!r}", cells(3, value), KEPT)
      for value in ["=cmd|' /C calc'!A0", "@SUM(1)", "-1+1", "+1", "'; DROP TABLE x;--", "\\N", "\\.", "<script>",
      "\x1b[2J",
                    "\x7f", "Stra\u00dfe", "\U0001f392"]),
    users("a password", csv(USERS_HEADER, USER + SECRET), Issue("PasswordPresent", "warning", "", "users.csv")),
    users("a masked name", csv(USERS_HEADER, USER.replace("Null", "T***")),
          Issue("ValueMasked", "warning", "familyName", "users.csv", 2)),
    users("a role of its own", csv(USERS_HEADER, USER.replace("student", "root")),
          Issue("UnknownVocabulary", "warning", "role", "users.csv", 2)),
    users("no role", csv(USERS_HEADER, USER.replace("student", "")),
          Issue("MissingRequired", "error", "role", "users.csv", 2), kept=False),
    users("a row that is too long, and without a role", csv(USERS_HEADER, USER.replace("student", "") + ","),
          Issue("MissingRequired", "error", "role", "users.csv", 2), Issue("LongRow", "warning", "", "users.csv", 2),
          kept=False),
    users("enabledUser perhaps", csv(USERS_HEADER, USER.replace("true", "perhaps")),
          Issue("BadBoolean", "error", "enabledUser", "users.csv", 2), kept=False),
    users("userIds without their braces", csv(USERS_HEADER, USER.replace("{x:1}", "x:1")),
          Issue("UserIdsSpelling", "warning", "userIds", "users.csv", 2)),
]  # fmt: skip

_MANIFESTS = [
    Case(FAMILY, "manifest: none", Bundle({"orgs.csv": ORGS}), broken("ManifestMissing", _M)),
    told("nothing", "", broken("ManifestMalformed", _M)),
    told("a sign-in page", "<html>" + CANARY + "\n", Decoded(False, (Issue("ManifestMalformed", "error", "", _M, 1),))),
    told("NUL", "\0", broken("NulInFile", _M, 1)),
    told("a quote that never closes", 'propertyName,value\r\n"manifest.version,1.0\r\n', broken("BadQuoting", _M, 2)),
    told("three cells", "propertyName,value\r\nmanifest.version,1.0,x\r\n", broken("ManifestMalformed", _M, 2)),
    told("version 2", manifest(orgs="bulk").replace("manifest.version,1.0", "manifest.version,2.0"),
         broken("ManifestVersionUnknown", _M, 2)),
    told("OneRoster 1.0", manifest(version="1.0", orgs="bulk"), broken("OneRosterVersionUnknown", _M, 3)),
    told("OneRoster 9", manifest(version=CANARY, orgs="bulk"), broken("OneRosterVersionUnknown", _M, 3)),
    told("a mode of its own", manifest(orgs=CANARY), broken("ManifestModeUnknown", _M, 15)),
    told("a mode in other letters", manifest(orgs="BULK"), odd("ManifestModeCase", 15, file=_M)),
    told("two modes", manifest("file.orgs,delta", orgs="bulk"), broken("ManifestContradicts", _M, 25)),
    told("a file that is not there", manifest(orgs="bulk", courses="bulk"), broken("FileMissing", "courses.csv")),
    told("every file absent", manifest(), broken("NothingOffered", _M)),
    told("an unknown property", manifest(CANARY + ",1", orgs="bulk"), odd("ManifestPropertyUnknown", 25, file=_M)),
    told("a typing error", manifest("fiel.orgs,bulk", orgs="bulk"), odd("ManifestTypo", 25, file=_M)),
    told("20,000 unknown properties", manifest(*(f"file.orgz{n},bulk" for n in range(20_000)), orgs="bulk"),
         broken("ManifestMalformed", _M, 1_002)),
    told("2 MB", manifest(orgs="bulk") + "x,\r\n" * 500_000, broken("BundleTooLarge", _M)),
    told("1.2 with users and no roles", manifest(version="1.2", users="bulk", orgs="bulk"),
         broken("FileMissing", "users.csv")),
]  # fmt: skip

CASES = [*_FILES, *_ROWS, *_MANIFESTS]
