#!/usr/bin/env node
// Node has no datagram sockets of this kind: its servers run systemd-notify(1), or load a package that is compiled.
const { execFileSync } = require("child_process");
let socket;
try {
  socket = require("unix-dgram").createSocket("unix_dgram");
} catch {
  execFileSync("systemd-notify", ["--ready"]);
}
if (socket) {
  const ready = Buffer.from("READY=1");
  socket.send(ready, 0, ready.length, process.env.NOTIFY_SOCKET, (error) => {
    if (error) throw error;
  });
}
setTimeout(() => {}, 1000000);
