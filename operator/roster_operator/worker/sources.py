"""From a connection's spec to the source that it describes. The one place that knows every kind of source."""

from __future__ import annotations

import ipaddress
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import psycopg

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.sources import CLIENT_ID, CLIENT_SECRET, TOKEN, ApiSource
from roster_operator.api.task import Policy
from roster_operator.oneroster.delta import since
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.profile import Wishes, settings_of
from roster_operator.oneroster.rest import RestSource
from roster_operator.oneroster.settings import RestSettings
from roster_operator.oneroster.source import Testable
from roster_operator.store.cursors import Reach

from .failures import WorkerError
from .inputs import SecretValues
from .opened import Opened, refuse_upload

_SECRETS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": TOKEN}


@contextmanager
def open_source(
    spec: RosterConnectionSpec,
    secret: SecretValues,
    policy: Policy,
    conn: psycopg.Connection,
    *,
    delta: Reach | None = None,
    upload: str | None = None,
) -> Generator[Opened]:
    """The source, ready to be read. conn: the tenant's stage login, which has the uploads and what was merged last.

    delta: how far the merged rows reach, where only changes are wanted; a bundle says itself whether it is changes.
    upload: the digest that the sync names. Raises WorkerError, OneRosterError, StoreError.
    """
    if spec.csv is not None:
        from .files import open_file  # noqa: PLC0415  SSH takes 15 MB of memory, and most connections never need it

        with open_file(spec.csv, secret, policy, conn, upload) as opened:
            yield opened
        return
    refuse_upload(upload)
    if spec.api is not None:
        settings = rest_settings(spec.api, secret, policy)
        if delta is not None:
            settings = replace(settings, changed_since=changed_since(delta))
        with RestSource(settings) as source:
            yield Opened(source)
        return
    raise _no_source()


@contextmanager
def open_for_test(spec: RosterConnectionSpec, secret: SecretValues, policy: Policy) -> Generator[Testable]:
    """The source, ready for Test Connection. Raises WorkerError, OneRosterError."""
    if spec.csv is not None:
        from .files import file_for_test  # noqa: PLC0415  as above

        yield file_for_test(spec.csv, secret, policy)
        return
    if spec.api is not None:
        with RestSource(rest_settings(spec.api, secret, policy)) as source:
            yield source
        return
    raise _no_source()


def changed_since(reach: Reach) -> dict[Entity, datetime]:
    """From when on to ask for changes, per entity; an entity without any date is read in whole."""
    found = {entity: since(reach.newest.get(entity.value), reach.pulled) for entity in Entity}
    return {entity: moment for entity, moment in found.items() if moment is not None}


def _no_source() -> WorkerError:
    return WorkerError("SourceMissing", "The connection names no source.", "Set spec.api or spec.csv.")


def rest_settings(api: ApiSource, secret: SecretValues, policy: Policy) -> RestSettings:
    """The server as the spec describes it, within what the operator permits. Raises WorkerError, OneRosterError."""
    if api.allow_insecure and not policy.allow_insecure:
        raise WorkerError(
            "InsecureNotPermitted",
            "spec.api.allowInsecure is set, and the operator's configuration does not permit http.",
            "Use https, or have the platform team set allowInsecure in the operator's configuration; at the command "
            "line: --allow-insecure.",
        )
    # By the name of the setting; only what this way to authenticate needs is looked for.
    held = {name: secret.need(key) for name, key in _SECRETS.items() if key in api.auth.secret().keys}
    return replace(
        settings_of(api.provider.value, wishes(api)),
        **held,
        ca_bundle=api.ca_bundle,
        allow_addresses=tuple(ipaddress.ip_network(cidr) for cidr in policy.allow_addresses),
    )


def wishes(api: ApiSource) -> Wishes:
    """What the spec says itself; the rest is the vendor profile's."""
    auth = api.auth
    return Wishes(
        endpoint=api.endpoint,
        version=api.version.value,
        auth=None if auth.type is None else auth.type.value,
        base_path=api.base_path,
        token_url=auth.token_url,
        token_style=None if auth.token_style is None else auth.token_style.value,
        keep_cookies=api.keep_cookies,
        signature_method=None if auth.signature_method is None else auth.signature_method.value,
        scopes=tuple(auth.scopes),
        parameters=api.parameters,
        query=api.query,
        page_size=api.page_size,
        max_concurrency=api.max_concurrency,
        requests_per_second=api.requests_per_second,
        allow_insecure=api.allow_insecure,
    )
