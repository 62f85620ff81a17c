"""What can go wrong with a mail: a stable reason, one sentence, and what to do next."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Stable reasons, in the order in which they are met."""

    SETTINGS_UNUSABLE = "MailSettingsUnusable"
    ADDRESS_UNUSABLE = "AddressUnusable"
    MESSAGE_UNUSABLE = "MessageUnusable"
    SERVER_NOT_FOUND = "MailServerNotFound"
    SERVER_UNREACHABLE = "MailServerUnreachable"
    TLS_NOT_OFFERED = "MailServerWithoutTLS"
    TLS_FAILED = "MailServerTLSFailed"
    CERTIFICATE_REFUSED = "MailServerCertificateRefused"
    LOGIN_NOT_OFFERED = "MailLoginNotOffered"
    LOGIN_REFUSED = "MailLoginRefused"
    SENDER_REFUSED = "MailSenderRefused"
    RECIPIENT_REFUSED = "MailRecipientRefused"
    RECIPIENT_DEFERRED = "MailRecipientDeferred"
    MESSAGE_REFUSED = "MailRefused"
    SERVER_BUSY = "MailServerBusy"
    TIMED_OUT = "MailTimedOut"
    CONNECTION_LOST = "MailConnectionLost"
    ANSWER_LOST = "MailAnswerLost"


_ASK = "Ask the platform team, who look after the mail settings"
_TEXTS: dict[Reason, tuple[str, str, bool]] = {
    Reason.SETTINGS_UNUSABLE: ("The mail server's settings cannot be used.", f"{_ASK}.", False),
    Reason.ADDRESS_UNUSABLE: (
        "The address is none that mail can be sent to.",
        "Write one plain address like name@example.org, in ASCII and without a display name.",
        False,
    ),
    Reason.MESSAGE_UNUSABLE: (
        "The message cannot be sent as it is.",
        "Its subject must be one line, and it must have a recipient and be smaller than 256 KiB.",
        False,
    ),
    Reason.SERVER_NOT_FOUND: (
        "The mail server's name cannot be resolved.",
        f"{_ASK}: check the spelling of its host, and the cluster's DNS.",
        True,
    ),
    Reason.SERVER_UNREACHABLE: (
        "The mail server accepts no connection.",
        f"{_ASK}: check its host and port, and whether a firewall or a network policy is between.",
        True,
    ),
    Reason.TLS_NOT_OFFERED: (
        "The mail server offers no StartTLS, and nothing is sent in the clear.",
        f"{_ASK}: check the port and the security, StartTLS (587) or Implicit (465).",
        False,
    ),
    Reason.TLS_FAILED: (
        "The mail server does not speak TLS as it should.",
        f"{_ASK}: check the port and the security, StartTLS (587) or Implicit (465).",
        False,
    ),
    Reason.CERTIFICATE_REFUSED: (
        "The mail server's certificate is not trusted, has ended, or is for another name.",
        f"{_ASK}: give its authority's certificate, and the name that the certificate is for.",
        False,
    ),
    Reason.LOGIN_NOT_OFFERED: (
        "The mail server offers no way to log in that is known here.",
        f"{_ASK}: a server that needs no login gets no user; else PLAIN, LOGIN or CRAM-MD5 is needed.",
        False,
    ),
    Reason.LOGIN_REFUSED: (
        "The mail server refuses the user or the password.",
        f"{_ASK}: put the right ones into the Secret; they are read anew for each mail.",
        False,
    ),
    Reason.SENDER_REFUSED: (
        "The mail server does not accept mail from this sender.",
        f"{_ASK}: check the sender's address, and whether the server wants a login.",
        False,
    ),
    Reason.RECIPIENT_REFUSED: (
        "The mail server does not accept mail to this recipient.",
        "Check the address; if it is right, ask who looks after the mail server.",
        False,
    ),
    Reason.RECIPIENT_DEFERRED: (
        "The mail server does not accept mail to this recipient now.",
        "Try again in a few minutes.",
        True,
    ),
    Reason.MESSAGE_REFUSED: (
        "The mail server refuses the message.",
        f"{_ASK}: the server's log says why, its size or a filter, say.",
        False,
    ),
    Reason.SERVER_BUSY: ("The mail server takes no mail now.", "Try again in a few minutes.", True),
    Reason.TIMED_OUT: (
        "The mail server did not answer in time, and nothing was sent.",
        "Try again in a few minutes.",
        True,
    ),
    Reason.CONNECTION_LOST: (
        "The connection to the mail server broke; nothing was sent.",
        "Try again in a few minutes.",
        True,
    ),
    Reason.ANSWER_LOST: (
        "The message was handed over, and the mail server's answer was lost: it may or may not arrive.",
        "Ask the recipient; sent again, it may arrive twice.",
        True,
    ),
}


class MailError(Exception):
    """A mail was not sent.

    message: one sentence. next_step: what a person can do. retryable: whether the same call may succeed later without
    anyone changing anything. None of them holds an address or anything that the server said.
    """

    def __init__(self, reason: Reason, what: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.message, self.next_step, self.retryable = _TEXTS[reason]
        if what:
            self.message = f"{self.message[:-1]}: {what}."

    @property
    def uncertain(self) -> bool:
        """Whether the message may have been delivered all the same."""
        return self.reason is Reason.ANSWER_LOST

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
