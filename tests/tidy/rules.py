"""Rules that no linter has. Each takes a tree and returns violations, which name the replacement.

The tables are the whole list of exceptions. An unused row is a violation itself.
"""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from collections.abc import Callable, Mapping

from tests.tidy.dependencies import requirements_of
from tests.tidy.source_tree import SourceTree, imported, names_used

Rule = Callable[[SourceTree], list[str]]

LINES_MAX = 350

_CLOCKS = {
    "time.time": "Clock.now_ms()",
    "time.time_ns": "Clock.now_ms()",
    "time.monotonic": "loop.time()",
    "time.monotonic_ns": "loop.time()",
    "time.perf_counter": "loop.time()",
    "time.perf_counter_ns": "loop.time()",
    "time.sleep": "asyncio.sleep()",
    "datetime.datetime.now": "Clock.now_ms()",
    "datetime.datetime.utcnow": "Clock.now_ms()",
    "datetime.datetime.today": "Clock.now_ms()",
    "datetime.date.today": "Clock.now_ms()",
}
_CHANCE = {
    "uuid.uuid1": "the random source of the constructor",
    "uuid.uuid4": "the random source of the constructor",
    "os.urandom": "the random source of the constructor",
    "random.SystemRandom": "the random source of the constructor",
}
_SEEDED = {"random.Random", "numpy.random.default_rng", "numpy.random.Generator", "numpy.random.PCG64"}

# Where the real clock and real chance are used: file or folder -> why.
REAL_CLOCK_AND_CHANCE: dict[str, str] = {
    "scheduler/core/clock.py": "it is the wall clock",
    "sim/virtual_time/stopwatch.py": "it says how long a run took",
    "scheduler/sdk/wire/http_connections.py": "its sockets have real timeouts",
    "scheduler/chance.py": "it is the seed of a process that is not simulated",
}
# Where print() is the right output.
PRINTS: dict[str, str] = {}
# Where click.echo() is the right output: file -> why.
ECHOES: dict[str, str] = {
    "leakgate/terminal.py": "it is the way out of all others",
    "leakgate/cli/watch.py": "it clears the line of its progress",
}
# Parts of the core that decide and never wait: they use no event loop.
PURE = (
    *("core/jobs/job", "core/jobs/job_table", "core/jobs/waiting", "core/nodes/node"),
    *("core/admission/wait_times", "core/scripts", "core/why"),
    *("protocol/messages", "protocol/codec", "protocol/in_order", "errors", "config"),
)


def time_and_chance_come_in_by_the_constructor(tree: SourceTree) -> list[str]:
    """No clock of the machine and no unseeded or global random in scheduler/ and sim/."""

    def replacement(name: str, call: ast.Call | None) -> str | None:
        if name in _CLOCKS or name in _CHANCE:
            return _CLOCKS.get(name) or _CHANCE[name]
        if name in _SEEDED:
            return "a seed as its argument" if call and not call.args and not call.keywords else None
        if name.startswith(("random.", "numpy.random.", "secrets.")) and name.count(".") == name.count("numpy") + 1:
            return "the random source of the constructor"
        return None

    return _uses(tree, ("scheduler", "sim"), replacement, REAL_CLOCK_AND_CHANCE)


def the_scheduler_does_not_print(tree: SourceTree) -> list[str]:
    return _uses(
        tree,
        ("scheduler",),
        lambda name, call: "a log event" if name == "print" and call else None,
        PRINTS,
    )


def commands_escape_their_output(tree: SourceTree) -> list[str]:
    """Foreign text may contain escape sequences of a terminal."""
    return _uses(
        tree,
        ("scheduler", "sim", "loadtest", "leakgate"),
        lambda name, call: "voxpool.leakgate.terminal.say()" if name == "click.echo" else None,
        ECHOES,
    )


def waits_have_no_hidden_tasks(tree: SourceTree) -> list[str]:
    """wait_for differs between Python versions and costs several awaits; as_completed iterates over a set."""
    instead = {
        "asyncio.wait_for": "asyncio.timeout(), or a deadline of scheduler/core/timeouts.py",
        "asyncio.as_completed": "asyncio.gather() or a queue",
    }
    return _uses(tree, ("scheduler", "sim"), lambda name, call: instead.get(name), {})


def decisions_do_not_wait(tree: SourceTree) -> list[str]:
    """Records, tables and queues are plain synchronous code: they import no asyncio, socket or redis."""
    return [
        f"{path}:{line}: imports {name}: this part decides, its caller acts"
        for path in (f"scheduler/{name}.py" for name in PURE)
        if (tree.root / path).exists()
        for line, name in imported(tree.python(path))
        if name.split(".")[0] in {"asyncio", "socket", "redis", "threading", "uvicorn", "starlette"}
    ]


def files_have_one_role(tree: SourceTree) -> list[str]:
    violations = []
    for path in tree.files():
        if path.endswith((".py", ".lua", ".sh")):
            lines = (tree.text(path) or "").count("\n")
            if lines >= LINES_MAX:
                violations.append(f"{path}: {lines} lines: split it by role, under {LINES_MAX}")
    return violations


def nothing_names_a_package_index(tree: SourceTree) -> list[str]:
    """The source of packages is up to the machine: the tree names no host of an index, and no option that sets one."""
    dot = "."
    hosts = [
        dot.join(parts)
        for parts in (
            ("pypi", "org"),
            ("files", "python" + "hosted", "org"),
            ("registry", "npm" + "js", "org"),
            ("deb", "debian", "org"),
            ("archive", "ubuntu", "com"),
            ("proxy", "golang", "org"),
        )
    ]
    options = ["--" + word for word in ("index-url", "extra-index-url", "find-links", "trusted-host")]
    violations = []
    for path in tree.files():
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1):
            violations += [
                f"{path}:{number}: {word}: use the package's name and let the client of the machine find it"
                for word in hosts + options
                if word in line
            ]
    return violations


def nothing_is_left_for_later(tree: SourceTree) -> list[str]:
    """The code has no notes of unfinished work: they belong in an issue."""
    word = re.compile(r"(#|--|\"\"\")\s*(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    return [
        f"{path}:{number}: {line.strip()}: finish it, or file an issue"
        for path in tree.files()
        if path.endswith((".py", ".lua", ".sh"))
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1)
        if word.search(line)
    ]


def every_test_runs(tree: SourceTree) -> list[str]:
    """A skipped or xfail test proves nothing; one that sleeps tests the speed of the machine."""
    instead = {
        "time.sleep": "wait for a condition with a deadline",
        "unittest.skip": "a set-up that provides what is missing",
        "pytest.skip": "a set-up that provides what is missing",
        "pytest.importorskip": "a set-up that provides what is missing",
        "pytest.mark.skip": "a set-up that provides what is missing",
        "pytest.mark.skipif": "a set-up that provides what is missing",
        "pytest.mark.xfail": "a fix",
        "pytest.xfail": "a fix",
    }
    return [
        violation
        for violation in _uses(tree, ("tests",), lambda name, call: instead.get(name), {})
        if "/test_" in violation or "conftest" in violation
    ]


def what_bandit_is_told_to_pass_over_has_a_reason(tree: SourceTree) -> list[str]:
    fine = re.compile(r"# nosec B\d{3}(, ?B\d{3})*  # \w")
    return [
        f"{path}:{number}: want `# nosec ID  # reason`"
        for path in tree.files("scheduler", suffix=".py")
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1)
        if "# nosec" in line and not fine.search(line)
    ]


def requirements_are_pinned(tree: SourceTree) -> list[str]:
    """The locks have `name==version [; marker]` with hashes, and requirements.lock has everything in pyproject.toml.

    With a hash for each requirement pip refuses a file that the release did not have when it was locked.
    """
    locks = ["requirements.lock", *tree.files("ops", suffix=".lock")]
    files = {name: requirements_of(tree.text(name) or "") for name in locks}
    form = re.compile(r"([A-Za-z0-9._-]+)==[A-Za-z0-9.!+_-]+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+")
    violations = [
        f"{name}: {requirement[:80]}: want name==version [; marker] and hashes"
        for name, requirements in files.items()
        for requirement in requirements
        if not form.fullmatch(requirement)
    ]
    pinned = {match[1].lower() for match in map(form.fullmatch, files["requirements.lock"]) if match}
    project = tomllib.loads(tree.text("pyproject.toml") or "")["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project["dependencies"], *itertools.chain.from_iterable(extras)]
    for requirement in wanted:
        name = re.split(r"[\[<>=!~; ]", requirement)[0].lower()
        if name != project.get("name") and name not in pinned:  # an extra may include other extras of the project
            violations.append(f"requirements.lock: {name} is missing: run scripts/lock.sh")
    return violations


def _uses(
    tree: SourceTree,
    folders: tuple[str, ...],
    replacement: Callable[[str, ast.Call | None], str | None],
    allowed: Mapping[str, str],
) -> list[str]:
    """Yield each use of a name that has a `replacement`, except the `allowed` ones; and unused rows of `allowed`."""
    violations = []
    needed: dict[str, bool] = {place: not (tree.root / place).exists() for place in allowed}
    for path in tree.files(*folders, suffix=".py"):
        for line, name, call in names_used(tree.python(path)):
            instead = replacement(name, call)
            if instead is None:
                continue
            place = next((place for place in allowed if path == place or path.startswith(place + "/")), None)
            if place is None:
                violations.append(f"{path}:{line}: {name}: use {instead}")
            else:
                needed[place] = True
    violations += [
        f"{place}: needs no exception any more: {allowed[place]}" for place, is_used in needed.items() if not is_used
    ]
    return violations
