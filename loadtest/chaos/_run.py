"""One chaos run: start, break, heal, wait for the last answer, look at what is left, judge."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

from voxpool.loadtest.chaos._entries import Ended, now_s, read_entries
from voxpool.loadtest.chaos._faults import KINDS, Planned, planned
from voxpool.loadtest.chaos._judge import Done, Found, judge
from voxpool.loadtest.chaos._site import Site
from voxpool.loadtest.chaos._sizes import GRACE_S, NODE_LEASE_S, RETENTION_S, SCHEDULER_LEASE_S, Sizes
from voxpool.loadtest.running._preflight import CannotLoad

WARM_S = 30.0
FORGOTTEN_S = GRACE_S + RETENTION_S + NODE_LEASE_S + 2 * SCHEDULER_LEASE_S + 10.0
"""The time in which a store has forgotten all sessions, jobs and nodes."""
LOOK_S = 0.2
STOP_S = 15.0


@dataclass
class Outcome:
    """What a run has found; `left` are the keys without an owner."""

    sizes: Sizes
    found: Found
    faults: list[Done]
    began_s: float
    ended_s: float
    left: Counter[str]
    expiring: int
    """Keys that only their time to live removes, at the end."""
    left_out: Counter[str]
    """Planned faults that found nothing to break: kind -> number."""
    ends: dict[str, list[int]]
    """Processes that ended otherwise than they should: name -> exit codes."""
    errors: list[str]
    """Log lines of schedulers at the level error, and tracebacks."""
    complaints: list[str]
    """What makes the run itself doubtful."""
    lives: int
    """Lives of schedulers."""


async def run(sizes: Sizes, folder: Path, tick: Callable[[], None] = lambda: None) -> Outcome:
    """Run it in the empty `folder`; `tick` is called each second. Raises CannotLoad."""
    async with contextlib.AsyncExitStack() as stack:
        site = Site(folder, sizes)
        await site.start(stack)
        site.start_clients()
        await site.wait_until(lambda: _has_ended(site), WARM_S, "no job ends")
        began_s = now_s()
        left_out = await _break(site, planned(sizes), tick)
        await _drain(site)
        ended_s = now_s()
        ends = await _stop_nodes(site)
        left = await _left(site)
        expiring = await asyncio.to_thread(site.store.expiring)
        for scheduler in site.schedulers:
            await scheduler.stop()
            if any(scheduler.ends):
                ends[scheduler.name] = [code or 0 for code in scheduler.ends]
        found = judge(read_entries(site.ledger), site.done, site.connected)
        errors = site.errors()
        lives = sum(scheduler.lives for scheduler in site.schedulers)
        return Outcome(
            sizes, found, site.done, began_s, ended_s, left, expiring, left_out, ends, errors, site.complaints, lives
        )


async def _break(site: Site, faults: list[Planned], tick: Callable[[], None]) -> Counter[str]:
    """Begin each fault at its time; return when the last one is healed, with those that found nothing to break."""
    left_out: Counter[str] = Counter()

    async def one(fault: Planned) -> None:
        try:
            if not await KINDS[fault.kind].act(site, random.Random(fault.seed)):
                left_out[fault.kind] += 1
        except (OSError, redis.RedisError, CannotLoad) as error:
            site.complaints.append(f"{fault.kind}: {type(error).__name__}: {error}")

    async def ticks() -> None:
        while True:
            await asyncio.sleep(1)
            tick()

    began_s = time.monotonic()
    ticking = asyncio.create_task(ticks())
    try:
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, began_s + fault.at_s - time.monotonic()))
                group.create_task(one(fault))
            await asyncio.sleep(max(0.0, began_s + site.sizes.duration_s - time.monotonic()))
    finally:
        ticking.cancel()
    return left_out


def _has_ended(site: Site) -> bool:
    return any(isinstance(entry, Ended) for entry in read_entries(site.ledger))


async def _drain(site: Site) -> None:
    """Let the clients wait for their last answers."""
    site.clients.send_signal(signal.SIGTERM)
    with contextlib.suppress(CannotLoad):  # what has no answer is lost: the ledger shows it
        await site.wait_until(lambda: not site.clients.runs, site.sizes.drain_s, "")
    site.clients.kill()


async def _stop_nodes(site: Site) -> dict[str, list[int]]:
    """Stop the nodes; return the exit codes of those that had ended before, and of the clients."""
    ends = {node.name: [node.process.exit_code or 0] for node in site.nodes if not node.process.runs}
    if site.clients.exit_code and site.clients.exit_code != -signal.SIGKILL:
        ends["clients"] = [site.clients.exit_code]
    running = [node.process for node in site.nodes if node.process.runs]
    await asyncio.gather(*(asyncio.to_thread(process.stop, STOP_S) for process in running))
    return ends


async def _left(site: Site) -> Counter[str]:
    """Return the keys without an owner, once there are none or the time to forget is over."""
    until_s = time.monotonic() + FORGOTTEN_S
    while True:
        left = await asyncio.to_thread(_look, site)
        if not left or time.monotonic() > until_s:
            return left
        await asyncio.sleep(1)


def _look(site: Site) -> Counter[str]:
    left = site.store.left()
    dead = site.store.members() - len(site.schedulers)
    if dead > 0:
        left["schedulers that are gone"] = dead
    return left
