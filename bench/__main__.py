"""Runs every module of bench/ and prints one table: python -m bench [MODULE…]

A module has `run()`. The rows that it returns go into the table; its own output is printed above the table. A module
that fails is reported, the others still run, and the exit code is 1.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback

import bench
from bench._rows import Row, print_rows


def modules() -> list[str]:
    """Return the names of the modules that measure something, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules(bench.__path__) if not m.name.startswith("_"))


def main(wanted: list[str]) -> int:
    """Run the modules named, or all; return the exit code."""
    known = modules()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 3
    rows: list[Row] = []
    failed = 0
    for name in wanted or known:
        print(f"bench.{name} …", file=sys.stderr, flush=True)
        try:
            rows += importlib.import_module(f"bench.{name}").run() or []
        except Exception:
            traceback.print_exc()
            print(f"bench.{name} failed", file=sys.stderr)
            failed = 1
    if rows:
        print_rows(rows, "voxpool bench")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
