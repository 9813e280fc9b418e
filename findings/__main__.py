"""python -m findings: runs the experiments and writes their findings: findings.json, a table, and pages with pictures.

The table is that of docs/findings.md, the pages are in docs/findings/. The findings of experiments that are not run are
kept, so that one experiment can be measured again alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from findings import explored
from findings.pages import Found, merged_questions, question_of, write_pages, write_pictures
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
PAGES = ROOT / "docs" / "findings"


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="The small size of each experiment.")
@click.option("--only", multiple=True, type=click.Choice(ALL), help="Run only this experiment; may be given again.")
@click.option("--table", "render_only", is_flag=True, help="Run nothing: write the table and pages from the JSON.")
@click.option("--seed", default=1, help="Of each experiment.")
def main(quick: bool, only: tuple[str, ...], render_only: bool, seed: int) -> None:
    """Run the experiments and write their findings into docs/findings.md and docs/findings/."""
    content = json.loads(FINDINGS.read_text(encoding="utf-8")) if FINDINGS.exists() else {}
    findings, questions = content.get("findings", []), content.get("questions", [])
    if not render_only:
        for name in only or ALL:
            click.echo(f"{name} …", err=True)
            found = _found(name, Options(seed=seed, quick=quick))
            findings, questions = merged(findings, found.rows), merged_questions(questions, found.question)
            write_pictures(found.drawn, found.question["experiment"], PAGES)
            write(findings, questions, FINDINGS)
    write_pages(questions, PAGES)
    PAGE.write_text(
        put_into(PAGE.read_text(encoding="utf-8"), render(findings, questions)),
        encoding="utf-8",
    )
    for line in _summary(findings):
        click.echo(line)


def write(findings: list[Mapping[str, Any]], questions: list[Mapping[str, Any]], file: Path) -> None:
    """Write the JSON that the table and the pages are made from."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"findings": findings, "questions": questions}, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )


def _found(name: str, options: Options) -> Found:
    """Run an experiment, or the two explorations, and return its findings."""
    if name == EXPLORE:
        return explored.found(_explore(explored.ROW, options), _explore("", options))
    experiment = BY_NAME[name]
    report = experiment.run(options)
    content, drawn = report.as_dict(), [draw() for draw in report.pictures]
    rows = [row for row in rows_of(content, experiment.rows) if row["row"] != explored.ROW]  # which `explore` answers
    return Found(rows, question_of(content, experiment.rows, drawn), drawn)


def _explore(without: str, options: Options) -> Report:
    wanted = Wanted(explored.FLOW, without=without, seed=options.seed, quick=options.quick)
    return report_of(explore(find_flow(FLOWS, explored.FLOW), wanted, lambda _: nullcontext(lambda _: None)))


def _summary(findings: list[Mapping[str, Any]]) -> Iterator[str]:
    for finding in findings:
        if finding["verdict"] != "holds":
            yield f"{finding['row']} ({finding['experiment']}): {finding['verdict']}"
    yield f"{sum(finding['verdict'] == 'holds' for finding in findings)} of {len(findings)} rows hold"


if __name__ == "__main__":
    main()
