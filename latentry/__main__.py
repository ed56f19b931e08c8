"""`python -m latentry`: the command line."""

from latentry.cli import main

main()
