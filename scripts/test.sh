#!/usr/bin/env bash
# test.sh FOLDER…: all tests under .venv, those of FOLDER… also under .venv-other. Called by `make test`.
# Tests marked `alone` measure time or start many processes, so they run after the others, one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
SECONDS=0
scripts/system_packages.sh redis-server
make --no-print-directory lint
say "all tests, $(.venv/bin/python --version)"
.venv/bin/python -m pytest -q -n 2 --dist worksteal -m "not alone" --ignore=tests/tidy tests
.venv/bin/python -m pytest -q -m alone tests
if [ -x .venv-other/bin/python ]; then
    say "tests without servers, $(.venv-other/bin/python --version)"
    .venv-other/bin/python -m pytest -q -n 2 --dist worksteal -m "not alone" "$@"
elif [ "${CI:-}" = true ]; then
    fail "CI runs the tests under both Pythons, and there is no .venv-other"
fi
say "make test took $SECONDS s (bound: 600 s on 2 cores)"
