"""One OneRoster server: its version, its base address, and walks through its collections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec

from .answers import refusal
from .bases import FATAL, candidates, not_detected
from .credential import Credential
from .delta import PROBE, filter_of
from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Client, Response, checked_url
from .pagebody import split
from .paging import ERROR_PAST_THE_END, Next, Page, PullReport, Walk, page_url
from .session import Session
from .settings import RestSettings, Version

Answer = tuple[Response, list[msgspec.Raw]]

_NO_FILTER = frozenset({400, 404, 405, 422, 500, 501})


class Slots:
    """Room for pages. Belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._changed = asyncio.Event()

    def take(self) -> bool:
        """Takes a slot if one is free."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Takes a slot as soon as one is free. One waiter at a time."""
        while not self.take():
            self._changed.clear()
            await self._changed.wait()

    def release(self) -> None:
        self._free += 1
        self._changed.set()


class Server:
    """Belongs to one event loop."""

    def __init__(self, settings: RestSettings) -> None:
        self.settings = settings
        self.endpoint = checked_url(settings.endpoint, allow_insecure=settings.allow_insecure)
        self._candidates = candidates(settings, self.endpoint)
        self.client = Client(
            allow=settings.allow_addresses,
            deny=settings.deny_addresses,
            ca_bundle=settings.ca_bundle,
            allow_insecure=settings.allow_insecure,
            timeouts=settings.timeouts,
            connections=settings.max_concurrency + 1,
        )
        self.session = Session(settings, self.client)
        self._base: tuple[Version, str] | None = None
        self._detecting = asyncio.Lock()
        self._walks: dict[Entity, Walk] = {}
        self.session.auth.use_version(self._candidates[0][0])

    async def aclose(self) -> None:
        await self.client.aclose()

    async def base(self) -> tuple[Version, str]:
        """The version in use and its base address; found out at the first call."""
        async with self._detecting:
            if self._base is None:
                if len(self._candidates) == 1:
                    self._base = self._candidates[0]
                else:
                    self._base = await self.detect()
            return self._base

    async def credential(self) -> Credential:
        """What requests will be authorised with; for the first version for which there is anything to be had."""
        refused: OneRosterError | None = None
        for version, _ in self._candidates:
            self.session.auth.use_version(version)
            try:
                return await self.session.auth.credential()
            except OneRosterError as error:
                if error.reason is not Reason.SCOPE_MISSING:
                    raise self.hinted(error) from None
                refused = refused or error
        assert refused is not None
        raise self.hinted(refused)

    def hinted(self, error: OneRosterError) -> OneRosterError:
        """The error, with what such a failure usually means at this vendor before its next step."""
        hint = self.settings.hints.get(error.reason)
        if hint is not None and hint not in error.next_step:
            error.next_step = f"{hint} {error.next_step}".strip()
        return error

    async def detect(self) -> tuple[Version, str]:
        """Asks for one org of each candidate version until one answers as OneRoster does."""
        refused: list[OneRosterError] = []
        settings = self.settings
        # A version that only fails for a moment must not be mistaken for one that is not there; yet servers
        # that answer 500 to an unknown path must not cost the whole patience.
        budget = settings.retry_budget if len(self._candidates) == 1 else settings.retry_budget / 4
        for version, base in self._candidates:
            self.session.auth.use_version(version)
            try:
                await self.session.get(
                    page_url(base, Entity.ORGS, 1, 0, more=settings.query),
                    lambda answer: self._read(Entity.ORGS, answer),
                    budget=budget,
                )
            except OneRosterError as error:
                if error.reason in FATAL:
                    raise self.hinted(error) from None
                refused.append(error)
            else:
                self._base = (version, base)
                return self._base
        raise self.hinted(not_detected(self._candidates, refused))

    def _read(self, entity: Entity, response: Response) -> Answer:
        if response.status >= 400:
            raise self._entity_refusal(entity, response)
        if response.status == 204:
            return response, []
        return response, split(response.body, entity, entity.value)

    def _entity_refusal(self, entity: Entity, response: Response) -> OneRosterError:
        error = self.session.auth.refusal(response, entity) or refusal(response)
        error.entity = entity
        return self.hinted(error)

    async def fetch(
        self, entity: Entity, at: Next, limit: int, *, chosen: str | None = None, last_look: bool = False
    ) -> Answer:
        """One page. chosen: a filter. last_look: it should lie past the end, where an error is not worth much
        patience."""
        _, base = await self.base()
        return await self.session.get(
            at.link or page_url(base, entity, limit, at.offset, chosen, self.settings.query),
            lambda answer: self._read(entity, answer),
            server_errors=1 if last_look else None,
        )

    async def first_page(self, entity: Entity) -> Answer:
        """The first page as a walk would get it, lower limits included."""
        walk = Walk(entity, self.settings.page_size)
        while True:
            try:
                return await self.fetch(entity, Next(0), walk.limit)
            except OneRosterError as error:
                self._resolve(walk, error)

    async def _filter(self, entity: Entity) -> str | None:
        """The filter of a delta, or None where everything has to be read, as this server has no filters to trust."""
        since = (self.settings.changed_since or {}).get(entity)
        if since is None:
            return None
        try:
            _, records = await self.fetch(entity, Next(0), 1, chosen=PROBE, last_look=True)
        except OneRosterError as error:
            if error.status in _NO_FILTER:
                return None
            raise error.at(entity, None) from None
        # There is a moment to ask from, so there are records; a filter that all of them pass shows at least one.
        return filter_of(since) if records else None

    def report(self, entity: Entity) -> PullReport:
        walk = self._walks.get(entity)
        report = (walk or Walk(entity, self.settings.page_size)).report()
        return msgspec.structs.replace(report, delta=self.settings.changed_since is not None)

    async def walk(self, entity: Entity, slots: Slots) -> AsyncGenerator[Page]:
        """The pages of a collection in order. Takes a slot for each page; the caller gives it back."""
        chosen = await self._filter(entity)
        walk = self._walks[entity] = Walk(entity, self.settings.page_size, chosen)
        ahead: dict[int, asyncio.Task[Answer]] = {}
        try:
            while (at := walk.due) is not None:
                if at.link or at.offset not in ahead:
                    await _drop(ahead, slots)
                    await slots.wait()
                    task = self._start(walk, at)
                else:
                    task = ahead.pop(at.offset)
                self._look_ahead(walk, at, ahead, slots)
                try:
                    response, records = await task
                    page = walk.take(response, records)
                except OneRosterError as error:
                    slots.release()
                    self._resolve(walk, error)
                    continue
                except BaseException:
                    task.cancel()
                    raise
                if page is None:
                    slots.release()
                else:
                    yield page
        finally:
            await _drop(ahead, slots)
        if walk.needs_second_look():
            walk.compare(await self._second_look(walk))

    async def _second_look(self, first: Walk) -> Walk | None:
        """Another walk through the same collection, for its ids alone; None where it does not come to its end.

        Smaller pages end elsewhere: what a server loses between two pages is then another record, and one that always
        shows its first page shows less of it.
        """
        walk = Walk(first.entity, first.second_limit(), first.chosen)
        try:
            while (at := walk.due) is not None:
                try:
                    walk.take(*await self.fetch(walk.entity, at, walk.limit, chosen=walk.chosen))
                except OneRosterError as error:
                    self._resolve(walk, error)
        except OneRosterError:
            return None
        return walk

    def _start(self, walk: Walk, at: Next) -> asyncio.Task[Answer]:
        return asyncio.create_task(self.fetch(walk.entity, at, walk.limit, chosen=walk.chosen, last_look=walk.at_end()))

    def _look_ahead(self, walk: Walk, at: Next, ahead: dict[int, asyncio.Task[Answer]], slots: Slots) -> None:
        """Starts the pages that will likely be next, where the server's total says that they exist."""
        if walk.total is None or at.link or not walk.pages:
            return
        for step in range(1, self.settings.max_concurrency):
            offset = at.offset + step * walk.last
            if offset >= walk.total:
                return
            if offset not in ahead:
                if not slots.take():
                    return
                ahead[offset] = self._start(walk, Next(offset))

    def _resolve(self, walk: Walk, error: OneRosterError) -> None:
        """Takes an error as what it means at this place of the walk, or raises it."""
        status = error.status
        if status in (400, 413, 422) and walk.lower_limit():
            return
        if status is not None and walk.ends_at(status):
            walk.end("not found" if status in (404, 410) else ERROR_PAST_THE_END)
            return
        if walk.pages and error.reason is Reason.ENDPOINT_NOT_ONEROSTER:
            error.retryable = True  # it was one a moment ago: maintenance, or a proxy's own page
        raise error.at(walk.entity, walk.pages + 1)


async def _drop(ahead: dict[int, asyncio.Task[Answer]], slots: Slots) -> None:
    for task in ahead.values():
        task.cancel()
    for task in ahead.values():
        with suppress(asyncio.CancelledError, OneRosterError):
            await task
        slots.release()
    ahead.clear()
