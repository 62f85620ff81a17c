"""The one way to a district's records: the person's right is asked of the API server, and the look is recorded.

What follows from that stands in docs/decisions/0010-the-console-sees-one-tenant-a-transaction.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psycopg
from fastapi.concurrency import run_in_threadpool

from roster_operator.api.connection import find
from roster_operator.api.kinds import CONNECTION
from roster_operator.store import readings
from roster_operator.store.errors import StoreError
from roster_operator.store.pool import Pool
from roster_operator.store.readings import Kind, Place

from . import problems
from .cluster import Cluster
from .resources import Connection
from .sessions import Session
from .settings import Settings

T = TypeVar("T")

# The verb on the connection that each kind of look needs, and what it is called where it is missing.
VERBS: dict[Kind, tuple[str, str]] = {
    Kind.PLAN: ("viewrecords", "see records"),
    Kind.REPORT: ("viewrecords", "see records"),
    Kind.PEOPLE: ("viewrecords", "see records"),
    Kind.PERSON: ("viewrecords", "see records"),
    Kind.ACTIVITY: ("viewrecords", "see records"),
    Kind.PINS: ("viewrecords", "see records"),
    Kind.MATCHES: ("viewrecords", "see records"),
    Kind.EXPORT: ("viewrecords", "see records"),
    Kind.STUDENT: ("upload", "add people or send in bundles"),
    Kind.PIN: ("upload", "change records by hand"),
    Kind.MATCH: ("upload", "change records by hand"),
    Kind.UPLOADS: ("upload", "add people or send in bundles"),
    Kind.ACCESS: ("grantaccess", "activate people"),
}


class Records:
    """The database, as far as one person may see it."""

    def __init__(self, settings: Settings, cluster: Cluster, pool: Pool | None) -> None:
        self._pool = pool
        self._cluster_id = settings.cluster or None
        self._cluster = cluster

    @property
    def there(self) -> bool:
        """The console has a login."""
        return self._pool is not None

    async def use(
        self,
        person: Session,
        connection: Connection,
        kind: Kind,
        work: Callable[[psycopg.Connection, str], T],
        *,
        subject: str | None = None,
        write: bool = False,
    ) -> T:
        """What `work` gives, which gets an open transaction and the tenant. Raises problems.Problem."""
        if self._pool is None:
            raise problems.no_database()
        where = connection.metadata
        verb, what = VERBS[kind]
        if not await self._cluster.may(person.token, verb, CONNECTION, where.namespace, where.name):
            raise problems.needs_right(verb, CONNECTION.plural, what)
        if not person.person:
            raise problems.nobody()
        place = Place(_tenant(connection), where.namespace, where.name, self._cluster_id)
        return await run_in_threadpool(self._work, self._pool, place, person.person, kind, work, subject, write)

    def _work(
        self,
        pool: Pool,
        place: Place,
        who: str,
        kind: Kind,
        work: Callable[[psycopg.Connection, str], T],
        subject: str | None,
        write: bool,
    ) -> T:
        try:
            with readings.opened(pool.connection, place, person=who, kind=kind, subject=subject, write=write) as conn:
                return work(conn, place.tenant)
        except StoreError as error:
            raise problems.from_store(error.reason, error.message, error.next_step, retryable=error.retryable) from None


def _tenant(connection: Connection) -> str:
    """The tenant, once the operator has written that this connection claimed it: nobody else writes a status."""
    where, claimed = connection.metadata, find(connection.status.conditions, "TenantClaimed")
    tenant = connection.spec.tenant_of(where.namespace, where.name)
    if connection.status.tenant != tenant or claimed is None or claimed.status != "True":
        raise problems.from_store(
            "TenantNotOpen",
            "This connection has not claimed its district's rows yet.",
            "Test the connection: its first good test claims them.",
            retryable=False,
        )
    return tenant
