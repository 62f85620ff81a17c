"""SSH with suspicion: a judged address, a pinned host key, the given credentials and nothing of this machine.

The one place that makes asyncssh connect. No agent, no known_hosts, no configuration and no key of whoever runs this is
looked at.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import asyncssh

from .addresses import Address, Network
from .errors import OneRosterError, Reason
from .http import Gate

# It would log accounts, hosts and what strangers send.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

# What a host key or ours may sign with; SHA-1 is in none of them.
_SIGNATURES = (
    "ssh-ed25519",
    "ssh-ed448",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


@dataclass(frozen=True, slots=True)
class SftpTimeouts:
    """Seconds. connect: for a TCP connection. login: from there until the session stands. read: for one answer of the
    server, or one piece of a file. total: for one fetch with all that belongs to it."""

    connect: float = 10.0
    login: float = 30.0
    read: float = 60.0
    total: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class SftpSettings:
    """Everything that is needed to fetch a zip.

    path: a zip, or a folder with zips. host_keys: public keys as `type base64`, one of which the server must have.
    password, private_key (with passphrase): how to log in; a key is tried before a password. allow_addresses: ranges
    that the operator opens beyond public ones. max_size: bytes of a zip. max_entries: of a folder. attempts: tries
    where the connection breaks, with retry_wait seconds before the second and twice as many before each further one.
    settle: seconds until a file that changed is read again.
    """

    host: str
    path: str
    host_keys: Sequence[str]
    username: str = field(repr=False)
    port: int = 22
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    allow_addresses: tuple[Network, ...] = ()
    timeouts: SftpTimeouts = field(default_factory=SftpTimeouts)
    max_size: int = 2 * 2**30
    max_entries: int = 10_000
    attempts: int = 3
    retry_wait: float = 2.0
    settle: float = 5.0


@dataclass(frozen=True)
class Credentials:
    """How to log in. Without key and password nobody is let in, but the host key is seen."""

    username: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    key: asyncssh.SSHKey | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: SftpSettings) -> "Credentials":
        """As the settings have them. Raises PrivateKeyMalformed, PassphraseWrong, SettingsInvalid."""
        if settings.private_key is None and settings.password is None:
            raise OneRosterError(
                Reason.SETTINGS_INVALID,
                "The Secret has neither a password nor a private key.",
                "Add one of them to the Secret.",
            )
        key = None if settings.private_key is None else _private_key(settings.private_key, settings.passphrase)
        return cls(settings.username, settings.password, key)


def _private_key(text: str, passphrase: str | None) -> asyncssh.SSHKey:
    # The error's own text may repeat the key's comment, so it is looked at and never repeated.
    try:
        # Many editors leave the last newline out, and some clients add blank lines before the first.
        return asyncssh.import_private_key(text.strip() + "\n", passphrase)
    except asyncssh.KeyEncryptionError:
        encrypted = True
    except asyncssh.KeyImportError as error:
        encrypted = "Passphrase must" in str(error) or "Unable to decrypt" in str(error)
    except ValueError:
        encrypted = False
    if encrypted:
        raise OneRosterError(
            Reason.PASSPHRASE_WRONG,
            "The private key is encrypted, and the passphrase is missing or wrong.",
            "Put the right passphrase into the Secret, or use a key without one.",
        )
    raise OneRosterError(
        Reason.PRIVATE_KEY_MALFORMED,
        "The private key in the Secret cannot be read.",
        "Put the whole file in, from its BEGIN to its END line; a public key (.pub) is not it.",
    )


def pinned(host_keys: Sequence[str]) -> list[asyncssh.SSHKey]:
    """The keys of which the server must have one. Raises SettingsInvalid, with the key's position."""
    keys: list[asyncssh.SSHKey] = []
    for number, text in enumerate(host_keys, 1):
        try:
            key = asyncssh.import_public_key(text.strip() + "\n")
        except ValueError:  # asyncssh's own errors of keys are ValueErrors
            raise OneRosterError(
                Reason.SETTINGS_INVALID,
                f"Host key {number} cannot be read.",
                "Write it as `ssh-keyscan` prints it, without the host: the type, a space, the key.",
            ) from None
        if not _algorithms([key]):
            raise OneRosterError(
                Reason.SETTINGS_INVALID,
                f"Host key {number} is of an outdated type.",
                "Use the server's ed25519, ecdsa or rsa key.",
            )
        keys.append(key)
    return keys


def _algorithms(keys: Sequence[asyncssh.SSHKey]) -> list[str]:
    known = {name.decode() for key in keys for name in key.sig_algorithms}
    return [name for name in _SIGNATURES if name in known]


async def resolve(settings: SftpSettings) -> list[Address]:
    """All addresses of the host, each permitted. Raises DNSFailed, AddressRefused."""
    return await Gate(settings.allow_addresses, (), settings.timeouts.connect).resolve(settings.host, settings.port)


async def _tcp(settings: SftpSettings) -> socket.socket:
    """A connection to a judged address: what the name resolves to a moment later does not matter."""
    failure = _refused()
    for address in await resolve(settings):
        sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(settings.timeouts.connect):
                await asyncio.get_running_loop().sock_connect(sock, (str(address), settings.port))
        except OSError as error:  # TimeoutError is one
            sock.close()
            failure = _unconnected(error)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _unconnected(error: OSError) -> OneRosterError:
    if isinstance(error, TimeoutError):
        return _timed_out("The server did not accept a connection in time.")
    # Accepted and torn down at once: whether connecting or the handshake notices it first is chance.
    return _lost() if isinstance(error, ConnectionResetError) else _refused()


def _refused() -> OneRosterError:
    return OneRosterError(
        Reason.CONNECT_FAILED,
        "The server refuses connections.",
        "Check host and port, that the server is up, and that a firewall lets this cluster through.",
        retryable=True,
    )


@asynccontextmanager
async def connected(settings: SftpSettings, credentials: Credentials) -> AsyncGenerator[asyncssh.SSHClientConnection]:
    """A connection that is logged in. Raises OneRosterError, whose reason tells how far it came."""
    keys = pinned(settings.host_keys)
    # asyncssh wants to know who runs it, and a pod's user may have no name.
    os.environ.setdefault("LOGNAME", "roster")
    sock = await _tcp(settings)
    try:
        with _told_of_handshake():
            async with asyncio.timeout(settings.timeouts.login):
                connection = await asyncssh.connect(
                    settings.host,
                    settings.port,
                    sock=sock,
                    config=None,
                    known_hosts=(keys, [], []),
                    # A key of another type is wanted last, but seen: else only a broken connection tells of it.
                    server_host_key_algs=list(dict.fromkeys([*_algorithms(keys), *_SIGNATURES])),
                    username=credentials.username,
                    password=credentials.password,
                    client_keys=None if credentials.key is None else [credentials.key],
                    signature_algs=list(_SIGNATURES),
                    kex_algs="-*sha1*",
                    mac_algs="-*sha1*,*md5*",
                    compression_algs=None,
                    agent_path=None,
                    agent_identities=None,
                    x509_trusted_certs=None,
                    x509_trusted_cert_paths=[],
                    gss_kex=False,
                    gss_auth=False,
                    host_based_auth=False,
                    disable_trivial_auth=True,
                    client_version="roster-operator",
                    keepalive_interval=15,
                )
    except BaseException:
        sock.close()
        raise
    try:
        yield connection
    finally:
        connection.abort()
        with suppress(Exception):
            async with asyncio.timeout(1):
                await connection.wait_closed()


@contextmanager
def _told_of_handshake() -> Generator[None]:
    """Errors of handshake and login. Their text came from outside in part, and is not repeated."""
    try:
        yield
    except TimeoutError:
        raise _timed_out("The server did not finish the SSH handshake in time.") from None
    except asyncssh.HostKeyNotVerifiable:
        raise _host_key() from None
    except asyncssh.PermissionDenied:
        raise OneRosterError(
            Reason.LOGIN_REFUSED,
            "The server refuses the login.",
            "Check user name and password or key in the Secret, and that the account is not locked.",
        ) from None
    except asyncssh.KeyExchangeFailed as error:
        # Where it has a key of another type than any that is pinned, it has another key.
        raise (_host_key() if "host key" in str(error) else _no_ssh()) from None
    except (asyncssh.ConnectionLost, ConnectionError):
        raise _lost() from None
    except (asyncssh.Error, OSError, ValueError):
        raise _no_ssh() from None


@contextmanager
def told() -> Generator[None]:
    """Errors of a session under way, as OneRosterError."""
    try:
        yield
    except TimeoutError:
        raise _timed_out("The server did not answer in time.") from None
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
        raise OneRosterError(
            Reason.PATH_MISSING,
            "The server has no such path.",
            "Check the path; some servers begin at the account's home, where it is written without the first slash.",
        ) from None
    except asyncssh.SFTPPermissionDenied:
        raise OneRosterError(
            Reason.PATH_FORBIDDEN,
            "The account may not list the folder or read the zip.",
            "Have the account permitted to read there.",
        ) from None
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError, ConnectionError):
        raise _lost() from None
    except asyncssh.ChannelOpenError:
        raise OneRosterError(
            Reason.SSH_FAILED,
            "The server lets the account in, but offers it no SFTP.",
            "Have SFTP enabled for the account.",
        ) from None
    except asyncssh.Error:
        raise OneRosterError(
            Reason.SERVER_ERROR,
            "The server answered with an error of its own.",
            "Try again; if it stays, ask the server's administrator.",
            retryable=True,
        ) from None


def _host_key() -> OneRosterError:
    return OneRosterError(
        Reason.HOST_KEY_MISMATCH,
        "The server shows a host key that is none of those pinned.",
        "Ask the server's administrator for its keys by another way, and only then change hostKeys.",
    )


def _no_ssh() -> OneRosterError:
    return OneRosterError(
        Reason.SSH_FAILED,
        "The server does not speak SSH as it should.",
        "Check host and port, and that the server's algorithms are not outdated (no SHA-1).",
    )


def _lost() -> OneRosterError:
    return OneRosterError(
        Reason.CONNECTION_LOST,
        "The connection broke.",
        "Try again; if it stays, ask the server's administrator whether it limits connections.",
        retryable=True,
    )


def _timed_out(message: str) -> OneRosterError:
    return OneRosterError(
        Reason.TIMED_OUT,
        message,
        "Try again; if it stays, check that a firewall lets this cluster through.",
        retryable=True,
    )
