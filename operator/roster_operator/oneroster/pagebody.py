"""Cuts the body of a page into its records without decoding them."""

from collections.abc import Callable
from typing import Any

import msgspec

from .entities import Entity
from .errors import OneRosterError, Reason

_BOM = b"\xef\xbb\xbf"
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _wrapper(entity: Entity) -> Callable[[bytes], Any]:
    fields = [("records", list[msgspec.Raw])]
    page = msgspec.defstruct(f"{entity.name}_page", fields, rename={"records": entity.value})
    return msgspec.json.Decoder(page).decode


# One pass over the body for the wrapper that the standard asks for.
_standard = {entity: _wrapper(entity) for entity in Entity}


def split(body: bytes, entity: Entity, path: str) -> list[msgspec.Raw]:
    """The records of one page, as slices of its body.

    path: the collection's path segment ("schools"): some servers wrap by it, some by the standard's
    name, some send a bare array. Null, "" and nothing are an empty page.

    Raises OneRosterError: EndpointNotOneRoster when the body is no JSON or no list of this entity,
    MalformedResponse when it is broken JSON.
    """
    try:
        return _standard[entity](body).records
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _split_other(body.removeprefix(_BOM).strip(), entity, path)


def _split_other(body: bytes, entity: Entity, path: str) -> list[msgspec.Raw]:
    if not body:
        return []
    try:
        if body[:1] == b"[":
            return _array(body)
        if body[:1] == b"{":
            names = {entity.value.lower(), path.lower()}
            for name, value in _object(body).items():
                if name.lower() in names:
                    return _array(value) if bytes(value) not in (b"null", b'""') else []
    except msgspec.ValidationError:
        raise _not_oneroster(f"The answer holds no list of {entity}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise OneRosterError(
            Reason.MALFORMED_RESPONSE,
            "The answer is broken JSON.",
            "Try again; if it stays, ask the vendor: the server cuts or corrupts its answers.",
            retryable=True,
        ) from None
    except RecursionError:
        raise OneRosterError(
            Reason.MALFORMED_RESPONSE, "The answer is nested too deeply to be a roster.", "Check the endpoint."
        ) from None
    if body[:1] == b"{":
        raise _not_oneroster(f"The answer is JSON, but holds no list of {entity}.")
    kind = "a web page" if body[:1] == b"<" else "no JSON"
    raise _not_oneroster(f"The endpoint answered with {kind} instead of {entity}.")


def _not_oneroster(message: str) -> OneRosterError:
    return OneRosterError(
        Reason.ENDPOINT_NOT_ONEROSTER,
        message,
        "Check the endpoint: it must be the OneRoster base address of the server, not a portal or sign-in page.",
    )
