#!/bin/sh
# Unpacks Debian's packages of the peers below target/peers, and installs nothing. The benchmark looks there
# for what it does not find in PATH.
set -eu
cd "$(dirname "$0")"
mkdir -p target/peers/packages
cd target/peers/packages
apt-get download busybox daemon daemonize daemontools dumb-init openrc libeinfo1 librc1 runit \
    s6 libskarnet2.13 tini
for package in *.deb; do
    dpkg-deb --extract "$package" ..
done
