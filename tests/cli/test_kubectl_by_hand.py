"""`kubectl roster student|access|pin|match`: through a real console, with the rights of the kubeconfig's person."""

from __future__ import annotations

import pytest
from tests.cli.kubectl_console import Standing, standing
from tests.console.world import DISTRICT

pytestmark = [pytest.mark.apiserver, pytest.mark.store]
__all__ = ["standing"]


def student_of(standing: Standing) -> tuple[str, str, str, str]:
    """sourcedId, names and school of somebody of the SIS."""
    return standing.world.roster.ask(
        "select sourced_id, given_name, family_name, org_sourced_ids[1] from roster.users where role = 'student'"
        " and source = 'SIS' and status = 'active' order by 1 limit 1"
    )[0]


def test_a_student_is_added_and_found_to_be_somebody_of_the_sis(standing: Standing) -> None:
    mona, world = standing.person("mona", "roster-data-manager"), standing.world
    pupil, given, family, school = student_of(standing)
    names = ("--given-name", given, "--family-name", family, "--school", school)
    made = mona("student", "add", DISTRICT, *names, "--grade", "03", "--reason", "Arrived today").stdout.strip()
    assert made.startswith("manual-")
    found = mona.json("match", "list", DISTRICT)["matches"]
    assert [(each["manual"], each["sis"], each["basis"]) for each in found] == [(made, pupil, "name")]
    assert f"{made} ({given} {family})  may be  {pupil}" in mona("match", "list", DISTRICT).stdout
    assert mona("match", "reject", DISTRICT, made, pupil, "--reason", "twins").stdout == "Kept apart.\n"
    assert "is not" in mona("match", "list", DISTRICT, "--decided").stdout
    assert mona.json("match", "list", DISTRICT, "--decided")["decisions"][0]["reason"] == "twins"
    mona("match", "undo", DISTRICT, made, pupil)

    mona("student", "edit", DISTRICT, made, "--family-name", "Novak-Byron", "--email", "n@example.org")
    query = "select given_name, family_name, email, grades from roster.users where sourced_id = %s"
    assert world.roster.ask(query, made) == [(given, "Novak-Byron", "n@example.org", ["03"])]
    mona("student", "edit", DISTRICT, made, "--empty", "email", "--empty", "grade")
    assert world.roster.ask(query, made) == [(given, "Novak-Byron", None, [])]
    assert "NotFound" in mona("student", "end", "springfeld", made, code=1).stderr
    mona("student", "end", DISTRICT, made)
    changes = "select changed_by, reason from roster.manual_change where tenant = %s order by changed_at limit 1"
    assert world.roster.ask(changes, world.tenant) == [(world.who("mona"), "Arrived today")]
    assert {(world.who("mona"), kind) for kind in ("student", "matches", "match")} <= set(world.readings())


def test_a_namespace_that_is_given_outdoes_the_environments_database(standing: Standing) -> None:
    mona, world = standing.person("mona2", "roster-data-manager"), standing.world
    mona.environment["ROSTER_OWNER_URL"] = "postgresql://nobody@localhost:1/none"
    assert "DatabaseUnreachable" in mona("pin", "list", DISTRICT, code=1).stderr  # the database of the environment
    assert mona.json("pin", "list", DISTRICT, "-n", world.namespace)["pins"] == []
    both = mona("pin", "list", DISTRICT, "-n", world.namespace, "--database", "postgresql://x", code=2)
    assert "Invalid value for --database" in both.stderr


def test_a_value_is_pinned_and_released(standing: Standing) -> None:
    mona = standing.person("mona", "roster-data-manager")
    record = (DISTRICT, "users", student_of(standing)[0], "email")
    mona("pin", "set", *record, "--value", "a.new.one@example.org", "--until", "2999-01-01", "--reason", "asked for it")
    [pin] = mona.json("pin", "list", DISTRICT)["pins"]
    assert (pin["value"], pin["reason"], pin["released"]) == ("a.new.one@example.org", "asked for it", False)
    assert "email = a.new.one@example.org  pinned until 2999-01-01" in mona("pin", "list", DISTRICT).stdout
    assert "FieldNotPinnable" in mona("pin", "set", *record[:3], "shoe_size", "--value", "43", code=1).stderr
    assert "released" in (mona("pin", "release", *record).stdout + mona("pin", "list", DISTRICT).stdout)


def test_access_is_given_and_taken_by_those_who_may(standing: Standing) -> None:
    ada, world = standing.person("ada", "roster-admin"), standing.world
    teacher, family = world.roster.ask(
        "select sourced_id, family_name from roster.users where role = 'teacher' and status = 'active' order by 1"
    )[0]
    assert teacher in ada("access", "list", DISTRICT, "--find", family).stdout
    ada("access", "grant", DISTRICT, teacher, "--permission", "tests:create", "--permission", "tests:view")
    [held] = ada.json("access", "list", DISTRICT)["access"]
    assert (held["userSourcedId"], held["permissions"]) == (teacher, ["tests:create", "tests:view"])
    assert (held["grantedBy"], held["effective"]) == (world.who("ada"), True)
    assert "InvitationsOff" in ada("access", "invite", DISTRICT, teacher, code=1).stderr
    assert "InvitationUnknown" in ada("access", "withdraw", DISTRICT, teacher, code=1).stderr
    ada("access", "revoke", DISTRICT, teacher, "--reason", "left")
    assert "revoked" in ada("access", "list", DISTRICT).stdout
    anna = standing.person("anna", "roster-approver")
    refused = anna("access", "list", DISTRICT, code=1)
    assert refused.stdout == ""
    assert "Forbidden: You may not activate people here." in refused.stderr
