"""`python -m voxpool.leakgate` is the command `leakgate`."""

from voxpool.leakgate.cli import main

main()
