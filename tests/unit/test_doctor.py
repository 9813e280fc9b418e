"""The pure decisions of the doctor: addresses, versions, clocks; the rest is in tests/e2e."""

from __future__ import annotations

import pytest

from voxpool.scheduler.config import Settings
from voxpool.scheduler.doctor.examine import own_url
from voxpool.scheduler.doctor.judge import (
    CLOCK_SKEW_MS_MAX,
    fleet_findings,
    is_public,
    settings_findings,
    store_findings,
)
from voxpool.scheduler.protocol.answers import NodeView, PoolView
from voxpool.scheduler.service.open_files import wanted
from voxpool.scheduler.stores.facts import StoreFacts, ahead_ms


def facts(redis_version: str = "8.0.2", eviction: str = "noeviction", ahead_ms: int = 0) -> StoreFacts:
    return StoreFacts("redis://there", "Redis", redis_version, redis_version, eviction, "master", ahead_ms, "")


def troubles(store: StoreFacts) -> list[str]:
    return [finding.trouble for finding in store_findings(store)]


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("127.0.0.1", False),
        ("127.3.2.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("", True),
        ("192.0.2.7", True),
        ("scheduler.example", True),
    ],
)
def test_public_addresses(host: str, public: bool) -> None:
    assert is_public(host) is public


@pytest.mark.parametrize(("version", "old"), [("6.2.14", True), ("7.0", False), ("7.2.4", False), ("10.0.1", False)])
def test_versions_are_compared_as_numbers(version: str, old: bool) -> None:
    assert troubles(facts(version)) == (["store_version"] if old else [])


def test_a_small_clock_skew_is_accepted() -> None:
    assert troubles(facts(ahead_ms=CLOCK_SKEW_MS_MAX)) == troubles(facts(ahead_ms=-CLOCK_SKEW_MS_MAX)) == []
    assert troubles(facts(ahead_ms=CLOCK_SKEW_MS_MAX + 1)) == troubles(facts(ahead_ms=-CLOCK_SKEW_MS_MAX - 1))
    assert troubles(facts(ahead_ms=CLOCK_SKEW_MS_MAX + 1)) == ["clock_skew"]


def test_a_slow_answer_is_no_skew() -> None:
    """The question was sent at 1000, the answer came at 5000: any time between may be the true one."""
    assert [ahead_ms(then_ms, 1000, 5000) for then_ms in (1000, 3000, 5000)] == [0, 0, 0]
    assert (ahead_ms(900, 1000, 5000), ahead_ms(5100, 1000, 5000)) == (-100, 100)


def test_open_files_just_enough() -> None:
    settings = Settings(connections_max=1000)
    enough = wanted(1000)
    assert settings_findings(settings, "here", needs_tokens=False, open_files_max=enough) == []
    assert settings_findings(settings, "here", needs_tokens=False, open_files_max=None) == []
    found = settings_findings(settings, "here", needs_tokens=False, open_files_max=enough - 1)
    assert [finding.trouble for finding in found] == ["open_files"]


def test_pairs_without_a_ready_node() -> None:
    """Idle pools need no node; one ready node is enough, whatever the states of the others."""

    def node(state: str, *pairs: str) -> NodeView:
        return NodeView(f"{state}-node", state, pairs, 1, 0, "g", 0)

    pools = [PoolView("a:b", waiting=3), PoolView("c:d"), PoolView("e:f", waiting=1)]
    nodes = [node("resting", "a:b"), node("draining", "a:b"), node("ready", "e:f")]
    found = fleet_findings("http://there", pools, nodes)
    assert [finding.where for finding in found] == ["http://there, pair a:b"]
    assert "3 jobs wait and no node of the pair takes jobs now (1 draining, 1 resting)" in found[0].what


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (Settings(), "http://127.0.0.1:5010"),
        (Settings(host="0.0.0.0", port=80), "http://127.0.0.1:80"),
        (Settings(host="::"), "http://[::1]:5010"),
        (Settings(host="192.0.2.7", tls_cert="c", tls_key="k"), "https://192.0.2.7:5010"),
    ],
)
def test_the_url_of_the_local_scheduler(settings: Settings, url: str) -> None:
    assert own_url(settings) == url
