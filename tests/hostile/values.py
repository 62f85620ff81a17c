"""Values: what may stand in a field, and must be kept exactly as it came or refused with a code and the field."""

from __future__ import annotations

from typing import Any

from tests.oneroster.fake_servers import SECRET

from roster_operator.oneroster.entities import Entity

from .cases import CANARY, Case, Decoded, Issue, Outcome, Unchanged, rejected, warned
from .records import WITHOUT, Changed, RawRecord, Text

FAMILY = "Values"
ORG, SESSION, COURSE, CLASS = Entity.ORGS, Entity.ACADEMIC_SESSIONS, Entity.COURSES, Entity.CLASSES
USER, ENROLLMENT, DEMOGRAPHICS = Entity.USERS, Entity.ENROLLMENTS, Entity.DEMOGRAPHICS

# By shape: what has broken parsers, shells, spreadsheets, browsers, databases and terminals.
NAUGHTY: dict[str, str] = {
    "a quote": "O'Neill",
    "two quotes": 'x"y"',
    "SQL": "'); DROP TABLE students;--",
    "SQL of another kind": "1 OR 1=1 UNION SELECT NULL, version()--",
    "dollar quotes": "$$; SELECT 1; $$",
    "a COPY null": "\\N",
    "a COPY end": "\\.",
    "backslashes": "\\\\\\t\\x41",
    "a tab": "a\tb",
    "a newline": "a\nb",
    "CRLF": "a\r\nb",
    "an array literal": '{a,"b",NULL}',
    "NULL": "NULL",
    "Null": "Null",
    "undefined": "undefined",
    "NaN": "NaN",
    "true": "true",
    "nil and None": "None nil",
    "a number": "00123",
    "a number with a point": "1.0e5",
    "a date": "2026-02-30",
    "HTML": "<script>alert(1)</script>",
    "HTML in an attribute": '" onmouseover=alert(1) x="',
    "an entity": "&lt;&#x41;",
    "a link of a script": "javascript:alert(1)",
    "a template": "{{7*7}} ${7*7} #{7*7} <%= 7 %>",
    "a log4j lookup": "${jndi:ldap://x.invalid/a}",
    "a shell's command": "$(id) `id` ; id | id && id",
    "a path": "../../../../etc/passwd",
    "a path with percent signs": "..%2f..%2fetc%2fpasswd",
    "a device": "CON",
    "a formula": '=HYPERLINK("http://x.invalid";"x")',
    "a formula with DDE": "=cmd|' /C calc'!A0",
    "a formula with @": "@SUM(1)",
    "a formula with +": "+1+1",
    "a formula with -": "-1+1",
    "a format string": "%s%n%x%d {0} {name!r}",
    "XML": "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
    "an e-mail header": "x\r\nBcc: y@example.org",
    "an escape code": "\x1b[2J\x1b]0;x\x07",
    "control characters": "".join(map(chr, [*range(1, 9), 11, 12, *range(14, 32), 127])),
    "C1 control characters": "\x80\x85\x9b31m\x9f",
    "bidi": "\u202eevil\u202c",
    "bidi isolates": "\u2066x\u2069",
    "zero width": "a\u200b\u200c\u200d\u2060\ufeffb",
    "a soft hyphen": "a\u00adb",
    "tags": "\U000e0041\U000e0042",
    "homoglyphs": "\u0440\u0430ypal",
    "the Kelvin sign": "\u212a",
    "composed": "\u00e9",
    "decomposed": "e\u0301",
    "many marks": "a" + "\u0300" * 200,
    "Turkish": "\u0130\u0131",
    "sharp s": "Stra\u00dfe \u1e9e",
    "a ligature": "\ufb03",
    "full-width": "\uff21\uff22\uff23",
    "Japanese": "\u5c71\u7530 \u592a\u90ce",
    "Arabic": "\u0645\u062d\u0645\u062f",
    "an emoji of a family": "\U0001f469\u200d\U0001f469\u200d\U0001f466",
    "a flag": "\U0001f1e6\U0001f1f6",
    "a line separator": "a\u2028b\u2029c",
    "a noncharacter": "\ufffe\uffff",
    "a replacement character": "\ufffd",
    "private use": "\ue000\U0010fffd",
    "the last character": "\U0010ffff",
    "mojibake": "Ã©â€™",
    "a blank at each end": " x ",
    "blanks alone": "   ",
    "a no-break space": "\u00a0x\u00a0",
    "an ideographic space": "\u3000",
    "2,000 letters": "x" * 2_000,
    "one letter": "x",
    "zero": "0",
}


# What is said about a text in a name or an id, and what in an id alone.
_TOLD = {
    **dict.fromkeys(("bidi", "bidi isolates"), "BidiControl"),
    **dict.fromkeys(("zero width", "a soft hyphen", "tags"), "ZeroWidth"),
    "homoglyphs": "LookalikeLetters",
}
_TOLD_OF_IDS = dict.fromkeys(("the Kelvin sign", "a ligature", "full-width"), "LookalikeLetters")


def _kept(what: str, field: str) -> Unchanged:
    codes = _TOLD | _TOLD_OF_IDS if field == "sourcedId" else {} if field == "metadata" else _TOLD
    return Unchanged((Issue(codes[what], "warning", field),) if what in codes else ())


def _texts() -> list[Case]:
    places = [
        (ORG, "name", "name"),
        (USER, "familyName", "family_name"),
        (USER, "sourcedId", "sourced_id"),
        (COURSE, "metadata", "metadata"),
    ]
    return [
        Case(FAMILY, f"{entity} {name}: {what}", Text(entity, name, attribute, text), _kept(what, name))
        for what, text in NAUGHTY.items()
        for entity, name, attribute in places
        if name != "sourcedId" or len(text) <= 255
    ]


_LIKE = "LookalikeLetters"
# Texts that are kept, and what is said of them as a name and as an id or address.
_DECEPTIVE: list[tuple[str, str, str, str]] = [
    ("a name turned round", "Ann\u202egro.elpmaxe@", "BidiControl", "BidiControl"),
    ("a left-to-right mark", "Ann\u200e", "BidiControl", "BidiControl"),
    ("an Arabic letter mark", "Ann\u061c", "BidiControl", "BidiControl"),
    ("isolates that do not close", "Ann\u2067", "BidiControl", "BidiControl"),
    ("a zero width space", "An\u200bn", "ZeroWidth", "ZeroWidth"),
    ("a zero width joiner between Latin letters", "An\u200dn", "ZeroWidth", "ZeroWidth"),
    ("a joiner at the beginning", "\u200cAnn", "ZeroWidth", "ZeroWidth"),
    ("a byte order mark", "\ufeffAnn", "ZeroWidth", "ZeroWidth"),
    ("a Hangul filler", "An\u3164n", "ZeroWidth", "ZeroWidth"),
    ("a word joiner and a Cyrillic letter", "A\u2060n\u043e", f"ZeroWidth {_LIKE}", f"ZeroWidth {_LIKE}"),
    ("Latin with one Cyrillic letter", "p\u0430ypal", _LIKE, _LIKE),
    ("Latin with one Greek letter", "J\u03bfhn", _LIKE, _LIKE),
    ("Latin with one Armenian letter", "J\u0585hn", _LIKE, _LIKE),
    ("Cyrillic with one Latin letter", "A\u043d\u043d\u0430", _LIKE, _LIKE),
    ("a Cyrillic letter under an accent", "Jo\u0301s\u0435", _LIKE, _LIKE),
    ("a Cyrillic letter behind a zero width space", "p\u200b\u0430ypal", f"ZeroWidth {_LIKE}", f"ZeroWidth {_LIKE}"),
    ("the Kelvin sign in a name", "\u212aate", _LIKE, _LIKE),
    ("one full-width letter", "\uff21nn", _LIKE, _LIKE),
    ("one mathematical letter", "\U0001d400nn", _LIKE, _LIKE),
    ("Cyrillic letters that all look Latin", "\u0441\u043e\u0440\u0435", "", _LIKE),
    ("full-width letters alone", "\uff21\uff22", "", _LIKE),
    ("an ordinal", "1\u00ba", "", _LIKE),
    ("a ligature", "\ufb01n", "", _LIKE),
    ("Cyrillic", "\u0410\u043d\u043d\u0430 \u0418\u0432\u0430\u043d\u043e\u0432\u0430", "", ""),
    ("Greek", "\u0393\u03b9\u03ac\u03bd\u03bd\u03b7\u03c2", "", ""),
    ("one word Latin, one Cyrillic", "Anna \u0418\u0432\u0430\u043d\u043e\u0432\u0430", "", ""),
    ("Persian with its joiner", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "", ""),
    ("Hindi with its joiner", "\u0915\u094d\u200d\u0937", "", ""),
    ("Hebrew", "\u05d3\u05d5\u05d3", "", ""),
    ("Japanese with Latin letters", "\u5c71\u7530A", "", ""),
    ("a class of a Japanese school", "\uff11\u5e74\uff21\u7d44", "", _LIKE),
    ("French", "Ren\u00e9e-\u00c9lo\u00efse d\u2019H\u00e9bert", "", ""),
    ("Vietnamese", "Nguy\u1ec5n Th\u1ecb H\u01b0\u01a1ng", "", ""),
    ("Hawaiian", "K\u0101\u02bbehu", "", ""),
    ("Greek letters of mathematics", "\u0394t and \u03c0r", "", ""),
]  # fmt: skip


def _deceptive() -> list[Case]:
    places = [
        (USER, "givenName", "given_name", False), (USER, "email", "email", True), (USER, "username", "username", True),
        (USER, "sourcedId", "sourced_id", True), (USER, "identifier", "identifier", True),
        (ORG, "name", "name", False), (ORG, "sourcedId", "sourced_id", True), (CLASS, "title", "title", False),
        (COURSE, "title", "title", False), (SESSION, "title", "title", False),
        (ENROLLMENT, "sourcedId", "sourced_id", True), (DEMOGRAPHICS, "sourcedId", "sourced_id", True),
    ]  # fmt: skip
    return [
        Case(FAMILY, f"{entity} {name}, deceptive: {what}", Text(entity, name, attribute, text), Unchanged(tuple(
            sorted(Issue(code, "warning", name) for code in (of_ids if is_id else of_names).split()))))
        for what, text, of_names, of_ids in _DECEPTIVE
        for entity, name, attribute, is_id in places
    ]  # fmt: skip


def changed(name: str, entity: Entity, expect: Outcome, version: Any = "1.1", /, **changes: Any) -> Case:
    return Case(FAMILY, name, Changed(entity, changes, version), expect)


_KEPT = Decoded(True)
_IDS = [
    *(changed(f"{entity}: {what}", entity, rejected(code, "sourcedId"), sourcedId=value)
      for entity in (ORG, USER, ENROLLMENT, DEMOGRAPHICS)
      for what, code, value in [
          ("an id of 256 letters", "IdTooLong", "x" * 256),
          ("an id of 256 letters of four bytes", "IdTooLong", "\U0001f392" * 256),
          ("an empty id", "MissingRequired", ""),
          ("an id of null", "MissingRequired", None),
          ("no id", "MissingRequired", WITHOUT),
          ("an id that is a number", "WrongType", 7),
          ("an id that is true", "WrongType", True),
          ("an id that is a list", "WrongType", ["a"]),
          ("an id that is an object", "WrongType", {"sourcedId": "a"}),
          ("an id with NUL", "NulCharacter", "a\0b"),
      ]),
    *(changed(f"{entity}: an id of 255 letters", entity, _KEPT, sourcedId="\u00e9" * 255)
      for entity in (ORG, USER, ENROLLMENT, DEMOGRAPHICS)),
    *(changed(f"a reference that is {what}", ENROLLMENT, expect, user=value)
      for what, value, expect in [
          ("null", None, rejected("MissingRequired", "user")),
          ("empty", {"sourcedId": ""}, rejected("MissingRequired", "user")),
          ("an object without an id", {}, rejected("MissingRequired", "user")),
          ("a number", 7, rejected("WrongType", "user")),
          ("a list", [{"sourcedId": "u1"}], rejected("WrongType", "user")),
          ("an id of a number", {"sourcedId": 7}, rejected("WrongType", "user")),
          ("too long", {"sourcedId": "x" * 256}, rejected("IdTooLong", "user")),
          ("with NUL", {"sourcedId": "a\0"}, rejected("NulCharacter", "user")),
          ("a text", "u1", warned("ReferenceAsText", "user")),
          ("an address", {"href": "/users/u1"}, warned("ReferenceFromHref", "user")),
          ("an address with an escaped NUL", {"href": "/users/u%00"},
           Decoded(False, (Issue("NulCharacter", "error", "user"), Issue("ReferenceFromHref", "warning", "user")))),
          ("an address without an id", {"href": "///"}, rejected("MissingRequired", "user")),
      ]),
]  # fmt: skip

_DATES = [
    *(changed(f"startDate: {value!r}", SESSION, rejected("BadDate", "startDate"), startDate=value)
      for value in ["1/05/2023", "2026-02-30", "2027-02-29", "1900-02-29", "0000-01-01", "10000-01-01", "2026-13-01",
                    "2026-00-10", "2026-01-00", "20260801", "2026-W31-6", "2026-213", "2026-8-1", "26-08-01",
                    "+2026-08-01",
                    "-2026-08-01", "2026-08-01Tnoon", "2026-08-01T25:00:00Z", "2026-08-01X00:00:00",
                    "\uff12\uff10\uff12\uff16-08-01", "2026\u201308\u201301", " 2026-08-01", "2026-08-01 ", "today",
                    "0",
                    "2026-08-01\n", "x" * 1_000_00]),
    *(changed(f"startDate: {what}", SESSION, rejected("WrongType", "startDate"), startDate=value)
      for what, value in [("a number", 20260801), ("true", True), ("a list", ["2026-08-01"]), ("an object", {"d": 1})]),
    *(changed(f"startDate: {what}", SESSION, rejected("MissingRequired", "startDate"), startDate=value)
      for what, value in [("null", None), ("empty", ""), ("missing", WITHOUT)]),
    *(changed(f"startDate: {value!r}", SESSION, warned("DateWithTime", "startDate"), startDate=value)
      for value in ["2026-08-01T00:00:00Z", "2026-08-01 00:00:00", "2026-08-01T00:00:00.000+02:00"]),
    *(changed(f"startDate: {value!r}", SESSION, _KEPT, startDate=value)
      for value in ["2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"]),
    *(changed(f"schoolYear: {value!r}", SESSION, rejected("BadYear", "schoolYear"), schoolYear=value)
      for value in ["26-27", "27", 27, 2026.5, "\u0662\u0660\u0662\u0666", "20261", True, [2026], "2026 "]),
    *(changed(f"dateLastModified: {str(value)[:20]!r}", ORG, warned("BadTimestamp", "dateLastModified"),
              dateLastModified=value)
      for value in ["yesterday", 1785542400, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", [], {}, True,
                    "2026-02-30T00:00:00Z", "x" * 100_000]),
    *(changed(f"birthDate: {value!r}", DEMOGRAPHICS, rejected("BadDate", "birthDate"), birthDate=value)
      for value in ["2010-13-01", "13/01/2010", CANARY]),
]  # fmt: skip

_WORDS = [
    *(changed(f"enabledUser: {value!r}", USER, rejected("BadBoolean", "enabledUser"), enabledUser=value)
      for value in ["yes", "Y", "t", "on", "perhaps", 2, -1, 0.5, CANARY, "\uff11", "truee"]),
    *(changed(f"enabledUser: {value!r}", USER, rejected("WrongType", "enabledUser"), enabledUser=value)
      for value in [[], {}, ["true"]]),
    *(changed(f"enabledUser: {value!r} ({type(value).__name__})", USER, _KEPT, enabledUser=value)
      for value in ["TRUE", "True", True, 1, "1", " false ", 0, False, "FALSE"]),
    *(changed(f"status: {value!r}", USER, rejected("BadStatus", "status"), status=value)
      for value in ["retired", "ACTIVE!", 1, True, [], {}, CANARY, "\u0430ctive"]),
    *(changed(f"status: {value!r}", USER, _KEPT, status=value) for value in ["inactive", "ACTIVE", "tobedeleted"]),
    *(changed(f"role: {value!r}", USER, warned("UnknownVocabulary", "role"), role=value)
      for value in ["root", "superuser", "administrator; student", CANARY, "te\u0430cher", "\u017ftudent"]),
    *(changed(f"role: {value!r}", USER, rejected(code, "role"), role=value)
      for value, code in [(None, "MissingRequired"), ("", "MissingRequired"), (["student"], "WrongType"),
                          ({"role": "x"}, "WrongType"), (True, "WrongType"), ("x" * 2_001, "TextTooLong"),
                          ("student\0", "NulCharacter")]),
    *(changed(f"roles: {what}", USER, expect, "1.2", roles=value)
      for what, value, expect in [
          ("a list of texts", ["student"], rejected("WrongType", "roles")),
          ("a number", 7, rejected("WrongType", "roles")),
          ("a roleType of its own", [{"roleType": "main", "role": "aide", "org": {"sourcedId": "o"}}],
           rejected("UnknownVocabulary", "roles.roleType")),
          ("no role", [{"roleType": "primary", "org": {"sourcedId": "o"}}], rejected("MissingRequired", "roles.role")),
          ("no roleType", [{"role": "aide", "org": {"sourcedId": "o"}}], warned("MissingExpected", "roles.roleType")),
          ("no org", [{"roleType": "primary", "role": "aide"}], warned("MissingExpected", "roles.org")),
          ("none", None, warned("MissingExpected", "roles")),
          ("a bad date", [{"roleType": "primary", "role": "aide", "org": {"sourcedId": "o"}, "endDate": CANARY}],
           rejected("BadDate", "roles.endDate")),
          ("a profile with credentials", [{"roleType": "primary", "role": "aide", "org": {"sourcedId": "o"},
           "userProfile": {"credentials": [{"password": SECRET}]}}], Decoded(True, (), secret=True)),
      ]),
    *(changed(f"sex: {value!r}", DEMOGRAPHICS, warned("UnknownVocabulary", "sex"), sex=value)
      for value in ["X", "M", CANARY]),
    *(changed(f"{field}: {what}", entity, rejected(code, field), **{field: value})
      for entity, field, what, code, value in [
          (ORG, "name", "a list", "WrongType", ["a"]), (ORG, "name", "an object", "WrongType", {"a": CANARY}),
          (ORG, "name", "true", "WrongType", True), (ORG, "name", "half a number", "WrongType", 1.5),
          (ORG, "name", "2,001 letters", "TextTooLong", "x" * 2_001), (ORG, "parent", "a number", "WrongType", 4),
          (COURSE, "grades", "an object", "WrongType", {"grade": [1]}), (COURSE, "grades", "lists", "WrongType",
          [["09"]]),
          (COURSE, "subjects", "a number", "WrongType", 5), (CLASS, "terms", "numbers", "WrongType", [5]),
          (CLASS, "course", "a list", "WrongType", []), (USER, "userIds", "texts", "WrongType", ["x"]),
          (USER, "userIds", "a number", "WrongType", 5), (USER, "email", "a list", "WrongType", [CANARY]),
          (USER, "email", "2,001 letters", "TextTooLong", "x" * 2_001), (USER, "phone", "NUL", "NulCharacter", "\0"),
          (ENROLLMENT, "primary", "a word", "BadBoolean", "maybe"), (ENROLLMENT, "beginDate", "a word", "BadDate",
          CANARY),
          (DEMOGRAPHICS, "white", "a word", "BadBoolean", "unknown"), (DEMOGRAPHICS, "asian", "a list", "WrongType",
          []),
      ]),
]  # fmt: skip

_PASSWORDS = [
    changed(f"a password in {what}", USER, Decoded(True, (), secret=True), version, **changes)
    for what, version, changes in [
        ("its field", "1.1", {"password": SECRET}),
        ("its field, of 1.2", "1.2", {"password": SECRET}),
        ("another spelling", "1.1", {"PASSWORD": SECRET}),
        ("a field of a vendor", "1.1", {"initialPassword": SECRET}),
        ("a profile", "1.2", {"userProfiles": [{"credentials": [{"type": "x", "username": "a", "password": SECRET}]}]}),
        ("credentials without its name", "1.2", {"userProfiles": [{"credentials": [SECRET]}]}),
        ("metadata", "1.1", {"metadata": {"password": SECRET}}),
        ("metadata, in other letters", "1.1", {"metadata": {"ext.PassWord.initial": SECRET}}),
        ("metadata, deep down", "1.1", {"metadata": {"a": [{"b": {"password_hash": SECRET}}]}}),
        ("metadata, as an object", "1.1", {"metadata": {"credentials": {"pin": SECRET}}}),
        ("a list of user ids", "1.1", {"userIds": [{"type": "a", "identifier": "b", "password": SECRET}]}),
        ("a reference", "1.1", {"orgs": [{"sourcedId": "o1", "password": SECRET}]}),
    ]
] + [
    Case(FAMILY, "a password under an escaped name", RawRecord(USER, (
        b'{"sourcedId":"u1","status":"active","enabledUser":"true","givenName":"A","familyName":"B","username":"a",'
        b'"role":"student",'
        b'"orgs":[{"sourcedId":"o1"}],"metadata":{"p\\u0061ssword":"' + SECRET.encode() + b'"}}')),
        Decoded(True, (), secret=True)),
    changed("a password in an org's metadata", ORG, Decoded(True, (), secret=True), metadata={"password": SECRET}),
    changed("a password in an enrollment's metadata", ENROLLMENT, Decoded(True, (), secret=True),
            metadata={"x": {"Credential": SECRET}}),
]  # fmt: skip

_MASKS = [
    changed(f"{field}: {value!r}", USER, warned("ValueMasked", field), **{field: value})
    for field, value in [("givenName", "T***"), ("familyName", "****"), ("email", "j***@example.org"),
                         ("phone", "***-***"), ("middleName", "**")]
] + [
    changed(f"familyName: {value!r}", USER, _KEPT, familyName=value) for value in ["Smith*", "Wu**", "*", "Null",
    "Test"]
]  # fmt: skip

CASES = [*_texts(), *_deceptive(), *_IDS, *_DATES, *_WORDS, *_PASSWORDS, *_MASKS]
