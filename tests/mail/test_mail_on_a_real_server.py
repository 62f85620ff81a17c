"""Sending to a real SMTP server: what arrives, and which reason each failure gives."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from tests.support.mailserver import PASSWORD, USER, Mailbox, context, serving

from roster_operator.mail import Delivery, MailError, MailSettings, Message, Reason, Security, send

NOTE = Message(("it@example.org",), "A sync waits", "Dear colleague,\n.\nline two\n")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    return made, file


@asynccontextmanager
async def running(
    authority: tuple[trustme.CA, Path],
    security: Security = Security.STARTTLS,
    *,
    login: bool = True,
    name: str = "localhost",
) -> AsyncGenerator[tuple[Mailbox, MailSettings]]:
    mailbox = Mailbox()
    tls = context(authority[0], name)
    async with serving(
        mailbox,
        start_tls=tls if security is Security.STARTTLS else None,
        implicit=tls if security is Security.IMPLICIT else None,
        login=login,
    ) as port:
        settings = MailSettings(
            "localhost",
            "roster@example.org",
            "Röster",
            security,
            port,
            user=USER if login else "",
            password=PASSWORD if login else "",
            ca_file=authority[1],
        )
        yield mailbox, settings


async def refused(settings: MailSettings, message: Message = NOTE, *, seconds: float = 10.0) -> MailError:
    with pytest.raises(MailError) as caught:
        await send(settings, message, seconds=seconds)
    said = f"{caught.value} {caught.value.message} {caught.value.next_step} {caught.value.args}"
    assert "example.org" not in said.replace("name@example.org", "")
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("security", list(Security))
async def test_what_arrives(authority: tuple[trustme.CA, Path], security: Security) -> None:
    async with running(authority, security, login=security is not Security.NONE) as (mailbox, settings):
        delivery = await send(settings, replace(NOTE, subject="Schüler: 3 neue", html="<p>Grüße</p>", key="k1"))
    assert delivery == Delivery(("it@example.org",))
    [(recipients, mail)] = mailbox.mails
    assert recipients == ("it@example.org",)
    assert mail["To"] == "it@example.org"
    assert mail["From"] == "Röster <roster@example.org>"
    assert mail["Subject"] == "Schüler: 3 neue"
    assert mail["Message-ID"] == "<k1@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert plain.get_content().replace("\r\n", "\n") == NOTE.text
    assert html is not None
    assert "Grüße" in html.get_content()


async def test_several_recipients_do_not_see_each_other(authority: tuple[trustme.CA, Path]) -> None:
    async with running(authority) as (mailbox, settings):
        await send(settings, replace(NOTE, to=("a@example.org", "b@example.org")))
    [(recipients, mail)] = mailbox.mails
    assert recipients == ("a@example.org", "b@example.org")
    assert "example.org" not in str(mail["To"])


async def test_a_recipient_who_is_refused_costs_the_others_nothing(authority: tuple[trustme.CA, Path]) -> None:
    async with running(authority) as (mailbox, settings):
        mailbox.answers = {"gone@example.org": "550 no gone@example.org here", "full@example.org": "452 full"}
        delivery = await send(settings, replace(NOTE, to=("gone@example.org", "a@example.org", "full@example.org")))
    assert delivery.accepted == ("a@example.org",)
    assert [(one.address, one.error.reason, one.error.retryable) for one in delivery.refused] == [
        ("gone@example.org", Reason.RECIPIENT_REFUSED, False),
        ("full@example.org", Reason.RECIPIENT_DEFERRED, True),
    ]
    assert [recipients for recipients, _ in mailbox.mails] == [("a@example.org",)]


async def test_when_all_are_refused_nothing_is_handed_over(authority: tuple[trustme.CA, Path]) -> None:
    async with running(authority) as (mailbox, settings):
        mailbox.answers = {"it@example.org": "550 no"}
        delivery = await send(settings, NOTE)
    assert delivery.accepted == ()
    assert [one.error.reason for one in delivery.refused] == [Reason.RECIPIENT_REFUSED]
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("at", "answer", "reason", "retryable"),
    [
        ("MAIL", "550 not from roster@example.org", Reason.SENDER_REFUSED, False),
        ("MAIL", "451 later", Reason.SERVER_BUSY, True),
        ("DATA", "554 spam for it@example.org", Reason.MESSAGE_REFUSED, False),
        ("DATA", "451 later", Reason.SERVER_BUSY, True),
    ],
)
async def test_what_the_server_refuses(
    authority: tuple[trustme.CA, Path], at: str, answer: str, reason: Reason, retryable: bool
) -> None:
    async with running(authority) as (mailbox, settings):
        mailbox.answers = {at: answer}
        error = await refused(settings)
    assert (error.reason, error.retryable) == (reason, retryable)


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
async def test_a_wrong_password(authority: tuple[trustme.CA, Path], security: Security) -> None:
    async with running(authority, security) as (mailbox, settings):
        error = await refused(replace(settings, password="wrong"))
        assert mailbox.logins
    assert error.reason is Reason.LOGIN_REFUSED
    assert not error.retryable


async def test_a_server_without_login(authority: tuple[trustme.CA, Path]) -> None:
    async with running(authority, login=False) as (_, settings):
        assert (await refused(replace(settings, user="u", password="p"))).reason is Reason.LOGIN_NOT_OFFERED


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
async def test_a_certificate_that_is_not_trusted(authority: tuple[trustme.CA, Path], security: Security) -> None:
    async with running(authority, security) as (mailbox, settings):
        assert (await refused(replace(settings, ca_file=None))).reason is Reason.CERTIFICATE_REFUSED
    async with running(authority, security, name="other.example") as (other, settings):
        assert (await refused(settings)).reason is Reason.CERTIFICATE_REFUSED
    assert not mailbox.logins + other.logins


async def test_a_server_without_tls_gets_nothing(authority: tuple[trustme.CA, Path]) -> None:
    async with running(authority, Security.NONE, login=False) as (mailbox, settings):
        start = replace(settings, security=Security.STARTTLS)
        assert (await refused(start)).reason is Reason.TLS_NOT_OFFERED
        implicit = replace(settings, security=Security.IMPLICIT)
        assert (await refused(implicit, seconds=3)).reason is Reason.TLS_FAILED
    assert mailbox.mails == []


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings = MailSettings("127.0.0.1", "roster@example.org", port=closed.getsockname()[1])
        assert (await refused(settings)).reason is Reason.SERVER_UNREACHABLE
    lost = MailSettings("mail.invalid", "roster@example.org")
    assert (await refused(lost)).reason is Reason.SERVER_NOT_FOUND


async def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    settings = MailSettings("127.0.0.1", "roster@example.org", ca_file=tmp_path / "ca.pem")
    assert (await refused(settings)).reason is Reason.SETTINGS_UNUSABLE
    assert (await refused(replace(settings, ca_file=tmp_path / "none.pem"))).reason is Reason.SETTINGS_UNUSABLE


@asynccontextmanager
async def script(lines: dict[bytes, bytes], *, greeting: bytes = b"220 hello\r\n") -> AsyncGenerator[MailSettings]:
    """A server that answers each command from a table, hangs where the answer is empty, and hangs up at `!`."""
    stop = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = greeting
        while True:
            if answer == b"!":
                break
            if answer == b"":
                await stop.wait()
                break
            writer.write(answer)
            line = await reader.readline()
            if not line:
                break
            answer = lines.get(line[:4].strip().upper(), b"250 ok\r\n") if line != b".\r\n" else lines.get(b".", b"!")
            while answer == b"354 go on\r\n":
                writer.write(answer)
                while line != b".\r\n":
                    line = await reader.readline()
                answer = lines.get(b".", b"250 ok\r\n")
        with suppress(OSError):
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield MailSettings(
            "127.0.0.1", "roster@example.org", security=Security.NONE, port=listening.sockets[0].getsockname()[1]
        )
    finally:
        stop.set()
        listening.close()


@pytest.mark.parametrize(
    ("greeting", "lines", "reason"),
    [
        (b"", {}, Reason.TIMED_OUT),
        (b"!", {}, Reason.SERVER_UNREACHABLE),
        (b"554 closed\r\n", {}, Reason.SERVER_BUSY),
        (b"220 hello\r\n", {b"EHLO": b""}, Reason.TIMED_OUT),
        (b"220 hello\r\n", {b"MAIL": b"!"}, Reason.CONNECTION_LOST),
        (b"220 hello\r\n", {b"MAIL": b"nonsense\r\n"}, Reason.CONNECTION_LOST),
        (b"220 hello\r\n", {b"RCPT": b""}, Reason.TIMED_OUT),
        (b"220 hello\r\n", {b"DATA": b"354 go on\r\n", b".": b""}, Reason.ANSWER_LOST),
        (b"220 hello\r\n", {b"DATA": b"354 go on\r\n", b".": b"!"}, Reason.ANSWER_LOST),
        (b"220 hello\r\n", {b"DATA": b"354 go on\r\n", b".": b"x" * 100_000 + b"\r\n"}, Reason.ANSWER_LOST),
    ],
)
async def test_servers_that_hang_or_hang_up(greeting: bytes, lines: dict[bytes, bytes], reason: Reason) -> None:
    async with script(lines, greeting=greeting) as settings:
        started = time.monotonic()
        error = await refused(settings, seconds=1)
        assert time.monotonic() - started < 4
    assert (error.reason, error.retryable) == (reason, True)


async def test_a_server_that_answers_a_little_at_a_time_is_given_up() -> None:
    """Each line comes in time, and the whole does not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            for _ in range(100):
                writer.write(b"220-still thinking\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
        writer.close()

    listening = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    started = time.monotonic()
    error = await refused(MailSettings("127.0.0.1", "roster@example.org", port=port), seconds=1)
    assert error.reason is Reason.TIMED_OUT
    assert time.monotonic() - started < 3
    listening.close()


async def test_a_server_that_never_says_goodbye_has_the_mail(authority: tuple[trustme.CA, Path]) -> None:
    async with script({b"DATA": b"354 go on\r\n", b"QUIT": b""}) as settings:
        assert await send(settings, NOTE, seconds=5) == Delivery(("it@example.org",))


async def test_nothing_of_the_talk_is_logged(
    authority: tuple[trustme.CA, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(authority) as (mailbox, settings):
        mailbox.answers = {"canary@example.org": "550 no canary@example.org"}
        await send(settings, replace(NOTE, to=("canary@example.org", "it@example.org")))
        await refused(replace(settings, password="canary-password"))
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("mail.log")]
    assert not [line for line in ours if "canary" in line]
