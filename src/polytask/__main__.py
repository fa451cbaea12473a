"""`python -m polytask`: the same as the command `polytask`."""

from polytask.cli import main

main()
