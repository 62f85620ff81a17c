"""A real SMTP server (aiosmtpd) for tests: with or without TLS and login, refusing whom it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

USER, PASSWORD = "roster", "correct horse"


@dataclass
class Mailbox:
    """What arrived: each mail with the recipients of its envelope. `answers` has what RCPT and DATA answer instead."""

    mails: list[tuple[tuple[str, ...], EmailMessage]] = field(default_factory=list[Any])
    answers: dict[str, str] = field(default_factory=dict[str, str])
    logins: int = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if refusal := self.answers.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if refusal := self.answers.get("MAIL"):
            return refusal
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if refusal := self.answers.get("DATA"):
            return refusal
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((tuple(envelope.rcpt_tos), mail))
        return "250 OK"

    def authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins += 1
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)


def context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    """The server's side of TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, "127.0.0.1" if name == "localhost" else name).configure_cert(made)
    return made


@asynccontextmanager
async def serving(
    mailbox: Mailbox,
    *,
    start_tls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    login: bool = False,
) -> AsyncGenerator[int]:
    """Serves the mailbox on 127.0.0.1, in this event loop; gives the port."""

    def protocol() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.example.org",
            tls_context=start_tls,
            require_starttls=start_tls is not None,
            auth_required=login,
            auth_require_tls=implicit is None,
            auth_exclude_mechanism=() if login else ("LOGIN", "PLAIN"),
            authenticator=mailbox.authenticate if login else None,
            enable_SMTPUTF8=False,
            loop=asyncio.get_running_loop(),
        )

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
