"""State shared by the users of a process: their identities in the whole run, and their statistics."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.running._part import Context
from voxpool.loadtest.running._shapes import Common, shape_of
from voxpool.loadtest.users._counts import Counts
from voxpool.loadtest.users._state import STATE
from voxpool.loadtest.users._traffic import CONNECTING_MAX, NODE, Traffic, traffic_of
from voxpool.scheduler.errors import ConfigError

SCENARIO = """
name = "kinds"
duration_s = 10
[[nodes]]
count = 3
pairs = ["zh:en"]
[[nodes]]
count = 1
pairs = ["en:zh"]
[[traffic]]
pair = "zh:en"
rate_per_s = 8.0
work_s = 0.1
"""


class Requests:
    """Locust's event of requests; it records its calls."""

    def __init__(self) -> None:
        self.reported: list[dict[str, Any]] = []

    def fire(self, **request: Any) -> None:
        self.reported.append(request)


def context(role: Any = "local", index: int = 0, options: LoadOptions | None = None, **parsed: Any) -> Context:
    """A run in one process, without Locust."""
    environment = SimpleNamespace(
        parsed_options=SimpleNamespace(**parsed), events=SimpleNamespace(request=Requests()), voxpool_traffic=None
    )
    runner = SimpleNamespace(worker_index=index, worker_count=2 if role == "master" else 1)
    return Context(environment, runner, None, role, options or LoadOptions(), host="http://127.0.0.1:5010/")


def begun(context: Context) -> Traffic:
    traffic = Traffic(context, Counts())
    traffic.start()
    return traffic


def test_a_node_takes_the_lowest_free_number() -> None:
    traffic = begun(context())
    assert [traffic.enter("node") for _ in range(4)] == [0, 1, 2, 3]
    traffic.leave("node", 2)
    traffic.leave("node", 1)
    assert [traffic.enter("node") for _ in range(3)] == [1, 2, 4]
    assert traffic.enter("client") == 0


def test_names_differ_between_workers_kinds_and_runs() -> None:
    first = begun(context("worker", 0))
    names = {first.name("node", 1), first.name("node", 2), first.name("session", 1)}
    names.add(begun(context("worker", 1)).name("node", 1))
    first.start()
    names.add(first.name("node", 1))
    assert len(names) == 5
    assert all(len(name) < 50 for name in names)


def test_workers_share_the_kinds_of_nodes_and_the_rates_of_a_scenario(tmp_path: Path) -> None:
    """The master sends its workers their number and the number of clients; the shares of two workers add up to all."""
    path = tmp_path / "kinds.toml"
    path.write_text(SCENARIO)
    options = LoadOptions(scenario=str(path))
    master = context("master", options=options)
    master.shape = shape_of(options, Common(16, 10.0, 5.0))
    begun(master)
    sent = vars(master.environment.parsed_options)
    workers = [begun(context("worker", index, options, **sent)) for index in range(2)]
    nodes = [worker.workload.node(worker.node_index(number)) for worker in workers for number in range(2)]
    assert sorted(node.pairs[0] for node in nodes) == ["en:zh", "zh:en", "zh:en", "zh:en"]
    assert [worker.client_users for worker in workers] == [16, 16]
    assert [stream.rate_per_s for stream in workers[0].workload.of_one(workers[0].client_users)] == [0.5]


def test_requests_are_reported_to_locust_in_ms_with_a_reason_for_failures() -> None:
    run = context()
    traffic = begun(run)
    assert traffic_of(run.environment) is traffic
    traffic.tell(NODE, "register", 0.25)
    traffic.tell(NODE, "register", 1.5, 10, "no_answer")
    reported = run.environment.events.request.reported
    assert [(one["request_type"], one["name"], one["response_time"], one["exception"]) for one in reported] == [
        ("NODE", "register", 250.0, None),
        ("NODE", "register", 1500.0, "no_answer"),
    ]


def test_open_jobs_are_counted_for_the_end_of_the_run() -> None:
    traffic = begun(context())
    STATE.start()
    try:
        assert traffic.may_ask()
        traffic.begun()
        traffic.begun()
        traffic.ended()
        assert STATE.outstanding == 1
        STATE.close()
        assert not traffic.may_ask()
    finally:
        STATE.start()


def test_the_endpoints_are_those_of_the_host() -> None:
    traffic = begun(context())
    assert traffic.door("/ws/node", 3) == "ws://127.0.0.1:5010/ws/node"
    assert traffic.host_of(3) == "http://127.0.0.1:5010"
    assert traffic.tls is None


def test_users_take_turns_over_several_schedulers() -> None:
    traffic = begun(context(options=LoadOptions(more_hosts=["http://10.0.0.6:5010/", "http://10.0.0.7:5010"])))
    hosts = [traffic.host_of(number) for number in range(4)]
    assert hosts == [*(f"http://{at}:5010" for at in ("127.0.0.1", "10.0.0.6", "10.0.0.7", "127.0.0.1"))]
    assert traffic.door("/ws/session", 1) == "ws://10.0.0.6:5010/ws/session"


def test_results_are_checked_to_the_byte_only_when_all_nodes_are_ours() -> None:
    assert begun(context()).answers_are_ours
    assert not begun(context(options=LoadOptions(nodes=0))).answers_are_ours


def test_an_invalid_workload_ends_the_start() -> None:
    with pytest.raises(ConfigError, match="no scenario"):
        begun(context(options=LoadOptions(scenario="nothing")))


def test_users_killed_while_connecting_release_their_place() -> None:
    """Locust kills users in any state; the semaphore of `threading`, as patched by gevent, then loses places."""
    places = begun(context()).connecting
    connected = []

    def connect() -> None:
        with places:
            connected.append(gevent.getcurrent())
            gevent.sleep(60)

    users = [gevent.spawn(connect) for _ in range(2 * CONNECTING_MAX)]
    gevent.idle()
    assert len(connected) == CONNECTING_MAX
    gevent.killall(users)
    assert [places.acquire(blocking=False) for _ in range(CONNECTING_MAX + 1)] == [True] * CONNECTING_MAX + [False]


def test_counts_of_each_test_begin_at_zero() -> None:
    traffic = begun(context())
    traffic.counts.arrived(0.5, True)
    traffic.counts.dropped()
    traffic.counts.answered("zh:en", "n-1")
    assert (traffic.counts.due, traffic.counts.sent, traffic.counts.late, traffic.counts.dropped_) == (2, 1, 1, 1)
    traffic.start()
    assert (traffic.counts.due, traffic.counts.sent, traffic.counts.late, traffic.counts.dropped_) == (0, 0, 0, 0)
