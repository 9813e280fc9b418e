"""arq. Tuned: worker and client look every 5 ms, 64 jobs at a time, uvloop."""

import asyncio
import sys

import measure
from arq import create_pool
from arq.connections import RedisSettings

TUNED = measure.VARIANT == "tuned"
REDIS = RedisSettings.from_dsn(measure.URL)


async def short(_context, audio):
    return measure.answer(audio)


class WorkerSettings:
    """What `arq` reads its settings from."""

    functions = (short,)
    redis_settings = REDIS
    if TUNED:
        poll_delay, max_jobs = 0.005, 64


async def client():
    pool = await create_pool(REDIS)
    poll = {"poll_delay": 0.005} if TUNED else {}

    async def call():
        return await (await pool.enqueue_job("short", measure.AUDIO)).result(**poll)

    await measure.measure(call)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        measure.run(client())
    else:
        from arq.worker import run_worker

        if TUNED:
            import uvloop

            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        asyncio.set_event_loop(asyncio.new_event_loop())
        import arq_queue

        run_worker(arq_queue.WorkerSettings)
