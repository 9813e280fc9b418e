"""The connections of an explored execution: each direction is a queue whose next delivery is an open step.

The two ends of a channel are separate shared objects: a put touches the back, a take the front. A delivery is open only
when the channel has a parcel, so a put and a take depend on each other only when they handle the same parcel; each
parcel is a shared object, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.protocol.messages import Assign, CancelAttempt, Error, NodeResult, Registered, Reregister, ToNode
from voxpool.sim.explore.model.execution import Step
from voxpool.sim.explore.search.footprints import Footprints

if TYPE_CHECKING:
    from voxpool.sim.explore.model.model_worker import ModelWorker

Names = Callable[[str], str]
"""Returns the name of a job's request instead of its id, which depends on the order of submits."""


class Parcel(NamedTuple):
    """A message in transit, and the action of its delivery."""

    step: Step
    deliver: Callable[[], None]


class Channel:
    """One direction of one connection, first in first out."""

    def __init__(self, name: str, footprints: Footprints) -> None:
        self.parcels: deque[Parcel] = deque()
        self._name = name
        self._footprints = footprints
        self._sent: dict[str, int] = {}

    def put(self, label: str, chain: str, deliver: Callable[[], None]) -> None:
        """Send a message; `label` gets a number when an equal one was sent before."""
        self._footprints.write(f"{self._name} back")
        count = self._sent[label] = self._sent.get(label, 0) + 1
        if count > 1:
            label += f" ({count})"
        self._footprints.write(f"parcel {self._name}: {label}")
        self.parcels.append(Parcel(Step(label, chain), deliver))

    def take(self) -> Callable[[], None]:
        """Remove the next message, and return the function that delivers it."""
        self._footprints.write(f"{self._name} front")
        parcel = self.parcels.popleft()
        self._footprints.write(f"parcel {self._name}: {parcel.step.label}")
        return parcel.deliver


class Link:
    """The scheduler's NodeLink to a worker, and the reverse direction.

    Registered and Error are not delivered: they have no effect on the worker, so their deliveries would commute with
    every other step and only multiply the orders.
    """

    def __init__(
        self, worker: ModelWorker, name: str, footprints: Footprints, names: Names, assigned: Callable[..., None]
    ) -> None:
        self.name = name
        """The worker's name; later connections have a suffix."""
        self.node: Node | None = None
        """The scheduler's record of this connection."""
        self.down = Channel(f"to {name}", footprints)
        self.up = Channel(f"from {name}", footprints)
        self.is_open = True
        self._worker = worker
        self._footprints = footprints
        self._names = names
        self._assigned = assigned

    # ---- the scheduler's end: NodeLink

    def send(self, message: ToNode) -> None:
        """Send `message` to the worker."""
        if not self.can_be_read():
            return
        worker, to = self._worker, self.name
        if type(message) is Assign:
            name = self._names(message.job_id)
            self._assigned(self.node, message)
            attempt = f"{name}|{message.attempt}"
            self.down.put(
                f"deliver assign {attempt} to {to}", f"{attempt} to {to}", lambda: worker.assigned(message, name)
            )
        elif type(message) is CancelAttempt:
            attempt = f"{self._names(message.job_id)}|{message.attempt}"
            self.down.put(f"deliver cancel {attempt} to {to}", f"{attempt} to {to}", lambda: worker.cancelled(message))
        elif type(message) is Reregister:
            self.down.put(f"deliver reregister to {to}", f"to {to}", worker.register)
        else:
            assert type(message) in (Registered, Error), message

    def close(self, reason: str) -> None:
        """Close it from the scheduler's side: nothing more is sent or read. Only used for broken connections."""
        assert reason == "replaced", reason
        self.closed()

    async def probe(self) -> bool:
        """Not used: no explored execution has two processes with the same node id."""
        raise NotImplementedError

    def closed(self) -> None:
        """Handle a closed socket in the scheduler."""
        self._footprints.write(f"link {self.name}")
        self.is_open = False

    def can_be_read(self) -> bool:
        """Return whether the scheduler still has the connection open."""
        self._footprints.read(f"link {self.name}")
        return self.is_open


def result_label(result: NodeResult, names: Names, link: str) -> tuple[str, str]:
    """Return the label of the delivery of `result`, and its chain."""
    what = "busy" if result.busy else "result"
    attempt = f"{names(result.job_id)}|{result.attempt}"
    return f"deliver {what} {attempt} from {link}", f"{attempt} from {link}"
