"""A static key, sent as a bearer token. There is nothing to renew: it is taken or it is not."""

from dataclasses import dataclass, field
from typing import Literal

from .answers import said, token_refused
from .credential import Credential
from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Response
from .settings import RestSettings, needed, sendable


@dataclass(frozen=True, slots=True)
class _Key:
    value: str = field(repr=False)

    def headers(self, url: str) -> dict[str, str]:  # noqa: ARG002 (one key opens every address of the server)
        return {"Authorization": f"Bearer {self.value}"}


class Bearer:
    """See `credential.Authorisation`."""

    step: Literal["Token", "Credentials"] = "Credentials"
    addresses: tuple[str, ...] = ()

    def __init__(self, settings: RestSettings) -> None:
        self._key = _Key(sendable(needed(settings.token, "token"), "token"))

    def use_version(self, version: str) -> None:
        pass

    async def credential(self) -> Credential:
        return self._key

    async def renewed(self, refused: Credential) -> Credential | None:  # noqa: ARG002
        return None

    def accepted(self, credential: Credential) -> None:
        pass

    def refusal(self, response: Response, entity: Entity) -> OneRosterError | None:
        if response.status != 401 and not (response.status in (400, 403) and token_refused(response)):
            return None
        return OneRosterError(
            Reason.CREDENTIALS_REJECTED,
            f"The server refuses the bearer token: {said(response)}.",
            "Check the token in the Secret: whole, not expired or revoked, and for this server.",
            entity=entity,
            status=response.status,
        )

    def told(self, credential: Credential) -> str:  # noqa: ARG002
        return "A static bearer token will be used; the first read tells whether it is accepted."
