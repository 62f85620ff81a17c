"""What is deleted: by retention, and on demand. See docs/how-to/retention-and-erasing.md."""

from __future__ import annotations

from collections import Counter

from tests.model.district import District, Entry
from tests.model.successions import Done

OVERDUE = 30  # days after which a run that waits is discarded


def reap(district: District, remove_after: int, keep_history: int) -> None:
    """Both in days."""
    for entity, rows in district.rows.items():
        for sourced_id, row in list(rows.items()):
            theirs = not row.manual or row.cause == "link"
            if theirs and not row.active and row.since is not None and district.day - row.since >= remove_after:
                del rows[sourced_id]
                district.pins.pop((entity, sourced_id), None)
    for user in list(district.access):
        if user not in district.rows["users"]:
            del district.access[user]
    district.successions = [done for done in district.successions if _leads_somewhere(district, done)]
    for pair in list(district.decisions):
        if pair[0] not in district.rows["users"]:
            del district.decisions[pair]
    oldest = district.day - keep_history
    district.log = [each for each in district.log if each.day > oldest]
    district.by_hand = [day for day in district.by_hand if day > oldest]


def _leads_somewhere(district: District, done: Done) -> bool:
    """One of the two rows is there, or the person's row of today."""
    rows = district.rows[done.what.entity]
    people = {row.person or i for i, row in rows.items()} if done.what.entity == "users" else set[str]()
    return bool({done.what.old, done.what.new} & rows.keys()) or done.who in people


def erase(district: District, user: str) -> dict[str, int]:
    """Everything about one person. Gives what went, by table, but for what the model does not keep."""
    people = _ids_of(district, user)
    theirs = {i for i, row in district.rows["enrollments"].items() if row.values["user_sourced_id"] in people}
    found: Counter[str] = Counter()

    def is_about(each: Entry) -> bool:
        return each.about in people or (each.entity == "enrollments" and each.sourced_id in theirs)

    found["change_log"] = sum(map(is_about, district.log))
    district.log = [each for each in district.log if not is_about(each)]
    for entity, ids in (("enrollments", theirs), ("users", people), ("demographics", people)):
        for sourced_id in ids:
            found[entity] += district.rows[entity].pop(sourced_id, None) is not None
            found["pin"] += len(district.pins.pop((entity, sourced_id), {}))
    found["app_access"] = sum(district.access.pop(each, None) is not None for each in people)
    for pair in [pair for pair in district.decisions if people & {*pair}]:
        del district.decisions[pair]
        found["match_decision"] += 1
    kept = [
        done
        for done in district.successions
        if not {done.what.old, done.what.new} & (theirs if done.what.entity == "enrollments" else people)
    ]
    found["succession"] = len(district.successions) - len(kept)
    district.successions = kept
    return dict(+found)


def _ids_of(district: District, user: str) -> set[str]:
    """This id, and those that the same person had before or has had since."""
    moves = [
        {done.what.old, done.what.new}
        for done in district.successions
        if done.what.entity == "users" and not done.parted
    ]
    found = {user}
    while more := {i for ids in moves if ids & found for i in ids} - found:
        found |= more
    return found
