#!/usr/bin/env bash
# npm_packages.sh: installs what examples/javascript/package.json pins, beside it, from the registry that npm is
# configured for. Does nothing when that is there. No lock file: it would name the registry of whoever wrote it.
set -euo pipefail
cd "$(dirname "$0")/../examples/javascript"
. ../../scripts/lib.sh

installed=node_modules/.package-lock.json
[ "$installed" -nt package.json ] && exit 0
say "installing the packages of examples/javascript"
npm install --no-package-lock --no-audit --no-fund --ignore-scripts --silent ||
    fail "npm can't install $(node -p 'JSON.stringify(require("./package.json").dependencies)'): see above"
touch "$installed"
