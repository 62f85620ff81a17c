"""Test Connection: one step after the other, each outcome told apart, each with what to do next."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime

from .entities import OPTIONAL, Entity
from .errors import OneRosterError, Reason
from .server import Answer, Server

_SOON = 21
_SKEW = 300.0


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step's outcome.

    name: Resolve, Connect, Token, Version, Clock or Read (with its entity). count: how many records
    the server says it has, or at least those on one page. A step may be ok with a reason: something
    optional is missing. message and next_step are for people and hold no value of a record.
    """

    name: str
    ok: bool
    reason: Reason | None
    message: str
    next_step: str = ""
    entity: Entity | None = None
    count: int | None = None


@dataclass(slots=True)
class Facts:
    """What a connection test measured. clock_skew: seconds that the server is ahead. page_limit: the
    most records it gave at once."""

    version: str | None = None
    certificate_expires: datetime | None = None
    clock_skew: float | None = None
    page_limit: int | None = None


class Checker:
    """Runs the steps against a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.facts = Facts()

    async def steps(self) -> AsyncGenerator[CheckStep]:
        """The steps in order; ends after the first that makes the next meaningless."""
        for name, step in (
            ("Resolve", self._resolve),
            ("Connect", self._connect),
            ("Token", self._token),
            ("Version", self._version),
        ):
            try:
                yield CheckStep(name, True, None, *await step())
            except OneRosterError as error:
                yield _failed(name, error)
                return
        yield self._clock()
        for entity in Entity:
            yield await self._entity(entity)

    async def _resolve(self) -> tuple[str, str]:
        server = self._server
        found = await server.client.resolve(server.endpoint)
        await server.client.resolve(server.token_url)
        return f"The server's name resolves to {found} permitted address{'es' if found != 1 else ''}.", ""

    async def _connect(self) -> tuple[str, str]:
        server = self._server
        probe = await server.client.probe(server.endpoint)
        token_probe = await server.client.probe(server.token_url)
        expiries = [found for found in (probe.certificate_expires, token_probe.certificate_expires) if found]
        if not expiries:
            return "Connected, without TLS.", "Use https: over http everybody on the way can read the roster."
        self.facts.certificate_expires = soonest = min(expiries)
        days = (soonest - datetime.now(UTC)).days
        advice = "Have the certificate renewed in time." if days < _SOON else ""
        return f"Connected; TLS is verified, the certificate is valid until {soonest:%Y-%m-%d} ({days} days).", advice

    async def _token(self) -> tuple[str, str]:
        token = await self._server.token()
        lifetime = "does not say how long it lives" if token.lifetime is None else f"lives {token.lifetime:.0f} s"
        style = "credentials in the body" if token.style == "body" else "HTTP Basic"
        return f"The token server accepts the client ({style}); the token {lifetime}.", ""

    async def _version(self) -> tuple[str, str]:
        version, _ = await self._server.detect()
        self.facts.version = version
        return f"The server speaks OneRoster {version}.", ""

    def _clock(self) -> CheckStep:
        self.facts.clock_skew = skew = self._server.session.clock_skew
        if skew is None:
            return CheckStep("Clock", True, None, "The server does not tell the time.")
        if abs(skew) <= _SKEW:
            return CheckStep("Clock", True, None, f"The clocks differ by {abs(skew):.0f} s.")
        # OAuth 2 works all the same, so this is worth a word and no failure.
        return CheckStep(
            "Clock",
            True,
            Reason.CLOCK_SKEWED,
            f"The server's clock is {abs(skew) / 60:.0f} minutes {'ahead' if skew > 0 else 'behind'}.",
            "Set the clocks right: times of changes cannot be trusted otherwise.",
        )

    async def _entity(self, entity: Entity) -> CheckStep:
        settings = self._server.settings
        try:
            answer = await self._server.first_page(entity)
        except OneRosterError as error:
            if entity in OPTIONAL and error.reason in (Reason.SCOPE_MISSING, Reason.FORBIDDEN, Reason.NOT_FOUND):
                return CheckStep("Read", True, error.reason, f"{entity} are not offered to this client, and are left "
                                 "out.", error.next_step, entity)  # fmt: skip
            return _failed("Read", error, entity)
        return self._read(entity, answer, settings.page_size)

    def _read(self, entity: Entity, answer: Answer, asked: int) -> CheckStep:
        response, records = answer
        walk_total = response.headers.get("x-total-count", "")
        total = int(walk_total) if walk_total.isascii() and walk_total.isdigit() and len(walk_total) <= 10 else None
        count = len(records) if total is None else total
        self.facts.page_limit = max(self.facts.page_limit or 0, len(records))
        if entity is Entity.USERS and not records:
            return CheckStep(
                "Read",
                False,
                Reason.EMPTY_ROSTER,
                "The server answers, but shows this client no users at all.",
                "Have the client assigned to the district's schools in the SIS.",
                entity,
                0,
            )
        notes = [f"{count:,} {entity}" if total is not None else f"at least {count:,} {entity}"]
        advice = ""
        if total is None:
            notes.append("no total")
            advice = "Without X-Total-Count no pull can prove that it is complete, so none will remove anything."
        if "link" in response.headers:
            notes.append("linked pages")
        if len(records) < asked and (total is None or total > len(records)) and records:
            notes.append(f"{len(records):,} at a time")
        return CheckStep("Read", True, None, ", ".join(notes) + ".", advice, entity, count)


def _failed(name: str, error: OneRosterError, entity: Entity | None = None) -> CheckStep:
    return CheckStep(name, False, error.reason, error.message, error.next_step, entity)
