#!/bin/bash
# The package unpacks into an empty root, the binary there prints its settings, and the unit is one.
set -eu -o pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/make-deb" "$1" "$work/relay.deb" 0.0.1
dpkg-deb --extract "$work/relay.deb" "$work/root"
! ldd "$work/root/usr/bin/outbox-relay" | grep -E 'libevent-bus|not found' || { echo 'the binary needs what the package does not bring'; exit 1; }
"$work/root/usr/bin/outbox-relay" --help | grep GUARANTEE >/dev/null || { echo 'the binary does not run'; exit 1; }
for file in lib/systemd/system/outbox-relay.service etc/outbox-relay/outbox-relay.env usr/share/outbox-relay/adopt.sql; do
    [ -s "$work/root/$file" ] || { echo "missing: $file"; exit 1; }
done
grep -q '^ExecStart=/usr/bin/outbox-relay$' "$work/root/lib/systemd/system/outbox-relay.service"
! dpkg-deb --field "$work/relay.deb" Depends | tr ',' '\n' | grep -v '^ *lib' || { echo 'a dependency that is no library'; exit 1; }
