"""What looks wrong in the result of a merge, as it will be: staged and merged records together, without those that go.

Each finding is a warning and changes nothing of the plan: classes without a teacher are merged like any other. One
statement answers all checks. Its intermediate results are read several times, so they are materialised once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from . import overlays, removals, runs
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY, TABLES, Table

SCHOOLS_KEPT = 20
# Enough to hash the records of a large district without going to disk.
_WORK_MEM = "64MB"

# What the checks need of each table. A person belongs to their primary org, or else to the first that is named.
_COLUMNS: dict[str, LiteralString] = {
    "orgs": "{r}.sourced_id, {r}.type, {r}.parent_sourced_id as parent",
    "academic_sessions": "{r}.sourced_id, {r}.start_date, {r}.end_date, {r}.parent_sourced_id as parent",
    "courses": "{r}.sourced_id, {r}.org_sourced_id as org, {r}.school_year_sourced_id as year",
    "classes": "{r}.sourced_id, {r}.course_sourced_id as course, {r}.school_sourced_id as school,"
    " {r}.term_sourced_ids as terms",
    "users": "{r}.sourced_id, {r}.role, {r}.username, {r}.identifier, {r}.org_sourced_ids as orgs,"
    " coalesce({r}.primary_org_sourced_id, {r}.org_sourced_ids[1]) as school,"
    " {r}.primary_org_sourced_id as primary_org,"
    " coalesce(cardinality({r}.grades), 0) > 0 as graded",
    "enrollments": "{r}.user_sourced_id as person, {r}.class_sourced_id as class, {r}.school_sourced_id as school,"
    ' {r}.role, {r}."primary" as leads, {r}.begin_date, {r}.end_date',
    "demographics": "{r}.sourced_id",
}

_RESULT = (
    "{name} as materialized (select {staged_columns} from {stage} s where s.status = 'active' and "
    + VALID_STAGED
    + " union all select {merged_columns} from {merged} m where m.tenant = {tenant} and m.status = 'active'"
    " and not exists (select from {stage} s where s.sourced_id = m.sourced_id and s.status = 'active' and "
    + VALID_STAGED
    # Distinct, so that PostgreSQL knows that they are: it would put all merged rows into a hash table instead of these.
    + ") and not exists (select from (select distinct g.sourced_id from ({gone}) g) g"
    " where g.sourced_id = m.sourced_id) and not {succeeded})"
)

_FACTS: LiteralString = (
    # The enrollments are many: two passes over them answer everything that is asked.
    "class_school as materialized (select e.class as id, e.school, count(*) as n,"
    " count(*) filter (where e.role = 'teacher') as teachers,"
    " count(*) filter (where e.role = 'student') as students,"
    " count(*) filter (where e.role = 'teacher' and e.leads) as leaders,"
    " count(*) filter (where e.end_date < e.begin_date) as backward from enrollments e group by 1, 2),"
    "class_facts as materialized (select c.id, sum(c.teachers) as teachers, sum(c.students) as students,"
    " sum(c.leaders) as leaders from class_school c group by 1),"
    "person_facts as (select e.person as id, min(e.school) as school, count(*) as n,"
    " bool_or(e.role = 'teacher') as teaches from enrollments e group by 1),"
    # People whose enrollments are not as they should be, and enrollments of nobody: one join finds all of them.
    "odd_people as materialized (select u.sourced_id is null as nobody, coalesce(u.school, f.school) as school, u.role,"
    " f.id, f.n from users u full join person_facts f on f.id = u.sourced_id where u.sourced_id is null"
    " or u.role = 'student' and f.id is null or u.role = 'teacher' and f.teaches is not true),"
    # Of all people there are few kinds.
    "kinds as materialized (select u.school, u.orgs, u.primary_org, u.role = 'student' as student, u.graded,"
    " count(*) as n from users u group by 1, 2, 3, 4, 5),"
    # Most keys are nobody else's. Their hashes are counted first, which takes a third of the time that the texts take.
    "identifiers as materialized (select hashtextextended(u.identifier, 0) as key from users u"
    " where u.identifier is not null group by 1 having count(*) > 1),"
    'usernames as materialized (select hashtextextended(lower(u.username collate "C"), 0) as key from users u'
    " where u.username is not null group by 1 having count(*) > 1),"
    # Nobody has circles of more than 64 parents; a chain of thousands must not cost their square.
    "org_chain as (select o.sourced_id as start, o.parent as at, 1 as depth from orgs o where o.parent is not null"
    " union all select c.start, o.parent, c.depth + 1 from org_chain c join orgs o on o.sourced_id = c.at"
    " where o.parent is not null and c.at <> c.start and c.depth < 64),"
    "session_chain as (select o.sourced_id as start, o.parent as at, 1 as depth from academic_sessions o"
    " where o.parent is not null union all select c.start, o.parent, c.depth + 1 from session_chain c"
    " join academic_sessions o on o.sourced_id = c.at where o.parent is not null and c.at <> c.start and c.depth < 64)"
)


@dataclass(frozen=True)
class _Check:
    """findings: rows of (school or null, how many). Skipped where an entity that it needs was not pulled."""

    code: str
    entity: str
    findings: LiteralString
    needs: tuple[str, ...] = ()


_CHECKS: tuple[_Check, ...] = (
    _Check(
        "ClassWithoutTeacher",
        "classes",
        "select c.school, 1 from classes c left join class_facts f on f.id = c.sourced_id"
        " where coalesce(f.teachers, 0) = 0",
        ("enrollments",),
    ),
    _Check(
        "ClassWithoutStudents",
        "classes",
        "select c.school, 1 from classes c left join class_facts f on f.id = c.sourced_id"
        " where coalesce(f.students, 0) = 0",
        ("enrollments",),
    ),
    _Check(
        "SeveralPrimaryTeachers",
        "classes",
        "select c.school, 1 from classes c join class_facts f on f.id = c.sourced_id where f.leaders > 1",
        ("enrollments",),
    ),
    _Check(
        "StudentWithoutEnrollment",
        "users",
        "select o.school, 1 from odd_people o where o.role = 'student'",
        ("enrollments",),
    ),
    _Check(
        "TeacherWithoutClass",
        "users",
        "select o.school, 1 from odd_people o where o.role = 'teacher'",
        ("enrollments",),
    ),
    _Check("StudentWithoutGrade", "users", "select k.school, k.n from kinds k where k.student and not k.graded"),
    _Check(
        "CourseWithoutClass",
        "courses",
        "select c.org, 1 from courses c where not exists (select from classes k where k.course = c.sourced_id)",
        ("classes",),
    ),
    _Check(
        "SchoolWithoutStudents",
        "orgs",
        "select o.sourced_id, 1 from orgs o where o.type = 'school' and not exists (select from ("
        "select distinct unnest(k.orgs) as id from kinds k where k.student) p where p.id = o.sourced_id)",
        ("users",),
    ),
    _Check(
        "PersonListedTwice",
        "users",
        "select min(u.school), 1 from users u where hashtextextended(u.identifier, 0) in (select key from identifiers)"
        " group by u.identifier having count(*) > 1",
    ),
    # In the "C" collation only ASCII letters are folded: people's names in other scripts are compared as they are.
    _Check(
        "DuplicateUsername",
        "users",
        'select min(u.school), 1 from users u where hashtextextended(lower(u.username collate "C"), 0)'
        ' in (select key from usernames) group by lower(u.username collate "C") having count(*) > 1',
    ),
    _Check(
        "EnrollmentSchoolDiffers",
        "enrollments",
        "select e.school, e.n from class_school e join classes c on c.sourced_id = e.id where c.school <> e.school",
        ("classes",),
    ),
    _Check(
        "SchoolNotASchool",
        "classes",
        "select c.school, 1 from classes c join orgs o on o.sourced_id = c.school where o.type <> 'school'",
        ("orgs",),
    ),
    _Check("CircularParent", "orgs", "select c.start, 1 from org_chain c where c.at = c.start"),
    _Check(
        "CircularParent",
        "academicSessions",
        "select null, 1 from session_chain c where c.at = c.start",
    ),
    _Check(
        "EndBeforeBegin", "academicSessions", "select null, 1 from academic_sessions s where s.end_date < s.start_date"
    ),
    _Check("EndBeforeBegin", "enrollments", "select c.school, c.backward from class_school c where c.backward > 0"),
)


@dataclass(frozen=True)
class _Link:
    """References of one entity to another: rows of (school or null, target id, how many)."""

    entity: str
    target: str
    rows: LiteralString


_LINKS: tuple[_Link, ...] = (
    _Link("orgs", "orgs", "select o.sourced_id, o.parent, 1 from orgs o"),
    _Link("academicSessions", "academicSessions", "select null, s.parent, 1 from academic_sessions s"),
    _Link("courses", "orgs", "select c.org, c.org, 1 from courses c"),
    _Link("courses", "academicSessions", "select c.org, c.year, 1 from courses c"),
    _Link("classes", "courses", "select c.school, c.course, 1 from classes c"),
    _Link("classes", "orgs", "select c.school, c.school, 1 from classes c"),
    _Link("classes", "academicSessions", "select c.school, t.id, 1 from classes c, unnest(c.terms) t(id)"),
    _Link("users", "orgs", "select k.school, o.id, k.n from kinds k, unnest(k.orgs || k.primary_org) o(id)"),
    _Link("enrollments", "users", "select o.school, o.id, o.n from odd_people o where o.nobody"),
    _Link("enrollments", "classes", "select c.school, c.id, c.n from class_school c"),
    _Link("enrollments", "orgs", "select c.school, c.school, c.n from class_school c"),
    _Link("demographics", "users", "select null, d.sourced_id, 1 from demographics d"),
)
# What is out of scope was left out on purpose.
_DANGLING: LiteralString = (
    "select l.school, l.n from ({rows}) l(school, id, n) where l.id is not null"
    " and not exists (select from {target} t where t.sourced_id = l.id)"
    " and not exists (select from {scoped_out} o where o.entity = {target_entity} and o.sourced_id = l.id)"
    # What is left on an old id moves to the new one with the merge.
    " and not {succeeded}"
)


def pulled_entities(run: runs.Run) -> set[str]:
    """What a run pulled: a check that needs another entity is not asked."""
    return {entity for entity, facts in (run.pull or {}).items() if facts.get("pulled")}


def run(conn: psycopg.Connection, run: runs.Run, gone: Removals | None = None) -> list[dict[str, Any]]:
    """The findings on a sealed run, most frequent first: {code, entity, count, schools: [{school, count}]}.

    gone: the removals of its plan; None: they are looked for.

    `schools` are the SCHOOLS_KEPT with the most; their ids stay in the database. Reads only.
    """
    pulled = pulled_entities(run)
    if not pulled:
        return []
    gone = gone or removals.of(conn, run)
    parts = sql.SQL(", ").join([*(_result(gone, table) for table in TABLES), sql.SQL(_FACTS)])
    found = sql.SQL(" union all ").join(list(_questions(run, gone.tenant, pulled)))
    query = sql.SQL("with recursive {} {}").format(parts, found)
    with conn.transaction():
        conn.execute("select set_config('work_mem', %s, true)", (_WORK_MEM,))
        # All is read anyway. A nested loop is only ever right by a few milliseconds, and without fresh statistics wrong
        # by minutes.
        conn.execute("select set_config('enable_nestloop', 'off', true)")
        # Before PostgreSQL 18 what is off is only dear, and a dear statement is compiled first: seconds for nothing.
        conn.execute("select set_config('jit', 'off', true)")
        rows = conn.execute(query).fetchall()
    return _counted(rows)


def _result(gone: Removals, table: Table) -> sql.Composable:
    columns = _COLUMNS[table.name]
    return sql.SQL(_RESULT).format(
        **names(gone.run, table, gone.tenant),
        name=sql.Identifier(table.name),
        gone=gone.gone(table),
        staged_columns=sql.SQL(columns).format(r=sql.Identifier("s")),
        merged_columns=sql.SQL(columns).format(r=sql.Identifier("m")),
    )


def _questions(run: runs.Run, tenant: str, pulled: set[str]) -> Iterator[sql.Composable]:
    question: LiteralString = (
        "select {code}, {entity}, f.school::text, sum(f.n) from ({findings}) f(school, n) group by 3"
    )
    for check in _CHECKS:
        if pulled.issuperset((check.entity, *check.needs)):
            yield sql.SQL(question).format(
                code=sql.Literal(check.code), entity=sql.Literal(check.entity), findings=sql.SQL(check.findings)
            )
    for link in _LINKS:
        if pulled.issuperset((link.entity, link.target)):
            target = BY_ENTITY[link.target]
            findings = sql.SQL(_DANGLING).format(
                rows=sql.SQL(link.rows),
                target=sql.Identifier(target.name),
                target_entity=sql.Literal(link.target),
                scoped_out=names(run, target, tenant)["scoped_out"],
                succeeded=overlays.succeeded(run, target, "l.id"),
            )
            yield sql.SQL(question).format(
                code=sql.Literal("DanglingReference"), entity=sql.Literal(link.entity), findings=findings
            )


def _counted(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    schools: dict[tuple[str, str], dict[str, int]] = {}
    totals: dict[tuple[str, str], int] = {}
    for code, entity, school, count in rows:
        key = (str(code), str(entity))
        totals[key] = totals.get(key, 0) + int(count)
        if school is not None:
            by_school = schools.setdefault(key, {})
            by_school[str(school)] = by_school.get(str(school), 0) + int(count)
    found: list[dict[str, Any]] = []
    for (code, entity), total in sorted(totals.items(), key=lambda item: (-item[1], item[0])):
        most = sorted(schools.get((code, entity), {}).items(), key=lambda item: (-item[1], item[0]))[:SCHOOLS_KEPT]
        found.append(
            {
                "code": code,
                "entity": entity,
                "count": total,
                "schools": [{"school": school, "count": count} for school, count in most],
            }
        )
    return found
