"""Both custom resources, field by field: what `kubectl explain` says, on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.reference.tables import table

from roster_operator.api.schema import RESOURCES, Resource, definition

_HEAD = """# Resources

Every field of RosterConnection and RosterSync, as the API server knows them. This page is made from the models:
`make generate` writes it again. `kubectl explain rosterconnection.spec --recursive` says the same.

`[]` is each entry of a list, `{}` each value of a map. Bold fields must be given. What a rule refuses is refused by the
API server itself, with the sentence that stands here.
"""


def page() -> str:
    """docs/reference/resources.md"""
    return _HEAD + "".join(_one(resource) for resource in RESOURCES)


def _one(resource: Resource) -> str:
    version = definition(resource)["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    parts = [f"\n## {resource.kind}\n\n{resource.description} Short name: `{resource.short_name}`.\n"]
    for half, title in (("spec", "What you write"), ("status", "What the operator writes")):
        parts.append(f"\n### {half}: {title[0].lower()}{title[1:]}\n\n")
        heads = ("field", "type", "default", "what it is") if half == "spec" else ("field", "type", "what it is")
        rows = [
            row if half == "spec" else (row[0], row[1], row[3]) for row in _fields(schema["properties"][half], half)
        ]
        parts.append(table(heads, rows))
    parts.append("\n### Rules\n\n")
    parts.append(table(("on", "refused with"), _rules(schema, "")))
    parts.append("\n### Columns of `kubectl get`\n\n")
    columns = version["additionalPrinterColumns"]
    rows = [
        (
            each["name"],
            f"`{each['jsonPath']}`",
            "with `-o wide`" if each.get("priority") else "",
            each.get("description", ""),
        )
        for each in columns
    ]
    parts.append(table(("column", "from", "shown", "what it is"), rows))
    return "".join(parts)


def _fields(node: dict[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    for name, child in node.get("properties", {}).items():
        where = f"{path}.{name}"
        needed = name in node.get("required", ())
        default = child.get("default")
        shown = "" if default is None or isinstance(default, dict) else f"`{json.dumps(default, ensure_ascii=False)}`"
        yield f"**`{where}`**" if needed else f"`{where}`", _type(child), shown, child.get("description", "")
        yield from _inside(child, where)


def _inside(node: dict[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    if "items" in node:
        yield from _inside(node["items"], f"{path}[]")
    elif isinstance(node.get("additionalProperties"), dict):
        yield from _inside(node["additionalProperties"], f"{path}{{}}")
    else:
        yield from _fields(node, path)


def _type(node: dict[str, Any]) -> str:
    if "items" in node:
        return f"list of {_type(node['items'])}, at most {node['maxItems']:,}"
    if isinstance(node.get("additionalProperties"), dict):
        return f"map of {_type(node['additionalProperties'])}, at most {node['maxProperties']:,}"
    if "enum" in node:
        return " or ".join(f"`{each}`" for each in node["enum"])
    if "format" in node and node["format"] != "int64":
        return node["format"]
    low, high = node.get("minimum"), node.get("maximum")
    span = [f"{word} {bound:,}" for word, bound in (("from", low), ("to", high)) if bound is not None]
    return " ".join([node["type"], *span])


def _rules(node: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield f"`{path or '.'}`", rule["message"]
    for name, child in node.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}".lstrip("."))
    if "items" in node:
        yield from _rules(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from _rules(node["additionalProperties"], f"{path}{{}}")
