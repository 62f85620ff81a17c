"""A source of a few records, as dictionaries of the standard's fields, and how they look on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.model.records import ENTITIES, Listing, Shown

from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.paging import Page, PullReport
from roster_operator.oneroster.problems import Decoded
from roster_operator.oneroster.source import Raw

_TITLES = {"orgs": "name", "users": "givenName"}  # elsewhere: title


def wire(entity: str, shown: Shown) -> bytes:
    """A record as the server sends it; equal records give equal bytes."""
    values = dict(shown.values)
    sent: dict[str, Any] = {
        "status": "tobedeleted" if shown.deleted else "active",
        "dateLastModified": f"2026-01-{1 + shown.touched % 28:02}T00:00:{shown.touched // 28 % 60:02}.000Z",
    }
    if shown.sourced_id is not None:
        sent["sourcedId"] = shown.sourced_id
    sent |= _FIELDS[entity](values)
    if shown.secret:
        sent["password"] = "canary-password"
    if shown.spoilt:
        # A record of an entity that requires nothing can still hold what no database takes.
        name = _TITLES.get(entity, "title" if entity in {"academicSessions", "courses", "classes"} else "role")
        if entity == "demographics":
            sent["sex"] = "nul\0"
        else:
            sent.pop(name, None)
    return json.dumps(sent).encode()


def _ref(sourced_id: str | None, kind: str) -> dict[str, str] | None:
    return (
        None if sourced_id is None else {"sourcedId": sourced_id, "href": f"https://sis.example/{kind}", "type": kind}
    )


_FIELDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "orgs": lambda v: {
        "name": v["name"], "type": v["type"], "identifier": v["identifier"],
        "parent": _ref(v["parent_sourced_id"], "org"),
    },
    "academicSessions": lambda v: {
        "title": v["title"], "type": "term", "startDate": v["start_date"], "endDate": v["end_date"],
        "schoolYear": str(v["school_year"]), "parent": _ref(v["parent_sourced_id"], "academicSession"),
    },
    "courses": lambda v: {
        "title": v["title"], "courseCode": v["course_code"], "org": _ref(v["org_sourced_id"], "org"),
    },
    "classes": lambda v: {
        "title": v["title"], "classType": "scheduled", "course": _ref(v["course_sourced_id"], "course"),
        "school": _ref(v["school_sourced_id"], "org"),
        "terms": [_ref(t, "academicSession") for t in v["term_sourced_ids"]],
    },
    "users": lambda v: {
        "givenName": v["given_name"], "familyName": v["family_name"], "enabledUser": v["enabled_user"],
        "email": v["email"], "identifier": v["identifier"], "userMasterIdentifier": v["user_master_identifier"],
        "username": v["username"],
        "roles": [{"roleType": "primary", "role": v["role"], "org": _ref(o, "org")} for o in v["org_sourced_ids"]],
    },
    "enrollments": lambda v: {
        "user": _ref(v["user_sourced_id"], "user"), "class": _ref(v["class_sourced_id"], "class"),
        "school": _ref(v["school_sourced_id"], "org"), "role": v["role"], "beginDate": v["begin_date"],
        "endDate": v["end_date"],
    },
    "demographics": lambda v: {"sex": v["sex"]},
}  # fmt: skip


@dataclass
class MemorySource:
    """A walk through listings that never leaves this process. `hooks`: what happens while an entity is being read."""

    listings: dict[str, Listing]
    page_size: int = 4
    before: Callable[[str], None] = lambda _: None  # the merged rows' hashes were read, no page was
    after: Callable[[str], None] = lambda _: None  # the last page was given
    version: Literal["1.1", "1.2"] = "1.2"
    _told: dict[str, PullReport] = field(default_factory=dict[str, PullReport])

    def reading(self, entity: Entity) -> str:
        return ""

    def offers(self, entity: Entity) -> bool:
        return entity.value in self.listings

    def pages(self, entity: Entity) -> Iterator[Page]:
        listing = self.listings[entity.value]
        self.before(entity.value)
        records = [wire(entity.value, shown) for shown in listing.shown]
        pages = [records[at : at + self.page_size] for at in range(0, len(records), self.page_size)]
        self._told[entity.value] = PullReport(
            entity, len(pages), len(records), listing.total, "short page", False, False, self.page_size,
            delta=listing.delta,
        )  # fmt: skip
        for number, page in enumerate(pages):
            yield Page(number + 1, number * self.page_size, page, listing.total)
        self.after(entity.value)

    def decoder(self, entity: Entity) -> Callable[[Raw], Decoded]:
        return Decoder(entity, self.version)

    def report(self, entity: Entity) -> PullReport:
        return self._told[entity.value]


__all__ = ["ENTITIES", "MemorySource", "wire"]
