"""From a pydantic model to a structural OpenAPI v3 schema, as a CustomResourceDefinition wants it.

The API server refuses what is not structural, and estimates the cost of every CEL rule from the bounds it finds; so a
list, string or map without a bound is an error here, with its path, rather than a surprise there.
"""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from .model import Model

Schema = dict[str, Any]

# Formats that the API server itself knows to be short.
_BOUNDED_FORMATS = frozenset({"date-time", "date", "duration", "byte"})
_KEPT = (
    "description", "type", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "maxProperties",
)  # fmt: skip
_NOTHING: tuple[Any, ...] = (None, [], {})


class SchemaError(Exception):
    """A model cannot be said as a structural, bounded schema. The message names the path."""


def structural(model: type[BaseModel], *, defaults: bool) -> Schema:
    """The schema of `model`, references resolved, in the API's own names.

    `defaults` says whether the models' defaults are written into it: for a spec, where the API server fills them in;
    never for a status, which holds what was seen and nothing else.
    """
    document = model.model_json_schema(by_alias=True, schema_generator=_WithMadeDefaults)
    walker = _Walker(document.get("$defs", {}), defaults=defaults)
    return walker.convert(document, path="")


class _WithMadeDefaults(GenerateJsonSchema):
    """Says the defaults, too, that a function makes."""

    def get_default_value(self, schema: Any) -> Any:
        if (make := schema.get("default_factory")) is not None and not schema.get("default_factory_takes_data"):
            value = make()  # pyright: ignore[reportCallIssue]
            return value.to_dict() if isinstance(value, Model) else value
        return super().get_default_value(schema)


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
        if self._defaults and node.get("default") not in _NOTHING:
            out["default"] = node["default"]
            # Whoever gives such an object in part gets the rest as this field has it, not as its class would.
            for name, value in node["default"].items() if kind == "object" and "properties" in out else ():
                if value not in _NOTHING:
                    out["properties"][name]["default"] = value
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


def _one_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split())
