"""What a job costs when several schedulers share jobs in Redis: processor time of the server and of the schedulers.

The server: production's calls in batches, on the machine's redis-server, by its own counters. The schedulers: `voxpool
serve` with jobs in memory, with jobs in Redis, and two of them with the client at one and the node at the other.
Run alone: python -m bench.shared_jobs [FILE], which also writes the costs for `voxpool-sim capacity` and `instances`.
"""

from __future__ import annotations

import asyncio
import datetime
import platform
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench._rows import Row, print_rows
from bench.round_trips import QUIET, cpu_s, free_port, process, scheduler, through_scheduler, until_listening
from voxpool.scheduler.config import FAIR, SUBMIT
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.shared.partition import audio_calls, calls
from voxpool.scheduler.stores.cluster.job_stores import JobStores, PartitionStore
from voxpool.scheduler.stores.embedded import EmbeddedStore
from voxpool.sim.experiments.servers import system_redis
from voxpool.sim.instances.costs import BATCHES, SharedCosts

JOBS = 4096
KEPT_WAITING, KEYS = 2_000, 100
"""Jobs of each batch size."""
ROUNDS = 4
"""The least of them counts: other work on the machine only adds to it."""
SECONDS = 1.0
P50_MORE_MS = (0.0, 0.4, 0.8)
"""What a job may take longer than with jobs in memory: there, with its node at its own scheduler, and elsewhere."""
AUDIO = bytes(10_000)
AUDIO_S = 600
OUTCOME = "a text of forty characters, as a result."
BOUNDS = calls.Bounds(10**6, 10**12, 10**6)
NOW_MS, WAITING_MS = 1_000_000, 60_000
PAIR = "en:fr"
CLIENT, OTHER = "s1", "s2"


def run(seconds: float = SECONDS) -> list[Row]:
    """Measure, and return the rows."""
    return rows_of(measure(seconds))


def rows_of(costs: SharedCosts) -> list[Row]:
    """Return the rows of the table."""
    rows = []
    for what, by_batch, goal in (("own", costs.own_us, "<= 20"), ("elsewhere", costs.elsewhere_us, "<= 40")):
        rows += [
            Row(
                "shared_jobs",
                f"CPU of Redis a job, node {what}, {batch} a flush",
                us,
                "us",
                goal if batch == "16" else "",
            )
            for batch, us in by_batch.items()
        ]
    rows += [
        Row("shared_jobs", "the same for 10 kB of audio more, node own, 16 a flush", costs.audio_own_us, "us", "<= 15"),
        Row("shared_jobs", "the same, node elsewhere", costs.audio_elsewhere_us, "us", "<= 15"),
        Row(
            "shared_jobs",
            f"CPU of Redis a job, order fair, {KEYS} keys wait, node elsewhere",
            costs.fair_us,
            "us",
            "<= 50",
        ),
        Row("shared_jobs", "memory of Redis a finished job", costs.record_bytes, "bytes"),
        Row("shared_jobs", "CPU of the scheduler a job, jobs in memory", costs.memory_us, "us"),
        Row("shared_jobs", "CPU of the scheduler a job, jobs in Redis, node own", costs.scheduler_us, "us"),
        Row("shared_jobs", "CPU of both schedulers a job, node elsewhere", costs.both_us, "us"),
    ]
    memory_ms = costs.p50_ms["memory"]
    rows += [
        Row("shared_jobs", f"p50 at one in flight, {where}", p50_ms, "ms", f"<= {memory_ms + more_ms:.2f}")
        for (where, p50_ms), more_ms in zip(costs.p50_ms.items(), P50_MORE_MS, strict=True)
    ]
    return rows


def measure(seconds: float) -> SharedCosts:
    """Return the costs of this machine."""
    with asyncio.Runner() as runner:
        server = EmbeddedStore(binary=system_redis())
        runner.run(server.start())
        try:
            own = {str(n): runner.run(_server_us(server.url, n, own=True)) for n in BATCHES}
            elsewhere = {str(n): runner.run(_server_us(server.url, n, own=False)) for n in BATCHES}
            fair_us = runner.run(_server_us(server.url, 16, own=False, keys=KEYS))
            audio_own = runner.run(_server_us(server.url, 16, own=True, audio=AUDIO))
            audio_elsewhere = runner.run(_server_us(server.url, 16, own=False, audio=AUDIO))
            record_bytes = runner.run(_record_bytes(server.url))
            redis = runner.run(_info(server.url, "server"))["redis_version"]
            flags = ("--jobs", "redis", *QUIET)
            with scheduler("memory", *QUIET) as memory:
                memory_us, _ = _scheduler_us(memory[0], [memory[1]], seconds)
            with scheduler("embedded", *QUIET) as embedded:
                _, memory_ms = _scheduler_us(embedded[0], [embedded[1]], seconds)
            with scheduler(server.url, *flags) as (port, pid):
                runner.run(_flush(server.url))
                scheduler_us, own_ms = _scheduler_us(port, [pid], seconds)
                with _without_node(server.url, *flags) as (other_port, other_pid):
                    both_us, elsewhere_ms = _scheduler_us(other_port, [pid, other_pid], seconds)
        finally:
            runner.run(server.close())
    today = datetime.datetime.now(datetime.UTC).date()
    machine = (
        f"{platform.processor() or platform.machine()}, Redis {redis}, Python {platform.python_version()}, {today}"
    )
    audio = audio_own - own["16"], audio_elsewhere - elsewhere["16"]
    p50_ms = {"memory": memory_ms, "own": own_ms, "elsewhere": elsewhere_ms}
    return SharedCosts(machine, own, elsewhere, *audio, record_bytes, memory_us, scheduler_us, both_us, fair_us, p50_ms)


# ---- the server


async def _server_us(url: str, batch: int, own: bool, audio: bytes = b"", keys: int = 0) -> float:
    """Return the server's processor time a job: the least of the rounds.

    With `keys` the order is fair, and KEPT_WAITING jobs of that many keys wait all the time.
    """
    stores = JobStores(url, 1)
    try:
        await stores.ping()
        (partition,) = stores.partitions
        found = []
        for number in range(ROUNDS):
            jobs = max(batch, min(JOBS, 512 * batch))
            names = [f"0.{number:02}{batch:04}{at:012}" for at in range(jobs)]
            for at in range(0, KEPT_WAITING if keys else 0, 50):
                kept = [_submit(f"0.w{number:02}{each:06}", False, b"", each % keys) for each in range(at, at + 50)]
                await partition.run([calls.submit(CLIENT, NOW_MS, 0, WAITING_MS, BOUNDS, kept)])
            before_s = await _cpu_s(url)
            for at in range(0, jobs, batch):
                await _life(partition, names[at : at + batch], own, audio, keys)
            found.append(1e6 * (await _cpu_s(url) - before_s) / jobs)
            await _flush(url)
        return min(found)
    finally:
        await stores.close()


def _submit(name: str, own: bool, audio: bytes, key: int | None) -> calls.Submit:
    turn = "" if key is None else calls.turn_of(3, f"key{key}", weight=1)
    return calls.Submit(name, PAIR, own, 0, 3, len(audio), "content", "", name, turn)


async def _life(partition: PartitionStore, names: list[str], own: bool, audio: bytes, keys_waiting: int) -> None:
    """Let the jobs `names` come, run and end, as the feeds of one or two schedulers do in batches."""
    keys = [audio_calls.audio_key(0, name) for name in names] if audio else []
    jobs = [_submit(name, own, audio, at % keys_waiting if keys_waiting else None) for at, name in enumerate(names)]
    entered = calls.submit(CLIENT, NOW_MS, 0, WAITING_MS, BOUNDS, jobs)
    runs = CLIENT if own else OTHER
    (*_, answer) = await partition.run([*(audio_calls.keep_audio(key, audio, AUDIO_S) for key in keys), entered])
    attempts = [int(each) for each in answer[1::2]] if own else []
    if not own:
        (taken,) = await partition.run(
            [calls.take(OTHER, NOW_MS, 0, [(PAIR, len(names), False)], FAIR if keys_waiting else SUBMIT)]
        )
        rows = calls.taken_of(taken)
        names, attempts = [row.job_id for row in rows], [row.attempt for row in rows]
        if keys:
            await partition.run([audio_calls.read_audio(keys)])
    ends = [(name, attempt, "c", OUTCOME) for name, attempt in zip(names, attempts, strict=True)]
    after: list[ScriptCall] = [audio_calls.drop_audio(keys)] if keys else []
    (answer, *_) = await partition.run([calls.finish(runs, NOW_MS, ends), *after])
    assert set(answer[::2]) == {calls.Said.OK}, answer[:4]
    if not own:
        ((_, *texts),) = await partition.run([calls.mail(CLIENT, "", len(names))])
        if texts:
            await partition.run([calls.mail(CLIENT, calls.mail_of(texts[-1]).number, 1)])


async def _record_bytes(url: str) -> float:
    """Return the memory of a finished job."""
    stores = JobStores(url, 1)
    try:
        before = float((await _info(url, "memory"))["used_memory"])
        for at in range(0, JOBS, 256):
            await _life(stores.partitions[0], [f"0.{number:018}" for number in range(at, at + 256)], True, b"", 0)
        return (float((await _info(url, "memory"))["used_memory"]) - before) / JOBS
    finally:
        await stores.close()
        await _flush(url)


async def _cpu_s(url: str) -> float:
    found = await _info(url, "cpu")
    return float(found["used_cpu_user_main_thread"]) + float(found["used_cpu_sys_main_thread"])


async def _info(url: str, section: str) -> dict[str, Any]:
    found: dict[str, Any] = await _with_client(url, lambda client: client.info(section))
    return found


async def _flush(url: str) -> None:
    await _with_client(url, lambda client: client.flushall())


async def _with_client(url: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    try:
        return await ask(client)
    finally:
        await client.aclose()


# ---- the schedulers


def _scheduler_us(port: int, pids: list[int], seconds: float) -> tuple[float, float]:
    """Return the processor time of all `pids` a job, and its median time at one in flight: the least of the rounds."""
    found, p50_ms = [], []
    for _ in range(ROUNDS):
        before = [cpu_s(pid) for pid in pids[:-1]]
        ended = uvloop.run(through_scheduler(port, pids[-1], seconds))
        figures, own_us = ended
        jobs = sum(each.per_s * seconds for each in figures.values())
        found.append(own_us + sum(1e6 * (cpu_s(pid) - at) / jobs for pid, at in zip(pids, before, strict=False)))
        p50_ms.append(figures[1].p50_ms)
    return min(found), min(p50_ms)


@contextmanager
def _without_node(store: str, *flags: str) -> Iterator[tuple[int, int]]:
    """Run a scheduler without a node of its own; yield its port and process id."""
    port = free_port()
    with process("voxpool.scheduler", "serve", "--port", str(port), "--store", store, *flags) as server:
        until_listening(port)
        while httpx.get(f"http://127.0.0.1:{port}/readyz").status_code != 200:
            pass
        yield port, server.pid


def written(costs: SharedCosts, path: Path) -> Path:
    """Write the costs as TOML."""
    lines = [f'machine = "{costs.machine}"']
    for name in ("audio_own_us", "audio_elsewhere_us", "record_bytes", "memory_us", "scheduler_us", "both_us"):
        lines.append(f"{name} = {getattr(costs, name):.1f}")
    for name in ("own_us", "elsewhere_us", "p50_ms"):
        lines += [f"[{name}]", *(f'"{key}" = {figure:.2f}' for key, figure in getattr(costs, name).items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    measured = measure(SECONDS)
    print_rows(rows_of(measured), "bench.shared_jobs")
    for name in sys.argv[1:]:
        print(f"written: {written(measured, Path(name))}")
