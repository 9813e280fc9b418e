"""The users of a run and their numbers: client users by weight, and fixed numbers of nodes and misbehaving users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from voxpool.loadtest.options._options import LoadOptions
from voxpool.loadtest.options._tags import left_by_tags
from voxpool.scheduler.errors import ConfigError

CLIENTS = ("http", "session", "")
"""Parts that submit jobs; "" is a class of another locustfile."""
WEIGHTS = 1000
"""Sum of the weights of client users."""


class Crowd(msgspec.Struct, frozen=True):
    """The users that Locust spawns."""

    classes: tuple[Any, ...]
    """The user classes with at least one user."""
    standing: int
    """Users that are present all the time: nodes and misbehaving users."""
    nodes: int = 0
    """The number of nodes among them."""


def selected(environment: Any) -> list[Any]:
    """Return the user classes of the next test: those named on the command line or selected on the page, else all.

    A class without a task after -T and -E is left out. The options of nodes and misbehaving users whose classes are
    left out are set to 0. Raises ConfigError for an unknown tag, and when no class that submits jobs is left.
    """
    parsed = environment.parsed_options
    names = parsed.user_classes
    available = [one for name, one in environment.available_user_classes.items() if not names or name in names]
    classes = left_by_tags(available, parsed.tags or (), parsed.exclude_tags or ())
    parts = {_part(one) for one in classes}
    if not parts.intersection(CLIENTS):
        if any(_part(one) in CLIENTS for one in available):
            raise ConfigError("no class that submits jobs has a task left after -T and -E: its task has the tag submit")
        raise ConfigError("none of the selected classes submits jobs: add SessionUser or HttpClientUser")
    if "node" not in parts:
        parsed.nodes = 0
    if not any(part.startswith("misbehaving") for part in parts):
        parsed.misbehaving = 0
    return classes


def arrange(classes: Sequence[Any], options: LoadOptions, nodes: int) -> Crowd:
    """Set counts and weights of the user classes by their `part`.

    `part` is http, session, node, misbehaving_client or misbehaving_node. A class without one belongs to another
    locustfile and is unchanged.
    """
    shares = {"http": round(options.http_share * WEIGHTS), "session": round((1 - options.http_share) * WEIGHTS)}
    if sum(1 for one in classes if _part(one) in shares) == 1:
        shares = dict.fromkeys(shares, WEIGHTS)  # there is only one kind
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
