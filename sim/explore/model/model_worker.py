"""The model of a worker node in an explored execution: each of its actions is a step.

Work takes no clock time: its end can be any later step, and it never advances the clock. A worker touches itself and
the ends of its channels, nothing of the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable

from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, NodeResult, Register, WorkError
from voxpool.sim.explore.model.channels import Channel, Link, Names, result_label
from voxpool.sim.explore.model.execution import Step
from voxpool.sim.explore.search.footprints import Footprints


class SocketHandler:
    """The scheduler's handler of a worker's socket, which receives its messages."""

    def __init__(
        self,
        result: Callable[[Link, NodeResult], None],
        closed: Callable[[Link], None],
        register: Callable[[Link, Register], None],
    ) -> None:
        self.result = result
        self.closed = closed
        self.register = register


class ModelWorker:
    """One worker with `slots`; it answers busy to the first `busy` assigns, and to any beyond its slots.

    The work of its first `errors` attempts ends with an error.
    """

    def __init__(
        self, node_id: str, pair: str, slots: int, busy: int, errors: int, footprints: Footprints, names: Names
    ) -> None:
        self.node_id = node_id
        self.slots = slots
        self.is_up = True
        self.overfull = 0
        """Assigns received while all slots were in use."""
        self.running: dict[str, tuple[int, Step]] = {}
        """Job id -> attempt, and the step that ends its work."""
        self.links: list[Link] = []
        """Its connections; the last one is open at its end."""
        self._pair = pair
        self._busy = busy
        self._errors = errors
        self._key = f"worker {node_id}"
        self._footprints = footprints
        self._names = names
        self._handler: SocketHandler

    def connect(self, handler: SocketHandler, new_link: Callable[[ModelWorker, str], Link]) -> None:
        """Open a connection to the scheduler."""
        self._handler = handler
        self._new_link = new_link
        self.links.append(new_link(self, self.node_id))

    @property
    def link(self) -> Link:
        """The current connection."""
        return self.links[-1]

    @property
    def up(self) -> Channel:
        """The channel to the scheduler."""
        return self.link.up

    def register_message(self) -> Register:
        """Return the register message of this worker."""
        running = [(job_id, attempt) for job_id, (attempt, _) in self.running.items()]
        return Register(self.node_id, f"{self.node_id}.1", [self._pair], self.slots, running)

    # ---- messages of the scheduler

    def register(self) -> None:
        """Register (again)."""
        self._footprints.write(self._key)
        link, message = self.link, self.register_message()
        self.up.put(
            f"deliver register from {link.name}",
            f"from {link.name}",
            lambda: self._handler.register(link, message),
        )

    def assigned(self, assign: Assign, name: str) -> None:
        """Begin to work on `assign`, or answer busy."""
        self._footprints.write(self._key)
        older = self.running.pop(assign.job_id, None)
        full = older is None and len(self.running) >= self.slots
        self.overfull += full
        if full or self._busy:
            self._busy -= not full
            self._say(NodeResult(assign.job_id, assign.attempt, busy=True))
            return
        attempt = f"{name}|{assign.attempt}"
        step = Step(f"timer work {attempt} on {self.node_id}", f"{attempt} to {self.node_id}")
        self.running[assign.job_id] = (assign.attempt, step)

    def cancelled(self, message: CancelAttempt) -> None:
        """Stop working on that attempt."""
        self._footprints.write(self._key)
        if self.running.get(message.job_id, (0,))[0] == message.attempt:
            del self.running[message.job_id]

    # ---- its own actions

    def worked(self, job_id: str) -> None:
        """Complete the work on a job."""
        self._footprints.write(self._key)
        attempt, _ = self.running.pop(job_id)
        if self._errors:
            self._errors -= 1
            self._say(NodeResult(job_id, attempt, error=WorkError("planned", retryable=True)))
        else:
            self._say(NodeResult(job_id, attempt, "done"))

    def die(self) -> None:
        """End the process and close its socket."""
        self.is_up = False
        self.running.clear()
        self._break()

    def reconnect(self) -> None:
        """Break the socket, reconnect at once and report the running attempts."""
        self._break()
        self.links.append(self._new_link(self, f"{self.node_id} again"))
        self.register()

    def _break(self) -> None:
        """Close the socket after the sent messages; messages in transit to the worker are lost."""
        link = self.link
        self._footprints.write(self._key)
        self._footprints.write(f"to {link.name} front")
        link.up.put(f"deliver close from {link.name}", f"from {link.name}", lambda: self._handler.closed(link))

    def _say(self, result: NodeResult) -> None:
        link = self.link
        label, chain = result_label(result, self._names, link.name)
        self.up.put(label, chain, lambda: self._handler.result(link, result))
