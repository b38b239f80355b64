#!/usr/bin/env bash
# Builds Watchpost, starts a few real services on loopback, and watches them. Ctrl-C stops all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export WATCHPOST_PORT=${WATCHPOST_PORT:-8080}
config=${WATCHPOST_CONFIG:-examples/first-run.yml}
data=${WATCHPOST_DATA:-data}
READY_SECONDS=60

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

if listens "$WATCHPOST_PORT"; then
    echo "Port $WATCHPOST_PORT is taken. Choose another:  WATCHPOST_PORT=8090 make run" >&2
    exit 1
fi

"${MAKE:-make}" --no-print-directory build
cargo build --quiet --locked --package xtask
target=${CARGO_TARGET_DIR:-target}

# It prints one line when all its ports are open, and ends with this script whatever happens.
exec 3< <(exec "$target/debug/xtask" demo)
demo=$!
if ! read -r line <&3; then
    exit 1
fi
echo "$line"

"$target/release/watchpost" serve --config "$config" --data "$data" --listen "127.0.0.1:$WATCHPOST_PORT" &
watchpost=$!
stop() { kill -TERM "$watchpost" 2>/dev/null || true; }
trap stop INT TERM HUP
trap 'stop; kill -TERM "$demo" 2>/dev/null || true' EXIT

for _ in $(seq $((READY_SECONDS * 10))); do
    if listens "$WATCHPOST_PORT"; then
        printf '\n  Watchpost runs at  http://127.0.0.1:%s/\n  Its data is in     %s/\n  Ctrl-C stops it.\n\n' \
            "$WATCHPOST_PORT" "$data"
        break
    fi
    kill -0 "$watchpost" 2>/dev/null || break
    sleep 0.1
done

# A trap interrupts `wait`; the second one sees Watchpost to its end.
status=0
while true; do
    wait "$watchpost" && status=0 || status=$?
    kill -0 "$watchpost" 2>/dev/null || break
done
exit "$status"
