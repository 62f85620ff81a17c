"""`kubectl roster`: the commands that talk to a cluster, with the person's own kubeconfig and rights.

It reads and writes our two resources, and reads what stands around them. It never opens a database and never reads the
content of a Secret.
"""
