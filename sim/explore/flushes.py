"""The way to the store in an explored story: the commit of a flush and its reply are two steps.

A commit whose select may pick one of several nodes is one open step for each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from scheduler.scripts import ScriptCall
from sim.explore.channels import Names
from sim.explore.footprints import Footprints
from sim.explore.histories import FIRST_WANT, FIXED, Answers, Histories, State
from sim.explore.story import Step

STORE = "store"


class Flush:
    """Calls on their way to the store and their answers on their way back."""

    __slots__ = ("answers", "calls", "future", "reply")

    def __init__(self, calls: Sequence[ScriptCall], future: asyncio.Future[Answers]) -> None:
        self.calls = calls
        self.future = future
        self.answers: Answers | None = None
        """None before the commit."""
        self.reply: Step | None = None


class Flushes:
    """The ScriptRunner of an explored story."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, histories: Histories, footprints: Footprints, names: Names
    ) -> None:
        self.on_restart: Callable[[], None] | None = None
        self.state = histories.root
        """Of the store, now."""
        self.under_way: list[Flush] = []
        self._loop = loop
        self._histories = histories
        self._footprints = footprints
        self._names = names

    async def run(self, calls: Sequence[ScriptCall]) -> Answers:
        """Put `calls` on their way; they come back when both steps were taken (ScriptRunner)."""
        self._footprints.write("flush")
        flush = Flush(calls, self._loop.create_future())
        self.under_way.append(flush)
        return await flush.future

    def commits(self, flush: Flush) -> list[tuple[Step, State]]:
        """Return the steps that commit `flush`, each with what it leads to."""
        names = self._names
        parts = [_told(call, names) for call in flush.calls if call.name != "select_node"]
        steps = []
        for state in self._histories.commit(self.state, flush.calls):
            told = list(parts)
            for call, answer in zip(flush.calls, state.answers, strict=True):
                if call.name == "select_node":
                    told.append(_selected(call.args, answer, names))
            steps.append((Step("commit " + ", ".join(told), STORE), state))
        return steps

    def commit(self, flush: Flush, step: Step, state: State) -> None:
        """Let the store carry out `flush`, with this outcome."""
        self._footprints.write(STORE)
        self._footprints.write("flush")
        self.state = state
        flush.answers = state.answers
        flush.reply = Step("reply " + step.label.removeprefix("commit "), STORE)

    def reply(self, flush: Flush) -> None:
        """Let the answers of `flush` arrive."""
        self._footprints.write("flush")
        assert flush.answers is not None
        self.under_way.remove(flush)
        flush.future.set_result(flush.answers)


def _told(call: ScriptCall, names: Names) -> str:
    if call.name == "release_job":
        return "release " + " ".join(_hold(hold, names) for hold in call.args)
    if call.name == "register_node":
        return f"register {call.args[2]}"
    if call.name in ("node_offline", "drain_node"):
        what = call.name.removeprefix("node_").removesuffix("_node")
        return " ".join((what, call.args[0], *call.args[2:])).strip()
    return call.name


def _selected(args: Sequence[str], answer: Sequence[str], names: Names) -> str:
    picks, at = [], FIRST_WANT
    for node_id, word in zip(answer[::2], answer[1::2], strict=True):
        picks.append(f"{_hold(args[at], names)} -> {node_id or word or 'nobody'}")
        at += FIXED + int(args[at + 4])
    return "select " + ", ".join(picks)


def _hold(hold: str, names: Names) -> str:
    job_id, _, attempt = hold.partition("|")
    return f"{names(job_id)}|{attempt}"
