"""From a pydantic model to a structural OpenAPI v3 schema, as a CustomResourceDefinition wants it.

The API server refuses what is not structural, and estimates the cost of every CEL rule from the bounds it finds; so a
list, string or map without a bound is an error here, with its path, rather than a surprise there.
"""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel

from .model import Model

Schema = dict[str, Any]

# Formats that the API server itself knows to be short.
_BOUNDED_FORMATS = frozenset({"date-time", "date", "duration", "byte"})
_KEPT = (
    "description", "type", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "maxProperties",
)  # fmt: skip


class SchemaError(Exception):
    """A model cannot be said as a structural, bounded schema. The message names the path."""


def structural(model: type[BaseModel], *, defaults: bool) -> Schema:
    """The schema of `model`, references resolved, in the API's own names.

    `defaults` says whether the models' defaults are written into it: for a spec, where the API server fills them in;
    never for a status, which holds what was seen and nothing else.
    """
    document = model.model_json_schema(by_alias=True)
    walker = _Walker(document.get("$defs", {}), defaults=defaults)
    schema = walker.convert(document, path="")
    _fill_model_defaults(model, schema, defaults=defaults)
    return schema


class _Walker:
    def __init__(self, definitions: dict[str, Schema], *, defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults

    def convert(self, node: Schema, path: str) -> Schema:
        node = self._resolve(node, path)
        if "anyOf" in node:
            node = self._without_null(node, path)
        kind = node.get("type")
        if kind is None:
            raise SchemaError(f"{path or '.'}: has no type")
        out: Schema = {key: node[key] for key in _KEPT if key in node}
        if "description" in out:
            out["description"] = _one_paragraph(out["description"])
        match kind:
            case "object":
                self._object(node, out, path)
            case "array":
                if "maxItems" not in out:
                    raise SchemaError(f"{path}: a list without maxItems")
                out["items"] = self.convert(node["items"], f"{path}[]")
            case "string":
                if "maxLength" not in out and "enum" not in out and out.get("format") not in _BOUNDED_FORMATS:
                    raise SchemaError(f"{path}: a string without maxLength")
            case "integer":
                out["format"] = "int64"
            case "boolean":
                pass
            case _:
                raise SchemaError(f"{path}: {kind} has no place in these resources")
        if self._defaults and node.get("default") not in (None, [], {}):
            out["default"] = node["default"]
        return out

    def _object(self, node: Schema, out: Schema, path: str) -> None:
        if "properties" in node:
            out["properties"] = {
                name: self.convert(child, f"{path}.{name}") for name, child in node["properties"].items()
            }
            if node.get("required"):
                out["required"] = sorted(node["required"])
        elif isinstance(values := node.get("additionalProperties"), dict):
            if "maxProperties" not in out:
                raise SchemaError(f"{path}: a map without maxProperties")
            out["additionalProperties"] = self.convert(values, f"{path}{{}}")
        else:
            raise SchemaError(f"{path}: an object of which nothing is known")

    def _resolve(self, node: Schema, path: str) -> Schema:
        if "$ref" in node:
            target = self._definitions[node["$ref"].removeprefix("#/$defs/")]
            # What stands beside the reference (a field's own description) is nearer than what the class says.
            return {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        if len(node.get("allOf", ())) == 1:
            rest = {key: value for key, value in node.items() if key != "allOf"}
            return {**self._resolve(node["allOf"][0], path), **rest}
        return node

    def _without_null(self, node: Schema, path: str) -> Schema:
        choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
        if len(choices) != 1:
            raise SchemaError(f"{path}: a choice of types is not structural")
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return {**self._resolve(choices[0], path), **rest}


def _fill_model_defaults(model: type[BaseModel], schema: Schema, *, defaults: bool) -> None:
    """Defaults that pydantic leaves out of JSON Schema because a function makes them."""
    if not defaults:
        return
    for name, field in model.model_fields.items():
        if field.default_factory is None:
            continue
        value = field.get_default(call_default_factory=True)
        if isinstance(value, Model):
            schema["properties"][field.alias or name]["default"] = value.to_dict()


def _one_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split())
