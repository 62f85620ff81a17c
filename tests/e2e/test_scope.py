"""What is taken of a source, and how its Jobs run: each setting from YAML to the rows and pods that it is about."""

from __future__ import annotations

import json
import ssl
import urllib.request
from datetime import date
from urllib.parse import urlencode

import pytest
from deploy.demo import parts
from deploy.demo.shell import forwarded, secret
from tests.e2e.districts import STEP, USERS, District
from tests.e2e.watching import condition

from roster_sample_sis import Version
from roster_sample_sis.districts import Role, day
from roster_sample_sis.variants import VARIANTS

pytestmark = pytest.mark.cluster
SCHOOL_ENTITIES = ["orgs", "academicSessions", "courses", "classes", "users", "enrollments"]


def test_one_school_and_some_entities_by_jobs_of_the_connections_own_kind(district: District) -> None:
    district.open()
    sample = district.sample
    school = next(org for org in sample.orgs if org.type == "school")
    template = {
        "labels": {"cost-centre": "rosters"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "resources": {"requests": {"cpu": "60m"}, "limits": {"memory": "200Mi"}},
    }
    district.connect(
        scope={"schools": [school.sourced_id], "entities": SCHOOL_ENTITIES},
        api={"pageSize": 50, "maxConcurrency": 1, "requestsPerSecond": 50},
        jobTemplate=template,
    )
    pages = district.pages_served()
    sync = district.sync("first")
    waiting = sync.until("AwaitingApproval")

    # With the district that it belongs to come those who work for it.
    orgs = {school.number, school.parent}
    people = {user.sourced_id for user in sample.users if orgs & set(user.orgs)}
    classes = {each.number for each in sample.classes if each.school == school.number}
    enrolled = sum(number in classes for number in sample.enrollments.class_)
    counts = waiting["status"]["plan"]["entities"]
    told = {"schools": 1, "terms": "All", "entities": SCHOOL_ENTITIES}
    assert told.items() <= waiting["status"]["plan"]["taken"].items()
    assert 0 < len(people) < USERS
    taken = {"orgs": 2, "classes": len(classes), "users": len(people), "enrollments": enrolled}
    assert {entity: counts[entity]["create"] for entity in taken} == taken
    assert counts["users"]["received"] == USERS
    assert counts["users"]["outOfScope"] == USERS - len(people)
    assert not counts.get("demographics", {}).get("received"), "an entity that is not taken is not even read"
    assert district.pages_served() - pages >= USERS / 50

    sync.patch(approved=True)
    sync.until("Merged")
    rows = district.ground.database.rows(
        "select sourced_id from roster.users where tenant = %s and status = 'active'", district.tenant
    )
    assert {sourced_id for (sourced_id,) in rows} == people
    assert district.count("demographics") == 0
    rows = district.ground.database.rows("select sourced_id from roster.orgs where tenant = %s", district.tenant)
    assert {sourced_id for (sourced_id,) in rows} == {org.sourced_id for org in sample.orgs if org.number in orgs}

    pods = {pod["metadata"]["labels"][STEP]: pod for pod in district.pods()}
    assert set(pods) == {"test", "stage", "merge"}
    for step, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        assert pod["metadata"]["labels"]["cost-centre"] == "rosters", step
        assert pod["spec"]["nodeSelector"] == template["nodeSelector"]
        assert any(each.get("key") == "batch" for each in pod["spec"]["tolerations"])
        assert container["resources"]["requests"]["cpu"] == "60m"
        assert container["resources"]["limits"]["memory"] == "200Mi"


def test_terms_and_students_without_enrollment_by_a_static_token_and_version_1_1(district: District) -> None:
    district.open()
    # A school year that is not under way today: the next one, or after its beginning the one before it.
    later = VARIANTS["year-later"](district.sample)
    under_way = later.sessions[0].start <= day(date.today()) < later.sessions[0].end  # noqa: DTZ011
    variant = "base" if under_way else "year-later"
    sample = VARIANTS[variant](district.sample)
    district.becomes(variant)
    secret(district.namespace, "static", {"bearer": token(district)})
    host = f"https://sis.{district.namespace}.svc"
    district.connect(
        api={
            "endpoint": host,
            "version": "1.1",
            "auth": {"type": "Bearer", "secretRef": {"name": "static", "tokenKey": "bearer"}},
        },
        scope={"terms": "Current", "enrolledOnly": True},
    )
    tested = district.until_ready("True", "Tested")
    assert tested["status"]["version"] == "1.1"
    assert condition(tested, "Authenticated")["reason"] == "RequestAccepted"

    sync = district.sync("first")
    counts = sync.until("AwaitingApproval")["status"]["plan"]["entities"]
    for entity, shown in (
        ("academicSessions", len(sample.sessions)),
        ("classes", len(sample.classes)),
        ("enrollments", len(sample.enrollments)),
    ):
        assert counts[entity]["create"] == 0, "no session of its year is under way"
        assert counts[entity]["outOfScope"] == counts[entity]["received"] == shown
    students = len(sample.students)
    assert students > 0
    assert counts["users"]["outOfScope"] == students, "who is enrolled in nothing that is taken"
    assert counts["users"]["create"] == len(sample.users) - students
    sync.patch(approved=True)
    sync.until("Merged")
    roles = "select distinct role from roster.users where tenant = %s and status = 'active'"
    found = {role for (role,) in district.ground.database.rows(roles, district.tenant)}
    assert Role.STUDENT.value not in found
    assert Role.TEACHER.value in found
    assert district.count("academic_sessions") == 0


def token(district: District) -> str:
    """A token of the SIS, which some hand out once for all."""
    client = {
        key: parts.decoded(district.namespace, "sis-for-roster", key.replace("_", "-"))
        for key in ("client_id", "client_secret")
    }
    form = urlencode({"grant_type": "client_credentials", "scope": " ".join(Version.V1_1.scopes), **client}).encode()
    context = ssl.create_default_context(cadata=district.certificate)
    with forwarded(district.namespace, "deployment/sis", 8443) as port:
        request = urllib.request.Request(f"https://localhost:{port}/oauth/token", form, method="POST")
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return json.load(answer)["access_token"]
