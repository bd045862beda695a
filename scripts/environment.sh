#!/usr/bin/env bash
# Build the virtual environment $VENV (default .venv) in the repository root, or bring it up to date.
# $PYTHON chooses the interpreter; otherwise the first Python >= 3.11 found is taken.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}

stop() { printf '%s\n' "$@" >&2; exit 1; }

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if is_recent "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    stop "No Python 3.11 or newer found (looked for: ${PYTHON:-python3, python3.13, python3.12, python3.11, python})." \
        "On Debian or Ubuntu: sudo apt-get install python3 python3-venv. Or name one: make PYTHON=/path/to/python3.12 ..."
}

python=$(find_python)

# Before pip, so that a missing library is known in a second and not after a download of gigabytes.
"$python" -m ftim.system --install

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "Creating $venv with $("$python" --version) ($python)"
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        stop "$python cannot create virtual environments: its venv module is not installed." \
            "On Debian or Ubuntu: sudo apt-get install python$version-venv (or python3-venv), then run make again."
    fi
    "$python" -m venv --clear "$venv"
fi

echo "Installing the pinned packages (7 GB on disk, most of it PyTorch; a few minutes)"
"$venv/bin/python" -m pip install --disable-pip-version-check --requirement requirements.txt
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --editable .
