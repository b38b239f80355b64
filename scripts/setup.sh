#!/usr/bin/env bash
# Looks for the tools that a task needs.
#
#   setup.sh build   what building takes: Rust, Node, a C compiler
#   setup.sh test    what testing takes as well: cargo-nextest, Chromium, and as root on Debian what tests the package;
#                    installs what is missing
#   setup.sh package what making the Debian package takes beside building: cargo-deb
#   setup.sh bench   what building and measuring take: wrk and blackbox_exporter as well
#   setup.sh check   as test, but installs nothing and only says what is missing
#
# Quick when all is there, and harmless to run again. Installs Debian packages as root only; otherwise it says which.
set -euo pipefail

RUST_MIN=1.95
NODE_MIN=20.19
# The oldest that the tests were run with.
NEXTEST_VERSION=0.9.143
CARGO_DEB_VERSION=3.8.0

cd "$(dirname "${BASH_SOURCE[0]}")/.."
task=${1:-build}
missing=()
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

have() { command -v "$1" >/dev/null 2>&1; }

# at_least FOUND WANTED: whether version FOUND is not older.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# debian PACKAGE...: installs them, if that may be done here.
debian() {
    if [ "$task" = check ] || ! have apt-get || [ "$(id -u)" -ne 0 ]; then
        missing+=("Debian packages: $*   (apt-get install --no-install-recommends $*)")
        return
    fi
    echo "setup: installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

browser() {
    if [ -n "${CHROMIUM:-}" ]; then
        have "$CHROMIUM"
        return
    fi
    have chromium || have chromium-browser || have google-chrome
}

look_for_rust() {
    if ! have rustc || ! have cargo; then
        missing+=("Rust $RUST_MIN or newer, with cargo   (https://rustup.rs)")
        return
    fi
    local found
    found=$(rustc --version | cut -d ' ' -f 2)
    at_least "$found" "$RUST_MIN" || missing+=("Rust $RUST_MIN or newer; this is $found   (rustup update stable)")
}

look_for_node() {
    if ! have node || ! have npm; then
        missing+=("Node.js $NODE_MIN or newer, with npm   (https://nodejs.org)")
        return
    fi
    local found
    found=$(node --version | tr -d v)
    at_least "$found" "$NODE_MIN" || missing+=("Node.js $NODE_MIN or newer; this is $found")
}

look_for_compiler() {
    # For the TLS library and SQLite, which are C, and for linking.
    if ! have cc || [ ! -e /usr/include/stdio.h ]; then debian gcc libc6-dev; fi
}

look_for_test_tools() {
    # The tutorial's test types what its readers type.
    for tool in git curl python3 openssl; do have "$tool" || debian "$tool"; done
    # The hardening tests step the clock, limit processes, and make mounts and networks of their own.
    compgen -G '/usr/lib*/*/faketime/libfaketimeMT.so.1' >/dev/null || debian libfaketime
    for tool in ip:iproute2 unshare:util-linux mount:mount; do have "${tool%:*}" || debian "${tool#*:}"; done
    for component in rustfmt clippy; do
        have "cargo-${component/rustfmt/fmt}" || missing+=("$component   (rustup component add $component)")
    done
    cargo_tool cargo-nextest "$NEXTEST_VERSION"
    browser || debian chromium fonts-dejavu-core
}

# cargo_tool NAME VERSION: installs it, if that may be done here.
cargo_tool() {
    if have "$1"; then return; fi
    if [ "$task" = check ] || [ ${#missing[@]} -gt 0 ]; then
        missing+=("$1   (cargo install $1 --locked --version $2)")
        return
    fi
    echo "setup: installing $1; this takes some minutes"
    cargo install --quiet "$1" --locked --version "$2"
}

look_for_package_tools() {
    have dpkg-shlibdeps || debian dpkg-dev
    cargo_tool cargo-deb "$CARGO_DEB_VERSION"
}

# The package is tested on a clean system in a container, which takes root; test-package.sh says so where it is skipped.
look_for_container() {
    if [ "$(id -u)" -ne 0 ] || ! have apt-get; then return 0; fi
    # Root of a container often may not make another.
    unshare --mount --pid --net --fork true 2>/dev/null || return 0
    look_for_package_tools
    have mmdebstrap || debian mmdebstrap
    have systemd-nspawn || debian systemd-container
    local clean=${CARGO_TARGET_DIR:-$PWD/target}/package/clean-root
    if [ -e "$clean.made" ]; then return; fi
    if [ "$task" = check ] || [ ${#missing[@]} -gt 0 ]; then
        missing+=("a clean system in $clean   (scripts/setup.sh test)")
        return
    fi
    make_clean_system "$clean"
}

# make_clean_system FOLDER: what this machine's own release installs at least, from where this machine installs, with
# systemd.
make_clean_system() {
    local codename mirror
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016  # apt's own variables
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' |
        awk -v codename="$codename" '$2 == codename && $3 == "main" && !found++ { print $1 }')
    echo "setup: making a clean system of $codename; this takes a minute"
    rm -rf "$1"
    mkdir -p "$(dirname "$1")"
    mmdebstrap --quiet --mode=root --variant=minbase --include=systemd,systemd-sysv,adduser,libgcc-s1 \
        --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' "$codename" "$1" ${mirror:+"$mirror"}
    touch "$1.made"
}

look_for_peers() {
    local needed=()
    have wrk || needed+=(wrk)
    have prometheus-blackbox-exporter || needed+=(prometheus-blackbox-exporter)
    [ ${#needed[@]} -eq 0 ] || debian "${needed[@]}"
}

look_for_rust
look_for_node
look_for_compiler
case $task in
    build) ;;
    bench) look_for_peers ;;
    package) look_for_package_tools ;;
    test | check)
        look_for_test_tools
        look_for_container
        ;;
    *)
        echo "usage: setup.sh build|package|test|bench|check" >&2
        exit 2
        ;;
esac

if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: missing:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
