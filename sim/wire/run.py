"""Plays one seed of the whole stack under drawn faults, and shrinks a failing seed to few faults and jobs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from voxpool.sim.chance.seeds import plain_random
from voxpool.sim.virtual_time.stopwatch import Stopwatch
from voxpool.sim.wire.faults import Cast, Strike, draw_strikes, strike
from voxpool.sim.wire.world import WireWorld

SETTINGS = {
    "waiting_timeout_s": 600.0,
    "no_node_grace_s": 600.0,
    "attempts_max": 20,
    "dispatch_timeout_s": 60.0,
    "retention_s": 60.0,
    "store": "memory",
}
"""Time-outs that no fault reaches, so that every job has to complete."""
FAULTS = 8
NODES = 3
CLIENTS = 4
HTTP_CLIENT = 3
"""The number of the client that speaks HTTP; the others use the SDK, number 1 with its results in order."""
SEEDS_A_TOKEN_FILE = 3
"""Each third seed runs with tokens."""
JOBS = 20
AUDIO_BYTES = (4_000, 300_000, 1_200_000)


class WireRun(NamedTuple):
    """What came of one seed. `broken` is empty when all is well."""

    seed: int
    broken: list[str]
    trace_hash: str
    events: int
    requests: int
    virtual_s: float
    wall_s: float


def play_wire(
    seed: int, strikes: Sequence[Strike] | None = None, jobs: int = JOBS, nodes: int = NODES, clients: int = CLIENTS
) -> WireRun:
    """Play `seed`: `clients` clients with `jobs` requests each, under `strikes` or the faults of the seed."""
    with TemporaryDirectory(prefix="voxpool-wire-") as folder:
        token_file = Path(folder, "tokens.toml") if seed % SEEDS_A_TOKEN_FILE == 0 else None
        world = WireWorld(seed=seed, settings=SETTINGS, token_file=token_file)
        return _run(world, draw_strikes(seed, FAULTS) if strikes is None else strikes, jobs, nodes, clients)


def _run(world: WireWorld, strikes: Sequence[Strike], jobs: int, nodes: int, clients: int) -> WireRun:
    watch = Stopwatch()
    broken = world.ledger.broken
    try:
        _play(world, strikes, jobs, nodes, clients)
    except Exception as error:
        lines = traceback.format_exception(error.__cause__ or error)
        broken.append(f"crashed: {error!r} {''.join(lines)[-1500:]}")
    finally:
        world.stop()
    return WireRun(
        world.seed,
        broken,
        world.trace.hexdigest(),
        world.trace.events,
        len(world.ledger.asked),
        world.env.now,
        watch.seconds(),
    )


def _play(world: WireWorld, strikes: Sequence[Strike], jobs: int, nodes: int, clients: int) -> None:
    random = plain_random(world.seed, "work")
    slow_share = random.choice([0.0, 0.03, 0.03, 0.2])
    world.network.cuts_reads = True

    def work_s() -> float:
        return random.uniform(8, 15) if random.random() < slow_share else random.uniform(0.02, 0.4)

    def start_node(name: str) -> None:
        if name not in world.network.processes or not world.process(name).is_alive:
            world.start_node(name, work_s, slots=2)

    def start_client(name: str) -> None:
        number = int(name.removeprefix("client-"))
        size = AUDIO_BYTES[(world.seed + number) % 3] if number == 2 else AUDIO_BYTES[0]
        if number == HTTP_CLIENT:
            world.start_http_client(name, jobs)
            return
        world.start_client(name, jobs, lambda: random.expovariate(4), size, in_order=number == 1)

    cast = Cast(
        [f"node-{number}" for number in range(nodes)],
        [f"client-{number}" for number in range(clients)],
        start_node,
        start_client,
    )
    world.start_scheduler()
    world.run(0.2)
    for name in cast.nodes:
        start_node(name)
    for name in cast.clients:
        start_client(name)
    for fault in strikes:
        if fault.at_s > world.env.now:
            world.run(fault.at_s - world.env.now)
        strike(world, cast, fault)
    world.run(max(0.0, 1.0 - world.env.now))
    world.come_to_rest()
    world.ledger.broken += world.broken_checkers()


def shrink(seed: int) -> tuple[list[Strike], int, int]:
    """Return the fewest faults and jobs a client with which `seed` still breaks something, and the runs it took."""
    strikes, jobs, runs = draw_strikes(seed, FAULTS), JOBS, 0

    def breaks(strikes: list[Strike], jobs: int) -> bool:
        nonlocal runs
        runs += 1
        return bool(play_wire(seed, strikes, jobs).broken)

    size = max(1, len(strikes) // 2)
    while size:
        start = 0
        while start < len(strikes):
            fewer = strikes[:start] + strikes[start + size :]
            if breaks(fewer, jobs):
                strikes = fewer
            else:
                start += size
        size //= 2
    while jobs > 1 and breaks(strikes, jobs // 2):
        jobs //= 2
    return strikes, jobs, runs


def main() -> None:
    """Print a line for each seed of FIRST LAST."""
    first, last = map(int, sys.argv[1:3])
    for seed in range(first, last + 1):
        run = play_wire(seed)
        print(
            f"{seed} {run.trace_hash[:12]} {run.wall_s:.2f} s, {run.virtual_s:.0f} virtual s, {run.requests} requests",
            *(text.replace("\n", " | ")[:400] for text in run.broken[:3]),
            flush=True,
        )


if __name__ == "__main__":
    main()
