"""Labels with a bound: whatever comes from outside must not make series without end.

No label of a metric is ever a job, node or session id.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.reasons import ENDS, SUBMIT_REFUSALS

PAIRS_MAX = 100
"""Pairs with series of their own; the first that come. A metric with a pair label has at most one series more."""
OTHER = "other"
NONE = "none"
"""The reason of a job that completed."""

END_REASONS = frozenset({NONE, *ENDS})
REDISPATCH_REASONS = frozenset({"timeout", "closed", "lapsed", "busy", "error", "reregistered", "assign_lost"})
REJECT_REASONS = frozenset(SUBMIT_REFUSALS)
CONNECTION_REASONS = frozenset(
    {"connections_max", "sessions_max", "stopping", "bad_host", "bad_origin", "unauthorized", "forbidden"}
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
        "request_too_large",
    }
)


class PairLabels:
    """The label of each pair: itself for the first `PAIRS_MAX`, `other` for all that come later."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def of(self, pair: str) -> str:
        """Return the label of `pair`."""
        label = self._known.get(pair)
        if label is not None:
            return label
        if len(self._known) >= PAIRS_MAX:
            return OTHER
        self._known[pair] = pair
        return pair


def one_of(known: frozenset[str], word: str) -> str:
    """Return `word` if it is a known one, else `other`."""
    return word if word in known else OTHER
