"""Uploads: by digest, by tenant, bounded, and gone once they are merged or overdue."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.store.fixtures import Roster, run_name
from tests.store.staging import ORGS, org, pulled, raw, row_hash

from roster_operator.store import origins, runs, uploads
from roster_operator.store import plan as plans
from roster_operator.store.errors import StoreError, translated
from roster_operator.store.merge import Merged, merge
from roster_operator.store.retention import reap
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Stage

pytestmark = pytest.mark.store


def content(seed: int = 1, size: int = 2_500_000) -> bytes:
    return random.Random(seed).randbytes(size)


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put(roster: Roster, data: bytes, tenant: str = "springfield") -> uploads.Upload:
    with roster.stager(tenant) as conn, translated():
        return uploads.put(conn, io.BytesIO(data), "test")


def read(roster: Roster, named: str, tenant: str = "springfield") -> bytes:
    into = io.BytesIO()
    with roster.stager(tenant) as conn, translated():
        size = uploads.fetch(conn, named, into)
    assert size == len(into.getvalue())
    return into.getvalue()


def refusal(call, *given) -> str:
    with pytest.raises(StoreError) as refused:
        call(*given)
    assert refused.value.next_step
    return refused.value.reason


def chunks(roster: Roster, tenant: str = "springfield") -> int:
    return roster.one("select count(*) from roster.upload_chunk where tenant = %s", roster.key(tenant))


def gone(roster: Roster, named: str) -> str | None:
    return roster.one("select gone from roster.upload where tenant = %s and digest = %s", roster.key(), named)


def bound(roster: Roster, **limits: int) -> None:
    roster.logins()
    with roster.owner() as conn:
        for column, value in limits.items():
            conn.execute(f"update roster.tenant set {column} = %s where tenant = %s".encode(), (value, roster.key()))


def overdue(roster: Roster, named: str) -> None:
    with roster.owner() as conn:
        conn.execute(
            "update roster.upload set expires_at = now() - interval '1 minute' where tenant = %s and digest = %s",
            (roster.key(), named),
        )


def staged(roster: Roster, origin: dict[str, object], orgs: dict[str, str]) -> tuple[RunName, str]:
    name = run_name()
    with roster.stager() as conn:
        stage = Stage(conn, name, 1)
        origins.record(conn, stage, origin)
        rows = stage.table(ORGS)
        for sourced_id, title in orgs.items():
            rows.add(sourced_id, "active", raw(sourced_id + title), row_hash(sourced_id + title), org(title))
        rows.flush()
        stage.seal("1.2", pulled(ORGS, received=len(orgs)), [ORGS.entity])
        run = runs.get(conn, name.run)
        with conn.transaction():
            plan = plans.compute(conn, run)
        plans.record(conn, run, plan)
    return name, plan.digest


def merged(roster: Roster, name: RunName, plan: str) -> None:
    with roster.merger() as conn:
        assert isinstance(merge(conn, name.run, plan, {"by": "test"}), Merged)


def test_a_zip_comes_back_as_it_was_sent(roster: Roster) -> None:
    data = content()
    sent = put(roster, data)
    assert (sent.digest, sent.size, sent.before) == (digest(data), len(data), False)
    assert timedelta(days=29) < sent.expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert read(roster, sent.digest) == data
    assert chunks(roster) == 3


def test_neither_way_holds_more_than_a_few_pieces_in_memory(roster: Roster) -> None:
    roster.logins()
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as back, roster.stager() as conn:
        file.write(content(size=24_000_000))
        tracemalloc.start()
        try:
            sent = uploads.put(conn, file, "test")
            uploads.fetch(conn, sent.digest, back)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        back.seek(0)
        assert uploads.digest_of(back) == (sent.digest, 24_000_000)
    assert peak < 8_000_000


def test_sending_it_twice_keeps_one_and_gives_it_new_time(roster: Roster) -> None:
    data = content()
    named = put(roster, data).digest
    with roster.owner() as conn:
        conn.execute("update roster.upload set expires_at = now() + interval '1 hour' where digest = %s", (named,))
    again = put(roster, data)
    assert again.before
    assert again.expires_at > datetime.now(UTC) + timedelta(days=29)
    assert chunks(roster) == 3


def test_another_tenant_neither_reads_it_nor_sees_that_it_is_there(roster: Roster) -> None:
    named = put(roster, content()).digest
    assert refusal(read, roster, named, "shelbyville") == "UploadMissing"
    with roster.stager("shelbyville") as conn:
        assert conn.execute("select count(*) from roster.upload").fetchone() == (0,)
        assert conn.execute("select count(*) from roster.upload_chunk").fetchone() == (0,)
    put(roster, content(), "shelbyville")
    assert chunks(roster) == chunks(roster, "shelbyville") == 3


@pytest.mark.parametrize(
    "statement",
    [
        "insert into roster.upload select 't', 'sha256:' || repeat('0', 64), 1, 1, true, 'x', now(), now()",
        "update roster.upload set expires_at = 'infinity'",
        "delete from roster.upload",
        "update roster.upload_chunk set content = 'x'",
        "delete from roster.upload_chunk",
        "select roster.expire_uploads(roster.session_tenant())",
    ],
)
def test_a_login_changes_uploads_by_the_functions_alone(roster: Roster, statement: str) -> None:
    named = put(roster, content()).digest
    for session in (roster.stager, roster.merger):
        with session() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement.encode())
    assert read(roster, named) == content()


def test_the_merge_login_does_not_read_uploads(roster: Roster) -> None:
    put(roster, content())
    with roster.merger() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select count(*) from roster.upload_chunk")


def test_bounds_hold_by_size_by_count_and_in_all(roster: Roster) -> None:
    bound(roster, upload_bytes=1000, uploads_bytes=2500, uploads_count=3)
    assert refusal(put, roster, content(size=1001)) == "UploadTooLarge"
    put(roster, content(1, 1000))
    put(roster, content(2, 1000))
    assert refusal(put, roster, content(3, 501)) == "UploadsFull"
    put(roster, content(3, 100))
    assert refusal(put, roster, content(4, 1)) == "UploadsFull"
    assert put(roster, content(1, 1000)).before, "what is there already needs no room"
    put(roster, content(4, 1), "shelbyville")  # the bounds are each tenant's own


def test_no_login_writes_more_than_it_announced(roster: Roster) -> None:
    named = digest(b"ab")
    with roster.stager() as conn, conn.transaction():
        conn.execute("select roster.begin_upload(%s, 2, 'x')", (named,))
        conn.execute("select roster.put_upload_chunk(%s, 0, 'a')", (named,))
        for call in (
            "select roster.put_upload_chunk(%s, 1, 'bc')",  # more than two bytes
            "select roster.put_upload_chunk(%s, 1, '')",
            "select roster.end_upload(%s)",  # less than two bytes
        ):
            with pytest.raises(psycopg.Error) as refused, conn.transaction():
                conn.execute(call.encode(), (named,))
            assert refused.value.sqlstate == "RO022"
    # Left unfinished: nobody reads it, and the next upload clears it away.
    assert refusal(read, roster, named) == "UploadMissing"
    put(roster, content())
    assert roster.one("select count(*) from roster.upload where digest = %s", named) == 0


def test_an_upload_that_breaks_off_leaves_nothing(roster: Roster) -> None:
    class Breaks(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            Breaks.reads += 1
            if Breaks.reads > 6:  # four for the digest, then the third piece
                raise ConnectionAbortedError
            return super().read(size)

    with roster.stager() as conn, pytest.raises(ConnectionAbortedError):
        uploads.put(conn, Breaks(content()), "test")
    assert chunks(roster) == 0
    assert roster.one("select count(*) from roster.upload where tenant = %s", roster.key()) == 0


def test_two_that_send_the_same_at_once_keep_one(roster: Roster) -> None:
    data = content(size=6_000_000)
    roster.logins()
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: put(roster, data), range(4)))
    assert sorted(each.before for each in sent) == [False, True, True, True]
    assert read(roster, digest(data)) == data


def test_a_file_that_changes_while_it_is_sent_is_refused(roster: Roster) -> None:
    class Changes(io.BytesIO):
        rounds = 0

        def seek(self, position: int, whence: int = 0, /) -> int:
            Changes.rounds += 1
            if Changes.rounds == 2:
                self.getbuffer()[7] ^= 1
            return super().seek(position, whence)

    with roster.stager() as conn:
        assert refusal(uploads.put, conn, Changes(content()), "test") == "UploadMalformed"
    assert chunks(roster) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "update roster.upload_chunk set content = overlay(content placing 'x' from 9) where tenant = %s and number = 1",
        "delete from roster.upload_chunk where tenant = %s and number = 2",
        "update roster.upload_chunk set number = 9 where tenant = %s and number = 1",
    ],
    ids=["changed", "cut", "misplaced"],
)
def test_what_was_damaged_is_never_used(roster: Roster, damage: str) -> None:
    named = put(roster, content()).digest
    with roster.owner() as conn:
        assert conn.execute(damage.encode(), (roster.key(),)).rowcount == 1
    assert refusal(read, roster, named) == "UploadDigestMismatch"


def test_an_overdue_one_is_told_and_its_content_goes_with_the_next_upload(roster: Roster) -> None:
    named = put(roster, content()).digest
    overdue(roster, named)
    assert refusal(read, roster, named) == "UploadExpired"
    put(roster, content(2, 10))
    assert chunks(roster) == 1
    assert gone(roster, named) == "Expired"
    assert refusal(read, roster, named) == "UploadExpired"
    assert not put(roster, content()).before, "it can be sent anew"
    assert read(roster, named) == content()


def test_the_nightly_reap_takes_the_content_of_overdue_ones(roster: Roster) -> None:
    late, resting = put(roster, content(1)).digest, put(roster, content(2)).digest
    overdue(roster, late)
    reap(roster.database.owner_url)
    assert gone(roster, late) == "Expired"
    assert chunks(roster) == 3
    assert read(roster, resting) == content(2)


def test_a_merge_takes_the_upload_that_it_came_from_and_no_other(roster: Roster) -> None:
    spent, other = put(roster, content(1)).digest, put(roster, content(2)).digest
    name, plan = staged(roster, {"upload": spent}, {"o1": "North"})
    assert read(roster, spent) == content(1), "while it is staged only, it stays"
    merged(roster, name, plan)
    assert refusal(read, roster, spent) == "UploadMissing"
    assert chunks(roster) == 3
    assert read(roster, other) == content(2)
    assert not put(roster, content(1)).before


def test_a_discard_leaves_the_upload(roster: Roster) -> None:
    named = put(roster, content()).digest
    name, _ = staged(roster, {"upload": named}, {"o1": "North"})
    with roster.stager() as conn:
        assert runs.discard(conn, name, None) == "Discarded"
    assert read(roster, named) == content()


def test_the_file_that_was_merged_last_is_remembered(roster: Roster) -> None:
    def last() -> object:
        with roster.stager() as conn:
            return origins.last_merged(conn)

    first = {"modified": "2026-11-23T03:00:00+00:00", "size": 7, "sha256": "a" * 64}
    second = first | {"modified": "2026-11-24T03:00:00+00:00"}
    assert last() is None
    name, plan = staged(roster, first, {"o1": "North"})
    assert last() is None, "what was only staged counts for nothing"
    merged(roster, name, plan)
    assert last() == first
    merged(roster, *staged(roster, second, {"o1": "South"}))
    assert last() == second
    # One from somewhere else came between.
    merged(roster, *staged(roster, {"upload": digest(b"x")}, {"o1": "West"}))
    assert last() == second
    assert json.dumps(last())


def test_an_attempt_that_was_overtaken_does_not_say_where_it_came_from(roster: Roster) -> None:
    name = run_name()
    with roster.stager() as conn:
        old = Stage(conn, name, 1)
        Stage(conn, name, 2)
        with pytest.raises(StoreError) as refused, translated():
            origins.record(conn, old, {"upload": digest(b"x")})
    assert refused.value.reason == "Fenced"
