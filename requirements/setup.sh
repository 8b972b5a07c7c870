#!/usr/bin/env bash
# Makes one environment as its lock says: requirements/setup.sh ENVIRONMENT LOCK [PYTHON]. Gets uv first, where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.tools

say() { printf '%s\n' "$*" >&2; }

fail() { say "error: $1"; say "cure:  $2"; exit 1; }

python() {
    local found
    for found in python3 python3.13 python3.12 python3.11; do
        if command -v "$found" >/dev/null && "$found" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
            command -v "$found"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 was found" "install one, e.g. apt-get install python3"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

# Debian and Ubuntu ship Python without the two modules that install anything; one package brings them.
install_venv() {
    command -v apt-get >/dev/null || return 1
    say "this Python cannot make environments yet: installing Debian's python3-venv"
    as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
}

get_uv() {
    if command -v uv >/dev/null; then command -v uv; return; fi
    if [ -x "$tools/uv/bin/uv" ]; then echo "$tools/uv/bin/uv"; return; fi
    local py; py=$(python)
    say "getting uv (25 MB), into $tools"
    rm -rf "$tools/uv"
    if ! "$py" -c 'import ensurepip' 2>/dev/null; then
        install_venv || fail "this Python can install nothing: it has neither venv nor pip" "apt-get install python3-venv"
    fi
    "$py" -m venv "$tools/uv" >&2
    "$tools/uv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt >&2
    echo "$tools/uv/bin/uv"
}

environment=$1 lock=$2
uv=$(get_uv)
export UV_PYTHON_DOWNLOADS=never
if ! [ -x "$environment/bin/python" ] || ! "$environment/bin/python" -c '' 2>/dev/null; then
    "$uv" venv -q --clear --python "${3:-$(python)}" "$environment"
fi
"$uv" pip sync -q --python "$environment/bin/python" --require-hashes "$lock"
if [ "$environment" = .venv ]; then
    # The platform itself, as it lies here: a plain path entry, so that the command starts fast.
    "$uv" pip install -q --python "$environment/bin/python" --no-deps --no-build-isolation --config-setting editable_mode=compat -e .
fi
touch "$environment/.ready"
