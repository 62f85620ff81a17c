"""Sessions in the database: they outlive a restart, replicas share them, and only the person's cookie opens one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from tests.store.fixtures import Roster

from roster_operator.console import kept_sessions, sessions
from roster_operator.console.kept_sessions import KeptSessions
from roster_operator.console.problems import Problem
from roster_operator.console.sessions import SignedIn
from roster_operator.store import console_logins, retention

pytestmark = pytest.mark.store
KEY, OTHER = b"k" * 40, b"o" * 40
TOKEN = "a-token-of-ada-4711"


@pytest.fixture
def url(pg18_roster: Roster) -> Iterator[str]:
    """The login of a console."""
    login = f"sessions_{uuid4().hex[:8]}"
    yield console_logins.create(pg18_roster.database.owner_url, login)
    console_logins.drop(pg18_roster.database.owner_url, login)


async def test_a_second_replica_knows_who_signed_in_at_the_first(url: str) -> None:
    identity = await KeptSessions(url, (KEY,)).begin(TOKEN, "ada", ("k12", "k13"))
    other = KeptSessions(url, (KEY,))
    found = await other.find(identity)
    assert found is not None
    assert (found.token, found.person, found.namespaces) == (TOKEN, "ada", ("k12", "k13"))
    assert found.form_token
    assert "4711" not in repr(found)
    await other.end(identity)
    assert await KeptSessions(url, (KEY,)).find(identity) is None


async def test_neither_the_database_nor_the_mounted_key_opens_a_session(url: str, pg18_roster: Roster) -> None:
    identity = await KeptSessions(url, (KEY,)).begin(TOKEN, "ada.lovelace", ())
    ((stands, sealed),) = pg18_roster.ask("select s::text, s.sealed from roster.console_session s")
    for secret in (TOKEN, "lovelace", identity):
        assert secret not in stands
        assert secret.encode().hex() not in stands
    assert kept_sessions.opened((KEY,), identity, sealed)
    assert kept_sessions.opened((KEY,), identity[:-1] + "x", sealed) is None, "the key was enough"
    assert kept_sessions.opened((OTHER,), identity, sealed) is None, "the cookie was enough"
    assert kept_sessions.opened((KEY,), identity, sealed[:-1] + b"?") is None
    with psycopg.connect(url, autocommit=True) as conn:
        for query in (b"select * from roster.console_session", b"delete from roster.console_session"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(query)


async def test_a_session_that_was_put_into_another_row_stays_closed(url: str, pg18_roster: Roster) -> None:
    kept = KeptSessions(url, (KEY,))
    ada, eve = await kept.begin(TOKEN, "ada", ()), await kept.begin("token-of-eve", "eve", ())
    with psycopg.connect(pg18_roster.database.owner_url, autocommit=True) as conn:
        swap = b"update roster.console_session set sealed = (select sealed from roster.console_session where id = %s)"
        conn.execute(swap + b" where id = %s", (kept_sessions.row_of(ada), kept_sessions.row_of(eve)))
    assert await kept.find(eve) is None
    assert await kept.find(ada) is not None


async def test_an_older_key_opens_and_the_first_one_closes(url: str) -> None:
    old = await KeptSessions(url, (KEY,)).begin(TOKEN, "ada", ())
    both = KeptSessions(url, (OTHER, KEY))
    assert await both.find(old)
    new = await both.begin(TOKEN, "ada", ())
    assert await KeptSessions(url, (OTHER,)).find(new)
    assert await KeptSessions(url, (OTHER,)).find(old) is None


async def test_they_end_after_their_time_and_after_a_rest(url: str, pg18_roster: Roster) -> None:
    kept = KeptSessions(url, (KEY,))

    def age(what: str, by: str) -> None:
        with psycopg.connect(pg18_roster.database.owner_url, autocommit=True) as conn:
            conn.execute(f"update roster.console_session set {what} = {what} - interval '{by}'".encode())

    rested = await kept.begin(TOKEN, "ada", ())
    age("used", "59 minutes")
    assert await kept.find(rested), "it was used within the hour"
    age("used", "59 minutes")
    assert await kept.find(rested), "a look did not count as use"
    age("used", "61 minutes")
    assert await kept.find(rested) is None
    lived = await kept.begin(TOKEN, "ada", ())
    assert pg18_roster.ask("select count(*)::int from roster.console_session") == [(1,)], "what ended was kept"
    age("began", "8 hours 1 minute")
    assert await kept.find(lived) is None
    age("began", "17 hours")
    retention.reap(pg18_roster.database.owner_url)
    assert pg18_roster.ask("select count(*)::int from roster.console_session") == [(0,)]


async def test_they_are_bounded_for_each_person_and_the_least_used_goes(url: str, pg18_roster: Roster) -> None:
    kept = KeptSessions(url, (KEY,))
    bystander = await kept.begin("t", "bystander", ())
    flood = [await kept.begin("t", "flooder", ()) for _ in range(sessions.MOST_EACH + 3)]
    assert await kept.find(bystander)
    assert [await kept.find(one) is not None for one in flood] == [False] * 3 + [True] * sessions.MOST_EACH
    with psycopg.connect(pg18_roster.database.owner_url, autocommit=True) as conn:
        conn.execute(
            b"insert into roster.console_session (login, id, owner, sealed, used)"
            b" select (select min(login) from roster.console_session), sha256(n::text::bytea), sha256(n::text::bytea),"
            b" '', now() - interval '1 minute' from generate_series(1, %s) n",
            (sessions.MOST,),
        )
    newest = await kept.begin("t", "late", ())
    assert await kept.find(newest)
    assert pg18_roster.ask("select count(*)::int from roster.console_session") == [(sessions.MOST,)]


async def test_another_consoles_login_reaches_none_of_them(url: str, pg18_roster: Roster) -> None:
    identity = await KeptSessions(url, (KEY,)).begin(TOKEN, "ada", ())
    login = f"second_{uuid4().hex[:8]}"
    second = KeptSessions(console_logins.create(pg18_roster.database.owner_url, login), (KEY,))
    try:
        await second.end(identity)
        assert await second.find(identity) is None
        assert await KeptSessions(url, (KEY,)).find(identity)
    finally:
        console_logins.drop(pg18_roster.database.owner_url, login)


async def test_only_a_console_keeps_sessions(pg18_roster: Roster) -> None:
    with pytest.raises(Problem):
        await KeptSessions(pg18_roster.logins("springfield").stage_url, (KEY,)).begin(TOKEN, "ada", ())


async def test_a_token_is_renewed_where_it_rests_and_only_while_the_session_lives(
    url: str, pg18_roster: Roster
) -> None:
    kept = KeptSessions(url, (KEY,))
    identity = await kept.begin(TOKEN, "ada", ("k12",), SignedIn("refresh-4711", 1000.0, "subject-of-ada"))
    session = await kept.find(identity)
    assert session is not None
    began = pg18_roster.ask("select began from roster.console_session")
    await kept.renew(identity, replace(session, token="renewed", refresh="refresh-2", expires=2000.0))
    found = await KeptSessions(url, (KEY,)).find(identity)
    assert found is not None
    assert (found.token, found.refresh, found.expires, found.subject) == (
        "renewed",
        "refresh-2",
        2000.0,
        session.subject,
    )
    assert pg18_roster.ask("select began from roster.console_session") == began, "a renewal lengthened the session"
    ((stands,),) = pg18_roster.ask("select s::text from roster.console_session s")
    assert b"refresh-2".hex() not in stands
    await kept.end(identity)
    await kept.renew(identity, session)
    assert pg18_roster.ask("select count(*)::int from roster.console_session") == [(0,)], "a renewal brought it back"
