"""`python -m leakgate` is the command `leakgate`."""

from leakgate.cli import main

main()
