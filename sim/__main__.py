"""`python -m voxpool.sim` is `voxpool-sim`."""

from voxpool.sim.cli.root import main

if __name__ == "__main__":
    main()
