"""Fixtures that every folder of tests may use."""

pytest_plugins = ["tests.support.apiserver", "tests.support.identity_provider", "tests.support.postgres"]
