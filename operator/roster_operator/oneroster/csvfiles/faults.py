"""Everything that can be wrong with a bundle of CSV files, as data.

A code is stable: it stands in reports that people keep. No text here, and no finding, holds a value of the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roster_operator.oneroster.errors import OneRosterError, Reason

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Fault:
    """One kind of fault. standard: it breaks the standard, so a conformance log calls the bundle failed.

    reason: set where the whole bundle is refused, as a source's reason.
    """

    code: str
    severity: Severity
    meaning: str
    remedy: str
    standard: bool = True
    reason: Reason | None = None


@dataclass(frozen=True)
class Finding:
    """One fault at its place. line counts from 1; 0 is the file as a whole. follows: problems that this one causes
    elsewhere, which are not listed. school: the line in orgs.csv of the row's school; 0 where none is known.
    name: of a file or column as the standard has it, never a cell."""

    code: str
    file: str = ""
    line: int = 0
    column: str = ""
    follows: int = 0
    school: int = 0

    @property
    def fault(self) -> Fault:
        """What this kind of fault is."""
        return FAULTS[self.code]

    @property
    def place(self) -> str:
        """Where: `users.csv, line 12, column grades`."""
        parts = [self.file]
        if self.line:
            parts.append(f"line {self.line}")
        if self.column:
            parts.append(f"column {self.column}")
        return ", ".join(part for part in parts if part)

    @property
    def sentence(self) -> str:
        """Place and meaning as one sentence."""
        follow = f" {self.follows:,} other problems follow from this." if self.follows else ""
        place = self.place
        return f"{place}: {self.fault.meaning}{follow}" if place else f"{self.fault.meaning}{follow}"


# So many of the faults behind the first are named in one sentence.
_NAMED = 3


class BundleError(OneRosterError):
    """A bundle that cannot be read. `findings`: all that is known of why, the root cause first, which is `finding`."""

    def __init__(self, finding: Finding, *more: Finding) -> None:
        fault = finding.fault
        super().__init__(fault.reason or Reason.FILE_MALFORMED, finding.sentence + _further(more), fault.remedy)
        self.finding = finding
        self.findings = (finding, *more)


def _further(more: Sequence[Finding]) -> str:
    if not more:
        return ""
    kinds = list(dict.fromkeys(f"{each.code} ({each.file})" if each.file else each.code for each in more))
    among = ", among them" if len(kinds) > _NAMED else ":"
    return f" And {len(more):,} more{among} {', '.join(kinds[:_NAMED])}. `roster validate` shows each."


_SEND_AGAIN = "Have the bundle written and sent again."
_EXPORT = "Correct it in the SIS or its export, and send the bundle again."
_COSMETIC = "It was understood; have the export corrected all the same."


def _fatal(reason: Reason, remedy: str, *rows: tuple[str, str]) -> list[Fault]:
    return [Fault(code, "error", meaning, remedy, reason=reason) for code, meaning in rows]


def _errors(remedy: str, *rows: tuple[str, str]) -> list[Fault]:
    return [Fault(code, "error", meaning, remedy) for code, meaning in rows]


def _warnings(remedy: str, *rows: tuple[str, str], standard: bool = True) -> list[Fault]:
    return [Fault(code, "warning", meaning, remedy, standard=standard) for code, meaning in rows]


_CONTAINER = [
    *_fatal(
        Reason.BUNDLE_UNREADABLE,
        _SEND_AGAIN,
        ("NotAZip", "This is no zip file, or its end is missing."),
        ("EntryBroken", "The zip's entry cannot be inflated to its end."),
        ("EntryLengthDiffers", "The zip's entry has another length than the zip says; it may be cut."),
        ("EntryChecksumDiffers", "The zip's entry has another checksum than the zip says."),
        ("EntryMethodUnknown", "The zip's entry is compressed by another method than deflate."),
    ),
    *_fatal(
        Reason.BUNDLE_REFUSED,
        "Write the zip with the OneRoster files alone, at its top, unencrypted.",
        ("TooManyEntries", "The zip has more than 64 entries."),
        ("EntriesOverlap", "Entries of the zip overlap."),
        ("DuplicateEntry", "The zip has a file twice."),
        ("EncryptedEntry", "An entry of the zip is encrypted."),
        ("NestedArchive", "The zip has an archive in it."),
        ("UnsafeName", "An entry of the zip has a name that leads out of it, or one that no file can have."),
        ("SymbolicLink", "An entry of the zip is a link."),
        ("FolderTooDeep", "A OneRoster file lies more than one folder deep in the zip."),
    ),
    *_fatal(
        Reason.BUNDLE_TOO_LARGE,
        "If the district really is that large, raise the bundle's limit.",
        ("BundleTooLarge", "The files are larger than the limit."),
        ("LineTooLong", "A line is longer than a million bytes, or its rows are far longer than a roster's."),
    ),
]
_MANIFEST = [
    *_fatal(
        Reason.BUNDLE_MANIFEST_INVALID,
        "Add a manifest.csv as the standard has it: version, and absent, bulk or delta for each file.",
        (
            "ManifestMissing",
            "There is no manifest.csv, so nobody can tell which files are whole and which are changes.",
        ),
        ("ManifestMalformed", "The manifest is not a list of propertyName and value."),
        ("ManifestVersionUnknown", "The property manifest.version is not 1.0."),
        ("ManifestModeUnknown", "A file's property is neither absent nor bulk nor delta."),
        ("ManifestModeMissing", "The file is there, and the manifest does not say whether it is bulk or delta."),
        ("ManifestContradicts", "The manifest says two things about one property."),
    ),
    *_fatal(
        Reason.VERSION_UNSUPPORTED,
        "Set oneroster.version to 1.1 or 1.2, whichever the files follow.",
        ("OneRosterVersionUnknown", "The property oneroster.version is missing, or none of 1.1 and 1.2."),
    ),
    *_fatal(
        Reason.FILE_MISSING,
        "Add the file, or call it absent in the manifest.",
        ("FileMissing", "The manifest promises this file, and it is not there."),
        ("RolesMissing", "users.csv is there without roles.csv, and in 1.2 only that file says who is what."),
        ("NothingOffered", "The manifest calls every file absent."),
    ),
    *_fatal(
        Reason.BUNDLE_MANIFEST_INVALID,
        "Export users and roles in the same way: both bulk or both delta.",
        ("RolesModeDiffers", "users is bulk and roles is delta, so most users would have no role."),
    ),
    *_warnings(
        "Correct the manifest.",
        ("ManifestTypo", "The name of a property is misspelt; it was understood."),
        ("ManifestModeCase", "The property's value is in other letters than absent, bulk, delta; it was understood."),
        ("ManifestValueEmpty", "The property has no value; the file is not there, so it counts as absent."),
        (
            "ManifestPropertyMissing",
            "The manifest does not mention this file; it is not there, so it counts as absent.",
        ),
        ("ManifestPropertyUnknown", "The manifest has a property that is not of the standard; it was ignored."),
        ("ManifestHeader", "The manifest's header is not propertyName,value; it was understood."),
        ("FileCalledAbsent", "The file is there, but the manifest calls it absent: it is not read."),
        ("RolesOfBulk", "roles is bulk and users is delta: only roles of the users shown are taken."),
        ("TableNotInVersion", "The file does not belong to this version of the standard: it is not read."),
    ),
    *_warnings(
        "Put the files at the top of the zip, under the standard's names.",
        ("FolderInZip", "The files lie in a folder of the zip."),
        ("FileNameCase", "The file's name is in other letters than the standard's."),
        ("FileUnknown", "The bundle has a file that is none of OneRoster's; it was ignored."),
    ),
    Fault(
        "NotImported",
        "info",
        "The file is recognised and not imported: it holds no rostering.",
        "Nothing to do.",
        standard=False,
    ),
    Fault(
        "ProfilesNotImported",
        "info",
        "User profiles are not imported, changes of them neither: roles keep the sourcedId of their profile.",
        "Nothing to do. People sign in to the application by its own means.",
        standard=False,
    ),
    Fault(
        "RolesInDelta",
        "info",
        "In a delta, roles that roles.csv does not show stay as merged.",
        "Have the export give all roles of each person whose roles changed.",
        standard=False,
    ),
]
_FILE = [
    *_fatal(
        Reason.FILE_UNREADABLE,
        "Have the file written as UTF-8.",
        ("NulInFile", "The file holds NUL characters; it is damaged, or UTF-16 without a byte order mark."),
        ("MixedEncodings", "The file is partly UTF-8 and partly not."),
        ("EncodingUnknown", "The file is neither UTF-8 nor Windows-1252."),
        ("BadUTF16", "The file begins as UTF-16 and is not."),
        ("FileUnreadable", "The file could not be read."),
    ),
    *_fatal(
        Reason.FILE_MALFORMED,
        "Have the file written by RFC 4180: a cell with quotes, commas or line ends in quotes, and quotes doubled.",
        ("BadQuoting", "The file's quotes do not close or stand where none may; all that follows would be misread."),
        ("CellTooLong", "A cell is longer than 131,072 characters; a quote may be missing."),
    ),
    *_warnings(
        "Have the file written as UTF-8.",
        ("EncodingWindows1252", "The file is Windows-1252; it was read as that."),
        ("EncodingUTF16", "The file is UTF-16; it was read as that."),
        ("Mojibake", "The file has text that was garbled before it was written: UTF-8 read as something else."),
    ),
    *_warnings(
        "Check the export: a whole file with only headers is what a broken one looks like. It removes nothing.",
        ("HeaderOnly", "The file is bulk and has no rows."),
        standard=False,
    ),
    *_warnings(
        _SEND_AGAIN + " Until then nothing is removed because of this file.",
        ("CutShort", "The file ends in the middle of a row."),
    ),
]
_HEADER = [
    *_fatal(
        Reason.HEADER_INVALID,
        "Add the standard's header to the file.",
        ("FileEmpty", "The file is empty, even of a header."),
        ("HeaderMissing", "The file begins with data instead of a header, or with a header of something else."),
        ("WrongTable", "The file has the header of another file of the standard: it may be a copy under a wrong name."),
        ("MissingHeader", "A required column is missing."),
        ("DuplicateHeader", "A column is there twice."),
        ("TooManyColumns", "The header has more than 1,000 columns."),
    ),
    *_warnings(
        "Correct the file's header.",
        ("MissingOptionalHeader", "A column of the standard is missing; it counts as empty."),
        ("HeaderOrder", "The columns are in another order than the standard's; they were read by their names."),
        ("HeaderMisspelt", "A column's name is misspelt or of an older version; it was understood."),
        ("HeaderCase", "A column's name is in other letters than the standard's; it was understood."),
        ("HeaderInvisible", "A column's name has invisible characters or blanks about it; they were ignored."),
        ("HeaderUnknown", "A column is none of the standard's; it was ignored."),
        ("HeaderNameless", "A column has no name; it was ignored."),
        ("HeaderOld", "A column is of a withdrawn version; it was ignored."),
        ("MetadataInTheMiddle", "Metadata columns stand before the end of the standard's columns."),
    ),
    Fault(
        "MetadataNotKept",
        "info",
        "The file has metadata columns; of rows that are a part of a person they are not imported.",
        "Nothing to do. What the application needs of them has a place in the metadata of users.csv.",
        standard=False,
    ),
]
_ROW = [
    *_errors(
        _EXPORT,
        ("MissingRequired", "A required value is missing."),
        ("TooManyCells", "The row has more cells than the header; a comma may lack its quotes."),
        ("BadStatus", "The status is neither active nor tobedeleted."),
        ("BadDate", "The value is no date, or one that can be read in two ways."),
        ("BadBoolean", "The value is neither true nor false."),
        ("BadYear", "The value is no year of four digits."),
        ("IdTooLong", "A sourcedId is longer than 255 characters."),
        ("TextTooLong", "A text is longer than 2,000 characters."),
        ("RecordTooLarge", "The row is larger than 262,144 bytes."),
        ("MetadataTooLarge", "The metadata of one row are larger than 16,384 bytes."),
        ("DuplicateSourcedId", "The sourcedId is there twice; nobody can tell which row is true, so none counts."),
        ("DanglingReference", "The row refers to something that is not there."),
        ("RoleTypeUnknown", "The roleType is neither primary nor secondary."),
        ("BadUserIds", "The userIds are not written as {Type:Id}."),
    ),
    *_warnings(
        _EXPORT,
        ("MissingExpected", "A value that the standard requires is missing; the record can live without it."),
        ("UnknownVocabulary", "The word is not in the standard's vocabulary; it was kept, and gives no privilege."),
        ("EndBeforeBegin", "The end lies before the beginning."),
        ("SchoolNotASchool", "The row's school is an org of another type."),
        ("CircularParent", "The record is, by its parents, its own ancestor."),
        ("BadTimestamp", "The dateLastModified cannot be read; it was ignored."),
        ("OptionalDangling", "The row refers to something that is not there; that reference was left out."),
    ),
    *_warnings(
        _COSMETIC,
        ("ShortRow", "The row has fewer cells than the header; the rest counts as empty."),
        ("LongRow", "The row has more cells than the header; the rest is empty and was ignored."),
        ("BlankLine", "An empty line in the file; it was ignored."),
        ("DateFormat", "The date is not written YYYY-MM-DD; it was understood."),
        ("DateWithTime", "The date has a time; only the day counts."),
        ("BooleanSpelling", "The value is not written true or false; it was understood."),
        ("VocabularyCase", "The word is in other letters than the standard's; it was understood."),
        ("StatusInBulk", "The file is bulk, and its status or dateLastModified is filled."),
        ("UserIdsSpelling", "The userIds lack the braces or the type of {Type:Id}; they were understood."),
        ("SubjectsDiffer", "There are as many subjectCodes as subjects in the standard, and not here."),
    ),
    *_warnings(
        "Look at the text: it may be made to deceive, or pasted from elsewhere. docs/how-to/deceptive-text.md helps.",
        ("InvisibleCharacters", "The file has text with characters that cannot be seen or that turn its direction."),
        ("BidiControl", "A name, id or address holds characters that turn the direction of the text."),
        ("ZeroWidth", "A name, id or address holds characters that cannot be seen."),
        ("LookalikeLetters", "A name, id or address holds letters that look like others; it was kept as it came."),
        standard=False,
    ),
    *_warnings(
        "Leave passwords out of the export. They are never stored.",
        ("PasswordPresent", "The file has passwords; they were dropped."),
        standard=False,
    ),
    Fault(
        "ReferencesNotChecked",
        "info",
        "References into a file that is delta or absent cannot be checked here.",
        "They are checked when the bundle is staged.",
        standard=False,
    ),
]
_SANITY = _warnings(
    "Check it in the SIS. If it is meant so, nothing is to be done.",
    ("ClassWithoutTeacher", "The class has no teacher."),
    ("ClassWithoutStudents", "The class has no students."),
    ("StudentWithoutEnrollment", "The student is in no class."),
    ("StudentWithoutGrade", "The student has no grade."),
    ("TeacherWithoutClass", "The teacher teaches no class."),
    ("CourseWithoutClass", "The course has no class."),
    ("SchoolWithoutStudents", "The school has no students in its classes."),
    ("PersonListedTwice", "Several users have one identifier: one person may be listed several times."),
    ("DuplicateUsername", "Several users have one username."),
    ("EnrollmentSchoolDiffers", "The enrollment's school is another than its class's."),
    ("SeveralPrimaryTeachers", "The class has several primary teachers."),
    standard=False,
)

FAULTS: dict[str, Fault] = {
    fault.code: fault for group in (_CONTAINER, _MANIFEST, _FILE, _HEADER, _ROW, _SANITY) for fault in group
}
