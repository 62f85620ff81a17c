"""`python -m roster_operator.cli`: the same as `roster`."""

from roster_operator.cli import main

main()
