"""Test Connection for SFTP: name, port, host key, login, the newest zip, and what is in it."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import BinaryIO

from .check import CheckStep, Facts
from .entities import Entity
from .errors import OneRosterError, Reason
from .sftp import Found, download, find, session
from .sftp_choice import refuse_future
from .sftp_session import Credentials, SftpSettings, resolve, told
from .source import Source

# Opens a zip as a bundle of CSV files.
OpenBundle = Callable[[BinaryIO], AbstractContextManager[Source]]

# A test is not to take as long as a sync: zips up to these sizes are fetched, and read to their end for the counts.
_FETCHED = 256 * 2**20
_COUNTED = 32 * 2**20
_AT_HOST_KEY = frozenset({Reason.HOST_KEY_MISMATCH})
_AT_LOGIN = frozenset({Reason.LOGIN_REFUSED})


class SftpCheck:
    """Runs the steps: Resolve, Connect, HostKey, Login, Find, Fetch, Manifest, and Read for each entity offered."""

    def __init__(self, settings: SftpSettings, open_bundle: OpenBundle) -> None:
        self._settings = settings
        self._open = open_bundle
        self.facts = Facts()

    def check(self) -> Iterator[CheckStep]:
        """The steps in order; ends after the first that makes the next meaningless."""
        try:
            found = len(asyncio.run(resolve(self._settings)))
        except OneRosterError as error:
            yield _failed("Resolve", error)
            return
        some = f"{found} permitted address{'es' if found != 1 else ''}"
        yield CheckStep("Resolve", True, None, f"The server's name resolves to {some}.")
        with tempfile.TemporaryFile(prefix="roster-") as file:
            steps = asyncio.run(self._fetch(file))
            yield from steps
            size = file.seek(0, 2)
            if steps[-1].ok and size:
                file.seek(0)
                yield from self._bundle(file, counted=size <= _COUNTED)

    async def _fetch(self, into: BinaryIO) -> list[CheckStep]:
        """From Connect to Fetch, or to the first that fails."""
        settings = self._settings
        try:
            credentials, unfit = Credentials.of(settings), None
        except OneRosterError as error:
            # The host key can be seen all the same; the login then fails by what is wrong with the Secret.
            credentials, unfit = Credentials(settings.username), error
        done: list[CheckStep] = []
        step = "Connect"
        try:
            with told():
                async with asyncio.timeout(settings.timeouts.total), session(settings, credentials) as sftp:
                    done += _passed(3)
                    step = "Find"
                    found = await find(sftp, settings)
                    refuse_future(found.entry, datetime.now(UTC))
                    done.append(_found(found))
                    step = "Fetch"
                    if found.entry.size > _FETCHED:
                        message = f"A zip of more than {_FETCHED // 2**20} MiB is left to the sync."
                        return [*done, CheckStep("Fetch", True, None, message)]
                    facts = await download(sftp, found.path, into, settings)
                    message = f"Read without a change in between: sha256:{facts.sha256[:12]}."
                    done.append(CheckStep("Fetch", True, None, message))
        except OneRosterError as error:
            if error.reason in _AT_HOST_KEY:
                return [*_passed(1), _failed("HostKey", error)]
            if error.reason in _AT_LOGIN:
                return [*_passed(2), _failed("Login", unfit or error)]
            return [*done, _failed(step, error)]
        return done

    def _bundle(self, file: BinaryIO, *, counted: bool) -> Iterator[CheckStep]:
        try:
            with self._open(file) as source:
                self.facts.version = source.version
                offered = [entity for entity in Entity if source.offers(entity)]
                yield CheckStep(
                    "Manifest",
                    True,
                    None,
                    f"A bundle of OneRoster {source.version}, which offers {', '.join(offered) or 'nothing'}.",
                )
                for entity in offered if counted else []:
                    yield _read(source, entity)
        except OneRosterError as error:
            yield _failed("Manifest", error)


def _read(source: Source, entity: Entity) -> CheckStep:
    try:
        count = sum(len(page.records) for page in source.pages(entity))
    except OneRosterError as error:
        return _failed("Read", error, entity)
    if entity is Entity.USERS and not count and not source.report(entity).delta:
        return CheckStep(
            "Read",
            False,
            Reason.EMPTY_ROSTER,
            "The bundle has no users at all.",
            "Have the export corrected: an empty roster is never merged.",
            entity,
            0,
        )
    return CheckStep("Read", True, None, f"{count:,} {entity}.", "", entity, count)


def _found(found: Found) -> CheckStep:
    # Never the name: somebody may have written a person's into it.
    entry = found.entry
    message = f"The newest of {found.zips:,} zips" if found.zips > 1 else "The zip"
    advice = ""
    if found.broken:
        advice = f"{found.broken} newer ones are not whole: look whether their upload has ended."
    return CheckStep(
        "Find",
        True,
        None,
        f"{message} has {entry.size:,} bytes, and is of {entry.modified:%Y-%m-%d %H:%M} UTC.",
        advice,
    )


def _passed(count: int) -> list[CheckStep]:
    steps = (
        ("Connect", "Connected; the server speaks SSH."),
        ("HostKey", "The server shows a key that is pinned."),
        ("Login", "The server lets the account in."),
    )
    return [CheckStep(name, True, None, message) for name, message in steps[:count]]


def _failed(name: str, error: OneRosterError, entity: Entity | None = None) -> CheckStep:
    return CheckStep(name, False, error.reason, error.message, error.next_step, entity)
