"""Users that violate the protocol, in addition to the others: `--misbehaving N`. They check the scheduler's answers.

The expected refusal is a success; any other answer is a failure of `misbehave:<kind>`. Half of them are clients, half
nodes; nodes use a separate pair, so that the figures of other users are those of a scheduler under attack.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from locust import User, between, tag, task

from voxpool.loadtest.users._reasons import why_lost
from voxpool.loadtest.users._traffic import NODE, WS, traffic_of
from voxpool.loadtest.users._wire import Closed, NotOpened
from voxpool.loadtest.users.misbehaving import _bad_clients, _bad_nodes
from voxpool.loadtest.users.misbehaving._target import Target, Wrong
from voxpool.scheduler.errors import BadInput


class MisbehavingUser(User):
    """Performs one kind of misbehaviour after the other."""

    abstract = True
    part: ClassVar[str]
    kind: ClassVar[str]
    acts: ClassVar[Mapping[str, Callable[[Target], None]]]
    wait_time = between(0.2, 1.0)

    def on_start(self) -> None:
        """Take a number, so that users begin with different kinds."""
        self.traffic = traffic_of(self.environment)
        number = self.traffic.enter(self.part)
        name = self.traffic.name("bad", number)
        options = self.traffic.context.options
        self.target = Target(
            self.traffic.host_of(number),
            f"{name}-{self.kind.lower()}",
            self.traffic.workload.pairs[0],
            f"bad:{name.partition('-')[2][-16:]}",
            options.client_token,
            options.node_token,
            self.traffic.tls,
        )
        names = list(self.acts)
        first = number % len(names)
        self.turns = itertools.cycle(names[first:] + names[:first])

    @tag("misbehave")
    @task
    def misbehave(self) -> None:
        """Perform the next misbehaviour."""
        if not self.traffic.may_ask():
            return
        name = next(self.turns)
        began_s = time.monotonic()
        failure = ""
        try:
            self.acts[name](self.target)
        except Wrong as wrong:
            failure = str(wrong)
        except Closed as closed:
            failure = f"closed_{closed.code}"
        except (NotOpened, BadInput, TimeoutError, OSError) as error:
            failure = "no_answer" if isinstance(error, TimeoutError) else why_lost(error)
        self.traffic.tell(self.kind, f"misbehave:{name}", time.monotonic() - began_s, 0, failure)


class MisbehavingClientUser(MisbehavingUser):
    """A misbehaving client."""

    part = "misbehaving_client"
    kind = WS
    acts = _bad_clients.KINDS


class MisbehavingNodeUser(MisbehavingUser):
    """A misbehaving node."""

    part = "misbehaving_node"
    kind = NODE
    acts = _bad_nodes.KINDS
