"""The bench of the table, at a small size, and the command that runs all benches."""

from __future__ import annotations

import pytest

from bench import __main__ as command
from bench import table
from bench._rows import print_rows


@pytest.mark.alone
def test_the_table_is_compared_with_a_plain_dict(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table.run(20_000)

    assert [row.what.split(",")[0] for row in rows[1:]] == [
        "longest pause by sweeps",
        "longest pause by inserts",
        "longest pause by the collector",
    ]
    assert isinstance(rows[0].figure, float) and 300 < rows[0].figure < 700
    assert all(row.goal and "plain dict" in row.beside for row in rows)
    print_rows(rows, "title")
    assert "bytes a resident finished job" in capsys.readouterr().out


def test_every_module_of_bench_is_run() -> None:
    assert "table" in command.modules()
    assert not any(name.startswith("_") for name in command.modules())


def test_an_unknown_bench_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["chair"]) == 3
    assert "no such bench: chair; there are" in capsys.readouterr().err
