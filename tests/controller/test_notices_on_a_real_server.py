"""Notices with the real operator on a real API server and a real SMTP server: once, in time, and holding nothing up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer
from tests.support.jobs import Cluster, failed, merged, staged, until
from tests.support.mailserver import Mailbox, serving
from tests.support.webhooks import SIGNING, Receiver, receiving, verified

from roster_operator.api.task import WorkerTask
from roster_operator.worker.steps import run_step

pytestmark = pytest.mark.apiserver
NOTIFY = {"email": ["it@example.org", "data@example.org"]}


@contextmanager
def post() -> Iterator[tuple[Mailbox, dict[str, str]]]:
    """A mail server in a thread of its own, and the operator's settings for it."""
    mailbox, there, stop = Mailbox(), threading.Event(), asyncio.Event()
    port: list[int] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(mailbox) as number:
            port.append(number)
            there.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert there.wait(10)
        yield (
            mailbox,
            {
                "ROSTER_SMTP_HOST": "127.0.0.1",
                "ROSTER_SMTP_PORT": str(port[0]),
                "ROSTER_SMTP_SECURITY": "None",
                "ROSTER_SMTP_FROM": "roster@example.org",
                "ROSTER_CONSOLE_URL": "https://roster.example.org",
            },
        )
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def subjects(mailbox: Mailbox) -> list[str]:
    return [str(mail["Subject"]).partition(": ")[2] for _, mail in mailbox.mails]


def notices(cluster: Cluster) -> dict[str, Any]:
    return cluster.get("rosterconnections", "springfield").get("status", {}).get("notices") or {}


def connect(cluster: Cluster) -> None:
    cluster.connect(notify=NOTIFY)
    cluster.make_ready()
    until(lambda: "since" in notices(cluster), 15, "the first look")


def fail(cluster: Cluster, name: str) -> None:
    cluster.sync(name)
    job = cluster.open_job("stage")
    cluster.end(job, failed("stage", "TokenRejected", "The canary-message. Next."), failed="Exit")
    cluster.wait_phase("Failed", name)


def test_a_story_told_by_mail(apiserver: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    with post() as (mailbox, settings):
        operator = Operator(apiserver, cluster.namespace, tmp_path, **settings).start().wait_ready()
        try:
            connect(cluster)
            cluster.sync()
            cluster.end(cluster.open_job("stage"), staged())
            cluster.wait_phase("AwaitingApproval")
            cluster.change(approved=True)
            cluster.end(cluster.open_job("merge"), merged())
            cluster.wait_phase("Merged")
            until(lambda: subjects(mailbox) == ["a sync was merged"], 15, operator.said)
            cluster.patch("rosterconnections", "springfield", {"spec": {"suspend": True}})
            until(lambda: len(mailbox.mails) == 2, 15, operator.said)
            cluster.patch("rosterconnections", "springfield", {"spec": {"suspend": False}})
            until(lambda: len(mailbox.mails) == 3, 15, operator.said)
            assert subjects(mailbox)[1:] == ["syncing is paused", "syncing goes on after a pause"]

            # A kill after the fact, and another operator: nobody is told twice.
            until(lambda: not any(one.get("left") for one in notices(cluster)["told"]), 15, operator.said)
            operator.kill()
            operator.start().wait_ready()
            ends = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
            cluster.patch("rosterconnections", "springfield", {"status": {"certificateExpires": ends}}, "status")
            until(lambda: len(mailbox.mails) == 4, 20, operator.said)
            assert subjects(mailbox)[3] == "the source's certificate ends soon"
        finally:
            assert operator.stop() == 0, operator.said()
    for recipients, mail in mailbox.mails:
        assert recipients == ("it@example.org", "data@example.org")
        text = mail.get_content()
        assert f"https://roster.example.org/namespaces/{cluster.namespace}/" in text
    assert len({mail["Message-ID"] for _, mail in mailbox.mails}) == 4
    assert "Traceback" not in operator.log.read_text(), operator.said()


def test_what_waits_is_told_after_a_minute(apiserver: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    with post() as (mailbox, settings):
        operator = Operator(apiserver, cluster.namespace, tmp_path, **settings).start().wait_ready()
        try:
            connect(cluster)
            cluster.sync()
            cluster.end(cluster.open_job("stage"), staged(beyond=True, first=False))
            cluster.wait_phase("Blocked")
            assert mailbox.mails == []
            until(lambda: len(mailbox.mails) == 1, 90, operator.said)
            assert subjects(mailbox) == ["a sync is held, and nothing of it was merged"]
            text = mailbox.mails[0][1].get_content()
            assert "beyond limits" in text
        finally:
            assert operator.stop() == 0, operator.said()


def test_a_recipient_who_is_refused_is_an_event_and_no_duplicate(
    apiserver: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    with post() as (mailbox, settings):
        mailbox.answers = {"it@example.org": "550 no it@example.org here"}
        operator = Operator(apiserver, cluster.namespace, tmp_path, **settings).start().wait_ready()
        try:
            connect(cluster)
            fail(cluster, "first")
            until(lambda: len(mailbox.mails) == 1, 15, operator.said)
            until(lambda: "NoticeNotSent" in cluster.event_reasons(), 15, operator.said)
            until(lambda: not any(one.get("left") for one in notices(cluster)["told"]), 15, operator.said)
        finally:
            assert operator.stop() == 0, operator.said()
    assert [recipients for recipients, _ in mailbox.mails] == [("data@example.org",)]
    assert "canary" not in mailbox.mails[0][1].as_string()
    assert "TokenRejected" in mailbox.mails[0][1].get_content()
    [event] = [one for one in cluster.items("events") if one["reason"] == "NoticeNotSent"]
    assert "example.org" not in event["message"]
    assert "example.org" not in operator.log.read_text().replace("roster.example.org", "")


def test_a_mail_server_that_is_down_holds_no_sync_up(apiserver: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    settings = {"ROSTER_SMTP_HOST": "127.0.0.1", "ROSTER_SMTP_PORT": "1", "ROSTER_SMTP_FROM": "roster@example.org"}
    operator = Operator(apiserver, cluster.namespace, tmp_path, **settings).start().wait_ready()
    try:
        connect(cluster)
        fail(cluster, "first")
        until(lambda: any(one.get("left") for one in notices(cluster).get("told", ())), 15, operator.said)
        cluster.sync("second")
        cluster.end(cluster.open_job("stage"), staged())
        cluster.wait_phase("AwaitingApproval", "second")
        [told] = notices(cluster)["told"]
        assert len(told["left"]) == 2
        assert told["attempts"] == 1
        cluster.patch("rosterconnections", "springfield", {"spec": {"notify": None}})
        until(lambda: notices(cluster) == {}, 15, operator.said)
    finally:
        assert operator.stop() == 0, operator.said()


def run(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """Do what the open notice's Job says, as its pod would, and end it. The task that it was given."""
    job = cluster.open_job("notify")
    [variable] = job["spec"]["template"]["spec"]["containers"][0]["env"]
    summary = run_step(WorkerTask.from_dict(json.loads(variable["value"])), signing=folder).to_dict()
    cluster.end(job, summary, failed="" if summary["outcome"] == "Notified" else "BackoffLimitExceeded")
    return json.loads(variable["value"])


def posted(cluster: Cluster) -> list[dict[str, Any]]:
    return notices(cluster).get("posted") or []


def hook(receiver: Receiver, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    (folder / "signing-key").write_text(SIGNING)
    return {"webhook": {"url": receiver.url, "secretRef": {"name": "hook"}, "caBundle": receiver.authority}}


def test_a_story_told_to_a_webhook(apiserver: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    settings = {"ROSTER_ALLOW_ADDRESSES": "127.0.0.0/8,::1/128", "ROSTER_CONSOLE_URL": "https://roster.example.org"}
    keys = tmp_path / "key"
    with receiving() as receiver:
        operator = Operator(apiserver, cluster.namespace, tmp_path, **settings).start().wait_ready()
        try:
            cluster.connect(notify=hook(receiver, keys))
            cluster.make_ready()
            until(lambda: "since" in notices(cluster), 15, "the first look")
            fail(cluster, "first")
            task = run(cluster, keys)
            assert "spec" not in task, "the Job was given the source"
            # Ended, and told no more, also by another operator.
            until(lambda: [one for one in posted(cluster) if "job" not in one and "next" not in one], 30, operator.said)
            operator.kill()
            operator.start().wait_ready()
            cluster.patch("rosterconnections", "springfield", {"spec": {"suspend": True}})
            run(cluster, keys)
            until(lambda: len([one for one in posted(cluster) if "job" not in one]) == 2, 30, operator.said)
        finally:
            assert operator.stop() == 0, operator.said()
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["roster.failed", "roster.paused"]
    assert all(verified(headers, body) for headers, body in receiver.got)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert len(cluster.jobs("notify")) == 2
    first = json.loads(receiver.got[0][1])["data"]
    assert (first["sync"], first["reason"]) == ("first", "TokenRejected")
    assert first["url"] == f"https://roster.example.org/namespaces/{cluster.namespace}/syncs/first"
    assert "canary" not in receiver.got[0][1].decode()
    assert "Traceback" not in operator.log.read_text(), operator.said()


def test_a_webhook_that_refuses_is_tried_again_and_one_that_is_gone_is_an_event(
    apiserver: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    keys = tmp_path / "key"
    allowed = {"ROSTER_ALLOW_ADDRESSES": "127.0.0.0/8,::1/128"}
    with receiving() as receiver:
        receiver.answers = [503, 410]
        operator = Operator(apiserver, cluster.namespace, tmp_path, **allowed).start().wait_ready()
        try:
            cluster.connect(notify=hook(receiver, keys))
            cluster.make_ready()
            until(lambda: "since" in notices(cluster), 15, "the first look")
            fail(cluster, "first")
            run(cluster, keys)
            until(lambda: [one.get("attempts") for one in posted(cluster) if "next" in one] == [1], 30, operator.said)
            # A pause of a minute later, with the same id.
            until(lambda: len(cluster.jobs("notify")) == 2, 120, operator.said)
            run(cluster, keys)
            until(lambda: "NoticeNotSent" in cluster.event_reasons(), 30, operator.said)
            until(lambda: not any("job" in one or "next" in one for one in posted(cluster)), 15, operator.said)
            assert cluster.phase("first") == "Failed"
            cluster.patch("rosterconnections", "springfield", {"spec": {"notify": None}})
            until(lambda: notices(cluster) == {}, 15, operator.said)
        finally:
            assert operator.stop() == 0, operator.said()
    first, second = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    [event] = [one for one in cluster.items("events") if one["reason"] == "NoticeNotSent"]
    assert "WebhookGone" in event["message"]
    assert "localhost" not in event["message"]
