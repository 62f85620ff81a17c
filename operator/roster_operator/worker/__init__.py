"""What runs in a Job's pod: test, stage, merge, discard. Joins the standard (oneroster) and the database (store).

The command line runs the same functions without a cluster.
"""
