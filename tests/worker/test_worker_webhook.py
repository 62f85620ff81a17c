"""A notice to a real server: signed, sent through the gate, and never sent on."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.webhooks import KEY, SIGNING, Receiver, receiving, verified

from roster_operator.api.task import Outcome, WorkerSummary, WorkerTask
from roster_operator.worker import webhook
from roster_operator.worker.failures import WorkerError
from roster_operator.worker.steps import run_step

BODY = '{"type": "roster.waiting", "data": {"sync": "springfield-1"}}'
NAME = "webhook-key"


def told(receiver: Receiver, folder: Path, signing: str | None = SIGNING, **more: Any) -> WorkerSummary:
    """The step as a Job's pod runs it."""
    if signing is not None:
        folder.mkdir(exist_ok=True)
        (folder / "signing-key").write_text(signing + "\n")
    where = {"url": receiver.url, "secretRef": {"name": NAME, "key": "k"}, "caBundle": receiver.authority}
    task = {
        "step": "notify",
        "cluster": "c",
        "tenant": "k12.springfield",
        "connection": {"namespace": "k12", "name": "springfield", "uid": "u"},
        "notice": {"id": "msg_1_u", "body": BODY, "webhook": where | more.pop("webhook", {})},
        "policy": {"allowAddresses": ["127.0.0.0/8", "::1/128"]},
    }
    return run_step(WorkerTask.from_dict(task | more), signing=folder)


def reason(summary: WorkerSummary) -> tuple[str, bool]:
    assert summary.outcome is Outcome.FAILED
    assert summary.failure
    return summary.failure.reason, summary.failure.retryable


def test_a_receiver_can_tell_that_it_is_ours_and_as_it_was(tmp_path: Path) -> None:
    with receiving() as receiver:
        assert told(receiver, tmp_path / "s").outcome is Outcome.NOTIFIED
    [(headers, body)] = receiver.got
    assert body.decode() == BODY
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "msg_1_u"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300, "receivers refuse what is older"
    assert verified(headers, body)
    assert not verified(headers, body + b" ")
    assert not verified(headers | {"webhook-timestamp": "1"}, body)
    assert not verified(headers, body, key=KEY[::-1])


def test_the_published_example_of_standard_webhooks() -> None:
    keys = webhook.keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = webhook.signature(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_key_is_changed_either_verifies(tmp_path: Path) -> None:
    other = bytes(range(64, 128))
    with receiving() as receiver:
        told(receiver, tmp_path / "s", f"{SIGNING}\nwhsec_{base64.b64encode(other).decode()}")
    [(headers, body)] = receiver.got
    assert verified(headers, body)
    assert verified(headers, body, key=other)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, None),
        (202, None),
        (401, ("WebhookRefused", True)),
        (404, ("WebhookRefused", True)),
        (410, ("WebhookGone", False)),
        (429, ("WebhookUnavailable", True)),
        (500, ("WebhookUnavailable", True)),
        (503, ("WebhookUnavailable", True)),
    ],
)
def test_what_the_receiver_answers_decides(tmp_path: Path, status: int, expected: tuple[str, bool] | None) -> None:
    with receiving() as receiver:
        receiver.answers, receiver.body = [status], b"canary"
        found = told(receiver, tmp_path / "s")
    if expected is None:
        assert found.outcome is Outcome.NOTIFIED
    else:
        assert reason(found) == expected
    assert "canary" not in json.dumps(found.to_dict())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_not_even_to_itself(tmp_path: Path, status: int) -> None:
    with receiving() as receiver:
        receiver.answers, receiver.headers = [status], {"Location": receiver.url}
        assert reason(told(receiver, tmp_path / "s")) == ("RedirectRefused", False)
        assert len(receiver.got) == 1


def test_an_answer_without_end_is_not_read_and_counts_as_taken(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.answers, receiver.body = [200], b"x" * 10_000_000
        assert told(receiver, tmp_path / "s").outcome is Outcome.NOTIFIED


@pytest.mark.parametrize(
    ("signing", "expected"),
    [
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "SigningKeyTooShort"),
        (f"{SIGNING}\nwhsec_" + base64.b64encode(b"x" * 23).decode(), "SigningKeyTooShort"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "SigningKeyMalformed"),
        (base64.b64encode(KEY).decode(), "SigningKeyMalformed"),
        ("whsec_canary!", "SigningKeyMalformed"),
        ("whsk_canary", "SigningKeyMalformed"),
        ("\n".join([SIGNING] * 5), "SigningKeyMalformed"),
        ("", "SecretKeyEmpty"),
        (None, "SecretMissing"),
    ],
)
def test_a_key_that_is_none_sends_nothing(tmp_path: Path, signing: str | None, expected: str) -> None:
    with receiving() as receiver:
        found = told(receiver, tmp_path / "s", signing)
    assert reason(found) == (expected, False)
    assert receiver.got == []
    assert found.failure
    assert "canary" not in found.failure.message


def test_keys_of_every_length_that_the_convention_has() -> None:
    for length in (24, 32, 64):
        assert webhook.keys_of("whsec_" + base64.b64encode(b"k" * length).decode()) == [b"k" * length]
    with pytest.raises(WorkerError):
        webhook.keys_of(" \n ")


def test_addresses_that_are_closed_to_sources_are_closed_to_notices(tmp_path: Path) -> None:
    with receiving() as receiver:
        found = told(receiver, tmp_path / "s", policy={"allowAddresses": []})
        assert reason(found) == ("AddressRefused", False)
        for url in ("https://169.254.169.254/latest", "https://[fd00:ec2::254]/", "https://2130706433/"):
            refused = told(receiver, tmp_path / "s", webhook={"url": url}, policy={"allowAddresses": []})
            assert reason(refused) == ("AddressRefused", False)
        assert receiver.got == []


def test_a_certificate_is_always_verified(tmp_path: Path) -> None:
    with receiving() as receiver:
        del receiver.got[:]
        strangers = told(receiver, tmp_path / "s", webhook={"caBundle": None})
        assert reason(strangers) == ("CertificateUntrusted", False)
    with receiving("other.example") as receiver:
        assert reason(told(receiver, tmp_path / "s")) == ("CertificateNameMismatch", False)
        assert receiver.got == []


def test_nobody_there_is_tried_again(tmp_path: Path) -> None:
    with receiving() as receiver:
        pass
    assert reason(told(receiver, tmp_path / "s")) == ("WebhookUnavailable", True)
