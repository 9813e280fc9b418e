"""Bugs planted into the SDK and the endpoints, and the seed of the whole stack that finds each.

`python -m voxpool.sim.planted.wire_bugs FIRST LAST` plays these seeds with each bug and prints which ones find it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection

from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.protocol.in_order import InOrder
from voxpool.scheduler.sdk.wire import acknowledgements
from voxpool.scheduler.sdk.wire import connection as sdk_connection
from voxpool.scheduler.sdk.wire import session as sdk_session
from voxpool.scheduler.sdk.worker_node import Worker
from voxpool.scheduler.web.sessions import session as door_session
from voxpool.scheduler.web.sessions.door import SessionDoor
from voxpool.scheduler.web.sessions.results import Outbox
from voxpool.sim.swarm.one_seed import play_seed

WIRE = "wire"
"""The size of swarm whose runs find these bugs."""
Replaced = tuple[type[Any], str, Callable[..., Any]]
"""A class, the name of its method, and what replaces it."""


class WireBug(NamedTuple):
    """The methods that the bug replaces, and a seed that finds it; 0 when the wire can't find it, with the reason."""

    replaces: list[Replaced]
    seed: int = 0
    why_not: str = ""


@contextmanager
def planted(bug: WireBug) -> Iterator[None]:
    """Plant `bug` in the block."""
    before: list[tuple[type[Any], str, Callable[..., Any] | None]] = [
        (owner, name, owner.__dict__.get(name)) for owner, name, _ in bug.replaces
    ]
    try:
        for owner, name, method in bug.replaces:
            setattr(owner, name, method)
        yield
    finally:
        for owner, name, old in before:
            if old is None:
                delattr(owner, name)
            else:
                setattr(owner, name, old)


# ---- the client


async def _resubmits_only_what_was_not_accepted(self: Any, connection: Any) -> None:
    for request in list(self._requests.values()):
        if request.again is None and not request.job_id:
            await self._send_submit(request, connection)
    self._sending = True


async def _sends_new_submits_before_the_old_ones(self: Any, connection: Any) -> None:
    self._sending = True
    await asyncio.sleep(0.5)
    await _resubmit(self, connection)


_resubmit = sdk_session.Session._resubmit
_result = sdk_session.Session._result
_hello = sdk_session.Session._hello


def _mixes_results_up(self: Any, result: Any) -> None:
    last = getattr(self, "_last_result", None)
    self._last_result = result
    if last is not None and result.state == "completed":
        result.output = last.output
    _result(self, result)


def _says_hello_without_resume(self: Any) -> Any:
    hello = _hello(self)
    hello.resume = False
    return hello


def _acknowledges_all_at_hello(self: Any) -> Any:
    hello = _hello(self)
    hello.ack += 3
    return hello


def _takes_results_again(self: Any, number: int | None) -> bool:
    return False


# ---- the endpoint of sessions


def _tells_nothing_at_resume(self: Any) -> Iterator[tuple[int, str]]:
    return iter(())


def _forgets_who_waits(self: Any) -> None:
    self.connection = None
    self._outbox._expected.clear()


def _never_watches_a_gap(self: Any) -> None:
    pass


def _watches_only_the_first_gap(self: Any) -> None:
    self._gap_timer = None
    self._give(self._outbox.skip_gap(door_session._now_ms()))


def _makes_the_order_anew(self: Any, is_wanted: bool) -> list[Any]:
    self._order = InOrder(self._grace_ms, self._held_max) if is_wanted else None
    return []


_begin = SessionDoor._begin


def _cancels_who_came_back(self: Any, session: Any, socket: Any, hello: Any, binary: bool) -> Any:
    timer = self._absent.pop(session.key, None)
    connection = _begin(self, session, socket, hello, binary)
    if timer is not None:
        self._absent[session.key] = timer
    return connection


def _holds_partials_back(self: Any, job: Any, partial: Any) -> None:
    asyncio.get_running_loop().call_later(0.2, _partial, self, job, partial)


def _sends_partials_of_lost_attempts_late(self: Any, job: Any, partial: Any) -> None:
    def late() -> None:
        if not job.ended and job.attempt > partial.attempt:
            _partial(self, job, partial)

    _partial(self, job, partial)
    for quarters in range(1, 30):
        asyncio.get_running_loop().call_later(quarters / 4, late)


def _sends_partials_to_all(self: Any, job_id: str) -> bool:
    return True


def _wants_partials_of_any_attempt(self: Any, node: Any, partial: Any) -> bool:
    job = self._dispatcher.find(partial.job_id)
    return job is not None and not job.ended and self._dispatcher.wants_partials(job)


def _passes_on_any_attempt(self: Any, node: Any, partial: Any) -> None:
    self._dispatcher.partial(self._dispatcher.find(partial.job_id), partial)


_partial = door_session.Session.partial

# ---- the worker

_assigned = Worker._assigned
_register = Worker._register


async def _swaps_audio(self: Any, connection: Any, assign: Any) -> None:
    last = getattr(self, "_last_audio", None)
    self._last_audio = assign.audio
    if last is not None and assign.job_id.endswith("3"):
        assign.audio = last
    await _assigned(self, connection, assign)


def _registers_without_what_it_holds(self: Any) -> Any:
    register = _register(self)
    register.running = []
    self._unsent.clear()
    return register


async def _drops_results_without_a_connection(self: Any, attempt: Any, result: Any) -> None:
    if self._connection is not None:
        with contextlib.suppress(*sdk_connection.BROKEN):
            await self._connection.send(result)


async def _runs_a_repeated_assign(self: Any, connection: Any, assign: Any) -> None:
    self._unsent.pop((assign.job_id, assign.attempt), None)
    await _assigned(self, connection, assign)


def _never_watches_a_stall(self: Any) -> None:
    ClientConnection.pause_writing(self)


_Session, _Door, _Client = door_session.Session, SessionDoor, sdk_session.Session
WIRE_BUGS: dict[str, WireBug] = {
    "results are mixed up": WireBug([(_Client, "_result", _mixes_results_up)], 1),
    "audio is swapped": WireBug([(Worker, "_assigned", _swaps_audio)], 1),
    "only submits without an answer are sent again": WireBug(
        [(_Client, "_resubmit", _resubmits_only_what_was_not_accepted)], 2
    ),
    "new submits overtake the repeated ones": WireBug(
        [(_Client, "_resubmit", _sends_new_submits_before_the_old_ones)], 4
    ),
    "a reconnect does not resume": WireBug([(_Client, "_hello", _says_hello_without_resume)], 472),
    "resume brings nothing that has ended": WireBug([(Outbox, "unacknowledged", _tells_nothing_at_resume)], 4),
    "a session without a connection forgets its jobs": WireBug([(_Session, "detach", _forgets_who_waits)], 161),
    "no gap is ever skipped": WireBug([(_Session, "_watch_gap", _never_watches_a_gap)], 2),
    "only the first gap is skipped": WireBug([(_Session, "_gap_is_due", _watches_only_the_first_gap)], 207),
    "the order begins anew at a reconnect": WireBug([(Outbox, "put_in_order", _makes_the_order_anew)], 24),
    "the grace of a session goes on after the return": WireBug([(_Door, "_begin", _cancels_who_came_back)], 4),
    "a full buffer is never given up (R-13)": WireBug(
        [(sdk_connection._StallingSocket, "pause_writing", _never_watches_a_stall)], 55
    ),
    "a partial result is held back": WireBug([(_Session, "partial", _holds_partials_back)], 5),
    "partial results go to all": WireBug([(_Session, "wants_partials", _sends_partials_to_all)], 2),
    "partial results of a lost attempt come late": WireBug(
        [(_Session, "partial", _sends_partials_of_lost_attempts_late)], 257
    ),
    "partial results of any attempt count": WireBug(
        [(NodeEvents, "wants", _wants_partials_of_any_attempt), (NodeEvents, "partial", _passes_on_any_attempt)],
        0,
        "a worker of the SDK sends none after a cancel, and none over a closed link; tests/e2e/test_partials.py does",
    ),
    "a client acknowledges what it has not received": WireBug(
        [(_Client, "_hello", _acknowledges_all_at_hello)],
        0,
        "the client submits what has no result again, under the same id",
    ),
    "a client takes a result twice": WireBug(
        [(acknowledgements.Acknowledgements, "came_before", _takes_results_again)],
        0,
        "hello acknowledges what the client has handled, so nothing is sent again",
    ),
    "a result without a connection is dropped": WireBug(
        [(Worker, "_answer", _drops_results_without_a_connection)], 0, "a closed link redispatches its jobs at once"
    ),
    "a node forgets its results at a reconnect": WireBug(
        [(Worker, "_register", _registers_without_what_it_holds)], 0, "a closed link redispatches its jobs at once"
    ),
    "a repeated assign runs twice": WireBug(
        [(Worker, "_assigned", _runs_a_repeated_assign)], 0, "TCP repeats no message; a link of the model does"
    ),
}
"""What is wrong -> how, and which seed finds it."""


def main() -> None:
    """Print for each bug which of the seeds FIRST to LAST find it, and what the first one reports."""
    first, last, *names = sys.argv[1:]
    for name, bug in WIRE_BUGS.items():
        if names and not any(text in name for text in names):
            continue
        found: dict[int, str] = {}
        with planted(bug):
            for seed in range(int(first), int(last) + 1):
                run = play_seed(seed, WIRE)
                if run.broken:
                    found[seed] = run.broken[0].split("\n")[0][:120]
        print(f"{name}: {len(found)} seeds, {list(found)[:8]}; {next(iter(found.values()), '')}", flush=True)


if __name__ == "__main__":
    main()
