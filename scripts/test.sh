#!/usr/bin/env bash
# test.sh PATH…: lint, all tests under .venv, those of PATH… also under .venv-other, which it makes while lint runs.
# Called by `make test`.
# test.sh large: only the tests marked `large`, which `make test` leaves out. Called by `make test-large`.
# Tests marked `alone` measure time, fill a processor or need much done in a time: they run last, two at a time, which
# takes about one processor. Most of the others wait for processes much of their time: four at a time leave a fifth of two
# processors idle, so five run.
#
# Tests that fail are run a second time, one at a time. Real processes miss a deadline of a test when the machine has
# other work; a change that breaks something breaks it both times. What passed the second time is printed as unstable.
set -euo pipefail
UNSTABLE_MAX=5
WORKERS=5
cd "$(dirname "$0")/.."
. scripts/lib.sh
SECONDS=0
unset PYTHONDONTWRITEBYTECODE  # each of the thousand processes would compile what it imports

# tests PYTHON WORKERS ARGUMENT…: run pytest with so many workers, and what failed once more.
tests() {
    local python=$1 workers=$2 failed=.pytest_cache/v/cache/lastfailed status=0 names
    shift 2
    rm -f "$failed"
    "$python" -m pytest -q -n "$workers" --dist worksteal "$@" || status=$?
    [ "$status" != 0 ] || return 0
    [ "$status" = 1 ] || fail "pytest ended with $status"
    names=$("$python" -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' "$failed")
    [ "$(wc -l <<<"$names")" -le $UNSTABLE_MAX ] || fail "more than $UNSTABLE_MAX tests failed"
    say "what failed, once more"
    "$python" -m pytest -q --last-failed --last-failed-no-failures none "$@"
    say "unstable, passed the second time:"
    printf '%s\n' "$names"
}

scripts/system_packages.sh curl redis-server chromium prometheus promtool=prometheus prometheus-alertmanager \
    amtool=prometheus-alertmanager docker-compose kustomize systemd-analyze=systemd node=nodejs npm
scripts/npm_packages.sh
if [ "${1:-}" = large ]; then
    say "the large sizes, $(.venv/bin/python --version)"
    .venv/bin/python -m pytest -q -m large tests
    say "make test-large took $SECONDS s"
    exit 0
fi

linted=$(mktemp)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -f "$linted"' EXIT
make --no-print-directory lint >"$linted" 2>&1 &
lint=$!
# pytest compiles all tests and what they import for itself; the workers, which begin together, would do it once each.
compgen -G 'tests/unit/__pycache__/*-pytest-*' >/dev/null ||
    .venv/bin/python -m pytest -q -p no:cacheprovider --collect-only --ignore=tests/tidy tests >/dev/null 2>&1 &
compiled=$!
scripts/setup.sh other
if [ -x .venv-other/bin/python ]; then
    say "lint, and beside it the tests that a Python version can change, $(.venv-other/bin/python --version)"
    tests .venv-other/bin/python 2 -m "not alone and not large" "$@"
elif [ "${CI:-}" = true ]; then
    fail "CI runs tests under both Pythons, and there is no .venv-other"
fi
wait "$compiled" || true # what can't be collected is reported by the run
wait "$lint" || { cat "$linted"; fail "lint"; }
cat "$linted"
say "all tests, $(.venv/bin/python --version)"
tests .venv/bin/python $WORKERS -m "not alone and not large" --ignore=tests/tidy tests
# Only the files that have such tests: to collect all files takes each worker 10 s.
readarray -t files < <(grep -rl --include='test_*.py' 'mark\.alone' tests)
tests .venv/bin/python 2 -m "alone and not large" "${files[@]}"
say "make test took $SECONDS s (goal: 720 s on 2 quiet cores)"
