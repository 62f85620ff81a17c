"""Bodies that are far larger than they look. What is kept in memory here is small; what unpacks to it is not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from functools import cache

MIB = 2**20


@cache
def bomb(mebibytes: int, filler: bytes = b"\0") -> bytes:
    """One gzip stream that unpacks to so much."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = filler * MIB
    return b"".join([*(packer.compress(block) for _ in range(mebibytes)), packer.flush()])


@cache
def nested(mebibytes: int) -> bytes:
    """A bomb, packed once more."""
    return gzip.compress(bomb(mebibytes))


def endless_bomb() -> Iterator[bytes]:
    """A gzip stream without an end, about 1,000 to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * MIB
    while True:
        part = packer.compress(block)
        if part:
            yield part


def endless_nothing() -> Iterator[bytes]:
    """A gzip stream of empty blocks: it unpacks to nothing, for ever."""
    yield gzip.compress(b"")[:10]
    while True:
        yield b"\x00\x00\x00\xff\xff" * 13_107


def endless_name() -> Iterator[bytes]:
    """A gzip stream whose header holds a file name without an end."""
    yield b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"
    while True:
        yield b"x" * 65_536
