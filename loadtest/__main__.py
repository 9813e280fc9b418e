"""`python -m voxpool.loadtest` is `voxpool-load`."""

from voxpool.loadtest.commands._cli import main

if __name__ == "__main__":
    main()
