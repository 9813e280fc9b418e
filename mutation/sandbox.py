"""A copy of the tree in which mutants are planted: the tree itself is never touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from mutation.mutant import Mutant, files_in_scope


class Sandbox:
    """The copy. No byte code is written in it, so that every process reads a changed file anew."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            capture_output=True,
        ).stdout.decode()
        for name in listed.split("\0"):
            if name and (root / name).is_symlink():  # those of voxpool/
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).symlink_to((root / name).readlink())
            elif name and (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
        self.paths = files_in_scope(folder)
        self._texts = {path: (folder / path).read_text(encoding="utf-8") for path in self.paths}

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which a process finds this copy before any installed one."""
        return {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def plant(self, mutant: Mutant) -> None:
        """Write `mutant` over its file."""
        (self.root / mutant.path).write_text(mutant.source, encoding="utf-8")

    def heal(self, mutant: Mutant) -> None:
        """Restore the file of `mutant`."""
        (self.root / mutant.path).write_text(self.healthy(mutant), encoding="utf-8")

    def healthy(self, mutant: Mutant) -> str:
        """Return the original text of the file of `mutant`."""
        return self._texts[mutant.path]
