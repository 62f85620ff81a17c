"""Vendor profiles: what one vendor's servers have in common, as data, and how a connection's own values go over it.

A profile is one small file in `profiles/`. Every value of it can be overridden by the connection; nothing else in the
project knows a vendor's name.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec

from .bases import root_of
from .errors import OneRosterError, Reason, outside
from .http import checked_url
from .settings import BASE_PATHS, AuthType, RestSettings, SignatureMethod, TokenStyle, Version

T = TypeVar("T")
_STANDARD: dict[Version, str] = dict(BASE_PATHS)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A table of a profile's file."""


class Parameter(_Table, frozen=True):
    """A value that only the district knows. where: where to find it, to follow "Take it from"."""

    where: Annotated[str, msgspec.Meta(min_length=1)]


class Way(_Table, frozen=True):
    """One way to authenticate, and what holds only there. In token-url and base-paths stand parameters in braces,
    {origin} (scheme and host of the endpoint) and {root} (the endpoint without its base path)."""

    token_url: str = ""
    token_url_where: str = ""
    token_style: TokenStyle = "Auto"  # noqa: S105 (a style, not a secret)
    keep_cookies: bool = False
    signature_method: SignatureMethod = "HMAC-SHA256"
    scopes: tuple[str, ...] = ()
    base_paths: dict[Version, str] = msgspec.field(default_factory=dict)
    parameters: dict[str, Parameter] = msgspec.field(default_factory=dict)


class Profile(_Table, frozen=True):
    """One vendor. versions: in the order in which Auto tries them. refused: ways that this vendor has not, and why.
    hints: see RestSettings. base_paths: where they are not the standard's."""

    name: str
    title: str
    default_auth: AuthType
    auth: dict[AuthType, Way]
    versions: tuple[Version, ...]
    refused: dict[AuthType, str] = msgspec.field(default_factory=dict)
    base_paths: dict[Version, str] = msgspec.field(default_factory=dict)
    parameters: dict[str, Parameter] = msgspec.field(default_factory=dict)
    page_size: int = 1000
    max_concurrency: int = 1
    requests_per_second: float | None = None
    hints: dict[Reason, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a connection says itself. None and empty: the profile's."""

    endpoint: str
    version: Literal["Auto", "1.1", "1.2"] = "Auto"
    auth: AuthType | None = None
    base_path: str | None = None
    token_url: str | None = None
    token_style: TokenStyle | None = None
    keep_cookies: bool | None = None
    signature_method: SignatureMethod | None = None
    scopes: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    page_size: int | None = None
    max_concurrency: int | None = None
    requests_per_second: float | None = None
    allow_insecure: bool = False


@functools.cache
def profiles() -> Mapping[str, Profile]:
    """All profiles by name."""
    folder = resources.files("roster_operator.oneroster").joinpath("profiles")
    texts = [file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".toml")]
    found = [msgspec.convert(tomllib.loads(text), Profile) for text in texts]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def settings_of(name: str, wishes: Wishes) -> RestSettings:
    """The settings of a connection, but for secrets and what the operator decides. Raises SettingsInvalid."""
    profile = profiles().get(name)
    if profile is None:
        raise _invalid("The connection names a vendor that is not known.", f"Choose one of {', '.join(profiles())}.")
    kind = wishes.auth or profile.default_auth
    way = profile.auth.get(kind)
    if way is None:
        why = profile.refused.get(kind, f"{profile.title} does not take {kind}.")
        raise _invalid(why, f"Set auth.type to {' or '.join(profile.auth)}, or take provider Generic.")
    values = _values(profile, {**profile.parameters, **way.parameters}, wishes)
    paths = _paths(profile, way, wishes, values)
    return RestSettings(
        endpoint=wishes.endpoint,
        base_paths=paths,
        version=wishes.version,
        auth=kind,
        token_url=_token_url(profile, way, wishes, values, paths) if kind == "OAuth2" else "",
        token_style=_or(wishes.token_style, way.token_style),
        keep_cookies=_or(wishes.keep_cookies, way.keep_cookies),
        signature_method=_or(wishes.signature_method, way.signature_method),
        scopes=wishes.scopes or way.scopes,
        query=wishes.query,
        hints={str(reason): hint for reason, hint in profile.hints.items()},
        page_size=_or(wishes.page_size, profile.page_size),
        max_concurrency=_or(wishes.max_concurrency, profile.max_concurrency),
        requests_per_second=_or(wishes.requests_per_second, profile.requests_per_second),
        allow_insecure=wishes.allow_insecure,
    )


def _or(own: T | None, profiles_own: T) -> T:
    return profiles_own if own is None else own


def _values(profile: Profile, known: Mapping[str, Parameter], wishes: Wishes) -> dict[str, str]:
    for name in wishes.parameters:
        if name not in known:
            has = f"It has {', '.join(known)}." if known else "This way of it has none."
            message = f"{profile.title} has no parameter {outside(name, 40)!r}."
            raise _invalid(message, f"{has} Correct spec.api.parameters.")
    return {name: value.strip() for name, value in wishes.parameters.items()}


def _filled(template: str, profile: Profile, way: Way, values: Mapping[str, str]) -> str:
    """A template with its parameters. Raises SettingsInvalid for one that is needed and missing."""
    for name, parameter in {**profile.parameters, **way.parameters}.items():
        if f"{{{name}}}" not in template:
            continue
        value = values.get(name, "")
        if not value:
            raise _invalid(
                f"{profile.title} needs the parameter {name}.",
                f"Set it in spec.api.parameters. Take it from {parameter.where}.",
            )
        # Some are shown escaped and some are not: both mean the same.
        template = template.replace(f"{{{name}}}", quote(unquote(value), safe=""))
    return template


def _paths(profile: Profile, way: Way, wishes: Wishes, values: Mapping[str, str]) -> tuple[tuple[Version, str], ...]:
    if wishes.base_path is not None:
        if wishes.version == "Auto":
            raise _invalid("A base path of one's own has no version to be told by.", "Set version to 1.1 or 1.2.")
        return ((wishes.version, wishes.base_path.rstrip("/")),)
    own = {**_STANDARD, **profile.base_paths, **way.base_paths}
    # Asked for by name, a version is tried that the vendor is not known for.
    versions = profile.versions if wishes.version in ("Auto", *profile.versions) else (wishes.version,)
    return tuple((version, _filled(own[version], profile, way, values)) for version in versions)


def _token_url(
    profile: Profile, way: Way, wishes: Wishes, values: Mapping[str, str], paths: tuple[tuple[Version, str], ...]
) -> str:
    if wishes.token_url:
        return wishes.token_url
    if not way.token_url:
        where = f" Take it from {way.token_url_where}." if way.token_url_where else ""
        raise _invalid(f"{profile.title} needs the address where tokens are had.", f"Set auth.tokenURL.{where}")
    endpoint = checked_url(wishes.endpoint, allow_insecure=wishes.allow_insecure)
    parts = urlsplit(endpoint)
    filled = _filled(way.token_url, profile, way, values)
    return filled.replace("{origin}", f"{parts.scheme}://{parts.netloc}").replace("{root}", root_of(endpoint, paths))


def _invalid(message: str, next_step: str) -> OneRosterError:
    return OneRosterError(Reason.SETTINGS_INVALID, message, next_step)
