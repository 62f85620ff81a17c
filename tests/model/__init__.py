"""An independent model of the store, in dictionaries, run beside it over random histories.

`model` says what must be true, from the design and the documentation; it knows no SQL and imports nothing of the store
or the worker. `sis` is a source small enough to think about. `beside` runs the real worker and the real PostgreSQL.
`test_model_histories` lets hypothesis make up what happens, and compares after every step.
"""
