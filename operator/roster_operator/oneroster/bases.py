"""Where a server's collections are, and in which version. Pure."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from .errors import OneRosterError, Reason
from .settings import BASE_PATHS, RestSettings, Version

_OWN_BASE = re.compile(r"/v1p([12])$", re.IGNORECASE)

# A wrong path may answer anything; only these say that the server itself was not reached or not willing,
# whatever the version.
FATAL = frozenset(
    {
        Reason.SETTINGS_INVALID, Reason.DNS_FAILED, Reason.ADDRESS_REFUSED, Reason.CONNECT_FAILED, Reason.TLS_FAILED,
        Reason.CERTIFICATE_EXPIRED, Reason.CERTIFICATE_NOT_YET_VALID, Reason.CERTIFICATE_UNTRUSTED,
        Reason.CERTIFICATE_NAME_MISMATCH, Reason.CLOCK_SKEWED, Reason.TOKEN_MALFORMED, Reason.THROTTLED,
    }
)  # fmt: skip
# Which refusal tells most, when no version answered.
_TELLING = (
    Reason.FORBIDDEN, Reason.SCOPE_MISSING, Reason.TOKEN_REJECTED, Reason.CREDENTIALS_REJECTED, Reason.SERVER_ERROR,
    Reason.TIMED_OUT, Reason.CONNECTION_LOST, Reason.MALFORMED_RESPONSE, Reason.REQUEST_REFUSED,
    Reason.REDIRECT_REFUSED, Reason.ENDPOINT_NOT_ONEROSTER,
)  # fmt: skip


def candidates(settings: RestSettings, endpoint: str) -> list[tuple[Version, str]]:
    """The versions to try and their base addresses, best first.

    An endpoint may be the server's root or already hold a version's base path; `endpoint` is the checked one.
    Raises SettingsInvalid when it names another version than the one that is set.
    """
    endpoint, version = endpoint.rstrip("/"), settings.version
    paths = list(settings.base_paths)
    root = root_of(endpoint, paths)
    if root != endpoint:
        named = next(item for item, path in paths if _ends(endpoint, path))
        paths.sort(key=lambda item: item[0] != named)
    elif own := _OWN_BASE.search(endpoint):
        named = "1.1" if own[1] == "1" else "1.2"
        if version not in ("Auto", named):
            raise OneRosterError(
                Reason.SETTINGS_INVALID,
                f"The endpoint is one of version {named}, but version {version} is set.",
                "Set version to Auto, or give the endpoint of that version.",
            )
        return [(named, endpoint)]
    chosen: list[tuple[Version, str]] = [(item, path) for item, path in paths if version in ("Auto", item)]
    # A profile that has no path of a version that is asked for all the same: the standard's.
    chosen = chosen or [(item, path) for item, path in BASE_PATHS if item == version]
    return [(item, joined(root, path)) for item, path in chosen]


def _ends(endpoint: str, path: str) -> bool:
    return endpoint.lower().endswith(path.lower())


def root_of(endpoint: str, paths: Sequence[tuple[Version, str]]) -> str:
    """An endpoint without the base path that it ends in, if it does."""
    endpoint = endpoint.rstrip("/")
    return next((endpoint[: -len(path)] for _, path in paths if _ends(endpoint, path)), endpoint)


def joined(root: str, path: str) -> str:
    """A base path below a root. What both have is there once: people copy half of a path into the endpoint."""
    have = [part for part in urlsplit(root).path.split("/") if part]
    want = [part for part in path.split("/") if part]
    for length in range(min(len(have), len(want) - 1), 0, -1):
        if [part.lower() for part in have[-length:]] == [part.lower() for part in want[:length]]:
            return "/".join([root.rstrip("/"), *want[length:]])
    return "/".join([root.rstrip("/"), *want])


def not_detected(tried: Sequence[tuple[Version, str]], refused: Sequence[OneRosterError]) -> OneRosterError:
    """The error that tells most, after no version answered.

    A token server that knows no scope of a version says only that it is not of that version.
    """
    refused = [each for each in refused if each.reason is not Reason.SCOPE_MISSING or each.entity] or refused
    for reason in _TELLING:
        for error in refused:
            if error.reason is reason:
                return error
    versions = sorted({version for version, _ in tried}, reverse=True)
    if len(versions) == 1:
        return OneRosterError(
            Reason.VERSION_UNSUPPORTED,
            f"The server has no OneRoster {versions[0]} under this endpoint.",
            "Set version to Auto, or check the endpoint.",
            status=404,
        )
    return OneRosterError(
        Reason.ENDPOINT_NOT_ONEROSTER,
        "The server has neither OneRoster 1.2 nor 1.1 under this endpoint.",
        "Check the endpoint, and that the SIS has its OneRoster module licensed and enabled.",
        status=404,
    )
