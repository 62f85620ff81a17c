"""Connections that the console keeps: lent again, thrown away when they broke, and refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from tests.store.fixtures import CLUSTER, NAMESPACE, Roster
from tests.store.staging import merge_orgs

from roster_operator.store import console_logins, pool, readings, runs
from roster_operator.store.database import connect, scalar
from roster_operator.store.errors import StoreError
from roster_operator.store.pool import Pool
from roster_operator.store.readings import Kind, Place

pytestmark = pytest.mark.store


@pytest.fixture
def console(roster: Roster) -> Iterator[str]:
    login = f"console_{uuid4().hex[:12]}"
    yield console_logins.create(roster.database.owner_url, login)
    console_logins.drop(roster.database.owner_url, login)


@pytest.fixture
def lent(console: str) -> Iterator[Pool]:
    one = Pool(console)
    yield one
    one.close()


def test_the_same_connection_serves_again_and_a_broken_one_does_not(roster: Roster, lent: Pool) -> None:
    with connect(lent.connection) as conn:
        first = scalar(conn, "select pg_backend_pid()")
    with connect(lent.connection) as conn:
        assert scalar(conn, "select pg_backend_pid()") == first
    with psycopg.connect(roster.database.superuser_url, autocommit=True) as conn:
        conn.execute("select pg_terminate_backend(%s)", (first,))
    with connect(lent.connection) as conn:
        assert scalar(conn, "select pg_backend_pid()") != first


def test_what_one_reading_may_see_the_next_one_on_the_same_connection_may_not(roster: Roster, lent: Pool) -> None:
    merge_orgs(roster, {"a": "North"})
    tenant = roster.key("springfield")
    with roster.stager("springfield") as conn:
        runs.claim(conn, tenant, CLUSTER, NAMESPACE, "springfield")
    place = Place(tenant, NAMESPACE, "springfield", CLUSTER)
    with readings.opened(lent.connection, place, person="ada", kind=Kind.PEOPLE) as conn:
        assert scalar(conn, "select count(*) from roster.orgs") == 1
        process = scalar(conn, "select pg_backend_pid()")
    with pytest.raises(ZeroDivisionError), readings.opened(lent.connection, place, person="ada", kind=Kind.PEOPLE):
        raise ZeroDivisionError
    with connect(lent.connection) as conn:
        assert scalar(conn, "select pg_backend_pid()") == process
        assert scalar(conn, "select count(*) from roster.orgs") == 0
        assert scalar(conn, "show statement_timeout") == "0"
        assert scalar(conn, "show transaction_read_only") == "off"


def test_where_no_connection_can_be_made_the_reason_is_said(console: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    password = urlsplit(console).password
    assert password
    for url, reason in (
        (console.replace(f":{password}@", ":wrong@"), "DatabaseLoginRefused"),
        ("postgresql://nobody@127.0.0.1:1/none", "DatabaseUnreachable"),
        ("postgresql://[", "DatabaseURLMalformed"),
    ):
        one = Pool(url)
        with pytest.raises(StoreError) as refused, connect(one.connection):
            pass
        assert refused.value.reason == reason
        one.close()
