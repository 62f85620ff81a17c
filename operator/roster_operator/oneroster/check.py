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

    name: Resolve, Connect, Token or Credentials, Version, Clock or Read (with its entity). count: how many records
    the server says it has; None where it says nothing. A step may be ok with a reason: something optional is
    missing. message and next_step are for people and hold no value of a record.
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
            (self._server.session.auth.step, self._credentials),
            ("Version", self._version),
        ):
            try:
                yield await step(name)
            except OneRosterError as error:
                yield _failed(name, error)
                return
        yield self._clock()
        for entity in Entity:
            yield await self._entity(entity)

    async def _resolve(self, name: str) -> CheckStep:
        server = self._server
        found = await server.client.resolve(server.endpoint)
        for address in server.session.auth.addresses:
            await server.client.resolve(address)
        message = f"The server's name resolves to {found} permitted address{'es' if found != 1 else ''}."
        return CheckStep(name, True, None, message)

    async def _connect(self, name: str) -> CheckStep:
        server = self._server
        probe = await server.client.probe(server.endpoint)
        probes = [probe, *[await server.client.probe(address) for address in server.session.auth.addresses]]
        expiries = [each.certificate_expires for each in probes if each.certificate_expires]
        if not expiries:
            advice = "Use https: over http everybody on the way can read the roster."
            return CheckStep(name, True, None, "Connected, without TLS.", advice)
        self.facts.certificate_expires = soonest = min(expiries)
        days = (soonest - datetime.now(UTC)).days
        until = f"until {soonest:%Y-%m-%d} ({days} days)"
        if days < _SOON:
            return CheckStep(
                name,
                True,
                Reason.CERTIFICATE_EXPIRES_SOON,
                f"Connected; TLS is verified, but the certificate is valid only {until}.",
                "Have the server's administrator renew it: from that day on no sync works.",
            )
        return CheckStep(name, True, None, f"Connected; TLS is verified, the certificate is valid {until}.")

    async def _credentials(self, name: str) -> CheckStep:
        credential = await self._server.credential()
        return CheckStep(name, True, None, self._server.session.auth.told(credential))

    async def _version(self, name: str) -> CheckStep:
        version, _ = await self._server.detect()
        self.facts.version = version
        return CheckStep(name, True, None, f"The server speaks OneRoster {version}.")

    def _clock(self) -> CheckStep:
        self.facts.clock_skew = skew = self._server.session.clock_skew
        if skew is None:
            return CheckStep("Clock", True, None, "The server does not tell the time.")
        if abs(skew) <= _SKEW:
            return CheckStep("Clock", True, None, f"The clocks differ by {abs(skew):.0f} s.")
        # Requests are accepted all the same, so this is worth a word and no failure.
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
            advice = "Without X-Total-Count a pull lists everything twice, and removes only where both looks agree."
        if "link" in response.headers:
            notes.append("linked pages")
        if len(records) < asked and (total is None or total > len(records)) and records:
            notes.append(f"{len(records):,} at a time")
        # What one page holds is no count: of the rest nobody knows, unless there is nothing at all.
        known = total is not None or not records
        reason = None if known else Reason.NO_TOTAL
        return CheckStep("Read", True, reason, ", ".join(notes) + ".", advice, entity, count if known else None)


def _failed(name: str, error: OneRosterError, entity: Entity | None = None) -> CheckStep:
    return CheckStep(name, False, error.reason, error.message, error.next_step, entity)
