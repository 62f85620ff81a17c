"""What a bundle says that can hardly be meant: classes without teachers and the like. On hashes, whole columns."""

from collections.abc import Mapping

import numpy as np

from .kept import NONE, STUDENT, TEACHER, Hashes, Kept
from .references import circles, distinct, known, several, tell
from .report import Report
from .tables import Table


class Sanity:
    """kept: of files that are bulk and were read to their end; what needs another one is not asked."""

    def __init__(self, report: Report, tables: Mapping[str, Table], kept: Mapping[str, Kept]) -> None:
        self._report, self._tables = report, tables
        self._kept = {name: found for name, found in kept.items() if found.count}

    def check(self) -> None:
        """Asks everything that can be asked."""
        for name in ("orgs", "academicSessions"):
            if name in self._kept:
                circles(self._report, self._tables[name], self._kept[name])
        self._schools()
        self._people()
        if {"classes", "courses"} <= self._kept.keys():
            used = self._column("classes", "courseSourcedId")
            self._without("CourseWithoutClass", "courses", used)
        if "enrollments" in self._kept:
            self._enrollments()

    def _has(self, *names: str) -> bool:
        return all(name in self._kept for name in names)

    def _rows(self, name: str) -> Hashes:
        return np.flatnonzero(self._kept[name].alive())

    def _column(self, name: str, column: str) -> Hashes:
        """Of the rows that count."""
        values = self._kept[name].column(column)
        return values[self._rows(name)] if len(values) else NONE

    def _without(self, code: str, name: str, used: Hashes, among: Hashes | None = None) -> None:
        """Tells of the rows whose ids are not used. among: only of these rows."""
        rows = self._rows(name) if among is None else among
        ids = self._kept[name].column("sourcedId")[rows]
        tell(self._report, code, self._tables[name], self._kept[name], rows[~known(distinct(used), ids)])

    def _schools(self) -> None:
        if not self._has("orgs"):
            return
        is_school = self._column("orgs", "type") == 1
        ids = self._column("orgs", "sourcedId")
        schools, all_ids = distinct(ids[is_school]), distinct(ids)
        for name in ("classes", "enrollments"):
            if name in self._kept:
                kept, rows = self._kept[name], self._rows(name)
                theirs = kept.column("schoolSourcedId")[rows]
                wrong = rows[known(all_ids, theirs) & ~known(schools, theirs)]
                tell(self._report, "SchoolNotASchool", self._tables[name], kept, wrong, "schoolSourcedId")

    def _people(self) -> None:
        if not self._has("users"):
            return
        users, rows, table = self._kept["users"], self._rows("users"), self._tables["users"]
        for column, code in (("identifier", "PersonListedTwice"), ("username", "DuplicateUsername")):
            hashes = users.column(column)
            if len(hashes):
                tell(self._report, code, table, users, several(hashes, rows), column)
        grades = users.column("grades")
        students = self._with_role(STUDENT)
        if len(grades) and len(students):
            lacking = students[grades[students] == 0]
            tell(self._report, "StudentWithoutGrade", table, users, lacking, "grades")

    def _with_role(self, role: int) -> Hashes:
        """Rows of users."""
        rows = self._rows("users")
        own = self._kept["users"].column("role")
        if len(own):
            return rows[own[rows] == role]
        if not self._has("roles"):
            return NONE
        theirs = self._column("roles", "userSourcedId")[self._column("roles", "role") == role]
        return rows[known(distinct(theirs), self._kept["users"].column("sourcedId")[rows])]

    def _enrollments(self) -> None:
        classes, users = self._column("enrollments", "classSourcedId"), self._column("enrollments", "userSourcedId")
        roles = self._column("enrollments", "role")
        teaching, learning = roles == TEACHER, roles == STUDENT
        if self._has("users"):
            self._without("StudentWithoutEnrollment", "users", users[learning], self._with_role(STUDENT))
            self._without("TeacherWithoutClass", "users", users[teaching], self._with_role(TEACHER))
        if self._has("orgs"):
            rows = self._rows("orgs")
            schools = rows[self._kept["orgs"].column("type")[rows] == 1]
            used = self._column("enrollments", "schoolSourcedId")[learning]
            self._without("SchoolWithoutStudents", "orgs", used, schools)
        if not self._has("classes"):
            return
        self._without("ClassWithoutTeacher", "classes", classes[teaching])
        self._without("ClassWithoutStudents", "classes", classes[learning])
        self._other_school(classes)
        primary = self._column("enrollments", "primary")
        if len(primary):
            values, counts = np.unique(classes[teaching & (primary == 1)], return_counts=True)
            rows = self._rows("classes")
            ids = self._kept["classes"].column("sourcedId")[rows]
            wrong = rows[known(values[counts > 1], ids)]
            tell(self._report, "SeveralPrimaryTeachers", self._tables["classes"], self._kept["classes"], wrong)

    def _other_school(self, classes: Hashes) -> None:
        ids, first = np.unique(self._column("classes", "sourcedId"), return_index=True)
        if not len(ids):
            return
        at = np.searchsorted(ids, classes)
        at[at == len(ids)] = 0
        expected = self._column("classes", "schoolSourcedId")[first][at]
        theirs = self._column("enrollments", "schoolSourcedId")
        wrong = self._rows("enrollments")[(ids[at] == classes) & (expected != theirs)]
        table, kept = self._tables["enrollments"], self._kept["enrollments"]
        tell(self._report, "EnrollmentSchoolDiffers", table, kept, wrong, "schoolSourcedId")
