#!/usr/bin/env bash
# test_newest.sh: runs the tests of what depends on uvicorn with the newest release of each package, in .venv-newest.
# uvicorn itself is taken without regard to the upper bound in pyproject.toml, to find out whether that can be raised.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

python=$(scripts/find_python.sh main) || fail "no Python from 3.11 on was found"
rm -rf .venv-newest
"$python" -m venv .venv-newest || fail "$python can't make a virtual environment: see scripts/setup.sh"
pip=(.venv-newest/bin/python -m pip --disable-pip-version-check)
scripts/system_packages.sh curl redis-server node=nodejs npm
scripts/npm_packages.sh
say "installing the newest release of each package into .venv-newest"
"${pip[@]}" install -q -r requirements.in
"${pip[@]}" install -q --upgrade --no-deps uvicorn
"${pip[@]}" list --format freeze | grep -E '^(uvicorn|starlette|websockets|httptools|uvloop|h11|redis|msgspec)=='
.venv-newest/bin/python -m pytest -q tests/unit/test_http_protocol.py tests/unit/test_peer_socket.py tests/api tests/e2e \
    -m "not alone and not large"
