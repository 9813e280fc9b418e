"""Dask's scheduler with one worker process. Tuned: 8 threads, no nanny."""

import asyncio
import os
import subprocess
import sys

import measure

ADDRESS = f"tcp://127.0.0.1:{os.environ['PORT']}"
OPTIONS = ("--no-nanny", "--nthreads", "8") if measure.VARIANT == "tuned" else ()


async def client():
    from distributed import Client

    async with Client(ADDRESS, asynchronous=True) as dask:

        async def call():
            return await dask.submit(measure.answer, measure.AUDIO, pure=False)

        await measure.measure(call)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        scheduler = ("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard", "--no-show")
        subprocess.Popen([sys.executable, *scheduler, "--port", os.environ["PORT"]])
        measure.become("distributed.cli.dask_worker", ADDRESS, "--nworkers", "1", "--no-dashboard", *OPTIONS)
    asyncio.run(client())
