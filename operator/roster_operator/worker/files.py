"""CSV sources: a zip from an SFTP server, or one that was uploaded, as a source of records."""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import BinaryIO

import psycopg

from roster_operator.api.sources import PASSPHRASE, PASSWORD, PRIVATE_KEY, USERNAME, CsvSource, Sftp
from roster_operator.api.task import Policy
from roster_operator.oneroster.check import CheckStep, Facts
from roster_operator.oneroster.csvfiles.source import CsvSource as BundleSource
from roster_operator.oneroster.filefacts import FileFacts
from roster_operator.oneroster.sftp import fetched
from roster_operator.oneroster.sftp_check import SftpCheck
from roster_operator.oneroster.sftp_session import SftpSettings, SftpTimeouts
from roster_operator.oneroster.source import Source, Testable
from roster_operator.store import origins, uploads

from .failures import WorkerError
from .inputs import SecretValues
from .opened import Opened, refuse_upload

# A test's Job has three minutes.
_TEST_SECONDS = 120.0


def open_bundle(file: BinaryIO) -> AbstractContextManager[Source]:
    """A zip as a source. Raises OneRosterError."""
    return BundleSource(file)


@contextmanager
def open_file(
    csv: CsvSource, secret: SecretValues, policy: Policy, conn: psycopg.Connection, upload: str | None
) -> Generator[Opened]:
    """The zip that a sync is made from. upload: the digest that the sync names.

    Raises WorkerError, OneRosterError, StoreError.
    """
    if csv.sftp is not None:
        refuse_upload(upload)
        last = origins.last_merged(conn)
        settings = sftp_settings(csv.sftp, secret, policy)
        with (
            fetched(settings, FileFacts.from_dict(last) if last else None) as found,
            open_bundle(found.file) as source,
        ):
            yield Opened(source, found.facts.to_dict())
        return
    if upload is None:
        raise WorkerError(
            "UploadNotNamed",
            "The connection takes uploads, and the sync names none.",
            "Set spec.source.upload of the RosterSync to the digest that `roster upload` printed.",
        )
    with tempfile.TemporaryFile(prefix="roster-") as file:
        size = uploads.fetch(conn, upload, file)
        file.seek(0)
        with open_bundle(file) as source:
            yield Opened(source, {"upload": upload, "size": size})


def file_for_test(csv: CsvSource, secret: SecretValues, policy: Policy) -> Testable:
    """A CSV source, ready for Test Connection. Raises WorkerError."""
    if csv.sftp is None:
        return UploadCheck()
    settings = replace(sftp_settings(csv.sftp, secret, policy), timeouts=SftpTimeouts(read=30, total=_TEST_SECONDS))
    return SftpCheck(settings, open_bundle)


class UploadCheck:
    """Nothing is reached where people bring the zips themselves: only the database is tested, as for all sources."""

    def __init__(self) -> None:
        self.facts = Facts()

    def check(self) -> Iterator[CheckStep]:
        """One step that cannot fail."""
        yield CheckStep("Upload", True, None, "Zips are uploaded: there is no server to reach.")


def sftp_settings(sftp: Sftp, secret: SecretValues, policy: Policy) -> SftpSettings:
    """The server as the spec describes it, within what the operator permits. Raises WorkerError."""
    return SftpSettings(
        host=sftp.host,
        port=sftp.port,
        path=sftp.path,
        host_keys=tuple(sftp.host_keys),
        username=secret.need(USERNAME),
        password=secret.maybe(PASSWORD),
        private_key=secret.maybe(PRIVATE_KEY),
        passphrase=secret.maybe(PASSPHRASE),
        allow_addresses=tuple(ipaddress.ip_network(cidr) for cidr in policy.allow_addresses),
    )
