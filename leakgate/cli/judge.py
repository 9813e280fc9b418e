"""`leakgate judge`: judges the readings in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from voxpool.leakgate.cli.options import judging, writing
from voxpool.leakgate.errors import WrongInput
from voxpool.leakgate.readings.csv_file import SIZES, read_csv
from voxpool.leakgate.readings.series import Bound

if TYPE_CHECKING:
    from voxpool.leakgate.report.report import WatchReport

REPORT_BYTES_MAX = 64 * 1024 * 1024


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@judging
@writing
def judge(
    file: Path, limit: float | None, unit: str, bounds: dict[str, Bound], write: Callable[[WatchReport], int]
) -> int:
    """Judge readings in FILE: a CSV file, or a report in JSON.

    A CSV file has a header: t_s (seconds), work (units finished), rss_bytes, allocated_bytes, held_bytes as far as they
    are known; any other column is a count. A report is a file of `leakgate watch --json`, or any JSON object that has
    one under "memory"; it already has a verdict.
    """
    if _is_json(file):
        if limit is not None or bounds:
            raise WrongInput(f"{file}: a report already has a verdict; --limit and --bounded need a CSV file")
        return write(_read_report(file))
    return write(_judge_csv(file, limit, unit, bounds))


def _judge_csv(file: Path, limit: float | None, unit: str, bounds: dict[str, Bound]) -> WatchReport:
    from voxpool.leakgate.judging.judge import LIMIT_BYTES, judge_memory
    from voxpool.leakgate.readings.series import Source
    from voxpool.leakgate.report.report import report_of

    table = read_csv(file)
    source = Source(name=str(file), unit=unit, bounds=bounds)
    finding = judge_memory(table.series, source, limit or LIMIT_BYTES, with_power=True)
    if SIZES[0] not in table.names:
        finding = msgspec.structs.replace(finding, rss=None)
    return report_of(finding, source, table.series)


def _is_json(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _read_report(file: Path) -> WatchReport:
    from voxpool.leakgate.report.report import WatchReport

    if file.stat().st_size > REPORT_BYTES_MAX:
        raise WrongInput(f"{file}: is longer than {REPORT_BYTES_MAX:,} bytes")
    try:
        found: Any = msgspec.json.decode(file.read_bytes())
        if "finding" not in found:
            if "memory" not in found:
                raise WrongInput(f'{file}: has neither "finding" nor "memory": it is not a report of a watch')
            found = found["memory"]
            if found is None:
                raise WrongInput(f"{file}: this run did not watch the memory")
        return msgspec.convert(found, WatchReport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongInput(f"{file}: is not a report of a watch: {error}") from error
