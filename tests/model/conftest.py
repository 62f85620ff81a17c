"""Fixtures of this folder."""

from tests.store.fixtures import roster, roster_database

__all__ = ["roster", "roster_database"]
