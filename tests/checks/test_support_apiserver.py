"""Waiting for resource definitions, whatever kubectl makes of one that is a moment old."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.support.apiserver import ApiServer

TOO_NEW = "error: .status.conditions accessor error: <nil> is of the type <nil>, expected []interface{}"


class Answering(ApiServer):
    """A server of which kubectl says these things, one after the other."""

    def __init__(self, *errors: str) -> None:
        super().__init__(Path(), 0, Path())
        self.errors = list(errors)

    def kubectl(
        self, *arguments: str, given: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        error = self.errors.pop(0)
        return subprocess.CompletedProcess(arguments, bool(error), "", error)


def test_definitions_without_conditions_are_asked_for_again() -> None:
    server = Answering(TOO_NEW, TOO_NEW, "")
    server.established()
    assert server.errors == []


def test_any_other_answer_is_a_failure_at_once() -> None:
    server = Answering("error: timed out waiting for the condition", "")
    with pytest.raises(AssertionError, match="timed out"):
        server.established()
    assert server.errors == [""]


def test_it_is_not_asked_for_ever() -> None:
    with pytest.raises(AssertionError, match="accessor error"):
        Answering(TOO_NEW).established(seconds=-1)
