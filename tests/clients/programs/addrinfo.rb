#!/usr/bin/env ruby
# The idiom of Ruby's servers, which takes NOTIFY_SOCKET for a path.
require "socket"
Addrinfo.unix(ENV.fetch("NOTIFY_SOCKET"), :DGRAM).connect do |socket|
  socket.close_on_exec = true
  socket.write("READY=1")
end
sleep 1000
