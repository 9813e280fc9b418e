"""Is an available node found, fairly and at a cost that doesn't grow with the pool? (defects C1 to C5, C9)

Without: the old choice (without_fix.py). With: production's scripts (with_fix.py). Random draws come from the seed;
costs are counted by a real server, which is started for the run unless --store names an address. Part "size" has more
than a thousand nodes and pools (the brief, 2.2); its times are for information, its counts have limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from voxpool.sim.experiments.experiment import Experiment, Options
from voxpool.sim.experiments.pools import with_fix as pools_with
from voxpool.sim.experiments.pools import without_fix as pools_before
from voxpool.sim.experiments.pools.pictures import commands_picture, pools_picture, time_picture
from voxpool.sim.experiments.pools.size import FULL, QUICK, Point, Size
from voxpool.sim.experiments.processes import Part, run_parts
from voxpool.sim.report.limits import Figure
from voxpool.sim.report.report import WITH, WITHOUT, Line, Report

QUESTION = "Is an available node found, fairly, and at a cost that doesn't grow, also above 1000 nodes?"
BY_SIZE = "size"
ROWS = {
    "C1": "64 random tries in a pool of dead nodes",
    "C2": "shards are scanned from 0 up to the first empty one",
    "C3": "a shard is drawn first, then a member of it",
    "C4": "a thousand commands for a pair without nodes",
    "C5": "a heartbeat writes every pool of the node again",
    "C9": "SRANDMEMBER, which is fast and not uniform",
    BY_SIZE: "more than 1000 nodes in a pool, more than 1000 pools",
}
_PARTS = {"C1": "ghosts", "C2": "gap", "C3": "lonely", "C4": "choices", "C5": "beats", "C9": "srandmember"}
SELECT_COMMANDS = 14
"""Commands of production for one job (lua/README.md, "Cost")."""
FAIR = "0.6 .. 1.4"
"""Chi-square per degree of a fair draw, 100 degrees or more: its standard deviation is the root of 2 / degrees."""


def measure(options: Options, rows: list[str]) -> Report:
    """Run the experiment, each defect and side in a separate process."""
    size = QUICK if options.quick else FULL
    parts = _size_parts(options, size) if BY_SIZE in rows else []
    for row in [row for row in rows if row != BY_SIZE]:
        for side in options.sides():
            call = getattr(pools_with if side == WITH else pools_before, _PARTS[row])
            parts.append(Part(f"{row} {side}", call, (size, options.seed, options.store)))
    return report_of(options, size, rows, run_parts(parts, options.progress, options.at_once))


def _size_parts(options: Options, size: Size) -> list[Part]:
    common = (size, options.seed, options.store)
    parts = []
    if WITH in options.sides():
        parts += [Part(f"size {kind}", pools_with.by_size, (*common, kind)) for kind in ("server", "memory")]
    if WITHOUT in options.sides():
        parts.append(Part("size without", pools_before.by_size, common))
    return parts


def report_of(options: Options, size: Size, rows: list[str], results: Mapping[str, Any]) -> Report:
    """Return the report; `results` has an entry for each part."""
    has_sizes = BY_SIZE in rows
    return Report(
        experiment="pools",
        question=QUESTION,
        seed=options.seed,
        options=options.shown(**asdict(size)),
        lines=[line for row in rows for line in _LINES[row](size, results)],
        variants={side: _run(results, side) for side in options.sides()},
        variant=options.variant,
        notes=_notes(rows, results),
        pictures=[partial(draw, results) for draw in (commands_picture, time_picture, pools_picture) if has_sizes],
    )


def _run(results: Mapping[str, Any], side: str) -> dict[str, Any]:
    rows = {name.split()[0]: found for name, found in results.items() if name.endswith(f" {side}") and name[0] == "C"}
    kinds = ("memory", "server") if side == WITH else ("without",)
    sizes = {kind: [point._asdict() for point in results.get(f"size {kind}", ())] for kind in kinds}
    return {"rows": rows, "by_size": sizes}


def _both(results: Mapping[str, Any], row: str, figure: str) -> tuple[Figure, Figure]:
    without, with_ = (results.get(f"{row} {side}", {}).get(figure) for side in (WITHOUT, WITH))
    return without, with_


def _ghosts(size: Size, results: Mapping[str, Any]) -> list[Line]:
    shows = {1: "85 .. 100", 10: "40 .. 65", 50: "0.5 .. 9"}
    return [
        Line(
            "C1",
            f"first answers that are 'nobody', {alive} of {size.members:,} alive",
            "%",
            *_both(results, "C1", f"nobody {alive}"),
            "== 0",
            shows.get(alive, "breaks"),
        )
        for alive in size.alive
    ]


def _gap(size: Size, results: Mapping[str, Any]) -> list[Line]:
    living = size.shards - 1
    reached, behind = 100 * 3 / living, 100 * (size.shards - 4) / living
    within = f"{0.9 * behind:.1f} .. {1.1 * behind:.1f}"
    return [
        Line(
            "C2",
            "living nodes that can be chosen",
            "%",
            *_both(results, "C2", "reached"),
            "== 100",
            f"{reached - 0.1:.1f} .. {reached + 0.1:.1f}",
        ),
        Line(
            "C2",
            f"choices behind the empty shard (fair {behind:.1f} %)",
            "%",
            *_both(results, "C2", "behind"),
            within,
            "== 0",
        ),
    ]


def _lonely(size: Size, results: Mapping[str, Any]) -> list[Line]:
    fair, degrees = 100 / size.lonely, size.lonely - 1
    what = f"share of the node that is alone in its shard (fair {fair:.2f} %)"
    return [
        Line("C3", what, "%", *_both(results, "C3", "share"), f"<= {2.5 * fair:.2f}", "30 .. 37"),
        Line(
            "C3",
            f"chi-square, {degrees} degrees",
            "",
            *_both(results, "C3", "chi_square"),
            f"{0.6 * degrees:g} .. {1.4 * degrees:g}",
            "100000 .. 200000",
        ),
    ]


def _choices(size: Size, results: Mapping[str, Any]) -> list[Line]:
    kinds = (
        ("normal", "in a pool of 1,000", f"== {SELECT_COMMANDS}", ""),
        ("nobody", "for a pair without nodes", f"<= {SELECT_COMMANDS}", ">= 1000"),
        ("affine", "with a session's node of other pairs", f"<= {SELECT_COMMANDS + 2}", ">= 1000"),
    )
    lines = [
        Line("C4", f"commands a choice {what}", "", *_both(results, "C4", f"{kind} commands"), limit, shows)
        for kind, what, limit, shows in kinds
    ]
    return lines + [
        Line("C4", f"server time a choice {what}", "us", *_both(results, "C4", f"{kind} us"))
        for kind, what, *_ in kinds
    ]


def _beats(size: Size, results: Mapping[str, Any]) -> list[Line]:
    lines = [
        Line(
            "C5",
            f"commands a beat, {count} pairs",
            "",
            *_both(results, "C5", f"{count} commands"),
            "== 3",
            f"== {count + 1}",
        )
        for count in size.pairs
    ]
    return lines + [
        Line("C5", f"server time a beat, {count} pairs", "us", *_both(results, "C5", f"{count} us"))
        for count in size.pairs
    ]


def _srandmember(size: Size, results: Mapping[str, Any]) -> list[Line]:
    servers: Mapping[str, Any] = results.get("C9 without", {"": {}})
    ranks = results.get("C9 with", {}).get("ranks", {})
    lines = []
    for name, found in servers.items():
        # Redis 8 with more than 128 members; Valkey was mended.
        is_unfair = name.startswith("Redis 8") and size.pool > 128
        of_one = f"{size.pool} members, negative count ({name})"
        of_two = f"{size.small_pool} members, first of two ({name})"
        for figure, what, limit, least in (
            ("a_degree", "chi-square a degree", FAIR, 3.0),
            ("busiest", "busiest", "<= 1.4", 1.3),
        ):
            for kind, where, shows in (("one", of_one, is_unfair), ("two", of_two, True)):
                key = f"{kind} {figure}"
                lines.append(
                    Line(
                        "C9",
                        f"{what}, {where}",
                        "x" if figure == "busiest" else "",
                        found.get(key),
                        ranks.get(key),
                        limit,
                        f"> {least:g}" if shows else "",
                    )
                )
    return lines


def _by_size(size: Size, results: Mapping[str, Any]) -> list[Line]:
    of = {kind: _points(results, kind) for kind in ("without", "memory", "server")}
    lines = []
    for nodes in (size.nodes_in_one[0], size.nodes_in_one[-1]):
        before = of["without"].get((nodes, 1))
        shards = -(-nodes // 100)
        shows = f">= {min(1000, shards)}"
        for kind in ("memory", "server"):
            now = of[kind].get((nodes, 1))
            lines.append(
                Line(
                    BY_SIZE,
                    f"commands a choice, {nodes:,} nodes in one pool ({kind})",
                    "",
                    before and before.commands,
                    now and now.commands,
                    f"== {SELECT_COMMANDS}",
                    shows if before else "",
                )
            )
    for kind in ("memory", "server"):
        for nodes in size.nodes_in_one[1:]:
            now = of[kind].get((nodes, 1))
            what = f"chi-square a degree, {nodes:,} nodes in one pool ({kind})"
            lines.append(Line(BY_SIZE, what, "", None, now and now.chi_square, FAIR))
        most = of[kind].get((size.nodes_in_pools, size.pools[-1]))
        what = f"commands a choice, {size.pools[-1]:,} pools ({kind})"
        lines.append(Line(BY_SIZE, what, "", None, most and most.commands, f"== {SELECT_COMMANDS}"))
        lines.append(
            Line(
                BY_SIZE,
                f"time, most nodes against fewest ({kind})",
                "x",
                _ratio(results, "without", 1),
                _ratio(results, kind, 1),
            )
        )
        lines.append(
            Line(BY_SIZE, f"time, most pools against one ({kind})", "x", None, _ratio(results, kind, size.pools[-1]))
        )
    return lines


_LINES = {
    "C1": _ghosts,
    "C2": _gap,
    "C3": _lonely,
    "C4": _choices,
    "C5": _beats,
    "C9": _srandmember,
    BY_SIZE: _by_size,
}


def _points(results: Mapping[str, Any], kind: str) -> dict[tuple[int, int], Point]:
    """Return the points by (nodes, pools); of two points with the same key the last one is used."""
    return {(point.nodes, point.pools): point for point in results.get(f"size {kind}", ())}


def _ratio(results: Mapping[str, Any], kind: str, pools: int) -> float | None:
    """Return the time of the largest size divided by the smallest: by nodes in one pool, or by pools."""
    points: list[Point] = list(results.get(f"size {kind}", ()))
    if not points:
        return None
    if pools == 1:
        in_one = sorted((point for point in points if point.pools == 1), key=lambda point: point.nodes)
        return in_one[-1].us / in_one[0].us
    most = next(point for point in points if point.pools == pools)
    one = next(point for point in reversed(points) if point.pools == 1)
    return most.us / one.us


def _notes(rows: list[str], results: Mapping[str, Any]) -> list[str]:
    notes = []
    if {"C1", "C2", "C3"} & set(rows):
        notes.append(
            "C1 to C3, without: a model of the old choice in Python, because the figure is a probability; the same "
            "seed gives the same figure."
        )
    server = next((results[part]["server"] for part in results if part.startswith(("C4", "C5"))), "")
    if server:
        notes.append(f"C4, C5 and size: old scripts and production's on {server}, counted by its INFO commandstats.")
    if "C9 without" in results:
        notes.append(
            f"C9, without: {' and '.join(results['C9 without'])}; the server draws, so these figures "
            "vary between runs. One set may be twice as uneven as another: the figure of a negative count is the mean "
            "of several sets."
        )
    if "size server" in results and "size without" in results:
        notes.append(_answer(results))
    return notes


def _answer(results: Mapping[str, Any]) -> str:
    before, now = results["size without"], results["size server"]
    first, last = before[0], before[-1]
    by_nodes, by_pools = _ratio(results, "server", 1), _ratio(results, "server", now[-1].pools)
    return (
        f"A problem above 1000? Without: the old choice needs {first.commands:.0f} commands at {first.nodes} nodes "
        f"and {last.commands:,.0f} at {last.nodes:,}, and above 100 nodes it may miss some (C2). "
        f"With: {now[0].commands:.0f} commands at any number of nodes and pools, {by_nodes:.1f} times the server's "
        f"time at {last.nodes:,} nodes, {by_pools:.1f} times at {now[-1].pools:,} pools."
    )


EXPERIMENT = Experiment("pools", QUESTION, ROWS, measure)
