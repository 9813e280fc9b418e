"""The table of reasons is complete, agrees with the endpoints, and is shown by each of them."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from tests.unit.fakes import make_job
from voxpool.scheduler.cli.output import job_line
from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.jobs.job import COMPLETED, FAILED, Job
from voxpool.scheduler.core.jobs.reasons import ENDS, REFUSALS, SUBMIT_REFUSALS, end_is_retryable
from voxpool.scheduler.protocol.answers import Problem
from voxpool.scheduler.sdk.errors import PASSING, SchedulerUnreachable, SubmitRejected, UnknownJob, refusal
from voxpool.scheduler.telemetry.metrics.labels import END_REASONS, REJECT_REASONS
from voxpool.scheduler.web.openapi.operations import operations
from voxpool.scheduler.web.problems import problem
from voxpool.scheduler.web.sessions.results import job_result
from voxpool.scheduler.web.views import job_view

SOURCES = sorted((Path(__file__).parents[2] / "scheduler").rglob("*.py"))


def ended(state: str, reason: str = "", detail: str = "") -> Job:
    """Return a job in its final state."""
    job = make_job(1)
    job.state, job.reason, job.detail = state, reason, detail
    return job


def rejections() -> list[tuple[str, bool]]:
    """Return every literal reason of a Rejected in the sources, and whether it has a time to retry."""
    found = []
    for source in SOURCES:
        for call in ast.walk(ast.parse(source.read_text())):
            match call:
                case ast.Call(func=ast.Name(id="Rejected"), args=[ast.Constant(value=str(reason)), *more]):
                    found.append((reason, len(more) > 1))
    return found


def test_each_rejection_in_the_sources_is_in_the_table_with_its_kind() -> None:
    found = rejections()
    assert len(found) >= 8
    assert {reason: REFUSALS[reason].retryable for reason, _ in found} == dict(found)


def test_the_document_of_http_lists_retryable_reasons() -> None:
    for operation in operations(Settings()):
        assert all(REFUSALS[reason].retryable for reason in operation.passing), operation.path
        assert not any(end_is_retryable(reason) for reason in operation.reasons), operation.path


def test_the_metrics_and_the_sdk_have_the_same_reasons() -> None:
    assert set(ENDS) <= END_REASONS and set(SUBMIT_REFUSALS) == REJECT_REASONS
    assert {reason for reason, known in REFUSALS.items() if known.retryable} == PASSING


def test_ends_and_rejections_agree_on_retryable_reasons() -> None:
    for reason in ENDS.keys() & REFUSALS.keys():
        assert ENDS[reason].retryable == REFUSALS[reason].retryable


@pytest.mark.parametrize("reason", ["waiting_timeout", "no_node", "store_unavailable", "stopping"])
def test_a_temporary_failure_is_retryable_in_each_view(reason: str) -> None:
    failed = ended(FAILED, reason, "why it was so")
    result, view = job_result(failed, 1), job_view(failed)
    assert (result.error, result.detail, result.retryable) == (reason, "why it was so", True)
    assert (view.error, view.detail, view.retryable) == (reason, "why it was so", True)
    assert job_line(view, as_json=False).endswith(f'error={reason}  detail="why it was so"  retryable')
    assert msgspec.json.decode(job_line(result, as_json=True))["retryable"] is True


@pytest.mark.parametrize("reason", ["expired", "attempts_max", "bad_audio", "any_word_of_a_worker"])
def test_any_other_failure_is_final_in_each_view(reason: str) -> None:
    failed = ended(FAILED, reason)
    assert not job_result(failed, 1).retryable and job_view(failed).retryable is False
    assert "retryable" not in job_line(job_view(failed), as_json=False)


def test_a_completed_job_is_neither_retryable_nor_final() -> None:
    assert job_view(ended(COMPLETED)).retryable is None


def test_a_problem_of_http_is_retryable_when_it_has_a_time_to_retry() -> None:
    later, never = (
        msgspec.json.decode(problem(503, "waiting_max", "full", after_ms).body, type=Problem) for after_ms in (10, None)
    )
    assert (later.retryable, never.retryable) == (True, False)


def test_the_errors_of_the_sdk_have_reason_detail_and_retryable() -> None:
    errors = [
        SubmitRejected("overloaded", "too much", 2000),
        SubmitRejected("not_audio", "no WAV", None),
        SchedulerUnreachable("nobody answers"),
        UnknownJob("no job 'x'"),
        refusal("sessions_max", "full"),
        refusal("unauthorized", "no token"),
    ]
    assert [(error.reason, error.detail, error.retryable) for error in errors] == [
        ("overloaded", "too much", True),
        ("not_audio", "no WAV", False),
        ("unreachable", "nobody answers", True),
        ("unknown_job", "no job 'x'", False),
        ("sessions_max", "full", True),
        ("unauthorized", "no token", False),
    ]
