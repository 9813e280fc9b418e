"""The rules of partial results, checked at the clients: who gets them, and that none comes after what replaces it."""

from __future__ import annotations

from voxpool.scheduler.protocol.messages import JobResult, Partial
from voxpool.sim.checkers import Checker
from voxpool.sim.wire.ledger import Asked, Ledger, output_of


def partial_of(job_id: str, audio: bytes, n: int) -> dict[str, object]:
    """Return a partial result of simulated work; it tells which job, audio and number it belongs to."""
    return {**output_of(job_id, audio), "n": n}


class PartialChecker(Checker):
    """Base of these checkers."""

    def __init__(self, world: object) -> None:
        super().__init__(world)  # type: ignore[arg-type]

    def result_received(self, result: JobResult) -> None:
        """A client has received the result of a job."""

    def partial_received(self, partial: Partial, asked: Asked) -> None:
        """The client of the request `asked` has received a partial result."""


class NoPartialFollowsTheResult(PartialChecker):
    """A result is the last that a client receives of a job."""

    sentence = "no partial result follows the result of its job"

    def __init__(self, world: object) -> None:
        super().__init__(world)
        self._ended: set[str] = set()

    def result_received(self, result: JobResult) -> None:
        self._ended.add(result.job_id)

    def partial_received(self, partial: Partial, asked: Asked) -> None:
        self.expect(partial.job_id not in self._ended, f"{partial} came after the result")


class PartialsOnlyAdvance(PartialChecker):
    """A newer attempt replaces an older one, a higher number a lower one, and nothing is repeated."""

    sentence = "no partial result follows a newer one of its job"

    def __init__(self, world: object) -> None:
        super().__init__(world)
        self._newest: dict[str, tuple[int, int]] = {}

    def partial_received(self, partial: Partial, asked: Asked) -> None:
        at, before = (partial.attempt, partial.n), self._newest.get(partial.job_id, (0, -1))
        self.expect(at > before, f"{partial.job_id}: the partial {at} came after {before}")
        self._newest[partial.job_id] = max(at, before)


class PartialsAreAskedFor(PartialChecker):
    """A client receives partial results of its own requests only, of those for which it wants them."""

    sentence = "every partial result was asked for and belongs to its request"

    def partial_received(self, partial: Partial, asked: Asked) -> None:
        self.expect(asked.partials > 0, f"{partial.request_id} did not ask for {partial}")
        of_it = partial_of(partial.job_id, asked.audio, partial.n)
        self.expect(partial.output == of_it, f"{partial.request_id}: {partial.output} in place of {of_it}")


class SessionMessages:
    """The messages about jobs that the clients' sessions receive, before the SDK has looked at them."""

    def __init__(self, world: object, ledger: Ledger) -> None:
        self.checkers = [kind(world) for kind in (NoPartialFollowsTheResult, PartialsOnlyAdvance, PartialsAreAskedFor)]
        self._asked = ledger.asked

    def received(self, message: JobResult | Partial) -> None:
        """Let the checkers see it."""
        for checker in self.checkers:
            if isinstance(message, JobResult):
                checker.result_received(message)
            else:
                checker.partial_received(message, self._asked[message.request_id])
