"""A scheduler with wrong results and assigns, which the users must notice.

`python -m tests.load.lying_scheduler serve …` is a `voxpool serve` whose results get lost, come twice or are changed,
and whose assigns exceed the slots or have a wrong pair.
"""

from __future__ import annotations

import itertools
from typing import Any
from unittest.mock import patch

from voxpool.scheduler.cli import main
from voxpool.scheduler.core.jobs.job import Job
from voxpool.scheduler.core.nodes.node import Node
from voxpool.scheduler.core.nodes.node_events import NodeEvents
from voxpool.scheduler.core.seams import NodeLink
from voxpool.scheduler.protocol.messages import Assign, JobResult, Register, ToNode
from voxpool.scheduler.web import jobs, views
from voxpool.scheduler.web.nodes import NodeConnection
from voxpool.scheduler.web.sessions.session import Session

LOST_EVERY, TWICE_EVERY, CHANGED_EVERY, PAIR_EVERY = 7, 5, 3, 6
_results = itertools.count(1)
_views = itertools.count(1)
_assigns = itertools.count(1)


def lie_to_sessions() -> None:
    """Some results are not sent, some are sent twice, some have another output."""
    send = Session.send

    def lying(session: Session, message: Any) -> int:
        if not isinstance(message, JobResult):
            return send(session, message)
        number = next(_results)
        if not number % LOST_EVERY:
            return 0
        if not number % CHANGED_EVERY:
            message.output = {**message.output, "crc32": 1}
        if not number % TWICE_EVERY:
            send(session, message)
        return send(session, message)

    patch.object(Session, "send", lying).start()


def lie_to_http() -> None:
    """Some jobs have another output."""
    show = views.job_view

    def lying(job: Job, with_output: bool = True) -> Any:
        view = show(job, with_output)
        if job.ended and not next(_views) % CHANGED_EVERY:
            view.output = "something else"
        return view

    patch.object(jobs, "job_view", lying).start()


def overload_nodes() -> None:
    """Some nodes count as having one slot more than they registered."""
    joined = NodeEvents.joined

    async def lying(desk: NodeEvents, link: NodeLink, register: Register, owner: str = "") -> Node:
        register.slots += register.node_id.endswith("-0")
        return await joined(desk, link, register, owner)

    patch.object(NodeEvents, "joined", lying).start()


def mix_up_pairs() -> None:
    """Some assigns have a pair that the node does not serve."""
    send = NodeConnection.send

    def lying(connection: NodeConnection, message: ToNode) -> None:
        if isinstance(message, Assign) and not next(_assigns) % PAIR_EVERY:
            message.pair = "another:pair"
        send(connection, message)

    patch.object(NodeConnection, "send", lying).start()


if __name__ == "__main__":
    lie_to_sessions()
    lie_to_http()
    overload_nodes()
    mix_up_pairs()
    main()
