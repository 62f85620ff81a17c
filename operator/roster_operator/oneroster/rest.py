"""A OneRoster server as a source: its pages, in order, read ahead while the caller works.

Everything that waits runs in one event loop on a thread of its own; the caller sees plain iterators.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from .check import Checker, CheckStep, Facts
from .decode import Decoder
from .entities import Entity
from .http import Timeouts
from .paging import Completeness, Page, PullReport, completeness
from .server import Server, Slots, Version
from .settings import RestSettings

__all__ = [
    "CheckStep",
    "Completeness",
    "Facts",
    "Page",
    "PullReport",
    "RestSettings",
    "RestSource",
    "Timeouts",
    "completeness",
]

T = TypeVar("T")


class _End:
    """No more items."""


class RestSource:
    """A context manager around one server. Raises OneRosterError from everything that talks to it.

    Making one checks the settings (SettingsInvalid) and sends nothing.
    """

    def __init__(self, settings: RestSettings) -> None:
        self._settings = settings
        self._server = Server(settings)
        self._ahead = max(2, settings.max_concurrency)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._version: Version | None = None
        self.facts = Facts()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="oneroster", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends everything under way. May be called twice."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        # A lookup that hangs in the resolver does not hold this up: its thread is not waited for.
        loop.close()
        self._loop = self._thread = None

    async def _shut(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.aclose()
        await asyncio.get_running_loop().shutdown_asyncgens()  # of bodies that were given up in the middle

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the source is not open")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def version(self) -> Version:
        """The OneRoster version in use. With Auto the first look at it asks the server."""
        if self._version is None:
            self._version = self._run(self._server.base())[0]
        return self._version

    def pages(self, entity: Entity) -> Iterator[Page]:
        """The pages of a collection, in order, from the start at each call.

        Reads ahead: at most max(2, max_concurrency) pages are in memory, the caller's included.
        """
        slots = Slots(self._ahead)
        return self._stream(lambda: self._server.walk(entity, slots), slots.release)

    def reading(self, entity: Entity) -> str:  # noqa: ARG002 (a server's records are read the same way everywhere)
        """Nothing besides version and entity."""
        return ""

    def offers(self, entity: Entity) -> bool:  # noqa: ARG002
        """A server has to be asked."""
        return True

    def decoder(self, entity: Entity) -> Decoder:
        """Reads one record of an entity from its JSON."""
        return Decoder(entity, self.version)

    def report(self, entity: Entity) -> PullReport:
        """What the last walk through a collection saw; finished only when its pages were exhausted."""
        return self._server.report(entity)

    def check(self) -> Iterator[CheckStep]:
        """Test Connection: resolve, connect, token, version, clock, and one page of each entity.

        Ends at the first step that makes the next meaningless. What was measured is in `facts`.
        """
        checker = Checker(self._server)
        self.facts = checker.facts
        return self._stream(checker.steps, lambda: None)

    def _stream(self, start: Callable[[], AsyncGenerator[T]], done: Callable[[], None]) -> Iterator[T]:
        """Runs an async iterator on the loop. done: called there after the caller is through with an item."""
        loop = self._loop
        if loop is None:
            raise RuntimeError("the source is not open")
        out: queue.SimpleQueue[T | BaseException | type[_End]] = queue.SimpleQueue()

        async def produce() -> None:
            items = start()
            try:
                async for item in items:
                    out.put(item)
                out.put(_End)
            except asyncio.CancelledError:
                out.put(RuntimeError("the source was closed"))
                raise
            except BaseException as error:  # noqa: BLE001 (it is raised again, in the caller's thread)
                out.put(error)
            finally:
                await items.aclose()

        producing = asyncio.run_coroutine_threadsafe(produce(), loop)
        try:
            while (item := out.get()) is not _End:
                if isinstance(item, BaseException):
                    raise item
                yield cast(T, item)
                del item
                loop.call_soon_threadsafe(done)
        finally:
            if not producing.done() and not loop.is_closed():
                producing.cancel()
