"""Transport: servers that do not speak HTTP or TLS as they should."""

from __future__ import annotations

import datetime
import itertools
import json
import ssl
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import trustme

from roster_operator.oneroster.errors import Reason

from .cases import CANARY, Case, Outcome, Read, Refused
from .worlds import Reset, Script, Silence, Step, Wire, drip, reply

FAMILY = "Transport"
BODY = json.dumps({"orgs": [{"sourcedId": "a", "name": CANARY}]}).encode()
LOST = Refused(Reason.CONNECTION_LOST, retryable=True)
LATE = Refused(Reason.TIMED_OUT, retryable=True)
GOOD = reply(BODY, b"X-Total-Count: 1", b"Connection: close")
WHOLE = Read(1, "DistinctEqualsTotal")
CHUNKED = b"HTTP/1.1 200 OK\r\nX-Total-Count: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)


def once(_: bytes) -> Iterator[Step]:
    """What a good server would send; past the first page nothing."""
    yield GOOD


def wire(name: str, script: Script | Sequence[Step], expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Wire(script, more=more), expect)


_LINES: list[tuple[str, bytes, Outcome]] = [
    ("a banner of SSH", b"SSH-2.0-OpenSSH_9.9 " + CANARY.encode() + b"\r\n", LOST),
    ("a banner of SMTP", b"220 " + CANARY.encode() + b" ESMTP\r\n", LOST),
    ("a TLS alert in plain", b"\x15\x03\x01\x00\x02\x02\x46", LOST),
    ("a body without headers", BODY, LOST),
    ("HTTP/9.9", b"HTTP/9.9 200 OK\r\n\r\n" + BODY, Read(1, "TwoEqualLooks")),
    ("an answer of HTTP/2", b"\0\0\x12\x04\0\0\0\0\0" + bytes(18), LOST),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", LOST),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", LOST),
    ("status 000", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", LOST),
    ("status 999", reply(BODY, status=b"999 " + CANARY.encode()), Refused(Reason.SERVER_ERROR)),
    ("escape codes in the reason", reply(BODY, status=b"500 \x1b[2J" + CANARY.encode()),
     Refused(Reason.SERVER_ERROR, retryable=True)),
    ("a name in the reason of a success", reply(BODY, b"X-Total-Count: 1", status=b"200 " + CANARY.encode()), WHOLE),
    ("a header without a colon", b"HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n", LOST),
    ("a header with an empty name", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", LOST),
    ("a header with a blank in its name", b"HTTP/1.1 200 OK\r\nX Y: x\r\n\r\n", LOST),
    ("a header with NUL", b"HTTP/1.1 200 OK\r\nX-Y: a\0b\r\nContent-Length: 0\r\n\r\n", LOST),
    ("a header with a bare CR", b"HTTP/1.1 200 OK\r\nX-Y: a\rb\r\nContent-Length: 0\r\n\r\n", LOST),
    ("headers with escape codes", reply(BODY, b"X-Total-Count: 1", b"Server: \x1b[2J\x07" + CANARY.encode()), WHOLE),
    ("headers in UTF-8 and Latin-1", reply(BODY, b"X-Total-Count: 1", b"Server: \xc3\xa9\xff\xfe"), WHOLE),
    ("a header of 200 kB", b"HTTP/1.1 200 OK\r\nX-Y: " + b"x" * 200_000 + b"\r\n\r\n", LOST),
    ("20,000 headers", b"HTTP/1.1 200 OK\r\n" + b"X-Y: abcdef\r\n" * 20_000 + b"\r\n", LOST),
    ("5,000 headers", reply(BODY, b"X-Total-Count: 1", *([b"X: y"] * 5_000)), WHOLE),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY, LOST),
    ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + BODY, LOST),
    ("a length with a sign", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n" + BODY, LOST),
    ("a length of letters", b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n" + BODY, LOST),
    ("another transfer encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK, LOST),
    ("a chunk without a size", CHUNKED + b"\r\n" + BODY, LOST),
    ("a chunk of negative size", CHUNKED + b"-5\r\n" + BODY, LOST),
    ("a chunk of 2^80 bytes", CHUNKED + b"%x\r\n" % 2**80 + BODY, LOST),
    ("a chunk with 200 kB of extension", CHUNKED + b"5;" + b"x" * 200_000 + b"\r\n", LOST),
    ("chunks without their end", CHUNKED + CHUNK, LOST),
    ("a chunk that is longer than it says", CHUNKED + b"5\r\n" + BODY + b"\r\n0\r\n\r\n", LOST),
    ("trailers of 200 kB", CHUNKED + CHUNK + b"0\r\n" + b"X-Y: abc\r\n" * 20_000 + b"\r\n", LOST),
    ("a trailer that wants to be a total", CHUNKED + CHUNK + b"0\r\nX-Total-Count: 99\r\n\r\n", WHOLE),
    ("both a length and chunks", b"HTTP/1.1 200 OK\r\nX-Total-Count: 1\r\nContent-Length: 3\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n", WHOLE),
    ("a second answer behind the first", GOOD + reply(b'{"orgs":[{"sourcedId":"evil"}]}'), WHOLE),
    ("a short body", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + BODY, LOST),
    ("nothing at all", b"", LOST),
    ("headers that stop", b"HTTP/1.1 200 OK\r\nContent-", LOST),
    ("switching protocols unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + BODY, LOST),
    ("100 hints before the answer", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100 + GOOD, WHOLE),
    ("nothing but a Date in the first line", b"Date: x\r\n\r\n", LOST),
]  # fmt: skip


def _first_then_empty(answer: bytes) -> Script:
    """The answer for the first page; past it an empty list."""
    return lambda head: [answer] if b"offset=0" in head else [reply(b'{"orgs":[]}', b"Connection: close")]


_WIRE = [
    wire(name, _first_then_empty(data) if isinstance(expect, Read) else [data], expect) for name, data, expect in _LINES
]
_WIRE += [
    wire("a reset at once", [Reset], LOST),
    wire("a reset behind the headers", [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", 0.05, Reset], LOST),
    wire("a reset in the body", [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + BODY, 0.05, Reset], LOST),
    wire("silence at once", [Silence], LATE, retry_attempts=1),
    wire("silence behind the headers", [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", Silence], LATE),
    wire("silence in a chunk", [CHUNKED + CHUNK[:20], Silence], LATE),
    wire("headers that drip", lambda _: drip(GOOD), LATE, retry_attempts=1),
    wire("headers without an end", lambda _: itertools.chain([b"HTTP/1.1 200 OK\r\n"],
         itertools.repeat(b"X-Y: abc\r\n" * 500)), LOST),
    wire("a status line without an end", lambda _: itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"x" * 9000)),
         LOST),
    wire("100 Continue for ever", lambda _: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), LATE,
         retry_attempts=1),
    wire("chunks of one byte for ever",
         lambda _: itertools.chain([CHUNKED], itertools.repeat(b"1;x=y\r\n \r\n" * 9000)),
         LATE, retry_attempts=1),
    wire("a server that is good", _first_then_empty(GOOD), WHOLE),
]  # fmt: skip


_AUTHORITY, _STRANGER = trustme.CA(), trustme.CA()
_BUNDLE = _AUTHORITY.cert_pem.bytes().decode()
_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)


def _context(certificate: trustme.LeafCert, *, chain: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if chain:
        certificate.configure_cert(context)
        return context
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "only-the-leaf.pem")
        path.write_bytes(certificate.private_key_pem.bytes() + certificate.cert_chain_pems[0].bytes())
        context.load_cert_chain(path)
    return context


def _self_signed() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "own.pem")
        path.write_bytes(_STRANGER.private_key_pem.bytes() + _STRANGER.cert_pem.bytes())
        context.load_cert_chain(path)
    return context


def _old_tls() -> ssl.SSLContext:
    context = _context(_AUTHORITY.issue_cert("127.0.0.1"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _wants_a_certificate() -> ssl.SSLContext:
    """As TLS 1.2 says it: in the handshake. In 1.3 the alert races with our request."""
    context = _context(_AUTHORITY.issue_cert("127.0.0.1"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    _AUTHORITY.configure_trust(context)
    return context


def tls(name: str, context: ssl.SSLContext, expect: Outcome, bundle: str | None = _BUNDLE) -> Case:
    return Case(FAMILY, f"TLS: {name}", Wire(_first_then_empty(GOOD), context, more={"ca_bundle": bundle}), expect)


_TLS = [
    tls("a good certificate", _context(_AUTHORITY.issue_cert("127.0.0.1")), WHOLE),
    tls("an authority that is not in the bundle", _context(_STRANGER.issue_cert("127.0.0.1")),
        Refused(Reason.CERTIFICATE_UNTRUSTED)),
    tls("a private authority without a bundle", _context(_AUTHORITY.issue_cert("127.0.0.1")),
        Refused(Reason.CERTIFICATE_UNTRUSTED), None),
    tls("self-signed", _self_signed(), Refused(Reason.CERTIFICATE_UNTRUSTED)),
    tls("an intermediate that is not sent",
        _context(_AUTHORITY.create_child_ca().issue_cert("127.0.0.1"), chain=False),
        Refused(Reason.CERTIFICATE_UNTRUSTED)),
    tls("expired", _context(_AUTHORITY.issue_cert("127.0.0.1", not_before=_NOW - 9 * _DAY, not_after=_NOW - _DAY)),
        Refused(Reason.CERTIFICATE_EXPIRED)),
    tls("not valid yet",
        _context(_AUTHORITY.issue_cert("127.0.0.1", not_before=_NOW + _DAY, not_after=_NOW + 9 * _DAY)),
        Refused(Reason.CERTIFICATE_NOT_YET_VALID)),
    tls("another name", _context(_AUTHORITY.issue_cert("sis.example.org")), Refused(Reason.CERTIFICATE_NAME_MISMATCH)),
    tls("another address", _context(_AUTHORITY.issue_cert("127.0.0.2")), Refused(Reason.CERTIFICATE_NAME_MISMATCH)),
    tls("a wildcard", _context(_AUTHORITY.issue_cert("*.example.org")), Refused(Reason.CERTIFICATE_NAME_MISMATCH)),
    tls("a name only in the common name", _context(_AUTHORITY.issue_cert("x.example.org", common_name="127.0.0.1")),
        Refused(Reason.CERTIFICATE_NAME_MISMATCH)),
    tls("TLS 1.1", _old_tls(), Refused(Reason.TLS_FAILED, retryable=True)),
    tls("a client certificate is demanded", _wants_a_certificate(), Refused(Reason.TLS_FAILED, retryable=True)),
    Case(FAMILY, "TLS: a server that waits for a plain request", Wire([GOOD], more={"scheme": "https"}), LATE),
    Case(FAMILY, "TLS: a plain answer to the handshake", Wire([], greeting=GOOD, more={"scheme": "https"}),
         Refused(Reason.TLS_FAILED, retryable=True)),
    Case(FAMILY, "TLS: a banner of SSH", Wire([], greeting=b"SSH-2.0-x\r\n", more={"scheme": "https"}),
         Refused(Reason.TLS_FAILED, retryable=True)),
    Case(FAMILY, "TLS: https behind plain http",
         Wire(_first_then_empty(GOOD), _context(_AUTHORITY.issue_cert("127.0.0.1")), more={"scheme": "http"}), LOST),
]  # fmt: skip

CASES = [*_WIRE, *_TLS]
