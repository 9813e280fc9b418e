"""Processes, links and their faults on the network in virtual time."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from tests.sim.network.ends import End
from voxpool.sim.network.loop import NetworkLoop
from voxpool.sim.network.network import Network
from voxpool.sim.network.process import Process
from voxpool.sim.virtual_time.errors_fatal import RunFailed
from voxpool.sim.virtual_time.unsupported import Refused

DELAY_S = 0.01


class Two:
    """A server that accepts, and a client that is connected to it."""

    def __init__(self) -> None:
        self.loop = NetworkLoop()
        self.network = Network(self.loop, Random(1), lambda: DELAY_S)
        self.accepted: list[End] = []
        self.server = self.serve()
        self.client = self.network.process("client")
        self.end = End()
        self.client.start(lambda: self.stay_connected(self.end))
        self.run()
        assert self.end.events == ["made"]

    def serve(self) -> Process:
        server = self.network.process("server")
        server.start(self._serve)
        return server

    def _accept(self) -> End:
        self.accepted.append(End())
        return self.accepted[-1]

    async def _serve(self) -> None:
        await asyncio.get_running_loop().create_server(self._accept, "server", 80)
        await asyncio.get_running_loop().create_future()

    async def stay_connected(self, end: End) -> None:
        """Connect `end` to the server and keep the process."""
        await asyncio.get_running_loop().create_connection(lambda: end, "server", 80)
        await asyncio.get_running_loop().create_future()

    def run(self, for_s: float = 1.0) -> None:
        self.loop.run(until_s=self.loop.time() + for_s)

    def in_client(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Run `main` as a process of another machine."""
        task = self.network.process("other").start(main)
        self.run()
        return task


@pytest.fixture
def two() -> Two:
    return Two()


def test_a_killed_process_stops_at_once_and_its_sockets_close(two: Two) -> None:
    """Neither `finally` blocks nor timers run; the peer reads the end of the stream."""
    steps: list[str] = []

    async def main() -> None:
        try:
            await asyncio.get_running_loop().create_connection(End, "server", 80)
            asyncio.get_running_loop().call_later(5.0, steps.append, "timer")
            steps.append("connected")
            await asyncio.sleep(5.0)
        finally:
            steps.append("cleaned up")

    two.in_client(main)
    two.network.processes["other"].kill()
    two.run(10.0)
    assert steps == ["connected"]
    assert two.accepted[1].events == ["made", "eof", "lost None"]
    assert two.loop.bury() == []


def test_an_awaited_answer_does_not_wake_up_a_killed_process(two: Two) -> None:
    """An example is the answer of a store outside the simulation."""
    steps: list[str] = []
    answers: list[asyncio.Future[str]] = []

    async def main() -> None:
        answers.append(asyncio.get_running_loop().create_future())
        steps.append(await answers[0])

    two.in_client(main)
    two.network.processes["other"].kill()
    answers[0].set_result("answer")
    two.run()
    assert steps == []
    assert two.loop.bury() == []


def test_a_machine_without_power_answers_nothing(two: Two) -> None:
    """Its peers read nothing, connections to it are not refused, and after a restart it resets what they send."""
    two.server.kill(power_off=True)
    other = two.in_client(lambda: two.stay_connected(End()))
    two.end.transport.write(b"x")
    two.run(100.0)
    assert two.end.events == ["made"]
    assert not other.done()
    two.server = two.serve()
    two.end.transport.write(b"x")
    two.run()
    assert two.end.events == ["made", "lost reset"]


def test_a_frozen_process_continues_where_it_stopped(two: Two) -> None:
    """Its kernel accepts connections and data in the meantime; signals are handled after the thaw."""
    signals: list[int] = []

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signals.append, 15)
        await two._serve()

    two.server.kill()
    two.server = two.network.process("server")
    two.server.start(main)
    two.run()
    two.server.freeze()
    two.server.signal(signal.SIGTERM)
    late = End()
    two.in_client(lambda: two.stay_connected(late))
    two.run(100.0)
    assert (late.events, len(two.accepted), signals) == (["made"], 1, [])
    two.server.thaw()
    two.run()
    assert (len(two.accepted), signals) == (2, [15])


def test_a_signal_without_a_handler_ends_a_process(two: Two) -> None:
    """This is the default action of SIGTERM."""
    two.server.signal(signal.SIGTERM)
    two.run()
    assert not two.server.is_alive
    assert two.end.events == ["made", "eof", "lost None"]


def test_a_cut_link_delays_everything_until_it_heals(two: Two) -> None:
    """Nothing is lost, the order is kept, and the two ends notice nothing but the delay."""
    link = two.network.link("client", "server")
    link.cut()
    for byte in b"abc":
        two.end.transport.write(bytes([byte]))
    two.run(100.0)
    assert two.accepted[0].bytes == 0
    link.heal()
    two.run(2.0)
    assert (two.accepted[0].bytes, two.accepted[0].events) == (3, ["made", "data"])


def test_no_cut_changes_the_order(two: Two) -> None:
    """A segment is in flight when the link heals, and the link is cut again before the retransmission."""
    link = two.network.link("client", "server")
    received = bytearray()
    two.accepted[0].data_received = received.extend  # type: ignore[assignment,method-assign]
    link.cut()
    two.end.transport.write(b"a")
    two.run(1.0)
    two.end.transport.write(b"b")  # arrives after the link has healed
    link.heal()
    two.run(DELAY_S / 2)
    two.end.transport.write(b"c")
    link.cut()
    two.run(10.0)
    assert received == b""
    link.heal()
    two.run(2.0)
    assert received == b"abc"


def test_a_slow_link_has_a_bandwidth(two: Two) -> None:
    """100 kB take ten seconds at 10 kB a second."""
    two.network.link("client", "server").bytes_per_s = 10_000
    two.end.transport.write(b"x" * 100_000)
    two.run(9.9)
    assert two.accepted[0].bytes == 0
    two.run(0.2)
    assert two.accepted[0].bytes == 100_000


def test_a_dark_connection_is_silent_for_ever(two: Two) -> None:
    """Neither end is notified; new connections of the same machines work."""
    two.end.transport.go_dark()
    two.end.transport.write(b"x")
    two.accepted[0].transport.write(b"x")
    two.run(1000.0)
    assert two.end.events == two.accepted[0].events == ["made"]
    late = End()
    two.in_client(lambda: two.stay_connected(late))
    assert late.events == ["made"]


def test_a_reset_from_outside_reaches_both_ends(two: Two) -> None:
    """Unread data are lost."""
    two.accepted[0].transport.pause_reading()
    two.end.transport.write(b"x")
    two.run()
    two.end.transport.reset()
    two.accepted[0].transport.resume_reading()
    two.run()
    assert two.end.events == two.accepted[0].events == ["made", "lost reset"]


def test_data_in_flight_at_a_reset_are_lost(two: Two) -> None:
    """Also when the process that was reset is frozen and reads later."""
    two.server.freeze()
    two.end.transport.write(b"x")
    two.end.transport.reset()
    two.run()
    two.server.thaw()
    two.run()
    assert two.accepted[0].events == ["made", "lost reset"]


def test_a_connection_whose_client_died_during_the_handshake_is_reset(two: Two) -> None:
    """The server has accepted it by then."""
    two.network.process("other").start(lambda: two.stay_connected(End()))
    two.run(DELAY_S * 1.5)
    two.network.processes["other"].kill()
    two.run()
    assert two.accepted[1].events == ["made", "lost reset"]


def test_a_machine_runs_one_process_at_a_time(two: Two) -> None:
    """Two processes would share its name and ports."""
    with pytest.raises(RuntimeError, match="still there"):
        two.network.process("server")


def test_a_program_that_fails_ends_the_run(two: Two) -> None:
    """An exception that reaches the top of a process is a finding."""

    async def main() -> None:
        raise ValueError("a bug")

    with pytest.raises(RunFailed, match="a bug"):
        two.in_client(main)


@pytest.mark.parametrize("ask", ["create_unix_connection", "subprocess_exec", "connect_read_pipe", "add_writer"])
def test_calls_that_the_network_does_not_support_are_refused(two: Two, ask: str) -> None:
    """The network offers TCP connections and signals, nothing else."""

    async def main() -> None:
        result = getattr(asyncio.get_running_loop(), ask)()
        if result is not None:
            await result

    with pytest.raises(RunFailed) as failed:
        two.in_client(main)
    assert isinstance(failed.value.__cause__, Refused)


def test_tls_is_refused(two: Two) -> None:
    """It would need the ssl module over the transport; a run without it must not be mistaken for one with it."""

    async def main() -> None:
        await asyncio.get_running_loop().create_connection(End, "server", 80, ssl=True)

    with pytest.raises(RunFailed) as failed:
        two.in_client(main)
    assert isinstance(failed.value.__cause__, Refused)
