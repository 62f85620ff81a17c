"""The index of merged hashes: what it calls seen was seen, and what it cannot tell it leaves alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roster_operator.store.seen import SeenIndex


def array(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


small = st.lists(st.integers(0, 12) | st.integers(2**64 - 3, 2**64 - 1), max_size=12)


@given(small, st.lists(small, max_size=4))
def test_against_a_model_with_sets(merged: list[int], pages: list[list[int]]) -> None:
    index = SeenIndex(array(merged))
    known = {h for h in merged if merged.count(h) == 1}
    seen: set[int] = set()
    for page in pages:
        misses, repeated = index.look_up(array(page))
        assert misses.tolist() == [at for at, h in enumerate(page) if h not in known]
        repeats = []
        for at, h in enumerate(page):
            if h in known:
                if h in seen:
                    repeats.append(at)
                seen.add(h)
        assert sorted(repeated.tolist()) == repeats
    assert index.seen_count == len(seen)
    assert index.active == len(merged)
    assert sorted(index.unseen().tolist()) == sorted([h for h in merged if h not in seen])


def test_two_rows_with_one_hash_are_both_decoded_again_and_neither_hides_the_other() -> None:
    index = SeenIndex(array([5, 5, 7]))
    misses, repeated = index.look_up(array([5, 7, 5]))
    assert misses.tolist() == [0, 2]
    assert repeated.tolist() == []
    assert sorted(index.unseen().tolist()) == [5, 5]


def test_a_restart_forgets_what_was_seen() -> None:
    index = SeenIndex(array([1, 2]))
    index.look_up(array([1]))
    index.restart()
    assert sorted(index.unseen().tolist()) == [1, 2]
    assert index.look_up(array([1]))[1].tolist() == []


def test_rows_without_a_hash_are_counted_as_active() -> None:
    assert SeenIndex(array([1]), active=3).active == 3
