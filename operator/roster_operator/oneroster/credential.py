"""What a session needs of a way to authenticate, whatever the way is."""

from collections.abc import Awaitable, Callable, Generator
from typing import Literal, Protocol

from .entities import Entity
from .errors import OneRosterError
from .http import Response
from .oauth2 import Token, TokenRequest

# Takes a conversation with the token server to its end, paced and with patience.
Converse = Callable[[Callable[[], Generator[TokenRequest, Response, Token]]], Awaitable[Token]]


class Credential(Protocol):
    """What one GET is authorised with."""

    def headers(self, url: str) -> dict[str, str]:
        """The headers for a request of this very address. Asked anew for each sending, tries and redirects too."""
        ...


class Authorisation(Protocol):
    """One way to tell a server who we are. Belongs to one event loop.

    step: what Test Connection calls it; "Token" where a token is had first, "Credentials" where only the first read
    tells. addresses: what is talked to besides the endpoint.
    """

    @property
    def step(self) -> Literal["Token", "Credentials"]: ...

    @property
    def addresses(self) -> tuple[str, ...]: ...

    def use_version(self, version: str) -> None:
        """From now on for this version of OneRoster; what is in hand is dropped if it was for another."""
        ...

    async def credential(self) -> Credential:
        """What to send the next request with. Raises OneRosterError."""
        ...

    async def renewed(self, refused: Credential) -> Credential | None:
        """Another one after a 401 or 403, or None where it would be refused just the same. Raises OneRosterError."""
        ...

    def accepted(self, credential: Credential) -> None:
        """A request with it was answered."""
        ...

    def refusal(self, response: Response, entity: Entity) -> OneRosterError | None:
        """What a refusal says about the credentials; None where it is about something else."""
        ...

    def told(self, credential: Credential) -> str:
        """One sentence about it for people, without any secret."""
        ...
