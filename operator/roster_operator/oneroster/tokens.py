"""OAuth 2 as an authorisation: one token that every request shares, asked for once, renewed when it has ended."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from .answers import said
from .credential import Converse, Credential
from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Response, checked_url
from .oauth2 import ClientCredentials, Style, Token, exchange, scope_ladder
from .settings import RestSettings, needed

# Seconds after which a token may have ended without a word.
_OLD = 30.0
_STYLES: dict[Style, str] = {
    "basic": "HTTP Basic",
    "encoded": "HTTP Basic, form-encoded",
    "body": "credentials in the body",
    "query": "HTTP Basic, the form in the query",
    "query-encoded": "HTTP Basic, form-encoded, the form in the query",
}


class Tokens:
    """See `credential.Authorisation`."""

    step: Literal["Token", "Credentials"] = "Token"

    def __init__(self, settings: RestSettings, converse: Converse) -> None:
        if not settings.token_url:
            raise OneRosterError(
                Reason.SETTINGS_INVALID,
                "OAuth 2 needs the address where tokens are had.",
                "Set auth.tokenURL to what the SIS shows as its token URL.",
            )
        self.addresses = (checked_url(settings.token_url, allow_insecure=settings.allow_insecure, query=True),)
        self._client = ClientCredentials(
            needed(settings.client_id, "client id"), needed(settings.client_secret, "client secret"),
            settings.token_style, keep_cookies=settings.keep_cookies,
        )  # fmt: skip
        self._scopes = settings.scopes
        self._ladder: Sequence[tuple[str, ...]] = [settings.scopes]
        self._converse = converse
        self._token: Token | None = None
        self._style: Style | None = None
        self._renewing = asyncio.Lock()

    def use_version(self, version: str) -> None:
        ladder = [self._scopes] if self._scopes else scope_ladder(version)
        if ladder != self._ladder:
            self._ladder = ladder
            self._token = None

    async def credential(self) -> Token:
        return await self._another(None)

    async def renewed(self, refused: Credential) -> Credential | None:
        # Only a token that once worked, or may have grown old, can have ended.
        if isinstance(refused, Token) and (refused.accepted or refused.age() > _OLD):
            return await self._another(refused)
        return None

    async def _another(self, refused: Token | None) -> Token:
        async with self._renewing:
            token = self._token
            if token is None or token is refused or token.ending():
                token = self._token = await self._converse(lambda: exchange(self._client, self._ladder, self._style))
                self._style = token.style
            return token

    def accepted(self, credential: Credential) -> None:
        if isinstance(credential, Token):
            credential.accepted = True

    def refusal(self, response: Response, entity: Entity) -> OneRosterError | None:
        if response.status not in (401, 403):
            return None
        granted = None if self._token is None else self._token.scopes or self._token.asked
        word = "demographics" if entity is Entity.DEMOGRAPHICS else "roster"
        if granted and not any(word in scope for scope in granted):
            return OneRosterError(
                Reason.SCOPE_MISSING,
                f"The client was not granted the scope that {entity} need.",
                f"Have the client granted roster-{'demographics' if word != 'roster' else 'core'}.readonly in the SIS.",
                entity=entity,
                status=response.status,
            )
        if response.status == 403:
            return None
        return OneRosterError(
            Reason.TOKEN_REJECTED,
            f"The server does not accept its own token: {said(response)}.",
            "Check that token URL and endpoint belong to the same server, and that the client is enabled.",
            entity=entity,
            status=response.status,
        )

    def told(self, credential: Credential) -> str:
        assert isinstance(credential, Token)
        lifetime = credential.lifetime
        lives = "does not say how long it lives" if lifetime is None else f"lives {lifetime:.0f} s"
        return f"The token server accepts the client ({_STYLES[credential.style]}); the token {lives}."
