"""A person's roles where a source shows only those that changed: roles.csv of a delta. Pure.

What is merged of a role has no sourcedId, so a row is laid on the role that it can only mean: the same role at the same
org, or, since there is one primary role at an org, the primary one. What it may else mean is added, and said.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .careful import primary_role
from .records import User

# Marks that a source puts on such users; whoever has the merged rows takes them off again. Some of the roles are shown;
# none is; and the user has no row of their own, so everything else of the record stands for nothing.
SOME, UNSHOWN, ALONE = "RolesSome", "RolesUnshown", "RolesAlone"
MARKS = frozenset({SOME, UNSHOWN, ALONE})

Role = dict[str, str | None]


class Folded(NamedTuple):
    """All roles of a person. unclear: one was added that may be another one, changed; that one is still there, too."""

    roles: list[Role]
    unclear: bool


def folded(merged: Sequence[Role], shown: Sequence[Role], gone: Sequence[Role]) -> Folded:
    """All roles of a person after a delta.

    merged: what the person has. shown: rows of roles.csv; gone: those of them that are to be deleted.
    """
    roles = [role for role in merged if role not in gone]
    unclear = False
    for role in gone:
        same = [each for each in roles if _key(each) == _key(role)]
        if role not in merged and len(same) == 1:
            roles.remove(same[0])
        elif role not in merged:
            unclear = unclear or len(same) > 1
    for role in shown:
        before = [each for each in roles if each not in shown]
        same = [each for each in before if _key(each) == _key(role)] or [
            each for each in before if _primary_at(each) and _primary_at(each) == _primary_at(role)
        ]
        if role in roles:
            continue
        if len(same) == 1:
            roles[roles.index(same[0])] = role
        else:
            # An export that says what went would have said it of the others, too.
            unclear = unclear or bool(before and not gone) or len(same) > 1
            roles.append(role)
    return Folded(roles, unclear)


def _key(role: Role) -> tuple[str | None, str | None]:
    return role["org_sourced_id"], role["role"]


def _primary_at(role: Role) -> str | None:
    """The org at which it is the primary role."""
    return role["org_sourced_id"] if role["role_type"] == "primary" else None


def with_roles(user: User, roles: list[Role]) -> User | None:
    """The user with these roles and what follows from them; None without any."""
    role = primary_role(roles, user.primary_org_sourced_id)
    if role is None:
        return None
    orgs = list(dict.fromkeys(each["org_sourced_id"] for each in roles if each["org_sourced_id"]))
    return msgspec.structs.replace(user, role=role, roles=roles, org_sourced_ids=orgs)
