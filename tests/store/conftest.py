"""Fixtures of this folder."""

from tests.store.fixtures import own_roster, roster, roster_database

__all__ = ["own_roster", "roster", "roster_database"]
