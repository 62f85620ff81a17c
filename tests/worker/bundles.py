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
