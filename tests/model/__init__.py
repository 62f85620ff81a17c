"""An independent model of the store, in dictionaries, run beside it over random histories.

The model says what must be true, from the design and the documentation; it knows no SQL and imports nothing of the
store or the worker: `records` what a source shows, `district` what was merged, `pull` and `undo` how it is staged,
`plan` what a merge would do then, `causes`, `pins`, `alike`, `terms`, `successions` what it asks on the way,
`forgetting` what retention and erasing take.

`sis` is a source small enough to think about. `beside` runs the real worker and the real PostgreSQL.
`test_model_histories` lets hypothesis make up what happens, and compares after every step.
"""
