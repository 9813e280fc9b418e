"""A worker node in ten lines: python examples/worker.py --id gpu-1 (needs `voxpool serve`); Ctrl-C drains it."""

from voxpool import Work, WorkFailed, worker


@worker(pairs=["en:en"], slots=2)
def count(work: Work) -> dict[str, int]:
    """Count the bytes of the audio."""
    if len(work.audio) < 100:
        raise WorkFailed("too_short")  # final; retryable=True sends the job to another node
    return {"bytes": len(work.audio)}


if __name__ == "__main__":
    count.main()
