"""Labels with a bound: values from outside must not create series without limit.

No label of a metric is ever a job, node or session id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from voxpool.scheduler.core.jobs.reasons import ENDS, SUBMIT_REFUSALS

PAIRS_MAX = 100
"""Pairs with series of their own. A metric with a pair label has at most one series more."""
LATELY_MS = 3_600_000
"""A pair keeps its label for this long after its last node, as long as alerts and dashboards look back."""
OTHER = "other"
NONE = "none"
"""The reason of a job that completed."""

END_REASONS = frozenset({NONE, *ENDS})
REDISPATCH_REASONS = frozenset({"timeout", "closed", "lapsed", "busy", "error", "reregistered", "assign_lost"})
REJECT_REASONS = frozenset(SUBMIT_REFUSALS)
CONNECTION_REASONS = frozenset(
    {
        "connections_max",
        "no_open_file",
        "sessions_max",
        "stopping",
        "bad_host",
        "bad_origin",
        "unauthorized",
        "forbidden",
    }
)
ABORT_REASONS = frozenset(
    {
        "takes_nothing",
        "send_buffer_full",
        "no_pong",
        "no_greeting",
        "closed_1009",
        "head_too_large",
        "slow_head",
        "slow_body",
        "slow_message",
        "incoming_full",
        "small_parts",
        "closed_1008",
        "request_too_large",
    }
)


class PairLabels:
    """The label of each pair: itself for a pair that nodes serve, or served lately, `other` for any other one.

    A client may name any pair, so a name in a submit takes no label. There are `PAIRS_MAX` labels; when all are taken,
    a newly served pair gets that of a pair which no node has served for `LATELY_MS`. `now_ms` is the wall clock,
    `on_forgotten` removes the series of a pair that lost its label.
    """

    def __init__(self, now_ms: Callable[[], int], on_forgotten: Callable[[str], None]) -> None:
        self._now_ms = now_ms
        self._on_forgotten = on_forgotten
        self._served_ms: dict[str, int] = {}
        """When a node served the pair last; the longest ago comes first."""

    def __len__(self) -> int:
        return len(self._served_ms)

    def __iter__(self) -> Iterator[str]:
        return iter(self._served_ms)

    def of(self, pair: str) -> str:
        """Return the label of `pair`."""
        return pair if pair in self._served_ms else OTHER

    def serve(self, pairs: Iterable[str]) -> None:
        """Note that a node serves `pairs` now."""
        served_ms, now_ms = self._served_ms, self._now_ms()
        for pair in pairs:
            last_ms = served_ms.get(pair)
            if last_ms == now_ms:
                continue
            if last_ms is not None:
                del served_ms[pair]  # to be the last one
            elif len(served_ms) >= PAIRS_MAX and not self._make_room(now_ms):
                continue
            served_ms[pair] = now_ms

    def _make_room(self, now_ms: int) -> bool:
        oldest, last_ms = next(iter(self._served_ms.items()))
        if now_ms - last_ms < LATELY_MS:
            return False
        del self._served_ms[oldest]
        self._on_forgotten(oldest)
        return True


def one_of(known: frozenset[str], word: str) -> str:
    """Return `word` if it is a known one, else `other`."""
    return word if word in known else OTHER
