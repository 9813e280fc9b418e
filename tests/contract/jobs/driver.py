"""Drives stores by random calls of lua/jobs/ and compares them with each other and with the expected partition.

A step is a kind and a number; its details are drawn from the number, relative to the current state.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.contract.jobs.job import FINAL, RUNS
from tests.contract.jobs.partition import Partition
from tests.contract.jobs.state import state_of
from tests.contract.jobs.turns import flow_errors
from tests.contract.sides import Side
from tests.contract.steps import Steps
from voxpool.scheduler.config import FAIR, SUBMIT
from voxpool.scheduler.core.scripts import ScriptCall
from voxpool.scheduler.shared.partition import calls
from voxpool.scheduler.shared.partition.calls import Bounds, NameCall, Return, Submit

# Names that are prefixes of others, and pairs that sort unexpectedly.
SCHEDULERS = ("s", "s-1", "s1", "S")
PAIRS = ("a:b", "a:bb", "a-b:c")
KEYS = ("", "k.2", "k/2", "k")
LEASE_MS, WAITING_MS, RETENTION_MS = 10_000, 8_000, 20_000

KINDS = {
    "submit": 50,
    "take": 45,
    "finish": 30,
    "requeue": 14,
    "cancel": 7,
    "claim": 8,
    "nodes": 10,
    "mail": 20,
    "beat": 14,
    "due": 8,
    "mine": 3,
    "sweep": 5,
    "find": 2,
    "list": 6,
    "repeat": 12,
    "pass_time": 20,
    "lose_data": 1,
    "lose_scripts": 1,
    "empty": 1,
}
"""Kind of a step -> its frequency."""


class Driver(Steps):
    """The calls of four schedulers, executed on all `sides`; some clocks are ahead by `skew_ms`."""

    def __init__(self, sides: Sequence[Side], skew_ms: int = 0, order: str = SUBMIT) -> None:
        super().__init__(sides, skew_ms)
        self._order = order
        is_fair = order == FAIR  # jobs of several keys must wait beside each other
        self._wanted = PAIRS[:2] if is_fair else PAIRS
        self._bounds: tuple[tuple[int, ...], ...] = ((6, 12, 1000), (900, 3_000, 10**9), (0, 2, 1000))
        if is_fair:
            self._bounds = ((24, 1000, 1000, 1000), (400, *[10**9] * 9), (8, 1000))
        self.partition = Partition()

    # ---- steps

    def _submit(self) -> None:
        chance, jobs = self._chance, []
        for _ in range(chance.choice((1, 1, 2, 4))):
            known = sorted(self.partition.jobs)
            if known and chance.random() < 0.25:
                job_id = chance.choice(known)
                job = self.partition.jobs[job_id]
                content = job.content if chance.random() < 0.9 else "other"
                jobs.append(
                    Submit(
                        job_id, job.pair, chance.random() < 0.5, job.expires, 3, job.bytes, content, "", "m2", job.turn
                    )
                )
                continue
            self._serial += 1
            expires = chance.choice((0, 0, self._now_ms + chance.randrange(1, 12_000)))
            attempts_max, size = chance.choice((1, 2, 3)), chance.choice((0, 10, 300))
            pair, room = chance.choice(self._wanted), chance.random() < 0.5
            texts = (f"{size}", self._prefer(), "m", self._turn())
            jobs.append(Submit(f"0.{self._serial}", pair, room, expires, attempts_max, size, *texts))
        elsewhere = "" if self._order == SUBMIT else chance.choice(("", "k|1|0", "k/2|3|250 k.2|0|100"))
        jobs_max, bytes_max, waiting_max = map(chance.choice, self._bounds)
        bounds = Bounds(jobs_max, bytes_max, waiting_max, elsewhere)
        self._call(calls.submit(self._who(), self._time(), self._floor(), WAITING_MS, bounds, jobs))

    def _turn(self) -> str:
        if self._order == SUBMIT:
            return ""
        chance = self._chance
        return calls.turn_of(chance.choice((1, 3, 3)), chance.choice(KEYS), chance.choice((0.5, 1, 2)))

    def _take(self) -> None:
        chance = self._chance
        wants = [(pair, chance.choice((0, 1, 1, 2, 5)), chance.random() < 0.8) for pair in self._pairs()]
        (answer,) = self._call(calls.take(self._who(), self._time(), self._floor(), wants, self._order))
        rows = calls.taken_of(answer)
        for pair in PAIRS if self._order == SUBMIT else ():
            places = [self.partition.jobs[row.job_id].place for row in rows if row.pair == pair]
            assert places == sorted(places), "the jobs of a pair are taken in the order of their places"

    def _finish(self) -> None:
        ends = [
            (
                *attempt,
                self._chance.choice("ccf"),
                self._chance.choice(("o|ut", "", "long" * 300, "r|n|17|2|" + "long" * 300)),
            )
            for attempt in self._attempts()
        ]
        self._call(calls.finish(self._holder, self._time(), ends))

    def _requeue(self) -> None:
        chance = self._chance
        returns = [
            Return(*attempt, chance.random() < 0.6, chance.choice((0, 0, 500, 3_000)), "error", chance.random() < 0.5)
            for attempt in self._attempts()
        ]
        self._call(calls.requeue(self._holder, self._time(), WAITING_MS, returns))

    def _cancel(self) -> None:
        chance = self._chance
        unfinished = sorted(job_id for job_id, job in self.partition.jobs.items() if job.state not in FINAL)
        known = unfinished if unfinished and chance.random() < 0.5 else [*sorted(self.partition.jobs), "unknown"]
        ends = [(job_id, chance.choice("xgf"), "cancelled") for job_id in chance.sample(known, min(2, len(known)))]
        self._call(calls.cancel(self._who(), self._time(), ends))

    def _claim(self) -> None:
        self._call(calls.claim(self._who(), self._time(), self._attempts()))

    def _nodes(self) -> None:
        """Nodes come, come again, are repeated after a loss, or leave."""
        chance, who = self._chance, self._who()
        rows = []
        for node in chance.sample(("n", "n-1", "n1", "N"), chance.choice((1, 1, 2))):
            entry = self.partition.nodes.get(node)
            if entry is not None and entry[0] == who and chance.random() < 0.5:  # it leaves, or an older connection has
                rows.append(NameCall(node, int(entry[1]) + chance.choice((0, 0, 1, -1)), "", again=False))
                continue
            self._serial += 1
            rows.append(NameCall(node, self._serial, chance.choice(("p", "q")), chance.random() < 0.3))
        self._call(calls.nodes(who, self._time(), rows))

    def _mail(self) -> None:
        chance, who = self._chance, self._who()
        numbers = [0, *self.partition.mail.get(who, {})]
        self._call(calls.mail(who, f"{chance.choice(numbers):016d}", chance.choice((1, 2, 500))))

    def _beat(self) -> None:
        chance = self._chance
        lease_ms = 0 if chance.random() < 0.1 else LEASE_MS
        limit, judges = chance.choice((1, 2, 500)), chance.random() < 0.8
        load, keys = chance.choice(("", "3.25|8", "0.00|0")), chance.choice(((), KEYS[1:3], KEYS[3:]))
        self._call(calls.beat(self._who(), self._time(), lease_ms, WAITING_MS, limit, judges, load, keys))

    def _due(self) -> None:
        self._call(calls.due(self._time(), WAITING_MS, self._chance.choice((1, 3, 500))))

    def _mine(self) -> None:
        self._call(calls.mine(self._who()))

    def _sweep(self) -> None:
        chance = self._chance
        self._call(calls.sweep(self._time() - RETENTION_MS, chance.choice((2, 1000)), chance.choice((1, 3, 500))))

    def _find(self) -> None:
        (job_id,) = self._chance.sample([*sorted(self.partition.jobs), "unknown"], 1)
        self._call(calls.find([job_id]))
        self._call(calls.place(job_id))

    def _list(self) -> None:
        places = self.partition.counts["place"]
        self._call(
            calls.list_jobs(
                self._chance.choice((0, 0, 1, places // 2, places + 1)), self._chance.choice((1, 3, 500, 500))
            )
        )

    def _pass_time(self) -> None:
        self._now_ms += self._chance.choice((1, 400, 1_000, 3_000, 3_000, 11_000))

    def _lose_data(self) -> None:
        for side in self._sides:
            side.clear()
        self.partition.forget()

    def _empty(self) -> None:
        """All schedulers but one are dead, everybody gives up: after lease, time-outs and retention only it is left."""
        last = "last"
        for _ in range(100):
            self._now_ms += LEASE_MS + 1
            self._call(calls.beat(last, self._now_ms, LEASE_MS, WAITING_MS, 500, True))
            self._call(calls.due(self._now_ms, WAITING_MS, 500))
            ends = [(job_id, job.attempt, "c", "") for job_id, job in self.partition.jobs.items() if job.state == RUNS]
            self._call(calls.finish(last, self._now_ms, ends))
            self._call(calls.mail(last, "9" * 16, 500))
            self._call(calls.sweep(self._now_ms - RETENTION_MS, 1000, 500))
            is_alone = self.partition.leases.keys() == {last}  # a clock that is ahead makes a lease longer
            if is_alone and not (self.partition.jobs or self.partition.ended or self.partition.listed):
                break
        for side in self._sides:
            assert set(side.dump()) <= {"schedulers", "counts"}, side.dump()
            assert len(side.dump()["counts"]) == 1, "no key and no dead scheduler has anything left"
        place, open_jobs, size, _ = side.dump()["counts"][0][1].split("|")
        assert (open_jobs, size) == ("0", "0") and int(place) >= 0

    # ---- details of the steps

    def _time(self) -> int:
        return self._now_ms + (self._skew_ms if self._chance.random() < 0.5 else 0)

    def _who(self) -> str:
        return self._chance.choice(SCHEDULERS)

    def _prefer(self) -> str:
        return self._chance.choice(("", "", *SCHEDULERS))

    def _floor(self) -> int:
        return self._chance.choice((0, 0, 3))

    def _pairs(self) -> list[str]:
        return self._chance.sample(self._wanted, self._chance.choice((1, 1, 2)))

    _holder = ""

    def _attempts(self) -> list[tuple[str, int]]:
        """Draw some attempts, most of them those that a scheduler, the `_holder`, has now."""
        chance = self._chance
        self._holder = self._who()
        held = self.partition.taken(self._holder)
        others = sorted(self.partition.jobs)
        chosen = chance.sample(held, min(len(held), chance.choice((1, 1, 2, 3))))
        if others and chance.random() < 0.3:
            chosen.append(chance.choice(others))
        wrong = chance.random() < 0.1
        return [(job_id, self.partition.jobs[job_id].attempt - wrong) for job_id in dict.fromkeys(chosen)]

    # ---- comparison

    def _call(self, *flush: ScriptCall) -> list[list[str]]:
        """Run one flush on every side and check the answers."""
        self._remember(flush)
        expected = [self.partition.answer(call) for call in flush]
        for side in self._sides:
            answers = side.run(flush)
            assert answers == expected, f"{side.name} answers {answers}, expected is {expected}, to {flush}"
        for call, answer in zip(flush, expected, strict=True):
            words = [text for text in answer if text.isupper() and text.isalpha()]
            self.reached.update(f"{call.name}: {word}" for word in words or ["data" if answer else "nothing"])
            self.reached.update(f"mail: {text.split('|')[1]}" for text in answer[1:] if call.name == "mail")
        return expected

    def check(self) -> None:
        """Assert that all sides have the expected state, and that it is sound."""
        partition, expected = self.partition, state_of(self.partition)
        for side in self._sides:
            found = side.dump()
            flows, turns = (dict(found.pop(family, [])) for family in ("flows", "turns"))
            assert flow_errors(flows, turns, partition.jobs.values()) == [], side.name
            assert found == expected, f"{side.name} holds {found}, expected is {expected}"
        unfinished = [job for job in partition.jobs.values() if job.state not in FINAL]
        assert partition.counts["open"] == len(unfinished)
        assert partition.counts["bytes"] == sum(job.bytes for job in unfinished)
        assert all(times == 1 for times in partition.ends.values()), "a job ends once"
        for job in unfinished:
            assert job.due > 0 or job.by in partition.leases, f"nobody answers for {job}"
        for pair, name in partition.hungry:
            if name in partition.leases and partition.waiting(pair):
                assert any(wanted == pair for wanted, _ in partition.invited), (
                    f"{name} is hungry beside a job of {pair}"
                )


def random_steps(seed: int, count: int) -> list[tuple[str, int]]:
    """Return `count` steps drawn from `seed`."""
    chance = random.Random(seed)
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count)
    return [(kind, chance.randrange(2**32)) for kind in kinds]
