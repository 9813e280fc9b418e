"""8 hostile peers of each of seven kinds beside 50 jobs a second: no job is lost, and each hostile peer is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.beside_strangers import EACH, beside
from tests.e2e.secured import Keys, Secured
from tests.e2e.strangers import KINDS
from tests.e2e.test_processes import started

pytestmark = pytest.mark.alone

HASTY = ("--head-s", "1", "--send-stall-s", "1", "--log-sample", "0", "--log-level", "info")
"""Short limits, so that even nearly idle peers are closed within a short test."""
ENDINGS = {
    "tiny frames": {"1008"},
    "pings": {"1008"},
    "chunks": {"400", "401"},
    "slow heads": {"408"},
    "silent": {"closed"},
    "90 % bodies": {"401"},
    "unread answers": {"closed"},
}
"""How a connection of each kind ends: with a close code or a status, or without one for peers that never read or sent.
"""


async def test_regular_work_continues_beside_strangers(folder: Path) -> None:
    """The additional latency depends on the machine; it is printed, and docs/reports/service.md has it."""
    with started(Secured(folder, Keys(folder), *HASTY, store="embedded")) as scheduler:
        seen = await beside(scheduler, seconds=6, rounds=1)
    print(seen)
    for honest in (seen.quiet, seen.crowded):
        assert honest.failed == [] and honest.unanswered == []
    assert set(seen.endings) == set(KINDS)
    for kind, counts in seen.endings.items():
        assert set(counts) <= ENDINGS[kind], f"{kind}: {counts}"
        assert counts.total() >= EACH, f"{kind}: {counts}: not one of each stayed"
