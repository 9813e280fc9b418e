"""The report of `voxpool-load pools`: compares small and large sizes, with limits for the large ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxpool.sim.report.limits import Figure, shown
from voxpool.sim.report.report import WITH, Line, Report, Table

QUESTION = "Does a select cost more with very many nodes or pools, and do nodes still get equal shares?"
SAME_COMMANDS = "-2 .. 2"
"""Accepted difference of the commands of a select in per cent; a node that is full at that time needs one more."""
FAIR_P = ">= 0.0001"
"""Limit of the p value of chi-square: even shares are worse than this once in ten thousand times. A run has four of
them, so a limit of 0.001 failed one healthy run in 250; a draw as uneven as that of C9 is far below either."""
SELECTS_MIN = 50
"""Smallest number of selects for which commands per select are reported."""


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
    """Each job for which a node is chosen is one select, even when a call has several."""
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
            "Commands are those of select_node per job, as shown by MONITOR of the store; script_seconds was read "
            "before, without MONITOR.",
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
    return Table("Comparison of small and large sizes", columns, rows)


def _cell(figure: float | None, form: str) -> str:
    return "" if figure is None else format(figure, form)
