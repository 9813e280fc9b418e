"""The calls of the SDK against a real scheduler: handles, cancels, many at a time, retries, also without asyncio."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import running
from tests.e2e.processes import TONE, Scheduler, until, wait_until
from tests.e2e.test_processes import started
from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sdk import (
    Client,
    ClientClosed,
    Done,
    RequestRefused,
    SubmitRejected,
    SyncClient,
    Work,
    Worker,
    worker,
)
from voxpool.scheduler.sdk.http import HttpClient


@worker(pairs=["x:x"], slots=3)
def measure(work: Work) -> int:
    """Return the length of the audio."""
    return len(work.audio)


@contextmanager
def node_in_a_thread(scheduler: Scheduler, pair: str) -> Iterator[Worker]:
    """A node on its own loop, for tests without one."""
    node = Worker(scheduler.url, node_id=f"th-{pair[:3].strip(':')}", pairs=[pair], slots=2, work=measure.function)
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await node.run()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        wait_until(lambda: node.node_id in scheduler.node_ids())
        yield node
    finally:
        loops[0].call_soon_threadsafe(node.stop)
        thread.join()


async def test_a_cancel_right_after_the_submit_is_not_lost(scheduler: Scheduler, pair: str) -> None:
    """Its job id isn't known yet; the job is cancelled as soon as the id arrives."""
    async with Client(scheduler.url) as client:
        await until(lambda: client.connects)
        submit = asyncio.create_task(client.submit(TONE, pair, request_id=f"c-{pair[:3].strip(':')}"))
        await asyncio.sleep(0)
        submit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submit
        await until(lambda: client._session._requests == {})
        again = await client.submit(TONE, pair, request_id=f"c-{pair[:3].strip(':')}")
    assert again.state == "cancelled"


async def test_map_yields_each_outcome_and_keeps_its_limit(scheduler: Scheduler, pair: str) -> None:
    at_work: set[str] = set()
    most = read = 0

    async def work(work: Work) -> int:
        nonlocal most
        at_work.add(work.job_id)
        most = max(most, len(at_work))
        try:
            await asyncio.sleep(0.01)
        finally:  # also when it is cancelled
            at_work.discard(work.job_id)
        return len(work.audio)

    def audios() -> Iterator[bytes]:
        nonlocal read
        for number in range(30):
            read += 1
            yield b"no wav" if number == 7 else TONE + bytes(2 * number)

    node = Worker(scheduler.url, node_id=f"map-{pair[:3].strip(':')}", pairs=[pair], slots=50, work=work)
    async with running(node), Client(scheduler.url) as client:
        results: list[Done] = []
        async for done in client.map(audios(), pair, at_most=5):
            results.append(done)
            assert read <= len(results) + 5, "no more is read than is under way"
        assert sorted(done.index for done in results) == list(range(30))
        for done in results:
            if done.index == 7:
                assert done.rejected is not None and done.rejected.reason == "not_audio" and not done.completed
            else:
                assert done.result is not None and done.result.output == len(TONE) + 2 * done.index
        assert 1 < most <= 5
        early = client.map([TONE] * 30, pair, at_most=5)
        async for done in early:
            assert done.completed
            break
        await early.aclose()
        await until(lambda: not at_work and client._session._requests == {})


async def test_a_temporary_rejection_is_retried_only_on_request(folder: Path) -> None:
    """jobs_max = 1: the second submit is rejected until the first has ended."""
    with started(Scheduler(folder, "memory", "--jobs-max", "1", "--retry-after-s", "0.05")) as scheduler:
        gate = asyncio.Event()

        async def work(work: Work) -> str:
            await gate.wait()
            return "done"

        async with (
            running(Worker(scheduler.url, node_id="n", pairs=["a:b"], slots=4, work=work)),
            Client(scheduler.url) as hasty,
            Client(scheduler.url, retry_s=60) as patient,
            Client(scheduler.url, retry_s=0.3) as short,
        ):
            first = await hasty.start(TONE, "a:b")
            with pytest.raises(SubmitRejected, match="jobs_max") as rejected:
                await hasty.submit(TONE, "a:b")
            assert rejected.value.retry_after_ms == 50
            with pytest.raises(SubmitRejected, match="jobs_max"):
                await short.submit(TONE, "a:b")
            second = asyncio.create_task(patient.submit(TONE, "a:b"))
            await until(lambda: len(scheduler.events("job_rejected")) >= 5 or second.done())
            assert not second.done()
            gate.set()
            assert [(await first.result()).state, (await second).state] == ["completed", "completed"]


def test_a_rejected_submit_is_distinguished_from_other_rejections(scheduler: Scheduler, pair: str) -> None:
    with HttpClient(scheduler.url) as client:
        with pytest.raises(SubmitRejected, match="not_audio"):
            client.submit(b"no audio", pair)
        for ask in (lambda: client.drain("nobody"), lambda: list(client.jobs(1, state="odd"))):
            with pytest.raises(RequestRefused) as refused:
                ask()
            assert not isinstance(refused.value, SubmitRejected), refused.value


async def test_a_submit_that_can_never_be_accepted_is_not_sent(scheduler: Scheduler, pair: str) -> None:
    """A frame above the scheduler's limit would close the connection each time."""
    async with Client(scheduler.url) as client:
        with pytest.raises(SubmitRejected, match="audio_too_large"):
            await client.submit(TONE + bytes(2_000_000), pair)
        with pytest.raises(SubmitRejected, match="bad_request_id"):
            await client.submit(TONE, pair, request_id="not an id")
        assert client.connects == 1
    with pytest.raises(ClientClosed):
        await client.submit(TONE, pair)


def test_programming_errors_raise_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="http://HOST:PORT"):
        Client("127.0.0.1:5010")
    with pytest.raises(ConfigError, match="PEM"):
        Client("wss://127.0.0.1:5010", ca_file=tmp_path / "none.pem")
    with pytest.raises(ConfigError, match="PEM"):
        HttpClient("https://127.0.0.1:5010", ca_file=__file__)
    with pytest.raises(ConfigError, match=r"pairs=\['zh:en'\]"):
        Worker("ws://127.0.0.1:5010", node_id="n", pairs="zh:en", work=measure)
    with pytest.raises(ClientClosed, match="with SyncClient"):
        SyncClient("ws://127.0.0.1:5010").submit(TONE, "a:b")
    for options in ({"ack": 1}, {"timeout": 5}):  # a field of the message that is no option, and an invalid value
        with pytest.raises(TypeError, match=next(iter(options))):
            asyncio.run(Client("ws://127.0.0.1:5010").submit(TONE, "a:b", **options))  # type: ignore[arg-type]


def test_the_client_without_asyncio_does_the_same(scheduler: Scheduler, pair: str) -> None:
    before = set(threading.enumerate())
    with node_in_a_thread(scheduler, pair):
        with SyncClient(scheduler.url) as client:
            assert client.submit(TONE, pair).output == len(TONE)
            outputs = {done.index: done.result.output for done in client.map([TONE] * 20, pair) if done.result}
            assert outputs == dict.fromkeys(range(20), len(TONE))
            for _ in client.map([TONE] * 20, pair, at_most=2):
                break
            job = client.start(TONE, "no:body", why=True)
            assert client.why(job.job_id)["pool"]["nodes"] == 0
            job.cancel()
            assert job.result().state == "cancelled"
            with pytest.raises(SubmitRejected, match="not_audio"):
                client.submit(b"la la", pair)
            several = [threading.Thread(target=client.submit, args=(TONE, pair)) for _ in range(8)]
            for thread in several:
                thread.start()
            for thread in several:
                thread.join()
        with pytest.raises(ClientClosed):
            client.submit(TONE, pair)
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_a_call_without_asyncio_that_is_interrupted_cancels_its_job(scheduler: Scheduler, pair: str) -> None:
    """As with Ctrl-C: the main thread raises while it waits."""
    with SyncClient(scheduler.url) as client:
        request_id = f"i-{pair[:3].strip(':')}"

        def interrupt() -> None:
            wait_until(lambda: any(job["request_id"] == request_id for job in scheduler.get("/v1/jobs")["jobs"]))
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            client.submit(TONE, pair, request_id=request_id)
        thread.join()
        again = client.submit(TONE, pair, request_id=request_id)
        assert again.state == "cancelled", "a job that waited too long would have failed"
