"""What the answers of a partition mean, and its messages: the half of a feed that comes after a flush."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from voxpool.scheduler.config import Settings
from voxpool.scheduler.core.clock import Clock
from voxpool.scheduler.core.script_queue import OnAnswer, Outages, ScriptQueue
from voxpool.scheduler.core.seams import Observer, ScriptRunner
from voxpool.scheduler.shared.partition import audio_calls
from voxpool.scheduler.shared.partition.asked import Asked
from voxpool.scheduler.shared.partition.audio_calls import audio_name_of
from voxpool.scheduler.shared.partition.calls import Mail, Return, Said, Taken, record_of, taken_of
from voxpool.scheduler.shared.partition.hunger import Hunger
from voxpool.scheduler.shared.partition.letters import Letters
from voxpool.scheduler.shared.partition.names import Names
from voxpool.scheduler.shared.partition.seams import Desk
from voxpool.scheduler.shared.partition.totals import Totals

AUDIO_PAUSE_MS = 1000
"""The pause of a job without audio: its client's scheduler is asking again, as data were lost. Then it has failed."""


class FeedAnswers(ScriptQueue):
    """The state of a feed, and what changes it when answers and messages come."""

    def __init__(
        self,
        partition: int,
        name: str,
        desk: Desk,
        *,
        runner: ScriptRunner,
        clock: Clock,
        settings: Settings,
        observer: Observer,
        lease_ms: int,
        waiting_ms: int,
        totals: Totals,
    ) -> None:
        super().__init__(runner, clock, lease_ms, observer, Outages(settings), self._store_is_back)
        self.observer = observer
        self.partition = partition
        self.name = name
        self.lease_ms = lease_ms
        self.waiting_ms = waiting_ms
        self.judges_from_ms = 0
        """Until then nobody is judged dead: the store was away, and all leases have ended together."""
        self.must_beat = True
        self.before_flush: Callable[[], None] = _nothing
        """Queues what the members role has to do now."""
        self.letters = Letters()
        self.hunger = Hunger()
        self._desk = desk
        self._settings = settings
        self.totals = totals
        """The bounds; all feeds of a scheduler share them."""
        self.names = Names()
        """The nodes here whose names are at home in this partition."""
        self._seen = 0
        """The highest attempt that a job here has had."""
        self._has_lost = False
        """Whether the store has lost data in the life of this scheduler."""
        self._must_reconcile = False
        self._submits: dict[str, Asked] = {}
        self.ending = 0
        """Results of nodes here that the store has not confirmed."""
        self._ends: list[tuple[str, int, str, str, str]] = []
        self._returns: list[Return] = []
        self._claims: list[tuple[str, int, object]] = []
        self._cancels: dict[str, tuple[str, str]] = {}
        self._reads: list[tuple[Taken, object]] = []
        self._drops: list[str] = []
        self._looks: list[tuple[str, Callable[[str], None]]] = []
        self._postponed: dict[str, Asked] = {}
        """Accepted jobs that the store has lost, and has no room for now."""
        self._sent_pairs: dict[str, None] = {}
        """Pairs of jobs that waited for another scheduler since the last look: it may have died."""
        self._sent: list[OnAnswer] = []

    @property
    def _floor(self) -> int:
        """The attempts of a job are 1, 2, …; above all seen here once the store has lost writes, and forgotten numbers.

        A flush that finds the loss was composed before. A number that it brings again is then the same attempt here.
        """
        return self._seen if self._has_lost else 0

    def give_back(
        self, job_id: str, attempt: int, reason: str, counted: bool = True, pause_ms: int = 0, pays: bool = False
    ) -> None:
        """Let the job wait again; its key `pays` once more when the job failed by itself."""
        self._returns.append(Return(job_id, attempt, counted, pause_ms, reason, pays))
        self.nudge()

    def look_up(self, job_id: str, then: Callable[[str], None]) -> None:
        """Pass the record of a job to `then`, or "" when it is unknown; it is read after all that was asked before."""
        self._looks.append((job_id, then))
        self.nudge()

    def drop_audio(self, name: str) -> None:
        """Remove an audio with the next flush."""
        if name:
            self._drops.append(name)

    def ask_again(self) -> None:
        """What the store knows of this scheduler is in doubt."""
        self.must_beat = self._must_reconcile = True
        self.hunger.forget()
        self.names.ask_again()
        for asked in self._desk.asked(self.partition):
            asked.is_kept = False
            self._submits.setdefault(asked.job_id, asked)
        self.nudge()

    def ask_postponed(self) -> None:
        """Ask for those again that the store had no room for, and for those that another scheduler has not taken."""
        while self._sent_pairs:
            self.hunger.invited(self._sent_pairs.popitem()[0])
        while self._postponed:
            job_id, asked = self._postponed.popitem()
            if self._desk.find_asked(job_id) is asked:
                self._submits.setdefault(job_id, asked)

    def _store_is_back(self) -> None:
        self.judges_from_ms = self._clock.now_ms() + self.lease_ms

    def _key(self, name: str) -> str:
        return audio_calls.audio_key(self.partition, name)

    def _busy(self) -> set[str]:
        """Jobs about which something is queued here that the store does not know yet."""
        return {
            *(end[0] for end in self._ends),
            *(one.job_id for one in self._returns),
            *(claim[0] for claim in self._claims),
            *(taken.job_id for taken, _ in self._reads),
            *self._cancels,
        }

    # ---- answers

    def _submitted(self, sent: Sequence[tuple[Asked, object | None]], answer: list[str]) -> None:
        busy = self._busy() if Said.GRANT in answer else set()
        for (asked, slot), word, rest in zip(sent, answer[::2], answer[1::2], strict=True):
            job_id = asked.job_id
            if word == Said.GRANT:
                self._granted(asked, int(rest), slot, busy)
            elif slot is not None:
                self._desk.free(slot)
            if word == Said.FULL and asked.is_accepted:
                self._postponed[job_id] = asked  # the store has lost it: it was accepted, so it is not refused now
                continue
            if word in (Said.CONFLICT, Said.FULL):
                self._desk.ended(job_id, "r", rest or "request_id_conflict")
                self.drop_audio(asked.audio_name)
                continue
            if word == Said.WAIT and asked.prefer not in ("", self.name):
                self._sent_pairs[asked.pair] = None
            if word == Said.KNOWN:
                record = record_of(rest)
                if record.ended:
                    self.drop_audio(asked.audio_name)
                    self._end(asked, record.state, record.by, record.outcome)
                    continue
            self._desk.accepted(job_id)

    def _granted(self, asked: Asked, attempt: int, slot: object | None, busy: set[str]) -> None:
        self._seen = max(self._seen, attempt)
        if self._desk.has(asked.job_id, attempt) or asked.job_id in busy:
            if slot is not None:
                self._desk.free(slot)
            return
        slot = self._desk.reserve(asked.pair) if slot is None else slot
        if slot is None:
            self.give_back(asked.job_id, attempt, "no_slot", counted=False)
            return
        size, limits = len(asked.audio), (asked.expires_ms, 0, asked.attempts_max)
        taken = Taken(asked.job_id, attempt, asked.pair, self.name, size, *limits, asked.meta)
        self._desk.start(taken, slot, asked.audio)

    def _took(self, wants: Sequence[tuple[str, int, bool]], slots: Sequence[list[object]], answer: list[str]) -> None:
        reserved = {want[0]: found for want, found in zip(wants, slots, strict=True)}
        jobs = taken_of(answer)
        got = Counter(taken.pair for taken in jobs)
        for pair, found in reserved.items():
            while len(found) > got[pair]:  # first: a job may want another slot than the one that was reserved
                self._desk.free(found.pop())
        for taken in jobs:
            self._begin(taken, reserved[taken.pair].pop())
        for pair, want, _ in wants:
            self.hunger.answered(pair, want, got[pair], self._desk.has_room(pair))

    def _begin(self, taken: Taken, slot: object) -> None:
        self._seen = max(self._seen, taken.attempt)
        asked = self._desk.find_asked(taken.job_id)
        if asked is not None or not taken.bytes:
            self._desk.start(taken, slot, asked.audio if asked is not None else b"")
        else:
            self._reads.append((taken, slot))

    def _audio_came(self, reads: Sequence[tuple[Taken, object]], answer: list[str]) -> None:
        for (taken, slot), audio in zip(reads, audio_calls.audio_of(answer), strict=True):
            if audio:
                self._desk.start(taken, slot, audio)
            else:  # the record outlived its audio: the client's scheduler brings it again, or the job fails in the end
                self._desk.free(slot)
                self.give_back(taken.job_id, taken.attempt, "audio_lost", pause_ms=AUDIO_PAUSE_MS)

    def _finished(self, ends: Sequence[tuple[str, int, str, str, str]], answer: list[str]) -> None:
        for (job_id, _, state, outcome, audio), word, client in zip(ends, answer[::2], answer[1::2], strict=True):
            if word != Said.OK:
                self._must_reconcile = True  # what was believed here is not so
                continue
            self.drop_audio(audio)
            asked = self._desk.find_asked(job_id)
            if asked is not None and self.name in client.split(","):
                self._end(asked, state, self.name, outcome)
        self.ending -= len(ends)

    def _returned(self, answer: list[str]) -> None:
        if Said.LATE in answer:
            self._must_reconcile = True

    def _cancelled(self, rows: Sequence[tuple[str, str, str]], answer: list[str]) -> None:
        for (job_id, state, outcome), word, rest in zip(rows, answer[::2], answer[1::2], strict=True):
            if word in (Said.GONE, Said.KEPT):  # it was never sent, or lost; or it goes on without the client here
                self._desk.ended(job_id, state, outcome)
                continue
            record = record_of(rest)
            self.drop_audio(audio_name_of(record.meta))  # who ended it may not know its name
            if word == Said.OK:
                self._desk.give_up(job_id, record.attempt)
            self._desk.ended(job_id, record.state, record.outcome)

    def _claimed(self, claims: Sequence[tuple[str, int, object]], answer: list[str]) -> None:
        for (job_id, attempt, node), word, rest in zip(claims, answer[::2], answer[1::2], strict=True):
            if word != Said.OK:
                self._desk.claimed(job_id, attempt, node, None)
                continue
            record = record_of(rest)
            self._seen = max(self._seen, attempt)
            self._desk.claimed(job_id, attempt, node, record)

    def _reconcile(self, answer: list[str]) -> None:
        """Compare what the store says is ours with what is here."""
        busy, ours = self._busy(), taken_of(answer)
        known = {(taken.job_id, taken.attempt) for taken in ours}
        # First: after lost writes the store may name an attempt that is older than the one here.
        for job_id, attempt in self._desk.held(self.partition):
            if (job_id, attempt) not in known and job_id not in busy:
                self._desk.give_up(job_id, attempt)
        for taken in ours:
            self._seen = max(self._seen, taken.attempt)
            if taken.job_id not in busy and not self._desk.has(taken.job_id, taken.attempt):
                # Whether it was sent is unknown, and an attempt is sent once: it gets a new one.
                self.give_back(taken.job_id, taken.attempt, "answer_lost", counted=False)
        self.hunger.forget()

    def _mail_came(self, upto: str, answer: list[str]) -> None:
        for mail in self.letters.read(upto, answer):
            self._handle(mail)

    def _handle(self, mail: Mail) -> None:
        _HANDLERS[mail.kind](self, mail.rest)

    def _end_came(self, rest: str) -> None:
        job_id, state, by, outcome = rest.split("|", 3)
        asked = self._desk.find_asked(job_id)
        if asked is not None:
            self.drop_audio(asked.audio_name)
            self._end(asked, state, by, outcome)

    def _end(self, asked: Asked, state: str, by: str, outcome: str) -> None:
        asked.by = by
        self._desk.ended(asked.job_id, state, outcome)

    def _read_came(self, job_id: str) -> None:
        self.look_up(job_id, partial(self._found, job_id))

    def _found(self, job_id: str, text: str) -> None:
        asked = self._desk.find_asked(job_id)
        record = record_of(text) if text else None
        if asked is None:
            return
        if record is not None and record.ended:
            self.drop_audio(asked.audio_name)
            self._end(asked, record.state, record.by, record.outcome)
        else:  # it is forgotten, or has begun anew
            self._submits.setdefault(job_id, asked)

    def _stop_came(self, rest: str) -> None:
        job_id, attempt = rest.split("|")
        self._desk.give_up(job_id, int(attempt))

    def _moved_came(self, rest: str) -> None:
        # Not given up here: its node may have come back since, and a claim of ours may be newer than this.
        self._must_reconcile = True

    def _born_came(self, rest: str) -> None:
        self.ask_again()

    def _look_came(self, rest: str) -> None:
        self.hunger.look_everywhere()

    def _come_came(self, pair: str) -> None:
        self.hunger.invited(pair)


_HANDLERS: dict[str, Callable[[FeedAnswers, str], None]] = {
    "end": FeedAnswers._end_came,
    "read": FeedAnswers._read_came,
    "replaced": lambda feed, rest: feed.names.replaced(rest),
    "probe": lambda feed, rest: feed.names.probed(rest),
    "stop": FeedAnswers._stop_came,
    "moved": FeedAnswers._moved_came,
    "born": FeedAnswers._born_came,
    "look": FeedAnswers._look_came,
    "come": FeedAnswers._come_came,
}


def _nothing() -> None:
    """Do nothing."""
