"""The report of chaos runs: limits, faults, second runs, and a picture of each run."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from voxpool.loadtest.chaos._faults import KINDS
from voxpool.loadtest.chaos._judge import NAMED_MAX, Found
from voxpool.loadtest.chaos._run import Outcome
from voxpool.loadtest.chaos._sizes import SCHEDULER_LEASE_S
from voxpool.sim.report.limits import shown
from voxpool.sim.report.pictures import Curve, curves
from voxpool.sim.report.report import WITH, WITHOUT, Line, Picture, Report, Table

QUESTION = "Does each accepted job end once, with the right answer, whatever breaks?"
RERUN_S = SCHEDULER_LEASE_S + SCHEDULER_LEASE_S / 3 + 1
RERUNS_MIN = 20
"""Second runs without which a percentile of their times says nothing."""
RAN_TWICE_PERCENT = 1.0
SHARE_MIN = 5000
"""Jobs without which that share depends on the first few faults."""
JOBS_MIN = 100
ERRORS_SHOWN = 20
OF_SCHEDULER = ("kill_scheduler",)
OF_NODE = ("kill_node", "freeze_node")
OF_DATA = tuple(name for name, kind in KINDS.items() if kind.loses_writes)


def report(outcomes: Sequence[Outcome]) -> Report:
    """Return the report of runs, one after the other."""
    return Report(
        experiment="chaos",
        question=QUESTION,
        seed=outcomes[0].sizes.seed,
        options=_options(outcomes[0]),
        lines=[line for outcome in outcomes for line in _lines(outcome)],
        variants={WITH: {outcome.sizes.name: _figures(outcome) for outcome in outcomes}},
        variant=WITH,
        unproven=[reason for outcome in outcomes for reason in _unproven(outcome)],
        notes=[note for outcome in outcomes for note in _notes(outcome)],
        tables=[_faults(outcomes), _second_runs(outcomes)],
        pictures=[lambda outcome=outcome: _picture(outcome) for outcome in outcomes],  # type: ignore[misc]
    )


def command(outcome: Outcome) -> str:
    """Return the command that repeats a run."""
    sizes = outcome.sizes
    words = ["voxpool-load chaos", f"--seed {sizes.seed}", f"--duration {sizes.duration_s:g}", f"--store {sizes.store}"]
    words += [
        f"--jobs {sizes.jobs}",
        f"--acks {sizes.acks}",
        f"--order {sizes.order}",
        f"--schedulers {sizes.schedulers}",
        f"--nodes {sizes.nodes}",
    ]
    words += [f"--clients {sizes.clients}", f"--every {sizes.every_s:g}"]
    words += [f"--fault {kind}" for kind in sizes.kinds]
    return " ".join(words)


def _options(outcome: Outcome) -> dict[str, object]:
    sizes = outcome.sizes
    return {
        name: getattr(sizes, name)
        for name in (
            *("jobs", "acks", "order", "schedulers", "nodes", "slots", "clients", "in_flight", "work_s", "audio_bytes"),
            *("duration_s", "every_s"),
        )
    }


def _lines(outcome: Outcome) -> list[Line]:
    found, sizes = outcome.found, outcome.sizes
    loses_writes = any(KINDS[fault.kind].loses_writes for fault in outcome.faults)
    avoidable = {rerun.number for rerun in found.reruns if rerun.cause not in (*OF_NODE, *OF_DATA)}
    unexplained = len({rerun.number for rerun in found.reruns if not rerun.cause})
    share_limit = f"<= {RAN_TWICE_PERCENT:g}" if sizes.jobs == "redis" and found.asked >= SHARE_MIN else ""

    def zero(name: str, figure: int) -> Line:
        return Line(sizes.name, name, "", None, figure, limit="== 0")

    return [
        Line(sizes.name, "jobs that clients asked for", "", None, found.asked),
        zero("accepted jobs without an end", len(found.lost)),
        zero("requests that were neither accepted nor refused", len(found.unanswered)),
        zero("results delivered twice", len(found.twice)),
        zero("results that do not belong to their audio", len(found.wrong)),
        zero("jobs that ended otherwise than completed", sum(found.not_completed.values())),
        zero("completed jobs that no node has run", len(found.never_run)),
        Line(
            sizes.name, "jobs of which one attempt was sent twice", "", None, len(found.same_attempt),
            limit="" if loses_writes else "== 0",
        ),
        Line(
            sizes.name, "jobs that ran twice although their node and Redis' data lived", "%", None,
            100 * len(avoidable) / max(1, found.asked), limit=share_limit,
        ),
        zero("jobs that ran twice without a fault that explains it", unexplained),
        Line(sizes.name, "jobs that ran twice", "%", None, 100 * found.ran_twice / max(1, found.asked)),
        _rerun_line(outcome),
        zero("keys of the store without an owner", sum(outcome.left.values())),
        Line(sizes.name, "keys that only their time to live removes", "", None, outcome.expiring),
        zero("processes that ended with another exit code than 0", len(outcome.ends)),
        zero("errors in the logs of the schedulers", len(outcome.errors)),
        Line(sizes.name, "longest time from asking to the answer", "s", None, _longest_s(found)),
    ]  # fmt: skip


def _rerun_line(outcome: Outcome) -> Line:
    """Return the line of what a dead scheduler's jobs wait. Beside other faults the store or the others may be away."""
    sizes, waits = outcome.sizes, outcome.found.waits_after(*OF_SCHEDULER)
    is_judged = sizes.jobs == "redis" and tuple(sizes.kinds) == OF_SCHEDULER and len(waits) >= RERUNS_MIN
    what = f"a killed scheduler's jobs run again after, p99 of {len(waits)}"
    return Line(sizes.name, what, "s", None, _percentile(waits, 0.99), limit=f"<= {RERUN_S:g}" if is_judged else "")


def _unproven(outcome: Outcome) -> list[str]:
    name = outcome.sizes.name
    reasons = [f"{name}: {complaint}" for complaint in outcome.complaints]
    if outcome.found.completed < JOBS_MIN:
        reasons.append(f"{name}: only {outcome.found.completed} jobs were completed")
    if not outcome.faults:
        reasons.append(f"{name}: nothing broke")
    return reasons


def _notes(outcome: Outcome) -> list[str]:
    found, name = outcome.found, outcome.sizes.name
    notes = [f"{name}: repeat it by: {command(outcome)}"]
    for what, numbers in (
        *(("lost", found.lost), ("unanswered", found.unanswered), ("delivered twice", found.twice)),
        *(("wrong", found.wrong), ("one attempt twice", found.same_attempt), ("never run", found.never_run)),
    ):
        if numbers:
            notes.append(f"{name}, {what}: {_named(numbers)} (request ids chaos-N; the ledger has their entries)")
    notes += [f"{name}, not completed: {times} x {reason}" for reason, times in found.not_completed.most_common(10)]
    notes += [f"{name}, without an owner: {key} ({count})" for key, count in outcome.left.most_common(20)]
    notes += [f"{name}, {process} ended with {codes}" for process, codes in outcome.ends.items()]
    notes += [f"{name}, {line[:300]}" for line in outcome.errors[:ERRORS_SHOWN]]
    return notes


def _figures(outcome: Outcome) -> dict[str, object]:
    found = outcome.found
    return {
        "asked": found.asked,
        "accepted": found.accepted,
        "completed": found.completed,
        "attempts": found.attempts,
        "ran_twice": found.ran_twice,
        "lost": found.lost[:NAMED_MAX],
        "delivered_twice": found.twice[:NAMED_MAX],
        "not_completed": dict(found.not_completed),
        "left": dict(outcome.left),
        "faults": [[fault.kind, fault.target, fault.began_s, fault.healed_s] for fault in outcome.faults],
        "left_out": dict(outcome.left_out),
        "lives": outcome.lives,
    }


def _faults(outcomes: Sequence[Outcome]) -> Table:
    kinds = list(dict.fromkeys(fault.kind for outcome in outcomes for fault in outcome.faults))
    counts = {outcome.sizes.name: Counter(fault.kind for fault in outcome.faults) for outcome in outcomes}
    rows = [[kind, *(shown(count[kind]) for count in counts.values())] for kind in KINDS if kind in kinds]
    return Table("Faults", ("kind", *counts), rows)


def _second_runs(outcomes: Sequence[Outcome]) -> Table:
    waits: defaultdict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        for rerun in outcome.found.reruns:
            waits[rerun.cause or "none was found"].append(rerun.waited_s)
    rows = [
        [cause, shown(len(times)), *(f"{_percentile(sorted(times), share):.2f}" for share in (0.5, 0.99, 1.0))]
        for cause, times in sorted(waits.items())
    ]
    return Table(
        "Second runs by their cause, and the time from the cause",
        ("cause", "runs", "median, s", "p99, s", "longest, s"),
        rows,
    )


def _picture(outcome: Outcome) -> Picture:
    """Draw the answers of each second, and mark the faults."""
    seconds = Counter(int(at_s - outcome.began_s) for at_s, _ in outcome.found.latencies_s)
    times = [float(second) for second in range(max(0, int(outcome.ended_s - outcome.began_s)) + 1)]
    faults = [fault.began_s - outcome.began_s for fault in outcome.faults]
    return curves(
        f"chaos-{outcome.sizes.name}",
        f"{outcome.sizes.name}: answers and faults",
        "time, s",
        "answers in a second",
        [
            Curve("answers", times, [float(seconds[int(second)]) for second in times], WITH),
            Curve("faults", faults, [0.0] * len(faults), WITHOUT, "points"),
        ],
        "Answers that clients got in each second; a point is a fault that begins.",
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _longest_s(found: Found) -> float | None:
    return max((seconds for _, seconds in found.latencies_s), default=None)


def _named(numbers: Sequence[int]) -> str:
    rest = len(numbers) - NAMED_MAX
    return ", ".join(map(str, numbers[:NAMED_MAX])) + (f" and {rest} more" if rest > 0 else "")
