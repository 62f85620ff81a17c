"""Telling people: a queue and workers of its own, so that no mail server holds a sync up.

Each look claims what is due in the connection's status, sends, and keeps the outcomes until the next look has written
them. What could not be sent in the last attempt is an Event.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field

from roster_operator.api.kinds import CONNECTION, SYNC
from roster_operator.mail import MailError, MailSettings, Message, Reason, send

from . import notices
from .automation import hold_of
from .context import Context
from .events import Happening
from .notice_text import text_of
from .notices import ATTEMPTS, Due, Occurrence
from .objects import Connection, Sync
from .poster import post
from .queue import Key
from .writes import write_status

log = logging.getLogger(__name__)

AT_ONCE = 0.0


@dataclass
class Notifier:
    """mail: the server; an error where its settings cannot be used; None where there is none."""

    context: Context
    mail: MailSettings | MailError | None
    console: str = ""
    # Of each connection (uid): what became of sendings, and is not in status yet.
    _unwritten: dict[str, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(dict))

    async def look(self, key: Key) -> float | None:
        """Look at one connection; seconds until it should be looked at again, or None."""
        context = self.context
        body = await context.api.get(CONNECTION, key.namespace, key.name)
        if body is None:
            return None
        connection = Connection.of(body)
        meta, before, notify = connection.meta, connection.status, connection.spec.notify
        if meta.deleting or notify is None:
            self._unwritten.pop(meta.uid, None)
            if not meta.deleting and before.notices is not None:
                await write_status(context.api, CONNECTION, body, before, before.model_copy(update={"notices": None}))
            return None
        now = context.api.now()
        outcomes = dict(self._unwritten.get(meta.uid, {}))
        notified = notices.followed(before.notices, paused=hold_of(connection.spec, now) is not None, now=now)
        notified = notices.settled(notified, outcomes)
        names = context.view.syncs_of((meta.namespace, meta.name))
        found = notices.occurrences(connection, notified, ((name[1], context.view.syncs[name]) for name in names), now)
        todo = [
            one for one in notices.due(notify, found, notified, now) if await self._stands(connection, one.occurrence)
        ]
        after = notices.claimed(notified, todo, found, now)
        after, soon = await post(context, connection, notify, found, after, now, self._stands)
        await write_status(context.api, CONNECTION, body, before, before.model_copy(update={"notices": after}))
        self._unwritten.pop(meta.uid, None)
        for one in todo:
            self._unwritten[meta.uid][one.occurrence.key] = await self._tell(connection, one)
        pauses = [pause for pause in (notices.wake(notify, found, after, now), soon) if pause is not None]
        return AT_ONCE if todo else min(pauses, default=None)

    async def _stands(self, connection: Connection, occurrence: Occurrence) -> bool:
        """The watch may be behind: what a sync is said to be is read live before anybody is told."""
        if not occurrence.sync:
            return True
        body = await self.context.api.get(SYNC, connection.meta.namespace, occurrence.sync)
        return body is not None and _is(Sync.of(body), occurrence)

    async def _tell(self, connection: Connection, one: Due) -> list[str]:
        """Send it; the targets that are to be tried again."""
        meta, occurrence = connection.meta, one.occurrence
        subject, text = text_of(meta, occurrence, self.console)
        last = one.attempts + 1 >= ATTEMPTS
        try:
            delivery = await send(
                self._server(), Message(one.to, subject, text, key=f"{occurrence.key}.{meta.uid}"[:64])
            )
        except MailError as error:
            again = not error.uncertain  # a notice that came twice is worse than one mail's answer lost
            log.warning("connection %s/%s: notice %s: %s", meta.namespace, meta.name, occurrence.occasion, error)
            if last or not again:
                await self._give_up(connection, occurrence, error, len(one.to))
            return [notices.target(address) for address in one.to] if again else []
        gone = [refusal for refusal in delivery.refused if last or not refusal.error.retryable]
        if gone:
            await self._give_up(connection, occurrence, gone[0].error, len(gone))
        later = [refusal for refusal in delivery.refused if refusal.error.retryable]
        log.info(
            "connection %s/%s: notice %s: told %d, refused %d",
            meta.namespace, meta.name, occurrence.occasion, len(delivery.accepted), len(delivery.refused),
        )  # fmt: skip
        return [notices.target(refusal.address) for refusal in later]

    def _server(self) -> MailSettings:
        if self.mail is None:
            raise MailError(Reason.SETTINGS_UNUSABLE, "there are none")
        if isinstance(self.mail, MailError):
            raise MailError(self.mail.reason)
        return self.mail

    async def _give_up(self, connection: Connection, occurrence: Occurrence, error: MailError, people: int) -> None:
        text = f"{occurrence.occasion}, for {people} of its recipients: {error.message} {error.next_step}"
        await self.context.recorder.record(CONNECTION, connection.meta, Happening("NoticeNotSent", text, warning=True))


def _is(sync: Sync, occurrence: Occurrence) -> bool:
    plan = sync.status.plan
    digest = plan.digest if plan else ""
    same = notices.OF_PHASE.get(sync.status.phase) is occurrence.occasion
    return same and digest == occurrence.digest and occurrence.mark.startswith(f"{sync.meta.uid}/")
