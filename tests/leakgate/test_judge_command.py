"""`leakgate judge`: verdicts and exit codes for files, and errors that name the line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.leakgate.foreign import ROOT
from voxpool.leakgate.judging.finding import MemoryFinding
from voxpool.leakgate.readings.csv_file import read_csv, write_csv
from voxpool.leakgate.readings.series import Reading, Series
from voxpool.leakgate.report.report import WatchReport


def leakgate(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "voxpool.leakgate", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def csv_of(path: Path, header: str, row: str, rows: int = 120) -> Path:
    """Write a file whose rows are `row` with n = 0, 1, 2, …"""
    lines = [header, *(eval(f"f{row!r}", {"n": n}) for n in range(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "row", "code", "message"),
    [
        ("t_s,work,allocated_bytes", "{n},{30*n},{20_000_000+9000*n+n%3*500}", 1, "leak: allocated bytes grow by 300"),
        ("t_s,work,allocated_bytes", "{n},{30*n},{20_000_000+n*7919%9000}", 0, "no leak: allocated bytes"),
        ("t_s,work,rss_bytes", "{n},{30*n},{90_000_000+60_000*n+n%3*4096}", 1, "only the RSS was read"),
        ("t_s,work,rss_bytes", "{n},{1000*n},{90_000_000+400_000*n//262144*262144}", 1, "only the RSS was read"),
        ("t_s,work,rss_bytes,queue", "{n},{30*n},{90_000_000+n%3*4096},{3*n}", 1, "leak: queue grows by 0.10"),
        ("t_s,work,rss_bytes", "{n},{30*n},{90_000_000+n*n*7919%90_000_000}", 2, "unclear: RSS"),
        ("t_s,work,rss_bytes", "{n},0,90000000", 2, "unclear: no request was finished"),
    ],
)  # fmt: skip
def test_the_verdict_is_the_exit_code(tmp_path: Path, header: str, row: str, code: int, message: str) -> None:
    done = leakgate("judge", csv_of(tmp_path / "series.csv", header, row))
    assert (done.returncode, done.stderr) == (code, "")
    assert message in done.stdout


def test_few_readings_are_no_evidence(tmp_path: Path) -> None:
    done = leakgate("judge", csv_of(tmp_path / "a.csv", "t_s,work,rss_bytes", "{n},{n},90000000", rows=5))
    assert done.returncode == 2 and "12 are needed" in done.stdout


def test_limit_unit_bounds_and_files(tmp_path: Path) -> None:
    file = csv_of(tmp_path / "a.csv", "t_s,work,allocated_bytes,cache", "{n},{30*n},{20_000_000+9000*n},{n}")
    page, report = tmp_path / "a.html", tmp_path / "a.json"
    done = leakgate(
        "judge", file, "--limit", 400, "--unit", "order", "--bounded", "cache=200", "--html", page, "--json", report
    )
    assert done.returncode == 0 and "a order" in done.stdout and "95 % power" in done.stdout
    assert "<svg" in page.read_text() and page.read_text().startswith("<!doctype html>")
    again = leakgate("judge", report)
    assert (again.returncode, again.stdout) == (0, done.stdout), "a report is judged as it was"
    assert leakgate("judge", report, "--limit", 5).returncode == 3


@pytest.mark.parametrize("verdict", ["leak", "no leak", "unclear", "?"])
def test_the_report_of_a_load_run_has_its_memory(tmp_path: Path, verdict: str) -> None:
    memory = WatchReport(finding=MemoryFinding(verdict=verdict, reason="because"))
    file = tmp_path / "report.json"
    file.write_bytes(msgspec.json.encode({"outcome": "holds", "memory": memory}))
    done = leakgate("judge", file)
    assert done.returncode == {"leak": 1, "no leak": 0}.get(verdict, 2) and "because" in done.stdout


HEADER = "t_s,work,rss_bytes\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "a.csv:1: is empty"),
        (HEADER, "a.csv:1: has a header and no readings"),
        ("time,work\n1,2\n", "a.csv:1: the header has no t_s; it has time, work"),
        ("t_s,work,queue\n1,2,3\n", "a.csv:1: the header has neither rss_bytes nor allocated_bytes"),
        ("t_s,work,allocated_bytes,held_bytes\n1,2,3,4\n", "a.csv:1: held_bytes needs rss_bytes"),
        ("t_s,work,rss_bytes,rss_bytes\n", "a.csv:1: two columns are named rss_bytes"),
        ("t_s,work,rss_bytes,\n", "a.csv:1: a column has no name"),
        (HEADER + "1,2,3\n\n2,3\n", "a.csv:4: has 2 cells, the header has 3"),
        (HEADER + "1,2,many\n", "a.csv:2: rss_bytes: 'many' is no number"),
        (HEADER + "1,,3\n", "a.csv:2: work: is empty"),
        (HEADER + "1,2,\n", "a.csv:2: has neither rss_bytes nor allocated_bytes"),
        (HEADER + "1,2,nan\n", "a.csv:2: rss_bytes: nan is not from 0"),
        (HEADER + "1,2,-3\n", "a.csv:2: rss_bytes: -3 is not from 0"),
        (HEADER + "1,2,3\n1,2,3\n", "a.csv:3: t_s: 1 comes after 1: it must rise"),
        (HEADER + "1,2,3\n2,1,3\n", "a.csv:3: work: 1 comes after 2: it may not fall"),
        (HEADER + '1,2,"3\n', "a.csv:2: unexpected end of data"),
        ("{}", 'a.csv: has neither "finding" nor "memory"'),
        ('{"memory": null}', "a.csv: this run did not watch the memory"),
        ('{"finding": 3}', "a.csv: is not a report of a watch"),
        ('{"finding": ', "a.csv: is not a report of a watch"),
    ],
)
def test_a_file_that_cant_be_read_is_wrong_input(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text, encoding="utf-8")
    done = leakgate("judge", file) if text in ("", '{"memory": null}') else None
    if done is not None:
        assert done.returncode == 3 and error in done.stderr and len(done.stderr.splitlines()) == 1
        return
    from voxpool.leakgate.cli.judge import _is_json, _read_report
    from voxpool.leakgate.errors import WrongInput

    with pytest.raises(WrongInput) as refused:
        _read_report(file) if _is_json(file) else read_csv(file)
    assert error in str(refused.value)


@pytest.mark.parametrize(
    "arguments", [["judge"], ["judge", "/nowhere.csv"], ["judge", "--limit", "0", "x"], ["wrong"], []]
)
def test_wrong_usage_is_wrong_input(arguments: list[str]) -> None:
    done = leakgate(*arguments)
    assert done.returncode == 3 and done.stderr


def test_a_written_report_can_be_read(tmp_path: Path) -> None:
    series = Series()
    for n in range(20):
        counts = {"table a,b": n, "type Job": 2} if n else {"table a,b": 0}
        series.add(Reading(t_s=n / 2, work=n, rss_bytes=5, allocated_bytes=n or None, counts=counts))
    series.add(Reading(t_s=99, work=99, rss_bytes=5, counts={"table a,b": 7}, counts_are_whole=False))
    write_csv(series, tmp_path / "a.csv")
    table = read_csv(tmp_path / "a.csv")
    assert table.names == ["t_s", "work", "rss_bytes", "allocated_bytes", "held_bytes", "table a,b", "type Job"]
    read = table.series.readings
    assert [one.work for one in read] == [*range(20), 99] and read[3].t_s == 1.5
    assert (read[0].allocated_bytes, read[1].allocated_bytes) == (None, 1)
    assert read[0].counts == {"table a,b": 0, "type Job": 0}, "a type that is not there is 0"
    assert read[-1].counts == {"table a,b": 7} and not read[-1].counts_are_whole, "unless there were too many types"
