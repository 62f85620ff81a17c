"""Who sits in which class: from cohorts (a school's students of one grade) to classes and enrollments.

Two steps that agree: `plan` counts without naming anybody, so that a district's size can be solved for, and
`timetable` fills the plan with people. Both are pure; all chance comes from the random generator that is passed in.
"""

from __future__ import annotations

from math import ceil
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from roster_sample_sis.districts import CO_TEACHER, GRADES, STUDENT, TEACHER, Class, Course, Enrollments, Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECTION_SIZE = 26
# No course is held for fewer than this, unless the whole grade is smaller.
_FEWEST = 8
MIN_LOAD, MAX_LOAD = 3, 6
_YEAR, _FALL, _SPRING = 0, 1, 2


class Level(NamedTuple):
    """A kind of school: its grades, how many students one holds, and how full its timetable is beside the others'."""

    name: str
    grades: tuple[str, ...]
    students: int
    weight: float


LEVELS = (
    Level("Elementary School", GRADES[:6], 450, 0.75),
    Level("Middle School", GRADES[6:9], 700, 1.15),
    Level("High School", GRADES[9:], 1300, 1.25),
)


class Slot(NamedTuple):
    """One place in a grade's timetable. `term` is 0 for the whole year, else the first or second term."""

    title: str
    subject: str
    code: str
    term: int


_MATHEMATICS = {"09": "Algebra I", "10": "Geometry", "11": "Algebra II", "12": "Precalculus"}
_SCIENCE = {"09": "Environmental Science", "10": "Biology", "11": "Chemistry", "12": "Physics"}
_SOCIAL = {"09": "World Geography", "10": "World History", "11": "American History", "12": "Government and Economics"}


def slots(grade: str) -> tuple[Slot, ...]:
    """A grade's courses in the order in which students take them up: the homeroom is always the first."""
    name = "Kindergarten" if grade == "KG" else f"Grade {int(grade)}"
    if grade in LEVELS[0].grades:
        return (
            Slot(f"{name} Homeroom", "Homeroom", "HRM", _YEAR),
            Slot(f"{name} Mathematics", "Mathematics", "MTH", _YEAR),
            Slot(f"{name} Music", "Music", "MUS", _YEAR),
            Slot(f"{name} Reading", "English Language Arts", "ELA", _YEAR),
            Slot(f"{name} Physical Education", "Physical Education", "PED", _YEAR),
            Slot(f"{name} Art", "Visual Arts", "ART", _FALL),
            Slot(f"{name} Science", "Science", "SCI", _YEAR),
            Slot(f"{name} Library", "Library Skills", "LIB", _SPRING),
        )
    number = int(grade)
    return (
        Slot(f"{name} Advisory", "Homeroom", "HRM", _YEAR),
        Slot(f"English {number}", "English Language Arts", "ELA", _YEAR),
        Slot(_MATHEMATICS.get(grade, f"Mathematics {number}"), "Mathematics", "MTH", _YEAR),
        Slot(_SCIENCE.get(grade, f"Science {number}"), "Science", "SCI", _YEAR),
        Slot(_SOCIAL.get(grade, f"Social Studies {number}"), "Social Studies", "SOC", _YEAR),
        Slot(f"Physical Education {number}", "Physical Education", "PED", _FALL),
        Slot(f"Spanish {number}", "World Languages", "LNG", _YEAR),
        Slot(f"Visual Arts {number}", "Visual Arts", "ART", _SPRING),
        Slot(f"Computer Science {number}", "Computer Science", "CSC", _FALL),
        Slot(f"Health {number}", "Health", "HLT", _SPRING),
        Slot(f"Music Ensemble {number}", "Music", "MUS", _YEAR),
        Slot(f"Theater {number}", "Theater", "THE", _SPRING),
    )


def sections(students: int) -> int:
    """How many sections a course needs for that many students."""
    return -(-students // SECTION_SIZE)


class Cohort(NamedTuple):
    """A school's students of one grade: each takes the first `each` slots, the first `more` of them one besides."""

    school: int
    grade: str
    students: int
    each: int
    more: int

    @property
    def enrollments(self) -> int:
        return self.students * self.each + self.more

    @property
    def classes(self) -> int:
        return self.each * sections(self.students) + sections(self.more)


class Plan(NamedTuple):
    """What a timetable will hold. `teachers` is how many each school needs, `co_teachers` how many classes get two."""

    cohorts: tuple[Cohort, ...]
    teachers: Mapping[int, int]
    co_teachers: int

    @property
    def student_enrollments(self) -> int:
        return sum(cohort.enrollments for cohort in self.cohorts)

    @property
    def classes(self) -> int:
        return sum(cohort.classes for cohort in self.cohorts)


def _spread(sizes: Sequence[tuple[int, str, int]], student_enrollments: float) -> tuple[Cohort, ...]:
    """Gives each cohort its share by its level's weight; what is left by rounding moves on to the next cohort."""
    weights = {grade: level.weight for level in LEVELS for grade in level.grades}
    weighted = sum(students * weights[grade] for _, grade, students in sizes)
    cohorts: list[Cohort] = []
    owed = 0.0
    for school, grade, students in sizes:
        if not students:
            continue
        owed += student_enrollments * students * weights[grade] / weighted
        most = len(slots(grade)) * students
        given = min(max(round(owed), students), most)
        if given % students < _FEWEST:
            given -= given % students
        owed -= given
        each, more = divmod(given, students)
        cohorts.append(Cohort(school, grade, students, each, more))
    return tuple(cohorts)


def teachers_needed(classes: int, load: float) -> int:
    """Teachers for a school's classes: `load` each, and never outside 3 to 6 where the classes allow it."""
    if classes == 0:
        return 0
    return min(max(round(classes / load), -(-classes // MAX_LOAD)), max(1, classes // MIN_LOAD))


def plan(sizes: Sequence[tuple[int, str, int]], *, per_student: float, total: int | None = None) -> Plan:
    """Plans the classes of cohorts given as (school, grade, students).

    `per_student` is the mean number of classes a student takes; with `total` it is ignored and the enrollments,
    teachers' included, add up to exactly that (co-teachers make up the difference). Raises ValueError when `total`
    cannot be reached: it must lie between a little more than one and about nine enrollments a student.
    """
    students = sum(size for _, _, size in sizes)
    wanted = students * per_student if total is None else total * 0.93
    cohorts = _spread(sizes, wanted)
    classes = sum(cohort.classes for cohort in cohorts)
    co_teachers = 0
    if total is not None:
        for _ in range(12):
            # Aim at two teachers in 3 % of the classes: room for what rounding adds or takes.
            cohorts = _spread(sizes, total - classes * 1.03)
            classes = sum(cohort.classes for cohort in cohorts)
            co_teachers = total - classes - sum(cohort.enrollments for cohort in cohorts)
            if 0 <= co_teachers <= max(2, classes * 0.06):
                break
        if not 0 <= co_teachers <= classes:
            raise ValueError(f"{total} enrollments cannot be made for {students} students: ask for 1.4 to 8 each")
    load = min(max(classes / max(students / 16, 1), MIN_LOAD + 0.2), MAX_LOAD - 0.5)
    by_school: dict[int, int] = {}
    for cohort in cohorts:
        by_school[cohort.school] = by_school.get(cohort.school, 0) + cohort.classes
    return Plan(cohorts, {school: teachers_needed(n, load) for school, n in by_school.items()}, co_teachers)


def _deal(classes: list[Class], teachers: Sequence[int]) -> list[tuple[Class, int]]:
    """Gives every class of a school a teacher, loads even to one; homerooms spread, other subjects kept together."""
    homerooms = [each for each in classes if each.type == "homeroom"]
    others = sorted((each for each in classes if each.type != "homeroom"), key=lambda c: (c.subject, c.grade, c.number))
    low, extra = divmod(len(classes), len(teachers))
    room = {teacher: low + (index < extra) for index, teacher in enumerate(teachers)}
    dealt: list[tuple[Class, int]] = []
    for index, homeroom in enumerate(homerooms):
        teacher = teachers[index % len(teachers)]
        if room[teacher] == 0:
            teacher = next(each for each in teachers if room[each])
        room[teacher] -= 1
        dealt.append((homeroom, teacher))
    free = [teacher for teacher in teachers for _ in range(room[teacher])]
    dealt += zip(others, free, strict=True)
    return dealt


class Timetable(NamedTuple):
    """Filled classes. Both lists ascend by number."""

    classes: list[Class]
    enrollments: Enrollments


def timetable(
    rng: Random,
    wanted: Plan,
    *,
    students: Mapping[tuple[int, str], Sequence[int]],
    teachers: Mapping[int, Sequence[int]],
    courses: Mapping[tuple[str, str], Course],
    sessions: Sequence[Session],
    first_class: int,
    first_enrollment: int,
    modified: Sequence[int],
) -> Timetable:
    """Fills a plan. `students` are user numbers by (school, grade), `teachers` by school, `courses` by (grade,
    title), `sessions` the school year and its two terms, `modified` instants to choose from."""
    classes: list[Class] = []
    enrollments = Enrollments()
    enrollment = first_enrollment
    members: dict[int, list[int]] = {}
    by_school: dict[int, list[Class]] = {}
    for cohort in wanted.cohorts:
        everybody = students[cohort.school, cohort.grade]
        for index, slot in enumerate(slots(cohort.grade)):
            takers = everybody if index < cohort.each else everybody[: cohort.more] if index == cohort.each else ()
            if not takers:
                break
            count = sections(len(takers))
            mixed = list(takers)
            # Classmates differ from course to course.
            rng.shuffle(mixed)
            course = courses[cohort.grade, slot.title]
            for section in range(count):
                number = first_class + len(classes)
                period = str(rng.randrange(1, 8))
                homeroom = index == 0
                classes.append(
                    Class(
                        number=number,
                        title=f"{slot.title} {section + 1}" if homeroom else f"{slot.title}, Period {period}",
                        code=f"{course.code}-{section + 1:02d}",
                        type="homeroom" if homeroom else "scheduled",
                        location=f"Room {rng.randrange(100, 400)}",
                        grade=cohort.grade,
                        subject=slot.subject,
                        subject_code=slot.code,
                        course=course.number,
                        school=cohort.school,
                        terms=(sessions[1].number, sessions[2].number)
                        if slot.term == _YEAR
                        else (sessions[slot.term].number,),
                        period="HR" if homeroom else period,
                        modified=modified[rng.randrange(len(modified))],
                    )
                )
                by_school.setdefault(cohort.school, []).append(classes[-1])
                members[number] = sorted(mixed[section::count])
    taught: dict[int, int] = {}
    for school, its_classes in by_school.items():
        taught.update((each.number, teacher) for each, teacher in _deal(its_classes, teachers[school]))
    starts = {session.number: (session.start, session.end) for session in sessions}
    # Co-teachers stand in classes evenly over the district, and never beside themselves.
    every = max(1, len(classes) // wanted.co_teachers) if wanted.co_teachers else 0
    left = wanted.co_teachers
    for index, each in enumerate(classes):
        begin, end = starts[each.terms[0]][0], starts[each.terms[-1]][1]
        constants = (begin, end, each.modified)
        enrollment = enrollments.extend(enrollment, (taught[each.number],), (each.number, TEACHER, *constants))
        if left and (index % every == 0 or len(classes) - index <= left):
            colleagues = [teacher for teacher in teachers[each.school] if teacher != taught[each.number]]
            second = colleagues[rng.randrange(len(colleagues))] if colleagues else taught[each.number]
            enrollment = enrollments.extend(enrollment, (second,), (each.number, CO_TEACHER, *constants))
            left -= 1
        enrollment = enrollments.extend(enrollment, members.pop(each.number), (each.number, STUDENT, *constants))
    return Timetable(classes, enrollments)


def staffing(classes: int) -> tuple[int, int]:
    """The fewest and the most teachers with whom all have 3 to 6 of a school's classes."""
    return ceil(classes / MAX_LOAD), max(1, classes // MIN_LOAD)
