#!/usr/bin/env bash
# system-packages.sh GROUP: install what GROUP needs of Debian's or Ubuntu's packages.
#
#   python   virtual environments
#   demo     a PACS and DICOM tools
#   test     every real peer and validator that the tests talk to
#
# Asks nothing and starts no service. Exit 0: all is there. Exit 1: something is missing and
# could not be installed; it is named on stderr.
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
PYTHON=${PYTHON:-python3}

group_packages() {
    case $1 in
        python) echo "$("$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" ;;
        demo) echo orthanc orthanc-dicomweb dcmtk ;;
        test) echo orthanc orthanc-dicomweb orthanc-python dcmtk default-jre-headless pixelmed-apps chromium postgresql systemd-container prometheus ;;
        *) echo "usage: ${0##*/} python|demo|test" >&2; exit 2 ;;
    esac
}

# What counts is that the program works, not that it came as this package.
is_present() {
    case $1 in
        python*-venv) "$PYTHON" -c 'import ensurepip, venv' ;;
        orthanc) command -v Orthanc ;;
        orthanc-dicomweb) [ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] ;;
        orthanc-python) [ -e /usr/share/orthanc/plugins/libOrthancPython.so ] ;;
        dcmtk) command -v storescu && command -v dsrdump ;;
        default-jre-headless) command -v java ;;
        postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' ;;
        prometheus) command -v promtool ;;
        systemd-container) command -v systemd-nspawn ;;
        pixelmed-apps) [ -e /usr/share/java/pixelmed.jar ] ;;
        chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
    esac >/dev/null 2>&1
}

missing_of() {
    local package
    for package in "$@"; do
        is_present "$package" || echo "$package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null
}

# Says nothing unless it fails.
apt() {
    local said
    if ! said=$(as_root env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" \
        </dev/null 2>&1); then
        tail -n 5 <<<"$said" >&2
        return 1
    fi
}

# Debian starts a service as soon as it is installed. The demo and the tests start their own
# Orthanc on free ports, so a policy forbids starts and restarts for as long as we install.
POLICY=/usr/sbin/policy-rc.d

forbid_services() {
    [ -e "$POLICY" ] && return
    trap 'as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

# Nor shall a service that came only with us start at the next boot.
keep_disabled() {
    local package
    for package in "$@"; do
        case $package in
            orthanc | postgresql | prometheus) as_root update-rc.d "$package" disable >/dev/null 2>&1 || true ;;
        esac
    done
}

# One package that the archive lacks must not cost the others.
install_packages() {
    local package
    apt install --no-install-recommends "$@" && return
    for package in "$@"; do
        apt install --no-install-recommends "$package" || true
    done
}

main() {
    local wanted missing
    wanted=$(group_packages "${1:-}")
    missing=$(missing_of $wanted | xargs)
    [ -n "$missing" ] || return 0
    if may_install; then
        echo "Installing $missing" >&2
        forbid_services
        apt update || true
        install_packages $missing
        keep_disabled $missing
    fi
    missing=$(missing_of $missing | xargs)
    [ -z "$missing" ] || { echo "Not installed, and not installable here: $missing" >&2; return 1; }
}

main "$@"
