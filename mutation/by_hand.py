"""python -m mutation.by_hand: plants the bugs of by_hand.toml, one at a time, and runs the test that must notice each.

It works in a copy of the tree. A bug that its test does not notice gives exit code 1.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

from mutation.mutant import Mutant, changed_lines
from mutation.process import Session, in_session
from mutation.sandbox import Sandbox
from mutation.swap import swap

ROOT = Path(__file__).resolve().parent.parent
FILE = Path(__file__).with_name("by_hand.toml")
PATIENCE_S = 60.0
NOTICED = (1, None)
"""The test failed, or it did not end in PATIENCE_S."""


class Bug(NamedTuple):
    """`before`, which occurs once in `path`, becomes `after`; `test` must fail."""

    name: str
    path: str
    before: str
    after: str
    test: str

    def mutant(self, root: Path) -> Mutant:
        """Return it as a mutant of its file below `root`. Raises ValueError when the file has changed."""
        text = (root / self.path).read_text(encoding="utf-8")
        if text.count(self.before) != 1:
            raise ValueError(f"{self.name}: its text is {text.count(self.before)} times in {self.path}")
        source = text.replace(self.before, self.after)
        return Mutant(self.path, *_place(text, source), source)


def _place(text: str, source: str) -> tuple[int, str, str, str]:
    line, before, after = changed_lines(text, source)
    return line, "by hand", before, after


def read_bugs(file: Path = FILE) -> list[Bug]:
    """Return the bugs of `file`."""
    return [Bug(**row) for row in tomllib.loads(file.read_text(encoding="utf-8"))["bug"]]


def main() -> None:
    """Print each bug with the outcome of its test."""
    bugs, missed = read_bugs(), ["the tests fail without a bug"]

    def work(session: Session) -> None:
        tests = list(dict.fromkeys(bug.test for bug in bugs))
        if session.run(tests, {}, lambda: True).code == 0:
            missed[:] = [bug.name for bug in bugs if not _noticed(session, sandbox, bug)]

    with tempfile.TemporaryDirectory(prefix="voxpool-by-hand-") as folder:
        sandbox = Sandbox(ROOT, Path(folder) / "tree")
        files = list(dict.fromkeys(bug.test.partition("::")[0] for bug in bugs))
        in_session(sandbox.root, sandbox.environment, files, Path(folder) / "tests.log", work)
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")
    print(f"all {len(bugs)} noticed")


def _noticed(session: Session, sandbox: Sandbox, bug: Bug) -> bool:
    mutant = bug.mutant(sandbox.root)
    healthy = sandbox.healthy(mutant)

    def plant() -> bool:
        swap(mutant, healthy)
        return True

    ended = session.run([bug.test], {bug.test: PATIENCE_S}, plant)
    print(f"{'noticed' if ended.code in NOTICED else 'MISSED '}  {bug.name}  {bug.test.split('::')[1]}", flush=True)
    return ended.code in NOTICED


if __name__ == "__main__":
    main()
