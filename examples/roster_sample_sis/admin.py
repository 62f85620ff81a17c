"""A way to bend a running server from outside: districts and faults over HTTP.

Exists only where it was asked for, and asks nobody who they are: it belongs on a loopback address or inside a test
cluster. Answers are JSON; a request that makes no sense gets 400 and a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import msgspec

from roster_sample_sis import faults
from roster_sample_sis.exchanges import Answer, Request, json_answer
from roster_sample_sis.variants import VARIANTS

if TYPE_CHECKING:
    from roster_sample_sis.districts import District
    from roster_sample_sis.servers import SampleSIS

PREFIX = "/_admin/"


class Admin:
    """The endpoint's paths:

    POST /_admin/variant        {"variant": "year-later", "of": "base" or "current"}: serves that from now on
    POST /_admin/faults         a fault or a list of them, added
    PUT /_admin/faults          the same, in place of those there were
    GET, DELETE /_admin/faults  the faults that there are; none any more
    POST /_admin/expire-tokens  {"status": 401 or 403}
    GET /_admin/stats           counts since the start
    """

    def __init__(self, base: District) -> None:
        self._base = base
        self._sis: SampleSIS | None = None

    def attach(self, sis: SampleSIS) -> None:
        """Says which server is meant; called once, before it starts."""
        self._sis = sis

    def __call__(self, request: Request, body: bytes) -> Answer | None:
        if not request.path.startswith(PREFIX) or self._sis is None:
            return None
        actions: Mapping[tuple[str, str], Callable[[SampleSIS, object], object]] = {
            ("POST", "variant"): self._variant,
            ("POST", "faults"): _add,
            ("PUT", "faults"): _set,
            ("GET", "faults"): _list,
            ("DELETE", "faults"): _clear,
            ("POST", "expire-tokens"): _expire,
            ("GET", "stats"): _stats,
        }
        action = actions.get((request.method, request.path.removeprefix(PREFIX)))
        if action is None:
            return None
        try:
            return json_answer(HTTPStatus.OK, action(self._sis, msgspec.json.decode(body) if body else {}))
        except (ValueError, msgspec.MsgspecError) as problem:
            return json_answer(HTTPStatus.BAD_REQUEST, {"error": str(problem)})

    def _variant(self, sis: SampleSIS, value: object) -> object:
        options = msgspec.convert(value, dict[str, str])
        variant = VARIANTS.get(options.get("variant", ""))
        if variant is None:
            raise ValueError(f'"variant" is one of {", ".join(VARIANTS)}')
        district = variant(sis.district if options.get("of") == "current" else self._base)
        sis.swap(district)
        return {"users": len(district.users), "enrollments": len(district.enrollments)}


def _faults(value: object) -> list[faults.Fault]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [faults.decode(item) for item in items]


def _add(sis: SampleSIS, value: object) -> object:
    sis.faults.add(*_faults(value))
    return _list(sis, None)


def _set(sis: SampleSIS, value: object) -> object:
    sis.faults.set(*_faults(value))
    return _list(sis, None)


def _clear(sis: SampleSIS, _value: object) -> object:
    sis.faults.clear()
    return []


def _list(sis: SampleSIS, _value: object) -> object:
    return [faults.encode(fault) for fault in sis.faults]


def _expire(sis: SampleSIS, value: object) -> object:
    sis.tokens.expire(msgspec.convert(value, dict[str, int]).get("status", HTTPStatus.UNAUTHORIZED))
    return {}


def _stats(sis: SampleSIS, _value: object) -> object:
    return msgspec.to_builtins(sis.snapshot())
