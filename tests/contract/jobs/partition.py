"""A partition of jobs in plain Python: what lua/jobs/ must answer, and the state that must follow.

Nothing in these scripts is left to chance, so the answers and the whole state are predicted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.contract.jobs.job import FINAL, RESTS, RUNS, WAITS, Job
from voxpool.scheduler.core.scripts import ScriptCall


@dataclass
class Partition:
    """The expected state."""

    jobs: dict[str, Job] = field(default_factory=dict)
    hungry: dict[tuple[str, str], int] = field(default_factory=dict)
    """(pair, scheduler) -> the number of its wish."""
    mail: dict[str, dict[int, str]] = field(default_factory=dict)
    ended: list[tuple[str, int]] = field(default_factory=list)
    leases: dict[str, int] = field(default_factory=dict)
    invited: set[tuple[str, str]] = field(default_factory=set)
    """(pair, scheduler): invited, and has not asked for the pair since."""
    counts: Counter[str] = field(default_factory=Counter)
    is_counted: bool = False
    ends: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(job, place) -> how often it has ended: a place is given once."""

    def answer(self, call: ScriptCall) -> list[str]:
        """Apply `call` and return what it must answer."""
        answer: list[str] = _SCRIPTS[call.name](self, call.args)
        return answer

    def forget(self) -> None:
        """All data are lost."""
        self.__init__()  # type: ignore[misc]

    def waiting(self, pair: str) -> list[str]:
        """Return the waiting jobs of a pair, the oldest first."""
        found = [job_id for job_id, job in self.jobs.items() if job.state == WAITS and job.pair == pair]
        return sorted(found, key=lambda job_id: self.jobs[job_id].place)

    def taken(self, scheduler: str) -> list[str]:
        """Return the jobs that a scheduler has, by name."""
        return sorted(i for i, job in self.jobs.items() if job.state == RUNS and job.by == scheduler)

    # ---- steps that several scripts share

    def _count(self, name: str, by: int) -> int:
        self.counts[name] += by
        self.is_counted = True
        return self.counts[name]

    def _tell(self, scheduler: str, text: str) -> None:
        if scheduler in self.leases:
            self.mail.setdefault(scheduler, {})[self._count("mail", 1)] = text

    def _be_member(self, scheduler: str) -> None:
        if scheduler not in self.leases:
            self.leases[scheduler] = 0
            self._tell(scheduler, "born|")

    def _invite(self, pair: str, most: int, now: int) -> None:
        for (wanted, scheduler), _ in sorted(self.hungry.items(), key=lambda item: item[1]):
            if wanted == pair and most > 0:
                del self.hungry[pair, scheduler]
                self._tell(scheduler, f"come|{pair}")
                self.invited.add((pair, scheduler))
                most -= self.leases.get(scheduler, 0) > now

    def _wait(self, job: Job, now: int, waiting: int) -> None:
        job.state, job.by = WAITS, ""
        job.due = min(job.expires or now + waiting, now + waiting)

    def _take(self, job: Job, scheduler: str, floor: int) -> None:
        job.state, job.by, job.due = RUNS, scheduler, 0
        job.attempt = max(job.attempt, floor) + 1

    def _finish(self, job_id: str, state: str, outcome: str, now: int, told: str) -> None:
        job = self.jobs[job_id]
        job.state, job.outcome, job.since, job.due = state, outcome, now, 0
        self.ends[job_id, job.place] += 1
        self._count("open", -1)
        self._count("bytes", -job.bytes)
        self.ended.append((job_id, now))
        for client in job.client.split(","):
            if client != told:
                self._tell(client, f"end|{job_id}|{state}|{outcome}")

    def _row(self, job_id: str) -> list[str]:
        job = self.jobs[job_id]
        numbers = (job.bytes, job.expires, job.lost, job.attempts_max)
        return [job_id, str(job.attempt), job.pair, job.client, *map(str, numbers), job.meta]

    def _invite_for(self, waits: dict[str, int], now: int) -> None:
        for pair, most in waits.items():
            self._invite(pair, most, now)

    # ---- the scripts

    def _submit(self, args: list[str]) -> list[str]:
        scheduler, (now, floor, waiting, jobs_max, bytes_max) = args[0], map(int, args[1:6])
        self._be_member(scheduler)
        answer, waits = [], Counter[str]()
        for at in range(6, len(args), 8):
            job_id, pair, room, expires, attempts_max, size, content, meta = args[at : at + 8]
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
                    clients = job.client.split(",")
                    if scheduler not in clients:
                        job.client = ",".join([*(one for one in clients if one in self.leases), scheduler])
            elif self.counts["open"] >= jobs_max:
                answer += ["FULL", "jobs_max"]
            elif self.counts["bytes"] + int(size) > bytes_max:
                answer += ["FULL", "bytes_max"]
            else:
                attempt = job.attempt if job else 0
                self._count("open", 1)
                self._count("bytes", int(size))
                is_next = not self.waiting(pair)
                place = self._count("place", 1)
                numbers = (attempt, attempt, int(attempts_max), int(expires), int(size))
                job = self.jobs[job_id] = Job(WAITS, pair, place, scheduler, *numbers, content, now, meta)
                if room == "1" and is_next:
                    self._take(job, scheduler, floor)
                    answer += ["GRANT", str(job.attempt)]
                else:
                    self._wait(job, now, waiting)
                    waits[pair] += 1
                    answer += ["WAIT", ""]
        self._invite_for(waits, now)
        return answer

    def _take_script(self, args: list[str]) -> list[str]:
        scheduler, now, floor = args[0], int(args[1]), int(args[2])
        self._be_member(scheduler)
        rows: list[str] = []
        left: list[str] = []
        wishes = [(args[at], int(args[at + 1]), args[at + 2] == "1") for at in range(3, len(args), 3)]
        for pair, want, hungry in wishes:
            found = self.waiting(pair)
            for job_id in found[:want]:
                self._take(self.jobs[job_id], scheduler, floor)
                rows += self._row(job_id)
            self.invited.discard((pair, scheduler))
            if hungry and len(found) < want:
                if (pair, scheduler) not in self.hungry:
                    self.hungry[pair, scheduler] = self._count("place", 1)
            else:
                self.hungry.pop((pair, scheduler), None)
            if len(found) > want:
                left.append(pair)
        self._invite_for(dict.fromkeys(left, 1), now)
        return rows

    def _finish_script(self, args: list[str]) -> list[str]:
        scheduler, now, answer = args[0], int(args[1]), []
        for at in range(2, len(args), 4):
            job_id, attempt, state, outcome = args[at : at + 4]
            job = self.jobs.get(job_id)
            if job is None or (job.by, job.attempt) != (scheduler, int(attempt)):
                answer += ["LATE", ""]
            elif job.state == RUNS:
                self._finish(job_id, state, outcome, now, scheduler)
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
            job.lost += int(counted)
            if counted == "1" and job.lost >= job.attempts_max:
                self._finish(job_id, "f", f"attempts_max|{reason}", now, "")
                answer.append("ENDED")
                continue
            answer.append("OK")
            if pause != "0":
                job.state, job.by, job.due = RESTS, "", min(job.expires or now + int(pause), now + int(pause))
            else:
                self._wait(job, now, waiting)
                waits[job.pair] += 1
        self._invite_for(waits, now)
        return answer

    def _cancel(self, args: list[str]) -> list[str]:
        scheduler, now, answer = args[0], int(args[1]), []
        for at in range(2, len(args), 3):
            job_id, state, outcome = args[at : at + 3]
            job = self.jobs.get(job_id)
            if job is None:
                answer += ["GONE", ""]
            elif job.state in FINAL:
                answer += ["ENDED", job.text]
            else:
                if job.state == RUNS and job.by != scheduler:
                    self._tell(job.by, f"stop|{job_id}|{job.attempt}")
                self._finish(job_id, state, outcome, now, scheduler)
                answer += ["OK", job.text]
        return answer

    def _claim(self, args: list[str]) -> list[str]:
        scheduler, answer = args[0], []
        self._be_member(scheduler)
        for at in range(2, len(args), 2):
            job_id, attempt = args[at], args[at + 1]
            job = self.jobs.get(job_id)
            if job is None or (job.state, job.attempt) != (RUNS, int(attempt)):
                answer += ["GONE", ""]
                continue
            if job.by != scheduler:
                self._tell(job.by, f"moved|{job_id}|{attempt}")
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

    def _beat(self, args: list[str]) -> list[str]:
        scheduler, (now, lease, waiting, limit, judge) = args[0], map(int, args[1:6])
        ended = self.leases.get(scheduler)
        self.leases[scheduler] = now + lease
        lapsed = sorted((end, name) for name, end in self.leases.items() if end <= now)[:4] if judge else []
        dead = [name for _, name in lapsed if name != scheduler]
        answer = ["NEW" if ended is None else "LAPSED" if ended <= now else "OK"]
        held = {name: self.taken(name)[:limit] for name in dead}
        gone = []
        for name in dead:
            letters = list(self.mail.get(name, {}))[:limit]
            wishes = sorted(pair for pair, hungry in self.hungry if hungry == name)[:limit]
            for number in letters:
                del self.mail[name][number]
            for pair in wishes:
                del self.hungry[pair, name]
            if len(held[name]) < limit and len(letters) < limit and len(wishes) < limit:
                gone.append(name)
                del self.leases[name]
        if ended is None:
            self._tell(scheduler, "born|")
        waits: Counter[str] = Counter()
        for name in dead:
            for job_id in held[name]:
                job = self.jobs[job_id]
                job.lost += 1
                if job.lost >= job.attempts_max:
                    self._finish(job_id, "f", "attempts_max|scheduler_lost", now, "")
                else:
                    self._wait(job, now, waiting)
                    waits[job.pair] += 1
            if name in gone:
                for _, other in sorted((end, other) for other, end in self.leases.items()):
                    self._tell(other, "look|")
                    self.invited |= {(job.pair, other) for job in self.jobs.values()}
            answer += [name, str(len(held[name]))]
        self.invited = {(pair, member) for pair, member in self.invited if member in self.leases}
        self._invite_for(waits, now)
        return answer

    def _due(self, args: list[str]) -> list[str]:
        now, waiting, limit = map(int, args)
        found = sorted((job.due, job_id) for job_id, job in self.jobs.items() if 0 < job.due <= now)[:limit]
        waits: Counter[str] = Counter()
        for _, job_id in found:
            job = self.jobs[job_id]
            if 0 < job.expires <= now:
                self._finish(job_id, "f", "expired", now, "")
            elif job.state == RESTS:
                self._wait(job, now, waiting)
                waits[job.pair] += 1
            else:
                self._finish(job_id, "f", "waiting_timeout", now, "")
        self._invite_for(waits, now)
        return [str(len(found))]

    def _mine(self, args: list[str]) -> list[str]:
        return [text for job_id in self.taken(args[0])[: int(args[1])] for text in self._row(job_id)]

    def _sweep(self, args: list[str]) -> list[str]:
        before, keep, limit = map(int, args)
        too_many, count = len(self.ended) - keep, 0
        for job_id, ended in self.ended[:limit]:
            if ended >= before and count >= too_many:
                break
            count += 1
            job = self.jobs.get(job_id)
            if job is not None and job.state in FINAL and job.since == ended:
                del self.jobs[job_id]
        del self.ended[:count]
        return [str(count)]

    def _find(self, args: list[str]) -> list[str]:
        return [self.jobs[job_id].text if job_id in self.jobs else "" for job_id in args]


_SCRIPTS = {
    "submit": Partition._submit,
    "take": Partition._take_script,
    "finish": Partition._finish_script,
    "requeue": Partition._requeue,
    "cancel": Partition._cancel,
    "claim": Partition._claim,
    "mail": Partition._mail,
    "beat": Partition._beat,
    "due": Partition._due,
    "mine": Partition._mine,
    "sweep": Partition._sweep,
    "find": Partition._find,
}
