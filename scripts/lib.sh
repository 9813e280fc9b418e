# Shared by the scripts beside it: `say`, `fail`, and `apt_install`, which is the only way they touch the system.

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'voxpool: %s\n' "$*" >&2; exit 1; }

# Prints the prefix that makes a command run as root ("" or "sudo -n"); fails when there is none.
root_prefix() {
    if [ "$(id -u)" = 0 ]; then
        printf ''
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        printf 'sudo -n'
    else
        return 1
    fi
}

# apt_install PACKAGE…: installs with apt-get as root or by passwordless sudo, else fails and installs nothing.
# RUNLEVEL=1 keeps Debian from starting a server that we only want the program of.
apt_install() {
    local prefix
    command -v apt-get >/dev/null 2>&1 || return 1
    prefix=$(root_prefix) || return 1
    say "installing by apt-get: $*"
    # shellcheck disable=SC2086 # the prefix is two words or none
    { $prefix apt-get -q update && $prefix env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -q install -y --no-install-recommends "$@"; } </dev/null >&2
}
