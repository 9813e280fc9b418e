"""A worker node whose work waits for another service, many jobs at a time: python examples/worker_async.py"""

import asyncio

from voxpool import Work, worker


@worker(pairs=["en:en", "zh:en"], slots=100, drain_s=20)
async def relay(work: Work) -> dict[str, int]:
    """Stand in for a call of another service. A cancelled job cancels this coroutine."""
    await asyncio.sleep(0.05)
    return {"bytes": len(work.audio)}


if __name__ == "__main__":
    relay.main()
