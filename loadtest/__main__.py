"""`python -m loadtest` is `loadtest`."""

from loadtest._cli import main

if __name__ == "__main__":
    main()
