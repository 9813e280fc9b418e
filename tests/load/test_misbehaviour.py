"""Each misbehaviour against a real scheduler, without Locust: the rejection is the expected one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest

from tests.e2e.processes import Process, Scheduler, wait_until
from voxpool.loadtest.users.misbehaving import _bad_clients, _bad_nodes
from voxpool.loadtest.users.misbehaving._target import Target, Wrong, refused

PAIR = "load:test"


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with one node that serves PAIR."""
    folder = tmp_path_factory.mktemp("misbehaviour")
    server = Scheduler(folder, "memory")
    try:
        node = Process(
            folder, "node", "node", "--url", server.url, "--id", "gpu-1", "--pairs", PAIR, "--slots", "4",
            "--engine", "sleep:0.01",
        )  # fmt: skip
        try:
            wait_until(lambda: server.node_ids() == ["gpu-1"])
            yield server
        finally:
            node.stop()
    finally:
        server.stop()


@pytest.fixture
def target(scheduler: Scheduler, request: pytest.FixtureRequest) -> Target:
    name = f"t{zlib.crc32(request.node.name.encode()):x}"
    return Target(scheduler.url, name, PAIR, f"bad:{name}")


@pytest.mark.parametrize("kind", _bad_clients.KINDS)
def test_a_misbehaving_client_is_rejected_as_expected(target: Target, kind: str) -> None:
    _bad_clients.KINDS[kind](target)


@pytest.mark.parametrize("kind", _bad_nodes.KINDS)
def test_a_misbehaving_node_harms_no_job(target: Target, kind: str) -> None:
    _bad_nodes.KINDS[kind](target)


def test_an_unexpected_rejection_is_noticed(target: Target) -> None:
    """It tests the check: the scheduler answers broken_json, which is not expected here."""
    with target.session() as wire:
        wire.send_frame(b"{not json", binary=False)
        with pytest.raises(Wrong, match="broken_json_for_unknown_type"):
            refused(wire, "unknown_type")
