"""From resources and Jobs to status, events, metrics and the next Jobs.

This room watches RosterConnections, RosterSyncs and their Jobs, decides with pure functions, and acts through the
Kubernetes API alone. It never reads a Secret and never opens the database: what a Job found out arrives as the
termination message of its pod.

Where to begin reading: `lifecycle.py` holds the whole life of a sync as one table.
"""
