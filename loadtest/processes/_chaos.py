"""The shape chaos: kills and restarts real node processes (kill -9), and the Redis of this run, if there is one.

It only affects processes that this run has started.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

import gevent

from voxpool.loadtest.processes._own_process import OwnProcess, clean_environment, python
from voxpool.loadtest.processes._own_redis import OwnRedis
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.running._preflight import CannotLoad

logger = logging.getLogger("voxpool.load")

PAIRS_MAX = 256
"""Largest number of pairs of one node, by the protocol."""


class Chaos:
    """Kills and restarts processes in greenlets while a test of that shape runs, and counts."""

    def __init__(self, context: Context, redis: Callable[[], OwnRedis | None], end: Callable[[str], None]) -> None:
        self._context = context
        self._redis = redis
        self._end = end
        self._greenlets: list[gevent.Greenlet] = []
        self._nodes: list[OwnProcess] = []
        self.kills = 0
        self.redis_restarts = 0

    @property
    def notes(self) -> list[str]:
        """Return the number of kills and restarts, for the report."""
        if not self.kills and not self.redis_restarts:
            return []
        return [f"chaos: {self.kills} node processes killed (SIGKILL), Redis restarted {self.redis_restarts} times"]

    def start(self) -> None:
        """Start the nodes, and the kills and restarts."""
        self.kills = self.redis_restarts = 0
        options = self._context.options
        if not self._context.decides or options.shape != "chaos":
            return
        random_ = random.Random(f"{options.seed} chaos")
        self._nodes = [self._node(index) for index in range(options.kill_nodes)]
        if self._nodes:
            self._greenlets.append(gevent.spawn(self._kill_nodes, random_))
        redis = self._redis()
        if redis is not None and options.redis_restart_every_s:
            self._greenlets.append(gevent.spawn(self._restart_redis, redis, options.redis_restart_every_s))

    def stop(self) -> None:
        """Stop the kills and restarts, and the nodes."""
        gevent.killall([one for one in self._greenlets if one is not gevent.getcurrent()])
        self._greenlets.clear()
        for node in self._nodes:
            node.kill()
        self._nodes.clear()

    def _node(self, index: int) -> OwnProcess:
        context, options = self._context, self._context.options
        environment = clean_environment()
        if options.node_token:
            environment["VOXPOOL_TOKEN"] = options.node_token
        if options.ca_file:
            environment["VOXPOOL_CA_FILE"] = options.ca_file
        pairs = ",".join(options.pair_names[:PAIRS_MAX])
        command = python(
            "voxpool.loadtest.processes._node_process", context.host, f"chaos-{index + 1}", pairs, str(options.slots)
        )
        return OwnProcess(command, context.folder / f"chaos-{index + 1}.log", environment)

    def _kill_nodes(self, random_: random.Random) -> None:
        while True:
            gevent.sleep(random_.expovariate(1 / self._context.options.kill_every_s))
            index = random_.randrange(len(self._nodes))
            self._nodes[index].kill()
            self.kills += 1
            self._nodes[index] = self._node(index)

    def _restart_redis(self, redis: OwnRedis, every_s: float) -> None:
        while True:
            gevent.sleep(every_s)
            try:
                redis.restart()
            except CannotLoad as error:
                self._context.missing.append(f"chaos could not continue: {error}")
                self._end(str(error))
                return
            self.redis_restarts += 1
            logger.info("Redis was killed and restarted without its data (%d)", self.redis_restarts)
