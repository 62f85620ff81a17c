"""What all routes share: the way to the cluster, the sessions, and the templates."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from roster_operator.store.pool import Pool

from . import picture, standard, views, words
from .cluster import Cluster
from .invitation_mail import Inviting
from .oidc import Provider
from .records import Records
from .sessions import Session, Sessions

SESSION_COOKIE = "__Host-roster-session"
LOGIN_COOKIE = "__Host-roster-login"
ATTEMPT_COOKIE = "__Host-roster-attempt"
_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Site:
    """One console."""

    def __init__(
        self,
        cluster: Cluster,
        records: Records,
        sessions: Sessions,
        support: str = "",
        pool: Pool | None = None,
        provider: Provider | None = None,
        token_login: bool = True,
        inviting: Inviting | None = None,
    ) -> None:
        self.cluster = cluster
        self.records = records
        self.sessions = sessions
        self.support = support
        self.inviting = inviting
        self._pool = pool
        self.provider = provider
        self.token_login = token_login
        self.static: dict[str, tuple[bytes, str]] = {
            path.name: (path.read_bytes(), _TYPES[path.suffix])
            for path in sorted((_FOLDER / "static").iterdir())
            if path.suffix in _TYPES
        }
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["count"] = "{:,}".format
        self._templates.filters["moment"] = views.moment
        self._templates.filters["value"] = words.value
        self._templates.filters["field"] = words.standard_name
        together = b"".join(content for content, _ in self.static.values())
        self._version = hashlib.sha256(together).hexdigest()[:12]

    async def close(self) -> None:
        """Close every connection."""
        await self.cluster.close()
        if self.provider is not None:
            await self.provider.close()
        if self._pool is not None:
            await run_in_threadpool(self._pool.close)

    async def session(self, request: Request) -> Session | None:
        """Who is signed in in this browser. Raises problems.Problem."""
        return await self.sessions.find(request.cookies.get(SESSION_COOKIE))

    def page(self, template: str, session: Session | None, status: int = 200, **values: Any) -> HTMLResponse:
        """A page. StrictUndefined refuses a template that asks for a value it was not given."""
        now = datetime.now(UTC)

        def ago(time: datetime) -> str:
            return views.ago(time, now)

        text = self._templates.get_template(template).render(
            session=session,
            views=views,
            picture=picture,
            standard=standard,
            version=self._version,
            ago=ago,
            support=self.support,
            records=self.records.there,
            invites=self.inviting is not None,
            **values,
        )
        return HTMLResponse(text, status)


def site_of(request: Request) -> Site:
    """The console that this request came to."""
    site: Site = request.app.state.site
    return site
