"""A district of two dozen records: the ids that there can be, and what a record under one of them can say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.model.records import Listing, Shown

SCHOOLS = ("school-a", "school-b", "school-c")
NOWHERE = "nowhere"  # no record ever has this id
NAMES = ("Ada", "Bo", "Café")

IDENTIFIERS = ("n-0", "n-1", "n-2")
MASTERS = ("m-0", "m-1")
SPARE = tuple(f"users-{n}" for n in range(5, 10))  # ids that the SIS gives only to people who had another one


def _in_days(days: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


# Far enough from now and from any day that histories come to.
BEGUN, ENDED, COMING, YET = (_in_days(days) for days in (-300, -30, 30, 400))


def record(entity: str, sourced_id: str, seed: int) -> Shown:
    """A record of the small world. Seed 0: as plain as can be; others refer to anything, and some lead nowhere."""
    dice = Random(f"{entity}/{sourced_id}/{seed}") if seed else None

    def one(*choices: Any) -> Any:
        return dice.choice(choices) if dice else choices[0]

    def some(least: int, most: int, *choices: Any) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(one(*choices) for _ in range(dice.randint(least, most) if dice else 1)))

    number = int(sourced_id[-1]) if sourced_id[-1].isdigit() else 0
    school = one(SCHOOLS[number % 3], *SCHOOLS, NOWHERE)
    values: dict[str, Any]
    match entity:
        case "orgs":
            kind = "school" if sourced_id in SCHOOLS else "district"
            values = {"name": one(*NAMES), "type": kind, "identifier": "7", "parent_sourced_id": None}
        case "academicSessions":
            values = {
                "title": one(*NAMES), "type": "term", "start_date": one(BEGUN, BEGUN, COMING),
                "end_date": one(YET, YET, ENDED), "school_year": one(2027, 2027, 2026),
                "parent_sourced_id": one(None, None, *IDS["academicSessions"], NOWHERE),
            }  # fmt: skip
            if values["start_date"] == COMING:
                values["end_date"] = YET
        case "courses":
            values = {"title": one(*NAMES), "course_code": "c", "org_sourced_id": school}
        case "classes":
            terms = some(0, 2, *IDS["academicSessions"], NOWHERE)
            course = one(f"courses-{number % 2}", *IDS["courses"], *IDS["courses"], NOWHERE)
            values = {
                "title": one(*NAMES), "course_sourced_id": course, "school_sourced_id": school,
                "term_sourced_ids": terms,
            }  # fmt: skip
        case "users":
            values = {
                "given_name": one(*NAMES), "family_name": "Ng", "enabled_user": True,
                "role": one("student", "student", "teacher"),
                "org_sourced_ids": some(1, 2, school, *SCHOOLS, "orgs-0", NOWHERE),
                "email": one(None, "a@x.example"), "identifier": one(None, f"i-{number}", f"i-{number}", *IDENTIFIERS),
                "user_master_identifier": one(None, None, None, *MASTERS),
                "username": one(f"Ada{number}", f"ada{number}", f"Ada{number}", "ada-x", "ADA-x"),
            }  # fmt: skip
        case "enrollments":
            values = {
                "user_sourced_id": one(f"users-{number % 5}", *IDS["users"], NOWHERE),
                "class_sourced_id": one(f"classes-{number % 3}", *IDS["classes"], NOWHERE), "school_sourced_id": school,
                "role": one("student", "teacher"), "begin_date": one(None, "2026-08-01"),
                "end_date": one(None, None, YET, ENDED),
            }  # fmt: skip
        case _:
            values = {"sex": one(None, "female", "male")}
    return Shown(sourced_id, tuple(values.items()))


IDS: dict[str, tuple[str, ...]] = {
    "orgs": ("orgs-0", *SCHOOLS),
    "academicSessions": tuple(f"academicSessions-{n}" for n in range(3)),
    "courses": ("courses-0", "courses-1"),
    "classes": tuple(f"classes-{n}" for n in range(3)),
    "users": tuple(f"users-{n}" for n in range(5)),
    "enrollments": tuple(f"enrollments-{n}" for n in range(6)),
    "demographics": tuple(f"users-{n}" for n in range(5)),
}


def plain() -> dict[str, Listing]:
    """Everything, as plain as can be, shown whole."""
    return {entity: Listing(tuple(record(entity, each, 0) for each in ids), len(ids)) for entity, ids in IDS.items()}


def without(listings: dict[str, Listing], entity: str, *gone: str, more: tuple[Shown, ...] = ()) -> dict[str, Listing]:
    """The same with other records of one entity: some gone, `more` behind the rest. The source counts what it shows."""
    shown = (*(each for each in listings[entity].shown if each.sourced_id not in gone), *more)
    return listings | {entity: Listing(shown, len(shown))}


# Fields that a person may pin here, and the values that they pin.
PINNED: dict[str, dict[str, tuple[Any, ...]]] = {
    "orgs": {"name": (*NAMES, "Pin")},
    "classes": {"title": (*NAMES, "Pin")},
    "users": {"given_name": (*NAMES, "Pin"), "email": (None, "a@x.example")},
    "enrollments": {"begin_date": (None, "2026-08-01")},
    "demographics": {"sex": (None, "female")},
}
