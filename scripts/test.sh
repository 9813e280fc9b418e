#!/usr/bin/env bash
# test.sh FOLDER…: all tests under .venv, those of FOLDER… also under .venv-other. Called by `make test`.
# test.sh large: only the tests marked `large`, which `make test` leaves out. Called by `make test-large`.
# Tests marked `alone` measure time or memory, or fill the machine, so they run after the others, one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
SECONDS=0
scripts/system_packages.sh redis-server chromium prometheus promtool=prometheus prometheus-alertmanager \
    amtool=prometheus-alertmanager docker-compose systemd-analyze=systemd
if [ "${1:-}" = large ]; then
    say "the large sizes, $(.venv/bin/python --version)"
    .venv/bin/python -m pytest -q -m large tests
    say "make test-large took $SECONDS s"
    exit 0
fi
make --no-print-directory lint
say "all tests, $(.venv/bin/python --version)"
.venv/bin/python -m pytest -q -n 2 --dist worksteal -m "not alone and not large" --ignore=tests/tidy tests
.venv/bin/python -m pytest -q -m "alone and not large" tests
if [ -x .venv-other/bin/python ]; then
    say "tests without servers, $(.venv-other/bin/python --version)"
    .venv-other/bin/python -m pytest -q -n 2 --dist worksteal -m "not alone and not large" "$@"
elif [ "${CI:-}" = true ]; then
    fail "CI runs the tests under both Pythons, and there is no .venv-other"
fi
say "make test took $SECONDS s (bound: 900 s on 2 cores)"
