"""What `voxpool-load pools` found: few and many beside each other, and what is demanded of the many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxpool.sim.report.limits import Figure, shown
from voxpool.sim.report.report import WITH, Line, Report, Table

QUESTION = "Do very many nodes in a pool, and very many pools, cost a select more, or their nodes a fair share?"
SAME_COMMANDS = "-2 .. 2"
"""Per cent by which the commands of a select may differ; a node that was full at that moment makes one more."""
FAIR_P = ">= 0.0001"
"""Limit of the p value of chi-square: even shares are worse than this once in ten thousand times. A run has four of
them, so a limit of 0.001 failed one healthy run in 250; a draw as uneven as that of C9 is far below either."""
SELECTS_MIN = 50
"""With fewer selects the commands a select are not reported."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Figures that could not be measured are None."""

    store: str
    name: str
    jobs: int
    """Number of completed jobs."""
    failures: int
    """Requests of the load that failed."""
    exit_code: int
    """Exit code of the load test."""
    script_errors: float
    commands_a_select: float | None
    """A job that a node is chosen for is one select, however many are in one call."""
    selects_seen: int
    select_us: float | None
    """Mean of script_seconds of flushes with a select, waiting for the server and all other calls in them included."""
    select_median_us: float | None
    """Median of the same flushes, which a short stall of the machine hardly changes."""
    chi_square: float | None
    degrees: int
    p_value: float | None
    result_p99_ms: float | None
    """From the intended start of a job to its result."""
    notes: list[str] = []


def report(compared: Sequence[tuple[Side, Side]], options: Mapping[str, Any], seed: int) -> Report:
    """Return the report of pairs of (few, many)."""
    sides = [side for pair in compared for side in pair]
    return Report(
        experiment="load-pools",
        question=QUESTION,
        seed=seed,
        options=options,
        lines=[line for few, many in compared for line in _lines(few, many)],
        variants={WITH: {"sides": msgspec.to_builtins(sides)}},
        variant=WITH,
        notes=[
            "Commands are those that MONITOR of the store showed for select_node, a job; script_seconds was read "
            "before, while nobody watched.",
            *(f"{side.store}, {side.name}: {note}" for side in sides for note in side.notes),
        ],
        tables=[_table(sides)],
    )


def _lines(few: Side, many: Side) -> list[Line]:
    row = f"{many.store}, {many.name}"
    both = (few, many)
    return [
        Line(row, "requests that failed, script errors", "", None, _errors(both), limit="== 0"),
        Line(row, "exit codes of the load tests", "", None, max(side.exit_code for side in both), limit="== 0"),
        Line(row, f"commands a select, against {few.name}", "%", None, _commands(few, many), limit=SAME_COMMANDS),
        Line(
            row, f"script_seconds of a select, median, against {few.name}", "times",
            None, _ratio(few.select_median_us, many.select_median_us),
        ),
        Line(
            row, f"script_seconds of a select, mean, against {few.name}", "times",
            None, _ratio(few.select_us, many.select_us),
        ),
        Line(row, "p of even shares, by chi-square", "", None, many.p_value, limit=FAIR_P),
    ]  # fmt: skip


def _errors(sides: Sequence[Side]) -> Figure:
    return sum(side.failures + side.script_errors for side in sides)


def _commands(few: Side, many: Side) -> Figure:
    if min(few.selects_seen, many.selects_seen) < SELECTS_MIN:
        return None
    if not few.commands_a_select or not many.commands_a_select:
        return None
    return 100 * (many.commands_a_select / few.commands_a_select - 1)


def _ratio(few: float | None, many: float | None) -> Figure:
    return many / few if few and many else None


def _table(sides: Sequence[Side]) -> Table:
    columns = (
        *(
            "store",
            "nodes and pools",
            "jobs",
            "failures",
            "commands a select",
            "script_seconds of a select, us: median, mean",
        ),
        *("chi-square", "degrees", "p", "result p99, ms"),
    )
    rows = [
        [
            side.store,
            side.name,
            shown(side.jobs),
            shown(side.failures),
            "" if side.commands_a_select is None else f"{side.commands_a_select:.2f} ({side.selects_seen:,})",
            f"{_cell(side.select_median_us, '.0f')}, {_cell(side.select_us, '.0f')}",
            *(_cell(side.chi_square, ".0f"), shown(side.degrees)),
            *(_cell(side.p_value, ".3f"), _cell(side.result_p99_ms, ".0f")),
        ]
        for side in sides
    ]
    return Table("Few and many beside each other", columns, rows)


def _cell(figure: float | None, form: str) -> str:
    return "" if figure is None else format(figure, form)
