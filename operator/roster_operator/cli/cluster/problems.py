"""What can go wrong between a person and a cluster, as one type: a reason, a sentence, a next step."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

TEXT_LIMIT = 400  # characters of a text that a server sent


class ClusterError(Exception):
    """`reason` is a stable CamelCase word, `message` says what is wrong, `step` what to do."""

    def __init__(self, reason: str, message: str, step: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.step = step


class NotThereError(ClusterError):
    """There is no such object."""


class ForbiddenError(ClusterError):
    """The person lacks a right."""


class NotInstalledError(ClusterError):
    """The cluster does not know the resource."""


def printable(text: str, limit: int = TEXT_LIMIT) -> str:
    """A text as one line of printable ASCII, cut: no control code reaches a terminal."""
    return re.sub(r"[^ -~]+", " ", text).strip()[:limit]


def unreachable(server: str, why: str) -> ClusterError:
    """No connection came about."""
    return ClusterError(
        "ClusterUnreachable",
        f"The API server {server} could not be reached ({why}).",
        "See that the cluster is up (`kubectl cluster-info`), or name another one with --context or --kubeconfig.",
    )


def forbidden(verb: str, what: str, namespace: str | None) -> ForbiddenError:
    """A right is missing."""
    place = f"in the namespace {namespace}" if namespace else "in the whole cluster"
    scope = f" -n {namespace}" if namespace else ", or name one namespace with -n"
    return ForbiddenError(
        "Forbidden",
        f"You may not {verb} {what} {place}.",
        f"Ask for that right; `kubectl auth can-i {verb} {what}{scope if namespace else ' -A'}` tells when you have it"
        f"{'' if namespace else scope}.",
    )


def not_installed(what: str) -> NotInstalledError:
    """The resource definition is missing."""
    return NotInstalledError(
        "NotInstalled",
        f"The cluster does not know {what} in the version that this program speaks.",
        "Install roster-operator, or its resource definitions, in a version that fits this program (`roster version`).",
    )


def not_there(kind: str, name: str, namespace: str, known: Iterable[str]) -> NotThereError:
    """No object of that name; `known` are the names there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or (names if len(names) <= 3 else [])
    if close:
        step = f"Did you mean {' or '.join(close)}?"
    else:
        listing = "status" if kind == "RosterConnection" else "list"
        step = f"`roster {listing} -n {namespace}` shows what there is; -n names another namespace."
    return NotThereError("NotFound", f"There is no {kind} {name} in the namespace {namespace}.", step)
