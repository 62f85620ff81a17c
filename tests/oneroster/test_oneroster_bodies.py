"""Bodies within bounds."""

import gzip
import tracemalloc
import zlib

import pytest

from roster_operator.oneroster.bodies import Body
from roster_operator.oneroster.errors import OneRosterError, Reason

MIB = 2**20


def read(data: bytes, encoding: str, limit: int = MIB, step: int = 1000) -> bytes:
    body = Body(encoding, limit)
    for start in range(0, len(data), step):
        body.add(data[start : start + step])
    return body.finish()


def failure(data: bytes, encoding: str, limit: int = MIB) -> Reason:
    with pytest.raises(OneRosterError) as caught:
        read(data, encoding, limit)
    return caught.value.reason


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip", " GZIP "])
def test_what_was_sent_comes_out(encoding: str) -> None:
    text = b'{"orgs": []}' * 5000
    data = gzip.compress(text) if "gzip" in encoding.lower() else text
    assert read(data, encoding) == text
    assert read(data, encoding, step=1) == text


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br", "zstd", "deflate", "compress", "gzipx", "*"])
def test_other_and_stacked_encodings_are_refused(encoding: str) -> None:
    assert failure(b"", encoding) is Reason.BAD_COMPRESSION


def test_a_bomb_is_stopped_at_the_limit_in_bounded_memory() -> None:
    bomb = gzip.compress(b"\0" * (96 * MIB))
    tracemalloc.start()
    try:
        assert failure(bomb, "gzip", 4 * MIB) is Reason.BODY_TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


def test_an_absurd_ratio_is_refused_before_the_limit() -> None:
    assert failure(gzip.compress(b"\0" * (60 * MIB)), "gzip", 64 * MIB) is Reason.BAD_COMPRESSION


def test_the_limit_is_exact() -> None:
    assert len(read(b"x" * 1000, "", 1000)) == 1000
    assert failure(b"x" * 1001, "", 1000) is Reason.BODY_TOO_LARGE
    assert len(read(gzip.compress(b"x" * 1000), "gzip", 1000)) == 1000
    assert failure(gzip.compress(b"x" * 1001), "gzip", 1000) is Reason.BODY_TOO_LARGE


def test_a_cut_body_is_not_whole() -> None:
    assert failure(gzip.compress(b"x" * 10_000)[:-4], "gzip") is Reason.CONNECTION_LOST


@pytest.mark.parametrize(
    "data", [b"plain text", gzip.compress(b"x") + b"more", gzip.compress(b"x") * 2, zlib.compress(b"x")]
)
def test_what_is_no_single_gzip_stream_is_refused(data: bytes) -> None:
    assert failure(data, "gzip") is Reason.BAD_COMPRESSION
