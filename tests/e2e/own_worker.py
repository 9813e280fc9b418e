"""A worker like a user's: python -m tests.e2e.own_worker --url URL --id NODE_ID

Its code raises an error for each job; for audio that ends with `sleep` it sleeps and ignores cancellation.
"""

from __future__ import annotations

import time

from voxpool.scheduler.sdk import Work, worker


@worker(pairs=["zh:en"], slots=2)
def work(job: Work) -> None:
    """Fail, with a text that is long and has control characters."""
    if job.audio.endswith(b"sleep"):
        print("sleeps", flush=True)
        time.sleep(600)
    raise ValueError("no such speaker: \x1b[31m7\u202e " + "x" * 2000)


if __name__ == "__main__":
    work.main()
