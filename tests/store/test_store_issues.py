"""Problems of files, beside those of records: listed with their places, and followed from run to run."""

from __future__ import annotations

import psycopg
import pytest
from tests.store.fixtures import Roster, run_name
from tests.store.staging import stage_orgs

from roster_operator.store import issue_history, issues, runs
from roster_operator.store.stage import Issue

pytestmark = pytest.mark.store

HEADER = Issue("orgs", None, "HeaderCase", "warning", "parentSourcedId", file="orgs.csv", line=1)
FOLDER = Issue("bundle", None, "FolderInZip", "warning", None, file="", line=0)
ROLES = Issue("roles", None, "HeaderOrder", "warning", None, file="roles.csv", line=1)
ROW = Issue("orgs", "a", "MissingExpected", "warning", "identifier", file="orgs.csv", line=2)
PAGED = Issue("orgs", "b", "MissingExpected", "warning", "identifier", page=1)


def staged(conn: psycopg.Connection, title: str, *found: Issue) -> tuple[runs.Run, dict[str, int]]:
    """A run with these issues, and how many of each code its plan counts."""
    name, plan = stage_orgs(conn, {"a": title, "b": title}, name=run_name(title), issues=found)
    run = runs.get(conn, name.run)
    issue_history.note(conn, run.run, run.token, [])
    return run, {each["code"]: each["count"] for each in plan.issues}


def test_a_problem_of_a_file_is_counted_listed_and_followed(roster: Roster) -> None:
    with roster.stager() as conn:
        run, counts = staged(conn, "one", HEADER, FOLDER, ROLES, ROW, PAGED)
        assert counts == {"HeaderCase": 1, "FolderInZip": 1, "HeaderOrder": 1, "MissingExpected": 2}
        listed = [(each.entity, each.sourced_id, each.code, each.file, each.line) for each in issues.listing(conn, run)]
        assert listed == [
            ("bundle", None, "FolderInZip", "", 0),
            ("orgs", None, "HeaderCase", "orgs.csv", 1),
            ("orgs", "a", "MissingExpected", "orgs.csv", 2),
            ("orgs", "b", "MissingExpected", None, None),
            ("roles", None, "HeaderOrder", "roles.csv", 1),
        ]
        assert issue_history.trend(conn, run.run).new == 5
        # The header moved a line down, which makes it no other problem; users were not read, so nothing is known of
        # roles.csv.
        lower = Issue("orgs", None, "HeaderCase", "warning", "parentSourcedId", file="orgs.csv", line=2)
        run, _ = staged(conn, "two", lower, ROW)
        trend = issue_history.trend(conn, run.run)
        assert (trend.new, trend.still, trend.fixed) == (0, 2, 2)
        found = {(each.code, each.sourced_id): each for each in issue_history.problems(conn, run.run)}
        assert {key: each.state for key, each in found.items()} == {
            ("HeaderCase", ""): "still",
            ("MissingExpected", "a"): "still",
            ("MissingExpected", "b"): "fixed",
            ("FolderInZip", ""): "fixed",
        }
        assert found["HeaderCase", ""].line == 2
        run, _ = staged(conn, "three", FOLDER)
        states = {each.code: each.state for each in issue_history.problems(conn, run.run)}
        assert states == {"HeaderCase": "fixed", "MissingExpected": "fixed", "FolderInZip": "back"}
        by_school = issue_history.by_school(conn, run.run)
        assert [(each.code, each.school, each.back) for each in by_school if each.back] == [("FolderInZip", None, 1)]
