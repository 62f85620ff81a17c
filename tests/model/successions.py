"""Ids that succeed others: somebody added by hand who comes with the SIS (link), and people whom the SIS gives another
sourcedId (newKey), with what follows them. See docs/how-to/re-keyed.md and pins-and-matches.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.model.district import District, Row
    from tests.model.pull import Pull
    from tests.model.undo import Undo


@dataclass(frozen=True)
class Succession:
    """arrival: what becomes of the new id's row; None: it is there already."""

    entity: str
    old: str
    new: str
    kind: str
    arrival: str | None


@dataclass
class Done:
    """A succession that was done. access: it went over, too. person: of the new id's row, before. who: of the new id's
    row, from then on. parted: undone."""

    version: int
    what: Succession
    access: bool = False
    person: str | None = None
    who: str | None = None
    parted: bool = False

    @property
    def stands(self) -> bool:
        """As a link does until it is parted."""
        return self.what.entity == "users" and self.what.kind == "link" and not self.parted


Rows = Mapping[str, "Row"]


def proposed(pull: Pull) -> list[Succession]:
    """What a merge of this pull would do to ids now."""
    if "users" not in pull.pulled:
        return []
    links = _links(pull)
    moved = _new_keys(pull, {each.new for each in links})
    return [*links, *moved, *_demographics(pull, moved), *_enrollments(pull, moved)]


def _links(pull: Pull) -> list[Succession]:
    rows = pull.district.rows["users"]
    refused = {pair for pair, decision in pull.district.decisions.items() if decision == "rejected"}
    by_hand = {i: row for i, row in rows.items() if row.active and row.manual}
    going = {i for _, i, _ in pull.losses("users")}
    staged = _staged(pull, "users")
    stay = {i: row for i, row in rows.items() if row.synced and i not in pull.valid("users") and i not in going}
    return [
        Succession("users", old, new, "link", _arrival(rows, new) if new in staged else None)
        for old, new in _people(by_hand, stay | staged, NUMBERS)
        if (old, new) not in refused
    ]


def _new_keys(pull: Pull, linked: set[str]) -> list[Succession]:
    if not pull.may_remove:
        return []
    going, coming = _leaving(pull, "users"), _arriving(pull, "users")
    rows = pull.district.rows["users"]
    found = {pair: basis for pair, basis in _people(going, coming, KEYS).items() if pair[1] not in linked}
    # User names and e-mail addresses are given again to others: they count where it is no chance.
    many = len(going) >= MANY and len(going) >= SHARE * len(pull.district.synced("users"))
    weak = many and len(found) >= FOUND * len(going)
    return [
        Succession("users", old, new, "newKey", _arrival(rows, new))
        for (old, new), basis in found.items()
        if weak or basis in NUMBERS
    ]


def _demographics(pull: Pull, people: Iterable[Succession]) -> list[Succession]:
    entity = "demographics"
    if entity not in pull.pulled:
        return []
    going, staged, rows = _leaving(pull, entity), _staged(pull, entity), pull.district.rows[entity]
    return [
        Succession(entity, each.old, each.new, "newKey", _arrival(rows, each.new))
        for each in people
        if each.old in going and each.new in staged
    ]


def _enrollments(pull: Pull, people: Iterable[Succession]) -> list[Succession]:
    """The same person in the same class, in the same role and from the same day on."""
    entity = "enrollments"
    if entity not in pull.pulled:
        return []
    now = {each.old: each.new for each in people}
    going = {i: row for i, row in _leaving(pull, entity).items() if row.values["user_sourced_id"] in now}

    def seat(row: Row) -> Any:
        user = row.values["user_sourced_id"]
        return now.get(user, user), *(row.values[name] for name in ("class_sourced_id", "role", "begin_date"))

    pairs = _pairs(going, _arriving(pull, entity), seat)
    return [Succession(entity, old, new, "newKey", _arrival(pull.district.rows[entity], new)) for old, new in pairs]


NUMBERS = ("identifier", "user_master_identifier")
KEYS = (*NUMBERS, "username", "email")
MANY, SHARE, FOUND = 3, 0.2, 0.5


def _key(row: Row, name: str) -> Any:
    """None: it proves nothing. Of a user name and an address the case of A to Z does not count, and of nothing else."""
    value = row.values[name]
    if not value:
        return None
    if name not in NUMBERS:
        value = "".join(letter.lower() if letter.isascii() else letter for letter in value)
    return value, row.values["role"] == "student"


def _people(old: Rows, new: Rows, names: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """Pairs by the strongest key that two have in common, with its name. Not where one of them has as strong a one or a
    stronger one in common with somebody else, nor where a stronger one says that they are two."""
    basis: dict[tuple[str, str], str] = {}
    for name in reversed(names):
        basis |= dict.fromkeys(_pairs(old, new, lambda row, name=name: _key(row, name)), name)
    found: dict[tuple[str, str], str] = {}
    for (left, right), name in basis.items():
        rivals = [other for pair, other in basis.items() if (pair[0] == left) != (pair[1] == right)]
        if any(names.index(other) < names.index(name) for other in rivals):
            continue
        stronger = NUMBERS[: NUMBERS.index(name)] if name in NUMBERS else NUMBERS
        told = [(old[left].values[number], new[right].values[number]) for number in stronger]
        if all(a is None or b is None or a == b for a, b in told):
            found[left, right] = name
    return found


def known_otherwise(people: Rows, new: Iterable[tuple[str, Row]], shown: set[str]) -> set[str]:
    """Those new people of a delta who may be merged under another id, which the delta did not show. One may have been
    shown twice."""
    basis: dict[str, str] = {}
    for name in reversed(KEYS):
        have: dict[Any, set[str]] = {}
        for i, row in new:
            have.setdefault(_key(row, name), set()).add(i)
        alone = {key: next(iter(ids)) for key, ids in have.items() if len(ids) == 1 and key is not None}
        stronger = NUMBERS[: NUMBERS.index(name)] if name in NUMBERS else NUMBERS
        for key, right in alone.items():
            left = [i for i, row in people.items() if _key(row, name) == key]
            if len(left) != 1 or left[0] in shown:
                continue
            theirs = people[left[0]].values
            rows = [row.values for i, row in new if i == right and _key(row, name) == key]
            told = [(theirs[number], values[number]) for values in rows for number in stronger]
            if all(a is None or b is None or a == b for a, b in told):
                basis[right] = name
    if len(basis) >= MANY and len(basis) >= SHARE * len(people):
        return set(basis)
    return {i for i, name in basis.items() if name in NUMBERS}


def _pairs(old: Rows, new: Rows, key: Callable[[Row], Any]) -> list[tuple[str, str]]:
    """Those that have in common what nobody else on either side has."""

    def alone(rows: Rows) -> dict[Any, str]:
        found: dict[Any, list[str]] = {}
        for i, row in rows.items():
            found.setdefault(key(row), []).append(i)
        return {k: ids[0] for k, ids in found.items() if len(ids) == 1 and k is not None}

    left, right = alone(old), alone(new)
    return [(left[k], right[k]) for k in left.keys() & right.keys()]


def _staged(pull: Pull, entity: str) -> dict[str, Row]:
    return {i: offer.row for i, offer in pull.offers(entity).items() if offer.status == "active"}


def _arriving(pull: Pull, entity: str) -> dict[str, Row]:
    return {i: row for i, row in _staged(pull, entity).items() if _arrival(pull.district.rows[entity], i)}


def _leaving(pull: Pull, entity: str) -> dict[str, Row]:
    """Rows that the source no longer shows, or shows as deleted."""
    rows = pull.district.rows[entity]
    marked = [i for i, offer in pull.offers(entity).items() if offer.status == "tobedeleted" and i in rows]
    vanished = [i for way, i, _ in pull.losses(entity) if way == "vanished"]
    return {i: rows[i] for i in (*marked, *vanished) if rows[i].synced}


def _arrival(rows: Rows, new: str) -> str | None:
    row = rows.get(new)
    return "create" if row is None else None if row.active else "reactivate"


def taken_back(undo: Undo, version: int) -> list[Succession]:
    """What an undo of the merge that made this version does to ids: new keys are turned round where both records go
    back, and who was linked is parted."""
    found: list[Succession] = []
    for done in undo.district.successions:
        each = done.what
        if done.version != version:
            continue
        offers, rows = undo.offers(each.entity), undo.district.rows[each.entity]
        status = {i: offer.status for i, offer in offers.items()}
        old = rows.get(each.old)
        goes = status.get(each.new) == "undone"
        if each.kind == "newKey" and goes and status.get(each.old) == "active" and (old is None or not old.active):
            found.append(Succession(each.entity, each.new, each.old, "newKey", _arrival(rows, each.old)))
        elif done.stands and old is not None and not old.active and (each.arrival is None or goes):
            found.append(Succession(each.entity, each.new, each.old, "unlink", None))
    return found


def succeed(district: District, succeeding: Iterable[Succession]) -> None:
    """Everything that a merge, or a person, does to ids in this version."""
    every = [each for each in succeeding if each.kind != "unlink"]
    done = [_ends(district, each) for each in every]
    for each in done:
        _move(district, each)
    _follow(district, [each for each in every if each.entity == "users"])
    district.successions += done


def _ends(district: District, each: Succession) -> Done:
    """The rows of both ids: the old one ends, the new one is the person."""
    rows = district.rows[each.entity]
    old, new = rows[each.old], rows[each.new]
    district.note(each.entity, each.kind, each.old)
    done = Done(district.version, each, person=new.person)
    if each.entity == "users":
        done.who = person = new.person or each.new if each.arrival is None else old.person or each.old
        new.person = None if person == each.new else person
    district.deactivate(old, each.kind)
    old.changed = district.version
    return done


def _move(district: District, done: Done) -> None:
    """What hangs on the old id: access and pins."""
    each = done.what
    if each.entity == "users" and each.old in district.access and each.new not in district.access:
        district.access[each.new] = district.access.pop(each.old)
        done.access = True
    pins, theirs = district.pins.get((each.entity, each.old), {}), district.pins.get((each.entity, each.new), {})
    for name in list(pins):
        if name not in theirs:
            district.pins.setdefault((each.entity, each.new), {})[name] = pins.pop(name)
    if not pins:
        district.pins.pop((each.entity, each.old), None)


def _follow(district: District, people: list[Succession]) -> None:
    """Enrollments that still name the old id. One that the person has under the new id as well ends."""
    now = {each.old: each for each in people}
    active = district.active("enrollments")
    seats = {_seat(row) for row in active.values()}
    for sourced_id, row in active.items():
        each = now.get(row.values["user_sourced_id"])
        if each is None:
            continue
        district.note("enrollments", "followed", sourced_id)
        if (each.new, *_seat(row)[1:]) in seats:
            district.deactivate(row, each.kind)
        else:
            row.values["user_sourced_id"] = each.new
            if not row.manual:
                row.says = ("follows", row.says, each.new)
        row.changed = district.version


def _seat(row: Row) -> tuple[Any, ...]:
    return tuple(row.values[name] for name in ("user_sourced_id", "class_sourced_id", "role"))


def standing(district: District, manual: str, other: str | None = None) -> Done | None:
    """The link of somebody who was added by hand, to this one or to anybody."""
    for done in district.successions:
        if done.stands and done.what.old == manual and other in (None, done.what.new):
            return done
    return None


def part(district: District, done: Done) -> None:
    """Two people again: the row of who was added by hand stands up, and what went over from it goes back."""
    manual, had = done.what.old, _had_since(district, done)
    now, theirs = had[-1], _person_with(district, done)
    went = {
        e.sourced_id
        for e in district.log
        if (e.version, e.entity, e.action, e.about) == (done.version, "enrollments", "followed", manual)
    }
    _stands_up(district, "users", manual)
    for sourced_id in sorted(went):
        row = district.rows["enrollments"].get(sourced_id)
        if row is None:
            continue
        user = row.values["user_sourced_id"]
        if (user == now and row.active) or (user in {manual, *had} and row.cause in {"link", "newKey"}):
            _stands_up(district, "enrollments", sourced_id)
            row.values["user_sourced_id"] = manual
    if done.access and now in district.access and manual not in district.access:
        district.access[manual] = district.access.pop(now)
    own = done.person or done.what.new
    for i in {*had} & district.rows["users"].keys():
        row = district.rows["users"][i]
        if done.what.arrival is not None and (row.person or i) == theirs:
            district.note("users", "unlink", i)
            row.person = None if own == i else own
    for later in district.successions:
        if later.version > done.version and {later.what.old, later.what.new} <= {*had} and later.who == theirs:
            later.who = own
    done.parted = True


def _had_since(district: District, linked: Done) -> list[str]:
    """The ids that the other one has had since the link, the one of today last."""
    had, version = [linked.what.new], linked.version
    for done in district.successions:
        each = done.what
        if done.version > version and (each.entity, each.kind, each.old) == ("users", "newKey", had[-1]):
            had.append(each.new)
            version = done.version
    return had


def _person_with(district: District, linked: Done) -> str:
    """Who both were as one."""
    if linked.what.arrival is None:
        return linked.person or linked.what.new
    manual = district.rows["users"][linked.what.old]
    return manual.person or linked.what.old


def _stands_up(district: District, entity: str, sourced_id: str) -> None:
    district.note(entity, "unlink", sourced_id)
    row = district.rows[entity][sourced_id]
    row.active, row.cause, row.since = True, None, None
    row.changed = district.version


def tell_apart(district: District) -> None:
    """An id that came again by itself, after its person had moved on, is somebody else."""
    came = {
        e.sourced_id
        for e in district.log
        if e.version == district.version and e.entity == "users" and e.action in {"create", "reactivate"}
    }
    moved = {done.what.old for done in district.successions if done.what.entity == "users" and not done.parted}
    people = district.active("users")
    for sourced_id in sorted(came & moved):
        row = district.rows["users"][sourced_id]
        person = row.person or sourced_id
        if any(i != sourced_id and (other.person or i) == person for i, other in people.items()):
            row.person = "again-"
