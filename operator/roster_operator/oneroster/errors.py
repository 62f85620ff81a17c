"""What can go wrong with a source: a stable reason, one human sentence, and what to do next.

No message holds a value of a record or a secret. Text that came from outside passes `outside`
first: a stranger's server may send terminal escapes, markup or megabytes.
"""

import re
from enum import StrEnum

from .entities import Entity


class Reason(StrEnum):
    """Stable reasons. They stand in status and alerts: never rename one."""

    SETTINGS_INVALID = "SettingsInvalid"
    DNS_FAILED = "DNSFailed"
    ADDRESS_REFUSED = "AddressRefused"
    CONNECT_FAILED = "ConnectFailed"
    TLS_FAILED = "TLSFailed"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_NOT_YET_VALID = "CertificateNotYetValid"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_NAME_MISMATCH = "CertificateNameMismatch"
    CERTIFICATE_EXPIRES_SOON = "CertificateExpiresSoon"
    CLOCK_SKEWED = "ClockSkewed"
    TOKEN_REJECTED = "TokenRejected"  # noqa: S105 (a reason, not a secret)
    TOKEN_MALFORMED = "TokenMalformed"  # noqa: S105
    CREDENTIALS_REJECTED = "CredentialsRejected"
    SCOPE_MISSING = "ScopeMissing"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    REQUEST_REFUSED = "RequestRefused"
    ENDPOINT_NOT_ONEROSTER = "EndpointNotOneRoster"
    VERSION_UNSUPPORTED = "VersionUnsupported"
    EMPTY_ROSTER = "EmptyRoster"
    NO_TOTAL = "NoTotal"
    THROTTLED = "Throttled"
    SERVER_ERROR = "ServerError"
    TIMED_OUT = "TimedOut"
    CONNECTION_LOST = "ConnectionLost"
    BODY_TOO_LARGE = "BodyTooLarge"
    BAD_COMPRESSION = "BadCompression"
    REDIRECT_REFUSED = "RedirectRefused"
    LISTING_UNSTABLE = "ListingUnstable"
    MALFORMED_RESPONSE = "MalformedResponse"
    # SFTP, in the order in which they are met.
    SSH_FAILED = "SSHFailed"
    HOST_KEY_MISMATCH = "HostKeyMismatch"
    PRIVATE_KEY_MALFORMED = "PrivateKeyMalformed"
    PASSPHRASE_WRONG = "PassphraseWrong"  # noqa: S105
    LOGIN_REFUSED = "LoginRefused"
    PATH_MISSING = "PathMissing"
    PATH_FORBIDDEN = "PathForbidden"
    FOLDER_TOO_LARGE = "FolderTooLarge"
    NO_BUNDLE = "NoBundle"
    FILE_TOO_LARGE = "FileTooLarge"
    FILE_UNSTABLE = "FileUnstable"
    SOURCE_WENT_BACK = "SourceWentBack"
    # Bundles of CSV files, in the order in which they are looked at.
    BUNDLE_UNREADABLE = "BundleUnreadable"
    BUNDLE_REFUSED = "BundleRefused"
    BUNDLE_TOO_LARGE = "BundleTooLarge"
    BUNDLE_MANIFEST_INVALID = "BundleManifestInvalid"
    FILE_MISSING = "FileMissing"
    FILE_UNREADABLE = "FileUnreadable"
    FILE_MALFORMED = "FileMalformed"
    HEADER_INVALID = "HeaderInvalid"


class OneRosterError(Exception):
    """A source failed.

    reason: stable. message: one sentence. next_step: what a person can do. retryable: whether the
    same call may succeed later without anyone changing anything. entity, page: where, if anywhere
    (page counts from 1). status: the HTTP status that caused it, if one did. retry_after: seconds
    the server asked us to wait.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        next_step: str = "",
        *,
        retryable: bool = False,
        entity: Entity | None = None,
        page: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.next_step = next_step
        self.retryable = retryable
        self.entity = entity
        self.page = page
        self.status = status
        self.retry_after = retry_after

    def __str__(self) -> str:
        where = "" if self.entity is None else f" ({self.entity}{'' if self.page is None else f', page {self.page}'})"
        return f"{self.reason}: {self.message}{where}"

    def at(self, entity: Entity, page: int | None) -> "OneRosterError":
        """The same error, with the place where it happened filled in."""
        self.entity = self.entity or entity
        self.page = self.page or page
        return self


_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


def outside(text: str, limit: int = 200) -> str:
    """Text from outside made safe to show: printable ASCII, at most `limit` characters."""
    return _UNPRINTABLE.sub("?", text[: limit * 4])[:limit].strip()
