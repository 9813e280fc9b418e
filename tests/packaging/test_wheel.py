"""What is built runs where no source tree is: commands, scripts and examples travel in the wheel."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from tests.packaging.installation import ROOT, Installation, free_port, wait_until
from voxpool.scheduler import __version__

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    yield Installation(tmp_path_factory.mktemp("wheel"))


def test_scripts_and_examples_travel_in_the_wheel_and_tests_do_not(installed: Installation) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    scripts = {f"voxpool/lua/{path.name}" for path in (ROOT / "lua").glob("*.lua")}
    examples = {f"voxpool/examples/{path.name}" for path in (ROOT / "examples").glob("*.wav")}
    assert len(scripts) >= 7 and scripts <= names
    assert examples and examples <= names
    pages = ROOT / "scheduler" / "web" / "assets"
    assets = {f"voxpool/scheduler/web/assets/{path.relative_to(pages)}" for path in pages.rglob("*") if path.is_file()}
    assert "voxpool/scheduler/web/assets/dashboard/index.html" in assets and assets <= names
    assert {name.split("/")[0] for name in names} == {
        "voxpool",
        f"voxpool-{__version__}.dist-info",
    }


@pytest.mark.parametrize("command", [["voxpool"], ["python", "-m", "voxpool.scheduler"]], ids=" ".join)
def test_the_command_tells_its_version(installed: Installation, command: list[str]) -> None:
    done = installed.run(*command, "--version")
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


@pytest.mark.parametrize("command", [["voxpool-sim"], ["python", "-m", "voxpool.sim"]], ids=" ".join)
def test_the_simulation_lists_what_it_has(installed: Installation, command: list[str]) -> None:
    done = installed.run(*command, "list")
    assert done.returncode == 0, done.stderr
    assert "leak" in done.stdout


def test_the_leak_experiment_holds(installed: Installation) -> None:
    """Its row M1, which has all that travels; M9 is a timing."""
    words = ("leak", "--quick", "--without", "M1", "--json", "leak.json", "--out", "leak")
    done = installed.run("voxpool-sim", *words, within_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((installed.folder / "leak.json").read_text())["verdict"] == "holds"
    assert list((installed.folder / "leak").rglob("*.png"))


def test_a_served_job_is_completed_by_a_node(installed: Installation) -> None:
    """A scheduler on its own Valkey and one node, both from the wheel; the audio, too."""
    url = f"127.0.0.1:{free_port()}"
    serve = ["voxpool", "serve", "--port", url.split(":")[1], "--state-dir", str(installed.folder / "state")]
    node = ["voxpool", "node", "--url", f"ws://{url}", "--id", "gpu-1", "--pairs", "en:en", "--slots", "1"]

    def answers() -> bool:
        try:
            return httpx.get(f"http://{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    with installed.running(*serve) as scheduler:
        assert wait_until(lambda: answers() or scheduler.poll() is not None, within_s=20), "never ready"
        assert scheduler.poll() is None, installed.output_of("serve")
        with installed.running(*node, "--engine", "measure"):
            where = installed.run("python", "-c", "import voxpool; print(voxpool.__path__[0])").stdout.strip()
            assert str(installed.folder) in where
            examples = sorted(path for path in (ROOT / "examples").glob("*.wav"))
            wav = f"{where}/examples/{examples[0].name}"
            done = installed.run(
                "voxpool", "submit", "--url", f"http://{url}", "--pair", "en:en", "--wait", "--json", wav
            )
            assert done.returncode == 0, done.stdout + done.stderr + installed.output_of("serve")
            assert '"completed"' in done.stdout
    assert scheduler.returncode == 0, installed.output_of("serve")


def test_leakgate_judges_where_nothing_else_is(installed: Installation) -> None:
    """The command is there, and pytest would find the fixture."""
    rows = [f"{n},{30 * n},{20_000_000 + 9000 * n}" for n in range(60)]
    (installed.folder / "series.csv").write_text("\n".join(["t_s,work,allocated_bytes", *rows]))
    done = installed.run("leakgate", "judge", "series.csv")
    assert done.returncode == 1 and done.stdout.startswith("leak: allocated bytes"), done.stderr
    found = "from importlib.metadata import entry_points; print(*entry_points(group='pytest11', name='leakgate'))"
    assert "voxpool.leakgate.pytest_plugin" in installed.run("python", "-c", found).stdout
