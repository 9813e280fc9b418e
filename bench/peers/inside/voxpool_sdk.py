"""A client and a worker of voxpool as its README writes them; `async` has a coroutine for its handler."""

import os
import sys

import measure

from voxpool import Client, Work, worker

ADDRESS = f"ws://127.0.0.1:{os.environ['PORT']}"
PAIR = "en:en"

if measure.VARIANT == "async":

    @worker(pairs=[PAIR], slots=1000)
    async def transcribe(work: Work) -> dict[str, object]:
        return measure.answer(work.audio)

else:

    @worker(pairs=[PAIR], slots=64)
    def transcribe(work: Work) -> dict[str, object]:
        return measure.answer(work.audio)


async def client() -> None:
    async with Client(ADDRESS) as scheduler:

        async def call() -> dict[str, object]:
            result = await scheduler.submit(measure.AUDIO, pair=PAIR)
            assert result.state == "completed", result
            return result.output

        await measure.measure(call)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        transcribe.main(["--url", ADDRESS])
    else:
        measure.run(client())
