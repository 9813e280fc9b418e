"""The values that fields of messages may have: names, pairs, numbers, and their bounds."""

from __future__ import annotations

from typing import Annotated

import msgspec

NUMBER_MAX = 10**15
"""The largest number in a message; JSON itself has no bound."""
TIMEOUT_MS_MAX = 24 * 3600 * 1000
"""The longest timeout of a job that a client may ask for."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
"""A node, process, job, request or session id."""
Pair = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,16}:[a-z0-9-]{1,16}\Z")]
"""A language pair, source:target."""
Attempt = Annotated[int, msgspec.Meta(ge=1, le=NUMBER_MAX)]
Slots = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Running = Annotated[list[tuple[Name, Attempt]], msgspec.Meta(max_length=1000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
Protocol = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""The number of a result in its session; the first one has 1."""


class Times(msgspec.Struct):
    """Durations of an ended job."""

    waiting: int
    """ms from the submit to the last dispatch; to the end when there was none."""
    dispatched: int
    """ms from the last dispatch to the end."""
    total: int
    """ms from the submit to the end."""
