"""Functions of the notebooks: they read the JSON of a command, put it into words, and draw it.

Reports are read from out/reports, or from the folder named by VOXPOOL_REPORTS. A missing report is made by its command
in the quick size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from IPython.display import SVG, Markdown

from voxpool.sim.report.limits import Figure, holds, shown
from voxpool.sim.report.pictures import COLOURS, Bar, Curve, Scale, bars, canvas, curves
from voxpool.sim.report.svg import svg_of

ROOT = Path(__file__).resolve().parent.parent
COMMANDS: Mapping[str, Sequence[str]] = {
    "leak": ["leak"],
    "pools": ["pools"],
    "policy": ["policy"],
    "race": ["race"],
    "share": ["share"],
    "explore": ["explore", "1-timeout-offline"],
    "explore-without-R1": ["explore", "1-timeout-offline", "--without", "R1"],
    "calibrate": ["calibrate"],
    "sweep": ["sweep", "rush", "--seeds", "2", "--set", "nodes.0.count=20,30,40"],
    "leak-measured": ["leak-measured"],
}
"""Name of the JSON -> arguments of `voxpool-sim` or `voxpool-load`."""
BY_LOADTEST = ("leak-measured",)
"""Reports of `voxpool-load`, which measures real servers."""

ENDS_SHOWN = 20
_MEASURED_AND_SIMULATED: tuple[tuple[str, Literal["line", "dotted"]], ...] = (
    ("measured", "line"),
    ("predicted", "dotted"),
)
_STYLES: Mapping[str, Literal["line", "dotted", "predicted"]] = {
    "measured": "line",
    "predicted": "predicted",
    "predicted without costs": "dotted",
}
"""Drawing of the variants of a report that are not sides of a fix."""


def report(name: str) -> Found:
    """Return the report of that name; a missing one is made now in the quick size."""
    file = Path(os.environ.get("VOXPOOL_REPORTS", ROOT / "out" / "reports")) / f"{name}.json"
    if not file.exists():
        module = "voxpool.loadtest" if name in BY_LOADTEST else "voxpool.sim"
        command = [sys.executable, "-m", module, *COMMANDS[name], "--quick", "--json", str(file)]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)  # its exit code is the verdict
    return Found(json.loads(file.read_text(encoding="utf-8")))


class Found:
    """A report. Every method returns something that a notebook can show."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def question(self) -> Markdown:
        """Return the question, the size and the verdict."""
        content = self.content
        size = "quick" if content["options"].get("quick") else "full"
        program = "voxpool-load" if content["experiment"] in BY_LOADTEST else "voxpool-sim"
        return Markdown(
            f"**{content['question']}**\n\n`{program} {content['experiment']}`, {size} size, seed {content['seed']}: "
            f"**{content['verdict']}**."
        )

    def words(self, *rows: str) -> Markdown:
        """Return a sentence for each figure of `rows` (default: all) that has to show a defect or keep a limit."""
        lines = [line for line in self.content["lines"] if not rows or line["row"] in rows]
        return Markdown("\n".join(f"- {_sentence(line)}" for line in lines if line["limit"] or line["shows"]))

    def notes(self) -> Markdown:
        """Return the notes of the report."""
        return Markdown("\n".join(f"- {note}" for note in self.content["notes"] or ["nothing"]))

    def checks(self) -> Markdown:
        """Return a sentence for each check of the report."""
        return Markdown("\n".join(f"- {_demand(check)}" for check in self.content["checks"]))

    def tables(self) -> Markdown:
        """Return the further tables of the report."""
        return Markdown("\n\n".join(_table(table) for table in self.content["tables"]))

    def bars(self, row: str, unit: str = "") -> SVG:
        """Draw the figures of a row that have this unit, without the fix beside with it."""
        lines = [line for line in self.content["lines"] if line["row"] == row and line["unit"] == unit]
        groups = [Bar(_short(line["name"]), _number(line["without"]), _number(line["with"])) for line in lines]
        return SVG(bars(row, f"{row}: without and with the fix", unit or "count", groups, "", "symlog").svg)

    def curves(self, path: str, x: str, y: str, scale: Scale = "log", x_scale: Scale = "log") -> SVG:
        """Draw `y` over `x` of the points at `path` (names with dots) of each variant."""
        drawn = []
        for side, run in self.content["variants"].items():
            for label, points in _lists(_at(run, path), side):
                chosen = sorted((point[x], point[y]) for point in points if point.get(y) is not None)
                style = _STYLES.get(side, _STYLES["measured"])
                drawn.append(Curve(label, [point[0] for point in chosen], [point[1] for point in chosen], side, style))
        picture = curves(path, f"{y} against {x}", x, y, drawn, "", y_scale=scale, x_scale=x_scale, markers=True)
        return SVG(picture.svg)

    def beside(self, x: str, y: str, scale: Scale = "linear") -> SVG:
        """Draw `y` over `x` of each variant: measured values as a line, simulated ones dotted."""
        drawn = []
        for side, run in self.content["variants"].items():
            for what, style in _MEASURED_AND_SIMULATED:
                points = [point for point in run[what] if point[y] is not None]
                label = f"{side}, {'simulated' if style == 'dotted' else what}"
                drawn.append(Curve(label, [point[x] for point in points], [point[y] for point in points], side, style))
        return SVG(curves("beside", f"{y} against {x}", x, y, drawn, "", y_scale=scale).svg)

    def by_policy(self, path: str, y: str) -> SVG:
        """Draw `y` over the load, a curve for each policy, from the points at `path` of the report."""
        figure, axes = canvas(f"{y} against load, a curve a policy")
        points = _at(self.content, path)
        for policy in dict.fromkeys(point["policy"] for point in points):
            own = sorted((point["load"], point[y]) for point in points if point["policy"] == policy)
            axes.plot([load for load, _ in own], [value for _, value in own], marker="o", label=policy)
        axes.set_xlabel("load")
        axes.set_ylabel(y)
        axes.set_yscale("symlog", linthresh=0.01)
        axes.legend()
        return SVG(svg_of(figure))

    def by_key(self, figure: str) -> Markdown:
        """Return a table of `figure` of each case and key, by variant; the variants have {case: {key: {figure: …}}}."""
        variants = self.content["variants"]
        places = {
            (case, key): None
            for cases in variants.values()
            for case, keys in cases.items()
            for key, figures in keys.items()
            if isinstance(figures, Mapping)
        }
        lines = [f"| case | key | {' | '.join(variants)} |", f"|---|---|{'---:|' * len(variants)}"]
        for case, key in places:
            cells = [shown(_at(cases, f"{case}.{key}.{figure}")) for cases in variants.values()]
            lines.append(f"| {case} | {key} | {' | '.join(cells)} |")
        return Markdown(f"**{figure}**\n\n" + "\n".join(lines))

    def ends(self) -> SVG:
        """Draw the ends of the first search, each with its share of the interleavings."""
        side, run = next(iter(self.content["variants"].items()))
        ends = run["searches"][0]["ends"][:ENDS_SHOWN][::-1]
        figure, axes = canvas(f"How the interleavings end, {side} the fix (red: a check is broken)")
        colours = [COLOURS["without" if end["is_broken"] else "with"] for end in ends]
        drawn = axes.barh([end["end"] for end in ends], [100 * end["share"] for end in ends], color=colours)
        axes.bar_label(drawn, [f"{end['share']:.1%}" for end in ends], padding=3)
        axes.set_xlabel("% of the runs")
        return SVG(svg_of(figure))

    def searches(self) -> Markdown:
        """Draw the number of interleavings of each search, and the ends that they reached."""
        lines = []
        for side, run in self.content["variants"].items():
            for search in run["searches"]:
                whole = "complete" if search["complete"] else "not complete"
                lines.append(
                    f"\n{side} the fix, {search['way']}: {search['runs']:,} runs, which stand for "
                    f"{search['interleavings']:,} interleavings; {search['distinct_ends']:,} ends, "
                    f"{search['broken_runs']:,} runs that break a check; {whole}.\n\n"
                    "| end | share | broken |\n|---|---|---|"
                )
                lines += [
                    f"| {end['end']} | {end['share']:.1%} | {'yes' if end['is_broken'] else ''} |"
                    for end in search["ends"][:ENDS_SHOWN]
                ]
        return Markdown("\n".join(lines))


def _sentence(line: Mapping[str, Any]) -> str:
    without, with_ = (shown(line[side], line["unit"]) for side in ("without", "with"))
    kept = holds(line["with"], line["limit"]) if line["limit"] else None
    verdict = {True: "kept", False: "**not kept**", None: "not known"}[kept]
    limit = f"; the limit is {line['limit']}: {verdict}" if line["limit"] else ""
    return f"{line['row']} {line['name']}: {without} without the fix, {with_} with it{limit}."


def _demand(check: Mapping[str, Any]) -> str:
    figure = "not known" if check["figure"] is None else shown(check["figure"])
    return f"{check['name']}: {figure}; the limit is {check['limit']}: {'kept' if check['ok'] else '**not kept**'}."


def _table(table: Mapping[str, Any]) -> str:
    rules = ["---", *["---:"] * (len(table["columns"]) - 1)]
    rows = [table["columns"], rules, *table["rows"]]
    return f"**{table['title']}**\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree.get(name, {}) if isinstance(tree, Mapping) else tree
    return tree


def _lists(tree: Any, label: str) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    """Yield the lists of points in `tree`, each with a label for its place."""
    if isinstance(tree, Mapping):
        for name, part in tree.items():
            yield from _lists(part, label if name == label else f"{label}, {name}")
    elif tree:
        yield label, tree


def _number(figure: Figure) -> float | None:
    return None if figure is None or isinstance(figure, str) else figure


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"
