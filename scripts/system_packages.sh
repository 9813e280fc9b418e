#!/usr/bin/env bash
# system_packages.sh COMMAND[=PACKAGE]…: sees to it that each command is there. It comes from the Debian package named
# after "=", or of its own name, by apt-get when we are root or have passwordless sudo; otherwise says the one line to
# run, and stops.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

missing=()
for wanted in "$@"; do
    # Debian keeps some servers in sbin, which is not on everybody's PATH.
    PATH=$PATH:/usr/sbin:/sbin command -v "${wanted%%=*}" >/dev/null 2>&1 || missing+=("${wanted##*=}")
done
[ ${#missing[@]} = 0 ] && exit 0
readarray -t missing < <(printf '%s\n' "${missing[@]}" | sort -u) # two commands of one package
apt_install "${missing[@]}" || fail "the tests need ${missing[*]}. Run this, then try again:
    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
