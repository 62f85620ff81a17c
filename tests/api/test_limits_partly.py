"""A limit that is given in part: the rest is that limit's own default, in Python and in the CRD."""

from __future__ import annotations

from typing import Any

import pytest

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.limits import Limit, Limits
from roster_operator.api.schema_structural import structural


@pytest.mark.parametrize(
    ("given", "limit", "whole"),
    [
        ({"update": {"percent": 90}}, "update", Limit(percent=90, floor=50)),
        ({"create": {"floor": 7}}, "create", Limit(percent=50, floor=7)),
        ({"roleChange": {"percent": 0}}, "role_change", Limit(percent=0, floor=10)),
        ({"invalid": {}}, "invalid", Limit(percent=2, floor=5)),
        ({}, "rekeyed", Limit(percent=1, floor=2)),
    ],
)
def test_the_other_half_is_the_limits_own(given: dict[str, Any], limit: str, whole: Limit) -> None:
    assert getattr(Limits.from_dict(given), limit) == whole


def test_a_school_has_its_own_too() -> None:
    limits = Limits.from_dict({"perSchool": {"deactivate": {"floor": 9}}})
    assert limits.per_school.deactivate == Limit(percent=50, floor=9)


def test_the_api_server_fills_in_the_same() -> None:
    limits = structural(RosterConnectionSpec, defaults=True)["properties"]["limits"]
    said = limits["properties"]
    told = {
        name: {half: each["default"] for half, each in limit["properties"].items()}
        for name, limit in said.items()
        if name not in {"perSchool", "entities"} and "properties" in limit
    }
    default = Limits().to_dict()
    assert told == {name: default[name] for name in told}
    assert {"deactivate", "update", "create", "invalid", "roleChange", "emailChange", "rekeyed"} == set(told)
    assert said["perSchool"]["properties"]["deactivate"]["default"] == default["perSchool"]["deactivate"]
