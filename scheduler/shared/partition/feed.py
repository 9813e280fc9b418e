"""One partition of the jobs, seen by one scheduler: what goes to the store in each flush.

Requests are collected and composed into one call a kind when a flush goes out, in an order in which nothing overtakes
what it depends on; the question for jobs comes last, and after a lost answer `mine` behind it. It decides nothing about
nodes or clients: that is the desk's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from voxpool.scheduler.config import ms
from voxpool.scheduler.core.script_queue import OnAnswer, ignore_answer
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.errors import StoreUnavailable
from voxpool.scheduler.shared.partition import audio_calls, calls
from voxpool.scheduler.shared.partition.asked import Asked, audio_s
from voxpool.scheduler.shared.partition.audio_calls import audio_name_of
from voxpool.scheduler.shared.partition.calls import Submit
from voxpool.scheduler.shared.partition.feed_answers import FeedAnswers
from voxpool.scheduler.shared.partition.letters import READ_MAX

BATCH_MAX = 90
"""Jobs of one call: below ARGUMENTS_MAX with the arguments of a submit. The rest goes with the next flush."""

LATELY_MS = 60_000
"""Outages that ended longer ago delay nothing any more."""

T = TypeVar("T")


class Feed(FeedAnswers):
    """The script queue of one partition. `name` is the scheduler's: new for each start."""

    batch_max = BATCH_MAX

    # ---- what the desk asks for

    def submit(self, asked: Asked) -> None:
        """Enter a job, or ask for it again."""
        self._submits[asked.job_id] = asked
        self.nudge()

    def finish(self, audio_name: str, job_id: str, attempt: int, state: str, outcome: str) -> None:
        """End an attempt that a node here has answered; its audio is dropped."""
        self._ends.append((job_id, attempt, state, outcome, audio_name))
        self.ending += 1
        self.nudge()

    def cancel(self, job_id: str, state: str, outcome: str) -> None:
        """End a job that its client no longer wants."""
        self._submits.pop(job_id, None)
        self._cancels[job_id] = (state, outcome)
        self.nudge()

    def claim(self, job_id: str, attempt: int, node: object) -> None:
        """Claim a job that `node` brings along; it is not given back, as it was not lost."""
        self._returns = [one for one in self._returns if (one.job_id, one.attempt) != (job_id, attempt)]
        self._claims.append((job_id, attempt, node))
        self.nudge()

    def withdraw(self, asked: Asked) -> None:
        """Nobody here waits for it any more: a question for it that has not been sent is not sent."""
        if self._submits.get(asked.job_id) is asked:
            del self._submits[asked.job_id]

    # ---- hints

    def hinted(self, text: str) -> None:
        """Messages came by the subscription, one a line."""
        for line in text.split("\n"):
            mail = calls.mail_of(line)
            if mail.number > self.letters.handled:  # else it was read before
                self._handle(mail)
                self.letters.hint(mail.number)
                self.nudge()

    def subscribed(self) -> None:
        """The subscription has begun, or begun again."""
        self.letters.broke()
        self.nudge()

    # ---- Selects: what the queue asks for at each flush

    @property
    def has_work(self) -> bool:
        """Whether there is something to send beside queued calls."""
        return bool(
            self._submits
            or self._ends
            or self._returns
            or self._claims
            or self._cancels
            or self._reads
            or self._drops
            or self._looks
            or self.names.has_changes
            or self._must_reconcile
            or self.letters.must_read
            or self.hunger.wants(self._desk.has_room)
        )

    @property
    def wants_select(self) -> bool:
        """Whether a flush has to go out."""
        return self.has_work

    def compose_select(self) -> tuple[ScriptCall, OnAnswer] | None:
        """Return the question for jobs; each job that is wanted has its slot reserved."""
        wants: list[tuple[str, int, bool]] = []
        slots: list[list[object]] = []
        for pair in self.hunger.wants(self._desk.has_room):
            most, found = self.hunger.ask(pair), list[object]()
            while len(found) < most and (slot := self._desk.reserve(pair)) is not None:
                found.append(slot)
            wants.append((pair, len(found), True))
            slots.append(found)
        if not wants:
            return None
        return calls.take(self.name, self._clock.now_ms(), self._floor, wants, self._settings.order), partial(
            self._took, wants, slots
        )

    def away_ms(self, now_ms: int) -> int:
        """Return for how long the store was away lately: what is due gets this time in addition."""
        away_ms = self.outages.between(now_ms - min(self.waiting_ms, LATELY_MS), now_ms)
        return min(away_ms, ms(self._settings.store_patience_s))

    def store_restarted(self) -> None:
        """The store has lost data, or may have: everything that is here is asked for again."""
        self.judges_from_ms = self._clock.now_ms() + self.lease_ms
        self._has_lost = True
        self.letters.begin_anew()
        self.ask_again()

    # ---- a flush

    def _take(self, selects: object) -> tuple[list[ScriptCall], list[OnAnswer]]:
        self.before_flush()
        self._compose()
        sent, handlers = super()._take(self)
        if self._must_reconcile:
            self._must_reconcile = False
            sent.append(calls.mine(self.name))
            handlers.append(self._reconcile)
        self._sent = handlers
        return sent, handlers

    async def _repeat(self, sent: list[ScriptCall], error: StoreUnavailable) -> list[list[str]]:
        """Send them again, with `mine` as the last: what the first try has taken is unknown."""
        if sent[-1].name != "mine":
            sent.append(calls.mine(self.name))
            self._sent.append(self._reconcile)
        return await super()._repeat(sent, error)

    def _compose(self) -> None:
        now_ms = self._clock.now_ms()
        if self.names.has_changes:
            rows = self.names.take_changes(self.batch_max)
            self.call(calls.nodes(self.name, now_ms, rows), partial(self.names.answered, rows))
        if self._claims:
            claims = _first(self._claims, self.batch_max)
            self.call(calls.claim(self.name, now_ms, [(i, a) for i, a, _ in claims]), partial(self._claimed, claims))
        if self._ends:
            ends = _first(self._ends, self.batch_max)
            self.call(calls.finish(self.name, now_ms, [end[:4] for end in ends]), partial(self._finished, ends))
        if self._returns:
            returns = _first(self._returns, self.batch_max)
            self.call(calls.requeue(self.name, now_ms, self.waiting_ms, returns), self._returned)
        if self._cancels:
            cancels = [(job_id, *self._cancels.pop(job_id)) for job_id in list(self._cancels)[: self.batch_max]]
            self.call(calls.cancel(self.name, now_ms, cancels), partial(self._cancelled, cancels))
        if self._drops:
            drops = _first(self._drops, self.batch_max)
            self.call(audio_calls.drop_audio([self._key(name) for name in drops]), ignore_answer)
        if self._reads:
            reads = _first(self._reads, self.batch_max)
            keys = [self._key(audio_name_of(taken.meta)) for taken, _ in reads]
            self.call(audio_calls.read_audio(keys), partial(self._audio_came, reads))
        if self._submits:
            self._compose_submits(now_ms)
        if self._looks:
            looks = _first(self._looks, self.batch_max)
            self.call(calls.find([job_id for job_id, _ in looks]), partial(_looked, looks))
        upto = self.letters.upto()
        if upto is not None:
            self.call(calls.mail(self.name, upto, READ_MAX), partial(self._mail_came, upto))

    def _compose_submits(self, now_ms: int) -> None:
        rows, sent = [], []
        for job_id in [job_id for job_id in self._submits if job_id not in self._cancels][: self.batch_max]:
            asked = self._submits.pop(job_id)
            slot = self._desk.reserve(asked.pair)
            size = len(asked.audio)
            if size and not asked.is_kept:
                asked.is_kept = True
                seconds = audio_s(self._settings, self.lease_ms / 1000, asked.attempts_max)
                self.call(audio_calls.keep_audio(self._key(asked.audio_name), asked.audio, seconds), ignore_answer)
            rows.append(
                Submit(
                    asked.job_id,
                    asked.pair,
                    slot is not None,
                    asked.expires_ms,
                    asked.attempts_max,
                    size,
                    asked.content,
                    asked.prefer,
                    asked.meta,
                    asked.turn,
                )
            )
            sent.append((asked, slot))
        if not rows:
            return
        bounds = self.totals.left_for(self.partition, filter(None, (calls.owner_of(row.turn) for row in rows)))
        call = calls.submit(self.name, now_ms, self._floor, self.waiting_ms, bounds, rows)
        self.call(call, partial(self._submitted, sent))


def _looked(looks: list[tuple[str, Callable[[str], None]]], answer: list[str]) -> None:
    for (_, then), record in zip(looks, answer, strict=True):
        then(record)


def _first(queue: list[T], most: int) -> list[T]:
    """Take the first of `queue`."""
    first = queue[:most]
    del queue[:most]
    return first
