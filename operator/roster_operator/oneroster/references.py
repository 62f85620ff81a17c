"""Which fields of a record point at other records: the standard's references, as data."""

from dataclasses import dataclass

from .entities import Entity


@dataclass(frozen=True)
class ReferenceField:
    """One field. `many`: it holds a list of ids. `required`: without one that resolves the record means nothing."""

    name: str
    target: Entity
    required: bool
    many: bool = False


# Fields that point at their own entity (parents, agents) are not here: their targets may come later in the same pull.
REFERENCES: dict[Entity, tuple[ReferenceField, ...]] = {
    Entity.ORGS: (),
    Entity.ACADEMIC_SESSIONS: (),
    Entity.COURSES: (
        ReferenceField("org_sourced_id", Entity.ORGS, required=False),
        ReferenceField("school_year_sourced_id", Entity.ACADEMIC_SESSIONS, required=False),
    ),
    Entity.CLASSES: (
        # A class is its school, its term and its people. Without its course it still is one; were it skipped, a course
        # that a server lists twice would take every class and every enrollment with it (seen).
        ReferenceField("course_sourced_id", Entity.COURSES, required=False),
        ReferenceField("school_sourced_id", Entity.ORGS, required=True),
        ReferenceField("term_sourced_ids", Entity.ACADEMIC_SESSIONS, required=True, many=True),
    ),
    Entity.USERS: (
        ReferenceField("org_sourced_ids", Entity.ORGS, required=True, many=True),
        ReferenceField("primary_org_sourced_id", Entity.ORGS, required=False),
    ),
    Entity.ENROLLMENTS: (
        ReferenceField("user_sourced_id", Entity.USERS, required=True),
        ReferenceField("class_sourced_id", Entity.CLASSES, required=True),
        ReferenceField("school_sourced_id", Entity.ORGS, required=True),
    ),
    Entity.DEMOGRAPHICS: (ReferenceField("sourced_id", Entity.USERS, required=True),),
}
