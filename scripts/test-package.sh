#!/usr/bin/env bash
# Installs the Debian package on a clean system that systemd has booted, and lives through what an administrator does
# with it. As root; the system is a container without a network, made of what `setup.sh test` has downloaded.
#
# It packages target/debug/watchpost, which must be built. Where it cannot run it says why, on a line with "skipped:",
# and ends well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# Boot, installation and all steps take half a minute on a loaded machine.
CONTAINER_SECONDS_MAX=300

skip() {
    echo "skipped: $1" >&2
    exit 0
}

[ "$(id -u)" -eq 0 ] || skip "needs root, for a container"
command -v apt-get >/dev/null || skip "needs Debian"
unshare --mount --pid --net --fork true 2>/dev/null || skip "no containers within this one"

target=${CARGO_TARGET_DIR:-$PWD/target}
clean=$target/package/clean-root
[ -e "$clean.made" ] || {
    echo "test-package: no $clean; run scripts/setup.sh test" >&2
    exit 1
}

work=$(mktemp -d "$target/package/test.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/exchange"

cp "$(scripts/package.sh dev | tail -n 1)" "$work/exchange/first.deb"
packaged=$(dpkg-deb --field "$work/exchange/first.deb" Version)
told=$(dpkg-parsechangelog --file deploy/debian/changelog --show-field Version)
[ "$packaged" = "$told" ] || {
    echo "test-package: the package is $packaged, deploy/debian/changelog tells of $told" >&2
    exit 1
}
# The next package is the same with another version, and a configuration that its maintainer has changed.
dpkg-deb --raw-extract "$work/exchange/first.deb" "$work/next"
sed -i 's/^Version: .*/Version: 99.0.0-1/' "$work/next/DEBIAN/control"
echo "# A line of the next version." >>"$work/next/etc/watchpost/watchpost.yml"
(cd "$work/next" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --build -Zgzip -z1 "$work/next" "$work/exchange/next.deb" >/dev/null
rm -rf "$work/next"

cp -a --reflink=auto "$clean" "$work/system"
rm -f "$work/system/etc/resolv.conf"
install -m 755 scripts/test-package-inside.sh "$work/exchange/inside.sh"
cat >"$work/system/etc/systemd/system/package-test.service" <<UNIT
[Unit]
Description=The test of the package
AllowIsolate=yes
[Service]
Type=oneshot
ExecStart=/exchange/inside.sh
StandardOutput=append:/exchange/log
StandardError=append:/exchange/log
ExecStopPost=/usr/bin/systemctl --no-block start poweroff.target
UNIT

# With systemd outside, it keeps the container's control group; without, the container has ours.
unit=(--keep-unit)
[ ! -d /run/systemd/system ] || unit=()
begun=$SECONDS
timeout --kill-after=20 "$CONTAINER_SECONDS_MAX" systemd-nspawn --quiet --boot --register=no "${unit[@]}" \
    --private-network --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
    --machine="watchpost-test-$$" --directory="$work/system" --bind="$work/exchange:/exchange" \
    systemd.unit=package-test.service systemd.show_status=false </dev/null >"$work/console" 2>&1 || true

[ ! -e "$work/exchange/log" ] || cat "$work/exchange/log"
if [ ! -e "$work/exchange/passed" ]; then
    echo "test-package: failed; the container's last words:" >&2
    tail -n 20 "$work/console" >&2
    exit 1
fi
echo "test-package: passed in $((SECONDS - begun)) s"
