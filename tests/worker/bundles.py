"""Small OneRoster 1.1 bundles: two files, the rest absent."""

from __future__ import annotations

import csv
import io
import zipfile

FILES = (
    "academicSessions,categories,classes,classResources,courses,courseResources,demographics,enrollments,lineItems,orgs,"
    "resources,results,users"
)
USERS = (
    "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,"
    "identifier,email,sms,phone,agentSourcedIds,grades,password"
)
ORGS = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId"


def bundle(students: int = 3, school: str = "North", **modes: str) -> bytes:
    """A zip with one school and so many students. modes: of files, by name, beside orgs and users as bulk."""
    chosen = {"orgs": "bulk", "users": "bulk"} | modes
    manifest = [["propertyName", "value"], ["manifest.version", "1.0"], ["oneroster.version", "1.1"]]
    manifest += [[f"file.{name}", chosen.get(name, "absent")] for name in FILES.split(",")]
    people = [
        [f"u{n}", "", "", "true", "s1", "student", f"user{n}", "", f"Given{n}", "Canary", *[""] * 8]
        for n in range(1, students + 1)
    ]
    tables = {
        "manifest.csv": manifest,
        "orgs.csv": [ORGS.split(","), ["s1", "", "", school, "school", "", ""]],
        "users.csv": [USERS.split(","), *people],
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name, rows in tables.items():
            if name == "manifest.csv" or chosen.get(name.removesuffix(".csv"), "absent") != "absent":
                text = io.StringIO(newline="")
                csv.writer(text).writerows(rows)
                file.writestr(zipfile.ZipInfo(name), text.getvalue())  # of 1980, so that equal bundles are equal bytes
    return held.getvalue()


def touched(data: bytes, *changes: tuple[str, str, str], also: dict[str, str] | None = None) -> bytes:
    """The zip with texts replaced by others, once each: (file, old, new). also: files that are added."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(held, "w") as file:
        for name in source.namelist():
            text = source.read(name).decode()
            for where, old, new in changes:
                if where == name:
                    assert old in text
                    text = text.replace(old, new, 1)
            file.writestr(zipfile.ZipInfo(name), text)
        for name, text in (also or {}).items():
            file.writestr(zipfile.ZipInfo(name), text)
    return held.getvalue()


# Two faults that are understood, and a row that is skipped: what a sync has to tell of them.
FAULTS = (
    ("manifest.csv", "file.orgs", "File.orgs"),
    ("users.csv", "givenName", "GivenName"),
    ("users.csv", "u2,,,true", "u2,,,canary"),
)
FAULTS_TOLD = [
    ("BadBoolean", "error", "users", 1),
    ("HeaderCase", "warning", "users", 1),
    ("ManifestTypo", "warning", "manifest", 1),
]

USERS_1_2 = (
    "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,"
    "phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,"
    "preferredFamilyName,primaryOrgSourcedId,pronouns"
)
ROLES = (
    "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"
)
_STAMP = "2026-11-25T03:00:00.000Z"


def bundle_1_2(
    users: dict[str, str] | None,
    roles: list[tuple[str, str, str, str]] | None,
    *,
    mode: str = "bulk",
    gone: tuple[str, ...] = (),
) -> bytes:
    """A 1.2 zip. users: given names by sourcedId; None: no users.csv. roles: (user, type, role, org); a type that
    begins with `-` is that of a role to be deleted; None: no roles.csv. gone: users to be deleted. Three schools stand
    in a bulk."""
    state = [["", ""], ["active", _STAMP]][mode == "delta"]
    deleted = ["tobedeleted", _STAMP]
    people = [
        [key, *(deleted if key in gone else state), "true", key, "", name, "Canary", *[""] * 14]
        for key, name in (users or {}).items()
    ]
    theirs = [
        [f"r{n}", *(deleted if kind.startswith("-") else state), user, kind.lstrip("-"), role, "", "", org, ""]
        for n, (user, kind, role, org) in enumerate(roles or ())
    ]
    tables: dict[str, list[list[str]]] = {} if roles is None else {"roles": [ROLES.split(","), *theirs]}
    if users is not None:
        tables["users"] = [USERS_1_2.split(","), *people]
    if mode == "bulk":
        tables["orgs"] = [ORGS.split(","), *([f"s{n}", "", "", f"School {n}", "school", "", ""] for n in (1, 2, 3))]
    manifest = [["propertyName", "value"], ["manifest.version", "1.0"], ["oneroster.version", "1.2"]]
    names = (*FILES.split(","), "roles", "userProfiles")
    manifest += [[f"file.{name}", mode if name in tables else "absent"] for name in names]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name, rows in ({"manifest": manifest} | tables).items():
            text = io.StringIO(newline="")
            csv.writer(text).writerows(rows)
            file.writestr(zipfile.ZipInfo(f"{name}.csv"), text.getvalue())
    return held.getvalue()
