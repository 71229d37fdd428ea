#!/bin/sh
# Runs in the initramfs as the command of `rawdaemon --init=image --respawn`. Prints a line for each check, and how many
# passed and failed, as cases.sh does.

mkdir -p /proc
[ -e /proc/self ] || mount -t proc proc /proc
[ -e /dev/null ] || mount -t devtmpfs dev /dev
passed=0 failed=0
[ ! -e /run/counts ] || . /run/counts
ok() { passed=$((passed + 1)); echo "ok: $*"; }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }
is() { # the code that is expected, then the command line
    local expected=$1 code=0
    shift
    "$@" >/said 2>&1 || code=$?
    if [ "$code" = "$expected" ]; then ok "$expected: $*"; else bad "$code, not $expected: $*: $(cat /said)"; fi
}
becomes() { # waits until this holds
    local count=0
    until eval "$1"; do
        sleep 0.1
        count=$((count + 1))
        [ "$count" -lt 100 ] || { bad "not after 10 s: $1"; return; }
    done
    ok "$1"
}
zombies() { grep -ls '^State:.Z' /proc/[0-9]*/status | grep -c .; }

if [ ! -e /run/again ]; then
    echo '# rawdaemon is process 1'
    is 0 grep -q '^rawdaemon' /proc/1/cmdline /proc/1/comm
    is 0 [ "$(sed -n 's/^PPid:[^0-9]*//p' /proc/self/status)" = $$ ]
    : >/run/again
    # Its command fails, and is started again.
    echo "passed=$passed failed=$failed" >/run/counts
    exit 3
fi
ok 'init has started its command again'

echo '# orphans'
for count in $(seq 20); do (setsid sleep 0.1 &); done
sleep 1
is 0 [ "$(zombies)" = 0 ]

echo '# a daemon that fails is started again'
is 0 rawdaemon --respawn -p /run/a.pid -o /run/log --log-size 4K --log-time boot -- sh -c 'echo up; exec sleep 9999'
first=$(cat /run/a.pid)
is 0 kill -9 "$first"
becomes 'second=$(rawdaemon --status -p /run/a.pid) && [ "$second" != "$first" ]'
is 12 rawdaemon -p /run/a.pid sleep 1
becomes '[ "$(grep -c up /run/log)" = 2 ]'
supervisor=$(sed -n 1p /run/a.pid.supervisor)
is 0 kill -9 "$supervisor"
is 0 rawdaemon --status -p /run/a.pid
is 12 rawdaemon -p /run/a.pid sleep 1
is 0 rawdaemon --respawn -p /run/a.pid -o /run/log --log-size 4K -- sh -c 'echo up; exec sleep 9999'
is 0 rawdaemon --stop --strict -p /run/a.pid
is 3 rawdaemon --status -p /run/a.pid
is 0 rawdaemon --respawn --log kmsg -R fork -p /run/b.pid -- sh -c 'echo a word for the kernel; setsid sleep 9999 & exit 0'
becomes 'busybox dmesg | grep -q "sh: a word for the kernel"'
is 0 rawdaemon --stop --strict -p /run/b.pid
is 0 [ "$(zombies)" = 0 ]

echo '# the clock is set while a restart is due'
is 0 rawdaemon --respawn --respawn-delay 2 --respawn-good 0 -p /run/c.pid -o /run/clock.log --log-size 4K -- sh -c 'echo up; exec sleep 9999'
ups=up
for year in 2040 1971; do
    if ! date -s "$year-01-02 03:04:05" >/dev/null 2>&1; then
        echo "# skipped: date(1) does not know the year $year"
        continue
    fi
    old=$(cat /run/c.pid)
    ups="$ups up"
    is 0 kill -9 "$old"
    date -s "$((year + 1))-01-02 03:04:05" >/dev/null
    becomes 'new=$(rawdaemon --status -p /run/c.pid) && [ "$new" != "$old" ]'
    is 12 rawdaemon -p /run/c.pid sleep 1
done
is 0 rawdaemon --stop --strict -p /run/c.pid
is 0 [ "$(echo $(grep '^up$' /run/clock.log))" = "$ups" ]

# What runs gets a SIGTERM, and time, before the machine is switched off.
sh -c 'trap "echo \"# the last daemon ends\"; exit" TERM; sleep 9999 & wait' &
sleep 0.5
echo "$passed passed, $failed failed"
busybox poweroff
sleep 9999
