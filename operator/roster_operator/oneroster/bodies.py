"""Response bodies within bounds: what is kept is never more than was allowed, however it was packed."""

import zlib
from typing import NoReturn

from .errors import OneRosterError, Reason

# A roster packs at 10 to 40 to one, and generated ones at 100; deflate can do 1,030.
_MAX_RATIO = 400
_RATIO_FLOOR = 8 * 2**20
# One read of the wire may hold a thousand times as much: it is unpacked in pieces, and each is judged.
_PIECE = 2**20
# What is smaller is put together with its neighbours.
_CRUMB = 4096
# gzip's own bytes around a body that does not shrink.
_FRAME = 65_536


class Body:
    """Collects a body chunk by chunk. encoding: the Content-Encoding; limit: bytes after inflation."""

    def __init__(self, encoding: str, limit: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise OneRosterError(
                Reason.BAD_COMPRESSION,
                "The server packed its answer in a way that was not asked for.",
                "Have the server send plain or gzip answers; nothing else was offered to it.",
            )
        self._inflate = zlib.decompressobj(31) if "gzip" in encoding else None
        self._limit = limit
        self._parts: list[bytes] = []
        self._crumbs = bytearray()
        self.received = 0
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Takes a chunk as it came from the wire. Raises BodyTooLarge or BadCompression."""
        self.received += len(chunk)
        if self._inflate is None:
            self._keep(chunk)
            return
        if self.received > self._limit + _FRAME:  # empty blocks, or a header without an end, unpack to nothing for ever
            self.refuse()
        try:
            while chunk:
                if self._inflate.eof:
                    raise _broken("holds bytes after its end")
                self._keep(self._inflate.decompress(chunk, min(_PIECE, self._limit - self.size + 1)))
                chunk = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error:
            raise _broken("is not what it says") from None

    def _keep(self, part: bytes) -> None:
        self.size += len(part)
        if self.size > self._limit:
            self.refuse()
        if self._inflate and self.size > _RATIO_FLOOR and self.size > _MAX_RATIO * self.received:
            raise _broken("unpacks to far more than a roster would")
        if len(part) >= _CRUMB:
            self._sweep()
            self._parts.append(part)
        else:  # each object costs forty bytes, and a server may send one byte at a time
            self._crumbs += part
            if len(self._crumbs) > _PIECE:
                self._sweep()

    def _sweep(self) -> None:
        if self._crumbs:
            self._parts.append(bytes(self._crumbs))
            self._crumbs.clear()

    def refuse(self) -> NoReturn:
        """Raises BodyTooLarge."""
        raise OneRosterError(
            Reason.BODY_TOO_LARGE,
            f"The answer is larger than {self._limit // 1024:,} kB.",
            "Lower the page size; if one page of it is still this large, the server is not sending a roster.",
        )

    def drop(self) -> None:
        """Lets go of what was kept. An error's traceback holds on to this for longer than anybody needs it."""
        self._parts.clear()
        self._crumbs.clear()

    def finish(self) -> bytes:
        """The whole body. Raises ConnectionLost when a compressed one was cut."""
        if self._inflate is not None and not self._inflate.eof and self.received:
            raise OneRosterError(
                Reason.CONNECTION_LOST,
                "The answer ended in the middle.",
                "Try again; if it stays, ask the vendor: the server or a proxy cuts its answers.",
                retryable=True,
            )
        self._sweep()
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def _broken(what: str) -> OneRosterError:
    return OneRosterError(
        Reason.BAD_COMPRESSION,
        f"The compressed answer {what}.",
        "Ask the vendor: the server or a proxy in between packs its answers wrongly.",
    )
