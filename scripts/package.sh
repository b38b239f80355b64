#!/usr/bin/env bash
# Makes the Debian package.
#
#   package.sh release [ARG...]   of target/release/watchpost; `make package` builds that first
#   package.sh dev [ARG...]       of target/debug/watchpost, stripped, quickly compressed: for test-package.sh
#
# What follows goes to cargo-deb, as --maintainer. The package's path is the last line printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

target=${CARGO_TARGET_DIR:-$PWD/target}
kind=${1:-}
out=$target/package
case $kind in
    release) built=release compression=() ;;
    dev) built=debug compression=(--fast) out=$target/package/dev ;;
    *)
        echo "usage: package.sh release|dev [ARG...]" >&2
        exit 2
        ;;
esac
shift

if [ ! -x "$target/$built/watchpost" ] || { [ "$kind" = dev ] && [ ! -x "$target/debug/xtask" ]; }; then
    echo "package: $target/$built/ is not built" >&2
    exit 1
fi

# cargo-deb takes the binary from a target folder's release/; this is one of its own.
stage=$target/package/$kind
mkdir -p "$stage/release"
install -m 755 "$target/$built/watchpost" "$stage/release/watchpost"
strip --strip-all "$stage/release/watchpost"
if [ "$kind" = release ]; then
    cargo run --release --locked --package xtask --all-features -- pages target/package/pages >&2
else
    "$target/debug/xtask" pages target/package/pages >&2
fi

CARGO_TARGET_DIR=$stage cargo deb --quiet --no-build --locked --package watchpost "${compression[@]}" \
    --output "$out/" "$@"
