"""What most people write first: requests, JSON, for each page an upsert by executemany, one commit at the end.

No checks, no review, no removals, no history. psycopg sends a page's rows as one pipeline, which is faster than what
older drivers do.
"""

from __future__ import annotations

import http.client
import sys
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
from tests.benchmarks.source import ENTITIES, PAGE, token


def ref(value: dict[str, Any] | None) -> str | None:
    return value["sourcedId"] if value else None


TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "orgs": ("orgs", {"name": lambda r: r["name"], "type": lambda r: r["type"]}),
    "academicSessions": (
        "academic_sessions",
        {
            "title": lambda r: r["title"],
            "type": lambda r: r["type"],
            "start_date": lambda r: r["startDate"],
            "end_date": lambda r: r["endDate"],
        },
    ),
    "courses": ("courses", {"title": lambda r: r["title"], "course_code": lambda r: r["courseCode"]}),
    "classes": (
        "classes",
        {
            "title": lambda r: r["title"],
            "course_sourced_id": lambda r: ref(r["course"]),
            "school_sourced_id": lambda r: ref(r["school"]),
            "term_sourced_ids": lambda r: [ref(t) for t in r["terms"]],
        },
    ),
    "users": (
        "users",
        {
            "enabled_user": lambda r: r["enabledUser"] == "true",
            "username": lambda r: r["username"],
            "given_name": lambda r: r["givenName"],
            "family_name": lambda r: r["familyName"],
            "middle_name": lambda r: r.get("middleName"),
            "preferred_given_name": lambda r: r.get("preferredFirstName"),
            "role": lambda r: r["roles"][0]["role"],
            "org_sourced_ids": lambda r: [ref(role["org"]) for role in r["roles"]],
            "grades": lambda r: r["grades"],
            "identifier": lambda r: r["identifier"],
            "email": lambda r: r["email"],
            "phone": lambda r: r.get("phone"),
        },
    ),
    "enrollments": (
        "enrollments",
        {
            "user_sourced_id": lambda r: ref(r["user"]),
            "class_sourced_id": lambda r: ref(r["class"]),
            "school_sourced_id": lambda r: ref(r["school"]),
            "role": lambda r: r["role"],
            "primary": lambda r: r["primary"] == "true",
            "begin_date": lambda r: r["beginDate"],
            "end_date": lambda r: r["endDate"],
        },
    ),
}


def main(url: str, endpoint: str, database: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    with requests.Session() as client, psycopg.connect(database) as conn:
        client.headers["Authorization"] = f"Bearer {token(connection)}"
        for entity in ENTITIES:
            table, columns = TABLES[entity]
            names = ", ".join(f'"{name}"' for name in ("sourced_id", *columns))
            values = ", ".join(["%s"] * (len(columns) + 1))
            updates = ", ".join(f'"{name}" = excluded."{name}"' for name in columns)
            query = f"insert into naive.{table} ({names}) values ({values})"
            query += f" on conflict (sourced_id) do update set {updates}"
            offset = 0
            while True:
                answer = client.get(f"{endpoint}/{entity}", params={"limit": PAGE, "offset": offset}, timeout=60)
                answer.raise_for_status()
                records = answer.json()[entity]
                if not records:
                    break
                rows = [(r["sourcedId"], *(read(r) for read in columns.values())) for r in records]
                conn.cursor().executemany(query.encode(), rows)
                offset += len(records)


if __name__ == "__main__":
    main(*sys.argv[1:])
