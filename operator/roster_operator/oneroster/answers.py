"""What an HTTP answer other than success means, and the few words of it that may be repeated."""

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from .errors import OneRosterError, Reason, outside
from .http import Response

# The words of OAuth 2, of OneRoster, and what frameworks say for a status. A server may put anything into a field for
# codes: a sentence that names a person, or the secret that it was sent. So only these are ever repeated.
_CODES = frozenset(
    """
    invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope access_denied
    server_error temporarily_unavailable invalid_token insufficient_scope slow_down
    success processing failure unsupported error warning status
    fullsuccess nosourcedids invaliddata incompletedata partialdatastorage unknownobject deletefailure
    targetreadfailure unknownquery unknownvocab targetisbusy unknownextension unauthorisedrequest unauthorizedrequest
    linkfailure overflowfail invalid_filter_field invalid_selection_field invalid_sort_field invalid_query_parameter
    server_busy too_many_requests internal_server_error
    unauthorised unauthorized forbidden not_found bad_request method_not_allowed not_acceptable conflict gone
    rate_limit_exceeded rate_limited throttled quota_exceeded service_unavailable bad_gateway gateway_timeout timeout
    not_implemented maintenance
    """.replace("_", "").split()
)
_SEPARATORS = re.compile(r"[ _.\-]")
_CODE_FIELDS = frozenset(
    {"error", "imsx_codemajor", "codemajor", "imsx_codeminor", "codeminor", "imsx_codeminorfieldvalue",
     "codeminorfieldvalue", "imsx_statusinfo", "statusinfo", "imsx_codeminorfield", "codeminorfield"}
)  # fmt: skip
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


def codes(body: bytes) -> list[str]:
    """The known codes in an error's JSON body, as they are spelt there. Never a description: it may name people."""
    try:
        found: list[str] = []
        _collect(msgspec.json.decode(body), found, 0)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return list(dict.fromkeys(found))[:4]


def _collect(value: Any, found: list[str], depth: int) -> None:
    if depth > 6:
        return
    if isinstance(value, list):
        for item in value[:8]:
            _collect(item, found, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.lower() in _CODE_FIELDS:
                if isinstance(item, str) and len(item) <= 64 and _SEPARATORS.sub("", item).lower() in _CODES:
                    found.append(item)
                else:
                    _collect(item, found, depth + 1)


_PROBLEM = re.compile(r"""oauth_problem["']?\s*[=:]\s*["']?([a-z_]{1,40})""")
# The words of OAuth 1's extension for telling problems, as far as a client without a user can meet them.
_PROBLEMS = frozenset(
    {"timestamp_refused", "nonce_used", "signature_method_rejected", "signature_invalid", "consumer_key_unknown",
     "consumer_key_rejected", "consumer_key_refused", "version_rejected", "parameter_absent", "parameter_rejected",
     "permission_denied", "permission_unknown"}
)  # fmt: skip


def oauth_problem(response: Response) -> str | None:
    """The known word by which a server of OAuth 1 says what it refuses: in WWW-Authenticate, a form or JSON."""
    body = response.body[:4096].decode("ascii", "replace")
    for text in (response.headers.get("www-authenticate", "")[:4096], body):
        found = _PROBLEM.search(text)
        if found is not None and found[1] in _PROBLEMS:
            return found[1]
    return None


def token_refused(response: Response) -> bool:
    """Whether a refusal is one of the token, whatever its status: by its codes, or as RFC 6750 says it."""
    words = re.findall(r"[a-z_]+", response.headers.get("www-authenticate", "")[:4096])
    return "invalid_token" in codes(response.body) or "invalid_token" in words


def said(response: Response) -> str:
    """Status and codes of an answer, for a message: "403 (forbidden)"."""
    words = outside(", ".join(codes(response.body)))
    return f"{response.status} ({words})" if words else str(response.status)


def retry_after(response: Response) -> float | None:
    """Seconds that the server asks us to wait, or None."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():  # superscripts are digits to Python, and no numbers
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def clock_skew(response: Response) -> float | None:
    """Seconds that the server's clock is ahead of this one, or None when it does not say."""
    try:
        return parsedate_to_datetime(response.headers.get("date", "")).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None


def refusal(response: Response) -> OneRosterError:
    """The error that an unsuccessful answer of a collection stands for."""
    status = response.status
    what, retryable, wait = said(response), status in _RETRIED, retry_after(response)

    def error(reason: Reason, message: str, next_step: str) -> OneRosterError:
        return OneRosterError(reason, message, next_step, retryable=retryable, status=status, retry_after=wait)

    if status == 401:
        return error(
            Reason.CREDENTIALS_REJECTED,
            f"The server does not accept the credentials: {what}.",
            "Check the Secret, and that the client is enabled in the SIS.",
        )
    if status == 403:
        return error(
            Reason.FORBIDDEN,
            f"The server forbids this collection to the client: {what}.",
            "Have the client granted read access to it in the SIS.",
        )
    if status in (404, 410):
        return error(
            Reason.NOT_FOUND,
            f"The server has nothing at this address: {what}.",
            "Check the endpoint, and that the SIS has its OneRoster module licensed and enabled.",
        )
    if status == 429:
        return error(
            Reason.THROTTLED,
            "The server asks for fewer requests.",
            "Set requestsPerSecond below the vendor's limit.",
        )
    if status >= 500 or status == 408:
        return error(
            Reason.SERVER_ERROR,
            f"The server failed: {what}.",
            "Try again later; if it stays, ask the vendor.",
        )
    return error(
        Reason.REQUEST_REFUSED,
        f"The server refuses the request: {what}.",
        "Check the endpoint, the version and the page size.",
    )
