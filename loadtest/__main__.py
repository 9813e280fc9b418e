"""`python -m loadtest` is `loadtest`."""

from loadtest.commands._cli import main

if __name__ == "__main__":
    main()
