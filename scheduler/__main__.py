"""`python -m voxpool.scheduler` is `voxpool`."""

from voxpool._commands import scheduler

if __name__ == "__main__":
    scheduler()
