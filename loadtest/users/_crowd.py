"""Which users a run has and how many of each: client users by weight, and on top nodes and those that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.options._tags import left_by_tags
from voxpool.scheduler.errors import ConfigError

CLIENTS = ("http", "session", "")
"""Parts that ask for jobs; "" is a class of somebody else."""
WEIGHTS = 1000
"""The weights of the kinds of client users together."""


class Crowd(msgspec.Struct, frozen=True):
    """What Locust has to spawn."""

    classes: tuple[Any, ...]
    """The user classes of which there is at least one."""
    standing: int
    """Users that are there all the time: nodes and those that misbehave."""
    nodes: int = 0
    """Those of them that serve."""


def selected(environment: Any) -> list[Any]:
    """Return the user classes of the next test: those named on the command line or picked on the page, else all.

    A class that has no task left after -T and -E is none of them. Nodes and misbehaving users whose classes are left
    out are switched off by their options. Raises ConfigError for an unknown tag, and when no class is left that asks
    for jobs.
    """
    parsed = environment.parsed_options
    names = parsed.user_classes
    available = [one for name, one in environment.available_user_classes.items() if not names or name in names]
    classes = left_by_tags(available, parsed.tags or (), parsed.exclude_tags or ())
    parts = {_part(one) for one in classes}
    if not parts.intersection(CLIENTS):
        if any(_part(one) in CLIENTS for one in available):
            raise ConfigError("no class that asks for jobs has a task left after -T and -E: theirs has the tag submit")
        raise ConfigError("none of the selected classes asks for jobs: add SessionUser or HttpClientUser")
    if "node" not in parts:
        parsed.nodes = 0
    if not any(part.startswith("misbehaving") for part in parts):
        parsed.misbehaving = 0
    return classes


def arrange(classes: Sequence[Any], options: LoadOptions, nodes: int) -> Crowd:
    """Set counts and weights of the user classes, which tell by `part` what they are.

    `part` is http, session, node, misbehaving_client or misbehaving_node. Without one it is a class of somebody else,
    which stays as it is.
    """
    shares = {"http": round(options.http_share * WEIGHTS), "session": round((1 - options.http_share) * WEIGHTS)}
    if sum(1 for one in classes if _part(one) in shares) == 1:
        shares = dict.fromkeys(shares, WEIGHTS)  # only one kind of them is asked for
    counts = {
        "node": nodes,
        "misbehaving_client": -(-options.misbehaving // 2),
        "misbehaving_node": options.misbehaving // 2,
    }
    chosen = []
    standing = serving = 0
    for one in classes:
        part = _part(one)
        if part in counts:
            one.fixed_count = counts[part]
            standing += counts[part]
            serving += counts[part] if part == "node" else 0
        elif part in shares:
            one.weight = shares[part]
        if counts.get(part, shares.get(part, 1)):
            chosen.append(one)
    return Crowd(tuple(chosen), standing, serving)


def _part(one: Any) -> str:
    return str(getattr(one, "part", ""))
