"""Options that several commands share, told once: Typer itself takes one parameter for each option."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, ParamSpec, TypeVar, get_type_hints

P = ParamSpec("P")
R = TypeVar("R")


def grouped(command: Callable[P, R]) -> Callable[..., R]:
    """A command for Typer: each parameter that is a dataclass becomes its fields, in its place, and is made of them.

    The fields are annotated as a command's parameters are. No two parameters may have a name in common.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hints[name] for name in signature.parameters if is_dataclass(hints[name])}
    shown = [one for each in signature.parameters.values() for one in _shown(each, hints[each.name], groups)]

    @functools.wraps(command)
    def run(**given: Any) -> R:
        for name, kind in groups.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        return command(**given)  # pyright: ignore[reportCallIssue]

    run.__signature__ = signature.replace(parameters=shown)  # pyright: ignore[reportAttributeAccessIssue]
    run.__annotations__ = {one.name: one.annotation for one in shown}
    return run


def _shown(parameter: inspect.Parameter, hint: Any, groups: Mapping[str, Any]) -> Generator[inspect.Parameter]:
    kind = groups.get(parameter.name)
    if kind is None:
        yield parameter.replace(annotation=hint)
        return
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        yield inspect.Parameter(one.name, parameter.kind, default=_default(one), annotation=hints[one.name])


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return inspect.Parameter.empty if one.default_factory is MISSING else one.default_factory()
