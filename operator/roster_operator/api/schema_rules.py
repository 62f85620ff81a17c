"""The CEL rules of both resources, as data: what the API server itself holds, whoever writes.

A rule that names `oldSelf` is judged on updates only. The rules on a sync's status stand at the object's root: a rule
inside `status` would not be asked when the whole status is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from .connection import RosterConnectionSpec
from .scope import ScopedEntity
from .sync import FINAL, Mode, Phase, RosterSyncSpec

SOURCES = ("api", "csv")  # fields of RosterConnectionSpec of which exactly one is set
MUTABLE_IN_SYNC = frozenset({"approved", "approvedPlan", "rejected", "stagedFor", "ttlAfterFinished"})


@dataclass(frozen=True)
class Rule:
    """One x-kubernetes-validations entry, and the path of the schema node it stands on."""

    at: tuple[str, ...]
    rule: str
    message: str
    field_path: str | None = None

    def to_dict(self) -> dict[str, str]:
        """As the API server reads it."""
        out = {"rule": self.rule, "message": self.message}
        if self.field_path:
            out["fieldPath"] = self.field_path
        return out


def limit_rules() -> list[Rule]:
    """Rules of the limits of either resource."""
    known = ", ".join(f"'{entity}'" for entity in ScopedEntity)
    return [
        Rule(
            ("spec", "limits", "entities"),
            f"self.all(entity, entity in [{known}])",
            "limits.entities names entities as the standard does: " + ", ".join(ScopedEntity),
        )
    ]


def connection_rules() -> list[Rule]:
    """Rules of RosterConnection."""
    given = ", ".join(f"has(self.{name})" for name in SOURCES)
    secure = "(has(self.allowInsecure) && self.allowInsecure) || "
    return [
        Rule(
            ("spec",),
            f"[{given}].filter(given, given).size() == 1",
            f"exactly one source is needed: {' or '.join(SOURCES)}",
        ),
        Rule(
            ("spec",),
            _unchanged("tenant", optional=True),
            "tenant is immutable, and cannot be added or removed later: it is the key of the merged rows. "
            "Create another RosterConnection instead",
            ".tenant",
        ),
        Rule(
            ("spec", "api"),
            f"{secure}self.endpoint.startsWith('https://')",
            "endpoint must be https, unless allowInsecure is true (which the operator's configuration must permit too)",
            ".endpoint",
        ),
        Rule(
            ("spec", "api"),
            f"{secure}!has(self.auth.tokenURL) || self.auth.tokenURL.startsWith('https://')",
            "tokenURL must be https, unless allowInsecure is true (which the operator's configuration must permit too)",
            ".auth.tokenURL",
        ),
        Rule(
            ("spec", "api"),
            "self.provider in ['InfiniteCampus', 'ClassLink'] || has(self.auth.tokenURL) || "
            "(has(self.auth.type) && self.auth.type != 'OAuth2')",
            "tokenURL is needed for OAuth2 with this provider",
            ".auth.tokenURL",
        ),
        Rule(
            ("spec", "api"),
            "!has(self.basePath) || self.version != 'Auto'",
            "basePath needs a version: a path of one's own cannot be asked for its version",
            ".basePath",
        ),
        *(
            Rule(
                at,
                "self.all(key, size(key) > 0 && size(key) <= 64)",
                "a name has 1 to 64 characters",
            )
            for at in (("spec", "api", "parameters"), ("spec", "api", "query"), ("spec", "roleMapping"))
        ),
        Rule(
            ("spec", "csv"),
            "has(self.sftp) != has(self.upload)",
            "exactly one of sftp and upload is needed",
        ),
        Rule(
            ("spec", "testInterval"),
            "duration(self) >= duration('1m')",
            "testInterval must be at least 1m",
        ),
        Rule(
            ("spec",),
            "!has(self.automaticSync) || !has(self.csv) || !has(self.csv.upload)",
            "automaticSync needs a source that can be pulled: api or csv.sftp",
            ".automaticSync",
        ),
        Rule(
            ("spec", "notify"),
            "has(self.webhook) || (has(self.email) && size(self.email) > 0)",
            "notify needs somebody to tell: email or webhook",
        ),
        Rule(
            ("spec", "automaticSync", "fullEvery"),
            "duration(self) >= duration('1h')",
            "fullEvery must be at least 1h",
        ),
        Rule(
            ("spec", "automaticSync", "pause"),
            "self.all(window, window.from <= window.to)",
            "a pause must not end before it begins",
        ),
        *limit_rules(),
    ]


def sync_rules() -> list[Rule]:
    """Rules of RosterSync."""
    times = [
        Rule(("spec", name), "duration(self) >= duration('1s')", f"{name} must be at least 1s")
        for name in ("stagedFor", "ttlAfterFinished")
    ]
    return [*_immutable_spec(), *_undo_rules(), *times, *limit_rules(), *_status_rules()]


def _undo_rules() -> Iterable[Rule]:
    undo = f"self.mode == '{Mode.UNDO}'"
    yield Rule(
        ("spec",),
        f"({undo}) == has(self.undoes)",
        "undoes names the sync that is undone: it is needed with mode Undo, and only there",
        ".undoes",
    )
    yield Rule(
        ("spec",), f"{undo} || !has(self.undoConflicts)", "undoConflicts is for mode Undo only", ".undoConflicts"
    )
    yield Rule(("spec",), f"!({undo}) || !has(self.source)", "an undo reads no source", ".source")


def _immutable_spec() -> Iterable[Rule]:
    for name, optional in _fields(RosterSyncSpec):
        if name not in MUTABLE_IN_SYNC:
            yield Rule(
                ("spec",),
                _unchanged(name, optional=optional),
                f"{name} is immutable: a RosterSync is one import. Create another RosterSync instead",
                f".{name}",
            )


def _status_rules() -> Iterable[Rule]:
    final = ", ".join(f"'{phase.value}'" for phase in sorted(FINAL))
    had = "has(oldSelf.status) && has(oldSelf.status.phase)"
    has = "has(self.status) && has(self.status.phase)"
    merging = f"oldSelf.status.phase == '{Phase.MERGING}'"
    yield Rule(
        (),
        f"!({had} && oldSelf.status.phase in [{final}]) || ({has} && self.status.phase == oldSelf.status.phase)",
        "a final phase never changes",
    )
    yield Rule(
        (),
        f"!({had} && {merging}) || ({has} && ("
        f"self.status.phase in ['{Phase.MERGING}', '{Phase.MERGED}', '{Phase.FAILED}'] || ("
        f"self.status.phase in ['{Phase.AWAITING_APPROVAL}', '{Phase.BLOCKED}'] && "
        "has(self.status.plan) && has(oldSelf.status.plan) && "
        "self.status.plan.digest != oldSelf.status.plan.digest)))",
        "a sync that is merging ends as Merged or Failed, or waits again with a new digest",
    )
    yield Rule(
        (),
        f"!({has} && self.status.phase == '{Phase.MERGING}') || ("
        "has(self.status.plan) && has(self.status.approval) && "
        "self.status.approval.digest == self.status.plan.digest)",
        "only the plan that was approved merges: status.approval.digest must be status.plan.digest",
    )
    yield Rule(
        (),
        f"!({had} && {merging} && {has} && self.status.phase == '{Phase.MERGING}') || ("
        "has(self.status.approval) && has(oldSelf.status.approval) && "
        "self.status.approval.digest == oldSelf.status.approval.digest)",
        "an approval does not change while it is merged",
    )


def _unchanged(name: str, *, optional: bool) -> str:
    same = f"self.{name} == oldSelf.{name}"
    return f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})" if optional else same


def _fields(model: type[BaseModel]) -> Iterable[tuple[str, bool]]:
    for name, field in model.model_fields.items():
        # A field with a plain default is always there: the API server has filled it in.
        yield field.alias or name, not field.is_required() and field.default is None


def rules_name_fields_that_exist() -> None:
    """Raises when a constant of this module names a field that the models no longer have."""
    connection = {field.alias or name for name, field in RosterConnectionSpec.model_fields.items()}
    sync = {field.alias or name for name, field in RosterSyncSpec.model_fields.items()}
    missing = (set(SOURCES) - connection) | (MUTABLE_IN_SYNC - sync)
    if missing:
        raise LookupError(f"schema_rules names fields that are gone: {', '.join(sorted(missing))}")
