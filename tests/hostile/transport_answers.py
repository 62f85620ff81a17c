"""Transport: answers of a server that speaks HTTP as it should and says what it should not."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

from tests.oneroster.fake_servers import SECRET, TOKEN, Answer, Asked, listing, orgs

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import Reason

from .bombs import MIB, bomb, endless_bomb, endless_name, endless_nothing, nested
from .cases import CANARY, Case, Outcome, Read, Refused
from .worlds import Pull, slowly

FAMILY = "Transport"
WHOLE = "DistinctEqualsTotal"
LOOKS = "TwoEqualLooks"
GZIP = {"Content-Encoding": "gzip"}
BODY = json.dumps({"orgs": [{"sourcedId": "a", "name": CANARY}]}).encode()
PACKED = gzip.compress(BODY * 9)


def case(name: str, answer: Answer | Callable[[Asked], Answer], expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Pull(answer, more=more), expect)


def after(pages: int, answer: Answer) -> Callable[[Asked], Answer]:
    """A good server of 25 records in pages of ten, until so many were read."""
    good = listing(25)
    return lambda asked: answer if int(asked.query["offset"]) >= pages * 10 else good(asked)


def with_header(name: str, value: str, *, first_only: bool = False) -> Callable[[Asked], Answer]:
    """A good server of 25 records that adds a header."""

    def answer(asked: Asked) -> Answer:
        found = listing(25)(asked)
        if not first_only or asked.query.get("offset") == "0":
            found.headers[name] = value
        return found

    return answer


def _silent(_: Asked) -> Answer:
    time.sleep(0.8)
    return Answer()


def lazily(make: Callable[[], Any], **headers: str) -> Callable[[Asked], Answer]:
    """An answer in chunks, begun anew for each request."""
    return lambda _: Answer(chunks=make(), headers=headers)


HTML = b"<!DOCTYPE html><html><title>" + CANARY.encode() + b"</title><form action=/login>"
ESCAPES = "\x1b]0;" + CANARY + "\x07\x1b[2J\u202e"

# What a whole answer may be instead of a page.
_WHOLE_ANSWERS: list[tuple[str, Answer, Outcome]] = [
    ("a sign-in page with 200", Answer(body=HTML), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("a sign-in page that says it is JSON", Answer(body=HTML, headers={"Content-Type": "application/json"}),
     Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("a sign-in page with leading blanks", Answer(body=b"\r\n\t  " + HTML), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("plain text", Answer(body=CANARY.encode()), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("XML", Answer(body=b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>"),
     Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("a PNG", Answer(body=b"\x89PNG\r\n\x1a\n" + bytes(100)), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("a zip", Answer(body=b"PK\x03\x04" + bytes(100)), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("gzip without saying so", Answer(body=gzip.compress(BODY)), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("an error of 1.2 with 200", Answer(body={"imsx_codeMajor": "failure", "imsx_description": CANARY}),
     Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("brotli", Answer(body=b"x", headers={"Content-Encoding": "br"}), Refused(Reason.BAD_COMPRESSION)),
    ("zstandard", Answer(body=b"x", headers={"Content-Encoding": "zstd"}), Refused(Reason.BAD_COMPRESSION)),
    ("deflate", Answer(body=zlib.compress(BODY), headers={"Content-Encoding": "deflate"}),
     Refused(Reason.BAD_COMPRESSION)),
    ("stacked encodings", Answer(body=nested(1), headers={"Content-Encoding": "gzip, gzip"}),
     Refused(Reason.BAD_COMPRESSION)),
    ("gzip and brotli", Answer(body=b"x", headers={"Content-Encoding": "gzip,br"}), Refused(Reason.BAD_COMPRESSION)),
    ("an encoding with a parameter", Answer(body=BODY, headers={"Content-Encoding": "gzip;q=1"}),
     Refused(Reason.BAD_COMPRESSION)),
    ("an encoding of escapes", Answer(body=BODY, headers={"Content-Encoding": "\x1b[31m"}),
     Refused(Reason.BAD_COMPRESSION)),
    ("what is called gzip and is not", Answer(body=BODY, headers=GZIP), Refused(Reason.BAD_COMPRESSION)),
    ("zlib's frame instead of gzip's", Answer(body=zlib.compress(BODY), headers=GZIP),
     Refused(Reason.BAD_COMPRESSION)),
    ("two gzip streams in one body", Answer(body=gzip.compress(BODY) * 2, headers=GZIP),
     Refused(Reason.BAD_COMPRESSION)),
    ("bytes behind the gzip stream", Answer(body=gzip.compress(BODY) + BODY, headers=GZIP),
     Refused(Reason.BAD_COMPRESSION)),
    ("a wrong checksum", Answer(body=gzip.compress(BODY)[:-8] + b"\0\0\0\0" + gzip.compress(BODY)[-4:], headers=GZIP),
     Refused(Reason.BAD_COMPRESSION)),
    ("a wrong length in the gzip trailer", Answer(body=gzip.compress(BODY)[:-4] + b"\xff\0\0\0", headers=GZIP),
     Refused(Reason.BAD_COMPRESSION)),
    ("flipped bits in the gzip stream", Answer(body=PACKED[:20] + b"\xff" * 8 + PACKED[28:], headers=GZIP),
     Refused(Reason.BAD_COMPRESSION)),
    ("a cut gzip stream", Answer(body=gzip.compress(BODY * 99)[:-9], headers=GZIP),
     Refused(Reason.CONNECTION_LOST, retryable=True)),
    ("a gzip stream without its trailer", Answer(body=gzip.compress(BODY)[:-8], headers=GZIP),
     Refused(Reason.CONNECTION_LOST, retryable=True)),
    ("gzip in gzip under one name", Answer(body=gzip.compress(gzip.compress(BODY)), headers=GZIP),
     Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("a bomb of 1 GiB", Answer(body=bomb(1024), headers=GZIP), Refused(Reason.BODY_TOO_LARGE)),
    ("a bomb of blanks in a list", Answer(body=gzip.compress(b'{"orgs":[' + b" " * (64 * MIB)), headers=GZIP),
     Refused(Reason.BODY_TOO_LARGE)),
    ("a bomb in a bomb", Answer(body=nested(1024), headers=GZIP), Refused(Reason.ENDPOINT_NOT_ONEROSTER)),
    ("a length that is too large", Answer(body=BODY, headers={"Content-Length": "99999999999"}),
     Refused(Reason.BODY_TOO_LARGE)),
    ("a length of 10^30", Answer(body=BODY, headers={"Content-Length": "1" + "0" * 30}),
     Refused(Reason.CONNECTION_LOST, retryable=True)),
    ("a length that promises more", Answer(body=BODY, headers={"Content-Length": "500", "Connection": "close"}),
     Refused(Reason.CONNECTION_LOST, retryable=True)),
    ("a length that promises less", Answer(body=BODY, headers={"Content-Length": "20", "Connection": "close"}),
     Refused(Reason.MALFORMED_RESPONSE, retryable=True)),
    ("a plain body one byte too large", Answer(body=b" " * (8 * MIB + 1)), Refused(Reason.BODY_TOO_LARGE)),
]  # fmt: skip

_BODIES = [case(name, answer, expect) for name, answer, expect in _WHOLE_ANSWERS] + [
    case("a bomb with a generous limit", Answer(body=bomb(256), headers=GZIP), Refused(Reason.BAD_COMPRESSION),
         max_body=512 * MIB),
    case("an endless body", lazily(lambda: itertools.repeat(b" " * 65_536)), Refused(Reason.BODY_TOO_LARGE)),
    case("an endless bomb", lazily(endless_bomb, **GZIP), Refused(Reason.BODY_TOO_LARGE)),
    case("a gzip stream that unpacks to nothing for ever", lazily(endless_nothing, **GZIP),
         Refused(Reason.BODY_TOO_LARGE)),
    case("a gzip header without an end", lazily(endless_name, **GZIP), Refused(Reason.BODY_TOO_LARGE)),
    case("a body that drips", lazily(lambda: slowly(itertools.repeat(b" "))),
         Refused(Reason.TIMED_OUT, retryable=True), retry_attempts=1),
    case("a body that stops", lazily(lambda: slowly([b'{"orgs"', b""] + [b""] * 40)),
         Refused(Reason.TIMED_OUT, retryable=True), retry_attempts=1),
    case("a server that says nothing", _silent, Refused(Reason.TIMED_OUT, retryable=True)),
    case("blanks, then a page", Answer(body=b" " * MIB + BODY, headers={"X-Total-Count": "1"}), Read(1, WHOLE)),
    case("a page with a byte order mark", Answer(body=b"\xef\xbb\xbf" + BODY, headers={"X-Total-Count": "1"}),
         Read(1, WHOLE)),
    case("an empty body that is called gzip", Answer(body=b"", headers=GZIP), Read(0, "NoTotal")),
]  # fmt: skip

# Errors, and what they would like to have repeated.
_ERRORS = [
    case(f"{status} with {what}", Answer(status, body), Refused(reason, retryable=retryable))
    for what, body in {
        "a page of HTML": HTML,
        "escape codes": json.dumps({"error": ESCAPES, "imsx_codeMajor": ESCAPES}).encode(),
        "a name as its code": {"error": CANARY, "imsx_CodeMinor": {"imsx_codeMinorField": [
            {"imsx_codeMinorFieldName": CANARY, "imsx_codeMinorFieldValue": CANARY}]}},
        "secrets as its codes": {"error": SECRET, "codeMinor": TOKEN, "error_description": SECRET},
    }.items()
    for status, reason, retryable in [
        (400, Reason.REQUEST_REFUSED, False), (401, Reason.TOKEN_REJECTED, False), (403, Reason.FORBIDDEN, False),
        (404, Reason.NOT_FOUND, False), (500, Reason.SERVER_ERROR, True),
    ]
]  # fmt: skip
_ERRORS += [
    case("an error of 1.4 MB", Answer(400, json.dumps({"error": CANARY * 90_000}).encode()),
         Refused(Reason.REQUEST_REFUSED)),
    case("an error without an end", lambda _: Answer(500, chunks=itertools.repeat(b"\x1b[31m" * 10_000)),
         Refused(Reason.SERVER_ERROR, retryable=True)),
    case("an error that drips", lambda _: Answer(400, chunks=slowly(itertools.repeat(b" "))),
         Refused(Reason.TIMED_OUT, retryable=True), retry_attempts=1),
    case("an error of depth 100,000", Answer(400, b'{"error":' * 100_000), Refused(Reason.REQUEST_REFUSED)),
    case("an error with a million keys", Answer(400, b"{" + b",".join(b'"%d":0' % n for n in range(200_000)) + b"}"),
         Refused(Reason.REQUEST_REFUSED)),
    case("an error that is a bomb", Answer(400, bomb(1024), GZIP), Refused(Reason.REQUEST_REFUSED)),
    case("an error in an unknown encoding", Answer(400, b"x", {"Content-Encoding": "br"}),
         Refused(Reason.REQUEST_REFUSED)),
    case("410", Answer(410, HTML), Refused(Reason.NOT_FOUND)),
    case("418", Answer(418, HTML), Refused(Reason.REQUEST_REFUSED)),
    case("501", Answer(501, HTML), Refused(Reason.SERVER_ERROR)),
    case("502 of a proxy", Answer(502, HTML), Refused(Reason.SERVER_ERROR, retryable=True)),
    case("599", Answer(599, HTML), Refused(Reason.SERVER_ERROR)),
    case("300", Answer(300, b"", {"X-Total-Count": "0"}), Refused(Reason.REDIRECT_REFUSED)),
    case("304 to a question without a condition", Answer(304, b"", {"X-Total-Count": "0"}),
         Refused(Reason.REDIRECT_REFUSED)),
    case("305, a proxy to be used", Answer(305, b"", {"Location": "{trap}/"}), Refused(Reason.REDIRECT_REFUSED)),
]  # fmt: skip

# Retry-After and Date are read from errors, so that is where they can hurt.
_HEADERS = [
    case(f"Retry-After: {value[:30]!r}", Answer(429, HTML, {"Retry-After": value}),
         Refused(Reason.THROTTLED, retryable=True))
    for value in ["", "-1", "1e9", "\u00b2", "\u00bd", "999999999999999999999999", "9" * 5000, "soon", "0x10",
                  "Mon, 99 Foo 99999 99:99:99 GMT", "Fri, 31 Dec 9999 23:59:59 -9999", "0", "\x1b[31m"]
] + [
    case(f"Date: {value[:30]!r}", with_header("Date", value), Read(25, WHOLE))
    for value in ["", "-", ",", "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "9" * 5000,
                  "Mon, 30 Feb 2026 00:00:00 GMT", "\u00b2 Jan 2026", "0 0 0 0 0"]
] + [
    case(f"X-Total-Count: {value[:30]!r}", with_header("X-Total-Count", value), Read(25, proof))
    for value, proof in [("", LOOKS), ("-5", LOOKS), ("25.0", LOOKS), ("25, 25", LOOKS),
                         ("\u00b2\u00b5", LOOKS), ("0x19", LOOKS), ("1" * 40, LOOKS),
                         ("9999999999", "FewerThanTotal"), (" 25 ", WHOLE), ("26", "FewerThanTotal"),
                         ("24", "MoreThanTotal"), ("\x1b[31m25", LOOKS)]
] + [
    case("a total that grows", lambda asked: Answer(body={"orgs": orgs(int(asked.query["offset"]), 10)
         if int(asked.query["offset"]) < 30 else []}, headers={"X-Total-Count": asked.query["offset"]}),
         Read(30, "ChangedWhilePaging")),
    case("a listing that has no end, against its total", lambda asked: Answer(
         body={"orgs": orgs(int(asked.query["offset"]), 10)}, headers={"X-Total-Count": "5"}),
         Refused(Reason.LISTING_UNSTABLE, retryable=True, page=12)),
    case("the same page for ever", Answer(body={"orgs": orgs(0, 10)}), Read(10, "EndNotSeen")),
    case("pages in a circle", lambda asked: Answer(body={"orgs": orgs(int(asked.query["offset"]) % 30, 10)}),
         Read(30, LOOKS)),
    case("a revision that changes meanwhile", lambda asked: Answer(
         body=listing(25)(asked).body, headers={"X-Total-Count": "25", "x-perm-rev": asked.query["offset"]}),
         Read(25, "ChangedWhilePaging")),
]  # fmt: skip

# Where a server would send us. The trap listens on an address that is permitted.
_REDIRECTS = [
    case(f"{status} to {what}", Answer(status, b"", {"Location": target}), Refused(Reason.REDIRECT_REFUSED))
    for status, what, target in [
        (301, "another server", "{trap}/orgs"),
        (302, "another server", "{trap}/orgs"),
        (303, "another server", "{trap}/orgs"),
        (307, "another server", "{trap}/orgs"),
        (308, "another server", "{trap}/orgs"),
        (302, "another scheme", "https://127.0.0.1/orgs"),
        (302, "another name of this machine", "http://localhost/orgs"),
        (302, "a metadata service", "http://169.254.169.254/latest/meta-data/"),
        (302, "an address without a scheme", "//127.0.0.1:{port}/orgs"),
        (302, "an address behind backslashes", "\\\\127.0.0.1:{port}\\orgs"),
        (302, "a host behind a user name", "{self}@127.0.0.1:{port}/orgs"),
        (302, "its own origin with a password", "http://user:" + SECRET + "@127.0.0.1/orgs"),
        (302, "a file", "file:///etc/passwd"),
        (302, "data", "data:application/json,{}"),
        (302, "a script", "javascript:alert(1)"),
        (302, "gopher", "gopher://127.0.0.1:{port}/_GET"),
        (302, "nothing", ""),
        (302, "what is no address", "http://[x"),
        (302, "a port that cannot be", "http://127.0.0.1:99999/"),
        (302, "itself, for ever", "?limit=10&offset=0"),
    ]
] + [
    case("302 without a target", Answer(302), Refused(Reason.REDIRECT_REFUSED)),
    case("307 in a chain of four", lambda asked: Answer(307, b"", {"Location": asked.path + "/x"}),
         Refused(Reason.REDIRECT_REFUSED)),
]  # fmt: skip

# A link that is followed only where it leads home; else pages go on by offset, and nothing is lost.
_LINKS = [
    case(f"Link next to {what}", with_header("Link", value), Read(25, WHOLE))
    for what, value in {
        "another server": '<{trap}/ims/oneroster/v1p1/orgs?page=2>; rel="next"',
        "localhost": '<http://localhost/orgs?page=2>; rel="next"',
        "another scheme": '<https://127.0.0.1/orgs?page=2>; rel="next"',
        "an address without a scheme": '<//127.0.0.1:{port}/orgs>; rel="next"',
        "a host behind backslashes": '<\\\\127.0.0.1:{port}\\orgs>; rel="next"',
        "a host behind a user name": '<{self}@127.0.0.1:{port}/orgs>; rel="next"',
        "itself with a password": "<http://a:" + SECRET + '@127.0.0.1/orgs>; rel="next"',
        "a file": '<file:///etc/passwd>; rel="next"',
        "a script": '<javascript:alert(1)>; rel="next"',
        "what is no address": '<http://[x>; rel="next"',
        "nothing": '<>; rel="next"',
        "escape codes": '<\x1b[31m>; rel="next"',
        "a port that cannot be": '<http://127.0.0.1:99999/>; rel="next"',
        "4,100 characters": "<?page=" + "x" * 4100 + '>; rel="next"',
        "a skipped offset": '<?limit=10&offset=24>; rel="next"',
    }.items()
] + [
    case(f"Link of {what}", with_header("Link", value), Read(25, WHOLE))
    for what, value in {
        "60 kB": '<?page=2>; rel="prev", ' * 2600,
        "60 kB without an end": "<" * 60_000,
        "quotes without an end": '<?page=2>; rel="' + "next " * 5000,
        "blanks": "<?page=2>" + " " * 30_000 + ";",
        "parameters": "<?page=2>" + ";a=b" * 12_000,
        "parameters without values": "<?page=2>" + ";a" * 20_000,
        "nothing": "",
        "commas": "," * 50_000,
    }.items()
] + [
    case("Link next to one page for ever", lambda asked: Answer(
         body=listing(25)(asked).body if "offset" in asked.query else {"orgs": orgs(10, 10)},
         headers={"X-Total-Count": "25", "Link": '<?page=2>; rel="next"'}), Read(25, WHOLE)),
    case("Link next without an end, against its total", lambda asked: Answer(
         body={"orgs": orgs(int(asked.query.get("page", 0)) * 10, 10)},
         headers={"X-Total-Count": "5", "Link": f'<?page={int(asked.query.get("page", 0)) + 1}>; rel="next"'}),
         Refused(Reason.LISTING_UNSTABLE, retryable=True, page=12)),
]  # fmt: skip

# The same, in mid-pull: it is the second page's fault, and the first page was good.
_LATER = [
    case(f"page 2: {what}", after(1, answer), expect)
    for what, answer, expect in [
        ("a sign-in page", Answer(body=HTML), Refused(Reason.ENDPOINT_NOT_ONEROSTER, retryable=True, page=2)),
        ("cut JSON", Answer(body=BODY[:-4]), Refused(Reason.MALFORMED_RESPONSE, retryable=True, page=2)),
        ("a cut gzip stream", Answer(body=gzip.compress(BODY)[:-4], headers=GZIP),
         Refused(Reason.CONNECTION_LOST, retryable=True, page=2)),
        ("a bomb", Answer(body=bomb(64), headers=GZIP), Refused(Reason.BODY_TOO_LARGE, page=2)),
        ("a redirect to another server", Answer(302, b"", {"Location": "{trap}/orgs"}),
         Refused(Reason.REDIRECT_REFUSED, page=2)),
        ("403", Answer(403, HTML), Refused(Reason.FORBIDDEN, page=2)),
        ("401", Answer(401, HTML), Refused(Reason.TOKEN_REJECTED, page=2)),
        ("429", Answer(429, HTML, {"Retry-After": "3600"}), Refused(Reason.THROTTLED, retryable=True, page=2)),
        ("500", Answer(500, HTML), Refused(Reason.SERVER_ERROR, retryable=True, page=2)),
        ("400", Answer(400, HTML), Refused(Reason.REQUEST_REFUSED, page=2)),
        ("another wrapper", Answer(body={"users": [{"sourcedId": CANARY}]}),
         Refused(Reason.ENDPOINT_NOT_ONEROSTER, retryable=True, page=2)),
        ("404, as if past the end", Answer(404, HTML), Read(10, "FewerThanTotal")),
        ("204, as if past the end", Answer(204), Read(10, "FewerThanTotal")),
        ("an empty list, as if past the end", Answer(body={"orgs": []}), Read(10, "FewerThanTotal")),
        ("page 1 again", Answer(body={"orgs": orgs(0, 10)}, headers={"X-Total-Count": "25"}),
         Read(10, "FewerThanTotal")),
    ]
] + [
    case("page 3: a sign-in page", after(2, Answer(body=HTML)),
         Refused(Reason.ENDPOINT_NOT_ONEROSTER, retryable=True, page=3)),
    Case(FAMILY, "users: a sign-in page", Pull(Answer(body=HTML), entity=Entity.USERS),
         Refused(Reason.ENDPOINT_NOT_ONEROSTER, entity=Entity.USERS)),
    Case(FAMILY, "demographics: 403", Pull(Answer(403, HTML), entity=Entity.DEMOGRAPHICS),
         Refused(Reason.FORBIDDEN, entity=Entity.DEMOGRAPHICS)),
]  # fmt: skip

CASES = [*_BODIES, *_ERRORS, *_HEADERS, *_REDIRECTS, *_LINKS, *_LATER]
