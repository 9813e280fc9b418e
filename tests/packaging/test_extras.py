"""The purpose of each extra: the modules that it makes importable, and the line that a command prints without it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest

from tests.packaging import only_extras
from tests.packaging.installation import ROOT
from voxpool import _commands
from voxpool.scheduler.cli.exits import EXIT_WRONG_INPUT


def only(extras: list[str] | None, *codes: str) -> list[tuple[int, str, str]]:
    """Run each code with only the packages of `extras`; return exit code, standard output and standard error."""
    command = [sys.executable, only_extras.__file__]
    given = json.dumps([extras, codes])
    done = subprocess.run(command, input=given, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(status, output, errors) for status, output, errors in json.loads(done.stdout)]


def command(name: str, *words: str) -> str:
    """Return code that runs a console script."""
    return f"import sys; sys.argv = {[name, *words]!r}; from voxpool import _commands; _commands.{name}()"


def module(name: str, *words: str) -> str:
    """Return code that runs `python -m`."""
    return f"import runpy, sys; sys.argv = {[name, *words]!r}; runpy.run_module({name!r}, run_name='__main__')"


@pytest.mark.parametrize(
    ("extras", "packages", "left_out"),
    [
        ([], ("scheduler.sdk", "scheduler.cli", "scheduler.protocol", "leakgate.inside"), set()),
        (["server"], ("scheduler",), {"scheduler.telemetry.traces.otlp"}),
        (["leakgate"], ("leakgate",), {"leakgate.locust_plugin", "leakgate.pytest_plugin"}),
        (["sim"], ("sim",), set()),
    ],
)
def test_modules_need_no_more_than_their_extra(
    extras: list[str], packages: tuple[str, ...], left_out: set[str]
) -> None:
    code = f"for package in {packages!r}:\n    print(*not_importable('voxpool.' + package), sep='\\n')"
    ((status, output, errors),) = only(extras, code)
    assert status == 0, errors
    failed = {line.split(":")[0] for line in output.split("\n") if line}
    assert failed == {f"voxpool.{name}" for name in left_out}, output


def test_a_module_that_needs_more_is_found() -> None:
    ((_, output, _),) = only([], "print(*not_importable('voxpool.scheduler.web'), sep='\\n')")
    assert "voxpool.scheduler.web.app: No module named 'starlette'" in output


@pytest.mark.parametrize(
    ("extras", "lines"),
    [
        (
            None,
            {
                command("scheduler", "--version"): "voxpool: click is not installed: pip install 'voxpool[server]'",
                command("sim", "--help"): "voxpool-sim: click is not installed: pip install 'voxpool[sim]'",
                command("load", "--help"): "voxpool-load: click is not installed: pip install 'voxpool[load]'",
                command("leakgate", "--help"): "leakgate: click is not installed: pip install 'voxpool[leakgate]'",
            },
        ),
        (
            [],
            {
                command("scheduler", "serve"): "voxpool: uvloop is not installed: pip install 'voxpool[server]'",
                module("voxpool.scheduler", "serve"): "voxpool: uvloop is not installed: pip install 'voxpool[server]'",
                command("scheduler", "node", "--id", "n", "--pairs", "en:en"): (
                    "voxpool: uvloop is not installed: pip install 'voxpool[server]'"
                ),
                command("scheduler", "doctor"): "voxpool: orjson is not installed: pip install 'voxpool[server]'",
            },
        ),
        (
            ["server"],
            {
                command("sim", "list"): "voxpool-sim: numpy is not installed: pip install 'voxpool[sim]'",
                module("voxpool.sim", "list"): "voxpool-sim: numpy is not installed: pip install 'voxpool[sim]'",
                command("leakgate", "judge", "README.md"): (
                    "leakgate: numpy is not installed: pip install 'voxpool[leakgate]'"
                ),
                module("voxpool.leakgate", "watch", "--pid", "1", "--for", "1s"): (
                    "leakgate: numpy is not installed: pip install 'voxpool[leakgate]'"
                ),
            },
        ),
        (
            ["sim"],
            {
                command("load", "pools"): "voxpool-load: locust is not installed: pip install 'voxpool[load]'",
                module("voxpool.loadtest", "options"): (
                    "voxpool-load: locust is not installed: pip install 'voxpool[load]'"
                ),
            },
        ),
    ],
    ids=["nothing", "base", "server", "sim"],
)
def test_a_missing_extra_is_one_line_with_the_command(extras: list[str] | None, lines: dict[str, str]) -> None:
    done = only(extras, *lines)
    assert done == [(EXIT_WRONG_INPUT, "", f"{line}\n") for line in lines.values()]


def test_without_rich_several_files_are_submitted_on_a_terminal_too() -> None:
    """The progress bar needs rich, which the base does not include."""
    code = "import sys; sys.stderr.isatty = lambda: True\nfrom voxpool.scheduler.cli.progress import progress\n"
    code += "with progress('en:en', 2) as shown:\n    shown.say('accepted'); shown.advance()"
    assert only([], code) == [(0, "accepted\n", "")]


@pytest.mark.parametrize(
    ("extras", "code", "line"),
    [
        (None, "from voxpool import Client", "pip install voxpool"),
        (["server"], "from voxpool.leakgate import assert_no_leak as a; a(print)", "pip install 'voxpool[leakgate]'"),
    ],
)
def test_an_import_without_its_package_ends_with_the_command(extras: list[str] | None, code: str, line: str) -> None:
    ((status, _, errors),) = only(extras, code)
    assert status == 1
    assert errors.splitlines()[-1].endswith(f" is not installed: {line}"), errors


@pytest.mark.parametrize("missing", ["voxpool.scheduler.cli", "_lzma"])
def test_a_bug_of_our_own_keeps_its_traceback(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module of voxpool, or of Python, can't be installed with pip."""

    def gone(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(_commands, "import_module", gone)
    with pytest.raises(ModuleNotFoundError, match=f"^No module named '{missing}'$"):
        _commands.scheduler()


def test_the_documentation_has_each_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "install.md").read_text()
    assert all(f"| {extra} |" in page for extra in extras)
