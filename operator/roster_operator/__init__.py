"""roster-operator: a school district's OneRoster data, staged, reviewed, approved and merged into PostgreSQL."""

__version__ = "0.1.0"
