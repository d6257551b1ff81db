#!/bin/bash
# The package installs into an empty root, the binary there prints its settings, the unit is one that systemd accepts, and what the
# binary is linked with is what the package depends on.
set -eu -o pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*"; exit 1; }
root=$work/root
"$here/make-deb" "$1" "$work/relay.deb" 0.0.1

# Its libraries are those of this machine, not of the empty root: hence depends.
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
dpkg --root="$root" --log=/dev/null --force-not-root --force-depends --install "$work/relay.deb" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
grep -q '^Status: install ok installed$' "$root/var/lib/dpkg/status" || fail 'dpkg did not install it'
dpkg --root="$root" --verify outbox-relay | grep . && fail 'what is installed is not what was packed'

! ldd "$root/usr/bin/outbox-relay" | grep -E 'libevent-bus|not found' || fail 'the binary needs what the package does not bring'
"$root/usr/bin/outbox-relay" --help | grep GUARANTEE >/dev/null || fail 'the binary does not run'
for file in etc/outbox-relay/outbox-relay.env usr/share/outbox-relay/adopt.sql usr/share/man/man8/outbox-relay.8.gz usr/share/doc/outbox-relay/copyright; do
    [ -s "$root/$file" ] || fail "missing: $file"
done
[ "$(stat -c %a "$root/etc/outbox-relay/outbox-relay.env")" = 640 ] || fail 'the settings, which may hold passwords, are for everybody'
for library in libpq5 librdkafka1 libprotobuf-c1; do
    dpkg-deb --field "$work/relay.deb" Depends | grep -q "$library (>= " || fail "$library is not among the dependencies, or in any version"
done
! dpkg-deb --field "$work/relay.deb" Depends | tr ',' '\n' | grep -v '^ *lib' || fail 'a dependency that is no library'

# The targets that units refer to are systemd's own.
unit=$root/lib/systemd/system/outbox-relay.service
grep -q '^ExecStart=/usr/bin/outbox-relay$' "$unit" || fail 'the unit starts something else'
if command -v systemd-analyze >/dev/null && [ -f /lib/systemd/system/sysinit.target ]; then
    cp /lib/systemd/system/*.target "$root/lib/systemd/system/"
    systemd-analyze verify --man=no --root="$root" outbox-relay.service >"$work/verify" 2>&1 || fail "$(cat "$work/verify")"
    ! grep outbox-relay "$work/verify" || fail 'systemd complains about the unit'
else
    echo 'no systemd here: the unit was not verified'
fi

dpkg --root="$root" --log=/dev/null --force-not-root --purge outbox-relay >"$work/log" 2>&1 || fail "$(cat "$work/log")"
! ls -d "$root/usr/bin/outbox-relay" "$root/etc/outbox-relay" 2>/dev/null || fail 'purged, it leaves something behind'
