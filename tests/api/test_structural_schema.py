"""What the generator says of models, and what it refuses."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from roster_operator.api import schema
from roster_operator.api.model import Model
from roster_operator.api.schema_rules import MUTABLE_IN_SYNC
from roster_operator.api.schema_structural import SchemaError, structural
from roster_operator.api.sync import FINAL, RosterSyncSpec

CRDS = Path(__file__).parents[2] / "crds"


class Colour(StrEnum):
    RED = "Red"


class Inner(Model):
    """An inner value."""

    size: Annotated[int, Field(ge=1)] = 3


class Outer(Model):
    """An outer value."""

    colour: Colour = Colour.RED
    inner: Inner = Field(default_factory=Inner, description="What is inside.")
    note: Annotated[str, Field(max_length=8)] | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=4)]], Field(max_length=2)] = Field(default_factory=list)
    long_name: bool


def test_references_nulls_and_titles_are_gone() -> None:
    found = structural(Outer, defaults=True)
    assert found["required"] == ["longName"]
    assert found["properties"]["note"] == {"type": "string", "maxLength": 8}
    assert found["properties"]["colour"]["enum"] == ["Red"]
    text = yaml.safe_dump(found)
    for word in ("$ref", "anyOf", "allOf", "title", "null"):
        assert word not in text


def test_a_fields_own_description_is_nearer_than_its_class() -> None:
    assert structural(Outer, defaults=True)["properties"]["inner"]["description"] == "What is inside."


def test_defaults_stand_in_a_spec_and_never_in_a_status() -> None:
    spec = structural(Outer, defaults=True)["properties"]
    assert spec["inner"]["default"] == {"size": 3}
    assert spec["inner"]["properties"]["size"]["default"] == 3
    assert spec["colour"]["default"] == "Red"
    assert "default" not in yaml.safe_dump(structural(Outer, defaults=False))


@pytest.mark.parametrize(
    ("annotation", "word"),
    [
        (str, "string without maxLength"),
        (Annotated[list[int], Field()], "list without maxItems"),
        (dict[str, int], "map without maxProperties"),
        (int | Annotated[str, Field(max_length=3)], "choice of types"),
        (float, "number has no place"),
    ],
)
def test_what_is_not_bounded_or_structural_is_an_error_with_its_path(annotation: Any, word: str) -> None:
    model = type("Loose", (Model,), {"__annotations__": {"field": annotation}, "__module__": __name__})
    with pytest.raises(SchemaError, match=rf"\.field.*{word}"):
        structural(model, defaults=True)


def test_the_files_in_crds_are_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(["--check"]) == 0, capsys.readouterr().err


def test_drift_is_found_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(["--root", str(tmp_path)]) == 0
    file = tmp_path / "crds" / "rostersyncs.yaml"
    file.write_text(file.read_text().replace("maxLength: 512", "maxLength: 513"))
    assert schema.main(["--root", str(tmp_path), "--check"]) == 1
    assert "+" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["rosterconnections.yaml", "rostersyncs.yaml"])
def test_every_field_of_a_spec_is_described(file: str) -> None:
    root = yaml.safe_load((CRDS / file).read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    silent = [path for path, node in _walk(root["properties"]["spec"], "spec") if "description" not in node]
    assert not silent


@pytest.mark.parametrize("file", ["rosterconnections.yaml", "rostersyncs.yaml"])
def test_a_printer_column_shows_a_field_that_exists(file: str) -> None:
    version = yaml.safe_load((CRDS / file).read_text())["spec"]["versions"][0]
    paths = {path for path, _ in _walk(version["schema"]["openAPIV3Schema"], "")}
    for column in version["additionalPrinterColumns"]:
        if "[" not in column["jsonPath"] and ".metadata" not in column["jsonPath"]:
            assert column["jsonPath"] in paths
    for field in version.get("selectableFields", ()):
        assert field["jsonPath"] in paths


def test_every_new_field_of_a_sync_is_immutable_unless_it_is_named() -> None:
    crd = yaml.safe_load((CRDS / "rostersyncs.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    held = {rule["fieldPath"].removeprefix(".") for rule in spec["x-kubernetes-validations"]}
    assert held == {field.alias for field in RosterSyncSpec.model_fields.values()} - MUTABLE_IN_SYNC


def test_the_rule_on_final_phases_names_all_of_them() -> None:
    text = (CRDS / "rostersyncs.yaml").read_text()
    crd = yaml.safe_load(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rule = next(rule for rule in crd["x-kubernetes-validations"] if "final" in rule["message"])
    assert all(f"'{phase}'" in rule["rule"] for phase in FINAL)


def _walk(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for name, child in (node.get("properties") or {}).items():
        found.append((f"{path}.{name}", child))
        found += _walk(child, f"{path}.{name}")
    if isinstance(items := node.get("items"), dict):
        found += _walk(items, f"{path}[]")
    return found
