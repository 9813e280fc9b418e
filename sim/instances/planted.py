"""Bugs that a version of the protocol had, to be planted again: the explorer must find each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from voxpool.scheduler.shared.partition.audio_calls import audio_of
from voxpool.scheduler.shared.partition.calls import Record, Taken
from voxpool.scheduler.shared.partition.letters import Letters
from voxpool.scheduler.shared.partition.names import Names
from voxpool.scheduler.stores.script_sources import JOBS, assemble, read_texts
from voxpool.sim.instances.desk import SharedDesk
from voxpool.sim.instances.desk_parts import Node
from voxpool.sim.instances.scheduler import SteppedFeed
from voxpool.sim.instances.world import Parts


class Planted(NamedTuple):
    """Parts with a bug, and whether the store must lose writes for it to show."""

    parts: Parts
    loses_writes: bool = False


class _ForgetsWhatIsQueued(SteppedFeed):
    def _busy(self) -> set[str]:
        return set()


class _IgnoresMine(SteppedFeed):
    def _reconcile(self, answer: list[str]) -> None:
        pass


class _DoesNotAskAgain(SteppedFeed):
    def ask_again(self) -> None:
        self.must_beat = self._must_reconcile = True
        self.hunger.forget()


class _SendsEmptyAudio(SteppedFeed):
    def _audio_came(self, reads: Sequence[tuple[Taken, object]], answer: list[str]) -> None:
        for (taken, slot), audio in zip(reads, audio_of(answer), strict=True):
            self._desk.start(taken, slot, audio)


class _LettersWithoutGap(Letters):
    def broke(self) -> None:
        super().broke()
        self._has_gap = False


class _AcknowledgesGaps(SteppedFeed):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.letters = _LettersWithoutGap()

    def ask_postponed(self) -> None:
        self._sent_pairs.clear()  # the look for jobs that were sent heals most of what this loses
        super().ask_postponed()


class _ForgetsNamesThatLeft(Names):
    def _drop(self, node_id: str) -> Any:
        found = super()._drop(node_id)
        self._left.clear()
        return found


class _RemembersNoNames(SteppedFeed):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.names = _ForgetsNamesThatLeft()


class _KeepsTheNameOfAClosedConnection(SharedDesk):
    def _names_of(self, node: Node) -> Names:
        return Names() if node.is_gone else super()._names_of(node)


class _EndsBeforeAccepted(SharedDesk):
    def ended(self, job_id: str, state: str, outcome: str) -> None:
        wish = self._forget(job_id)
        if wish is not None:
            wish.client.ended(wish.request_id, state, outcome)


class _LosesEarlyResults(SharedDesk):
    def claimed(self, job_id: str, attempt: int, node: Any, record: Record | None) -> None:
        node.early.clear()
        super().claimed(job_id, attempt, node, record)


def script_bug(name: str, right: str, wrong: str) -> Parts:
    """Return parts whose script `name` has `wrong` in place of `right`."""
    texts = read_texts(JOBS.folder)
    assert texts[name].count(right) == 1, f"{right} must be at one place of {name}"
    texts[name] = texts[name].replace(right, wrong)
    return Parts(sources={one: assemble(one, texts) for one in texts if not one.startswith("_")})


def planted_bugs() -> dict[str, Planted]:
    """Return those that drawn orders find; tests/sim/instances/test_chosen_orders.py has others.

    Two that were found once are hidden since later attempts end earlier ones: a desk that knows jobs and not attempts,
    and a feed that believes every claim (of 500 seeds, seed 275 finds it).
    """
    return {
        "what is queued here is started again": Planted(Parts(_ForgetsWhatIsQueued)),
        "mine is ignored": Planted(Parts(_IgnoresMine)),
        "one that was judged dead does not ask again": Planted(Parts(_DoesNotAskAgain)),
        "a result comes before accepted": Planted(Parts(desk=_EndsBeforeAccepted)),
        "a job without audio is sent": Planted(Parts(_SendsEmptyAudio), loses_writes=True),
        "hints after a gap acknowledge it": Planted(Parts(_AcknowledgesGaps)),
        "a result before its claim is lost": Planted(Parts(desk=_LosesEarlyResults)),
        "lost writes bring back the name of a node that has left": Planted(Parts(_RemembersNoNames), loses_writes=True),
        "a closed connection keeps its name": Planted(Parts(desk=_KeepsTheNameOfAClosedConnection)),
        "an invitation is not passed on": Planted(script_bug("take", "if left[pair] then", "if false then")),
        "mail is written for those who are gone": Planted(
            script_bug("_batch", "if not lease_of(batch, scheduler) then return end", "")
        ),
    }
