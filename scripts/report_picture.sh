#!/usr/bin/env bash
# report_picture.sh [OPTIONS OF voxpool-sim leak]: draws the top of the report of `voxpool-sim leak` into docs/report.png.
set -euo pipefail
cd "$(dirname "$0")/.."

width=1100 height=1960 # the verdict, the figures and the first chart
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.venv/bin/python -m voxpool.sim leak --out "$folder" "$@"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder/profile" \
  --window-size="$width,$height" --screenshot=docs/report.png "file://$folder/report.html" 2>/dev/null
ls -l docs/report.png
