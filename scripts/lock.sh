#!/usr/bin/env bash
# lock.sh: makes requirements.lock anew from requirements.in: one resolution for Python 3.11 and 3.13, with markers
# where they differ, and the hashes of all files of each release. ops/requirements.lock is the part of it that the image
# installs. It needs `uv` on the PATH, which the project itself does not. `lock.sh --upgrade` takes newer releases.
set -euo pipefail
cd "$(dirname "$0")/.."

# lock FILE ARGUMENT…: resolve and write FILE, which uv reads first, so that versions stay as they are.
lock() {
    uv pip compile -q --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-header \
        --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-package voxpool -o "$@" >/dev/null
}

lock requirements.lock requirements.in "$@"
lock ops/requirements.lock pyproject.toml --extra server --extra traces --constraint requirements.lock
