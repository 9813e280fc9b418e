"""Files of a scenario or of a stored run may be foreign: nothing beyond them is written or read."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from voxpool.scheduler.cli import main as voxpool
from voxpool.sim.cli.root import main as voxpool_sim

WITHIN_S = 60
MEMORY_BYTES = 3 * 1024**3
SMALL: dict[str, Any] = {
    "name": "small",
    "duration_s": 10,
    "nodes": [{"count": 2, "pairs": ["a:b"]}],
    "traffic": [{"pair": "a:b", "rate_per_s": 2, "work_s": 0.1}],
}
TOML = """
name = "small"
duration_s = 10
nodes = [{ count = 2, pairs = ["a:b"] }]
[[traffic]]
pair = "a:b"
rate_per_s = 2
work_s = 0.1
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in this process; return its exit code and its output."""

    def run(*words: str | Path) -> tuple[int, str]:
        main = voxpool_sim if words[0] == "voxpool-sim" else voxpool
        monkeypatch.setattr(sys, "argv", [*map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        message = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, message.out + message.err

    return run


def kept(folder: Path, **case: Any) -> Path:
    """Make the folder of a stored run, as anybody could hand it out."""
    folder.mkdir()
    (folder / "case.json").write_text(json.dumps({"scenario": SMALL, "seed": 1, **case}))
    (folder / "found.json").write_text(json.dumps({"signs": ["died: ValueError"]}))
    return folder


def test_replay_and_shrink_do_not_follow_links(run: Any, tmp_path: Path) -> None:
    folder = kept(tmp_path / "kept")
    precious = tmp_path / "precious"
    precious.write_text("mine")
    names = ("trace.json", "shrunk.json", "job-s1-1.svg")
    for name in names:
        (folder / name).symlink_to(precious)
    code, message = run("voxpool-sim", "replay", folder, "--job", "s1-1")
    assert code == 0, message
    code, message = run("voxpool-sim", "shrink", folder, "--runs", "1")
    assert code in (0, 2), message
    assert precious.read_text() == "mine"
    assert json.loads((folder / "trace.json").read_text()) and not (folder / "trace.json").is_symlink()
    assert {path.name for path in folder.iterdir()} == {"case.json", "found.json", *names}, "no part is left over"


def test_a_run_with_out_does_not_follow_links_and_names_its_files(run: Any, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TOML)
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("mine")
    out.mkdir()
    for name in ("trace.json", "report.json", "report.html"):
        (out / name).symlink_to(precious)
    code, message = run("voxpool-sim", "run", tmp_path / "small.toml", "--out", out, "--why", "s1-2")
    assert code == 0, message
    assert precious.read_text() == "mine"
    written = {
        Path(line.removeprefix("written: ")).name for line in message.splitlines() if line.startswith("written: ")
    }
    assert written == {path.name for path in out.iterdir()} and "trace.json" in written
    submitted = [line.split()[:2] for line in message.splitlines() if line.endswith("submitted")]
    assert len(submitted) == 1 and submitted[0][1] == "s" and 0 < float(submitted[0][0]) < 10, "virtual seconds"


def test_a_failing_run_names_all_stored_files(run: Any, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TOML + '[expect]\ncompleted_jobs = ">= 1000"\n')
    out = tmp_path / "out"
    code, message = run("voxpool-sim", "run", tmp_path / "small.toml", "--out", out)
    assert code == 1, message
    written = {
        Path(line.removeprefix("written: ")).name for line in message.splitlines() if line.startswith("written: ")
    }
    assert written == {path.name for path in out.iterdir()}
    assert {"case.json", "found.json", "shrunk.json", "trace.json"} <= written


@pytest.mark.parametrize("name", ["../escaped", "a/b", "/tmp/x", "..", ".hidden", "", "a\nb", "x" * 81])
def test_a_name_cannot_be_a_path(run: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing run is stored in a folder of that name."""
    monkeypatch.chdir(tmp_path)
    text = TOML.replace('"small"', json.dumps(name)) + '[expect]\ncompleted_jobs = ">= 1000"\n'
    (tmp_path / "named.toml").write_text(text)
    code, message = run("voxpool-sim", "run", "named.toml")
    assert code == 3 and "name = " in message and len(message.splitlines()) == 1, message
    assert not (tmp_path / "out").exists() and not (tmp_path / "escaped-1").exists()
    folder = kept(tmp_path / "kept", scenario={**SMALL, "name": name})
    code, message = run("voxpool-sim", "replay", folder)
    assert code == 3 and "name" in message, message


def test_a_case_cannot_choose_a_server(run: Any, tmp_path: Path) -> None:
    """Only the user does; nothing listens on that port, and no connection is tried."""
    folder = kept(tmp_path / "kept", store="redis://127.0.0.1:1/0")
    for command in ("replay", "shrink"):
        code, message = run("voxpool-sim", command, folder)
        assert code == 3 and "--store" in message, message
    code, message = run("voxpool-sim", "replay", folder, "--store", "memory")
    assert code == 0, message


EACH = """
import sys
from voxpool.sim.cli.root import main
for scenario in sys.argv[1:]:
    sys.argv = ["voxpool-sim", "run", scenario]
    try:
        main()
    except SystemExit as end:
        print(scenario, end.code)
"""
"""A program that runs scenarios one after the other and prints the exit code of each."""


def test_a_file_of_values_must_be_small_and_in_the_same_folder(tmp_path: Path) -> None:
    """It runs in a process with little memory: a device has no end, and a pipe without a writer never begins."""
    folder = tmp_path / "scenario"
    folder.mkdir()
    (tmp_path / "values.txt").write_text("0.1\n")
    (folder / "link.txt").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    scenarios: list[str] = []
    for file in ("/etc/hostname", "../values.txt", "link.txt", "pipe", "/dev/zero"):
        work = f'{{ dist = "empirical", file = "{file}" }}'
        scenarios.append(str(folder / f"{len(scenarios)}.toml"))
        Path(scenarios[-1]).write_text(TOML.replace("work_s = 0.1", f"work_s = {work}"))
    done = subprocess.run(
        [sys.executable, "-c", EACH, *scenarios],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
    )
    assert done.stdout.splitlines() == [f"{scenario} 3" for scenario in scenarios], done.stderr[-400:]
    assert len(done.stderr.splitlines()) == len(scenarios), done.stderr


def test_a_file_of_values_in_the_same_folder_is_read(run: Any, tmp_path: Path) -> None:
    (tmp_path / "values.txt").write_text("0.1\n0.2\n")
    work = '{ dist = "empirical", file = "values.txt" }'
    (tmp_path / "small.toml").write_text(TOML.replace("work_s = 0.1", f"work_s = {work}"))
    code, message = run("voxpool-sim", "run", tmp_path / "small.toml")
    assert code == 0, message


DEEP = {
    "lists": "x = " + "[" * 100_000 + "]" * 100_000 + "\n",
    "tables": "x = " + "{a=" * 5_000 + "1" + "}" * 5_000 + "\n",
    "headers": "[" + ".".join(["a"] * 5_000) + "]\nb = 1\n",
    "levels": "x = " + "[" * 200 + "]" * 200 + "\n",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_nested_files_are_a_clear_error(run: Any, tmp_path: Path, text: str) -> None:
    """Scenarios, costs, settings and token files; each is one line and exit 3."""
    deep = tmp_path / "deep.toml"
    (tmp_path / "small.toml").write_text(TOML)
    deep.write_text(text)
    deep.chmod(0o600)
    for words in (
        ("voxpool-sim", "run", deep),
        ("voxpool-sim", "run", tmp_path / "small.toml", "--costs", deep),
        ("voxpool", "serve", "--config", deep),
        ("voxpool", "doctor", "--port", "0", "--store", "memory", "--config", deep),
        ("voxpool", "token", "ann", "--role", "client", "--access-file", deep),
    ):
        code, message = run(*words)
        assert code == 3 and len(message.splitlines()) == 1, (words, code, message[-300:])
        assert str(deep) in message and "nested too deeply" in message, (words, message)


@pytest.mark.parametrize("levels", [200, 100_000])
def test_a_nested_case_is_a_clear_error(run: Any, tmp_path: Path, levels: int) -> None:
    folder = kept(tmp_path / "kept")
    nested = "[" * levels + "]" * levels
    (folder / "case.json").write_text('{"seed": 1, "scenario": {"settings": {"a": ' + nested + "}}}")
    code, message = run("voxpool-sim", "replay", folder)
    assert code == 3 and "nested too deeply" in message and len(message.splitlines()) == 1, message
