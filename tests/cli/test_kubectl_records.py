"""`kubectl roster` where it shows records: through a real console, with the rights of the kubeconfig's person."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli import kubectl_people as people
from tests.cli.kubectl_console import WAITS, Standing, standing
from tests.cli.kubectl_people import READ, Person
from tests.console.world import DISTRICT
from tests.support.apiserver import ApiServer

pytestmark = [pytest.mark.apiserver, pytest.mark.store]
__all__ = ["standing"]


def test_the_records_that_change_are_listed_old_and_new(standing: Standing) -> None:
    mona = standing.person("mona", "roster-data-manager")
    changed = mona.json("diff", WAITS, "--action", "update")["changes"]
    assert changed
    assert {each["action"] for each in changed} == {"update"}
    some, field, value = next(
        (each, field, value)
        for each in changed
        for field, value in each["fields"].items()
        if isinstance(value["old"], str) and isinstance(value["new"], str)
    )
    text = mona("diff", WAITS, "--field", field).stdout
    assert some["sourcedId"] in text
    assert f"    {field}: {value['old']} → {value['new']}\n" in text
    cut = mona("diff", WAITS, "--entity", "enrollments", "--limit", "1")
    assert "There are more than 1" in cut.stderr
    whole = mona.json("diff", WAITS, "--entity", "enrollments", "--limit", "2000")
    assert whole["more"] is False
    assert mona("diff", WAITS, "--search", "nobody at all").stdout == "No record like this changes.\n"
    for wrong in (("--entity", "people"), ("--action", "eat"), ("--field", "shoe_size")):
        assert "one of" in mona("diff", WAITS, *wrong, code=2).stderr.replace("\n", " ")
    assert "NotStaged" in mona("diff", "springfield-1", code=1).stderr
    assert "Did you mean" in mona("diff", "springfield-3", code=1).stderr
    assert (standing.world.who("mona"), "plan") in standing.world.readings()


def test_a_person_is_found_and_told(standing: Standing) -> None:
    mona = standing.person("mona", "roster-data-manager")
    identity, given, family = standing.world.roster.ask(
        "select sourced_id, given_name, family_name from roster.users where role = 'teacher' order by 1 limit 1"
    )[0]
    found = mona("person", DISTRICT, f"{given} {family}", "--role", "teacher").stdout
    assert found.split()[:3] == ["SOURCEDID", "NAME", "ROLE"]
    assert f"{identity}   {given} {family}" in found
    told = mona("person", DISTRICT, "--id", identity).stdout
    assert told.startswith(f"{given} {family}: teacher")
    assert "create in springfield-1 by ada" in told
    assert mona.json("person", DISTRICT, "--id", identity)["record"]["sourced_id"] == identity
    assert "NotFound" in mona("person", DISTRICT, "--id", "nobody", code=1).stderr
    mona("person", DISTRICT, family, "--id", identity, code=2)


def test_without_the_right_or_the_way_there_is_a_reason_and_nothing_else(standing: Standing) -> None:
    before = standing.world.readings()
    anna = standing.person("anna", "roster-approver")
    for arguments in (("diff", WAITS), ("person", DISTRICT, "a")):
        refused = anna(*arguments, code=1)
        assert refused.stdout == ""
        assert "Forbidden: You may not see records here." in refused.stderr
    for address, reason in (
        ("", "NoConsole"),
        ("http://roster.example", "ConsoleAddressInvalid"),
        ("https://ada:secret@roster.example", "ConsoleAddressInvalid"),
        ("http://localhost:1", "ConsoleUnreachable"),
    ):
        lost = Person(anna.kubeconfig, {"ROSTER_CONSOLE_URL": address})("diff", WAITS, code=1)
        assert lost.stderr.startswith(f"{reason}: ")
        assert "secret" not in lost.stderr
    assert standing.world.readings() == before


def test_it_says_how_to_reach_the_console(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    services = {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}
    ada = people.person(apiserver, namespace, tmp_path, [*READ, services])
    assert "NoConsole" in ada("console", "-n", namespace, code=1).stderr
    apiserver.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "roster-console",
                "namespace": namespace,
                "labels": {"app.kubernetes.io/component": "console"},
            },
            "spec": {"ports": [{"name": "https", "port": 443}], "selector": {"app": "x"}},
        }
    )
    assert ada("console", "-n", namespace).stdout == (
        f"kubectl -n {namespace} port-forward service/roster-console 8090:443\nhttps://localhost:8090\n"
    )
    assert ada.json("console", "--console", "https://roster.example")["address"] == "https://roster.example"
