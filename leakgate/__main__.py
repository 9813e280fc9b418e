"""`python -m voxpool.leakgate` is the command `leakgate`."""

from voxpool._commands import leakgate

if __name__ == "__main__":
    leakgate()
