"""Worlds of bundles: a zip in memory, read to its end as a worker reads it."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from tests.oneroster.fake_servers import SECRET

from roster_operator.oneroster.csvfiles.faults import BundleError, Finding
from roster_operator.oneroster.csvfiles.source import CsvSource
from roster_operator.oneroster.csvfiles.tables import KNOWN
from roster_operator.oneroster.entities import Entity

from .cases import CANARY, Decoded, Issue, Seen, refused

ORGS_HEADER = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId"
ORG = f"o1,,,{CANARY},school,7,"
USERS_HEADER = (
    "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,"
    "middleName,identifier,email,sms,phone,agentSourcedIds,grades,password"
)
USER = f"u1,,,true,o1,student,ann,{{x:1}},{CANARY},Null,,,,,,,09,"


def manifest(*more: str, version: str = "1.1", **modes: str) -> str:
    """A manifest that mentions every file; those not named are absent. more: further lines."""
    tables = [f"file.{table},{modes.get(table, 'absent')}" for table in sorted(KNOWN)]
    head = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{version}"]
    return "\r\n".join([*head, *tables, *more]) + "\r\n"


def csv(*lines: str) -> str:
    return "".join(line + "\r\n" for line in lines)


ORGS = csv(ORGS_HEADER, ORG)
GOOD: Mapping[str, str | bytes] = {"manifest.csv": manifest(orgs="bulk"), "orgs.csv": ORGS}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """An honest zip."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 8, 1, 3, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


@dataclass(frozen=True)
class Bundle:
    """A bundle of these files, or these very bytes (made when they are wanted, for some are large)."""

    files: Mapping[str, str | bytes] = field(default_factory=dict)
    data: Callable[[], bytes] | None = None
    max_bytes: int = 32 * 2**20

    def observe(self) -> Seen:
        data = self.data() if self.data is not None else zipped(self.files)
        try:
            return _read(CsvSource(io.BytesIO(data), max_bytes=self.max_bytes))
        except BundleError as error:
            shown = refused(error)
            if error.reason is not (error.finding.fault.reason or error.reason) or not error.next_step:
                return Seen("a reason that is not the fault's", shown.shown)
            return Seen(Decoded(False, tuple(_issue(finding) for finding in error.findings)), shown.shown)


def _read(source: CsvSource) -> Seen:
    issues: set[Issue] = set()
    kept = True
    with source:
        for entity in Entity:
            if not source.offers(entity):
                continue
            decode = source.decoder(entity)
            for page in source.pages(entity):
                for raw, line in zip(page.records, page.lines or (), strict=True):
                    found = decode(raw)
                    kept = kept and found.record is not None
                    if SECRET.encode() in bytes(raw) or SECRET.encode() in msgspec.json.encode(found.record):
                        return Seen("a secret was kept")
                    issues |= {
                        Issue(item.code, item.severity, item.field or "", f"{entity}.csv", line)
                        for item in found.problems
                    }
        issues |= {_issue(finding) for finding in source.findings}
        shown = repr(issues) + "".join(finding.sentence for finding in source.findings)
    return Seen(Decoded(kept, tuple(sorted(issues))), shown)


def _issue(finding: Finding) -> Issue:
    return Issue(finding.code, finding.fault.severity, finding.column, finding.file, finding.line)


# Zips that lie. All are made from an honest one, by writing into its records.
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def patched(name: str, *, local: Mapping[int, bytes] = {}, central: Mapping[int, bytes] = {}) -> bytes:
    """The good zip with bytes written over an entry's local and central header, at these places in it."""
    data = bytearray(zipped(GOOD))
    at = data.find(_LOCAL)
    while data[at + 30 : at + 30 + len(name)] != name.encode():
        at = data.find(_LOCAL, at + 4)
    middle = data.find(_CENTRAL)
    while data[middle + 46 : middle + 46 + len(name)] != name.encode():
        middle = data.find(_CENTRAL, middle + 4)
    for begin, changes in ((at, local), (middle, central)):
        for place, put in changes.items():
            data[begin + place : begin + place + len(put)] = put
    return bytes(data)


def number(value: int) -> bytes:
    return struct.pack("<I", value)


def ended(**changes: int) -> bytes:
    """The good zip with another end record: count, length or offset of its directory."""
    data = bytearray(zipped(GOOD))
    at = data.rfind(_END)
    places = {"count": (8, "<HH"), "length": (12, "<I"), "offset": (16, "<I")}
    for name, value in changes.items():
        place, form = places[name]
        put = struct.pack(form, *[value] * (len(form) - 1))
        data[at + place : at + place + len(put)] = put
    return bytes(data)
