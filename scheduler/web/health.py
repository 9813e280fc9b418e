"""Whether the store answers, as the dispatcher's script queue sees it."""

from __future__ import annotations

from voxpool.scheduler.core.seams import Observer


class Health(Observer):
    """Keeps the last state of the store."""

    def __init__(self) -> None:
        self.store_up = True
        self.store_error = ""

    def store_failed(self, detail: str) -> None:
        """The store did not answer."""
        self.store_up = False
        self.store_error = detail

    def store_recovered(self) -> None:
        """The store answers again."""
        self.store_up = True
        self.store_error = ""

    def store(self) -> tuple[bool, str]:
        """Return whether the store answers, and what is wrong with it."""
        return self.store_up, self.store_error
