"""Many submits at a time: never more than the limit, each outcome with its index, nothing continues after the end."""

from __future__ import annotations

import asyncio

from tests.unit.played_client import PAIR, client_of, result_of, submitted
from tests.unit.played_scheduler import PlayedScheduler, settle, welcome
from tests.unit.virtual import virtual
from voxpool.scheduler.protocol.messages import JobResult, RejectedSubmit, Submit
from voxpool.scheduler.sdk.errors import SubmitRejected
from voxpool.scheduler.sdk.many import Done, in_parallel


@virtual
async def test_outcomes_come_as_they_are_done_and_input_is_read_as_needed() -> None:
    """The first takes longest; the third is rejected; two run at a time."""
    lasts_s = {b"a": 10.0, b"b": 1.0, b"c": 2.0, b"d": 3.0}
    read: list[bytes] = []
    at_once, most = 0, 0

    def audios() -> list[bytes]:
        return [read.append(audio) or audio for audio in lasts_s]  # type: ignore[func-returns-value]

    async def submit(audio: bytes) -> JobResult:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            await asyncio.sleep(lasts_s[audio])
        finally:
            at_once -= 1
        if audio == b"c":
            raise SubmitRejected("full", "", 1)
        return result_of(audio.decode(), state="failed" if audio == b"d" else "completed")

    done = [one async for one in in_parallel(iter(audios()), submit, 2)]
    assert [one.index for one in done] == [1, 2, 3, 0] and most == 2
    assert [one.completed for one in done] == [True, False, False, True]
    assert [one.rejected.reason if one.rejected else None for one in done] == [None, "full", None, None]
    assert asyncio.get_running_loop().time() == 10.0
    assert [one async for one in in_parallel([], submit, 2)] == []


@virtual
async def test_leaving_early_cancels_the_running_submits() -> None:
    cancelled: list[bytes] = []

    async def submit(audio: bytes) -> JobResult:
        try:
            await asyncio.sleep(1.0 if audio == b"a" else 60.0)
        except asyncio.CancelledError:
            cancelled.append(audio)
            raise
        return result_of("a")

    many = in_parallel([b"a", b"b", b"c", b"d"], submit, 3)
    assert await anext(many) == Done(0, result_of("a"))
    await many.aclose()
    assert cancelled == [b"b", b"c"]


@virtual
async def test_the_map_of_a_client_submits_each_with_its_options(scheduler: PlayedScheduler) -> None:
    async with client_of() as client:
        many = client.map([b"1", b"2", b"3"], PAIR, at_most=2, timeout_ms=7000)
        following = asyncio.ensure_future(anext(many))
        first = await scheduler.connected(1)
        first.say(welcome())
        await settle()
        one, two = submitted(first)
        assert [(sent.audio, sent.pair, sent.timeout_ms) for sent in first.of_kind(Submit)] == [
            (b"1", PAIR, 7000),
            (b"2", PAIR, 7000),
        ]
        first.say(RejectedSubmit(two, "full"))
        done = await following
        assert (done.index, done.rejected and done.rejected.reason) == (1, "full")
        first.say(result_of(one, 1))
        assert (await anext(many)).index == 0
        await many.aclose()
