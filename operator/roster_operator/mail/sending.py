"""Handing one mail to the server, within one bound of time, and what became of it for each recipient."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiosmtplib
from aiosmtplib import SMTP

from .errors import MailError, Reason
from .message import Message, compose
from .settings import MailSettings, Security

T = TypeVar("T")

SECONDS = 30.0


@dataclass(frozen=True)
class Refusal:
    """One recipient whom the server does not take. error: to be raised or shown; `retryable` says whether to try on."""

    address: str
    error: MailError


@dataclass(frozen=True)
class Delivery:
    """Who got it, as far as the server knows, and who did not. Each recipient is in one of them."""

    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()


async def send(settings: MailSettings, message: Message, *, seconds: float = SECONDS) -> Delivery:
    """Send a mail. Nothing is tried twice here: whoever calls knows whether to.

    seconds: for everything, from the name's resolution to the server's last answer. Raises MailError when nobody got
    it for a reason that is no recipient's own.
    """
    content = compose(message, settings.sender, settings.sender_name)
    login = settings.login()
    client = SMTP(
        hostname=settings.host,
        port=settings.number,
        # Left alone, it asks DNS for this pod's name. The address literal says nothing of the network here.
        local_hostname="[127.0.0.1]",
        timeout=None,
        use_tls=settings.security is Security.IMPLICIT,
        start_tls=False,
        tls_context=_context(settings.ca_file) if settings.security is not Security.NONE else None,
    )
    handed_over = False
    try:
        async with asyncio.timeout(seconds):
            await _connect(client)
            if settings.security is Security.STARTTLS:
                await _start_tls(client)
            if login is not None:
                await _log_in(client, *login)
            await _say(client.mail(settings.sender), Reason.SENDER_REFUSED)
            refused = await _recipients(client, message.to)
            accepted = tuple(address for address in message.to if address not in {one.address for one in refused})
            if accepted:
                handed_over = True
                await _say(client.data(content), Reason.MESSAGE_REFUSED)
    except TimeoutError:  # aiosmtplib's own are TimeoutErrors too
        raise MailError(Reason.ANSWER_LOST if handed_over else Reason.TIMED_OUT) from None
    except (aiosmtplib.SMTPException, OSError, ValueError):
        raise MailError(Reason.ANSWER_LOST if handed_over else Reason.CONNECTION_LOST) from None
    finally:
        await _leave(client)
    return Delivery(accepted, tuple(refused))


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            raise MailError(Reason.SETTINGS_UNUSABLE, "the file with authorities holds no certificate") from None
    return context


async def _leave(client: SMTP) -> None:
    # A courtesy: what was accepted is the server's, whatever it says to this.
    try:
        if client.is_connected:
            async with asyncio.timeout(1):
                await client.quit()
    except (aiosmtplib.SMTPException, OSError):  # TimeoutError is one
        pass
    finally:
        client.close()


async def _connect(client: SMTP) -> None:
    try:
        await client.connect()
    except aiosmtplib.SMTPConnectResponseError:
        raise MailError(Reason.SERVER_BUSY) from None
    except aiosmtplib.SMTPConnectError as error:
        raise MailError(_why(error, Reason.SERVER_UNREACHABLE)) from None


async def _start_tls(client: SMTP) -> None:
    try:
        await client.ehlo()
        if not client.supports_extension("starttls"):
            raise MailError(Reason.TLS_NOT_OFFERED)
        await client.starttls()
    except aiosmtplib.SMTPHeloError:
        raise MailError(Reason.TLS_NOT_OFFERED) from None
    except aiosmtplib.SMTPException as error:
        raise MailError(_why(error, Reason.TLS_FAILED)) from None
    except ssl.SSLError as error:
        raise MailError(_why(error, Reason.TLS_FAILED)) from None


async def _log_in(client: SMTP, user: str, password: str) -> None:
    await client.ehlo()
    if not client.supports_extension("auth") or not client.supported_auth_methods:
        raise MailError(Reason.LOGIN_NOT_OFFERED)
    try:
        await client.login(user, password)
    except aiosmtplib.SMTPAuthenticationError as error:
        raise MailError(_meant(error, Reason.LOGIN_REFUSED, Reason.SERVER_BUSY)) from None
    except aiosmtplib.SMTPServerDisconnected:  # some hang up at once, or after the second way to log in
        raise MailError(Reason.LOGIN_REFUSED) from None


async def _recipients(client: SMTP, addresses: tuple[str, ...]) -> list[Refusal]:
    refused: list[Refusal] = []
    for address in addresses:
        try:
            await client.rcpt(address)
        except aiosmtplib.SMTPRecipientRefused as error:
            reason = _meant(error, Reason.RECIPIENT_REFUSED, Reason.RECIPIENT_DEFERRED)
            refused.append(Refusal(address, MailError(reason)))
    return refused


async def _say(answer: Awaitable[T], refusal: Reason) -> T:
    try:
        return await answer
    except aiosmtplib.SMTPResponseException as error:
        raise MailError(_meant(error, refusal, Reason.SERVER_BUSY)) from None


def _meant(error: aiosmtplib.SMTPResponseException, refusal: Reason, later: Reason) -> Reason:
    """What a negative answer means. Raises the error itself where the answer is none that SMTP knows."""
    if error.code >= 500:
        return refusal
    if error.code >= 400:
        return later
    raise error


def _why(error: BaseException, otherwise: Reason) -> Reason:
    """What lies behind aiosmtplib's error: it keeps the cause, and says it in words only."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Reason.CERTIFICATE_REFUSED
        if isinstance(cause, ssl.SSLError):
            return Reason.TLS_FAILED
        if isinstance(cause, socket.gaierror):
            return Reason.SERVER_NOT_FOUND
        cause = cause.__cause__ or cause.__context__
    return otherwise
