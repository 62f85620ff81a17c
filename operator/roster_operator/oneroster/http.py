"""HTTP with suspicion: judged addresses, verified TLS, bounded bodies and times, no wandering redirects.

The one place that knows httpx. It speaks to servers whose address a tenant chose and whose answers
nobody vouches for; what it returns is plain, whole and small enough, or it raises OneRosterError.
"""

import asyncio
import functools
import logging
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

import certifi
import httpcore
import httpx

from .addresses import Address, Network, permitted
from .bodies import Body
from .errors import OneRosterError, Reason

# They log what strangers send (reasons, headers, redirects), and whole addresses.
for _chatty in ("httpx", "httpcore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

# What is left of a name after IDNA; or an IPv6 address, which comes without its brackets.
_HOST = re.compile(r"[A-Za-z0-9_.\-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_REDIRECTS = range(300, 400)
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_ERROR_BODY = 65_536


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. total bounds one request from first to last byte; a body slower than min_rate bytes a
    second, measured after grace seconds, is given up."""

    connect: float = 10.0
    read: float = 30.0
    total: float = 180.0
    min_rate: float = 1024.0
    grace: float = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end. Header names are lower case; several of one name are joined by ", ".
    cookies: its Set-Cookie headers, one by one."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """What connecting alone showed. certificate_expires is None without TLS."""

    addresses: int
    certificate_expires: datetime | None


def checked_url(url: str, *, allow_insecure: bool, query: bool = False) -> str:
    """The address as it will be used. Raises SettingsInvalid for one that must not be.

    query: whether a query string is allowed (token addresses have one).
    """
    try:
        parsed = httpx.URL(url.strip())
        parts = urlsplit(str(parsed))
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise _invalid("is not a web address", "Write it as https://host/path.") from None
    if parsed.scheme != "https" and not (parsed.scheme == "http" and allow_insecure):
        raise _invalid("does not begin with https://", "Use https; plain http needs the operator's permission.")
    if not _HOST.fullmatch(parsed.raw_host.decode("ascii")) or not 0 < (parsed.port or 443) < 65_536:
        raise _invalid("names no host that can be", "Write it as https://host/path.")
    if parsed.userinfo:
        raise _invalid("holds a user name or password", "Put credentials into the Secret, never into the address.")
    if parts.fragment or (parts.query and not query):
        raise _invalid("ends in a query or fragment", "Leave out everything from ? or # on.")
    return str(parsed)


def _invalid(what: str, next_step: str) -> OneRosterError:
    return OneRosterError(Reason.SETTINGS_INVALID, f"The address {what}.", next_step)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address."""
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host.lower(), parsed.port or {"https": 443, "http": 80}.get(parsed.scheme)


def same_origin(url: str, other: str) -> str | None:
    """`other`, resolved against `url`, when it stays within the origin of `url`; else None."""
    try:
        target = httpx.URL(url).join(other)
        if "\\" in other:  # to a browser it is a slash
            return None
        if target.userinfo or origin(str(target)) != origin(url):
            return None
    except (httpx.InvalidURL, ValueError, UnicodeError):
        return None
    return str(target.copy_with(fragment=None))


@functools.lru_cache(maxsize=8)  # reading the system's authorities takes longer than a handshake
def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """The system's trust, and ca_bundle (PEM) besides. Verification cannot be turned off."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):  # typeshed says str; a machine without certificates says None
        context.load_verify_locations(cafile=certifi.where())
    if ca_bundle is not None:
        try:
            context.load_verify_locations(cadata=ca_bundle)
        except (ssl.SSLError, ValueError):
            raise OneRosterError(
                Reason.SETTINGS_INVALID,
                "The CA bundle holds no certificate that can be read.",
                "Give caBundle one or more certificates in PEM form.",
            ) from None
    return context


class _Stream(httpcore.AsyncNetworkStream):
    """A connection before TLS, which says why TLS failed."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 (httpcore's signature)
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except httpcore.ConnectTimeout:
            raise _timed_out("The server did not finish the TLS handshake in time.") from None
        except httpcore.ConnectError as error:
            raise _tls_failure(error) from None

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _tls_failure(error: BaseException) -> OneRosterError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return OneRosterError(
            Reason.TLS_FAILED,
            "The server does not speak TLS as it should.",
            "Check the port, that the server offers TLS 1.2 or newer, and that it wants no certificate of its clients.",
            retryable=True,
        )
    match cause.verify_code:
        case 10:
            return OneRosterError(
                Reason.CERTIFICATE_EXPIRED,
                "The server's certificate has expired.",
                "Have the server's administrator renew it; if it is valid, check this machine's clock.",
            )
        case 9:
            return OneRosterError(
                Reason.CERTIFICATE_NOT_YET_VALID,
                "The server's certificate is not valid yet.",
                "Check this machine's clock; else have the certificate issued anew.",
            )
        case 62 | 63 | 64:
            return OneRosterError(
                Reason.CERTIFICATE_NAME_MISMATCH,
                "The server's certificate is for another name.",
                "Use the name that the certificate is for, as the vendor documents it.",
            )
        case _:
            return OneRosterError(
                Reason.CERTIFICATE_UNTRUSTED,
                "The server's certificate comes from an authority that is not trusted here.",
                "Put the district's CA certificate into caBundle, or have the server send its whole chain.",
            )


class Gate(httpcore.AsyncNetworkBackend):
    """Resolves names, judges every answer, and connects to a judged address only."""

    def __init__(self, allow: Sequence[Network], deny: Sequence[Network], connect_timeout: float) -> None:
        self._allow = allow
        self._deny = deny
        self._timeout = connect_timeout
        self._backend = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def resolve(self, host: str, port: int) -> list[Address]:
        """All addresses of a host, each permitted. Raises DNSFailed or AddressRefused."""
        try:
            async with asyncio.timeout(self._timeout):
                answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # TimeoutError is one
            again = isinstance(error, TimeoutError) or getattr(error, "errno", None) == socket.EAI_AGAIN
            raise OneRosterError(
                Reason.DNS_FAILED,
                "The server's name cannot be resolved.",
                "Check the spelling of the host, and that this cluster's DNS knows it.",
                retryable=again,
            ) from None
        found = list(dict.fromkeys(ip_address(answer[4][0]) for answer in answers))
        if not all(permitted(address, self._allow, self._deny) for address in found):
            raise OneRosterError(
                Reason.ADDRESS_REFUSED,
                "The server's name leads to an address that is private, or otherwise closed to sources.",
                "Use a public address, or have the operator allow this range; at the command line: --allow-address.",
            )
        return found

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure = _refused()
        for address in await self.resolve(host, port):
            try:
                return _Stream(
                    await self._backend.connect_tcp(str(address), port, self._timeout, local_address, socket_options)
                )
            except httpcore.ConnectTimeout:
                failure = _timed_out("The server did not accept a connection in time.")
            except httpcore.ConnectError as error:
                # Accepted and torn down at once: whether connecting or the first request notices it is chance.
                failure = _lost() if _was_reset(error) else _refused()
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


class _Transport(httpx.AsyncBaseTransport):
    """httpx over a pool whose connections pass the gate."""

    def __init__(self, context: ssl.SSLContext, gate: Gate, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=15.0,
            network_backend=gate,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Bytes(answer.stream),  # pyright: ignore[reportArgumentType]
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class Client:
    """Sends requests. Belongs to one event loop; close it there."""

    def __init__(
        self,
        *,
        allow: Sequence[Network] = (),
        deny: Sequence[Network] = (),
        ca_bundle: str | None = None,
        allow_insecure: bool = False,
        timeouts: Timeouts | None = None,
        connections: int = 4,
    ) -> None:
        self._timeouts = timeouts or Timeouts()
        self._context = tls_context(ca_bundle)
        self._allow_insecure = allow_insecure
        self._gate = Gate(allow, deny, self._timeouts.connect)
        limits = self._timeouts
        self._client = httpx.AsyncClient(
            transport=_Transport(self._context, self._gate, connections),
            trust_env=False,
            # Left alone, httpx keeps every cookie and sends it on: which are kept is the session's to say.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            timeout=httpx.Timeout(limits.read, connect=limits.connect, pool=None),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "roster-operator"},
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def resolve(self, url: str) -> int:
        """How many addresses the host of a URL has, all of them permitted."""
        _, host, port = origin(url)
        return len(await self._gate.resolve(host, port or 443))

    async def probe(self, url: str) -> Probe:
        """Connects, does the TLS handshake, and leaves."""
        scheme, host, port = origin(url)
        addresses = await self.resolve(url)
        stream = await self._gate.connect_tcp(host, port or 443)
        expires: datetime | None = None
        try:
            if scheme == "https":
                stream = await stream.start_tls(self._context, host, self._timeouts.connect)
                expires = _expiry(stream.get_extra_info("ssl_object"))
        finally:
            with suppress(Exception):
                await stream.aclose()
        return Probe(addresses, expires)

    async def get(self, url: str, headers: Callable[[str], dict[str, str]], max_body: int) -> Response:
        """GET, with at most three redirects, each within the origin. headers: those for the address as it is sent."""
        current = url
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._send("GET", current, headers, None, max_body)
            if response.status not in _REDIRECTS:
                return response
            target = same_origin(current, response.headers.get("location", ""))
            if response.status not in _FOLLOWED or target is None or "location" not in response.headers:
                raise _redirected("to another server")
            current = target
        raise _redirected("in circles")

    async def post(self, url: str, headers: dict[str, str], content: bytes, max_body: int) -> Response:
        """POST; a redirect is refused, because the body holds a secret."""
        response = await self._send("POST", url, lambda _: headers, content, max_body)
        if response.status in _REDIRECTS:
            raise _redirected("away, and a secret is never sent on")
        return response

    async def _send(
        self, method: str, url: str, headers: Callable[[str], dict[str, str]], content: bytes | None, max_body: int
    ) -> Response:
        url = checked_url(url, allow_insecure=self._allow_insecure, query=True)
        try:
            async with asyncio.timeout(self._timeouts.total):
                request = self._client.build_request(method, url, headers=headers(url), content=content)
                response = await self._client.send(request, stream=True)
                try:
                    return await self._read(response, max_body)
                finally:
                    await response.aclose()
        except (TimeoutError, httpcore.TimeoutException, httpx.TimeoutException):
            raise _timed_out("The server did not answer in time.") from None
        except (httpx.InvalidURL, httpx.RemoteProtocolError):
            # Our own address was judged above; httpx itself looks into a redirect's, though it must not follow it.
            raise _redirected("to what is no address") from None
        except ssl.SSLError as error:  # an alert behind the handshake: a certificate of ours is wanted, say
            raise _tls_failure(error) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.TransportError, OSError):
            raise _lost() from None

    async def _read(self, response: httpx.Response, max_body: int) -> Response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if response.status_code >= 400:
            return Response(response.status_code, headers, await self._error_body(response), str(response.url))
        body = Body(headers.get("content-encoding", ""), max_body)
        length = headers.get("content-length", "")
        if length.isdigit() and len(length) < 20 and int(length) > max_body:
            body.refuse()
        try:
            await self._collect(response, body)
        except BaseException:
            body.drop()
            raise
        cookies = tuple(response.headers.get_list("set-cookie"))
        return Response(response.status_code, headers, body.finish(), str(response.url), cookies)

    async def _collect(self, response: httpx.Response, body: Body) -> None:
        started = time.monotonic()
        async for chunk in response.aiter_raw():
            body.add(chunk)
            elapsed = time.monotonic() - started
            if elapsed > self._timeouts.grace and body.received < elapsed * self._timeouts.min_rate:
                raise _timed_out("The server sends its answer too slowly.")

    async def _error_body(self, response: httpx.Response) -> bytes:
        """Of an error only a code is wanted, so a body that is too large or broken is none."""
        try:
            body = Body(response.headers.get("content-encoding", ""), _ERROR_BODY)
            async for chunk in response.aiter_raw():
                body.add(chunk)
            return body.finish()
        except OneRosterError:
            return b""


def _expiry(tls: ssl.SSLObject | None) -> datetime | None:
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _timed_out(message: str) -> OneRosterError:
    return OneRosterError(
        Reason.TIMED_OUT,
        message,
        "Try again; if it stays, lower the page size, or check that a firewall lets this cluster through.",
        retryable=True,
    )


def _refused() -> OneRosterError:
    return OneRosterError(
        Reason.CONNECT_FAILED,
        "The server refuses connections.",
        "Check host and port, that the server is up, and that a firewall lets this cluster through.",
        retryable=True,
    )


def _lost() -> OneRosterError:
    return OneRosterError(
        Reason.CONNECTION_LOST,
        "The connection broke before the answer was whole.",
        "Try again; if it stays, ask the vendor: the server or a proxy cuts its answers.",
        retryable=True,
    )


def _was_reset(error: BaseException | None) -> bool:
    """Whether a connection was torn down, below what httpcore and anyio made of it."""
    while error is not None:
        if isinstance(error, ConnectionResetError):
            return True
        error = error.__cause__
    return False


def _redirected(where: str) -> OneRosterError:
    return OneRosterError(
        Reason.REDIRECT_REFUSED,
        f"The server redirects {where}.",
        "Give the address that the server redirects to, if you trust it, as the endpoint itself.",
    )
