"""What worker and schema would be without one of their guards: the checks must notice each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from roster_operator.store import merge, pins
from roster_operator.store import plan as plans


def _begin_anew(conn: psycopg.Connection[Any]) -> None:
    conn.execute("commit")
    conn.execute("begin")


def ledger_in_a_second_transaction() -> None:
    settle = pins.settle

    def instead(conn: psycopg.Connection[Any], run: Any) -> None:
        settle(conn, run)
        _begin_anew(conn)

    merge.pins.settle = instead


def commit_after_each_entity() -> None:
    apply = merge._apply

    def instead(conn: psycopg.Connection[Any], *given: Any) -> None:
        apply(conn, *given)
        _begin_anew(conn)

    merge._apply = instead


def changes_without_history() -> None:
    merge._LOG_CHANGED = "select 1"


def new_rows_twice_in_the_history() -> None:
    merge._LOG_NEW = merge._LOG_NEW.replace(" from {stage} s", " from generate_series(1, 2), {stage} s")


def digest_as_recorded() -> None:
    merge.plans.compute = lambda _, run, **__: plans.Plan.from_run(run)


def touching_without_a_tenant() -> None:
    merge._TOUCH = "update {merged} m set last_changed = now() from {stage} s where m.sourced_id = s.sourced_id"


WORKERS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        ledger_in_a_second_transaction,
        commit_after_each_entity,
        changes_without_history,
        new_rows_twice_in_the_history,
        digest_as_recorded,
        touching_without_a_tenant,
    )
}

# To be run by the owner in the database of a case.
SCHEMAS: dict[str, str] = {
    "nothing_dropped": """
        create or replace function roster.drop_stage(p_tenant text, p_run uuid) returns void
        language sql as 'select'""",
    "version_not_stored": """
        create or replace function roster.record_merge(p_run uuid, p_digest text, p_approval jsonb) returns bigint
        language plpgsql security definer as $$
        declare
          v_tenant text := roster.require_tenant();
          v_version bigint;
        begin
          select data_version + 1 into v_version from roster.tenant where tenant = v_tenant;
          update roster.sync_run
             set state = 'Merged', data_version = v_version, approval = p_approval, merged_at = now()
           where tenant = v_tenant and run = p_run;
          perform roster.drop_stage(v_tenant, p_run);
          return v_version;
        end $$""",
    "no_row_security": """
        do $$ declare t text; begin
          for t in select relname from pg_class where relnamespace = 'roster'::regnamespace and relrowsecurity loop
            execute format('alter table roster.%I disable row level security', t);
          end loop;
        end $$""",
}
