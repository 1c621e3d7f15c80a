# What happens to the units in a booted system. Each line of /results/steps is "ok STEP", or "failed STEP" and why.
# The log in the store at the end is /results/log.json, for what needs more than a shell to look at.
set -u
config=/etc/evidenced/config.toml
store=/var/lib/private/evidenced

step() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >/tmp/step 2>&1; then
        echo "ok $name"
    else
        echo "failed $name: $* ($(tr '\n' ' ' </tmp/step))"
    fi >>/results/steps
}

within() { # SECONDS COMMAND...
    left=$(($1 * 10))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}

property() { # PROPERTY [UNIT]
    systemctl show --property="$1" --value "${2:-evidenced.service}"
}

is() { # EXPECTED PROPERTY [UNIT]
    found=$(property "$2" ${3+"$3"})
    [ "$found" = "$1" ] || { echo "$2 is $found"; false; }
}

restarted() { # TIMES
    is "$1" NRestarts >/dev/null && is active ActiveState >/dev/null
}

leaves() { # KIND
    evidenced log --config "$config" --store "$store" --format json | grep -c "\"kind\":\"$1\""
}

more() { # THAN KIND
    [ "$(leaves "$2")" -gt "$1" ]
}

owned() {
    strangers=$(find "$store" ! -user "$1" -o -perm /077)
    [ -z "$strangers" ] || { ls -la "$store"; false; }
}

refuses() {
    ! "$@"
}

absent() {
    [ ! -e "$1" ]
}

main() { # SIGNAL
    pid=$(property MainPID)
    # 0 would be this shell and all around it.
    [ "$pid" -gt 0 ] && kill "-$1" "$pid"
}

says() { # PATTERN
    property StatusText | grep -q "$1"
}

fields() { # NAME...
    journalctl --sync
    for field in "$@"; do
        journalctl --field="EVIDENCED_$field" | grep -q . || { echo "no EVIDENCED_$field"; return 1; }
    done
}

noted() { # FIELD=VALUE...
    journalctl --sync
    journalctl --unit=evidenced.service --quiet --no-pager --output=cat "$@" | grep -q .
}

told() { # PATTERN
    journalctl --sync
    journalctl --unit=evidenced.service --no-pager | grep -q "$1"
}

echo "ok boot" >>/results/steps

step host-unit-makes-no-store refuses systemctl start evidenced-host.service
step no-store-yet absent "$store"

step start systemctl start evidenced.service
date --utc +%s >/results/begun
step active is active ActiveState
step status-text [ -n "$(property StatusText)" ]
step ready within 20 evidenced status --ready --config "$config"
uid=$(stat -c %u "$store")
step dynamic-user [ "$uid" -ge 61184 ]
step private-store [ "$(stat -c %a "$store")" = 700 ]
step link [ "$(readlink /var/lib/evidenced)" = private/evidenced ]
step all-owned-by-the-daemon owned "$uid"

step journal-says-what-was-collected within 5 noted PRIORITY=5 EVIDENCED_COLLECTOR=host.baseline EVIDENCED_SOURCE=this-machine

# Root collects into the daemon's store; the daemon goes on to write to it.
before=$(leaves snapshot)
step host-unit systemctl start evidenced-host.service
step host-unit-succeeds is success Result evidenced-host.service
step host-unit-appends more "$before" snapshot
step all-still-owned-by-the-daemon owned "$uid"
step timer systemctl start evidenced-host.timer
step timer-waits is waiting SubState evidenced-host.timer

pid=$(property MainPID)
plan='plan","by":"daemon'
plans=$(leaves "$plan")
echo 'control_files = []' | cat - "$config" >/tmp/config && cat /tmp/config >"$config"
step reload systemctl reload evidenced.service
step reload-writes-a-plan within 15 more "$plans" "$plan"
step reload-keeps-the-process is "$pid" MainPID
step all-owned-after-the-reload owned "$uid"

cp "$config" /tmp/right
echo 'nonsense' >"$config"
step bad-reload systemctl reload evidenced.service
step bad-reload-says-why within 5 says 'old configuration.*not valid TOML'
step bad-reload-keeps-the-process is "$pid" MainPID
step bad-reload-stays-active is active ActiveState
cat /tmp/right >"$config"
step right-again systemctl reload evidenced.service
step right-again-is-taken within 5 says '^Collecting.$'

step collects-on-schedule within 15 fields TICK
step journal-names-what-was-collected fields COLLECTOR SOURCE TARGET RUN SEQ COMPLETE RESOURCES VERSION

# A daemon that hangs is killed by the watchdog, and comes back.
main STOP
step watchdog within 20 restarted 1
step watchdog-was-it told 'Watchdog timeout'

# It is killed two seconds before a tick and comes back after it.
sleep $(((18 - $(date +%s) % 10) % 10))
main KILL
date --utc +%s >/results/killed
step killed-comes-back within 20 restarted 2
step ready-again within 20 evidenced status --ready --config "$config"
date --utc +%s >/results/back
# The tick that was missed, and no longer than a run may take.
sleep 2
step journal-warns-of-what-was-missed noted PRIORITY=4 EVIDENCED_COLLECTOR=host.baseline
step journal-names-what-was-missed fields FIRST LAST COUNT
step all-owned-at-the-end owned "$uid"

step stop timeout 40 systemctl stop evidenced.service
step stop-is-orderly is 0 ExecMainStatus
step stop-succeeds is success Result
evidenced log --config "$config" --store "$store" --format json >/results/log.json
step intact evidenced verify --config "$config" --store "$store"

# Started with a wrong configuration it says so once.
echo 'nonsense' >"$config"
step wrong-configuration refuses systemctl start evidenced.service
sleep 4
step wrong-configuration-is-final is failed ActiveState
step wrong-configuration-is-an-error noted PRIORITY=3
step wrong-configuration-exit is 2 ExecMainStatus
