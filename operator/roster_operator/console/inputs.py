"""What people type or send, judged before it goes anywhere: a token into a header, a name into a path."""

from __future__ import annotations

import re

NAMESPACE_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
MOST_NAMESPACES = 8
TOKEN_LENGTH = 16 * 1024

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_NAMESPACE = re.compile(NAMESPACE_PATTERN.removesuffix("$"))
_PAGE = re.compile(
    r"/(help|connect|namespaces/[a-z0-9-]{1,63}/(connections|syncs)/[a-z0-9.-]{1,253}"
    r"(/(people|by-hand|access|upload|activity|changes|issues|keys))?)?"
)


def clean_token(text: str) -> str | None:
    """The token without the blanks that pasting adds; None where it cannot be one."""
    token = "".join(text.split()).removeprefix("Bearer")
    return token if len(token) <= TOKEN_LENGTH and _TOKEN.fullmatch(token) else None


def clean_namespaces(text: str) -> tuple[str, ...] | None:
    """Names separated by blanks or commas, each once; None where one is no namespace's, or there are too many."""
    names = tuple(dict.fromkeys(text[:4096].replace(",", " ").split()))
    if len(names) > MOST_NAMESPACES or not all(_NAMESPACE.fullmatch(name) for name in names):
        return None
    return names


def own_page(path: str | None) -> str:
    """A page of this console to go to after signing in; its first page for anything else."""
    return path if path and _PAGE.fullmatch(path) else "/"
