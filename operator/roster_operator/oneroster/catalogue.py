"""Every issue and check that a sync can show, as data: code, severity, meaning, remedy.

`python -m roster_operator.oneroster.catalogue` prints the page docs/reference/issues.md.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from .csvfiles.faults import FAULTS


@dataclass(frozen=True)
class Entry:
    """One code. severity: error (the record is skipped, its merged row stays), warning, or both, as the field needs."""

    code: str
    severity: str
    meaning: str
    remedy: str


_BOTH = "error or warning"
_SIS = "Correct the record in the SIS."
_VENDOR = "Tell the SIS's vendor: its server writes the record wrongly."
_LOOK = "Check it in the SIS. If it is meant so, nothing is to be done."


def _entries(severity: str, remedy: str, *rows: tuple[str, str]) -> tuple[Entry, ...]:
    return tuple(Entry(code, severity, meaning, remedy) for code, meaning in rows)


# Found while a record is read.
RECORDS: tuple[Entry, ...] = (
    *_entries(
        "error",
        _SIS,
        ("MissingRequired", "A field is empty that the record means nothing without."),
        ("IdTooLong", "A sourcedId is longer than 255 characters."),
        ("TextTooLong", "A text is longer than 2,000 characters."),
        ("BadDate", "The value is no date of the form YYYY-MM-DD."),
        ("BadYear", "The value is no year of four digits."),
    ),
    *_entries(
        "error",
        _VENDOR,
        ("WrongType", "The field holds something of another kind: an object for a text, say."),
        ("BadBoolean", "The value is neither true nor false."),
        ("BadStatus", "The status is neither active nor tobedeleted."),
        ("NulCharacter", "A text holds a NUL character, which no database takes."),
        ("NumberOutOfRange", "A number is larger than 64 bits."),
        ("MalformedJSON", "The record is no JSON."),
        ("BadUTF8", "The record is not UTF-8."),
        ("NotAnObject", "The record is no JSON object."),
        ("TooDeep", "The record is nested deeper than any record needs."),
        ("RecordTooLarge", "The record is larger than 262,144 bytes."),
        ("MetadataTooLarge", "The record's metadata are larger than 16,384 bytes."),
        ("MetadataTooDeep", "The record's metadata are nested more than 8 deep."),
    ),
    *_entries(
        "error",
        "Have the source show each record once. Nobody can tell which of them is true, so none is taken.",
        ("DuplicateSourcedId", "The sourcedId came more than once."),
    ),
    Entry(
        "KnownUnderAnotherId",
        "error",
        "A delta shows a new person, and somebody who is merged has the same identifier (or userMasterIdentifier, or, "
        "where many come so, user name or e-mail address) under another sourcedId. Whether they are one, only a whole "
        "pull tells. Until then the person stays as merged, and access with them.",
        "Send a bundle of bulk files. It shows whether the old sourcedId is gone: then the new one succeeds it.",
    ),
    *_entries(
        "warning",
        _SIS,
        ("MissingExpected", "A field is empty that the standard requires. The record can live without it."),
        ("BadTimestamp", "dateLastModified cannot be read. It was ignored."),
    ),
    Entry(
        "UnknownVocabulary",
        _BOTH,
        "The word is not in the standard's vocabulary. It is kept as it is, and an unknown role gives no privilege. "
        "For roleType, whose vocabulary is closed, the record is skipped.",
        "For a role: say in spec.roleMapping what it is to be taken as.",
    ),
    *_entries(
        "warning",
        "It was understood. Tell the SIS's vendor all the same.",
        ("NumberAsText", "A number stands where the standard has a text."),
        ("DateWithTime", "A date has a time. Only the day counts."),
        ("ReferenceAsText", "A reference is a bare text instead of an object."),
        ("ReferenceFromHref", "A reference has no sourcedId. It was taken from the end of its href."),
    ),
    *_entries(
        "warning",
        "It was kept as it came. Look at it in the SIS: it may be made to deceive, or pasted from elsewhere. "
        "docs/how-to/deceptive-text.md says what to do.",
        ("BidiControl", "A name, id or address holds characters that turn the direction of the text."),
        ("ZeroWidth", "A name, id or address holds characters that cannot be seen."),
        (
            "LookalikeLetters",
            (
                "A name, id or address holds letters that look like others: of two alphabets in one word, or of ASCII "
                "in another dress."
            ),
        ),
    ),
    *_entries(
        "error",
        "Have the export give users.csv and all roles of each person who changed, or a bundle of bulk files.",
        ("RoleWithoutUser", "A delta shows a role of somebody who is neither in its users.csv nor merged."),
        (
            "NoRoleLeft",
            "A delta takes a person's last role away, and a user is nothing without one. The person stays as merged.",
        ),
    ),
    Entry(
        "RoleChangeUnclear",
        "warning",
        "A delta shows a role that the person did not have, and not the others. It was added. If it is another role, "
        "changed, that one is still there, too.",
        "Have the export mark roles that ended as tobedeleted. A bundle of bulk files puts it right.",
    ),
    Entry(
        "ValueMasked",
        "warning",
        "The source withholds the value (T***). What is merged stays. A new record has the field empty, or masked "
        "where it cannot be empty.",
        "If the value is needed, have the source share the field with this client. If not, leave it out: fields.omit.",
    ),
    Entry(
        "DanglingReference",
        _BOTH,
        "The record refers to something that the source does not show, or that goes with this merge. It is skipped "
        "where it means nothing without.",
        "Have the source show the other record, too, or correct the reference in the SIS.",
    ),
)  # fmt: skip

# Found once a pull is at its end.
PULLS: tuple[Entry, ...] = (
    Entry(
        "RemovalWithheld",
        "warning",
        "Records would be removed, and the pull is not proved complete. They stay.",
        "Sync again. If it stays, `roster test` says what the server's listing lacks.",
    ),
    Entry(
        "RemovalHeld",
        "warning",
        "Records would be removed, and removals wait, because too many would go (limits.onExceed: HoldRemovals).",
        "See `plan.held` for the limit. The next sync plans them again; docs/how-to/limits.md says how to let them go.",
    ),
    Entry(
        "ScopedSchoolMissing",
        "warning",
        "spec.scope.schools names a school that neither the source nor the merged rows have.",
        "Correct the sourcedId in spec.scope.schools.",
    ),
)

# Found where the plan is an undo.
UNDOS: tuple[Entry, ...] = (
    Entry(
        "UndoConflict",
        _BOTH,
        "Something changed the record after the sync that is undone: a later merge, or a person. As an error it is "
        "left as it is; as a warning (undoConflicts: Overwrite) it gets the values from before that sync all the same.",
        "Look at these records in the review. Undo the later syncs first, newest first, to have no conflicts.",
    ),
    Entry(
        "UndoRecordGone",
        _BOTH,
        "Retention or an erasing has taken the record (error), or what the history knew of it (warning). It cannot "
        "come back.",
        "If it has to come back, have the source show it.",
    ),
)

# Found in the result, as it will be after the merge. They hold nothing.
CHECKS: tuple[Entry, ...] = _entries(
    "warning",
    _LOOK,
    ("ClassWithoutTeacher", "The class has no teacher."),
    ("ClassWithoutStudents", "The class has no students."),
    ("SeveralPrimaryTeachers", "The class has several primary teachers."),
    ("StudentWithoutEnrollment", "The student is in no class."),
    ("StudentWithoutGrade", "The student has no grade."),
    ("TeacherWithoutClass", "The teacher teaches no class."),
    ("CourseWithoutClass", "The course has no class."),
    ("SchoolWithoutStudents", "No student belongs to the school."),
    ("PersonListedTwice", "Several users have one identifier: one person may be listed several times."),
    ("DuplicateUsername", "Several users have one username."),
    ("EnrollmentSchoolDiffers", "The enrollment's school is another than its class's."),
    ("SchoolNotASchool", "The class's school is an org of another type."),
    ("CircularParent", "The record is, by its parents, its own ancestor."),
    ("EndBeforeBegin", "The end lies before the beginning."),
)


def meaning(code: str) -> str:
    """What an issue, a check or a finding in a file says, in a sentence; empty for a code of a newer version."""
    found = CATALOGUE.get(code) or FAULTS.get(code)
    return found.meaning if found else ""


def remedy(code: str) -> str:
    """What to do about it; empty for a code of a newer version."""
    found = CATALOGUE.get(code) or FAULTS.get(code)
    return found.remedy if found else ""


CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in (*RECORDS, *PULLS, *UNDOS, *CHECKS)}


def _table(rows: Iterable[tuple[str, str, str, str]]) -> list[str]:
    lines = ["| code | severity | what it means | what to do |", "|---|---|---|---|"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _rows(entries: Iterable[Entry]) -> list[tuple[str, str, str, str]]:
    return [(each.code, each.severity, each.meaning, each.remedy) for each in sorted(entries, key=lambda e: e.code)]


def page() -> str:
    """docs/reference/issues.md."""
    lines = [
        "<!-- Generated from operator/roster_operator/oneroster/catalogue.py. Do not edit. -->",
        "# Issues and checks",
        "",
        "Codes are stable. Status counts them. Which records they are about stands in the database.",
        "",
        "- **error**: the record is skipped, and its merged row stays as it was.",
        "- **warning**: the record is taken.",
        "- **info**: for you to know. It is no problem, and no trend counts it.",
        "",
        "## Records",
        "",
        *_table(_rows(RECORDS)),
        "",
        "## Pulls",
        "",
        *_table(_rows(PULLS)),
        "",
        "## Undo",
        "",
        *_table(_rows(UNDOS)),
        "",
        "## Checks",
        "",
        "Asked of the result, as it will be after the merge. They hold nothing, and are no part of a plan's digest.",
        "The database keeps the 20 schools with the most findings of each.",
        "",
        *_table(_rows(CHECKS)),
        "",
        "## Bundles of CSV files",
        "",
        "Found by `roster validate`, with file, line and column. A sync fails for what refuses the bundle, and counts",
        "the errors of rows and whatever is said about files among its issues, with their places in the database. What",
        "is only spelt otherwise (VocabularyCase, BooleanSpelling) is told by `roster validate` alone. Checks of the",
        "result, such as classes without a teacher, are counted by school in a sync, and `roster validate` names their",
        "lines.",
        "",
        *_table(
            (each.code, each.severity, each.meaning, each.remedy)
            for each in sorted(FAULTS.values(), key=lambda f: f.code)
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
