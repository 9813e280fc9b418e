"""`python -m voxpool.sim` is `voxpool-sim`."""

from voxpool._commands import sim

if __name__ == "__main__":
    sim()
