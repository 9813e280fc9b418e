"""The one load shape, which Locust looks for in its locustfiles: -u, -r, -t and --shape together, nodes on top."""

from __future__ import annotations

from locust import LoadTestShape

from voxpool.loadtest.running._load_run import load_run


class Load(LoadTestShape):
    """What `--shape` names; see loadtest/running/_shapes.py."""

    use_common_options = True

    def reset_time(self) -> None:
        """Locust reports that a test starts."""
        super().reset_time()  # type: ignore[no-untyped-call]
        if self.runner is not None:
            load_run(self.runner.environment).shape_starts()

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there should be, nodes included, and how fast they come; None ends the test."""
        assert self.runner is not None
        return load_run(self.runner.environment).tick()
