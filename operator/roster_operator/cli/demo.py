"""`roster demo`: the whole story on this machine in seconds. A sample district, an own PostgreSQL, two syncs."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import psycopg
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.task import MERGE_URL_KEY, STAGE_URL_KEY, Policy
from roster_operator.store.merge import Merged
from roster_operator.worker.inputs import ManifestSecret, SecretValues
from roster_sample_sis import SampleSIS, generate
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed

from .embedded import EmbeddedPostgres
from .engine import Engine, prepare
from .manifests import Connection
from .output import console, print_plan, print_test

_SEED = 7
_LOOPBACK = "127.0.0.0/8"

_CONNECTION = """\
apiVersion: roster-operator.io/v1alpha1
kind: RosterConnection
metadata: {{name: springfield, namespace: demo}}
spec:
  api:
    endpoint: {endpoint}
    allowInsecure: true        # loopback only; a real source is https
    auth:
      tokenURL: {token_url}
      secretRef: {{name: springfield-sis}}
"""


def tell(users: int) -> None:
    """Tell the story. Raises EmbeddedPostgresError, OneRosterError, StoreError."""
    with console.status("Making a district and starting PostgreSQL"):
        district = generate(_SEED, users)
    password = secrets.token_urlsafe(12)
    with (
        EmbeddedPostgres.temporary() as server,
        SampleSIS(district, client_id="demo", client_secret=password) as sis,
    ):
        database = server.create_database()
        urls = prepare(database.owner_url, "demo.springfield")
        endpoint = sis.endpoint("1.2").split("/ims/")[0]
        _say(1, "A connection, as you would apply it with kubectl")
        console.print(Syntax(_CONNECTION.format(endpoint=endpoint, token_url=sis.token_url), "yaml"))
        spec = RosterConnectionSpec.from_dict(
            {
                "api": {
                    "endpoint": endpoint,
                    "allowInsecure": True,
                    "auth": {"tokenURL": sis.token_url, "secretRef": {"name": "springfield-sis"}},
                }
            }
        )
        engine = Engine(
            Connection("demo", "springfield", spec),
            urls[STAGE_URL_KEY],
            urls[MERGE_URL_KEY],
            Policy(allow_addresses=[_LOOPBACK], allow_insecure=True),
        )
        credentials = _credentials(spec, password)
        _say(2, "Test the connection")
        print_test(engine.test(credentials))
        _sync(engine, credentials, 3, "The first sync: everything is new, and waits for a person")
        _count(database.owner_url)
        sis.swap(one_percent_changed(district, _SEED))
        _sync(engine, credentials, 5, "The next night: about one per cent has changed")
        _count(database.owner_url)
        sis.swap(lost_a_fifth(district))
        _say(7, "A bad export: a fifth of the students is missing")
        name, staged = engine.stage(credentials, _quiet)
        print_plan(staged.plan, staged.hits)
        console.print(
            "Held. Only a person who names this very digest could merge it. It is rejected here, and nothing was lost."
        )
        engine.discard(name.run)
        _count(database.owner_url)
    console.print(
        Panel(
            "All of this is gone now. For your own district:\n"
            "  roster test  -f connection.yaml --secret secret.yaml\n"
            "  roster stage -f connection.yaml --secret secret.yaml\n"
            "  roster merge RUN -f connection.yaml --plan sha256:…",
            title="Next",
            expand=False,
        )
    )


def _credentials(spec: RosterConnectionSpec, password: str) -> SecretValues:
    use = spec.secret()
    assert use is not None
    return ManifestSecret({"client-id": "demo", "client-secret": password}, use)


def _sync(engine: Engine, credentials: SecretValues, number: int, headline: str) -> None:
    _say(number, headline)
    name, staged = engine.stage(credentials, _quiet)
    print_plan(staged.plan, staged.hits)
    console.print(f"Digest  {staged.plan.digest}", highlight=False)
    _say(number + 1, "Approved: exactly this plan is merged, in one transaction")
    result = engine.merge(name.run, staged.plan.digest)
    if isinstance(result, Merged):
        console.print(f"Merged: data version {result.data_version}.", highlight=False)


def _say(number: int, headline: str) -> None:
    console.print(f"\n[bold]{number}. {headline}[/]")


def _count(owner_url: str) -> None:
    table = Table("roster.users", "active", "inactive", box=None, pad_edge=False)
    with psycopg.connect(owner_url) as conn:
        for role, active, inactive in conn.execute(
            "select role, count(*) filter (where status = 'active'), count(*) filter (where status = 'inactive')"
            " from roster.users group by role order by 2 desc limit 4"
        ):
            table.add_row(role, f"{active:,}", f"{inactive:,}")
    console.print(table)


_quiet: Callable[[str, int, int | None], None] = lambda _entity, _records, _total: None  # noqa: E731
