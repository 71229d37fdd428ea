#!/bin/sh
# Runs in the initramfs, as a child of BusyBox init. Prints a line for each check, and how many passed and failed.

passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok: $*"; }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }
is() { # the code that is expected, then the command line
    local expected=$1 code=0
    shift
    "$@" >/said 2>&1 || code=$?
    if [ "$code" = "$expected" ]; then ok "$expected: $*"; else bad "$code, not $expected: $*: $(cat /said)"; fi
}
says() { # a text that the last command has said
    if grep -qF "$1" /said; then ok "says $1"; else bad "says $(cat /said), not $1"; fi
}
serves() { [ "$(wget -q -O - http://127.0.0.1:8080/page)" = "it works" ]; }
zombies() { grep -ls '^State:.Z' /proc/[0-9]*/status | grep -c .; }

ip link set lo up
mkdir /www
echo 'it works' >/www/page
web="busybox httpd -f -p 127.0.0.1:8080 -h /www"
start="rawdaemon --mkdir /run/web -p /run/web/pid"

echo '# nothing is mounted, and there is no /dev/null'
is 4 $start -- $web
says 'mount -t devtmpfs dev /dev'
is 3 rawdaemon --status -p /run/web/pid
is 0 $start -i inherit -o inherit -e inherit -- $web
is 0 rawdaemon --status -p /run/web/pid
sleep 1
is 0 serves
is 0 rawdaemon --stop --strict -p /run/web/pid

echo '# with /dev/null, without /proc'
mknod -m 666 /dev/null c 1 3
is 0 $start -t 0.5 -- $web
is 12 $start -- $web
is 0 serves
is 0 rawdaemon --restart -t 0.5 -p /run/web/pid -- $web
is 0 serves
is 5 rawdaemon -t 1 -o /log -e /log -- $web
is 0 grep -q 'Address already in use' /log
is 127 rawdaemon nosuch
is 3 rawdaemon -c /no/such busybox sleep 9
is 126 rawdaemon /www/page
is 6 rawdaemon -R fd:3 -t 0.2 -- busybox sleep 9
is 0 rawdaemon -R fd:3 -p /run/ready.pid -- sh -c 'echo >&3; exec busybox sleep 999'
is 0 rawdaemon --stop --strict -p /run/ready.pid
is 0 rawdaemon --stop --strict -p /run/web/pid
is 3 rawdaemon --status -p /run/web/pid

echo '# with /proc and all of /dev'
mkdir -p /proc
mount -t proc proc /proc
is 0 mount -t devtmpfs dev /dev
count=0
while [ "$count" -lt 100 ]; do
    rawdaemon -p /run/many.pid busybox sleep 999 && rawdaemon --stop --strict -p /run/many.pid || break
    count=$((count + 1))
done
is 0 [ "$count" = 100 ]
sleep 1
is 0 [ "$(zombies)" = 0 ]

echo '# the clock is set, as on a board without one of its own'
closer='for n in 3 4 5 6 7 8 9; do eval "exec $n>&-"; done; exec busybox sleep 999'
is 0 rawdaemon -p /run/holds.pid busybox sleep 999
[ ! -e /usr/sbin/dnsmasq ] || is 0 rawdaemon -p /run/dns.pid -t 1 -- dnsmasq -k --port=5353 --conf-file=/dev/null --user=root --group=root --pid-file=
for year in 2076 1971 2040; do
    # Where BusyBox was built with times of 32 bits, it knows no year after 2038.
    if ! date -s "$year-01-02 03:04:05" >/dev/null 2>&1; then
        echo "# skipped: date(1) does not know the year $year"
        continue
    fi
    is 0 [ "$(date +%Y)" = "$year" ]
    for name in holds dns; do
        [ -e "/run/$name.pid" ] || continue
        is 0 rawdaemon --status -p "/run/$name.pid"
        is 12 rawdaemon -p "/run/$name.pid" busybox sleep 999
        is 0 rawdaemon --signal HUP --strict -p "/run/$name.pid" # dnsmasq reads its files; sleep ends
        [ "$name" = dns ] || { sleep 1; is 0 rawdaemon -p "/run/$name.pid" busybox sleep 999; }
    done
done
for name in holds dns; do
    [ ! -e "/run/$name.pid" ] || is 0 rawdaemon --stop --strict -p "/run/$name.pid"
done

echo '# a root directory that only root may search'
chmod 700 /
is 126 rawdaemon -u 1000:1000 -E PATH=/bin sh -c exit
says 'Permission denied (EACCES)'
chmod 755 /
is 0 rawdaemon -u 1000:1000 -E PATH=/bin sh -c exit
sleep 1
is 0 [ "$(zombies)" = 0 ]

echo "$passed passed, $failed failed"
busybox poweroff -f
