"""Roles of a delta, laid over the roles that a person has."""

from __future__ import annotations

import pytest

from roster_operator.oneroster.careful import one_role
from roster_operator.oneroster.rolechanges import Role, folded


def role(text: str) -> Role:
    """`student@s1` is primary, `(aide)@s2` secondary; what follows a blank is the last day."""
    where, _, end = text.partition(" ")
    what, _, org = where.partition("@")
    found = one_role("secondary" if what.startswith("(") else "primary", what.strip("()"), org)
    return found | {"end_date": end or None}


def roles(*texts: str) -> list[Role]:
    return [role(text) for text in texts]


@pytest.mark.parametrize(
    ("merged", "shown", "gone", "after", "unclear"),
    [
        # What a delta does not show stays.
        (["student@s1", "(aide)@s2"], ["(aide)@s2 2027-06-30"], [], ["student@s1", "(aide)@s2 2027-06-30"], False),
        (["student@s1", "(aide)@s2"], ["student@s1"], [], ["student@s1", "(aide)@s2"], False),
        (["student@s1"], [], [], ["student@s1"], False),
        # Only the deleted one goes, whether its row is as it was or has other dates.
        (["student@s1", "(aide)@s2"], [], ["(aide)@s2"], ["student@s1"], False),
        (["student@s1", "(aide)@s2"], [], ["(aide)@s2 2026-11-25"], ["student@s1"], False),
        (["student@s1"], [], ["student@s1"], [], False),
        (["student@s1"], [], ["(aide)@s2"], ["student@s1"], False),
        # Of two with the same role at one org, the one that is meant.
        (
            ["(aide)@s1 2026-10-01", "(aide)@s1 2027-06-30"],
            [],
            ["(aide)@s1 2026-10-01"],
            ["(aide)@s1 2027-06-30"],
            False,
        ),
        (["(aide)@s1 1", "(aide)@s1 2"], [], ["(aide)@s1 3"], ["(aide)@s1 1", "(aide)@s1 2"], True),
        (["(aide)@s1 1", "(aide)@s1 2"], ["(aide)@s1 3"], [], ["(aide)@s1 1", "(aide)@s1 2", "(aide)@s1 3"], True),
        # One primary role at an org: another one there is the same, changed.
        (["student@s1", "(aide)@s2"], ["teacher@s1"], [], ["teacher@s1", "(aide)@s2"], False),
        # One that is new where others are not shown may be one of them, changed. It is added, and said.
        (["student@s1"], ["(aide)@s2"], [], ["student@s1", "(aide)@s2"], True),
        (["student@s1"], ["teacher@s2"], [], ["student@s1", "teacher@s2"], True),
        # Nothing is unclear where all are shown, or where the delta says what went.
        (["student@s1"], ["student@s1", "(aide)@s2"], [], ["student@s1", "(aide)@s2"], False),
        (["student@s1", "(aide)@s2"], ["(aide)@s3"], ["(aide)@s2"], ["student@s1", "(aide)@s3"], False),
        (["student@s1", "(aide)@s2"], ["(aide)@s2 9"], ["(aide)@s2"], ["student@s1", "(aide)@s2 9"], False),
        # Somebody new has what is shown.
        ([], ["student@s1", "(aide)@s2"], [], ["student@s1", "(aide)@s2"], False),
    ],
)
def test_a_delta_changes_what_it_shows_and_no_other_role(
    merged: list[str], shown: list[str], gone: list[str], after: list[str], unclear: bool
) -> None:
    found = folded(roles(*merged), roles(*shown), roles(*gone))
    assert (found.roles, found.unclear) == (roles(*after), unclear)
    # Said again, it changes nothing.
    again = folded(found.roles, roles(*shown), roles(*gone))
    assert again.roles == found.roles or gone
