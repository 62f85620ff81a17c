"""The standard's room: what OneRoster says, how servers really speak it, and what a record is.

Knows no Kubernetes and no SQL, and imports no other room of this project. Bytes come in from a
source (REST here), go through `decode`, and leave as `records`; every failure is an
`errors.OneRosterError` with a stable reason, one sentence and a next step.
"""
