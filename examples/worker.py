"""A worker node in ten lines: python examples/worker.py (needs `voxpool serve`); Ctrl-C stops it."""

import asyncio

from scheduler.sdk import Work, Worker


def count(work: Work) -> dict[str, int]:
    """The work itself: any function of the audio; it runs in a thread."""
    return {"bytes": len(work.audio)}


async def main() -> None:
    await Worker("ws://127.0.0.1:5010", node_id="example-1", pairs=["en:en"], slots=2, work=count).run()


if __name__ == "__main__":
    asyncio.run(main())
