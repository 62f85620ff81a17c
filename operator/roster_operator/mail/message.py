"""One mail: what a person reads, and the headers around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address as Named
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from roster_operator.api.mailbox import ADDRESS

from .errors import MailError, Reason

MOST_RECIPIENTS = 50
_LARGEST = 256 * 1024  # bytes, as sent
_LONGEST_SUBJECT = 300
_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Every server takes 7 bits; lines end as SMTP wants them.
_POLICY = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True)
class Message:
    """text: plain text; html: the same for those who prefer it, written by us (values in it escaped by the caller).

    One recipient is named in To; several are not shown to each other. key: the same for the same occasion; it makes the
    Message-ID, so that a mail that came twice can be told as one. Raises MailError.
    """

    to: tuple[str, ...]
    subject: str
    text: str
    html: str | None = None
    key: str = ""

    def __post_init__(self) -> None:
        for address in self.to:
            if len(address) > 254 or not re.fullmatch(ADDRESS, address):
                raise MailError(Reason.ADDRESS_UNUSABLE)
        if not 1 <= len(self.to) <= MOST_RECIPIENTS or len(set(self.to)) < len(self.to):
            raise MailError(Reason.MESSAGE_UNUSABLE)
        if not self.subject.isprintable() or not 1 <= len(self.subject) <= _LONGEST_SUBJECT:
            raise MailError(Reason.MESSAGE_UNUSABLE)
        if self.key and not _KEY.fullmatch(self.key):
            raise MailError(Reason.MESSAGE_UNUSABLE)


def compose(message: Message, sender: str, sender_name: str = "") -> bytes:
    """The mail as it is sent, in ASCII, with CRLF. Raises MailError."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(_POLICY)
    mail["From"] = Named(sender_name, addr_spec=sender)
    mail["To"] = message.to[0] if len(message.to) == 1 else "undisclosed-recipients:;"
    mail["Subject"] = message.subject
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.key}@{domain}>" if message.key else make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office note answers it (RFC 3834)
    try:
        mail.set_content(message.text)
        if message.html is not None:
            mail.add_alternative(message.html, subtype="html")
        content = mail.as_bytes()
    except UnicodeError:  # half a surrogate pair
        raise MailError(Reason.MESSAGE_UNUSABLE) from None
    if len(content) > _LARGEST:
        raise MailError(Reason.MESSAGE_UNUSABLE)
    return content
