"""A district out of a seed: believable, consistent, and the same in every process.

All chance comes from one `random.Random`; no clock, no hash() and no set order has a say.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from roster_sample_sis import names, schedules
from roster_sample_sis.districts import (
    GRADES,
    Course,
    Demographics,
    District,
    Org,
    Role,
    Session,
    User,
    day,
    instant,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALLEST = 20
FIRST_USER = 100_001
FIRST_CLASS = 20_001
FIRST_ENROLLMENT = 3_000_001
_DAY_MS = 86_400_000


def opening(school_year: int) -> date:
    """The first day of the school year that ends in `school_year`."""
    return date(school_year - 1, 8, 24)


def last_change(school_year: int) -> int:
    """The instant as of which a school year's district is generated: its opening day, 06:00 UTC."""
    return instant(datetime.combine(opening(school_year), time(6), UTC))


def instants(rng: Random, as_of: int, days: int, count: int = 2000) -> list[int]:
    """Instants within the last `days` before `as_of`: a pool that records share, because ints cost memory."""
    return [as_of - rng.randrange(1, days * _DAY_MS) for _ in range(count)]


def sessions_of(school_year: int, first: int, modified: int) -> list[Session]:
    """A school year, its two terms and four grading periods, in this order."""
    start, middle, end = (
        day(each) for each in (opening(school_year), date(school_year, 1, 11), date(school_year, 6, 12))
    )
    fall, spring = day(date(school_year - 1, 10, 30)), day(date(school_year, 3, 26))
    label = f"{school_year - 1}-{school_year % 100:02d}"
    rows = (
        (f"School Year {label}", "schoolYear", start, end, None),
        (f"Fall {school_year - 1}", "term", start, middle, first),
        (f"Spring {school_year}", "term", middle, end, first),
        (f"Quarter 1 {label}", "gradingPeriod", start, fall, first + 1),
        (f"Quarter 2 {label}", "gradingPeriod", fall, middle, first + 1),
        (f"Quarter 3 {label}", "gradingPeriod", middle, spring, first + 2),
        (f"Quarter 4 {label}", "gradingPeriod", spring, end, first + 2),
    )
    return [
        Session(first + i, title, kind, begin, stop, school_year, parent, modified)
        for i, (title, kind, begin, stop, parent) in enumerate(rows)
    ]


def courses_of(session: int, first: int, modified: Sequence[int], rng: Random) -> list[Course]:
    """The district's whole catalogue for one school year."""
    courses: list[Course] = []
    for grade in GRADES:
        for slot in schedules.slots(grade):
            number = first + len(courses)
            code = f"{slot.code}{grade}"
            when = modified[rng.randrange(len(modified))]
            courses.append(Course(number, slot.title, code, grade, slot.subject, slot.code, session, 1, when))
    return courses


class People:
    """Makes people, each with a number and an address nobody else has or had."""

    def __init__(self, rng: Random, domain: str, taken: set[str] | None = None) -> None:
        self._rng = rng
        self._domain = domain
        self._taken = set[str]() if taken is None else taken
        self._groups = [group for group in names.GROUPS for _ in range(group.weight)]
        self._folded: dict[str, str] = {}

    def _fold(self, name: str) -> str:
        folded = self._folded.get(name)
        if folded is None:
            folded = self._folded[name] = names.fold(name)
        return folded

    def address(self, role: Role, number: int, given: str, family: str) -> str:
        """A student's address carries the student's number, a guardian's is private, staff have plain ones."""
        first, last = self._fold(given), self._fold(family)
        if role is Role.STUDENT:
            return f"{first[0]}{last}{number}@students.{self._domain}"
        if role is Role.GUARDIAN:
            return f"{first}.{last}.{number}@mail.example.net"
        local, count = f"{first}.{last}", 1
        while local in self._taken:
            count += 1
            local = f"{first}.{last}{count}"
        self._taken.add(local)
        return f"{local}@staff.{self._domain}"

    def person(
        self,
        number: int,
        role: Role,
        orgs: tuple[int, ...],
        modified: int,
        *,
        grade: str = "",
        family: str = "",
        agents: tuple[int, ...] = (),
    ) -> tuple[User, str]:
        """A new person, and the sex recorded for them (male, female, unspecified, other)."""
        chance = self._rng.random
        group = self._groups[int(chance() * len(self._groups))]
        draw = chance()
        woman = draw < 0.5
        given_names = group.women if woman else group.men
        given = given_names[int(chance() * len(given_names))]
        if not family:
            family = group.families[int(chance() * len(group.families))]
            if chance() < 0.02 and group.weight > 5 and "-" not in family:
                family = f"{family}-{group.families[int(chance() * len(group.families))]}"
        middle = ""
        if chance() < 0.6 and group.weight > 2:
            middle = given_names[int(chance() * len(given_names))]
        rare = chance()
        sex = "female" if woman else "male"
        preferred = pronouns = ""
        if rare < 0.04:
            preferred = given[:3] if len(given) > 4 and given.isascii() else ""
            if rare < 0.012:
                pronouns = ("they/them", "she/her", "he/him")[int(rare * 250)]
                sex = ("unspecified", "other", sex)[int(rare * 250)]
        staff = role not in (Role.STUDENT, Role.GUARDIAN)
        user = User(
            number=number,
            given=given,
            middle=middle,
            family=family,
            email=self.address(role, number, given, family),
            role=role,
            orgs=orgs,
            grade=grade,
            modified=modified,
            phone=f"+1 541 555 01{number % 100:02d}" if staff else "",
            preferred=preferred,
            pronouns=pronouns,
            enabled=chance() > 0.004,
            agents=agents,
        )
        return user, sex

    def demographics(self, user: User, sex: str, school_year: int, modified: int) -> Demographics:
        """A student's demographics: five years old in kindergarten, one more in each grade, some a year late."""
        chance = self._rng.random
        age = 5 + GRADES.index(user.grade) + (chance() < 0.04)
        races = 1 << (4 if chance() < 0.48 else int(chance() * 5))
        if chance() < 0.07:
            races |= 1 << int(chance() * 5)
        return Demographics(
            number=user.number,
            birth=day(date(school_year - 1 - age, 8, 31)) - int(chance() * 365),
            sex=sex,
            races=races,
            hispanic=chance() < 0.27,
            country=names.BIRTH_COUNTRIES[int(chance() * len(names.BIRTH_COUNTRIES))],
            state=names.STATES[int(chance() * len(names.STATES))],
            city=names.CITIES[int(chance() * len(names.CITIES))],
            modified=modified,
        )


def _orgs(rng: Random, students: int, modified: int) -> tuple[list[Org], list[list[int]]]:
    """The district and its schools, and the schools' numbers by level."""
    name = names.DISTRICT_NAMES[rng.randrange(len(names.DISTRICT_NAMES))]
    orgs = [Org(1, f"{name} School District", "district", f"{rng.randrange(1000, 9999)}", None, modified)]
    pairs = [f"{one} {two}" for one in names.SCHOOL_FIRST for two in names.SCHOOL_SECOND if one != two]
    rng.shuffle(pairs)
    levels: list[list[int]] = []
    for level in schedules.LEVELS:
        count = max(1, round(students * len(level.grades) / len(GRADES) / level.students))
        levels.append([])
        for _ in range(count):
            number = 101 + sum(map(len, levels))
            title = f"{pairs[number % len(pairs)]} {level.name}"
            orgs.append(Org(number, title, "school", f"{orgs[0].identifier}-{number}", 1, modified))
            levels[-1].append(number)
    return orgs, levels


def cohort_sizes(levels: list[list[int]], students: int) -> list[tuple[int, str, int]]:
    """(school, grade, students), school by school: grades of one size, schools of a level of one size, to one."""
    sizes: list[tuple[int, str, int]] = []
    for level, schools in zip(schedules.LEVELS, levels, strict=True):
        for place, school in enumerate(schools):
            for grade in level.grades:
                index = GRADES.index(grade)
                cohort = students * (index + 1) // len(GRADES) - students * index // len(GRADES)
                here = cohort * (place + 1) // len(schools) - cohort * place // len(schools)
                sizes.append((school, grade, here))
    return sizes


class _Shape(NamedTuple):
    """How many there are of everybody; `others` become aides and counselors."""

    sizes: list[tuple[int, str, int]]
    plan: schedules.Plan
    students: int
    guardians: int
    others: int


def _shape(size: int, levels: list[list[int]], per_student: float, total: int | None, guardians: bool) -> _Shape:
    """Solves for the number of students with whom everybody adds up to `size` users."""
    students = size
    while True:
        students = max(students, 1)
        sizes = cohort_sizes(levels, students)
        wanted = schedules.plan(sizes, per_student=per_student, total=total)
        staff = sum(wanted.teachers.values()) + sum(map(len, levels)) + 1 + students // 20_000
        adults = students * 4 // 5 if guardians else 0
        over = students + staff + adults + students // 60 - size
        if over <= 0 or students == 1:
            return _Shape(sizes, wanted, students, adults, size - students - staff - adults)
        students -= max(1, over // 3)


def generate(
    seed: int,
    size: int,
    *,
    enrollments: int | None = None,
    school_year: int = 2027,
    guardians: bool = False,
) -> District:
    """A district of `size` users (20 or more), the same for the same arguments in every process.

    `enrollments` is their exact number, teachers' included, and may be 1.5 to 7 times the students; without it a
    student takes five classes on the mean. `guardians` adds four adults for five students, out of `size`.
    Raises ValueError when the numbers cannot be had.
    """
    if size < SMALLEST:
        raise ValueError(f"a district has {SMALLEST} users or more, not {size}")
    rng = Random(seed)  # noqa: S311 - it has to repeat
    as_of = last_change(school_year)
    pool = instants(rng, as_of, 60)
    estimate = size * 9 // 10 if not guardians else size // 2
    orgs, levels = _orgs(rng, estimate, pool[0])
    per_student = 5.0
    shape = _shape(size, levels, per_student, enrollments, guardians)
    sessions = sessions_of(school_year, (school_year - 2000) * 10 + 1, pool[1])
    courses = courses_of(sessions[0].number, 1001, pool, rng)
    domain = orgs[0].name.removesuffix(" School District").lower().replace(" ", "-") + ".example.org"

    people = People(rng, domain)
    users: list[User] = []
    demographics: list[Demographics] = []
    by_cohort: dict[tuple[int, str], list[int]] = {}
    number = FIRST_USER
    for school, grade, count in shape.sizes:
        place = (school,)
        members = by_cohort[school, grade] = list(range(number, number + count))
        for number_ in members:
            modified = pool[int(rng.random() * len(pool))]
            user, sex = people.person(number_, Role.STUDENT, place, modified, grade=grade)
            users.append(user)
            demographics.append(people.demographics(user, sex, school_year, modified))
        number += count

    def hire(role: Role, orgs_: tuple[int, ...], count: int) -> list[int]:
        nonlocal number
        hired = list(range(number, number + count))
        users.extend(people.person(each, role, orgs_, pool[int(rng.random() * len(pool))])[0] for each in hired)
        number += count
        return hired

    hire(Role.DISTRICT_ADMINISTRATOR, (1,), 1 + shape.students // 20_000)
    teachers: dict[int, list[int]] = {}
    schools = [school for level in levels for school in level]
    for school in schools:
        hire(Role.PRINCIPAL, (school,), 1)
        teachers[school] = hire(Role.TEACHER, (school,), shape.plan.teachers.get(school, 0))
    for index in range(shape.others):
        school = schools[index % len(schools)]
        # A few work in two schools; every fourth is a counselor.
        places = (school, schools[(index + 1) % len(schools)]) if index % 17 == 3 and len(schools) > 1 else (school,)
        hire(Role.COUNSELOR if index % 4 == 3 else Role.AIDE, places, 1)
    if shape.guardians:
        number = add_guardians(rng, people, users, count=shape.guardians, first=number, pool=pool)

    filled = schedules.timetable(
        rng,
        shape.plan,
        students=by_cohort,
        teachers=teachers,
        courses={(course.grade, course.title): course for course in courses},
        sessions=sessions,
        first_class=FIRST_CLASS,
        first_enrollment=FIRST_ENROLLMENT,
        modified=pool,
    )
    return District(
        seed=seed,
        school_year=school_year,
        as_of=as_of,
        domain=domain,
        enrollments_per_student=shape.plan.student_enrollments / max(shape.students, 1),
        orgs=orgs,
        sessions=sessions,
        courses=courses,
        classes=filled.classes,
        users=users,
        demographics=demographics,
        enrollments=filled.enrollments,
        next_user=number,
        next_class=FIRST_CLASS + len(filled.classes),
        next_enrollment=FIRST_ENROLLMENT + len(filled.enrollments),
    )


def add_guardians(
    rng: Random, people: People, users: list[User], *, count: int, first: int, pool: Sequence[int]
) -> int:
    """Adds `count` guardians: most have one child here, every fourth two. Returns the next free number."""
    children = [index for index, user in enumerate(users) if user.role is Role.STUDENT and not user.agents]
    position = 0
    for offset in range(count):
        mine = children[position : position + (2 if offset % 4 == 0 else 1)] or [children[rng.randrange(len(children))]]
        position += len(mine)
        child = users[mine[0]]
        user, _ = people.person(
            first + offset,
            Role.GUARDIAN,
            child.orgs,
            pool[int(rng.random() * len(pool))],
            family=child.family,
            agents=tuple(users[each].number for each in mine),
        )
        users.append(user)
        for each in mine:
            kid = users[each]
            users[each] = replace(kid, agents=(*kid.agents, user.number))
    return first + count
