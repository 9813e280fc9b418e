"""How should a node be chosen? (defects C6, C7, C8)

C6, without: a node is chosen whether or not it has a free slot, and jobs queue at nodes: at random, the less loaded of
two, the least loaded, by exact loads and by old reports. With: production, where a job waits until a node has room.
Both are compared with queueing theory. C7: the pairs of the session's node are checked. C8: a node that fails every
job rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.sentences import nearest
from voxpool.sim.experiments.experiment import Experiment, Extra, Options
from voxpool.sim.experiments.policy.nodes import TWO_CHOICES, affinity, failing
from voxpool.sim.experiments.policy.pictures import mean_picture, p99_picture, share_picture
from voxpool.sim.experiments.policy.report import Results, curves_of, lines_of
from voxpool.sim.experiments.policy.runs import Found, from_empty, long_run
from voxpool.sim.experiments.policy.script import PREFIX, policy_of
from voxpool.sim.experiments.policy.size import (
    FULL,
    KNOWN_S,
    NORMAL,
    POLICIES,
    PRODUCTION,
    QUICK,
    Size,
    label_of,
)
from voxpool.sim.experiments.processes import Part, run_parts
from voxpool.sim.report.report import WITH, WITHOUT, Report

QUESTION = "How should a node be chosen, and how long do jobs wait when its free slots are ignored?"
ROWS = {
    "C6": "chosen without regard to load, or by old reports: jobs queue at the node",
    "C7": "chosen by affinity without a check that the node serves the pair",
    "C8": "a node that fails every job at once attracts all jobs",
}
EXTRAS = (
    Extra(
        "full",
        "A size for comparison with theory: ten seeds, 2 to 10 million jobs per point; about half an hour.",
        True,
    ),
    Extra("loads", "The loads of C6, such as 0.7,0.9."),
    Extra("policies", f"The policies of C6 to compare with production: {', '.join(POLICIES)}."),
    Extra("script", "Comma-separated Lua files, each with a function `choose` to compare with production's."),
)
_LONG, _EMPTY, _AFFINITY, _FAILING = "long", "empty", "affinity", "failing"
_PRODUCTION_COSTS = 2.0
"""Relative cost of a job in production and with a policy of C6, which calls no script."""


def size_of(options: Options) -> Size:
    """Return the size of `options`; raises ConfigError for an invalid load or policy."""
    size = QUICK if options.quick else FULL if options.extra.get("full") else NORMAL
    if loads := options.extra.get("loads"):
        size = _with_loads(size, str(loads))
    if policies := options.extra.get("policies"):
        size = replace(size, policies=_policies(str(policies)))
    if scripts := options.extra.get("script"):
        named = dict.fromkeys(policy_of(path.strip()) for path in str(scripts).split(","))
        size = replace(size, policies=(*size.policies, *named))
    return size


def _with_loads(size: Size, text: str) -> Size:
    try:
        loads = tuple(sorted(float(word) for word in text.split(",")))
    except ValueError:
        raise ConfigError(f"--loads {text!r}: must be comma-separated numbers, such as 0.7,0.9") from None
    if not all(0 < load < 1 for load in loads):
        raise ConfigError(f"--loads {text!r}: a load must be between 0 and 1; at 1 the queue grows without bound")
    return replace(size, loads=loads, long_loads=tuple(load for load in loads if load in size.long_loads))


def _policies(text: str) -> tuple[str, ...]:
    chosen = [word.strip() for word in text.split(",")]
    for word in chosen:
        if word not in POLICIES:
            raise ConfigError(f"--policies: {word!r}: {nearest(word, POLICIES)}")
    return tuple(policy for policy in POLICIES if policy in chosen or policy == PRODUCTION)


def measure(options: Options, rows: list[str]) -> Report:
    """Run the experiment, each policy, load and side in a separate process."""
    size = size_of(options)
    found = run_parts(_parts(options, size, rows), options.progress, options.at_once)
    return report_of(options, size, rows, _results(found))


def _parts(options: Options, size: Size, rows: list[str]) -> list[Part]:
    """Return the runs, the longest first."""
    weighed: list[tuple[float, Part]] = []
    sides, seed, store = options.sides(), options.seed, options.store

    def add(kind: str, policy: str, load: float, jobs: float, part: Part) -> None:
        side = WITH if policy == PRODUCTION else WITHOUT
        if side in sides:
            weighed.append((jobs * (_PRODUCTION_COSTS if side == WITH else 1.0), part))

    if "C6" in rows:
        for policy in size.long_policies:
            for load in size.long_loads:
                jobs = size.jobs_of_long(load)
                call = Part(f"{_LONG} {policy} {load:g}", long_run, (size, policy, load, seed, store))
                add(_LONG, policy, load, jobs, call)
        for policy in size.policies:
            for load in size.loads:
                is_known = (policy, load) in KNOWN_S or policy == PRODUCTION
                seeds = range(seed, seed + (size.seeds if is_known else 1))
                call = Part(f"{_EMPTY} {policy} {load:g}", from_empty, (size, policy, load, seeds, store))
                add(_EMPTY, policy, load, size.jobs * len(seeds), call)
    listed = [part for _, part in sorted(weighed, key=lambda pair: -pair[0])]
    if "C7" in rows:
        listed += [Part(f"{_AFFINITY} {side}", affinity, (size, seed, store, side)) for side in sides]
    if "C8" in rows:
        both = [*sides, *([TWO_CHOICES] if WITHOUT in sides else [])]
        listed += [Part(f"{_FAILING} {side}", failing, (size, seed, store, side)) for side in both]
    return listed


def _results(found: Mapping[str, Any]) -> Results:
    def of(kind: str) -> dict[str, Any]:
        return {name.removeprefix(f"{kind} "): one for name, one in found.items() if name.startswith(f"{kind} ")}

    def in_order(kind: str) -> list[Found]:
        return sorted(of(kind).values(), key=lambda one: ((*POLICIES, one.policy).index(one.policy), one.load))

    return Results(in_order(_EMPTY), in_order(_LONG), of(_AFFINITY), of(_FAILING))


def report_of(options: Options, size: Size, rows: list[str], results: Results) -> Report:
    """Return the report of the results."""
    pictures = [
        partial(mean_picture, size, results.empty, results.long),
        partial(p99_picture, size, results.empty),
        partial(share_picture, size, results.empty),
    ]
    return Report(
        experiment="policy",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(**asdict(size)),
        lines=[line for row in rows for line in lines_of(row, size, results)],
        variants={side: _run(results, side) for side in options.sides()},
        variant=options.variant,
        notes=_notes(size, rows, results),
        pictures=pictures if results.empty else [],
        extra={"curves": curves_of(results)},
    )


def _run(results: Results, side: str) -> dict[str, Any]:
    means = [found for found in results.empty if (found.policy == PRODUCTION) is (side == WITH)]
    return {
        "mean_wait_s": {f"{found.policy} {found.load:g}": found.mean_s for found in means},
        "affinity": {name: one for name, one in results.affinity.items() if name.startswith(side)},
        "failing": {name: one for name, one in results.failing.items() if name.split(",")[0] == side},
    }


def _notes(size: Size, rows: list[str], results: Results) -> list[str]:
    notes = []
    if "C6" in rows:
        notes += [
            f"C6: {size.nodes} nodes with one slot, mean work {size.work_s:g} s, exponential; {size.jobs:,} jobs from "
            "empty, the wait of each counts from the submit to the start of the work.",
            *(
                f"C6, {label_of(policy)}: production with the choice of {policy.removeprefix(PREFIX)}."
                for policy in size.scripts
            ),
            "C6, without: production's dispatcher sends at once, to a node that queues; a report has the loads of all "
            "nodes and is made every 0.5, 5 or 15 s, so this is its maximum age.",
            *(
                f"C6, long run at {found.load:.0%} load, {found.policy}: {found.mean_s:.4g} ± {found.half_s:.2g} s "
                f"(99 %, batch means) over {found.jobs:,} jobs."
                for found in results.long
                if found.mean_s > 0
            ),
            *(f"Checker, {found.policy}: {line}" for found in results.empty for line in found.broken),
        ]
    if "C8" in rows:
        notes.append("C8: the node's answer is final for the job: a retryable one would go to another node.")
    return notes


EXPERIMENT = Experiment("policy", QUESTION, ROWS, measure, EXTRAS)
