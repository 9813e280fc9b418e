"""A production execution as an Execution for the search: its open steps and their effects."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from voxpool.sim.explore.model.channels import Channel
from voxpool.sim.explore.model.ends import broken_in, end_of
from voxpool.sim.explore.model.execution import NOTHING, Footprint, MakeExecution, Step
from voxpool.sim.explore.model.flushes import Flush
from voxpool.sim.explore.model.production import Production, Stage
from voxpool.sim.explore.model.shape import Shape
from voxpool.sim.explore.model.timers import Timer
from voxpool.sim.explore.search.histories import State
from voxpool.sim.explore.search.watched import watch_core
from voxpool.sim.world.variant import Variant

STEPS_MAX = 100
"""An execution with more steps counts as endless."""
HOP = Step("hop", "loop")

Open = tuple[Step, Callable[[Any], None], Any]
"""An open step, and the call that takes it."""


def execution_of(shape: Shape) -> Callable[[Variant], MakeExecution]:
    """Return the function of a Flow that maps a variant to the maker of its executions."""

    def make(variant: Variant) -> MakeExecution:
        stage = Stage(shape, variant)
        return lambda: ProductionStory(stage)

    return make


class ProductionStory:
    """One run of production code. Turns of asyncio come first, except that `hops` arrivals may come between two."""

    def __init__(self, stage: Stage) -> None:
        self.production = Production(stage)
        self._loop = self.production.loop
        self._entered = self._loop.entered()
        self._entered.__enter__()
        self._footprints = stage.footprints
        self._is_recording = False
        self._steps = 0
        self._has_hops = stage.shape.hops > 0
        self._hops_left = stage.shape.hops
        self._lost_left = stage.shape.lost_answers
        self._timeouts_left = stage.shape.timeouts
        self._is_timer_under_way = False
        self._forced = 0

    # ---- Execution

    def open_steps(self) -> Sequence[Step]:
        """Return the open steps, oldest first and faults last. Footprints are recorded from the first call on."""
        if not self._is_recording:
            self._is_recording = True
            watch_core(self.production, self._footprints)
        return [step for step, _, _ in self._open()]

    def take(self, step: Step) -> Footprint:
        """Take `step`, and run the turns of the loop after it."""
        action, argument = self._find(step)
        self._footprints.begin()
        self._steps += 1
        action(argument)
        self._hop_on()
        return self._footprints.taken() if self._is_recording else NOTHING

    def end(self) -> Hashable:
        """Return the end of each job, and leftover state."""
        return end_of(self.production, self._forced)

    def broken(self) -> list[str]:
        """Return the violations."""
        broken = broken_in(self.production, self._forced)
        if self._steps >= STEPS_MAX:
            broken.insert(0, f"every execution ends: not after {STEPS_MAX} steps")
        return broken

    def close(self) -> None:
        """End the run."""
        self._entered.__exit__(None, None, None)
        self.production.close()
        self._footprints.forget()

    # ---- open steps

    def _find(self, step: Step) -> tuple[Callable[[Any], None], Any]:
        for open_step, action, argument in self._open():
            if open_step == step:
                return action, argument
        raise ValueError(f"{step.label!r} is not open")

    def _open(self) -> Iterator[Open]:
        if self._steps >= STEPS_MAX:
            return
        is_idle = True
        for one in self._open_now():
            is_idle = False
            yield one
        faults = self.production.faults
        timer = self._timer(is_idle and not faults)
        if timer is not None:
            yield timer.step, self._fire, timer
        if self._lost_left:
            for flush in self.production.flushes.under_way:
                if flush.reply is not None:
                    yield Step(f"fault lose {flush.reply.label}", "fault of the store"), self._lose, flush
        for step in faults:
            yield step, self._strike, step

    def _open_now(self) -> Iterator[Open]:
        """Yield the open steps without timers of the scheduler and faults."""
        production = self.production
        if self._loop._ready:
            yield HOP, self._hop, None
        flushes = production.flushes
        for flush in flushes.under_way:
            if flush.reply is not None:
                yield flush.reply, self._reply, flush
            else:
                for step, state in flushes.commits(flush):
                    yield step, self._commit, (flush, step, state)
        for worker in production.workers.values():
            for link in worker.links:
                if link.up.parcels:
                    yield link.up.parcels[0].step, self._arrive, link.up
            if worker.is_up:
                down = worker.link.down
                if down.parcels:
                    yield down.parcels[0].step, _deliver, down
                for job_id, (_, step) in worker.running.items():
                    yield step, worker.worked, job_id
        for step in production.clients:
            yield step, self._client, step

    def _timer(self, is_idle: bool) -> Timer | None:
        """Return the scheduler's earliest timer, if its budget allows, or if jobs are open and no step is."""
        if self._is_timer_under_way:
            return None
        timer = self.production.timers.earliest()
        if timer is None or timer.kind in ("rest", "repeat") or (timer.kind == "dispatch" and self._timeouts_left):
            return timer
        return timer if is_idle and self.production.core.table.unfinished else None

    # ---- actions

    def _act(self, action: Callable[..., object], *args: object) -> None:
        """Deliver an action to the scheduler: at once when its loop is idle, else after the ready callbacks."""
        self._touch_loop()
        if self._loop._ready:
            self._hops_left -= 1
            self._loop.call_soon(action, *args)
        else:
            action(*args)

    def _hop_on(self) -> None:
        """Run the loop; it stops before each turn while an arrival may still come between two."""
        loop = self._loop
        while loop._ready and not self._hops_left:
            loop._turn()
        if loop._at_end or loop._failures:
            loop._look_at_raised()

    def _touch_loop(self) -> None:
        if self._has_hops:
            self._footprints.write("loop")

    def _hop(self, _: None) -> None:
        self._touch_loop()
        self._loop._turn()

    def _reply(self, flush: Flush) -> None:
        self._touch_loop()
        if self._loop._ready:
            self._hops_left -= 1
        self.production.flushes.reply(flush)

    def _lose(self, flush: Flush) -> None:
        self._touch_loop()
        self._footprints.write("timers")
        self._lost_left -= 1
        if self._loop._ready:
            self._hops_left -= 1
        self.production.flushes.lose(flush)

    def _commit(self, what: tuple[Flush, Step, State]) -> None:
        self.production.flushes.commit(*what)

    def _arrive(self, channel: Channel) -> None:
        self._act(channel.take())

    def _client(self, step: Step) -> None:
        self._footprints.write(step.label)
        self._act(self.production.clients.pop(step))

    def _strike(self, step: Step) -> None:
        self._footprints.write(step.label)
        self.production.faults.pop(step)()

    def _fire(self, timer: Timer) -> None:
        self._footprints.write("timers")
        self.production.timers.earliest()  # records its reads
        if timer.kind == "dispatch" and self._timeouts_left:
            self._timeouts_left -= 1
        elif timer.kind not in ("rest", "repeat"):
            self._forced += 1
        self._is_timer_under_way = True
        self._act(self._fired, timer)

    def _fired(self, timer: Timer) -> None:
        self._is_timer_under_way = False
        self.production.timers.fire(timer)


def _deliver(channel: Channel) -> None:
    channel.take()()
