#!/usr/bin/env bash
# Looks for the tools that a task needs.
#
#   setup.sh build   what building takes: Rust, Node, a C compiler
#   setup.sh test    what testing takes as well: cargo-nextest, Chromium; installs what is missing
#   setup.sh check   as test, but installs nothing and only says what is missing
#
# Quick when all is there, and harmless to run again. Installs Debian packages as root only; otherwise it says which.
set -euo pipefail

RUST_MIN=1.95
NODE_MIN=20.19
# The oldest that the tests were run with.
NEXTEST_VERSION=0.9.143

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
    have cc && [ -e /usr/include/stdio.h ] || debian gcc libc6-dev
}

look_for_test_tools() {
    have git || debian git
    for component in rustfmt clippy; do
        have "cargo-${component/rustfmt/fmt}" || missing+=("$component   (rustup component add $component)")
    done
    if ! have cargo-nextest; then
        if [ "$task" = check ] || [ ${#missing[@]} -gt 0 ]; then
            missing+=("cargo-nextest   (cargo install cargo-nextest --locked --version $NEXTEST_VERSION)")
        else
            echo "setup: installing cargo-nextest; this takes some minutes"
            cargo install --quiet cargo-nextest --locked --version "$NEXTEST_VERSION"
        fi
    fi
    browser || debian chromium fonts-dejavu-core
}

look_for_rust
look_for_node
look_for_compiler
case $task in
    build) ;;
    test | check) look_for_test_tools ;;
    *)
        echo "usage: setup.sh build|test|check" >&2
        exit 2
        ;;
esac

if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: missing:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
