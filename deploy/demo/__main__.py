"""The story of the demo, from nothing to the second sync. Leaves the cluster for the user."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
import urllib.request
from datetime import UTC, datetime
from typing import Any

from . import parts
from .shell import KUBECONFIG, ROOT, DemoError, apply, forwarded, get, headline, say, show, template, wait
from .window import close_window, open_window

DISTRICT, SIS = "k12", "sis"
TENANT = f"{DISTRICT}.springfield"
MANAGER = "data-manager"


def main() -> int:
    """Tell the story; 1 where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--users", type=int, default=2000, help="people in the sample district")
    parser.add_argument("--down", action="store_true", help="take the cluster down again, and everything in it")
    options = parser.parse_args()
    users: int = options.users
    begun = time.monotonic()
    try:
        if options.down:
            close_window()
            parts.local("down")
            return 0
        _story(users)
    except DemoError as error:
        say(f"\nThe demo stopped. {error}")
        return 1
    say(f"\nThe demo took {time.monotonic() - begun:.0f} s. `make demo-down` takes the cluster away again.")
    return 0


def _story(users: int) -> None:
    say(
        "This brings up a Kubernetes cluster of its own, installs the operator, and takes a sample district through two"
        " syncs.\nThe first time everything is built from source: about 12 minutes on 2 cores. After that under 2."
    )
    images = parts.cluster()
    parts.database(images["demo"])
    parts.operator(images["operator"])
    headline(f"A sample School Information System with {users:,} people")
    parts.namespace(SIS)
    parts.sis(SIS, images["demo"], users)
    _connect()
    _sync("The first sync: staged, and waiting for a person", "base")
    _metrics()
    _sync("The next night: about one per cent of the district has changed", "one-percent")
    _console()
    headline("With kubectl")
    say(f"  export KUBECONFIG={KUBECONFIG.relative_to(ROOT)} PATH=$PWD/.local/bin:$PATH")
    say(f"  kubectl -n {DISTRICT} get rconn,rsync")
    say(f"  kubectl -n {DISTRICT} describe rsync")
    say("  kubectl explain rosterconnection.spec.api")


def _connect() -> None:
    headline("A district: its database logins, its credentials, its connection")
    parts.namespace(DISTRICT)
    if not (get("secret", DISTRICT, "roster-database") and parts.has_tenant(TENANT)):
        host = parts.DATABASE_HOST
        say(f"$ roster tenant create {TENANT} --namespace {DISTRICT} --host {host} | kubectl apply -f -")
        parts.tenant(TENANT, DISTRICT)
    parts.sis_credentials(DISTRICT, "springfield-sis", SIS)
    bundle = textwrap.indent(parts.decoded(SIS, "sis-tls", "tls.crt").strip(), " " * 6)
    manifest = template("connection.yaml", ca_bundle=bundle)
    say(manifest.replace(bundle, "      -----BEGIN CERTIFICATE----- …"))
    apply(manifest)

    def look() -> str | None:
        status = get("rosterconnection", DISTRICT, "springfield").get("status", {})
        for condition in status.get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                return f"{condition['reason']}, OneRoster {status.get('version')}"
        return None

    wait("Ready", look, seconds=180)
    show("-n", DISTRICT, "get", "rconn")


def _sync(title: str, variant: str) -> None:
    headline(title)
    parts.sis_admin(SIS, "POST", "variant", {"variant": variant})  # as districts change overnight
    name = f"springfield-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    manifest = template("sync.yaml", name=name)
    say(manifest)
    apply(manifest)

    def phase(wanted: set[str]) -> str:
        def look() -> str | None:
            status = get("rostersync", DISTRICT, name).get("status", {})
            found = status.get("phase")
            if found in {"Failed", "Blocked"} and found not in wanted:
                raise DemoError(f"{name} is {found}: kubectl -n {DISTRICT} describe rsync {name}")
            return found if found in wanted else None

        return wait("phase", look, seconds=300)

    phase({"AwaitingApproval", "Blocked"})
    show("-n", DISTRICT, "get", "rsync", name)
    _plan(get("rostersync", DISTRICT, name)["status"])
    say("\nNothing has been merged. One field approves exactly this plan:")
    show("-n", DISTRICT, "patch", "rsync", name, "--type=merge", "-p", '{"spec":{"approved":true}}')
    phase({"Merged"})
    show("-n", DISTRICT, "get", "rsync", name)
    _rows()


def _plan(status: dict[str, Any]) -> None:
    plan = status["plan"]
    columns = ("received", "create", "update", "deactivate", "reactivate", "unchanged", "invalid")
    say(f"\n{'ENTITY':<18}" + "".join(f"{c.upper():>12}" for c in columns))
    for entity, counts in plan["entities"].items():
        say(f"{entity:<18}" + "".join(f"{counts.get(c, 0):>12,}" for c in columns))
    say(f"Digest {plan['digest']}")


def _rows() -> None:
    say("\nThe rows that the application reads:")
    with parts.superuser("roster") as conn:
        query = "select role, count(*) filter (where status = 'active'), count(*) filter (where status <> 'active')"
        rows = conn.execute(
            f"{query} from roster.users where tenant = %s group by 1 order by 2 desc".encode(), (TENANT,)
        )
        say(f"{'roster.users':<26}{'ACTIVE':>10}{'INACTIVE':>10}")
        for role, active, inactive in rows:
            say(f"  {role:<24}{active:>10,}{inactive:>10,}")
        merged = conn.execute(
            "select count(*) from roster.enrollments where tenant = %s and status = 'active'", (TENANT,)
        )
        (count,) = merged.fetchone() or (0,)
        say(f"{'roster.enrollments':<26}{count:>10,}")


def _console() -> None:
    headline("Yours to decide, in the console")
    # A third night is left as it is: staged by the time that somebody has signed in.
    parts.sis_admin(SIS, "POST", "variant", {"variant": "lost-a-fifth"})
    name = f"springfield-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    apply(template("sync.yaml", name=name))
    roles = ("roster-data-manager", "roster-approver", "roster-editor")
    token = parts.person(DISTRICT, MANAGER, *roles)
    say(f"  {MANAGER} holds {', '.join(roles)} in the namespace {DISTRICT}.")
    say(f"  {name} waits there: a fifth of the students were not in the export. Would you approve it?")
    say(f"\n  Open    {open_window()}")
    say(f"  Sign in for the namespace {DISTRICT} with this token. It ends in an hour:\n\n{token}\n")
    say(f"  Another one: kubectl -n {DISTRICT} create token {MANAGER} --duration=1h")


def _metrics() -> None:
    headline("What Prometheus sees")
    with (
        forwarded(parts.SYSTEM, "deployment/roster-operator", 8080) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        text: str = answer.read().decode()
    for line in text.splitlines():
        if line.startswith("roster_") and "_created" not in line:
            say(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
