from __future__ import annotations

from typing import TYPE_CHECKING

from voxpool.scheduler.core.jobs.job import COMPLETED
from voxpool.sim.checkers.base import Checker
from voxpool.sim.world.content import audio_of, output_of

if TYPE_CHECKING:
    from voxpool.sim.world.clients import Request
    from voxpool.sim.world.world import World


class EveryResultIsItsOwn(Checker):
    """The output that a client receives is that of its own job and of the audio that it has sent."""

    sentence = "every result is that of its own job and audio"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        if not world.content:
            self.not_checked = "audio and outputs have no content"

    def request_ended(self, request: Request, state: str) -> None:
        if state == COMPLETED and not self.not_checked:
            own = output_of(request.job_id, audio_of(request.request_id, request.audio_bytes))
            self.expect(request.output == own, f"{request.request_id} got {request.output}, its own is {own}")
