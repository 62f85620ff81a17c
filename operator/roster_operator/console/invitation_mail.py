"""The message that invites a person: one link, one address, and nothing of the roster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from roster_operator.mail import MailError, MailSettings, Message, send
from roster_operator.store.invitations import Invitation

PATIENCE = 15.0  # seconds for the mail server: somebody waits for the page
TOKEN = "{token}"  # noqa: S105  what stands in the address for it


@dataclass(frozen=True)
class Inviting:
    """How this console invites. url: of the application, with TOKEN in it once."""

    url: str
    application: str
    lifetime: timedelta
    mail: MailSettings
    support: str = ""

    async def send(self, invitation: Invitation) -> MailError | None:
        """Send the link; why the mail server did not take it."""
        try:
            delivery = await send(self.mail, self._message(invitation), seconds=PATIENCE)
        except MailError as error:
            return error
        return delivery.refused[0].error if delivery.refused else None

    def _message(self, invitation: Invitation) -> Message:
        link = self.url.replace(TOKEN, invitation.token)
        asks = f"\nQuestions: {self.support}\n" if self.support else ""
        return Message(
            to=(invitation.address,),
            subject=f"Your access to {self.application}",
            text=(
                f"Hello,\n\nyou have been given access to {self.application}. Open this link to begin:\n\n{link}\n\n"
                f"It can be used once, until {invitation.expires:%Y-%m-%d %H:%M} UTC. Pass it on to nobody.\n"
                f"If you did not expect this, you need not do anything.\n{asks}"
            ),
        )
