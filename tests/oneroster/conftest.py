"""What tests of servers share."""

from __future__ import annotations

import asyncio
import errno
from typing import Any, NoReturn

import pytest


@pytest.fixture
def torn_down_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's reset arrives while the client connects, which on a real network happens now and then."""

    async def reset(*_: Any) -> NoReturn:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", reset)
