"""What the environment says about the mail server, and what is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from roster_operator.mail import MailError, MailSettings, Message, Reason, Security, load

GOOD = {"ROSTER_SMTP_HOST": "mail.example.org", "ROSTER_SMTP_FROM": "roster@example.org"}


def test_without_a_host_there_is_no_mail() -> None:
    assert load({"ROSTER_SMTP_FROM": "roster@example.org"}) is None


@pytest.mark.parametrize(("security", "port"), [("", 587), ("StartTLS", 587), ("Implicit", 465), ("None", 25)])
def test_the_usual_port_of_each_security(security: str, port: int) -> None:
    settings = load({**GOOD, "ROSTER_SMTP_SECURITY": security})
    assert settings is not None
    assert settings.number == port
    assert settings.security == (security or Security.STARTTLS)
    assert settings.login() is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ROSTER_SMTP_HOST": "mail.example.org:25"}, "the host"),
        ({"ROSTER_SMTP_PORT": "70000"}, "the port"),
        ({"ROSTER_SMTP_PORT": "²"}, "the port"),
        ({"ROSTER_SMTP_SECURITY": "ssl"}, "the security"),
        ({"ROSTER_SMTP_FROM": ""}, "the sender"),
        ({"ROSTER_SMTP_FROM": "Roster <roster@example.org>"}, "the sender"),
        ({"ROSTER_SMTP_FROM": "roster@example.org\nBcc: x@example.org"}, "the sender"),
        ({"ROSTER_SMTP_FROM_NAME": "Roster\r\nBcc: x@example.org"}, "the sender's name"),
        ({"ROSTER_SMTP_USER": "u"}, "one is missing"),
        ({"ROSTER_SMTP_PASSWORD_FILE": "/p"}, "one is missing"),
        ({"ROSTER_SMTP_SECURITY": "None", "ROSTER_SMTP_USER": "u", "ROSTER_SMTP_PASSWORD": "p"}, "without TLS"),
    ],
)
def test_settings_that_contradict_themselves(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(MailError) as caught:
        load({**GOOD, **wrong})
    assert caught.value.reason is Reason.SETTINGS_UNUSABLE
    assert told in caught.value.message
    assert caught.value.next_step


def test_a_rotated_password_is_read_anew(tmp_path: Path) -> None:
    user, password = tmp_path / "user", tmp_path / "password"
    user.write_text("roster\n")
    password.write_text("one\n")
    settings = load({**GOOD, "ROSTER_SMTP_USER_FILE": str(user), "ROSTER_SMTP_PASSWORD_FILE": str(password)})
    assert settings is not None
    assert settings.login() == ("roster", "one")
    password.write_text("two")
    assert settings.login() == ("roster", "two")
    password.write_text("two\nlines")
    with pytest.raises(MailError, match="MailSettingsUnusable"):
        settings.login()


def test_a_password_is_in_no_representation() -> None:
    settings = MailSettings("mail.example.org", "roster@example.org", user="u", password="hunter2")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "address",
    ["", "it", "@example.org", "it@", "a b@example.org", "it@example.org\r\nBcc: x@example.org", "<it@example.org>",
     "it@example.org>", "-oX@example.org", "it@-example.org", "it@example..org", "it,x@example.org", "ü@example.org",
     "it@bücher.example", "it@[127.0.0.1]", "it@example.org ", '"a"@example.org', "a" * 65 + "@example.org",
     "it@" + "a" * 64 + ".org", "it@" + "a." * 126 + "org"],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(MailError) as caught:
        Message((address,), "subject", "text")
    assert caught.value.reason is Reason.ADDRESS_UNUSABLE
    assert not address or address not in f"{caught.value} {caught.value.message} {caught.value.args}"


@pytest.mark.parametrize("address", ["it@example.org", "o'brien+roster@k12.example", "a_b-c.d%e@xn--bcher-kva.example"])
def test_what_is_an_address(address: str) -> None:
    assert Message((address,), "subject", "text").to == (address,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "two\nlines"}, {"subject": "two\rlines"}, {"subject": "a\x00b"}, {"subject": "a\u2028b"},
        {"subject": ""}, {"subject": "s" * 301}, {"to": ()}, {"to": ("a@example.org",) * 2},
        {"to": tuple(f"a{n}@example.org" for n in range(51))}, {"key": "a>\r\nBcc: x"}, {"key": "k" * 65},
    ],
)  # fmt: skip
def test_messages_that_cannot_be_sent(wrong: dict[str, object]) -> None:
    given: dict[str, object] = {"to": ("it@example.org",), "subject": "subject", "text": "text"} | wrong
    with pytest.raises(MailError) as caught:
        Message(**given)  # pyright: ignore[reportArgumentType]
    assert caught.value.reason is Reason.MESSAGE_UNUSABLE


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_has_a_sentence_and_a_next_step(reason: Reason) -> None:
    error = MailError(reason)
    assert error.message.endswith(".")
    assert error.next_step.endswith(".")
    assert error.uncertain == (reason is Reason.ANSWER_LOST)
