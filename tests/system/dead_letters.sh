#!/usr/bin/env bash
# A posting that the ledger cannot book for a reason that can be mended: what depends on it waits behind it, the rest goes on, and
# `penstock dlq` lists, shows, retries and drops it. And the command line refuses what makes no sense.
. "$(dirname "$0")/lib"
system_up
dead=ledger.postings.v1.ledger-postings.dead
admin_sql() {
    PGPASSWORD=$(cat "$PENSTOCK_HOME/secrets/postgres") psql -h 127.0.0.1 -p "$POSTGRES_PORT" -U postgres -d penstock_trade_ledger -qc "$1"
}
letters() { penstock dlq list --json | jq -r ".[] | select(.topic==\"$dead\") | .letters"; }
letters_are() { [ "$(letters)" = "$1" ]; }
waiting() { ledger_sql "SELECT count(*) FROM parked_events WHERE consumer_group = 'ledger-postings'"; }
some_wait() { [ "$(waiting)" -gt 1 ]; }
order() { # SYMBOL SIDE PRICE: sets order_id
    api POST /api/orders "{\"symbol\":\"$1\",\"side\":\"$2\",\"type\":\"limit\",\"price\":\"$3\",\"quantity\":\"0.01\"}" "$(new_key)"
    order_id=$(jq -r .order_id <<<"$reply")
}
metric() { # NAME: its values for the consumer of postings, one a line
    curl -fsS "http://127.0.0.1:$TRADE_LEDGER_PORT/metrics" | sed -n "s/^$1{group=\"ledger-postings\".*} //p"
}
metric_is() { [ "$(metric "$1")" = "$2" ]; }
metric_counts_them() { [ "$(metric consumer_parked_events)" = "$(waiting)" ]; }
none_waits() { [ "$(waiting)" = 0 ]; }
client() { # BROKERS ARGUMENT… -- without the launcher around it, which takes longer than the client
    KAFKA_BROKERS=$1 TRADE_LEDGER_POSTGRES_URL_FILE=$PENSTOCK_HOME/secrets/trade-ledger.url "$PENSTOCK_BUILD/tools/cli/penstock-cli" "${@:2}"
}
soon() { # NAME COMMAND…
    local name=$1
    shift
    if eventually 60 "$@"; then pass "$name"; else fail "$name" "$(penstock dlq list; ledger_sql 'SELECT topic, log_offset, reason FROM parked_events')"; fi
}
trade() { # SYMBOL PRICE: between the two; sets maker_order, taker_order
    token=$maker order "$1" sell "$2"
    maker_order=$order_id
    token=$taker order "$1" buy "$2"
    taker_order=$order_id
}
user maker
maker=$token
for currency in BTC ETH; do api POST /api/fund/topup "{\"currency\":\"$currency\",\"amount\":\"10\"}" "$(new_key)"; done
user taker
taker=$token
api POST /api/fund/topup '{"currency":"USD","amount":"100000"}' "$(new_key)"
filled() { token=$taker status_is "$1" filled; }

# ---- The ledger's database refuses one price ----
admin_sql 'ALTER TABLE trades ADD CONSTRAINT not_this_price CHECK (price_ticks <> 4000100) NOT VALID'
trade BTC-USD 40001.00
refused=$taker_order
soon 'a posting that cannot be booked becomes a dead letter' letters_are 1
trade BTC-USD 40002.00
behind=$taker_order
soon 'the later postings of its market wait behind it' some_wait
trade ETH-USD 3000.00
soon 'another market goes on' filled "$taker_order"
soon 'a metric says how many wait' metric_counts_them
soon 'and no partition lags for it' metric_is consumer_partition_lag_events "$(printf '0\n0\n0\n0')"
expect 'the letter is counted' 1 "$(metric consumer_dead_letters_total)"
expect 'nothing of the refused posting was booked, nor of those behind it' 0 \
    "$(ledger_sql 'SELECT count(*) FROM trades WHERE price_ticks IN (4000100, 4000200)')"
letter=$(penstock dlq show $dead --json)
expect 'the letter says which event it was, and why' '["refused","ledger.postings.v1","BTC-USD",true]' \
    "$(jq -c '[.kind, .topic, .key, (.reason | contains("not_this_price"))]' <<<"$letter")"
offset=$(jq -r .offset <<<"$letter")
expect 'and can be asked for by itself' "$letter" "$(penstock dlq show $dead --offset "$offset" --json)"

# ---- Wrong arguments ----
while read -r status arguments; do
    set +e
    # shellcheck disable=SC2086 # words
    message=$(client "127.0.0.1:$KAFKA_PORT" dlq $arguments 2>&1 >/dev/null)
    got=$?
    set -e
    expect "exit $status and a reason: dlq $arguments" "$status true" "$got $([ -n "$message" ] && echo true)"
done <<CASES
2 list something
2 frobnicate
2 show
2 show $dead another.dead
2 show trades.v1
2 show $dead --offset last
2 show $dead --frobnicate
1 show no.such.topic.dead
1 show $dead --offset 4711
2 retry $dead
2 retry $dead --all --offset 0
2 retry $dead --offset -1
2 retry $dead --offset 1x
2 retry trades.v1 --all
1 retry $dead --offset 4711
1 retry no.such.topic.dead --all
2 drop $dead
2 drop $dead --all
2 drop $dead --offset 99999999999999999999
1 drop $dead --offset 4711
CASES
set +e
client 127.0.0.1:1 dlq list >/dev/null 2>&1
expect 'a Kafka that does not answer has its own exit code' 3 $?
set -e
expect 'none of these changed anything' 1 "$(letters)"

# ---- Tried again: with the cause still there, and mended ----
succeeds 'it is tried again' penstock dlq retry $dead --offset "$offset"
soon 'and is a dead letter again while the cause is there' letters_are 2
expect 'nothing behind it was booked meanwhile' 0 "$(ledger_sql 'SELECT count(*) FROM trades WHERE price_ticks = 4000200')"
admin_sql 'ALTER TABLE trades DROP CONSTRAINT not_this_price'
expect 'once the cause is mended it is tried again, and counts once though it has two letters' '1 sent again' "$(penstock dlq retry $dead --all)"
soon 'it is booked' filled "$refused"
soon 'and what waited behind it' filled "$behind"
expect 'in their order' '4000100 4000200' \
    "$(ledger_sql "SELECT string_agg(price_ticks::text, ' ' ORDER BY trade_id) FROM trades WHERE price_ticks IN (4000100, 4000200)")"
soon 'nothing waits any more' none_waits
soon 'and the metric says so' metric_is consumer_parked_events 0
set +e
penstock dlq retry $dead --offset "$offset" >/dev/null 2>&1
expect 'a letter that is settled is not tried again' 1 $?
set -e
succeeds 'the log, the database and the engine agree' penstock verify

# ---- Given up ----
printf 'BTC-USD\tnot a posting\n' | kcat -P -b "127.0.0.1:$KAFKA_PORT" -t ledger.postings.v1 -X partitioner=murmur2_random -K '\t'
soon 'what nobody can read becomes a dead letter' letters_are 3
trade BTC-USD 40003.00
offset=$(penstock dlq show $dead --json | jq -r .offset | tail -1)
set +e
penstock dlq retry $dead --offset "$offset" >/dev/null 2>&1
expect 'it can not be tried again' 1 $?
set -e
succeeds 'it can be dropped' penstock dlq drop $dead --offset "$offset"
soon 'what waited behind it goes on' filled "$taker_order"
soon 'nothing waits any more after the drop' none_waits
