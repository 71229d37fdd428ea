#!/usr/bin/python3
# The package systemd-python.
import time
from systemd import daemon
if not daemon.notify("READY=1"):
    raise SystemExit(1)
time.sleep(1000)
