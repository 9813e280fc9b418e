"""`python -m voxpool.loadtest` is `voxpool-load`."""

from voxpool._commands import load

if __name__ == "__main__":
    load()
