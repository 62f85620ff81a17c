"""JSON: bodies of pages that are none, or only nearly. The shapes are those of public parsing suites, written anew."""

from __future__ import annotations

import json

from tests.oneroster.fake_servers import Answer

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import Reason

from .cases import CANARY, Case, Decoded, Outcome, Read, Refused, rejected
from .records import RawRecord
from .worlds import Pull

FAMILY = "JSON"
BROKEN = Refused(Reason.MALFORMED_RESPONSE, retryable=True)
TOO_DEEP = Refused(Reason.MALFORMED_RESPONSE)
ELSE = Refused(Reason.ENDPOINT_NOT_ONEROSTER)
NAME = CANARY.encode()


def record(inner: bytes) -> bytes:
    """A page of one record with something in it."""
    return b'{"orgs":[{"sourcedId":"a","name":"' + NAME + b'","x":' + inner + b"}]}"


_PAGES: list[tuple[str, bytes, Outcome]] = [
    # Values that are none, in the place of one.
    *((f"a value of {shown}", record(value), BROKEN) for shown, value in {
        "nothing": b"", "NaN": b"NaN", "Infinity": b"Infinity", "-Infinity": b"-Infinity", "nul": b"nul",
        "truth": b"truth", "True": b"True", "undefined": b"undefined", "a word": b"word", "+1": b"+1", "01": b"01",
        "-01": b"-01", "-": b"-", "1.": b"1.", ".5": b".5", "1e": b"1e", "1e+": b"1e+", "0x1F": b"0x1F",
        "1_000": b"1_000",
        "1 000": b"1 000", "two points": b"1.2.3", "full-width digits": "\uff11".encode(), "single quotes": b"'x'",
        "an open text": b'"x', "an unknown escape": b'"\\x41"', "half an escape": b'"\\u00"',
        "a raw newline": b'"a\nb"',
        "a raw tab": b'"a\tb"', "a raw NUL": b'"a\0b"', "a raw escape code": b'"\x1b[2J"',
        "a backslash at the end": b'"\\"',
        "an open list": b"[1,2", "an open object": b'{"a":1', "a comma too many": b"[1,]", "a comma first": b"[,1]",
        "two commas": b"[1,,2]", "a list with a colon": b"[1:2]", "an object without a value": b'{"a"}',
        "an object without a colon": b'{"a" 1}', "an object with two colons": b'{"a"::1}',
        "an object with a trailing comma": b'{"a":1,}', "a key that is a number": b"{1:1}",
        "a key without quotes": b"{a:1}",
        "a comment": b"/* x */1", "a comment at the end": b"1 // x", "a lone ]": b"]", "a lone }": b"}",
        "] for }": b'{"a":1]',
        "} for ]": b"[1}", "an invisible blank": "\u00a01".encode(), "a byte order mark": b"\xef\xbb\xbf1",
        "a form feed": b"\x0c1", "an XML entity": b"&quot;x&quot;",
    }.items()),
    # Values that are fine, or whose fault is the record's and not the page's.
    *((f"a value of {shown}", record(value), Read(1, "DistinctEqualsTotal")) for shown, value in {
        "null": b"null", "-0": b"-0", "1e3": b"1e3", "1E-5": b"1E-5", "a number of 4,000 digits": b"9" * 4_000,
        "1e999": b"1e999", "an empty object": b"{}", "an empty list": b"[]", "an empty text": b'""', "every escape":
        b'"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"', "an escaped NUL": b'"\\u0000"', "an escape of two surrogates":
        b'"\\ud83c\\udf92"', "blanks all about": b" \t\r\n[ 1 , 2 ] ", "duplicate keys": b'{"a":1,"a":2}',
        "DEL": b'"\x7f"', "a noncharacter": b'"\\uffff"', "depth 100": b"[" * 100 + b"]" * 100,
    }.items()),
    # What may be in the place of the page.
    ("depth 100,000 of lists", b"[" * 100_000, TOO_DEEP),
    ("depth 100,000 of objects", b'{"a":' * 100_000, TOO_DEEP),
    ("depth 100,000 in the list", b'{"orgs":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}", TOO_DEEP),
    ("depth 100,000 in a record", record(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), TOO_DEEP),
    ("depth 100,000 before the list", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"orgs":[]}', TOO_DEEP),
    ("cut in a record", b'{"orgs":[{"sourcedId":"' + NAME, BROKEN),
    ("cut behind the list", b'{"orgs":[]', BROKEN),
    ("cut in a character", b'{"orgs":[{"name":"\xc3', BROKEN),
    ("two documents", b'{"orgs":[]}{"orgs":[]}', BROKEN),
    ("something behind the document", b'{"orgs":[]} ' + NAME, BROKEN),
    ("a comma behind the document", b'{"orgs":[]},', BROKEN),
    ("NUL behind the document", b'{"orgs":[]}\0', BROKEN),
    ("JSON lines", b'{"sourcedId":"a"}\n{"sourcedId":"b"}', BROKEN),
    ("UTF-16", json.dumps({"orgs": []}).encode("utf-16"), ELSE),
    ("UTF-16 without a mark", json.dumps({"orgs": []}).encode("utf-16-le"), BROKEN),
    ("UTF-32", json.dumps({"orgs": []}).encode("utf-32"), ELSE),
    ("a lone {", b"{", BROKEN),
    ("a lone [", b"[", BROKEN),
    ("a lone quote", b'"', ELSE),
    ("null", b"null", ELSE),
    ("true", b"true", ELSE),
    ("a number", b"42", ELSE),
    ("a text", json.dumps(CANARY).encode(), ELSE),
    ("a call of a function", b"callback({})", ELSE),
    ("a guard against hijacking", b")]}',\n" + b'{"orgs":[]}', ELSE),
    ("no wrapper", b'{"sourcedId":"' + NAME + b'"}', ELSE),
    ("another wrapper", b'{"users":[{"sourcedId":"' + NAME + b'"}]}', ELSE),
    ("a wrapper in a wrapper", b'{"data":{"orgs":[]}}', ELSE),
    ("an object for the list", b'{"orgs":{"sourcedId":"' + NAME + b'"}}', ELSE),
    ("a text for the list", b'{"orgs":"' + NAME + b'"}', ELSE),
    ("a number for the list", b'{"orgs":5}', ELSE),
    ("true for the list", b'{"orgs":true}', ELSE),
    ("an empty object", b"{}", ELSE),
    ("an error with 200", b'{"error":"' + NAME + b'"}', ELSE),
    ("an error in a wrapper of 1.1 with 200", b'{"imsx_StatusInfo":{"imsx_codeMajor":"failure"}}', ELSE),
    # What is read in spite of everything.
    ("a bare list", b'[{"sourcedId":"a"}]', Read(1, "DistinctEqualsTotal")),
    ("a wrapper in capitals", b'{"ORGS":[{"sourcedId":"a"}]}', Read(1, "DistinctEqualsTotal")),
    ("a byte order mark and blanks", b'\xef\xbb\xbf \r\n{"orgs":[{"sourcedId":"a"}]}\n', Read(1,
    "DistinctEqualsTotal")),
    ("the list twice", b'{"orgs":[{"sourcedId":"a"}],"orgs":[{"sourcedId":"b"}]}', Read(1, "DistinctEqualsTotal")),
    ("records that are none", b'{"orgs":[1]}', Read(1, "DistinctEqualsTotal")),
    ("a record of null", b'{"orgs":[null]}', Read(1, "DistinctEqualsTotal")),
    ("a list for the list of lists", b'{"orgs":[[[]]]}', Read(1, "DistinctEqualsTotal")),
    ("null for the list", b'{"orgs":null}', Read(0, "FewerThanTotal")),
    ("an empty text for the list", b'{"orgs":""}', Read(0, "FewerThanTotal")),
    ("nothing", b"", Read(0, "FewerThanTotal")),
    ("blanks", b" \r\n\t ", Read(0, "FewerThanTotal")),
]  # fmt: skip

# Of a record the position is the record itself: its id is known, where it can be read.
_BASE = b'{"sourcedId":"a","status":"active","name":"' + NAME + b'","type":"school"'
_RECORDS: list[tuple[str, bytes, Outcome]] = [
    ("invalid UTF-8", _BASE + b',"x":"\xff"}', rejected("BadUTF8")),
    ("an overlong slash", _BASE + b',"x":"\xc0\xaf"}', rejected("BadUTF8")),
    ("a surrogate in UTF-8", _BASE + b',"x":"\xed\xa0\x80"}', rejected("BadUTF8")),
    ("five bytes of UTF-8", _BASE + b',"x":"\xf8\x88\x80\x80\x80"}', rejected("BadUTF8")),
    ("a character beyond Unicode", _BASE + b',"x":"\xf4\x90\x80\x80"}', rejected("BadUTF8")),
    ("a cut character", _BASE + b',"x":"\xe2\x82"}', rejected("BadUTF8")),
    ("Latin-1", _BASE + b',"x":"caf\xe9"}', rejected("BadUTF8")),
    ("invalid UTF-8 in a key", _BASE + b',"\xff":1}', rejected("BadUTF8")),
    ("a lone high surrogate", _BASE + b',"x":"\\ud800"}', rejected("MalformedJSON")),
    ("a lone low surrogate", _BASE + b',"x":"\\udc00"}', rejected("MalformedJSON")),
    ("two surrogates in the wrong order", _BASE + b',"x":"\\udc00\\ud800"}', rejected("MalformedJSON")),
    ("a lone surrogate in a key", _BASE + b',"\\ud800":1}', rejected("MalformedJSON")),
    ("an escaped NUL in the name", b'{"sourcedId":"a","status":"active","name":"\\u0000","type":"school"}',
     rejected("NulCharacter", "name")),
    ("an escaped NUL in the id", b'{"sourcedId":"a\\u0000","status":"active","name":"n","type":"school"}',
     rejected("NulCharacter", "sourcedId")),
    ("an escaped NUL in metadata", _BASE + b',"metadata":{"x":"\\u0000"}}', rejected("NulCharacter", "metadata")),
    ("an escaped NUL in a key of metadata", _BASE + b',"metadata":{"\\u0000":1}}', rejected("NulCharacter",
    "metadata")),
    ("an escaped NUL in a field nobody reads", _BASE + b',"x":"\\u0000"}', Decoded(True)),
    ("1e999", _BASE + b',"x":1e999}', rejected("NumberOutOfRange")),
    ("a number of 4,000 digits in a field nobody reads", _BASE + b',"x":' + b"9" * 4_000 + b"}", Decoded(True)),
    ("a number of 30 digits in metadata", _BASE + b',"metadata":{"x":' + b"9" * 30 + b"}}",
     rejected("NumberOutOfRange", "metadata")),
    ("depth 100,000", _BASE + b',"x":' + b"[" * 100_000, rejected("TooDeep")),
    ("depth 20,000 of objects", _BASE + b',"x":' + b'{"a":' * 20_000, rejected("TooDeep")),
    ("metadata of depth 9", _BASE + b',"metadata":' + b'{"a":' * 9 + b"1" + b"}" * 10,
     rejected("MetadataTooDeep", "metadata")),
    ("metadata of depth 8", _BASE + b',"metadata":' + b'{"a":' * 8 + b"1" + b"}" * 9, Decoded(True)),
    ("metadata of 17 kB", _BASE + b',"metadata":{"a":"' + b"x" * 17_000 + b'"}}', rejected("MetadataTooLarge",
    "metadata")),
    ("metadata of 15 kB", _BASE + b',"metadata":{"a":"' + b"x" * 15_000 + b'"}}', Decoded(True)),
    ("metadata that is a list", _BASE + b',"metadata":[1]}', rejected("WrongType", "metadata")),
    ("metadata that is a text", _BASE + b',"metadata":"' + NAME + b'"}', rejected("WrongType", "metadata")),
    ("a record of 300 kB", _BASE + b',"x":"' + b"x" * 300_000 + b'"}', rejected("RecordTooLarge")),
    ("10,000 keys", _BASE + b"," + b",".join(b'"k%d":0' % n for n in range(10_000)) + b"}", Decoded(True)),
    ("duplicate keys, the last counts", _BASE + b',"name":""}', rejected("MissingRequired", "name")),
    ("a list for a record", b"[]", rejected("NotAnObject")),
    ("null for a record", b"null", rejected("NotAnObject")),
    ("a text for a record", json.dumps(CANARY).encode(), rejected("NotAnObject")),
    ("a number for a record", b"7", rejected("NotAnObject")),
    ("nothing for a record", b"", rejected("MalformedJSON")),
    ("a cut record", _BASE, rejected("MalformedJSON")),
    ("NaN", _BASE + b',"x":NaN}', rejected("MalformedJSON")),
    ("two records in one", _BASE + b"}" + _BASE + b"}", rejected("MalformedJSON")),
]  # fmt: skip

CASES = [
    *(Case(FAMILY, f"a page: {name}", Pull(Answer(body=body, headers={"X-Total-Count": "1"})), expect)
      for name, body, expect in _PAGES),
    *(Case(FAMILY, f"a record: {name}", RawRecord(Entity.ORGS, raw), expect) for name, raw, expect in _RECORDS),
]  # fmt: skip
