#!/usr/bin/env bash
# find_python.sh main: prints the Python that .venv is made with: $PYTHON, python3, or any from 3.11 on.
# find_python.sh other VERSION: given the version of that one, prints the other of 3.11 and 3.13 on this machine.
# Prints nothing and ends with 1 when there is none.
set -euo pipefail

# version_of CANDIDATE: "3.11 /path/of/the/real/interpreter", or nothing when it does not run.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2], getattr(sys, "_base_executable", sys.executable))' \
        2>/dev/null || true
}

first_of() { # first_of VERSIONS CANDIDATE…: the first candidate whose version is among VERSIONS
    local versions=$1 candidate found
    shift
    for candidate in "$@"; do
        found=$(version_of "$candidate")
        case " $versions " in
            *" ${found%% *} "*) [ -n "$found" ] && printf '%s\n' "${found#* }" && return 0 ;;
        esac
    done
    return 1
}

case ${1:-} in
    main)
        first_of "3.11 3.12 3.13 3.14" ${PYTHON:+"$PYTHON"} python3 python3.13 python3.11 python3.12 /usr/bin/python3
        ;;
    other)
        wanted=3.13
        [ "${2:-}" = 3.13 ] && wanted=3.11
        shopt -s nullglob
        first_of "$wanted" "python$wanted" /usr/bin/python3 "/usr/bin/python$wanted" "/usr/local/bin/python$wanted" \
            "${PYENV_ROOT:-$HOME/.pyenv}/versions/$wanted".*/bin/python \
            "$HOME/.local/share/uv/python/cpython-$wanted".*/bin/python3
        ;;
    *)
        echo "usage: find_python.sh main | other VERSION" >&2
        exit 3
        ;;
esac
