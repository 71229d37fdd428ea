#!/usr/bin/python3
# The package sdnotify.
import time
import sdnotify
notifier = sdnotify.SystemdNotifier(debug=True)
notifier.notify("READY=1")
time.sleep(1000)
