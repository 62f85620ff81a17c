"""Who comes with a request, and what a form of theirs must bring. Shared by all pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from .guard import check_form_token, check_origin, read_form
from .inputs import own_page
from .sessions import Session
from .site import Site, site_of


class SignInNeeded(Exception):  # noqa: N818  a way to go, not a failure
    """Nobody is signed in. `page` is where the person wanted to go."""

    def __init__(self, page: str) -> None:
        super().__init__(page)
        self.page = page


async def _signed_in(request: Request) -> Session:
    session = await site_of(request).session(request)
    if session is None:
        # What was posted is lost, and said to be: the person comes back to the page that the form stood on.
        raise SignInNeeded(
            own_page(request.url.path if request.method == "GET" else request.url.path.rpartition("/")[0])
        )
    return session


class Fields:
    """A form's fields, of which some may come several times."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def one(self, name: str) -> str:
        """The last value, or nothing."""
        return next((value for key, value in reversed(self._pairs) if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value."""
        return [value for key, value in self._pairs if key == name]


async def posted(request: Request, session: Session) -> Fields:
    """As `Form`, with fields that may come several times. Raises problems.Problem."""
    check_origin(request)
    fields = Fields(await read_form(request))
    check_form_token(fields.one("form_token"), session.form_token)
    return fields


async def _form(request: Request, session: Annotated[Session, Depends(_signed_in)]) -> dict[str, str]:
    """The fields of a form that was sent from our own page, by whoever is signed in there."""
    check_origin(request)
    form = dict(await read_form(request))
    check_form_token(form.get("form_token"), session.form_token)
    return form


Person = Annotated[Session, Depends(_signed_in)]
Here = Annotated[Site, Depends(site_of)]
Form = Annotated[dict[str, str], Depends(_form)]


def onward(path: str, done: str = "") -> RedirectResponse:
    """After a form: to a page that can be loaded again without sending it again. done: what to say there."""
    return RedirectResponse(f"{path}?done={done}" if done else path, 303)
