"""What becomes of a district: the same one a year later, with a few changes, or with something gone wrong.

Pure functions: the district that is passed in stays as it is, what did not change is shared with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random

from msgspec.structs import replace

from roster_sample_sis import generators, schedules
from roster_sample_sis.districts import (
    DELETED,
    GRADES,
    STUDENT,
    Demographics,
    District,
    Enrollments,
    Org,
    Role,
    Status,
    User,
)

_DAY_MS = 86_400_000


def one_percent_marked(district: District) -> District:
    """`one_percent_changed`, and what was removed stays as `tobedeleted`: what a delta can see."""
    return one_percent_changed(district, mark_removed=True)


def touched(district: District) -> District:
    """Every dateLastModified is a day later, and nothing else has changed: some systems do this every night."""
    now = district.as_of + _DAY_MS
    enrollments = district.enrollments.copy()
    for row in range(len(enrollments)):
        enrollments.modified[row] = now
    return replace(
        district,
        as_of=now,
        orgs=[replace(each, modified=now) for each in district.orgs],
        sessions=[replace(each, modified=now) for each in district.sessions],
        courses=[replace(each, modified=now) for each in district.courses],
        classes=[replace(each, modified=now) for each in district.classes],
        users=[replace(each, modified=now) for each in district.users],
        demographics=[replace(each, modified=now) for each in district.demographics],
        enrollments=enrollments,
    )


def _without(district: District, gone: set[int]) -> District:
    """The district without these users: their demographics, enrollments and mentions as agents go, too."""
    enrollments = district.enrollments
    return replace(
        district,
        users=[_agents_without(each, gone) for each in district.users if each.number not in gone],
        demographics=[each for each in district.demographics if each.number not in gone],
        enrollments=enrollments.pick(row for row, user in enumerate(enrollments.user) if user not in gone),
    )


def _agents_without(user: User, gone: set[int]) -> User:
    if not user.agents or gone.isdisjoint(user.agents):
        return user
    return replace(user, agents=tuple(agent for agent in user.agents if agent not in gone))


def lost_a_fifth(district: District, seed: int = 1) -> District:
    """A fifth of the students are missing with all enrollments, as after an export that went wrong. Nothing else
    says so: what is left has not been modified, and guardians only have fewer agents."""
    rng = Random(seed)  # noqa: S311 - it has to repeat
    students = [student.number for student in district.students]
    return _without(district, set(rng.sample(students, round(len(students) / 5))))


def one_percent_changed(
    district: District, seed: int = 1, *, share: float = 0.01, mark_removed: bool = False
) -> District:
    """A day later: `share` of the users and of the enrollments updated, and for each twenty of them one created and
    one removed (one at least).

    Students come and go with demographics and enrollments, and some change from one section to another. With
    `mark_removed` what was removed stays as `tobedeleted`. No class is left without students.
    """
    rng = Random(seed)  # noqa: S311 - it has to repeat
    now = district.as_of + _DAY_MS
    pool = generators.instants(rng, now, 1, 200)
    count = max(1, round(len(district.users) * share))
    few = max(1, count // 20)
    users = list(district.users)
    demographics = list(district.demographics)
    people = generators.People(rng, district.domain)
    students = [row for row, user in enumerate(users) if user.role is Role.STUDENT]

    leaving = _spare(district, rng.sample(students, min(len(students), few * 4)), few)
    changed = [row for row in rng.sample(range(len(users)), min(len(users), count + few)) if row not in leaving][:count]
    for row in changed:
        users[row] = _changed_person(rng, people, users[row], rng.choice(pool))

    # New students sit where an old one sits.
    models = [users[row] for row in rng.sample(students, min(len(students), few))]
    new: dict[int, int] = {}
    for offset, model in enumerate(models):
        number, modified = district.next_user + offset, rng.choice(pool)
        user, sex = people.person(number, Role.STUDENT, model.orgs, modified, grade=model.grade)
        users.append(user)
        demographics.append(people.demographics(user, sex, district.school_year, modified))
        new[model.number] = number

    enrollments, next_enrollment = _changed_enrollments(district, rng, pool, share=share, few=few, new=new)
    gone = {users[row].number for row in leaving}
    result = replace(
        district,
        as_of=now,
        users=users,
        demographics=demographics,
        enrollments=enrollments,
        next_user=district.next_user + len(models),
        next_enrollment=next_enrollment,
    )
    return _marked(result, gone, now) if mark_removed else _without(result, gone)


def _spare(district: District, candidates: Iterable[int], count: int) -> set[int]:
    """Rows of up to `count` of the candidates whom every one of their classes can spare."""
    enrollments = district.enrollments
    chosen = list(candidates)
    wanted = {district.users[row].number: row for row in chosen}
    rows = zip(enrollments.class_, enrollments.kind, strict=True)
    sizes = Counter(class_ for class_, kind in rows if kind == STUDENT)
    classes: dict[int, list[int]] = {number: [] for number in wanted}
    for user, class_ in zip(enrollments.user, enrollments.class_, strict=True):
        if user in classes:
            classes[user].append(class_)
    spared: set[int] = set()
    for number, row in wanted.items():
        if len(spared) < count and all(sizes[class_] > 3 for class_ in classes[number]):
            sizes.subtract(classes[number])
            spared.add(row)
    return spared


def _changed_person(rng: Random, people: generators.People, user: User, modified: int) -> User:
    """The same person with one thing changed that a school would change."""
    draw = rng.random()
    if draw < 0.15:
        return replace(user, enabled=not user.enabled, modified=modified)
    if draw < 0.35 and user.phone:
        phone = f"+1 541 555 01{(int(user.phone[-2:]) + 1 + rng.randrange(99)) % 100:02d}"
        return replace(user, phone=phone, modified=modified)
    other, _ = people.person(user.number, user.role, user.orgs, modified, grade=user.grade)
    if draw < 0.55 and other.given != user.preferred:
        return replace(user, preferred=other.given, modified=modified)
    if draw < 0.8 and other.middle != user.middle:
        return replace(user, middle=other.middle, modified=modified)
    if other.family == user.family:
        return replace(user, enabled=not user.enabled, modified=modified)
    # A new family name, with a new address where addresses carry the name and a number.
    email = people.address(user.role, user.number, user.given, other.family) if user.grade else user.email
    return replace(user, family=other.family, email=email, modified=modified)


def _changed_enrollments(
    district: District, rng: Random, pool: list[int], *, share: float, few: int, new: Mapping[int, int]
) -> tuple[Enrollments, int]:
    """Enrollments with other dates, moved students and new ones (`new`: model -> newcomer); the next number."""
    old = district.enrollments
    size = len(old)
    enrollments = old.copy()
    for row in rng.sample(range(size), max(1, round(size * share))):
        enrollments.begin[row] += rng.randrange(1, 30)
        enrollments.modified[row] = rng.choice(pool)
    number = district.next_enrollment
    added: list[tuple[int, ...]] = []
    for row in range(size):
        newcomer = new.get(old.user[row])
        if newcomer is not None and old.kind[row] == STUDENT:
            added.append((newcomer, old.class_[row], STUDENT, old.begin[row], old.end[row], rng.choice(pool)))
    moved = _moved(district, rng, few)
    for row, class_ in moved.items():
        added.append((old.user[row], class_, STUDENT, old.begin[row], old.end[row], rng.choice(pool)))
    for each in added:
        enrollments.append((number, *each))
        number += 1
    return enrollments.pick(row for row in range(len(enrollments)) if row not in moved), number


def _moved(district: District, rng: Random, count: int) -> dict[int, int]:
    """Up to `count` student enrollments (row) that change to another section (class) of the same course and terms."""
    siblings: dict[tuple[int, int, tuple[int, ...]], list[int]] = {}
    keys: dict[int, tuple[int, int, tuple[int, ...]]] = {}
    for each in district.classes:
        key = keys[each.number] = (each.school, each.course, each.terms)
        siblings.setdefault(key, []).append(each.number)
    old = district.enrollments
    moved: dict[int, int] = {}
    emptied: set[int] = set()
    for row in rng.sample(range(len(old)), min(len(old), count * 10)):
        class_ = old.class_[row]
        others = [each for each in siblings[keys[class_]] if each != class_]
        # One from a class at most: none is emptied, for where there are siblings there are a dozen students.
        if len(moved) < count and others and old.kind[row] == STUDENT and class_ not in emptied:
            emptied.add(class_)
            moved[row] = rng.choice(others)
    return moved


def _marked(district: District, gone: set[int], now: int) -> District:
    """The district with these users, their demographics and enrollments marked `tobedeleted`."""
    enrollments = district.enrollments
    for row, user in enumerate(enrollments.user):
        if user in gone:
            enrollments.kind[row] |= DELETED
            enrollments.modified[row] = now

    def mark_user(each: User) -> User:
        return replace(each, status=Status.TOBEDELETED, modified=now) if each.number in gone else each

    def mark_demographics(each: Demographics) -> Demographics:
        return replace(each, status=Status.TOBEDELETED, modified=now) if each.number in gone else each

    return replace(
        district,
        users=[mark_user(each) for each in district.users],
        demographics=[mark_demographics(each) for each in district.demographics],
    )


def _by_level(orgs: list[Org]) -> list[list[int]]:
    """Numbers of the schools of each level: a school's name ends with what kind it is."""
    return [
        [org.number for org in orgs if org.type == "school" and org.name.endswith(level.name)]
        for level in schedules.LEVELS
    ]


def _promoted(district: District, modified: int) -> tuple[list[User], int, dict[tuple[int, str], list[int]]]:
    """Everybody but the graduates, students a grade up; how many graduated; the students by school and grade.

    Who outgrows a school goes on to one of the next level with the neighbours: in order, in equal parts.
    """
    levels = _by_level(district.orgs)
    first = {level.grades[0]: schools for level, schools in zip(schedules.LEVELS, levels, strict=True)}
    counts = Counter(user.grade for user in district.users if user.role is Role.STUDENT)
    passed: Counter[str] = Counter()
    users: list[User] = []
    cohorts: dict[tuple[int, str], list[int]] = {}
    for user in district.users:
        if user.role is not Role.STUDENT:
            users.append(user)
            continue
        place = passed[user.grade]
        passed[user.grade] += 1
        if user.grade == GRADES[-1] or user.status is Status.TOBEDELETED:
            continue
        grade = GRADES[GRADES.index(user.grade) + 1]
        schools = first.get(grade)
        orgs = user.orgs if schools is None else (schools[place * len(schools) // counts[user.grade]],)
        users.append(replace(user, grade=grade, orgs=orgs, modified=modified))
        cohorts.setdefault((orgs[0], grade), []).append(user.number)
    return users, counts[GRADES[-1]], cohorts


def a_year_later(district: District, *, leaving: float = 0.08) -> District:
    """The next school year's opening day: graduates have left, everyone else is a grade up, as many children start
    kindergarten, `leaving` of the teachers were replaced, and sessions, classes and enrollments are all new.

    Courses keep their sourcedIds and belong to the new year. A guardian whose children have all left is gone.
    """
    year = district.school_year + 1
    rng = Random(district.seed * 1000 + year)  # noqa: S311 - it has to repeat
    as_of = generators.last_change(year)
    pool = generators.instants(rng, as_of, 60)
    taken = {user.username for user in district.users if user.role not in (Role.STUDENT, Role.GUARDIAN)}
    people = generators.People(rng, district.domain, taken)
    users, starting, cohorts = _promoted(district, pool[0])
    number = district.next_user
    births: list[Demographics] = []
    newcomers: list[User] = []
    nurseries = _by_level(district.orgs)[0]
    for place in range(starting):
        school = nurseries[place * len(nurseries) // starting]
        modified = rng.choice(pool)
        user, sex = people.person(number, Role.STUDENT, (school,), modified, grade=GRADES[0])
        newcomers.append(user)
        births.append(people.demographics(user, sex, year, modified))
        cohorts.setdefault((school, GRADES[0]), []).append(number)
        number += 1

    sizes = [(school, grade, len(members)) for (school, grade), members in sorted(cohorts.items())]
    plan = schedules.plan(sizes, per_student=district.enrollments_per_student)
    needed: Counter[int] = Counter()
    for cohort in plan.cohorts:
        needed[cohort.school] += cohort.classes
    teachers: dict[int, list[int]] = {}
    gone: set[int] = set()
    for user in users:
        if user.role is Role.TEACHER:
            staff = teachers.setdefault(user.orgs[0], [])
            # Where there are classes for fewer, the last to come must leave as well.
            if rng.random() < leaving or len(staff) >= schedules.staffing(needed[user.orgs[0]])[1]:
                gone.add(user.number)
            else:
                staff.append(user.number)
    for school, wanted in plan.teachers.items():
        staff = teachers.setdefault(school, [])
        while len(staff) < wanted:
            newcomers.append(people.person(number, Role.TEACHER, (school,), rng.choice(pool))[0])
            staff.append(number)
            number += 1

    here = {user.number for user in users if user.number not in gone}
    former = {user.number for user in district.users} - here
    gone |= {
        user.number for user in users if user.role is Role.GUARDIAN and user.agents and former.issuperset(user.agents)
    }
    former |= gone
    users = [_agents_without(user, former) for user in users if user.number not in gone] + newcomers
    guardians = sum(user.role is Role.GUARDIAN for user in district.users)
    if guardians:
        # Only those without a guardian get one: the newcomers.
        count = min(starting, guardians * starting // max(1, len(district.students)))
        number = generators.add_guardians(rng, people, users, count=count, first=number, pool=pool)

    sessions = generators.sessions_of(year, (year - 2000) * 10 + 1, pool[1])
    courses = [replace(each, session=sessions[0].number, modified=pool[1]) for each in district.courses]
    filled = schedules.timetable(
        rng,
        plan,
        students=cohorts,
        teachers=teachers,
        courses={(course.grade, course.title): course for course in courses},
        sessions=sessions,
        first_class=district.next_class,
        first_enrollment=district.next_enrollment,
        modified=pool,
    )
    return replace(
        district,
        school_year=year,
        as_of=as_of,
        sessions=sessions,
        courses=courses,
        classes=filled.classes,
        users=users,
        demographics=[each for each in district.demographics if each.number not in former] + births,
        enrollments=filled.enrollments,
        next_user=number,
        next_class=district.next_class + len(filled.classes),
        next_enrollment=district.next_enrollment + len(filled.enrollments),
    )


def base(district: District) -> District:
    """The district as it is."""
    return district


VARIANTS: Mapping[str, Callable[[District], District]] = {
    "base": base,
    "one-percent": one_percent_changed,
    "one-percent-marked": one_percent_marked,
    "lost-a-fifth": lost_a_fifth,
    "year-later": a_year_later,
    "touched": touched,
}
