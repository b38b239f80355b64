#!/usr/bin/env bash
# The part of test-package.sh that runs in the container, as root, under its systemd.
# Each step says what holds; the first that does not ends it.
set -Eeuo pipefail

config=/etc/watchpost/watchpost.yml
data=/var/lib/watchpost
# Seconds for what the service does in two; the machine may be loaded.
WAIT_SECONDS=60
# Of `systemd-analyze security`, which reckons from 0 (nothing exposed) to 10.
EXPOSURE_MAX=1.5
export DEBIAN_FRONTEND=noninteractive

step=boot
say() {
    step=$1
    echo "  - $step"
}

broken() {
    echo "test-package: step \"$step\" does not hold${1:+: $1}"
    systemctl --no-pager --full status watchpost.service 2>&1 | tail -n 25 || true
}
trap 'broken "line $LINENO: $BASH_COMMAND"' ERR

die() {
    trap - ERR
    broken "$1"
    exit 1
}

# same WHAT FOUND WANTED
same() { [ "$2" = "$3" ] || die "$1 is \"$2\", not \"$3\""; }

# comes WHAT COMMAND...: it succeeds within the time.
comes() {
    local what=$1 until=$((SECONDS + WAIT_SECONDS))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || die "$what has not come"
        sleep 0.1
    done
}

property() { systemctl show --value --property "$1" watchpost.service; }
of_process() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(property MainPID)/status"; }
# With the service's account and right to ping.
as_service() {
    setpriv --reuid watchpost --regid watchpost --init-groups --inh-caps +net_raw --ambient-caps +net_raw "$@"
}
answers() { watchpost check --config /dev/null http://127.0.0.1:8080/livez; }

# A request to the API; there is no curl here.
get() {
    exec 3<>/dev/tcp/127.0.0.1/8080
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
    cat <&3
    exec 3<&-
}
is_up() { get "/api/v1/monitors/$1" | grep -q '"state":"up"'; }
results_of() { get "/api/v1/monitors/$1/results?limit=1000" | grep -o '"scheduled_at"' | wc -l; }
has_results() { [ "$(results_of "$1")" -gt 1 ]; }
other_process() { [ "$(property MainPID)" != "$1" ] && [ "$(property ActiveState)" = active ] && answers; }
is_failed() { [ "$(property ActiveState)" = failed ]; }

install_package() {
    dpkg --force-confold --install "$1" || die "dpkg refuses $1"
}

fresh_installation() {
    say "the package installs, and its service is enabled and running"
    install_package /exchange/first.deb
    systemctl --quiet is-enabled watchpost.service
    systemctl --quiet is-active watchpost.service
    comes "/livez" answers

    say "the timer is there, and off"
    same "the timer" "$(systemctl is-enabled watchpost-run-once.timer || true)" disabled
    same "the timer" "$(systemctl is-active watchpost-run-once.timer || true)" inactive

    say "the account has no password and no shell"
    same "the shell" "$(getent passwd watchpost | cut -d : -f 7)" /usr/sbin/nologin
    case $(passwd --status watchpost | cut -d ' ' -f 2) in
        L | NP) ;;
        *) die "the account has a password" ;;
    esac
    case $(getent shadow watchpost | cut -d : -f 2) in
        '!'* | '*') ;;
        *) die "the account can log in" ;;
    esac

    say "configuration and data are for root and the service only"
    same "$config" "$(stat -c '%U:%G %a' "$config")" "root:watchpost 640"
    same "$data" "$(stat -c '%U:%G %a' "$data")" "watchpost:watchpost 700"
    same "the database" "$(stat -c '%U %a' "$data/watchpost.db")" "watchpost 600"
    dpkg-query --show --showformat '${Conffiles}' watchpost | grep -q " $config "
}

sandbox() {
    say "the units hold, and the sandbox is tight"
    # There is no `man` here that could look for the pages; a later step does.
    same "systemd-analyze verify" "$(systemd-analyze verify watchpost.service watchpost-run-once.service \
        watchpost-run-once.timer 2>&1 | grep watchpost | grep -v "Command 'man " || true)" ""
    for unit in watchpost.service watchpost-run-once.service; do
        exposure=$(systemd-analyze security --no-pager "$unit" | sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p')
        echo "    exposure of $unit: $exposure"
        awk -v found="$exposure" -v most="$EXPOSURE_MAX" 'BEGIN { exit !(found != "" && found <= most) }'
    done

    say "the process has the right to ping and no other"
    same "the account" "$(stat -c %U "/proc/$(property MainPID)")" watchpost
    same "CapEff" "$(of_process CapEff)" 0000000000002000
    same "CapBnd" "$(of_process CapBnd)" 0000000000002000
    same "NoNewPrivs" "$(of_process NoNewPrivs)" 1
    same "Seccomp" "$(of_process Seccomp)" 2
    if nsenter --target "$(property MainPID)" --mount touch /etc/watchpost/x 2>/dev/null; then
        die "the service could write to /etc"
    fi
}

work() {
    say "the monitor of the installed configuration is up"
    comes "its first result" is_up loopback

    say "doctor finds nothing bad"
    as_service watchpost doctor --config "$config" --data "$data" >/run/doctor || die "doctor: $(cat /run/doctor)"
    grep -q '^ok  *database  *in use by the running server' /run/doctor
    grep -q '^ok  *ICMP' /run/doctor

    say "an edit is followed, and so is systemctl reload"
    printf '  - { id: self, name: Livez, http: "http://127.0.0.1:8080/livez", interval: 1s }\n' >>"$config"
    comes "the new monitor" is_up self
    systemctl reload watchpost.service
    comes "/livez" answers

    say "run-once works beside the server"
    systemctl start watchpost-run-once.service
    journalctl --sync
    journalctl --quiet --unit watchpost-run-once.service --output cat | grep -q '^ONLINE.*Livez'
}

failures() {
    say "a killed server is started again"
    before=$(property MainPID)
    systemctl kill --signal KILL watchpost.service
    comes "the server" other_process "$before"

    say "a configuration that does not hold is not tried again and again"
    cp -p "$config" /run/good.yml
    echo 'nonsense: true' >>"$config"
    systemctl restart watchpost.service || true
    comes "the end" is_failed
    same "the exit status" "$(property ExecMainStatus)" 2
    same "further starts" "$(property NRestarts)" 0
    cp -p /run/good.yml "$config"
    systemctl restart watchpost.service
    comes "/livez" answers
}

upgrade() {
    say "an upgrade keeps the edited configuration and the history, and restarts"
    comes "results" has_results self
    had=$(results_of self)
    before=$(property MainPID)
    install_package /exchange/next.deb
    same "the version" "$(dpkg-query --show --showformat '${Version}' watchpost)" 99.0.0-1
    comes "the new server" other_process "$before"
    grep -q 'id: self' "$config"
    grep -q 'A line of the next version' "$config.dpkg-dist"
    same "$config" "$(stat -c '%U:%G %a' "$config")" "root:watchpost 640"
    [ "$(results_of self)" -ge "$had" ] || die "results are lost"
}

other_ways() {
    say "without the server, the timer takes over"
    systemctl disable --quiet --now watchpost.service
    systemctl start watchpost-run-once.service
    systemctl enable --quiet --now watchpost-run-once.timer
    systemctl --quiet is-active watchpost-run-once.timer
    systemctl disable --quiet --now watchpost-run-once.timer
    systemctl enable --quiet --now watchpost.service
    comes "/livez" answers

    say "man pages and completions are in their places"
    for page in man1/watchpost.1 man1/watchpost-config-plan.1 man5/watchpost.yml.5; do
        zcat "/usr/share/man/$page.gz" | grep -q '^\.SH NAME'
    done
    bash -n /usr/share/bash-completion/completions/watchpost
    grep -q '^#compdef watchpost' /usr/share/zsh/vendor-completions/_watchpost
    grep -q 'complete -c watchpost' /usr/share/fish/vendor_completions.d/watchpost.fish
}

removal() {
    say "removing it keeps configuration and data"
    dpkg --remove watchpost
    same "processes" "$(readlink /proc/[0-9]*/exe | grep -c watchpost || true)" 0
    [ ! -e /usr/bin/watchpost ]
    [ -s "$data/watchpost.db" ]
    grep -q 'id: self' "$config"

    say "installing it again goes on from there"
    install_package /exchange/next.deb
    comes "/livez" answers
    comes "its history" has_results self

    say "purging it takes all away but the account"
    dpkg --purge watchpost
    same "left behind" "$(find / -xdev -path /proc -prune -o -path /exchange -prune -o -path /var/lib/dpkg -prune \
        -o -path /var/log/journal -prune -o -name '*watchpost*' -print | tr '\n' ' ')" ""
    getent passwd watchpost >/dev/null
}

fresh_installation
sandbox
work
failures
upgrade
other_ways
removal
touch /exchange/passed
