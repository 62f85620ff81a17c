"""Each vendor's profile, from a few lines of YAML to merged rows."""

from __future__ import annotations

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from deploy.demo import parts
from deploy.demo.shell import apply, secret
from tests.e2e import vendor_servers
from tests.e2e.districts import District
from tests.e2e.ground import LABEL
from tests.e2e.watching import condition
from tests.oneroster.vendors.dress import Vendor

from roster_sample_sis import generate

pytestmark = pytest.mark.cluster
LET_IN = {"classlink": "RequestAccepted", "classlink-proxy": "RequestAccepted"}


def certificate(host: str) -> tuple[str, str]:
    """A certificate that says the host's name, and its key."""
    with tempfile.TemporaryDirectory() as folder:
        key, made = Path(folder, "key"), Path(folder, "crt")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-keyout", key, "-out", made, "-subj", "/CN=vendors", "-addext", f"subjectAltName=DNS:{host}"],
            check=True, capture_output=True,
        )  # fmt: skip
        return made.read_text(), key.read_text()


def test_each_vendors_profile_goes_the_whole_way(district: District) -> None:
    parts.namespace(district.namespace, **{LABEL: district.slug})
    host = vendor_servers.host(district.namespace)
    trusted, key = certificate(host)
    vendor_servers.started(district.namespace, district.ground.images["demo"], trusted, key)
    made = vendor_servers.vendors(host, generate(7, vendor_servers.USERS))

    def whole_way(name: str, vendor: Vendor) -> dict[str, int]:
        tenant = f"{district.namespace}.{name}"
        parts.tenant(tenant, district.namespace, f"{name}-database")
        secret(district.namespace, f"{name}-sis", vendor.held())
        api = vendor.spec() | {"caBundle": trusted, "pageSize": 50}
        api["auth"] = api["auth"] | {"secretRef": {"name": f"{name}-sis"}}
        spec = {"tenant": tenant, "api": api, "databaseSecretRef": {"name": f"{name}-database"}}
        meta = {"name": name, "namespace": district.namespace}
        apply(json.dumps({"apiVersion": "roster-operator.io/v1alpha1", "kind": "RosterConnection", "metadata": meta,
                          "spec": spec}))  # fmt: skip
        tested = district.until_ready("True", "Tested", name)
        assert tested["status"]["version"] == vendor_servers.SERVERS[name][1]
        assert condition(tested, "Authenticated")["reason"] == LET_IN.get(name, "TokenIssued")
        assert {check["name"] for check in tested["status"]["checks"]} >= {"Resolve", "Connect", "Version", "Read"}
        sync = district.sync(name, name)
        assert sync.until("AwaitingApproval")["status"]["plan"]["complete"]
        sync.patch(approved=True)
        sync.until("Merged")
        tables = ("orgs", "academic_sessions", "courses", "classes", "users", "enrollments", "demographics")
        rows = district.ground.database.rows
        return {
            table: rows(f"select count(*) from roster.{table} where tenant = %s and status = 'active'", tenant)[0][0]
            for table in tables
        }

    with ExitStack() as closing, ThreadPoolExecutor(3) as pool:
        for vendor in made.values():
            closing.enter_context(vendor)
        merged = dict(zip(made, pool.map(whole_way, made, made.values()), strict=True))
    assert merged["generic"]["users"] == vendor_servers.USERS
    assert all(merged["generic"].values())
    # One district behind six servers.
    assert {name: rows for name, rows in merged.items() if rows != merged["generic"]} == {}
