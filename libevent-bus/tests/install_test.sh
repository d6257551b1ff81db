#!/bin/sh
# install_test.sh SOURCE_ROOT BUILD_ROOT SANITIZE -- installs into a fresh folder and builds, against what pkg-config says
# there, the program of README.md and those of examples/. Each is started without its settings and must say so. The other pieces
# of C in README.md are compiled.
set -eu
source=$1 build=$2 sanitize=$3
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$home/root"
pc=$(find "$home/root" -name event-bus.pc)
[ -n "$pc" ] || { echo "no event-bus.pc was installed"; exit 1; }
sed -i "s|^prefix=|prefix=$home/root|" "$pc" # as it would be without --destdir
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
flags="$(pkg-config --cflags --libs event-bus) -Wall -Wextra -Wno-unused-parameter -Werror"
[ "$sanitize" = none ] || flags="$flags -fsanitize=$sanitize"
LD_LIBRARY_PATH=$(dirname "$(find "$home/root" -name libevent-bus.so)")
export LD_LIBRARY_PATH

# The first piece of C is a whole program; the others follow these lines.
awk -v home="$home" '
    /^```c$/ { inside = 1; pieces++; file = home "/piece_" pieces ".c"
               if (pieces > 1) print "#include <event_bus/consumer.h>\n#include <event_bus/producer.h>\n#include <stdio.h>" >file
               next }
    /^```$/ { inside = 0 }
    inside { print >file }' "$source/libevent-bus/README.md"
mv "$home/piece_1.c" "$home/trade_counter.c"
cp "$source"/libevent-bus/examples/*.c "$home/"
protoc-c --proto_path="$source/proto" --c_out="$home" "$source"/proto/*.proto
cd "$home"
for piece in piece_*.c; do
    # shellcheck disable=SC2046 # flags are words
    cc -c $(pkg-config --cflags event-bus) -Wall -Wextra -Wno-unused -Wno-unused-parameter -Werror "$piece" -o piece.o
done
[ "$(echo piece_*.c | wc -w)" -ge 12 ] || { echo "README.md has lost its examples"; exit 1; }
cc -w -c ./*.pb-c.c
unset POSTGRES_URL KAFKA_BROKERS
for program in trade_counter place_order watch_trades; do
    # shellcheck disable=SC2086 # flags are words
    cc -I. "$program.c" ./*.pb-c.o $flags -o "$program"
    if ./"$program" >"$program.out" 2>&1; then
        echo "$program succeeds without its settings"
        exit 1
    fi
    grep -i broker "$program.out"
done
