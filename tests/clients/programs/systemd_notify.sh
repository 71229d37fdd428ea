#!/bin/sh
# A script and systemd-notify(1), which fails if nobody takes its BARRIER=1.
set -e
systemd-notify --ready --status=serving
exec sleep 1000
