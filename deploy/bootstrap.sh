#!/usr/bin/env bash
# bootstrap.sh FOLDER: a virtual environment in FOLDER with lesionmark and everything it needs.
#
# Works where only Python and make are installed: Debian and Ubuntu ship Python without pip
# and without the means to make virtual environments, so each way there is gets its turn.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")
environment=${1:?usage: bootstrap.sh FOLDER}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then command -v "$candidate"; return; fi
    done
    echo "lesionmark needs Python 3.11 or newer; none of python3, python3.11 ... is." >&2
    return 1
}

works() {
    "$environment/bin/python" -m pip --version >/dev/null 2>&1
}

by_venv() {
    "$PYTHON" -m venv --clear "$environment" >/dev/null 2>&1
}

by_venv_from_system_package() {
    "$here/system-packages.sh" python && by_venv
}

by_virtualenv() {
    "$PYTHON" -m virtualenv --quiet --clear "$environment" 2>/dev/null
}

# --target keeps the user's own site-packages as they are.
by_virtualenv_from_pip() {
    "$PYTHON" -m pip install --quiet --target "$scratch/virtualenv" virtualenv 2>/dev/null &&
        PYTHONPATH="$scratch/virtualenv" "$PYTHON" -m virtualenv --quiet --clear "$environment"
}

# Downloading a package needs no rights, and a wheel can install itself.
by_downloaded_pip() {
    (cd "$scratch" && apt-get -qq download python3-pip-whl && dpkg-deb -x python3-pip-whl_*.deb pip) \
        >/dev/null 2>&1 &&
        "$PYTHON" -m venv --clear --without-pip "$environment" &&
        PYTHONPATH=$(ls "$scratch"/pip/usr/share/python-wheels/pip-*.whl) \
            "$environment/bin/python" -m pip install --quiet pip
}

make_environment() {
    local way
    for way in by_venv by_venv_from_system_package by_virtualenv by_virtualenv_from_pip by_downloaded_pip; do
        if "$way" && works; then return; fi
    done
    cat >&2 <<MESSAGE
No virtual environment could be made in $environment.
Ask an administrator for:  apt-get install python3-venv
or install pip for $PYTHON, and run this again.
MESSAGE
    return 1
}

install_project() {
    local quiet=-qq
    [ ! -t 1 ] || quiet=
    echo "Installing lesionmark and its libraries into $environment" >&2
    (cd "$project" && "$environment/bin/python" -m pip install $quiet --disable-pip-version-check \
        --constraint constraints.txt --editable '.[dev]')
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
PYTHON=$(find_python)
export PYTHON
mkdir -p "$environment"
environment=$(cd "$environment" && pwd)
works || make_environment
install_project
