"""Where a load run is put together, by Locust's events: the only file that listens to them, and the only one that
knows all parts. `locust -f loadtest/` loads it beside the users and the shape.
"""

from __future__ import annotations

from typing import Any

from locust import events

from loadtest._counts import Counts
from loadtest._load_run import LoadRun, role_of
from loadtest._measuring import Measuring
from loadtest._memory_part import MemoryPart
from loadtest._options import DEFAULT_HOST, add_options
from loadtest._part import Context, Part
from loadtest._traffic import Traffic


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_to_command_line(parser: Any, **_: Any) -> None:
    """Add our options to Locust's."""
    add_options(parser)


@events.init.add_listener  # type: ignore[untyped-decorator]
def put_together(environment: Any, runner: Any, web_ui: Any, **_: Any) -> None:
    """Make the parts of this process and tie them to the events of a run."""
    context = Context(environment, runner, web_ui, role_of(runner))
    environment.host = environment.host or DEFAULT_HOST
    run = environment.voxpool = LoadRun(context)
    memory = MemoryPart(context)
    run.add(parts(context, memory))
    environment.events.quitting.add_listener(memory.on_quitting)
    environment.events.test_start.add_listener(run.on_test_start)
    environment.events.test_stop.add_listener(run.on_test_stop)
    environment.events.quitting.add_listener(run.on_quitting)


def parts(context: Context, memory: MemoryPart) -> list[Part]:
    """Return the parts of this process, in the order in which they start."""
    counts = Counts()
    return [Measuring(context, counts), Traffic(context, counts), memory]
