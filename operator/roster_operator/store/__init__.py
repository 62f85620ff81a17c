"""PostgreSQL: the schema and its migrations, staging, plan, merge, history.

This room knows no Kubernetes, no HTTP and no OneRoster: entities are tables here, records are tuples in column order.
"""
