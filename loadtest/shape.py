"""The load shape for Locust: it combines -u, -r, -t and --shape, and adds nodes."""

from __future__ import annotations

from locust import LoadTestShape

from voxpool.loadtest.running._load_run import load_run


class Load(LoadTestShape):
    """The shape of `--shape`; see loadtest/running/_shapes.py."""

    use_common_options = True

    def reset_time(self) -> None:
        """Called when Locust starts a test."""
        super().reset_time()  # type: ignore[no-untyped-call]
        if self.runner is not None:
            load_run(self.runner.environment).shape_starts()

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users, nodes included, and the spawn rate; None ends the test."""
        assert self.runner is not None
        return load_run(self.runner.environment).tick()
