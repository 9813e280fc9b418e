"""Faults of the store and its link. Each replaces `run` of the seam while it lasts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.sim.faults.kind import FaultKind, Target, divert, restore
from voxpool.sim.world.stores import StoreSeam

SLOW_S = (0.1, 1.0)
"""Extra delay of a slow store, each way."""
CUT_S = 0.01
"""Time until a lost answer is noticed."""

Answers = list[list[str]]


def _slow(seam: StoreSeam, random: random.Random) -> None:
    async def run(calls: Sequence[ScriptCall]) -> Answers:
        await asyncio.sleep(random.uniform(*SLOW_S))
        answers = await StoreSeam.run(seam, calls)
        await asyncio.sleep(random.uniform(*SLOW_S))
        seam.mark()
        return answers

    divert(seam, run=run)


def _go_down(seam: StoreSeam, random: random.Random) -> None:
    async def run(calls: Sequence[ScriptCall]) -> Answers:
        raise StoreUnavailable("the store is down")

    seam.cut()
    divert(seam, run=run)


def _empty(seam: StoreSeam, random: random.Random) -> None:
    _go_down(seam, random)
    seam.empty()


def _lose_answers(seam: StoreSeam, random: random.Random) -> None:
    async def run(calls: Sequence[ScriptCall]) -> Answers:
        await StoreSeam.run(seam, calls)
        await asyncio.sleep(CUT_S)
        raise StoreUnavailable("the answer was lost")

    divert(seam, run=run)


def _cut_flushes(seam: StoreSeam, random: random.Random) -> None:
    async def run(calls: Sequence[ScriptCall]) -> Answers:
        carried_out = calls[: int(random.random() * (len(calls) + 1))]
        if carried_out:
            await StoreSeam.run(seam, carried_out)
        await asyncio.sleep(CUT_S)
        raise StoreUnavailable("the connection broke in the middle")

    divert(seam, run=run)


def _lose_scripts(seam: StoreSeam, random: random.Random) -> None:
    seam.lose_scripts()


def _mend(seam: StoreSeam, state: object) -> None:
    restore(seam, "run")


def _store_fault(what: str, begin: object, heal: object = _mend) -> FaultKind:
    return FaultKind(what, Target.STORE, begin, heal)  # type: ignore[arg-type]


STORE_FAULTS: dict[str, FaultKind] = {
    "store_slow": _store_fault(f"each way takes {SLOW_S[0]:g} to {SLOW_S[1]:g} s longer", _slow),
    "store_down": _store_fault("it does not answer; calls and answers in transit are lost", _go_down),
    "store_emptied": _store_fault("it goes down and comes back without data or scripts", _empty),
    "store_answer_lost": _store_fault("it executes every call, and each answer is lost", _lose_answers),
    "store_cut": _store_fault("each flush breaks in the middle: a part is executed, no answer arrives", _cut_flushes),
    "store_noscript": FaultKind("it forgets its scripts (NOSCRIPT) and keeps its data", Target.STORE, _lose_scripts),
}
