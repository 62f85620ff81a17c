"""The CustomResourceDefinitions, generated from the models.

python -m roster_operator.api.schema            writes crds/, and the chart's copies
python -m roster_operator.api.schema --check    exits 1 and says what differs
"""

from __future__ import annotations

import argparse
import difflib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel

from .connection import RosterConnectionSpec, RosterConnectionStatus
from .model import API_VERSION, GROUP
from .schema_rules import Rule, connection_rules, rules_name_fields_that_exist, sync_rules
from .schema_structural import Schema, SchemaError, structural
from .sync import RosterSyncSpec, RosterSyncStatus

HEADER = "# Generated from operator/roster_operator/api by `make generate`. Changes here are lost.\n"


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`. `wide` ones are shown with -o wide only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    wide: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As the API server reads it."""
        out: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            out["description"] = self.description
        if self.wide:
            out["priority"] = 1
        return out


@dataclass(frozen=True)
class Resource:
    """All that makes one CustomResourceDefinition."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    rules: list[Rule]
    columns: list[Column]
    selectable: list[str] = field(default_factory=list[str])

    @property
    def file_name(self) -> str:
        """Its file under crds/."""
        return f"{self.plural}.yaml"


def _condition(kind: str, key: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{key}'


AGE = Column("Age", ".metadata.creationTimestamp", "date")

RESOURCES = (
    Resource(
        kind="RosterConnection",
        plural="rosterconnections",
        short_name="rconn",
        description="One district's OneRoster source, and how to reach it.",
        spec=RosterConnectionSpec,
        status=RosterConnectionStatus,
        rules=connection_rules(),
        columns=[
            Column("Provider", ".spec.api.provider"),
            Column("Version", ".status.version", description="OneRoster version the source spoke at the last test."),
            Column("Ready", _condition("Ready", "status")),
            Column("Reason", _condition("Ready", "reason")),
            Column("Last Sync", ".status.lastMergedTime", "date", "Since a sync was merged."),
            # A string: kubectl tells a date in the future as <invalid>.
            Column("Next Sync", ".status.nextSync", description="When the next automatic sync is made."),
            Column("Pending", ".status.pendingPlan.shortDigest", description="The plan that waits for a person."),
            AGE,
            Column("Tenant", ".status.tenant", description="Key of the rows in the database.", wide=True),
            Column("Pending Digest", ".status.pendingPlan.digest", wide=True),
            Column("Message", _condition("Ready", "message"), wide=True),
        ],
        selectable=[".spec.tenant"],
    ),
    Resource(
        kind="RosterSync",
        plural="rostersyncs",
        short_name="rsync",
        description="One staged import of a district's data: staged, reviewed, approved, merged.",
        spec=RosterSyncSpec,
        status=RosterSyncStatus,
        rules=sync_rules(),
        columns=[
            Column("Connection", ".spec.connectionRef.name"),
            Column("Mode", ".spec.mode"),
            Column("Phase", ".status.phase"),
            Column("Create", ".status.plan.totals.create", "integer"),
            Column("Update", ".status.plan.totals.update", "integer"),
            Column("Remove", ".status.plan.totals.deactivate", "integer", "Records that the merge deactivates."),
            Column("Invalid", ".status.plan.totals.invalid", "integer", "Records that are skipped."),
            Column("Digest", ".status.plan.shortDigest"),
            AGE,
            Column("Full Digest", ".status.plan.digest", wide=True),
            Column("Approved By", ".status.approval.by", wide=True),
            Column("Failure", ".status.failure.reason", wide=True),
        ],
        selectable=[".spec.connectionRef.name", ".status.phase"],
    ),
)


def definition(resource: Resource) -> dict[str, Any]:
    """The CustomResourceDefinition of one resource."""
    schema: Schema = {
        "type": "object",
        "description": resource.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{API_VERSION}"},
            "kind": {"type": "string", "description": resource.kind},
            "metadata": {"type": "object"},
            "spec": structural(resource.spec, defaults=True),
            "status": structural(resource.status, defaults=False),
        },
    }
    for rule in resource.rules:
        node = schema
        for name in rule.at:
            node = node["properties"][name]
        node.setdefault("x-kubernetes-validations", []).append(rule.to_dict())
    _conditions_are_a_map(schema)
    version: dict[str, Any] = {
        "name": API_VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.to_dict() for column in resource.columns],
        "schema": {"openAPIV3Schema": schema},
    }
    if resource.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in resource.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short_name],
                "categories": ["roster"],
            },
            "versions": [version],
        },
    }


def _conditions_are_a_map(schema: Schema) -> None:
    conditions = cast("Schema", schema["properties"]["status"]["properties"]["conditions"])
    conditions["x-kubernetes-list-type"] = "map"
    conditions["x-kubernetes-list-map-keys"] = ["type"]


class _Dumper(yaml.SafeDumper):
    """Plain YAML without anchors, in the order given."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def render(resource: Resource) -> str:
    """The file's text."""
    text = yaml.dump(definition(resource), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return HEADER + text


def generated(root: Path) -> dict[Path, str]:
    """Every generated file and its text: the definitions, and the chart's copies of what lies outside its folder."""
    chart = root / "charts" / "roster-operator" / "files"
    files: dict[Path, str] = {}
    for resource in RESOURCES:
        text = render(resource)
        files[root / "crds" / resource.file_name] = text
        files[chart / "crds" / resource.file_name] = text
    for copied in ("alerts/roster.rules.yaml", "dashboards/roster-operator.json"):
        source = root / "deploy" / copied
        if source.exists():
            files[chart / source.name] = source.read_text(encoding="utf-8")
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check say whether they are what would be written."""
    parser = argparse.ArgumentParser(prog="python -m roster_operator.api.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[3], help="the repository")
    options = parser.parse_args(arguments)
    rules_name_fields_that_exist()
    try:
        files = generated(options.root)
    except SchemaError as error:
        sys.stderr.write(f"The models give no valid schema: {error}\n")
        return 1
    if not options.check:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    drifted = 0
    for path, text in files.items():
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        if found != text:
            drifted += 1
            sys.stderr.writelines(
                difflib.unified_diff(
                    found.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "should be"
                )
            )
    if drifted:
        sys.stderr.write("Generated files are not what their sources say: run `make generate`.\n")
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
