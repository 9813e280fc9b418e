"""The HTTP interface matches its document for generated requests: schemathesis against a real scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.schemathesis_run import Outcome, called, run
from tests.servers import BOTH

SEED = 1


def clean(folder: Path, examples: int, tokens: bool, jobs: str = "memory") -> Outcome:
    """Run schemathesis and check that it found nothing and reached every operation."""
    outcome = run(folder, examples, SEED, tokens, jobs)
    assert outcome.clean, outcome.text
    assert outcome.wrong == []
    assert outcome.states["completed"] > 20, "it gets as far as results"
    return outcome


@pytest.mark.timeout(300)
@pytest.mark.parametrize("jobs", BOTH)
def test_every_operation_matches_the_document(tmp_path: Path, jobs: str) -> None:
    """With tokens; the large size has a scheduler without them, too."""
    assert clean(tmp_path, 5, tokens=True, jobs=jobs).cases > 400


@pytest.mark.large
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tokens", [False, True], ids=["open", "secured"])
@pytest.mark.parametrize("jobs", BOTH)
def test_every_operation_matches_the_document_in_2_000_examples(tmp_path: Path, tokens: bool, jobs: str) -> None:
    print(clean(tmp_path, 2_000, tokens, jobs).summary())


@pytest.mark.parametrize(
    ("bug", "path", "message"),
    [
        ("fails_on_a_page_of_one", "/v1/jobs", "Server error"),
        ("takes_any_cursor", "/v1/pools", "Schema-violating request accepted"),
    ],
)
def test_a_planted_bug_is_found(tmp_path: Path, bug: str, path: str, message: str) -> None:
    code, text = called(tmp_path, bug, path)
    assert code == 1 and message in text and "curl -X GET" in text, text
