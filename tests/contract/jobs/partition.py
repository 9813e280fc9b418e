"""A partition of jobs in plain Python: what lua/jobs/ must answer, and the state that must follow.

Nothing in these scripts is left to chance, so the answers and the whole state are predicted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.contract.jobs.bounds import has_its_part, waiting_bound
from tests.contract.jobs.job import FINAL, NEW, OUTCOME_MAX, RESTS, RUNS, WAITS, Job
from tests.contract.jobs.members import beat, nodes, sweep
from tests.contract.jobs.questions import find, list_jobs, place
from tests.contract.jobs.turns import Turns
from voxpool.scheduler.core.scripts import ScriptCall


@dataclass
class Partition:
    """The expected state."""

    jobs: dict[str, Job] = field(default_factory=dict)
    hungry: dict[tuple[str, str], int] = field(default_factory=dict)
    """(pair, scheduler) -> the number of its wish."""
    mail: dict[str, dict[int, str]] = field(default_factory=dict)
    ended: list[tuple[str, int]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    """The jobs by place; the last one has the last place."""
    leases: dict[str, int] = field(default_factory=dict)
    loads: dict[str, str] = field(default_factory=dict)
    """What members have passed with their last beat that had a load."""
    invited: set[tuple[str, str]] = field(default_factory=set)
    """(pair, scheduler): invited, and has not asked for the pair since."""
    preferred: dict[str, set[str]] = field(default_factory=dict)
    """Pair -> schedulers that jobs which begin to wait in this call prefer."""
    nodes: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Node -> scheduler, number of the connection, process."""
    turns: Turns = field(default_factory=Turns)
    counts: Counter[str] = field(default_factory=Counter)
    is_counted: bool = False
    ends: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(job, place) -> how often it has ended: a place is given once."""

    def answer(self, call: ScriptCall) -> list[str]:
        """Apply `call` and return what it must answer."""
        self.preferred.clear()
        answer: list[str] = _SCRIPTS[call.name](self, call.args)
        self.turns.settle(job for job in self.jobs.values() if job.state == WAITS and job.turn)
        return answer

    def forget(self) -> None:
        """All data are lost."""
        self.__init__()  # type: ignore[misc]

    def waiting_jobs(self, pair: str) -> list[Job]:
        """Return the records of the waiting jobs of a pair."""
        return [job for job in self.jobs.values() if job.state == WAITS and job.pair == pair]

    def waiting(self, pair: str) -> list[str]:
        """Return the waiting jobs of a pair, the oldest first."""
        found = [job_id for job_id, job in self.jobs.items() if job.state == WAITS and job.pair == pair]
        return sorted(found, key=lambda job_id: self.jobs[job_id].place)

    @property
    def oldest_place(self) -> int:
        """The place of the first job of `listed`."""
        return self.counts["place"] - len(self.listed) + 1

    def taken(self, scheduler: str) -> list[str]:
        """Return the jobs that a scheduler has, by name."""
        return sorted(i for i, job in self.jobs.items() if job.state == RUNS and job.by == scheduler)

    # ---- steps that several scripts share

    def count(self, name: str, by: int) -> int:
        self.counts[name] += by
        self.is_counted = True
        return self.counts[name]

    def tell(self, scheduler: str, text: str) -> None:
        if scheduler in self.leases:
            self.mail.setdefault(scheduler, {})[self.count("mail", 1)] = text

    def be_member(self, scheduler: str) -> None:
        if scheduler not in self.leases:
            self.leases[scheduler] = 0
            self.tell(scheduler, "born|")

    def _invite(self, pair: str, most: int, now: int) -> None:
        preferred = self.preferred.get(pair, set())
        by_age = sorted(self.hungry.items(), key=lambda item: item[1])
        for (wanted, scheduler), _ in sorted(by_age, key=lambda item: item[0][1] not in preferred):
            if wanted == pair and most > 0:
                del self.hungry[pair, scheduler]
                self.tell(scheduler, f"come|{pair}")
                self.invited.add((pair, scheduler))
                most -= self.leases.get(scheduler, 0) > now

    def wait(self, job: Job, until: int) -> None:
        if job.turn:
            self.turns.begins(job, self.waiting_jobs(job.pair))
        job.state, job.by, job.until = WAITS, "", str(until)
        job.due = min(job.expires or until, until)
        if job.prefer:
            self.preferred.setdefault(job.pair, set()).add(job.prefer)

    def _take(self, job: Job, scheduler: str, floor: int) -> None:
        job.state, job.by, job.due = RUNS, scheduler, 0
        job.attempt = max(job.attempt, floor) + 1

    def finish(self, job_id: str, state: str, outcome: str, now: int, told: str) -> None:
        job = self.jobs[job_id]
        job.state, job.outcome, job.since, job.due, job.until, job.prefer = state, outcome, now, 0, "", ""
        self.ends[job_id, job.place] += 1
        self.count("open", -1)
        self.count("bytes", -job.bytes)
        self.ended.append((job_id, now))
        for client in job.client.split(","):
            if client != told:
                text = f"end|{job_id}|{state}|{job.by}|{outcome}"
                self.tell(client, f"read|{job_id}" if len(outcome) > OUTCOME_MAX else text)

    def _next(self, pair: str, want: int) -> list[str]:
        """Take the next jobs of a pair in the fair order."""
        taken: list[Job] = []
        while len(taken) < want and (waiting := self.waiting_jobs(pair)):
            taken.append(self.turns.next(waiting))
            taken[-1].state = RUNS
        return [next(name for name, job in self.jobs.items() if job is one) for one in taken]

    def _row(self, job_id: str) -> list[str]:
        return [job_id, self.jobs[job_id].text]

    def invite_for(self, waits: dict[str, int], now: int) -> None:
        for pair, most in waits.items():
            self._invite(pair, most, now)

    # ---- the scripts

    def _submit(self, args: list[str]) -> list[str]:
        scheduler, (now, floor, waiting, jobs_max, bytes_max, waiting_max) = args[0], map(int, args[1:7])
        self.be_member(scheduler)
        answer, waits = [], Counter[str]()
        for at in range(8, len(args), 7):
            job_id, pair, room, size, prefer, turn, rest = args[at : at + 7]
            expires, attempts_max, content, _, meta, _ = rest.split("|")
            starts = room == "1" and not self.waiting(pair)
            job = self.jobs.get(job_id)
            anew = job is not None and (job.state == "g" or (job.state == "f" and job.attempt == job.first))
            if job is not None and not anew:
                if (job.pair, job.content) != (pair, content):
                    answer += ["CONFLICT", ""]
                    continue
                runs_here = job.state == RUNS and job.by == scheduler
                answer += ["GRANT", str(job.attempt)] if runs_here else ["KNOWN", job.text]
                if job.state not in FINAL:
                    job.meta = meta
                    if scheduler not in job.client.split(","):
                        job.client = ",".join([*self._other_clients(job, scheduler), scheduler])
            elif self.counts["open"] >= jobs_max:
                answer += ["FULL", "jobs_max"]
            elif self.counts["bytes"] + int(size) > bytes_max:
                answer += ["FULL", "bytes_max"]
            elif has_its_part(self, turn, int(size), (jobs_max, bytes_max), args[7]):
                answer += ["FULL", "share"]
            elif not starts and (reason := waiting_bound(self, pair, turn, waiting_max)):
                answer += ["FULL", reason]
            else:
                attempt = job.attempt if job else 0
                self.count("open", 1)
                self.count("bytes", int(size))
                is_wanted = self.leases.get(prefer, 0) > now and (pair, prefer) in self.hungry
                place = self.count("place", 1)
                self.listed.append(job_id)
                numbers = (attempt, attempt, int(attempts_max), int(expires), int(size))
                job = self.jobs[job_id] = Job(WAITS, pair, place, scheduler, *numbers, content, now, meta)
                job.until, job.prefer, job.turn = str(now + waiting), prefer, turn
                job.state = NEW
                if starts and (prefer in ("", scheduler) or not is_wanted):
                    self._take(job, scheduler, floor)
                    answer += ["GRANT", str(job.attempt)]
                else:
                    self.wait(job, now + waiting)
                    waits[pair] += 1
                    answer += ["WAIT", ""]
        self.invite_for(waits, now)
        return answer

    def _take_script(self, args: list[str]) -> list[str]:
        scheduler, now, floor = args[0], int(args[1]), int(args[2])
        self.be_member(scheduler)
        rows: list[str] = []
        left: list[str] = []
        wishes = [(args[at], int(args[at + 1]), args[at + 2] == "1") for at in range(4, len(args), 3)]
        for pair, want, hungry in wishes:
            found = self.waiting(pair)
            for job_id in self._next(pair, want) if args[3] == "fair" else found[:want]:
                self._take(self.jobs[job_id], scheduler, floor)
                rows += self._row(job_id)
            self.invited.discard((pair, scheduler))
            if hungry and len(found) < want:
                if (pair, scheduler) not in self.hungry:
                    self.hungry[pair, scheduler] = self.count("mail", 1)
            else:
                self.hungry.pop((pair, scheduler), None)
            if len(found) > want:
                left.append(pair)
        self.invite_for(dict.fromkeys(left, 1), now)
        return rows

    def _finish_script(self, args: list[str]) -> list[str]:
        scheduler, now, answer = args[0], int(args[1]), []
        for at in range(2, len(args), 4):
            job_id, attempt, state, outcome = args[at : at + 4]
            job = self.jobs.get(job_id)
            if job is None or (job.by, job.attempt) != (scheduler, int(attempt)):
                answer += ["LATE", ""]
            elif job.state == RUNS:
                self.finish(job_id, state, outcome, now, scheduler)
                answer += ["OK", job.client]
            else:
                answer += ["OK", job.client] if (job.state, job.outcome) == (state, outcome) else ["LATE", ""]
        return answer

    def _requeue(self, args: list[str]) -> list[str]:
        scheduler, now, waiting = args[0], int(args[1]), int(args[2])
        answer, waits = [], Counter[str]()
        for at in range(3, len(args), 5):
            job_id, attempt, counted, pause, reason = args[at : at + 5]
            job = self.jobs.get(job_id)
            if job is None or (job.state, job.by, job.attempt) != (RUNS, scheduler, int(attempt)):
                answer.append("LATE")
                continue
            job.lost += counted != "0"
            if counted != "0" and job.lost >= job.attempts_max:
                self.finish(job_id, "f", f"attempts_max|{reason}", now, "")
                answer.append("ENDED")
                continue
            answer.append("OK")
            if pause != "0":
                job.state, job.by, job.due = RESTS, "", min(job.expires or now + int(pause), now + int(pause))
            else:
                self.wait(job, now + waiting if counted != "0" else int(job.until))
                waits[job.pair] += 1
            if counted == "2" and job.turn:
                self.turns.charge(job)
        self.invite_for(waits, now)
        return answer

    def _other_clients(self, job: Job, scheduler: str) -> list[str]:
        return [one for one in job.client.split(",") if one != scheduler and one in self.leases]

    def _cancel(self, args: list[str]) -> list[str]:
        scheduler, now, answer = args[0], int(args[1]), []
        for at in range(2, len(args), 3):
            job_id, state, outcome = args[at : at + 3]
            job = self.jobs.get(job_id)
            if job is None:
                answer += ["GONE", ""]
            elif job.state in FINAL:
                answer += ["ENDED", job.text]
            elif state == "g" and (others := self._other_clients(job, scheduler)):
                job.client = ",".join(others)
                answer += ["KEPT", job.text]
            else:
                if job.state == RUNS and job.by != scheduler:
                    self.tell(job.by, f"stop|{job_id}|{job.attempt}")
                self.finish(job_id, state, outcome, now, scheduler)
                answer += ["OK", job.text]
        return answer

    def _claim(self, args: list[str]) -> list[str]:
        scheduler, answer = args[0], []
        self.be_member(scheduler)
        for at in range(2, len(args), 2):
            job_id, attempt = args[at], args[at + 1]
            job = self.jobs.get(job_id)
            if job is None or (job.state, job.attempt) != (RUNS, int(attempt)):
                answer += ["GONE", ""]
                continue
            if job.by != scheduler:
                self.tell(job.by, f"moved|{job_id}|{attempt}")
                job.by = scheduler
            answer += ["OK", job.text]
        return answer

    def _mail(self, args: list[str]) -> list[str]:
        scheduler, upto, limit = args[0], int(args[1]), int(args[2])
        letters = self.mail.get(scheduler, {})
        seen = list(letters)[:limit]
        answer = ["MORE" if len(seen) == limit else "ALL"]
        for number in seen:
            if number <= upto:
                del letters[number]
            else:
                answer.append(f"{number:016d}|{letters[number]}")
        return answer

    def _due(self, args: list[str]) -> list[str]:
        now, waiting, limit = map(int, args)
        found = sorted((job.due, job_id) for job_id, job in self.jobs.items() if 0 < job.due <= now)[:limit]
        waits: Counter[str] = Counter()
        for _, job_id in found:
            job = self.jobs[job_id]
            if 0 < job.expires <= now:
                self.finish(job_id, "f", "expired", now, "")
            elif job.state == RESTS:
                self.wait(job, now + waiting)
                waits[job.pair] += 1
            else:
                self.finish(job_id, "f", "waiting_timeout", now, "")
        self.invite_for(waits, now)
        return [str(len(found))]

    def _mine(self, args: list[str]) -> list[str]:
        return [text for job_id in self.taken(args[0])[: int(args[1])] for text in self._row(job_id)]


_SCRIPTS = {
    "submit": Partition._submit,
    "take": Partition._take_script,
    "finish": Partition._finish_script,
    "requeue": Partition._requeue,
    "cancel": Partition._cancel,
    "claim": Partition._claim,
    "mail": Partition._mail,
    "beat": beat,
    "nodes": nodes,
    "due": Partition._due,
    "mine": Partition._mine,
    "sweep": sweep,
    "find": find,
    "place": place,
    "list": list_jobs,
}
