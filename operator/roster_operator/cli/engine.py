"""The engine without a cluster: test, stage, review, merge, on any PostgreSQL, by the same code as the Jobs."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from roster_operator.api.limits import LimitHit
from roster_operator.api.sync import Mode
from roster_operator.api.task import MERGE_URL_KEY, STAGE_URL_KEY, Policy, TestReport
from roster_operator.oneroster.csvfiles.source import CsvSource
from roster_operator.store import held, issue_history, migrate, review, runs, tenants, uploads
from roster_operator.store import merge as merging
from roster_operator.store import undo as undoing
from roster_operator.store.database import connect
from roster_operator.store.runs import Run, RunName
from roster_operator.store.uploads import Upload
from roster_operator.worker import check
from roster_operator.worker.approvals import with_limits
from roster_operator.worker.choices import choices_of
from roster_operator.worker.decisions import held_for, schools_over
from roster_operator.worker.failures import WorkerError
from roster_operator.worker.inputs import SecretValues
from roster_operator.worker.pull import Progress
from roster_operator.worker.sources import open_for_test
from roster_operator.worker.stage import Staged, recorded
from roster_operator.worker.staging import stage_connection
from roster_operator.worker.undo import stage_undo

from .embedded import default_database
from .manifests import Connection

# A tenant is claimed by (cluster, namespace, name); without a cluster this stands in the first place.
LOCAL = "local"


@dataclass(frozen=True)
class HeldBy:
    """A limit that a plan goes beyond, and records that it is about. waits: its removals wait for a later sync."""

    hit: LimitHit
    waits: bool
    records: list[held.Held]


@dataclass(frozen=True)
class Engine:
    """One connection, one database."""

    connection: Connection
    stage_url: str
    merge_url: str
    policy: Policy

    def test(self, secret: SecretValues) -> TestReport:
        """Test Connection."""

        def claim() -> None:
            with connect(self.stage_url) as conn:
                self._claim(conn)

        problem = check.problem_of(claim)
        with open_for_test(self.connection.spec, secret, self.policy) as source:
            return check.look_at(source, problem, check.problem_of(lambda: choices_of(self.connection.spec)))

    def upload(self, bundle: Path, by: str) -> Upload:
        """Store a zip for a later stage. It must open as a bundle of a OneRoster version. by: who sends it."""
        csv = self.connection.spec.csv
        if csv is None or csv.upload is None:
            raise WorkerError("UploadNotExpected", "The connection takes no uploads.", "Set spec.csv.upload.")
        with bundle.open("rb") as file:
            with CsvSource(file):
                pass
            with connect(self.stage_url) as conn:
                # Not claimed: the tenant may be a cluster's, and the upload for a sync there.
                if runs.session_tenant(conn) != self.connection.tenant:
                    raise WorkerError(
                        "TenantMismatch",
                        "The database login belongs to another tenant than the one that the connection names.",
                        "Make spec.tenant and the database URL agree.",
                    )
                return uploads.put(conn, file, by)

    def stage(
        self, secret: SecretValues, progress: Progress, mode: Mode = Mode.FULL, upload: str | None = None
    ) -> tuple[RunName, Staged]:
        """Pull and stage under a new run. upload: the digest of the zip, for connections that take uploads."""
        started = datetime.now(UTC)
        spec = self.connection.spec
        title = f"{self.connection.name}-{started:%Y%m%d-%H%M%S}"
        name = RunName(uuid.uuid4(), LOCAL, self.connection.namespace, title, mode.value)
        with connect(self.stage_url) as conn:
            self._claim(conn)
            runs.set_retention(conn, spec.retention.remove_after_days, spec.retention.history_days)
            staged = stage_connection(
                conn,
                name,
                spec,
                secret,
                self.policy,
                attempt=1,
                limits=spec.limits,
                progress=progress,
                upload=upload,
            )
            return name, staged

    def undo(self, undoes: str, *, overwrite: bool = False) -> tuple[RunName, Staged]:
        """Stage what takes back a merged run, named by its id or its sync's name, under a new run."""
        title = f"{self.connection.name}-undo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        name = RunName(uuid.uuid4(), LOCAL, self.connection.namespace, title, Mode.UNDO.value)
        with connect(self.stage_url) as conn:
            self._claim(conn)
            undone = undoing.find(conn, self.connection.namespace, undoes)
            limits = self.connection.spec.limits
            return name, stage_undo(conn, name, undone, attempt=1, limits=limits, overwrite=overwrite)

    def runs(self, limit: int) -> list[Run]:
        """The newest runs."""
        with connect(self.stage_url) as conn:
            return runs.latest(conn, limit)

    def review(
        self, run: uuid.UUID, *, entity: str | None, action: str | None, limit: int
    ) -> tuple[Run, Staged, list[review.Change]]:
        """The recorded plan, and the records of one entity that it would change."""
        with connect(self.stage_url) as conn:
            found = self._known(runs.find(conn, run))
            listed = (
                review.changes(conn, found, entity, review.Wanted(action=action, limit=limit))
                if entity and found.state == "Staged"
                else []
            )
            return found, recorded(found, self.connection.spec.limits), listed

    def held(self, run: uuid.UUID, *, entity: str | None, limit: int) -> tuple[Run, list[HeldBy]]:
        """The limits that a staged plan goes beyond, or for which its removals wait, and the records of each.

        limit: records of one limit. Raises WorkerError(RunUnknown, NotWaiting).
        """
        with connect(self.stage_url) as conn:
            found = self._known(runs.find(conn, run))
            if found.state != "Staged":
                raise WorkerError(
                    "NotWaiting", f"This run is {found.state}: nothing of it is held.", "`roster runs` lists them."
                )
            staged = recorded(found, self.connection.spec.limits)
            lists: list[HeldBy] = []
            for waits, hits in ((False, staged.hits), (True, held_for(staged.plan))):
                for hit in hits:
                    if entity in (None, hit.entity):
                        over = schools_over(staged.plan, hit.max_percent, hit.max_count)
                        schools = tuple(each.school for each in over if each.entity == hit.entity)
                        asked = held.Question(hit.limit, hit.entity, schools)
                        lists.append(HeldBy(hit, waits, held.records(conn, found, asked, limit=limit)))
            return found, lists

    def problems(
        self, *, code: str | None, school: str | None
    ) -> tuple[uuid.UUID, list[issue_history.Problems]] | None:
        """The problems of records as the newest run left them, counted; None where nothing was staged yet."""
        with connect(self.stage_url) as conn:
            run = issue_history.latest_run(conn)
            if run is None:
                return None
            found = issue_history.by_school(conn, run.run)
            return run.run, [each for each in found if code in (None, each.code) and school in (None, each.school)]

    def problem_records(
        self, *, code: str | None, school: str | None, state: str | None, limit: int
    ) -> list[issue_history.Problem]:
        """The same, record by record."""
        with connect(self.stage_url) as conn:
            run = issue_history.latest_run(conn)
            if run is None:
                return []
            return issue_history.problems(conn, run.run, code=code, school=school, state=state, limit=limit)

    def merge(self, run: uuid.UUID, digest: str) -> merging.Merged | merging.PlanChanged:
        """Merge exactly the plan with this digest."""
        approval = {"digest": digest, "via": "command line", "by": None, "at": datetime.now(UTC).isoformat()}
        with connect(self.merge_url) as conn:
            approval = with_limits(conn, run, approval, self.connection.spec.limits)
            return merging.merge(conn, run, digest, approval)

    def discard(self, run: uuid.UUID) -> str:
        """Drop what is staged; gives the run's state."""
        with connect(self.stage_url) as conn:
            found = self._known(runs.find(conn, run))
            return runs.discard(conn, RunName(run, LOCAL, found.namespace, found.name, found.mode), "command line")

    def _claim(self, conn: psycopg.Connection) -> None:
        runs.claim(conn, self.connection.tenant, LOCAL, self.connection.namespace, self.connection.name)

    @staticmethod
    def _known(run: Run | None) -> Run:
        if run is None:
            raise WorkerError("RunUnknown", "The database knows no such run.", "`roster runs` lists them.")
        return run


@contextmanager
def engine(connection: Connection, database: str | None, policy: Policy) -> Generator[Engine]:
    """The engine on a database URL (the tenant's login for the step), or on the embedded PostgreSQL."""
    if database:
        yield Engine(connection, database, database, policy)
        return
    with default_database() as own:
        urls = prepare(own.owner_url, connection.tenant)
        yield Engine(connection, urls[STAGE_URL_KEY], urls[MERGE_URL_KEY], policy)


def prepare(owner_url: str, tenant: str) -> dict[str, str]:
    """An own database, ready: schema and tenant. The logins get new passwords each time, so none has to be kept."""
    migrate.migrate(owner_url)
    known = tenant in {known.tenant for known in tenants.listing(owner_url)}
    logins = tenants.create(owner_url, tenant, rotate=known)
    return {STAGE_URL_KEY: logins.stage_url, MERGE_URL_KEY: logins.merge_url}
