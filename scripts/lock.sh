#!/usr/bin/env bash
# lock.sh: makes requirements.lock anew from requirements.in: one resolution for Python 3.11 and 3.13, with markers
# where they differ. It needs `uv` on the PATH, which the project itself does not. `lock.sh --upgrade` takes newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."
uv pip compile -q --universal --fork-strategy fewest --python-version 3.11 --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --no-emit-package voxpool "$@" requirements.in -o requirements.lock >/dev/null
