"""The entities of OneRoster rostering, in the order in which they can be loaded."""

from enum import StrEnum


class Entity(StrEnum):
    """One kind of record; the value is the standard's collection name.

    Declaration order is load order: an entity refers only to earlier ones and to itself
    (org.parent, academicSession.parent, user.agents).
    """

    ORGS = "orgs"
    ACADEMIC_SESSIONS = "academicSessions"
    COURSES = "courses"
    CLASSES = "classes"
    USERS = "users"
    ENROLLMENTS = "enrollments"
    DEMOGRAPHICS = "demographics"


# A source may lack these: demographics has a scope of its own, and many clients are never granted it.
OPTIONAL = frozenset({Entity.DEMOGRAPHICS})
