"""The installations of docs/install.md, from the wheel: their sizes, and the features that work in each."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import pytest

from tests.e2e.processes import wait_until
from tests.packaging.installation import ROOT, Installation
from tests.tidy.dependencies import pinned

pytestmark = [pytest.mark.early, pytest.mark.timeout(600)]

TOLERANCE = 0.1
GOALS_MB = {"base": 17, "server": 69}
"""With bytecode."""
WORKER = '''
from voxpool import Work, worker

@worker(pairs=["xx:yy"])
def engine(work: Work) -> dict[str, int]:
    """The audio's size."""
    return {"audio_bytes": len(work.audio)}

engine.main()
'''
USER = """
from voxpool import Client, Work, worker

@worker(pairs=["xx:yy"])
def engine(work: Work) -> dict[str, int]:
    return {"audio_bytes": len(work.audio)}

async def ask(audio: bytes) -> str:
    async with Client("ws://127.0.0.1:5010") as client:
        result = await client.submit(audio, "xx:yy")
        reveal_type(client.submit)
        return result.job_id

async def mistaken(client: Client) -> None:
    await client.submit("no bytes", "xx:yy")
"""


@pytest.mark.parametrize(
    ("extras", "bytecode"),
    [("base", True), ("base", False), ("server", True), pytest.param("sim", False, marks=pytest.mark.large)],
)
def test_an_install_is_as_large_as_documented(extras: str, bytecode: bool, request: pytest.FixtureRequest) -> None:
    installation: Installation = request.getfixturevalue("whole_sim" if extras == "sim" else extras)
    page = (ROOT / "docs" / "install.md").read_text()
    ((compiled, bare),) = re.findall(rf"^\| {extras} \|.*\| (\d+) MB \| (\d+) MB \|$", page, re.MULTILINE)
    documented = float(compiled if bytecode else bare)
    size_mb = installation.size_mb(bytecode)
    assert size_mb == pytest.approx(documented, rel=TOLERANCE)
    if bytecode:
        assert size_mb <= GOALS_MB[extras] * (1 + TOLERANCE)


def test_an_install_has_the_locked_packages(server: Installation) -> None:
    """The image installs ops/requirements.lock, which includes the packages of the traces."""
    there = {path.name.split("-")[0].replace("_", "-").lower() for path in server.packages.glob("*.dist-info")}
    assert "voxpool" in there and there - {"voxpool"} <= set(pinned((ROOT / "ops" / "requirements.lock").read_text()))


def test_a_worker_and_a_client_need_the_base_only(base: Installation, scheduler: str) -> None:
    """A `@worker` does a job of a scheduler that runs elsewhere; the user's modules with our names are not imported."""
    for name in ("scheduler", "sim", "loadtest", "leakgate"):
        (base.folder / f"{name}.py").write_text("raise SystemExit('a module of the user was imported')\n")
    (base.folder / "mywork.py").write_text(WORKER)
    wav = ROOT / "examples" / "tone.wav"
    with base.running("python", "mywork.py", "--url", scheduler, "--id", "mine"):
        wait_until(lambda: [node["node_id"] for node in httpx.get(f"{scheduler}/v1/nodes").json()["nodes"]] == ["mine"])
        done = base.run("voxpool", "submit", "--url", scheduler, "--pair", "xx:yy", "--wait", "--json", str(wav))
        assert done.returncode == 0, done.stdout + done.stderr + base.output_of("mywork.py")
        result = json.loads(done.stdout)
        assert (result["state"], result["output"]) == ("completed", {"audio_bytes": wav.stat().st_size})
        for command in ("jobs", "nodes", "pools"):
            listed = base.run("voxpool", command, "--url", scheduler)
            assert listed.returncode == 0, listed.stderr
            assert "xx:yy" in listed.stdout


def test_the_server_measures_audio(server: Installation, scheduler: str) -> None:
    """The engine `measure` reads a WAV file without numpy."""
    where = server.run("python", "-c", "import voxpool; print(voxpool.__path__[0])").stdout.strip()
    assert str(server.folder) in where
    wav = str(ROOT / "examples" / "tone.wav")
    node = ("voxpool", "node", "--url", scheduler, "--id", "gpu-1", "--pairs", "en:en")
    with server.running(*node):
        done = server.run("voxpool", "submit", "--url", scheduler, "--pair", "en:en", "--wait", "--json", wav)
        assert done.returncode == 0, done.stdout + done.stderr + server.output_of("node")
        assert json.loads(done.stdout)["output"]["voice_s"] == 1.5


def test_a_missing_extra_is_one_line_in_an_install_too(base: Installation, server: Installation) -> None:
    for installation, command, extra in (
        (base, "voxpool serve", "server"),
        (server, "voxpool-sim list", "sim"),
        (server, "voxpool-load options", "load"),
        (server, "leakgate judge constraints.txt", "leakgate"),
    ):
        done = installation.run(*command.split())
        assert done.returncode == 3 and done.stdout == "", done.stderr
        (line,) = done.stderr.splitlines()
        assert line.endswith(f" is not installed: pip install 'voxpool[{extra}]'")


def test_types_reach_the_user(base: Installation) -> None:
    """`mypy --strict` reads the signatures of the installed package, and finds the mistake."""
    user = base.folder / "user.py"
    user.write_text(USER)
    there = ("--python-executable", str(base.bin / "python"), "--cache-dir", str(base.folder / "mypy"))
    command = [sys.executable, "-m", "mypy", "--strict", *there, "user.py"]
    done = subprocess.run(command, cwd=base.folder, capture_output=True, text=True, check=False)
    revealed, *errors = [line for line in done.stdout.splitlines() if line.startswith("user.py")]
    assert "audio: bytes, pair: str" in revealed and "JobResult]" in revealed
    assert len(errors) == 1 and 'has incompatible type "str"; expected "bytes"' in errors[0], done.stdout + done.stderr
