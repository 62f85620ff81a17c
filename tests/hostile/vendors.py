"""Vendors: habits that were seen in the field, and values of a connection that try to break a vendor's addresses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.oneroster.fake_servers import LOOPBACK, SECRET, TOKEN, Answer, Asked, FakeServer, granted, listing, orgs

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.profile import Wishes, settings_of

from .cases import CANARY, Case, Outcome, Read, Refused, Seen, refused
from .worlds import QUICK, Pull, pulled

FAMILY = "Vendors"
WHOLE, LOOKS = "DistinctEqualsTotal", "TwoEqualLooks"
HTML = b"<!DOCTYPE html><title>" + CANARY.encode() + b"</title>"
V1P1, V1P2 = "/ims/oneroster/v1p1", "/ims/oneroster/rostering/v1p2"


@dataclass(frozen=True)
class Profiled:
    """Pulls by a vendor's profile. at: the path where this server has its collections, escaped as it has to come;
    asked_at: path and query of the one place where it gives tokens."""

    provider: str
    at: str
    asked_at: str = "/token"
    wishes: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[Asked], Answer] = field(default_factory=lambda: listing(25))

    def observe(self) -> Seen:
        def respond(asked: Asked) -> Answer:
            path = asked.target.partition("?")[0]
            if asked.method == "POST":
                return granted() if asked.target.startswith(self.asked_at) else Answer(404, HTML)
            return self.answer(asked) if path == f"{self.at}/orgs" else Answer(404, HTML)

        secrets = {"client_id": "an-id", "client_secret": SECRET, "token": TOKEN}
        with FakeServer(respond, respond) as server:
            try:
                wishes = Wishes(endpoint=server.url, page_size=10, allow_insecure=True, **self.wishes)
                made = settings_of(self.provider, wishes)
            except OneRosterError as error:
                return refused(error)
            made = dataclasses.replace(
                made, allow_addresses=LOOPBACK, retry_wait=0.01, retry_wait_max=0.02, **QUICK, **secrets
            )
            return pulled(made, Entity.ORGS)


def case(name: str, answer: Callable[[Asked], Answer], expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Pull(answer, more=more), expect)


def past_the_end(end: Answer, count: int, *, counted: bool) -> Callable[[Asked], Answer]:
    """A server of so many records that answers so to whatever lies behind them."""
    good = listing(count, counted=counted)
    return lambda asked: end if int(asked.query["offset"]) >= count else good(asked)


_ENDS: list[tuple[str, Answer]] = [
    ("200 with an empty list", Answer(body={"orgs": []})),
    ("200 with null", Answer(body={"orgs": None})),
    ("200 with a total of 0", Answer(body={"orgs": []}, headers={"X-Total-Count": "0"})),
    ("204", Answer(204)),
    ("404 with HTML", Answer(404, HTML)),
    ("410", Answer(410)),
    ("400", Answer(400, {"error": CANARY})),
    ("416", Answer(416)),
    ("500 with HTML", Answer(500, HTML)),
]  # fmt: skip
_UNPROVED = ("400", "416", "500 with HTML")

_PAST = [
    case(f"past the end {'' if counted else 'of what has no total '}{name}, after {count} records",
         past_the_end(end, count, counted=counted),
         Read(count, WHOLE if counted else "EndNotSeen" if name in _UNPROVED else LOOKS))
    for counted in (True, False) for count in (20, 25) for name, end in _ENDS
    # A whole last page, no total and an error: nobody can know whether that was the end.
    if counted or count == 25 or name not in _UNPROVED
]  # fmt: skip


def _revised(*revisions: str | None) -> Callable[[Asked], Answer]:
    """ClassLink's word for the permissions in force, page by page."""

    def answer(asked: Asked) -> Answer:
        found = listing(25)(asked)
        revision = revisions[min(int(asked.query["offset"]) // 10, len(revisions) - 1)]
        if revision is not None:
            found.headers |= {"x-perm-rev": revision, "x-count": "10"}
        return found

    return answer


def _totals(*totals: str | None) -> Callable[[Asked], Answer]:
    """25 records, with these totals page by page; the last of them for all that follow."""

    def answer(asked: Asked) -> Answer:
        found = listing(25, counted=False)(asked)
        total = totals[min(int(asked.query["offset"]) // 10, len(totals) - 1)]
        if total is not None:
            found.headers["X-Total-Count"] = total
        return found

    return answer


_HEADERS = [
    case("x-perm-rev changes on the last page", _revised("7", "7", "8"), Read(25, "ChangedWhilePaging")),
    case("x-perm-rev changes and changes back", _revised("7", "8", "7"), Read(25, "ChangedWhilePaging")),
    case("x-perm-rev is on some pages only", _revised("7", None, "7"), Read(25, WHOLE)),
    case("x-perm-rev comes late", _revised(None, "7"), Read(25, WHOLE)),
    case("x-perm-rev is empty, then not", _revised("", "7"), Read(25, "ChangedWhilePaging")),
    case("a total of the page alone", _totals("10", "10", "5", "0"), Read(25, "ChangedWhilePaging")),
    case("a total of the page alone, on a server of whole pages", lambda asked: Answer(
         body={"orgs": orgs(int(asked.query["offset"]), 10 if int(asked.query["offset"]) < 20 else 0)},
         headers={"X-Total-Count": "10"}), Read(20, "MoreThanTotal")),
    case("a total on the first page only", _totals("25", None), Read(25, WHOLE)),
    case("a total on the last page only", _totals(None, None, "25"), Read(25, WHOLE)),
    case("a total that counts what is hidden from us", _totals("27"), Read(25, "FewerThanTotal")),
    case("a total that is too small by one", _totals("24"), Read(25, "MoreThanTotal")),
    case("a total that shrinks", _totals("25", "24"), Read(25, "ChangedWhilePaging")),
    case("a total of 0 on every page", _totals("0"), Read(25, "MoreThanTotal")),
    case("a total that is of another collection", _totals("648"), Read(25, "FewerThanTotal")),
    *(case(f"links to {name}, as the server believes itself to be called", _elsewhere, Read(25, WHOLE))
      for name, _elsewhere in {
          "localhost": (lambda asked: _linked(asked, "http://localhost:{own}")),
          "localhost without a port": (lambda asked: _linked(asked, "http://localhost")),
          "an address inside its network": (lambda asked: _linked(asked, "https://10.0.0.5:8443")),
          "its name behind a proxy": (lambda asked: _linked(asked, "http://backend.internal")),
          "the trap": (lambda asked: _linked(asked, "{trap}")),
          "TLS on its own port": (lambda asked: _linked(asked, "https://127.0.0.1:{own}")),
      }.items()),
    case("a next link that has lost its place", lambda asked: _linked(asked, "{self}", "limit=10"), Read(25, WHOLE)),
]  # fmt: skip


def _linked(asked: Asked, base: str, query: str = "limit=10&cursor=abc") -> Answer:
    found = listing(25)(asked) if "offset" in asked.query else Answer(body={"orgs": orgs(0, 10)})
    base = base.replace("{own}", asked.headers["host"].rpartition(":")[2])
    found.headers["Link"] = f'<{base}{asked.path}?{query}>; rel="next", <{base}{asked.path}>; rel="first"'
    return found


def _without_repeats() -> list[Case]:
    """Servers that do not page as they were asked to."""
    return [
        case("a clamp that is not told", listing(25, clamp=7), Read(25, WHOLE)),
        case("a clamp that is not told, without a total", listing(25, clamp=7, counted=False), Read(25, LOOKS)),
        case("a clamp to one", listing(5, clamp=1), Read(5, WHOLE)),
        case("the first page whatever is asked for", lambda _: Answer(body={"orgs": orgs(0, 10)},
             headers={"X-Total-Count": "10"}), Read(10, WHOLE)),
        case("the first page whatever is asked for, of 25", lambda _: Answer(body={"orgs": orgs(0, 10)},
             headers={"X-Total-Count": "25"}), Read(10, "FewerThanTotal")),
        case("everything at once, whatever is asked for", lambda _: Answer(body={"orgs": orgs(0, 25)},
             headers={"X-Total-Count": "25"}), Read(25, WHOLE)),
        case("an offset that counts pages", lambda asked: Answer(
             body={"orgs": orgs(int(asked.query["offset"]) * 10, 10) if int(asked.query["offset"]) < 3 else []},
             headers={"X-Total-Count": "30"}), Read(10, "FewerThanTotal")),
        case("one record that slips from page to page", lambda asked: Answer(
             body={"orgs": orgs(max(0, int(asked.query["offset"]) - 1), 10) if int(asked.query["offset"]) < 20 else []},
             headers={"X-Total-Count": "20"}), Read(20, "DuplicateIds")),
        case("400 above a limit of 5", lambda asked: listing(25)(asked) if int(asked.query["limit"]) <= 100 else
             Answer(400, {"imsx_codeMajor": "failure", "imsx_description": CANARY}), Read(25, WHOLE), page_size=5000),
        case("403 instead of 401 for a token that has ended", _tired(), Read(25, WHOLE)),
        Case(FAMILY, "200 and nothing for a client without a district", Pull(Answer(body={"orgs": []},
             headers={"X-Total-Count": "0"})), Read(0, WHOLE)),
        Case(FAMILY, "demographics without their scope", Pull(Answer(403, HTML), granted(
             scope="https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly"), entity=Entity.DEMOGRAPHICS),
             Refused(Reason.SCOPE_MISSING, entity=Entity.DEMOGRAPHICS)),
    ]  # fmt: skip


def _tired() -> Callable[[Asked], Answer]:
    """Answers 403 to the second page, once a round."""
    refusals: set[str] = set()

    def answer(asked: Asked) -> Answer:
        if asked.query["offset"] == "0":
            refusals.clear()
        if asked.query["offset"] == "10" and not refusals:
            refusals.add("10")
            return Answer(403, HTML)
        return listing(25)(asked)

    return answer


def _classlink(name: str, application: str, expect: Outcome, escaped: str = "") -> Case:
    world = Profiled("ClassLink", f"/{escaped}{V1P1}", wishes={
        "auth": "Bearer", "version": "1.1", "parameters": {"applicationID": application}})  # fmt: skip
    return Case(FAMILY, f"ClassLink: an application {name}", world, expect)


def _campus(name: str, app: str, expect: Outcome, escaped: str = "") -> Case:
    world = Profiled(
        "InfiniteCampus", f"/campus/api{V1P2}", f"/campus/oauth2/token?appName={escaped}&grant_type=client_credentials",
        wishes={"version": "1.2", "parameters": {"appName": app}},
    )  # fmt: skip
    return Case(FAMILY, f"Infinite Campus: an app name {name}", world, expect)


_TAKEN, _INVALID = Read(25, WHOLE), Refused(Reason.SETTINGS_INVALID, entity=None, page=None)
_PLACES = [("with a blank", "our app", "our%20app"), ("already escaped", "our%20app", "our%20app"),
           ("that would go up", "../../evil", "..%2F..%2Fevil"), ("with a slash", "a/b", "a%2Fb"),
           ("with a question mark", "a?scope=admin", "a%3Fscope%3Dadmin"),
           ("with an ampersand", "a&grant_type=password", "a%26grant_type%3Dpassword"), ("with a hash", "a#b", "a%23b"),
           ("with a newline", "a\nX-Evil: 1", "a%0AX-Evil%3A%201"),
           ("with an at sign", "a@evil.example", "a%40evil.example"),
           ("beyond ASCII", "\u00e9\u202e", "%C3%A9%E2%80%AE"), ("in braces", "{origin}", "%7Borigin%7D"),
           ("with blanks at its ends", "  app ", "app")]  # fmt: skip

_PARAMETERS = [
    *(_classlink(name, value, _TAKEN, escaped) for name, value, escaped in _PLACES),
    *(_campus(name, value, _TAKEN, escaped) for name, value, escaped in _PLACES),
    _classlink("that is empty", "", _INVALID),
    _campus("of blanks", "   ", _INVALID),
    *(Case(FAMILY, name, Profiled(provider, V1P1, wishes=wishes), _INVALID) for name, provider, wishes in [
        ("a vendor that is not known", CANARY + "\x1b[2J", {}),
        ("a parameter that the vendor has not", "Synergy", {"parameters": {CANARY[:3] + "\x1b[31m": SECRET}}),
        ("ClassLink: OAuth 2, which it has not", "ClassLink", {"auth": "OAuth2"}),
        ("Infinite Campus: OAuth 1, which has ended", "InfiniteCampus", {"auth": "OAuth1"}),
        ("Skyward: no token URL", "SkywardSMS", {}),
        ("a base path without a version", "Generic", {"base_path": "/api"}),
    ]),
]  # fmt: skip

CASES = [*_PAST, *_HEADERS, *_without_repeats(), *_PARAMETERS]
