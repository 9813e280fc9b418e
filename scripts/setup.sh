#!/usr/bin/env bash
# setup.sh main | other: makes .venv, or .venv-other (the other one of Python 3.11 and 3.13, when this machine has it;
# under CI=true it must), from requirements.lock, with this tree installed in it. Safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

make_venv() { # make_venv FOLDER PYTHON
    local folder=$1 python=$2 version
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if "$folder/bin/python" -c "import sys, pip; assert sys.version_info[:2] == tuple(map(int, '$version'.split('.')))" \
        2>/dev/null; then
        return 0
    fi
    say "making $folder with $python ($version)"
    rm -rf "$folder"
    "$python" -m venv "$folder" >/dev/null 2>&1 && return 0
    # Debian splits ensurepip off. A pip of the system can still fill an environment from outside …
    rm -rf "$folder"
    "$python" -m venv --without-pip "$folder" &&
        "$python" -m pip --python "$folder/bin/python" install -q pip 2>/dev/null && return 0
    # … and else the missing part is a package.
    rm -rf "$folder"
    apt_install "python$version-venv" && "$python" -m venv "$folder" && return 0
    fail "$python can't make a virtual environment. Run this, then try again:
    sudo apt-get update && sudo apt-get install -y python$version-venv"
}

fill_venv() { # fill_venv FOLDER
    say "installing what requirements.lock pins into $1 (about a minute when nothing is cached)"
    "$1/bin/python" -m pip install -q --disable-pip-version-check --retries 5 --require-hashes --no-compile \
        -r requirements.lock
    # pip compiles with one processor; what can't be compiled is a template, or for another version. The other Python runs
    # a part of the tests only, and compiles what it imports.
    [ "$1" = .venv-other ] || "$1/bin/python" -m compileall -q -j 0 "$1/lib" >/dev/null || true
    "$1/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    touch "$1/.ready"
}

python=$(scripts/find_python.sh main) || fail "no Python from 3.11 on was found. Run this, then try again:
    sudo apt-get update && sudo apt-get install -y python3 python3-venv"

case ${1:-main} in
    main)
        make_venv .venv "$python"
        fill_venv .venv
        ;;
    other)
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        wanted=3.13
        [ "$version" = 3.13 ] && wanted=3.11
        if ! other=$(scripts/find_python.sh other "$version"); then
            [ "${CI:-}" = true ] && apt_install "python$wanted" "python$wanted-venv" || true
            if ! other=$(scripts/find_python.sh other "$version"); then
                [ "${CI:-}" = true ] && fail "CI runs the tests under Python $wanted, too, and found none"
                say "no Python $wanted on this machine: the tests will run under $version only"
                exit 0
            fi
        fi
        if [ .venv-other/.ready -nt pyproject.toml ] && [ .venv-other/.ready -nt requirements.lock ] &&
            [ .venv-other/.ready -nt scripts/setup.sh ]; then
            exit 0
        fi
        make_venv .venv-other "$other"
        fill_venv .venv-other
        ;;
    *) fail "usage: setup.sh main | other" ;;
esac
