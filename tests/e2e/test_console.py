"""The whole way of a district in the browser, at the console that the chart installed."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest
from deploy.demo import parts
from deploy.demo.shell import forwarded, kubectl
from playwright.sync_api import Page, expect
from tests.console.serving import chromium, sign_in, violations, visit
from tests.e2e.districts import District, Sync

pytestmark = pytest.mark.cluster
SERVICE = f"service/{parts.CONSOLE}"
# A press of a button that is not there, and what comes of it.
POST = """async ([path, fields]) => {
  const token = document.querySelector("input[name=form_token]").value;
  const answer = await fetch(path, {method: "POST", body: new URLSearchParams({form_token: token, ...fields})});
  return answer.status;
}"""


def test_a_district_is_brought_to_automatic_syncing_in_the_browser(district: District) -> None:
    district.open(users=300, credentials=False)
    # `admin` of the cluster has roster-admin by aggregation, and writes the namespace's Secrets.
    manager = parts.person(district.namespace, "manager", "admin")
    viewer = parts.person(district.namespace, "viewer", "roster-viewer")
    with chromium() as browser, visit(browser) as (page, complaints):
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)  # the cluster has other scenarios to serve
        with forwarded(parts.SYSTEM, SERVICE, 80) as port:
            home = f"http://localhost:{port}"
            sign_in(page, home, manager, district.namespace)
            _connects(page, home, district)
            review = _asks_for_a_sync(page, district)
            with visit(browser) as (other, _):
                sign_in(other, home, viewer, district.namespace)
                _may_only_look(other, home, district, viewer, review)
            _approves(page, district, review)
            _switches_on(page, home, district)
        assert complaints == []
        _signed_in_still_after_a_restart(page, district)
    _is_told_apart_in_the_database(district)


def _connects(page: Page, home: str, district: District) -> None:
    page.goto(f"{home}/connect?vendor=Generic")
    page.get_by_label("Namespace").fill(district.namespace)
    page.get_by_label("Name of the district").fill("district")
    page.get_by_label("Key of its rows").fill(district.tenant)
    host = f"https://sis.{district.namespace}.svc"
    page.get_by_label("Server's address").fill(host)
    page.get_by_label("Token address").fill(f"{host}/oauth/token")
    page.get_by_label("Client id").fill(parts.decoded(district.namespace, "sis-client", "SIS_CLIENT_ID"))
    page.get_by_label("Client secret").fill(parts.decoded(district.namespace, "sis-client", "SIS_CLIENT_SECRET"))
    page.get_by_text("The server's certificate is of an authority of your own").click()
    page.get_by_label("Authority, as PEM").fill(district.certificate)
    assert violations(page) == []
    page.get_by_role("button", name="Connect and test").click()
    expect(page.get_by_role("status")).to_contain_text("Connected.")
    # Both were written as the person, who is the one that the API server has seen.
    assert parts.decoded(district.namespace, "district-sis", "client-id")
    managers = {one["manager"] for one in district.connection()["metadata"]["managedFields"]}
    assert "roster-console" in managers
    # The steps come by themselves, while nobody touches the page.
    expect(page.locator("section[aria-labelledby=test] .steps li").filter(has_text="users")).to_have_count(1)
    district.until_ready("True", "Tested")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_role("status")).to_contain_text("A test is asked for.")
    district.until_connection(
        "the answer to the test",
        lambda body: (
            body["status"].get("lastHandledTestRequest")
            == body["metadata"]["annotations"]["roster-operator.io/test-requested-at"]
        ),
    )


def _asks_for_a_sync(page: Page, district: District) -> Sync:
    page.get_by_role("button", name="Sync now").click()
    page.wait_for_url("**/syncs/*")
    sync = Sync(district, page.url.rpartition("/")[2])
    sync.until("AwaitingApproval")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("300", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Search the records that change").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    page.go_back()
    assert district.count("users") == 0
    return sync


def _may_only_look(page: Page, home: str, district: District, token: str, sync: Sync) -> None:
    """No button, and where one is pressed all the same, the API server says no."""
    connection = f"/namespaces/{district.namespace}/connections/district"
    review = f"/namespaces/{district.namespace}/syncs/{sync.name}"
    page.goto(home + connection)
    for button in ("Sync now", "Test the connection", "Suspend", "Save"):
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    page.goto(home + review)
    expect(page.get_by_text(sync.digest[7:15]).first).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.get_by_role("button", name="Reject")).to_have_count(0)
    expect(page.get_by_role("link", name="Search the records that change")).to_have_count(0)
    asked: dict[str, dict[str, str]] = {
        f"{review}/approve": {"digest": sync.digest},
        f"{review}/reject": {"reason": "Because I can"},
        f"{connection}/sync": {},
        f"{connection}/test": {},
        f"{connection}/rest": {"suspend": "yes"},
        f"{connection}/automatic": {"every": "daily", "at": "03:00", "approval": "WithinLimits"},
    }
    for path, fields in asked.items():
        status = page.evaluate(POST, [path, fields])
        assert status == 403, f"{path}: {status}"
    for path in (f"{review}/changes", f"{connection}/people", f"{connection}/access", f"{connection}/activity"):
        answer = page.goto(home + path)
        assert answer is not None
        assert answer.status == 403, path
    request = urllib.request.Request(
        f"{home}/api{review}/approve",
        json.dumps({"digest": sync.digest}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 403
    body = sync.body
    assert body["status"]["phase"] == "AwaitingApproval"
    assert body["spec"]["approved"] is False
    assert not {"approvedPlan", "rejected"} & body["spec"].keys()
    assert not district.connection()["spec"].get("suspend")


def _approves(page: Page, district: District, sync: Sync) -> None:
    page.get_by_label("Note").fill("Compared with the office's list")
    page.get_by_role("button", name=f"Approve {sync.digest[7:15]}").click()
    page.wait_for_url("**?done=approved")
    merged = sync.until("Merged")
    page.reload()
    expect(page.get_by_text("Compared with the office's list")).to_be_visible()
    approval = merged["status"]["approval"]
    assert approval["by"] == f"system:serviceaccount:{district.namespace}:manager"
    assert merged["status"]["approval"]["note"] == "Compared with the office's list"
    assert approval["digest"] == sync.digest
    assert district.count("users") == 300


def _switches_on(page: Page, home: str, district: District) -> None:
    page.goto(f"{home}/namespaces/{district.namespace}/connections/district")
    page.get_by_label("How often").select_option("weekdays")
    page.get_by_label("At", exact=True).fill("02:30")
    page.get_by_label("Time zone").fill("America/Chicago")
    page.get_by_label("The limits:").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Automatic syncing is set.")
    assert district.connection()["spec"]["automaticSync"] == {
        "schedule": "30 2 * * 1-5",
        "timeZone": "America/Chicago",
        "approval": "WithinLimits",
    }
    district.until_connection("its next sync", lambda body: bool(body["status"].get("nextSync")))


def _signed_in_still_after_a_restart(page: Page, district: District) -> None:
    kubectl("-n", parts.SYSTEM, "rollout", "restart", f"deployment/{parts.CONSOLE}")
    kubectl("-n", parts.SYSTEM, "rollout", "status", f"deployment/{parts.CONSOLE}", "--timeout=120s")
    deadline = time.monotonic() + 60
    while True:
        try:
            with forwarded(parts.SYSTEM, SERVICE, 80) as port:
                page.goto(f"http://localhost:{port}/namespaces/{district.namespace}/connections/district")
                expect(page.get_by_role("heading", name="Automatic syncing")).to_be_visible()
                expect(page.get_by_text("manager", exact=False).first).to_be_visible()
                page.get_by_role("button", name="Sign out").click()
                expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
                return
        except Exception:  # the forward may have found the pod that was going
            if time.monotonic() > deadline:
                raise


def _is_told_apart_in_the_database(district: District) -> None:
    looked = district.ground.database.rows(
        "select distinct person from roster.reading where tenant = %s", district.tenant
    )
    assert looked == [(f"system:serviceaccount:{district.namespace}:manager",)]
