"""`python -m voxpool.scheduler` is `voxpool`."""

from voxpool.scheduler.cli import main

if __name__ == "__main__":
    main()
