"""Random inputs that are nearly right: what is wholly random is refused at the first byte and finds nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.oneroster.test_oneroster_decode import PLAIN

from roster_operator.oneroster.entities import Entity

# The same inputs at each run. The deadline is for what hangs, not for what is slow on a busy machine.
FUZZ = settings(
    derandomize=True,
    deadline=timedelta(seconds=5),
    max_examples=500,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.text(max_size=12) | st.sampled_from(
    ["", " ", "true", "2026-08-01", "2026-08-01T00:00:00Z", "student", "primary", "school", "active", "ext:x", "\0",
    "9",
     "T***", "x" * 256, "x" * 2_001, "\ud800", "\u202e", "=1+1", "/users/%00", "9999-12-31T23:59:59-14:00"]
)  # fmt: skip
numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 10**400, 1e308])
leaves = st.none() | st.booleans() | numbers | texts
_BESIDES = [
    "sourcedId", "metadata", "href", "password", "credentials", "roles", "roleType", "userIds", "identifier", "parent",
    "agents", "primaryOrg", "userProfiles", "userProfile", "birthDate", "grades", "subjects", "dateLastModified",
]  # fmt: skip
names = st.sampled_from(sorted({*_BESIDES, *(name for fields in PLAIN.values() for name in fields)}))
trees: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | texts, inner, max_size=5),
    max_leaves=20,
)


def dumped(value: Any) -> bytes:
    """JSON as a careless server writes it: NaN, lone surrogates and all."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with a few of them replaced, cut out, doubled or put in."""
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 9)))
        put = draw(
            st.binary(max_size=5) | st.sampled_from([b"", data[start:end] * 2, b'"', b"{", b"[", b"\0", b",", b"\n"])
        )
        data = data[:start] + put + data[end:]
    return data


@st.composite
def records(draw: st.DrawFn, entity: Entity) -> bytes:
    """A record of an entity: a good one with some fields replaced, or its bytes mutated."""
    fields = PLAIN[entity] | draw(st.dictionaries(names, trees, max_size=5))
    data = dumped(fields)
    return draw(mutated(data)) if draw(st.booleans()) else data
