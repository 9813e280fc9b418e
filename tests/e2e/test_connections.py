"""Many connections at one scheduler: each costs little, none is lost, and jobs are hardly slower."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.connections import BYTES_A_CONNECTION_GOAL, SLOWER_GOAL, Connections, measured

pytestmark = pytest.mark.alone


def keeps_alive(folder: Path, sessions: int, nodes: int, beat_s: float, beats: int) -> Connections:
    """Open the connections and check what must hold at any size."""
    report = measured(folder, sessions, nodes, beat_s, beats)
    print(report)
    for tally, peers in ((report.sessions, sessions), (report.nodes, nodes)):
        assert (tally.peers, tally.gone, tally.others) == (peers, 0, 0), "nobody was lost, or told anything odd"
        assert tally.registers_most == 1, "no node had to come again: its beats kept its lease"
        assert min(tally.pings_least, tally.pongs_least) >= beats, "each was asked, and each was answered"
    assert report.lost == [], "the scheduler gave nobody up"
    assert report.nodes.jobs > len(report.crowded_s) and len(report.crowded_s) == len(report.idle_s)
    assert max(report.session.allocated, report.node.allocated) < BYTES_A_CONNECTION_GOAL
    return report


def test_five_hundred_sessions_and_a_hundred_nodes(folder: Path) -> None:
    keeps_alive(folder, sessions=500, nodes=100, beat_s=3, beats=2)


@pytest.mark.large
@pytest.mark.timeout(900)
def test_five_thousand_sessions_and_a_thousand_nodes_for_a_minute(folder: Path) -> None:
    """The minute is longer than a lease of the default settings; a job takes less than twice as long as at an idle
    scheduler.
    """
    report = keeps_alive(folder, sessions=5000, nodes=1000, beat_s=15, beats=4)
    assert max(report.session.rss, report.node.rss) < BYTES_A_CONNECTION_GOAL
    assert report.slower < SLOWER_GOAL
