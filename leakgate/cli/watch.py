"""`leakgate watch`: watches a process for a time or until the verdict is clear, and prints the verdict."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voxpool.leakgate.cli.options import FILE, judging, must_be_writable, writing
from voxpool.leakgate.command_line import parse_duration
from voxpool.leakgate.errors import WrongInput
from voxpool.leakgate.readings.csv_file import write_csv
from voxpool.leakgate.readings.secret import secret_of
from voxpool.leakgate.readings.series import Bound, Source
from voxpool.leakgate.terminal import say

if TYPE_CHECKING:
    from voxpool.leakgate.readings.reader import ServerReader
    from voxpool.leakgate.report.report import WatchReport
    from voxpool.leakgate.watching.watch import Watch

SECONDS = 360.0
"""Default duration of a watch; docs/memory-watch.md describes which leaks it finds."""
AT_MOST_TIMES = 2.0
"""--at-most, in --until-clear."""
CLEAR_LINE = "\r\x1b[K"
LINE_S, PLAIN_LINE_S = 1.0, 30.0
"""Time between two progress lines, on a terminal and elsewhere."""


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):  # a default
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--pid", type=click.IntRange(min=1), help="The process to watch: its RSS, files and threads.")
@click.option("--children", is_flag=True, help="Add up the process and all its descendants.")
@click.option("--url", default="", help="URL of the server's memory report (voxpool.leakgate.inside).")
@click.option("--metrics", default="", metavar="URL", help="Its page of metrics, in the format of Prometheus.")
@click.option("--work", default="", metavar="METRIC", help='The counter of finished work: NAME or NAME{label="value"}.')
@click.option("--cleanup", default="", metavar="METRIC", help="The time of its last clean-up, or their number.")
@click.option("--cleanup-every", type=_Duration(), default=0.0, metavar="TIME", help="Interval of its clean-ups.")
@click.option(
    "--retention", type=_Duration(), default=0.0, metavar="TIME", help="Time for which finished work is kept."
)
@click.option("--for", "for_s", type=_Duration(), metavar="TIME", help="Duration of the watch (6m).")
@click.option("--until-clear", type=_Duration(), metavar="TIME", help="End when the verdict is clear, not before TIME.")
@click.option("--at-most", type=_Duration(), metavar="TIME", help="The end with --until-clear (twice its TIME).")
@click.option("--every", type=_Duration(), default=0.0, metavar="TIME", help="Time between two readings (1s).")
@click.option("--token", default="", metavar="TOKEN|@FILE", help="Sent to both URLs as `Authorization: Bearer …`.")
@click.option("--ca-file", type=FILE, help="A PEM file with the certificates to trust for https.")
@judging
@click.option("--csv", "csv_path", type=FILE, metavar="FILE", help="Write the readings; `leakgate judge` reads them.")
@writing
def watch(
    for_s: float | None, until_clear: float | None, at_most: float | None, every: float, limit: float | None,
    csv_path: Path | None, write: Callable[[WatchReport], int], **target: Any,
) -> int:  # fmt: skip
    """Watch the memory of a process that is under load, and judge it.

    Give --pid, --url, --metrics or several of them, and as --work the counter of what the server does: growth is
    judged for each unit of it (without a counter: for each second). Ctrl-C ends the watch with what is known.
    """
    if until_clear is not None and for_s is not None:
        raise click.UsageError("give --for or --until-clear, not both")
    if at_most is not None and (until_clear is None or at_most < until_clear):
        raise click.UsageError("--at-most needs --until-clear, and may not be shorter")
    must_be_writable(csv_path)
    ended = _end_by_signals()
    from voxpool.leakgate.judging.judge import LIMIT_BYTES, warm_up
    from voxpool.leakgate.watching.until_clear import UntilClear
    from voxpool.leakgate.watching.watch import Watch

    reader = open_target(**target)
    try:
        reader.read()  # fails at once as wrong input
    except BaseException:
        reader.close()
        raise
    seconds = for_s or SECONDS if until_clear is None else at_most or AT_MOST_TIMES * until_clear
    warm_up()
    watched = Watch(lambda: reader, limit_bytes=limit or LIMIT_BYTES, every_s=every)
    clear = UntilClear(
        watched.report,
        watched,
        end=ended.set,
        least_s=lambda: until_clear or 0.0,
        lasts_s=lambda: seconds,
        may_name=lambda: False,  # a watch of fixed duration does not change the process
        seconds=time.monotonic,
    )
    watched.start()
    clear.start()
    _wait(watched, ended, seconds)
    clear.stop()
    watched.stop()
    if csv_path is not None:
        write_csv(watched.series, csv_path)
    return write(watched.report(with_power=True))


def open_target(
    pid: int | None = None, url: str = "", metrics: str = "", work: str = "", cleanup: str = "",
    cleanup_every: float = 0.0, retention: float = 0.0, token: str = "", ca_file: Path | None = None,
    children: bool = False, unit: str = "request", bounds: dict[str, Bound] | None = None,
) -> ServerReader:  # fmt: skip
    """Return a reader for the options, without a first reading. Raises LeakgateError."""
    from voxpool.leakgate.readings.prometheus import parse_selector
    from voxpool.leakgate.readings.reader import Selectors, open_reader

    if retention and not cleanup_every:
        raise WrongInput("--retention needs --cleanup-every: how often what is over it is removed")
    selectors = Selectors(
        work=parse_selector(work) if work else None, cleanups=parse_selector(cleanup) if cleanup else None
    )
    about = Source(unit=unit, interval_s=cleanup_every, retention_s=retention, bounds=bounds or {})
    return open_reader(
        pid=pid, report_url=url, metrics_url=metrics, selectors=selectors, token=secret_of(token), children=children,
        ca_file=str(ca_file or ""), about=about,
    )  # fmt: skip


def _end_by_signals() -> threading.Event:
    """Return an event that Ctrl-C or SIGTERM sets; a second signal has its default effect."""
    ended = threading.Event()
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(_number: int, _frame: object) -> None:
        ended.set()
        for number, before in kept.items():
            signal.signal(number, before)

    for number in kept:
        signal.signal(number, end)
    return ended


def _wait(watched: Watch, ended: threading.Event, seconds: float) -> None:
    """Show progress on standard error until the end."""
    is_terminal = sys.stderr.isatty()
    begin_s = shown_s = time.monotonic()
    while watched.is_running and not ended.is_set():
        now_s = time.monotonic()
        if now_s - begin_s >= seconds:
            break
        if is_terminal or now_s - shown_s >= PLAIN_LINE_S:
            shown_s = now_s
            line = _line(watched.report(), now_s - begin_s, seconds)
            if is_terminal:
                click.echo(CLEAR_LINE, err=True, nl=False)
                line = line[: shutil.get_terminal_size().columns - 1]
            say(line, err=True, nl=not is_terminal)
        ended.wait(min(LINE_S, max(0.0, begin_s + seconds - now_s)))
    if is_terminal:
        click.echo(CLEAR_LINE, err=True, nl=False)


def _line(report: WatchReport, passed_s: float, seconds: float) -> str:
    from voxpool.leakgate.report.svg import bytes_text

    done = f"{passed_s:,.0f} of {seconds:,.0f} s, {report.taken} readings"
    if report.first is None or report.last is None:
        return f"{done}: {report.finding.reason}"
    allocated = report.last.allocated_bytes
    size = f"RSS {bytes_text(report.last.rss_bytes)}" if allocated is None else f"allocated {bytes_text(allocated)}"
    work = report.last.work - report.first.work
    verdict = f"{report.finding.verdict}, {report.finding.reason}"
    return f"{done}, {work:,} {report.source.unit}s, {size}; so far {verdict}"
