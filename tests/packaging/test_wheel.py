"""The contents of the wheel, and that it runs without a source tree: it has commands, Lua scripts and pages."""

from __future__ import annotations

import ast
import json
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.packaging.installation import ROOT, Installation
from tests.tidy.source_tree import imported
from voxpool.scheduler import __version__

pytestmark = [pytest.mark.early, pytest.mark.timeout(600)]


def test_the_wheel_has_one_import_name_and_its_data(wheel: Path) -> None:
    """Nothing at the top level can overwrite, or hide, a module of another package."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"voxpool", f"voxpool-{__version__}.dist-info"}
    scripts = {f"voxpool/{path.relative_to(ROOT)}" for path in (ROOT / "lua").rglob("*.lua")}
    assert "voxpool/lua/jobs/submit.lua" in scripts and len(scripts) >= 20 and scripts <= names
    pages = ROOT / "scheduler" / "web" / "assets"
    assets = {f"voxpool/scheduler/web/assets/{path.relative_to(pages)}" for path in pages.rglob("*") if path.is_file()}
    assert "voxpool/scheduler/web/assets/dashboard/index.html" in assets and assets <= names


def test_no_module_of_the_wheel_imports_one_that_is_left_out(wheel: Path) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    left_out = {name.removesuffix(".py").replace("/", ".") for name in settings["exclude"]}
    assert left_out and [name for name in settings["exclude"] if not (ROOT / name).exists()] == []
    with zipfile.ZipFile(wheel) as archive:
        files = [name for name in archive.namelist() if name.endswith(".py")]
        assert [name for name in files if name.removeprefix("voxpool/") in settings["exclude"]] == []
        names = {full for name in files for _, full in imported(ast.parse(archive.read(name)))}
    assert [name for name in names if name.removeprefix("voxpool.").startswith(tuple(left_out))] == []


@pytest.mark.parametrize("command", [["voxpool"], ["python", "-m", "voxpool.scheduler"]], ids=" ".join)
def test_the_command_prints_its_version(base: Installation, command: list[str]) -> None:
    done = base.run(*command, "--version")
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_the_simulation_lists_its_experiments(sim: Installation) -> None:
    done = sim.run("python", "-m", "voxpool.sim", "list")
    assert done.returncode == 0, done.stderr
    assert "leak" in done.stdout


def test_an_experiment_holds(sim: Installation) -> None:
    """It is the shortest one that uses scenarios, Lua scripts and plots; its modules come from the wheel."""
    where = sim.run("python", "-c", "import voxpool; print(voxpool.__path__[0])").stdout.strip()
    assert str(sim.folder) in where
    done = sim.run("voxpool-sim", "orphans", "--quick", "--json", "found.json", "--out", "found", within_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((sim.folder / "found.json").read_text())["verdict"] == "holds"
    assert list((sim.folder / "found").rglob("*.svg"))


def test_leakgate_works_alone(sim: Installation) -> None:
    """The command works, and pytest would find the fixture."""
    rows = [f"{n},{30 * n},{20_000_000 + 9000 * n}" for n in range(60)]
    (sim.folder / "series.csv").write_text("\n".join(["t_s,work,allocated_bytes", *rows]))
    done = sim.run("leakgate", "judge", "series.csv")
    assert done.returncode == 1 and done.stdout.startswith("leak: allocated bytes"), done.stdout + done.stderr
    found = "from importlib.metadata import entry_points; print(*entry_points(group='pytest11', name='leakgate'))"
    assert "voxpool.leakgate.pytest_plugin" in sim.run("python", "-c", found).stdout
