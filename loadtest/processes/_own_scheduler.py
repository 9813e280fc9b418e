"""`--with-scheduler`: a `voxpool serve` for this run on a free port, with a Redis for --store redis."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from voxpool.loadtest.processes._own_process import OwnProcess, python
from voxpool.loadtest.processes._own_redis import OwnRedis
from voxpool.loadtest.running._preflight import CannotLoad

START_S = 30.0
LOOK_S = 0.02
SAID_MAX = 300
"""Maximum number of characters of its last log line in messages."""


class SchedulerProcess:
    """A `voxpool serve` with `arguments`, begun by the constructor; its log is `folder`/NAME.log.

    `program` is the module to run, with its first arguments.
    """

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        name: str = "scheduler",
        program: Sequence[str] = ("voxpool.scheduler",),
    ) -> None:
        self.log = folder / f"{name}.log"
        self.log.unlink(missing_ok=True)
        self.process = OwnProcess(python(*program, "serve", *arguments), self.log)

    def url_if_started(self) -> str | None:
        """Return its URL once it listens. Raises CannotLoad, with its output, when it has ended before."""
        runs = self.process.runs
        for line in self.log.read_text(errors="replace").splitlines():
            if '"scheduler_started"' in line:
                return str(json.loads(line)["url"])
        if not runs:
            raise CannotLoad(f"--with-scheduler: `voxpool serve` ended at once: {self._last_words()}")
        return None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1][-SAID_MAX:] if lines else f"exit code {self.process.exit_code}"


class OwnScheduler:
    """A scheduler on a free port, started by the constructor. Raises CannotLoad when it doesn't start.

    Its log has no lines of single jobs, which would fill the disk in a long run; `flags` can enable them. `store` is
    a value of `voxpool serve --store`, or redis: then a Redis is started, and `redis` is it. `program` is that of
    SchedulerProcess.
    """

    def __init__(self, folder: Path, store: str, flags: str, program: Sequence[str] = ("voxpool.scheduler",)) -> None:
        try:
            more = shlex.split(flags)
        except ValueError as error:
            raise CannotLoad(f"--serve-flags {flags}: {error}") from None
        self.redis = OwnRedis(folder / "redis.log") if store == "redis" else None
        where = self.redis.url if self.redis else store
        arguments = ["--port", "0", "--store", where, "--drain-s", "0", "--log-sample", "0", *more]
        self._scheduler = SchedulerProcess(folder, arguments, program=program)
        self.log = self._scheduler.log
        try:
            self.url = self._started()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The pid of the scheduler."""
        return self._scheduler.process.pid

    def stop(self) -> None:
        """Stop the scheduler and its Redis."""
        self._scheduler.process.stop()
        if self.redis is not None:
            self.redis.stop()

    def _started(self) -> str:
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            url = self._scheduler.url_if_started()
            if url is not None:
                return url
            time.sleep(LOOK_S)
        raise CannotLoad(f"--with-scheduler: `voxpool serve` did not start within {START_S:g} s: see {self.log}")
