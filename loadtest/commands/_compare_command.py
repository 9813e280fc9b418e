"""`voxpool-load compare A.json B.json`: compares two runs, as a check before a release."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voxpool.leakgate.terminal import in_markup, visible

if TYPE_CHECKING:
    from rich.console import Console

    from voxpool.loadtest.commands._compare import Change, Comparison


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--worse-by", multiple=True, metavar="[FIGURE=]SHARE",
    help="How much worse B may be, such as 5% or p99=30%; for failures a difference of shares, for wrong a number of "
    "results, for bytes_a_job bytes. Default: rate and typical 5%, mean, p50 and p90 10%, p99 20%, failures 0.1%, "
    "wrong 0, bytes_a_job the floor of the memory gate.",
)  # fmt: skip
@click.option(
    "--figure", "figures", multiple=True, metavar="FIGURE",
    help="Only this figure decides: rate, typical, mean, p50, p90, p99, failures, wrong or bytes_a_job; repeatable. "
    "Default: all, but bytes_a_job only when it is worse.",
)  # fmt: skip
@click.option(
    "--operation", default="result", show_default=True, help="The operation to compare: result, or such as 'WS submit'."
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.999),
    default=0.95,
    show_default=True,
    help="Confidence of the intervals.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the resampling.")
@click.option("--anyway", is_flag=True, help="Compare runs under different loads, too.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the comparison there."
)
def compare(
    a: Path, b: Path, worse_by: tuple[str, ...], figures: tuple[str, ...], operation: str, confidence: float,
    seed: int, anyway: bool, json_path: Path | None,
) -> int:  # fmt: skip
    """Decide whether run B is worse than run A, from their report.json (or their folders).

    Each figure has an interval from resampled windows of time. Two runs of 2 minutes (-t 2m) with the same --seed at
    the same time find a latency that rose by 10%.

    Exit codes: 0 no worse, 1 worse, 2 unclear (the runs were too short, or a generator was the limit), 3 wrong
    input. When a generator was the limit, only wrong results and bytes_a_job can be worse.
    """
    import msgspec
    from rich.console import Console

    from voxpool.loadtest.commands import _compare
    from voxpool.loadtest.report._records import read_report

    allowed = _allowed(worse_by)
    for name in figures:
        _check_figure(name, f"--figure {name}")
    found = _compare.compare(
        read_report(a), read_report(b), worse_by=allowed, operation=operation, confidence=confidence,
        seed=seed, anyway=anyway, figures=figures,
    )  # fmt: skip
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    _print(found, Console(width=None if sys.stdout.isatty() else 110))
    return found.exit_code


def _allowed(given: tuple[str, ...]) -> dict[str, float]:
    """Return figure -> allowed change. A value without a figure is for all that are a share of A."""
    from voxpool.loadtest.commands._compare import BYTES, WORSE_BY, WRONG

    allowed: dict[str, float] = {}
    shares = [name for name in WORSE_BY if name not in ("failures", WRONG)]
    for text in sorted(given, key=lambda text: "=" in text):
        name, sign, number = text.rpartition("=")
        if sign:
            _check_figure(name, f"--worse-by {text}")
        try:
            value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            raise click.UsageError(f"--worse-by {text}: {number!r} is not a share such as 5% or 0.05") from None
        if name in (BYTES, WRONG) and number.endswith("%"):
            what = "bytes" if name == BYTES else "results"
            raise click.UsageError(f"--worse-by {text}: give {what}, such as {name}=20")
        if not 0 <= value < float("inf"):
            raise click.UsageError(f"--worse-by {text}: must be 0 or more")
        allowed.update(dict.fromkeys([name] if sign else shares, value))
    return allowed


def _check_figure(name: str, option: str) -> None:
    """Raise UsageError when there is no such figure."""
    from voxpool.loadtest.commands._compare import UNITS

    if name not in UNITS:
        raise click.UsageError(f"{option}: no figure {name!r}; there are {', '.join(UNITS)}")


def _print(found: Comparison, console: Console) -> None:
    from rich.table import Table

    table = Table(title=f"B against A: {in_markup(found.operation)}", title_justify="left")
    table.add_column("figure", no_wrap=True)
    for head in ("A", "B", "worse by", f"{found.confidence:.0%} interval", "allowed"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for change in found.changes:
        colour = {"no worse": "green", "worse": "red", "unclear": "yellow"}[change.word.value]
        table.add_row(change.name, *_cells(change), f"[{colour}]{change.word.value}[/]")
    console.print(table)
    for change in found.changes:
        if change.why:
            console.print(f"  {change.name}: {visible(change.why)}", highlight=False, markup=False)
    for note in found.notes:
        console.print(f"  {visible(note)}", highlight=False, markup=False)
    word = {0: "no worse", 1: "worse", 2: "unclear"}[found.exit_code]
    console.print(f"{word} (exit {found.exit_code})", highlight=False)


def _cells(change: Change) -> list[str]:
    from voxpool.loadtest.commands._compare import BYTES, WRONG
    from voxpool.sim.report.limits import shown

    factor, unit = (1, change.unit) if change.name in (BYTES, WRONG) else (100, "%")

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value * factor:+.3g} {unit}"

    def figure(value: float | None) -> str:
        factor, unit = {"s": (1000, "ms"), "share": (100, "%")}.get(change.unit, (1, change.unit))
        return shown(None if value is None else value * factor, unit)

    interval = "-" if change.low is None else f"{share(change.low)} .. {share(change.high)}"
    return [figure(change.a), figure(change.b), share(change.change), interval, f"{change.allowed * factor:.3g} {unit}"]
