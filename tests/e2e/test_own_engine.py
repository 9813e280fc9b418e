"""`voxpool node --engine module:function`: a user's function, imported from the working directory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.command_line import one_line, voxpool, voxpool_here
from tests.e2e.processes import TONE, Process, Scheduler, wait_until
from voxpool.scheduler.sdk.http import HttpClient

MODULE = """
import time
from voxpool.scheduler.sdk import worker

def plain(work):
    return {"plain": len(work.audio)}

async def slow(work):
    return {"async": work.pair}

@worker(pairs=["a:b"])
async def decorated(work):
    return {"decorated": work.pair}

def load():
    global model
    model = "loaded"

@worker.batch(pairs=["a:b"], max=4, setup=load)
def batch(works):
    return [{"batch": model} for work in works]

def lack():
    raise RuntimeError("no GPU")

@worker(pairs=["a:b"], setup=lack)
def lacking(work):
    return None

class Model:
    made = 0
    def __init__(self):
        Model.made += 1
    def __call__(self, work):
        return {"made": Model.made}

def nothing():
    pass

number = 5
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the module; commands run in it, and find voxpool where the tests do."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("my_engines", "models", "models.whisper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "my_engines.py").write_text(MODULE)
    package = tmp_path / "models"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "whisper.py").write_text("def transcribe(work):\n    return 'a text'\n")
    (tmp_path / "needs.py").write_text("import no_such_dependency\n")
    (tmp_path / "raises.py").write_text("x = 1\nraise RuntimeError('no GPU\\nhere')\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "broken.py").write_text("def work(:\n")
    return tmp_path


def test_custom_functions_do_the_work(scheduler: Scheduler, pair: str, place: Path) -> None:
    engines = {
        "my_engines:plain": {"plain": len(TONE)},
        "my_engines:slow": {"async": ""},
        "my_engines:decorated": {"decorated": ""},
        "my_engines:batch": {"batch": "loaded"},
        "my_engines:Model": {"made": 1},
        "models.whisper:transcribe": "a text",
    }
    nodes = []
    try:
        for number, engine in enumerate(engines):
            words = ("--id", f"own-{pair[:-3]}-{number}", "--pairs", f"{pair}{number}", "--engine", engine)
            nodes.append(Process(place, f"node-{number}", "node", "--url", scheduler.url, *words))
        ours = {f"own-{pair[:-3]}-{number}" for number in range(len(engines))}
        wait_until(lambda: ours <= set(scheduler.node_ids()) or any(node.popen.poll() is not None for node in nodes))
        assert ours <= set(scheduler.node_ids()), [node.log.read_text()[-300:] for node in nodes]
        with HttpClient(scheduler.url) as client:
            for number, wanted in enumerate(engines.values()):
                its_pair = f"{pair}{number}"
                job = client.submit(TONE, its_pair, wait_s=20)
                if isinstance(wanted, dict):
                    wanted = {key: its_pair if value == "" else value for key, value in wanted.items()}
                assert (job.state, job.output) == ("completed", wanted)
    finally:
        for node in nodes:
            assert node.stop() == 0


def test_a_setup_that_fails_ends_the_node(place: Path) -> None:
    """Before a connection is tried."""
    words = ("node", "--url", "http://127.0.0.1:1", "--id", "n", "--pairs", "a:b", "--engine", "my_engines:lacking")
    ended = voxpool(*words)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("the setup raised RuntimeError: no GPU"), ended.stderr


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("no_such_module:work", "there is no module no_such_module in the current folder"),
        ("models.no_such:work", "there is no module models.no_such"),
        ("my_engines:plane", "my_engines has no plane; did you mean plain?"),
        ("my_engines:number", "is no function that takes a Work, but int"),
        ("my_engines:nothing", "must take one argument, the Work"),
        ("needs:work", "importing needs raised ModuleNotFoundError: No module named 'no_such_dependency' (needs.py:1)"),
        ("raises:work", "importing raises raised RuntimeError: no GPU here (raises.py:2)"),
        ("exits:work", "importing exits raised SystemExit"),
        ("broken:work", "importing broken raised SyntaxError"),
        ("whisper", "unknown engine 'whisper'; known are measure"),
    ],
)
def test_an_invalid_engine_is_one_line(place: Path, engine: str, message: str) -> None:
    """The error comes before a connection is tried; exit code 3."""
    words = ("node", "--url", "http://127.0.0.1:1", "--id", "n", "--pairs", "a:b", "--engine", engine)
    assert message in one_line(voxpool_here(*words), 3)
