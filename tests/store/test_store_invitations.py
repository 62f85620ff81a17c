"""Invitations: one link for one person, used once, by an application that may see the district, while it counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from tests.store.fixtures import CLUSTER, NAMESPACE, Roster
from tests.store.test_store_application import school_day

from roster_operator.store import access, activity, console_logins, invitations, readers, readings, retention, runs
from roster_operator.store.errors import StoreError
from roster_operator.store.invitations import Invitation
from roster_operator.store.readings import Kind, Place

pytestmark = pytest.mark.store
ADDRESS = "t.each@north.example"
NOTHING = (None, None, None, None)


class Desk:
    """The console in front of one district, and the application behind it."""

    def __init__(self, roster: Roster, console: str, application: str) -> None:
        self.roster, self.console, self.application = roster, console, application
        self.place = Place(roster.key(), NAMESPACE, "springfield", CLUSTER)

    @property
    def tenant(self) -> str:
        return self.place.tenant

    def at(self) -> AbstractContextManager[psycopg.Connection]:
        return readings.opened(self.console, self.place, person="ada", kind=Kind.ACCESS, subject="teacher", write=True)

    def invite(self, user: str = "teacher", by: str = "ada", **more: timedelta) -> Invitation:
        with self.at() as conn:
            return invitations.invite(conn, self.tenant, user, by=by, **more)

    def settle(self, made: Invitation, trouble: str | None = None) -> None:
        with self.at() as conn:
            invitations.settle(conn, self.tenant, "teacher", made, by="ada", trouble=trouble)

    def redeem(self, token: str | None, *, look: bool = False, application: str = "") -> tuple[object, ...]:
        with psycopg.connect(application or self.application, autocommit=True) as conn:
            row = conn.execute("select * from roster_app.redeem_invitation(%s, %s)", (token, look)).fetchone()
        assert row
        return row

    def state(self, user: str = "teacher") -> str | None:
        with self.at() as conn:
            found = access.of(conn, self.tenant, user)
        return found.invitation if found else None

    def change(self, statement: str) -> None:
        with self.roster.owner() as conn:
            conn.execute(statement.encode(), (self.tenant,))


@pytest.fixture
def desk(roster: Roster) -> Iterator[Desk]:
    school_day(roster)
    with roster.stager() as conn:
        runs.claim(conn, roster.key(), CLUSTER, NAMESPACE, "springfield")
    owner, number = roster.database.owner_url, uuid4().hex[:12]
    console, application = f"console_{number}", f"application_{number}"
    made = Desk(roster, console_logins.create(owner, console), readers.create(owner, application, [roster.key()]))
    made.change(f"update roster.users set email = '{ADDRESS}' where tenant = %s and sourced_id = 'teacher'")
    with made.at() as conn:
        access.grant(conn, made.tenant, "teacher", ["results.read"], by="ada")
    yield made
    console_logins.drop(owner, console)
    readers.drop(owner, application)


def test_a_link_is_looked_at_and_then_used_once(desk: Desk) -> None:
    assert desk.state() is None
    made = desk.invite()
    assert made.address == ADDRESS
    assert desk.state() == "Waiting"
    desk.settle(made)
    assert desk.state() == "Sent"
    who = (desk.tenant, "teacher", "teacher", ["results.read"])
    assert desk.redeem(made.token, look=True) == ("Valid", *who)
    assert desk.redeem(made.token, look=True) == ("Valid", *who)
    assert desk.redeem(made.token) == ("Redeemed", *who)
    assert desk.redeem(made.token) == ("Used", *NOTHING)
    assert desk.redeem(made.token, look=True) == ("Used", *NOTHING)
    assert desk.state() == "Redeemed"
    with pytest.raises(StoreError) as refused:
        desk.invite()
    assert refused.value.reason == "InvitationUsed"


@pytest.mark.parametrize("token", ["", "x", "0" * 43, None])
def test_a_token_that_was_never_given_opens_nothing(desk: Desk, token: str | None) -> None:
    desk.invite()
    assert desk.redeem(token) == ("Unknown", *NOTHING)


def test_the_database_does_not_hold_the_token_nor_say_whom_an_act_was_about(desk: Desk) -> None:
    made = desk.invite()
    rows = desk.roster.ask("select a::text from roster.app_access a union all select b::text from roster.access_act b")
    assert len(rows) >= 2
    assert not [row for (row,) in rows if made.token in row or ADDRESS in row]
    assert "teacher" not in str(desk.roster.ask("select b::text from roster.access_act b"))
    assert made.token not in repr(made)
    assert ADDRESS not in repr(made)


def test_a_second_invitation_takes_the_place_of_the_first(desk: Desk) -> None:
    first = desk.invite()
    second = desk.invite()
    desk.settle(first, "MailRecipientRefused")  # its answer came late
    assert desk.state() == "Waiting"
    assert desk.redeem(first.token)[0] == "Unknown"
    assert desk.redeem(second.token)[0] == "Redeemed"


def test_one_that_was_withdrawn_or_has_expired_opens_nothing(desk: Desk) -> None:
    made = desk.invite()
    with desk.at() as conn:
        invitations.withdraw(conn, desk.tenant, "teacher", by="ada")
    assert desk.state() == "Withdrawn"
    assert desk.redeem(made.token)[0] == "Unknown"
    with pytest.raises(StoreError) as refused, desk.at() as conn:
        invitations.withdraw(conn, desk.tenant, "teacher", by="ada")
    assert refused.value.reason == "InvitationUnknown"
    late = desk.invite(lifetime=timedelta(seconds=-1))
    assert desk.state() == "Expired"
    assert desk.redeem(late.token)[0] == "Expired"


def test_it_counts_only_while_the_person_has_access_and_the_address_is_theirs(desk: Desk) -> None:
    made = desk.invite()
    users = "update roster.users set {} where tenant = %s and sourced_id = 'teacher'"
    for wrong, right, outcome in (
        ("status = 'inactive'", "status = 'active'", "NoAccess"),
        ("enabled_user = false", "enabled_user = true", "NoAccess"),
        ("email = 'somebody.else@north.example'", f"email = '{ADDRESS}'", "AddressChanged"),
        ("email = null", f"email = '{ADDRESS.upper()}'", "AddressChanged"),
    ):
        desk.change(users.format(wrong))
        assert desk.redeem(made.token)[0] == outcome
        desk.change(users.format(right))
        assert desk.redeem(made.token, look=True)[0] == "Valid"


def test_access_that_ended_takes_the_invitation_with_it_and_begins_without_one(desk: Desk) -> None:
    made = desk.invite()
    with desk.at() as conn:
        access.grant(conn, desk.tenant, "teacher", ["results.write"], by="ada")  # other permissions: it stays
    assert desk.redeem(made.token, look=True)[0] == "Valid"
    with desk.at() as conn:
        access.revoke(conn, desk.tenant, "teacher", by="ada")
    assert desk.redeem(made.token)[0] == "Unknown"
    # An undo ends access without a look at the invitation.
    with desk.at() as conn:
        access.grant(conn, desk.tenant, "teacher", ["results.read"], by="ada")
    assert desk.state() is None
    again = desk.invite()
    desk.change("update roster.app_access set revoked_by = 'undo', revoked_at = now() where tenant = %s")
    assert desk.redeem(again.token)[0] == "NoAccess"
    with desk.at() as conn:
        access.grant(conn, desk.tenant, "teacher", ["results.read"], by="ada")
    assert desk.redeem(again.token)[0] == "Unknown"


def test_nobody_is_invited_who_cannot_come_in(desk: Desk) -> None:
    for user, reason in (("pupil", "AccessUnknown"), ("nobody", "AccessUnknown")):
        with pytest.raises(StoreError) as refused:
            desk.invite(user)
        assert refused.value.reason == reason
    for change, reason in (("email = null", "AddressMissing"), ("status = 'inactive'", "PersonUnknown")):
        desk.change(f"update roster.users set {change} where tenant = %s and sourced_id = 'teacher'")
        with pytest.raises(StoreError) as refused:
            desk.invite()
        assert refused.value.reason == reason


def test_nobody_is_invited_too_often_and_nobody_invites_too_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(invitations.TO_ONE):
        desk.invite()
    with pytest.raises(StoreError) as refused:
        desk.invite(by="another")
    assert refused.value.reason == "InvitedTooOften"
    desk.change("update roster.access_act set at = at - interval '61 minutes' where tenant = %s")
    desk.invite()
    monkeypatch.setattr(invitations, "BY_ONE", 1)
    with pytest.raises(StoreError) as refused:
        desk.invite()
    assert refused.value.reason == "InvitedTooOften"
    desk.invite(by="another")


def test_an_application_redeems_only_in_its_own_districts(desk: Desk, roster: Roster) -> None:
    made = desk.invite()
    roster.logins("shelbyville")
    login = f"application_{uuid4().hex[:12]}"
    foreign = readers.create(roster.database.owner_url, login, [roster.key("shelbyville")])
    assert desk.redeem(made.token, application=foreign)[0] == "Unknown"
    readers.drop(roster.database.owner_url, login)
    with psycopg.connect(desk.console, autocommit=True) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select * from roster_app.redeem_invitation(%s)", (made.token,))
    assert desk.redeem(made.token)[0] == "Redeemed"


def test_each_act_stands_in_the_activity_until_its_time_is_over(desk: Desk) -> None:
    made = desk.invite()
    desk.settle(made, "MailRecipientRefused")
    again = desk.invite()
    desk.settle(again)
    desk.redeem(again.token)
    with desk.at() as conn:
        acts = activity.listing(conn, desk.tenant, kind="invited")
        held = {each.sourced_id: each for each in access.holders(conn, desk.tenant)}
    assert [(act.what, act.detail) for act in acts] == [
        ("redeemed", None), ("invited", None), ("notSent", "MailRecipientRefused"), ("invited", None),
    ]  # fmt: skip
    assert [act.who for act in acts[1:]] == ["ada"] * 3
    assert str(acts[0].who).startswith("application_")
    assert (held["teacher"].invitation, held["teacher"].invitation_trouble) == ("Redeemed", None)
    desk.change("update roster.access_act set at = at - interval '2 years' where tenant = %s")
    retention.reap(desk.roster.database.owner_url)
    with desk.at() as conn:
        assert activity.listing(conn, desk.tenant, kind="invited") == []
