"""The answer to an assign: the output of the user's function, or what its exception means for the job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxpool.scheduler.core.jobs.error_text import cleaned, error_text, traceback_text
from voxpool.scheduler.core.jobs.reasons import ENGINE_ERROR
from voxpool.scheduler.engines import Work, WorkFailed
from voxpool.scheduler.errors import BadInput
from voxpool.scheduler.protocol.codec import check_output
from voxpool.scheduler.protocol.messages import NodeResult, WorkError
from voxpool.scheduler.sdk.work.calls import Calls


async def outcome_of(work: Work, calls: Calls, output_bytes_max: int, on_event: Callable[[str], None]) -> NodeResult:
    """Let `calls` work on `work` and return the result; tracebacks go to `on_event` only."""
    attempt = (work.job_id, work.attempt)
    try:
        output = await calls.output_of(work)
        check_output(output, output_bytes_max)
    except WorkFailed as failed:
        error = WorkError(cleaned(str(failed.reason)), failed.retryable, cleaned(str(failed.detail)))
        return NodeResult(*attempt, error=error)
    except BadInput as bad:
        on_event(f"{work.job_id}: {bad.reason}: {bad.detail}")
        return NodeResult(*attempt, error=WorkError(bad.reason, detail=cleaned(bad.detail)))
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raised: BaseException = cancelled  # something that the work awaited was cancelled, not this attempt
    except Exception as other:
        raised = other
    else:
        return NodeResult(*attempt, output)
    detail = error_text(raised)
    on_event(f"{work.job_id}: the work raised {detail}\n{traceback_text(raised)}")
    return NodeResult(*attempt, error=WorkError(ENGINE_ERROR, retryable=True, detail=detail))
