"""Fetching from a real SSH server: which zip, when it is refused, and that each refusal is told apart."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import stat
import threading
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import asyncssh
import pytest
from tests.oneroster.sftp_servers import NIGHT, PASSWORD, USER, Server, serving, zipped

from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.filefacts import FileFacts
from roster_operator.oneroster.sftp import fetched
from roster_operator.oneroster.sftp_session import SftpSettings, SftpTimeouts

DAY = 86_400
PASSPHRASE = "canary-passphrase-9d0"
# Without bcrypt neither side can encrypt a key in OpenSSH's own form.
ENCRYPTED = ["pkcs8-pem", *(["openssh"] if find_spec("bcrypt") else [])]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "served"
    root.mkdir()
    with serving(Server(root)) as running:
        yield running


def fetch(settings: SftpSettings, last: FileFacts | None = None) -> tuple[bytes, FileFacts]:
    with fetched(settings, last) as found:
        return found.file.read(), found.facts


def refused(settings: SftpSettings, last: FileFacts | None = None) -> OneRosterError:
    with pytest.raises(OneRosterError) as error:
        fetch(settings, last)
    found = error.value
    assert found.next_step
    # Nothing of a secret, an account or a name, in whatever way the error is shown.
    shown = f"{found} {found!r} {found.message} {found.next_step} {found.__cause__!r}"
    for secret in (USER, PASSWORD, PASSPHRASE, "canary"):
        assert secret not in shown
    return found


def facts(data: bytes, mtime: int) -> FileFacts:
    return FileFacts(datetime.fromtimestamp(mtime, UTC), len(data), hashlib.sha256(data).hexdigest())


# What is taken


def test_the_newest_zip_of_a_folder_is_taken(server: Server) -> None:
    server.put("a.zip", mtime=NIGHT - DAY)
    newest = server.put("b.ZIP")
    server.put("c.zip", mtime=NIGHT - 2 * DAY)
    assert fetch(server.settings()) == (newest, facts(newest, NIGHT))


def test_of_one_time_the_last_name_is_taken(server: Server) -> None:
    server.put("roster-1.zip")
    newest = server.put("roster-2.zip")
    assert fetch(server.settings())[0] == newest


def test_what_is_no_finished_zip_is_passed_by(server: Server) -> None:
    wanted = server.put("roster.zip")
    later = NIGHT + DAY
    for name in ("x.zip.filepart", "x.tmp.zip", "x.partial.zip", ".hidden.zip", "~x.zip", "roster.csv", "x.zip.bak"):
        server.put(name, mtime=later)
    server.put("empty.zip", b"", later)
    server.put("folder.zip/inner.zip", mtime=later)
    os.utime(server.root / "folder.zip", (later, later))
    os.mkfifo(server.root / "pipe.zip")
    assert fetch(server.settings())[0] == wanted


def test_a_link_is_never_followed(server: Server, tmp_path: Path) -> None:
    wanted = server.put("roster.zip")
    outside = tmp_path / "secret.zip"
    outside.write_bytes(zipped("outside"))
    (server.root / "newer.zip").symlink_to(outside)
    (server.root / "within.zip").symlink_to("roster.zip")
    assert fetch(server.settings())[0] == wanted


def test_a_link_that_the_listing_shows_as_a_file_is_not_followed(server: Server) -> None:
    wanted = server.put("roster.zip")
    server.put("elsewhere/old.zip")
    (server.root / "link.zip").symlink_to("elsewhere/old.zip")

    def told(name: bytes, mtime: int) -> asyncssh.SFTPName:
        attrs = asyncssh.SFTPAttrs(size=100, permissions=stat.S_IFREG | 0o644, atime=mtime, mtime=mtime)
        return asyncssh.SFTPName(name, attrs=attrs)

    server.bend["scandir"] = lambda: [told(b"link.zip", NIGHT + 9), told(b"roster.zip", NIGHT)]
    assert fetch(server.settings())[0] == wanted


def test_names_that_lead_out_of_the_folder_are_not_asked_for(server: Server) -> None:
    wanted = server.put("drop/roster.zip")
    server.put("other/newer.zip", mtime=NIGHT + DAY)

    def told(name: bytes, mtime: int) -> asyncssh.SFTPName:
        attrs = asyncssh.SFTPAttrs(size=100, permissions=stat.S_IFREG | 0o644, atime=mtime, mtime=mtime)
        return asyncssh.SFTPName(name, attrs=attrs)

    server.bend["scandir"] = lambda: [told(b"../other/newer.zip", NIGHT + DAY), told(b"roster.zip", NIGHT)]
    assert fetch(server.settings(path="/drop"))[0] == wanted


def test_a_zip_whose_upload_broke_off_is_passed_by(server: Server) -> None:
    whole = server.put("yesterday.zip", mtime=NIGHT - DAY)
    server.put("today.zip", zipped("today", 300_000)[:-30])
    server.put("text.zip", b"not a zip at all", NIGHT + 5)
    assert fetch(server.settings())[0] == whole


def test_a_zip_with_a_comment_is_whole(server: Server) -> None:
    data = zipped("x")
    data = data[:-2] + (9).to_bytes(2, "little") + b"PK\x05\x06 here"
    server.put("old.zip", mtime=NIGHT - DAY)
    assert len(server.put("roster.zip", data)) == len(fetch(server.settings())[0])


@pytest.mark.parametrize("path", ["/drop/roster.zip", "drop/roster.zip", "/drop/", "drop", "/drop/."])
def test_the_path_may_be_a_zip_or_a_folder(server: Server, path: str) -> None:
    wanted = server.put("drop/roster.zip")
    assert fetch(server.settings(path=path))[0] == wanted


def test_a_large_zip_arrives_whole_and_in_bounded_memory(server: Server) -> None:
    data = server.put("roster.zip", zipped("big", 30_000_000))
    expected = facts(data, NIGHT)
    del data
    tracemalloc.start()
    try:
        with fetched(server.settings()) as found:
            _, peak = tracemalloc.get_traced_memory()
            assert found.facts == expected
            assert hashlib.file_digest(found.file, "sha256").hexdigest() == expected.sha256
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000, "the server's own buffers are in it, too"


# What is not taken


@pytest.mark.parametrize(
    ("names", "retryable"), [((), False), (("a.csv",), False), (("broken.zip",), True)], ids=["empty", "csv", "broken"]
)
def test_a_folder_without_a_whole_zip(server: Server, names: tuple[str, ...], retryable: bool) -> None:
    for name in names:
        server.put(name, b"PK\x03\x04 and no end")
    error = refused(server.settings(attempts=1))
    assert (error.reason, error.retryable) == (Reason.NO_BUNDLE, retryable)


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/roster.zip", "/roster.zip/inside"])
def test_a_path_that_is_not_there(server: Server, path: str) -> None:
    server.put("roster.zip")
    assert refused(server.settings(path=path)).reason is Reason.PATH_MISSING


def test_a_folder_or_a_zip_that_the_account_may_not_read(server: Server) -> None:
    def no(*_: object) -> None:
        raise asyncssh.SFTPPermissionDenied("canary in the server's text")

    server.put("roster.zip")
    server.bend["read"] = no
    assert refused(server.settings(path="/roster.zip")).reason is Reason.PATH_FORBIDDEN
    server.bend.clear()
    server.bend["scandir"] = no
    assert refused(server.settings()).reason is Reason.PATH_FORBIDDEN


def test_an_endless_listing_is_given_up(server: Server) -> None:
    shown = 0

    def endless() -> Iterator[asyncssh.SFTPName]:
        nonlocal shown
        while True:
            shown += 1
            yield asyncssh.SFTPName(b"%d.txt" % shown, attrs=asyncssh.SFTPAttrs(size=1, mtime=NIGHT, permissions=0o644))

    server.bend["scandir"] = endless
    begun = time.monotonic()
    assert refused(server.settings(max_entries=2000)).reason is Reason.FOLDER_TOO_LARGE
    assert time.monotonic() - begun < 5
    assert shown < 5000


def test_a_zip_beyond_the_limit_is_not_even_begun(server: Server) -> None:
    server.put("roster.zip", zipped("x", 50_000))
    reads: list[int] = []
    server.bend["read"] = reads.append
    assert refused(server.settings(path="/roster.zip", max_size=40_000)).reason is Reason.FILE_TOO_LARGE
    assert reads == []


def test_a_zip_that_grows_beyond_the_limit_is_given_up(server: Server) -> None:
    server.put("roster.zip", zipped("x", 50_000))

    def grow(_: int) -> None:
        with (server.root / "roster.zip").open("ab") as file:
            file.write(b"\0" * 3_000_000)

    server.bend["read"] = grow
    assert refused(server.settings(path="/roster.zip", max_size=2_000_000)).reason is Reason.FILE_TOO_LARGE


def test_a_zip_that_changes_once_is_read_again(server: Server) -> None:
    server.put("roster.zip", zipped("first"))
    last = zipped("second, and longer")
    changed: list[int] = []

    def once(offset: int) -> None:
        if not changed:
            changed.append(offset)
            server.put("roster.zip", last, NIGHT + 60)

    server.bend["read"] = once
    assert fetch(server.settings(path="/roster.zip")) == (last, facts(last, NIGHT + 60))


@pytest.mark.parametrize("keeps", ["size", "time"])
def test_a_zip_that_never_holds_still_is_refused(server: Server, keeps: str) -> None:
    server.put("roster.zip", zipped("first"))
    rounds: list[int] = []

    def always(offset: int) -> None:
        rounds.append(offset)
        count = len(rounds)
        text = "x" * count if keeps == "time" else "x"
        server.put("roster.zip", zipped(text), NIGHT if keeps == "time" else NIGHT + count)

    server.bend["read"] = always
    error = refused(server.settings(path="/roster.zip"))
    assert (error.reason, error.retryable) == (Reason.FILE_UNSTABLE, True)
    assert server.connections == 1, "it is read again in one session"


def test_an_older_zip_than_the_last_is_refused(server: Server) -> None:
    old = server.put("roster.zip", mtime=NIGHT)
    last = facts(zipped("the last, which was longer"), NIGHT + DAY)
    reads: list[int] = []
    server.bend["read"] = reads.append
    assert refused(server.settings(path="/roster.zip"), last).reason is Reason.SOURCE_WENT_BACK
    assert reads == [], "another size tells it without reading"
    same_size = facts(b"\0" * len(old), NIGHT + DAY)
    assert refused(server.settings(path="/roster.zip"), same_size).reason is Reason.SOURCE_WENT_BACK


def test_the_same_zip_with_an_older_time_is_no_step_back(server: Server) -> None:
    data = server.put("roster.zip", mtime=NIGHT)
    assert fetch(server.settings(), facts(data, NIGHT + DAY))[0] == data


def test_the_same_and_a_newer_time_go_on(server: Server) -> None:
    data = server.put("roster.zip", mtime=NIGHT)
    assert fetch(server.settings(), facts(b"other", NIGHT))[0] == data
    assert fetch(server.settings(), facts(b"other", NIGHT - 1))[0] == data


def test_a_zip_from_the_future_is_refused(server: Server) -> None:
    server.put("roster.zip", mtime=int(time.time()) + 2 * DAY)
    assert refused(server.settings()).reason is Reason.CLOCK_SKEWED
    hour = server.put("roster.zip", mtime=int(time.time()) + 3600)
    assert fetch(server.settings())[0] == hour


# Who is on the other side


def test_a_server_with_another_key_is_refused_before_any_login(server: Server) -> None:
    server.put("roster.zip")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert refused(server.settings(host_keys=[other])).reason is Reason.HOST_KEY_MISMATCH
    assert server.attempts == []


def test_a_key_of_another_type_is_another_key(server: Server) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    assert refused(server.settings(host_keys=[other])).reason is Reason.HOST_KEY_MISMATCH
    assert server.attempts == []


def test_one_of_several_pinned_keys_is_enough(server: Server) -> None:
    wanted = server.put("roster.zip")
    others = [asyncssh.generate_private_key(kind).export_public_key().decode() for kind in ("ssh-ed25519", "ssh-rsa")]
    assert fetch(server.settings(host_keys=[*others, *server.pins]))[0] == wanted


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp384", "ssh-ed25519"])
def test_every_modern_kind_of_host_key_works_with_a_comment_too(tmp_path: Path, kind: str) -> None:
    with serving(Server(tmp_path, [asyncssh.generate_private_key(kind)])) as server:
        wanted = server.put("roster.zip")
        assert fetch(server.settings(host_keys=[f"{server.pins[0]} a comment"]))[0] == wanted


@pytest.mark.parametrize("text", ["ssh-ed25519 AAAA", "ssh-ed25519 not*base64", "ssh-dss AAAAB3NzaC1kc3M="])
def test_a_pinned_key_that_is_none_is_told_by_its_place(server: Server, text: str) -> None:
    error = refused(server.settings(host_keys=[*server.pins, text]))
    assert error.reason is Reason.SETTINGS_INVALID
    assert "Host key 2" in error.message
    assert server.connections == 0


def test_known_hosts_and_configuration_of_this_machine_do_not_matter(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.pins[0]}\n")
    (home / ".ssh" / "config").write_text("Host *\n  HostName 127.0.0.2\n  User somebody\n  ProxyCommand false\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "no-agent"))
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert refused(server.settings(host_keys=[other])).reason is Reason.HOST_KEY_MISMATCH
    wanted = server.put("roster.zip")
    assert fetch(server.settings())[0] == wanted


def test_it_needs_no_name_of_whoever_runs_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's user stands in no /etc/passwd, and asyncssh asks for its name."""

    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    wanted = server.put("roster.zip")
    assert fetch(server.settings())[0] == wanted


def test_a_private_address_is_refused_unless_the_operator_allows_it(server: Server) -> None:
    for host in ("127.0.0.1", "localhost", "0x7f.1", "2130706433"):
        assert refused(server.settings(host=host, allow_addresses=())).reason is Reason.ADDRESS_REFUSED
    assert server.connections == 0


def test_a_name_that_nobody_knows(server: Server) -> None:
    error = refused(server.settings(host="nowhere.invalid", attempts=1))
    assert error.reason is Reason.DNS_FAILED


def test_a_closed_port_is_tried_again_and_then_told(server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = refused(server.settings(port=closed.getsockname()[1]))
    assert (error.reason, error.retryable) == (Reason.CONNECT_FAILED, True)


@pytest.mark.usefixtures("torn_down_at_once")
def test_a_connection_torn_down_while_it_is_made_is_lost(server: Server) -> None:
    assert refused(server.settings(attempts=1)).reason is Reason.CONNECTION_LOST


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3, {Reason.SSH_FAILED, Reason.CONNECTION_LOST}),
        (b"SSH-1.5-old\r\n", {Reason.SSH_FAILED}),
        (b"SSH-2.0-x\r\n" + b"\xff" * 300, {Reason.SSH_FAILED}),
        (b"", {Reason.CONNECTION_LOST}),
        (None, {Reason.TIMED_OUT}),
    ],
    ids=["http", "ssh1", "garbage", "hangs up", "silent"],
)
def test_something_that_is_no_ssh_server(server: Server, greeting: bytes | None, reason: set[Reason]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                if greeting is None:
                    time.sleep(2)
                else:
                    connection.sendall(greeting)

        threading.Thread(target=answer, daemon=True).start()
        timeouts = SftpTimeouts(connect=1, login=1, read=1, total=5)
        error = refused(server.settings(port=listener.getsockname()[1], attempts=1, timeouts=timeouts))
    assert error.reason in reason


def test_a_server_without_sftp(tmp_path: Path) -> None:
    with serving(Server(tmp_path, offers_sftp=False)) as server:
        assert refused(server.settings()).reason is Reason.SSH_FAILED


# Who we are


def test_a_wrong_password_is_not_tried_again(server: Server) -> None:
    error = refused(server.settings(password="canary-wrong"))
    assert (error.reason, error.retryable) == (Reason.LOGIN_REFUSED, False)
    assert server.connections == 1


def test_a_server_that_asks_for_the_password_in_a_dialogue(tmp_path: Path) -> None:
    with serving(Server(tmp_path, asks_in_person=True)) as server:
        wanted = server.put("roster.zip")
        assert fetch(server.settings())[0] == wanted
        assert refused(server.settings(password="canary-wrong")).reason is Reason.LOGIN_REFUSED


def test_another_account_is_refused(server: Server) -> None:
    assert refused(server.settings(username="canary-other")).reason is Reason.LOGIN_REFUSED


def test_without_password_and_key_nothing_is_tried(server: Server) -> None:
    assert refused(server.settings(password=None)).reason is Reason.SETTINGS_INVALID
    assert server.connections == 0


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"])
@pytest.mark.parametrize(
    ("form", "passphrase"), [("openssh", None), ("pkcs8-pem", None), *((form, PASSPHRASE) for form in ENCRYPTED)]
)
def test_a_private_key_lets_us_in(server: Server, kind: str, passphrase: str | None, form: str) -> None:
    server.authorized = asyncssh.generate_private_key(kind)
    text = server.authorized.export_private_key(form, passphrase).decode()
    wanted = server.put("roster.zip")
    # As editors and Secrets leave it: with blank lines, and without the last newline.
    settings = server.settings(password=None, private_key="\n" + text.rstrip("\n"), passphrase=passphrase)
    assert fetch(settings)[0] == wanted
    assert "password" not in server.attempts


def test_a_key_that_the_server_does_not_know(server: Server) -> None:
    server.authorized = asyncssh.generate_private_key("ssh-ed25519")
    other = asyncssh.generate_private_key("ssh-ed25519", "canary comment").export_private_key().decode()
    assert refused(server.settings(password=None, private_key=other)).reason is Reason.LOGIN_REFUSED


@pytest.mark.parametrize("passphrase", [None, "canary-wrong"])
@pytest.mark.parametrize("form", ENCRYPTED)
def test_a_missing_or_wrong_passphrase(server: Server, passphrase: str | None, form: str) -> None:
    text = asyncssh.generate_private_key("ssh-ed25519").export_private_key(form, PASSPHRASE).decode()
    error = refused(server.settings(private_key=text, passphrase=passphrase))
    assert error.reason is Reason.PASSPHRASE_WRONG
    assert server.connections == 0


@pytest.mark.parametrize("how", ["cut", "public", "text", "not ascii"])
def test_a_private_key_that_is_none(server: Server, how: str) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    text = {
        "cut": key.export_private_key().decode()[:120],
        "public": key.export_public_key().decode(),
        "text": "canary-not-a-key",
        "not ascii": "clé",
    }[how]
    error = refused(server.settings(password=None, private_key=text))
    assert error.reason is Reason.PRIVATE_KEY_MALFORMED
    assert server.connections == 0


def test_settings_do_not_show_their_secrets(server: Server) -> None:
    shown = repr(server.settings(private_key="canary-key", passphrase=PASSPHRASE))
    assert "canary" not in shown


def test_nothing_of_it_is_logged_by_default(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.put("canary-name.zip")
    with caplog.at_level(logging.WARNING):
        fetch(server.settings())
        refused(server.settings(password="canary-wrong"))
    assert "canary" not in caplog.text


# What breaks


def test_a_connection_that_breaks_in_mid_read_is_made_again(server: Server) -> None:
    wanted = server.put("roster.zip", zipped("x", 5_000_000))
    broken: list[int] = []

    def cut(offset: int) -> None:
        if offset > 2_000_000 and not broken:
            broken.append(offset)
            raise ConnectionResetError

    server.bend["read"] = cut
    assert fetch(server.settings())[0] == wanted
    assert broken


def test_a_server_that_stands_still_is_given_up(server: Server) -> None:
    server.put("roster.zip")
    server.bend["read"] = lambda _: time.sleep(2)
    settings = server.settings(attempts=1, timeouts=SftpTimeouts(connect=1, login=2, read=0.3, total=5))
    begun = time.monotonic()
    error = refused(settings)
    assert (error.reason, error.retryable) == (Reason.TIMED_OUT, True)
    assert time.monotonic() - begun < 5


def test_a_slow_drip_is_given_up_when_the_whole_takes_too_long(server: Server) -> None:
    server.put("roster.zip", zipped("x", 20_000_000))
    server.bend["read"] = lambda _: time.sleep(0.05)
    settings = server.settings(attempts=1, timeouts=SftpTimeouts(connect=1, login=2, read=5, total=1))
    begun = time.monotonic()
    assert refused(settings).reason is Reason.TIMED_OUT
    assert time.monotonic() - begun < 4
