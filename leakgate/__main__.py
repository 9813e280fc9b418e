"""`python -m voxpool.leakgate` is the command `leakgate`."""

from voxpool.leakgate.cli.root import main

main()
