"""When credentials end, from each of the three places that may tell."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from tests.worker.worlds import World

from roster_operator.api.sources import Auth, AuthType, CredentialsRef, SecretUse
from roster_operator.store.database import connect
from roster_operator.worker import expiry
from roster_operator.worker.failures import WorkerError
from roster_operator.worker.inputs import ManifestSecret, NoSecret
from roster_operator.worker.steps import run_step


def secret(**values: str) -> ManifestSecret:
    return ManifestSecret(values, SecretUse("sis", {}))


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-06-30", datetime(2027, 6, 30, tzinfo=UTC)),
        ("2027-06-30\n", datetime(2027, 6, 30, tzinfo=UTC)),
        ("2027-06-30T12:00:00+02:00", datetime(2027, 6, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_person_says_it_in_the_secret(text: str, moment: datetime) -> None:
    assert expiry.of_secret(secret(expires=text)) == moment


def test_what_is_no_date_is_told_and_never_repeated() -> None:
    with pytest.raises(WorkerError) as told:
        expiry.of_secret(secret(expires="next canary"))
    assert told.value.reason == "ExpiresMalformed"
    assert "canary" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        (token({"exp": 1814400000}), datetime(2027, 7, 1, tzinfo=UTC)),
        (token({"exp": 1814400000.5, "iss": "x"}), datetime(2027, 7, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        (token({"exp": "soon"}), None),
        (token({"exp": 1e300}), None),
        (token({"exp": -1}), None),
        (token({"exp": float("nan")}), None),
        (token({"exp": None}), None),
        (token([1]), None),
        (token("[" * 100_000), None),
        ("a.$$$.c", None),
        ("a.äö.c", None),
        ("a.b.c.d", None),
        ("opaque", None),
    ],
)
def test_a_static_token_may_say_it_itself(given: str, moment: datetime | None) -> None:
    assert expiry.of_secret(secret(token=given)) == moment


def test_the_earliest_counts_and_nothing_told_is_nothing() -> None:
    both = secret(token=token({"exp": 1814400000}), expires="2027-06-30")
    assert expiry.of_secret(both) == datetime(2027, 6, 30, tzinfo=UTC)
    assert expiry.of_secret(secret()) is None
    assert expiry.of_secret(NoSecret()) is None


@pytest.mark.parametrize("kind", list(AuthType))
def test_each_kind_of_credentials_may_have_the_key(kind: AuthType) -> None:
    auth = Auth(type=kind, secret_ref=CredentialsRef(name="sis"))
    assert auth.secret().keys["expires"] == "expires"


@pytest.mark.store
def test_postgresql_says_it_of_either_login_and_the_test_reports_it(world: World) -> None:
    logins = world.roster.logins()
    stage, merge = (conninfo_to_dict(url)["user"] for url in (logins.stage_url, logins.merge_url))

    def told() -> datetime | None:
        with connect(logins.stage_url) as conn:
            return expiry.of_logins(conn)

    def until(login: object, text: str) -> None:
        with world.roster.owner() as owner:
            owner.execute(sql.SQL("alter role {} valid until {}").format(sql.Identifier(str(login)), sql.Literal(text)))

    assert told() is None
    until(stage, "2028-01-01 00:00+00")
    assert told() == datetime(2028, 1, 1, tzinfo=UTC)
    until(merge, "2027-02-03 00:00+00")
    sis, database = world.secrets()
    found = run_step(world.task("test"), sis=sis, database=database).test
    assert found is not None
    assert found.ready, found.failure
    assert found.credentials_expire == datetime(2027, 2, 3, tzinfo=UTC)
    (sis / "expires").write_text("2027-01-02\n")
    found = run_step(world.task("test"), sis=sis, database=database).test
    assert found is not None
    assert found.credentials_expire == datetime(2027, 1, 2, tzinfo=UTC)
    until(stage, "infinity")
    until(merge, "infinity")
    assert told() is None
