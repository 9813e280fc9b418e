"""python -m findings: runs the experiments and writes docs/reports/findings.json and the table of README.md.

Rows of experiments that aren't run stay as they are in the JSON, so that one of them can be measured again alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from findings.rows import merged, rows_of
from findings.table import put_into, render
from sim.experiments import Options, registry

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = ROOT / "docs" / "reports" / "findings.json"
README = ROOT / "README.md"


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="The small size of each experiment.")
@click.option("--only", multiple=True, metavar="NAME", help="Run only this experiment; may be given again.")
@click.option("--table", "render_only", is_flag=True, help="Run nothing: write the table from the JSON.")
@click.option("--reports", type=click.Path(path_type=Path), help="Read NAME.json there instead of running NAME.")
@click.option("--seed", default=1, help="Of each experiment.")
def main(quick: bool, only: tuple[str, ...], render_only: bool, reports: Path | None, seed: int) -> None:
    """Write what the experiments found into README.md."""
    findings = json.loads(FINDINGS.read_text(encoding="utf-8"))["findings"] if FINDINGS.exists() else []
    if not render_only:
        for name in only or tuple(registry):
            click.echo(f"{name} …", err=True)
            report = _run(name, Options(seed=seed, quick=quick)) if reports is None else _read(reports / f"{name}.json")
            findings = merged(findings, rows_of(report, registry[name].rows))
            write(findings)
    README.write_text(put_into(README.read_text(encoding="utf-8"), render(findings)), encoding="utf-8")
    for line in _summary(findings):
        click.echo(line)


def write(findings: list[Mapping[str, Any]], file: Path = FINDINGS) -> None:
    """Write the JSON, from which the table is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"findings": findings}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _run(name: str, options: Options) -> dict[str, Any]:
    return registry[name].run(options).as_dict()


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
