"""Cancel a job by its id, after asking why it waits: python examples/cancel.py (no node is needed)."""

import asyncio
from pathlib import Path

from voxpool import Client


async def main() -> None:
    async with Client() as client:
        audio = (Path(__file__).parent / "tone.wav").read_bytes()
        job = await client.start(audio, "tlh:en", request_id="order-66", why=True)  # the same id: the same job
        print(job.job_id, "nodes of its pair:", (await client.why(job.job_id))["pool"]["nodes"])
        await job.cancel()
        print((await job.result()).state)


if __name__ == "__main__":
    asyncio.run(main())
