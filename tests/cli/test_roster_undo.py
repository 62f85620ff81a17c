"""`roster undo` without a cluster, and `kubectl roster undo`: a plan, and nothing merged before somebody says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli import kubectl_people as people
from tests.cli.kubectl_people import EDIT
from tests.cli.test_roster_command import ALLOWED, DISTRICT, Roster
from tests.support.apiserver import ApiServer

from roster_sample_sis import SampleSIS
from roster_sample_sis.variants import one_percent_changed


@pytest.fixture
def roster(tmp_path: Path) -> Iterator[Roster]:
    with SampleSIS(DISTRICT, client_id="id", client_secret="s3cret-canary") as sis:
        yield Roster(tmp_path, sis)


def merged(roster: Roster, file: str, *command: str) -> dict[str, Any]:
    """The document of a staging command, after its plan was merged."""
    staged = roster.json(*command, "-f", file, code=3)
    roster("merge", staged["run"], "-f", file, "--plan", staged["plan"]["digest"])
    return staged


@pytest.mark.store
def test_undo_and_undo_of_the_undo_on_an_own_database(roster: Roster) -> None:
    file = roster.connection()
    merged(roster, file, "stage", *ALLOWED)
    roster.sis.swap(one_percent_changed(DISTRICT, 3, share=0.05, mark_removed=True))
    wrong = merged(roster, file, "stage", *ALLOWED)
    # By the run's id, and by its sync's name.
    by_run, by_name = (roster.json("undo", wrong[key], "-f", file, code=3) for key in ("run", "sync"))
    assert by_run["plan"]["digest"] == by_name["plan"]["digest"]
    users, now = (found["plan"]["entities"]["users"] for found in (wrong, by_run))
    assert (now["update"], now["deactivate"], now["reactivate"]) == (
        users["update"],
        users["create"] + users["reactivate"],
        users["deactivate"],
    )
    text = roster("review", by_run["run"], "-f", file, "--entity", "users", "--action", "undone", code=3).stdout
    assert "Undone: " in text
    assert f"undone       users {DISTRICT.users[0].sourced_id[:3]}" in text
    roster("merge", by_run["run"], "-f", file, "--plan", by_run["plan"]["digest"])
    back = merged(roster, file, "undo", by_run["sync"])
    assert back["plan"]["entities"]["users"]["update"] == users["update"]
    nothing = roster.json("stage", "-f", file, *ALLOWED, code=3)
    assert all(
        counts["create"] + counts["update"] + counts["deactivate"] + counts["reactivate"] == 0
        for counts in nothing["plan"]["entities"].values()
    )
    assert "UndoUnknown" in roster("undo", "another", "-f", file, code=1).stderr
    assert "for a cluster" in roster("undo", "x", "-f", file, "--connection", "y", code=2).stderr


@pytest.mark.apiserver
def test_in_a_cluster_a_merged_sync_is_undone_by_another_sync(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.connection(apiserver, namespace)
    people.sync(apiserver, namespace, "wrong", "Merged")
    people.sync(apiserver, namespace, "waits", "AwaitingApproval")
    done = ada("undo", "wrong", "--overwrite", "--ignore-pause", "nobody can log in", "--name", "undo-1")
    assert "is not suspended" in done.stderr
    assert "next: roster watch undo-1" in done.stdout
    made = apiserver.read("rostersync", "undo-1", namespace)
    assert made is not None
    spec = made["spec"]
    assert {name: spec.get(name) for name in ("mode", "undoes", "undoConflicts", "ignorePause", "connectionRef")} == {
        "mode": "Undo",
        "undoes": "wrong",
        "undoConflicts": "Overwrite",
        "ignorePause": {"reason": "nobody can log in"},
        "connectionRef": {"name": "springfield"},
    }
    assert "approved" not in spec or not spec["approved"]
    ada("suspend", "springfield")
    told = ada("undo", "wrong")
    assert told.stderr == ""
    assert told.stdout.startswith("springfield-undo-")
    assert "NotMerged" in ada("undo", "waits", code=1).stderr
    assert "--connection" in ada("undo", "gone", code=1).stderr
    assert ada.json("undo", "gone", "--connection", "springfield")["mode"] == "Undo"
