"""The connection to the store in an explored execution: the commit of a flush and its reply are two steps.

A commit whose select can choose several nodes is one open step for each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.sim.explore.model.channels import Names
from voxpool.sim.explore.model.execution import Step
from voxpool.sim.explore.search.footprints import Footprints
from voxpool.sim.explore.search.histories import FIRST_WANT, FIXED, Answers, Histories, State

STORE = "store"


class Flush:
    """Calls in transit to the store, or their answers in transit back."""

    __slots__ = ("answers", "before", "calls", "commits", "future", "key", "reply")

    def __init__(self, calls: Sequence[ScriptCall], future: asyncio.Future[Answers]) -> None:
        self.calls = calls
        self.key = "flush of " + " ".join(word for call in calls for word in (call.name, *call.args))
        self.future = future
        self.answers: Answers | None = None
        """None before the commit."""
        self.reply: Step | None = None
        self.before: State | None = None
        self.commits: list[tuple[Step, State]] | None = None
        """The steps that commit it in the state `before`, once asked for."""


class Flushes:
    """The ScriptRunner of an explored execution."""

    restarts = 0

    def __init__(
        self, loop: asyncio.AbstractEventLoop, histories: Histories, footprints: Footprints, names: Names
    ) -> None:
        self.state = histories.root
        """The current state of the store."""
        self.under_way: list[Flush] = []
        self.allocated: dict[str, str] = {}
        """job|attempt -> the generation that the store allocated it to: for the checks only."""
        self._loop = loop
        self._histories = histories
        self._footprints = footprints
        self._names = names

    async def run(self, calls: Sequence[ScriptCall]) -> Answers:
        """Send `calls`; returns after both steps were taken (ScriptRunner)."""
        flush = Flush(calls, self._loop.create_future())
        self._footprints.write(flush.key)
        self.under_way.append(flush)
        return await flush.future

    def commits(self, flush: Flush) -> list[tuple[Step, State]]:
        """Return the steps that commit `flush`, each with the resulting state."""
        if flush.commits is None or flush.before is not self.state:
            flush.before = self.state
            states = self._histories.commit(self.state, flush.calls)
            flush.commits = [(Step(self._label(flush.calls, state.answers), STORE), state) for state in states]
        return flush.commits

    def _label(self, calls: Sequence[ScriptCall], answers: Answers) -> str:
        return "commit " + ", ".join(
            _answer_label(call, answer, self._names) for call, answer in zip(calls, answers, strict=True)
        )

    def commit(self, flush: Flush, step: Step, state: State) -> None:
        """Execute `flush` in the store, with the outcome `state`."""
        self._footprints.write(STORE)
        self._footprints.write(flush.key)
        self.state = state
        flush.answers = state.answers
        for call, answer in zip(flush.calls, state.answers, strict=True):
            if call.name == "select_node":
                self.allocated.update(_allocated(call.args, answer))
        flush.reply = Step("reply " + step.label.removeprefix("commit "), STORE)

    def reply(self, flush: Flush) -> None:
        """Deliver the answers of `flush`."""
        self._footprints.write(flush.key)
        assert flush.answers is not None
        self.under_way.remove(flush)
        flush.future.set_result(flush.answers)

    def lose(self, flush: Flush) -> None:
        """Lose the answers of the executed `flush`."""
        self._footprints.write(flush.key)
        self.under_way.remove(flush)
        flush.future.set_exception(StoreUnavailable("the answer got lost"))


def _answer_label(call: ScriptCall, answer: Sequence[str], names: Names) -> str:
    name, args, _ = call
    if name == "select_node":
        return _selected(args, answer, names)
    if name == "release_job":
        return "release " + " ".join(_reservation(reservation, names) for reservation in args)
    if name == "register_node":
        return f"register {args[2]}"
    if name == "node_offline":
        return f"offline {args[0]}"
    if name == "drain_node":
        return f"{'rest' if args[3] == '1' else 'wake'} {args[0]}"
    if name == "draw":
        return f"draw {_reservation(args[2], names)} -> {answer[0] or 'nobody'}"
    if name == "assign":
        return f"assign {_reservation(args[1], names)} to {args[0]}"
    return f"{name} {args[0]}"


def _selected(args: Sequence[str], answer: Sequence[str], names: Names) -> str:
    picks, at = [], FIRST_WANT
    for node_id, word in zip(answer[::2], answer[1::2], strict=True):
        picks.append(f"{_reservation(args[at], names)} -> {node_id or word or 'nobody'}")
        at += FIXED + int(args[at + 4])
    return "select " + ", ".join(picks)


def _allocated(args: Sequence[str], answer: Sequence[str]) -> Iterator[tuple[str, str]]:
    at = FIRST_WANT
    for generation in answer[1::2]:
        yield args[at], generation
        at += FIXED + int(args[at + 4])


def _reservation(reservation: str, names: Names) -> str:
    job_id, _, attempt = reservation.partition("|")
    return f"{names(job_id)}|{attempt}"
