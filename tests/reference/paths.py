"""The console's JSON API: its OpenAPI document, and a list of what there is."""

from __future__ import annotations

from typing import Any

from tests.reference.tables import table

from roster_operator.console.app import build_inner
from roster_operator.console.settings import Settings

_HEAD = """# The JSON API

What `kubectl roster` and other programs ask the console for. A request brings a Kubernetes token of its own
(`Authorization: Bearer …`) and may do what that token may; every look at records is recorded. The whole document is
[api.json](api.json) (OpenAPI 3.1), which a running console serves at `/api/openapi.json`. This page is made from it:
`make generate` writes it again.

"""


def document() -> dict[str, Any]:
    """The OpenAPI document, without the version of this build."""
    found = build_inner(Settings(server="https://kubernetes.invalid")).openapi()
    found["info"].pop("version", None)
    return found


def page() -> str:
    """docs/reference/api.md"""
    rows = [
        (method.upper(), f"`{path}`", operation["description"].replace("\n", " "))
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    ]
    return _HEAD + table(("method", "path", "what it does"), rows)
