"""python -m findings: runs the experiments and writes docs/reports/findings.json and the table of docs/findings.md.

Rows of experiments that aren't run stay as they are in the JSON, so that one of them can be measured again alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from findings import explored
from findings.rows import merged, rows_of
from findings.table import put_into, render
from voxpool.sim.experiments.catalogue import BY_NAME
from voxpool.sim.experiments.experiment import Options
from voxpool.sim.explore.command import Wanted, explore, find_flow
from voxpool.sim.explore.model.flows import FLOWS
from voxpool.sim.explore.report import report_of
from voxpool.sim.report.report import Report

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = ROOT / "docs" / "reports" / "findings.json"
EXPLORE = "explore"
ALL = (*BY_NAME, EXPLORE)
PAGE = ROOT / "docs" / "findings.md"


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="The small size of each experiment.")
@click.option("--only", multiple=True, type=click.Choice(ALL), help="Run only this experiment; may be given again.")
@click.option("--table", "render_only", is_flag=True, help="Run nothing: write the table from the JSON.")
@click.option("--reports", type=click.Path(path_type=Path), help="Read NAME.json there instead of running NAME.")
@click.option("--seed", default=1, help="Of each experiment.")
def main(quick: bool, only: tuple[str, ...], render_only: bool, reports: Path | None, seed: int) -> None:
    """Write what the experiments found into docs/findings.md."""
    findings = json.loads(FINDINGS.read_text(encoding="utf-8"))["findings"] if FINDINGS.exists() else []
    if not render_only:
        for name in only or ALL:
            click.echo(f"{name} …", err=True)
            findings = merged(findings, _found(name, Options(seed=seed, quick=quick), reports))
            write(findings)
    PAGE.write_text(put_into(PAGE.read_text(encoding="utf-8"), render(findings)), encoding="utf-8")
    for line in _summary(findings):
        click.echo(line)


def write(findings: list[Mapping[str, Any]], file: Path = FINDINGS) -> None:
    """Write the JSON, from which the table is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"findings": findings}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _found(name: str, options: Options, reports: Path | None) -> list[dict[str, Any]]:
    """The findings of an experiment, or of the two explorations; run now, or read from the folder `reports`."""

    def report(file: str, run: Callable[[], Report]) -> dict[str, Any]:
        return run().as_dict() if reports is None else _read(reports / f"{file}.json")

    if name == EXPLORE:
        without, with_ = (
            report(file, partial(_explore, row, options))
            for file, row in ((f"{EXPLORE}-without-{explored.ROW}", explored.ROW), (EXPLORE, ""))
        )
        return [explored.finding_of(without, with_)]
    experiment = BY_NAME[name]
    found = rows_of(report(name, partial(experiment.run, options)), experiment.rows)
    return [finding for finding in found if finding["row"] != explored.ROW]  # race tells of it, too, by the same search


def _explore(without: str, options: Options) -> Report:
    wanted = Wanted(explored.FLOW, without=without, seed=options.seed, quick=options.quick)
    return report_of(explore(find_flow(FLOWS, explored.FLOW), wanted, lambda _: nullcontext(lambda _: None)))


def _read(file: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report


def _summary(findings: list[Mapping[str, Any]]) -> Iterator[str]:
    for finding in findings:
        if finding["verdict"] != "holds":
            yield f"{finding['row']} ({finding['experiment']}): {finding['verdict']}"
    yield f"{sum(finding['verdict'] == 'holds' for finding in findings)} of {len(findings)} rows hold"


if __name__ == "__main__":
    main()
