# table.jq -- a result of `bench ledger` as markdown.
def whole: floor | tostring | explode | reverse | [range(0; length) as $i | if $i > 0 and $i % 3 == 0 then 44, .[$i] else .[$i] end] | reverse | implode;
def decimals($n): . as $x | pow(10; $n) as $p | ($x * $p | round) as $r | ($r / $p | floor | tostring) + "." + (($r % $p | tostring) as $f | "0" * ($n - ($f | length)) + $f);
def ms: (. / 1000) | if . < 100 then decimals(1) else round | tostring end | . + " ms";
# Its best over HTTP on such a machine, 64 connections (docs/benchmarks.md).
def formance: 465;
def row($cells): "| " + ($cells | join(" | ")) + " |";
def head($cells): row($cells), row($cells | map("---"));

"Commit \(.machine.commit), \(.machine.date); \(.machine.cores) × \(.machine.cpu), \(.machine.memory_mb) MB, load before \(.machine.load_before); Postgres \(.machine.postgres).",
"The load shares these cores; relay stopped, Kafka idle.", "",
([.limit[].orders_per_second] | max) as $limit
| head(["durable orders/s, \(.seconds) s each", "orders/s", "÷ limit", "p50", "p99"]),
  (.limit[] | row(["limit: one connection, batches of \(.batch)", (.orders_per_second | whole), (.orders_per_second / $limit | decimals(2)), "", ""])),
  (.orders[] | row(["\(.name): \(.connections) connection\(if .connections > 1 then "s" else "" end)", (.orders_per_second | whole),
      (.orders_per_second / $limit | decimals(2)), (.http_p50_us | ms), (.http_p99_us | ms)])),
  (.orders_half | row(["POST /orders at half load: \(.rate)/s on \(.connections)", (.orders_per_second | whole), (.orders_per_second / $limit | decimals(2)),
      (.http_p50_us | ms), (.http_p99_us | ms)])),
  "",
  ((.tpcb | map(.tps) | max) as $tpcb
  | head(["transfers/s", "transfers/s", "÷ limit", "÷ best TPC-B", "÷ Formance", "p50", "p99"]),
  (.transfer_limit[] | row(["limit: double entry by arrays of \(.batch) on one connection, between \(.accounts) accounts", (.orders_per_second | whole), "1.00",
      (.orders_per_second / $tpcb | decimals(1)), "", "", ""])),
  (.transfer_limit as $limits | .transfers[] | . as $t | ([$limits[] | select(.accounts == $t.accounts) | .orders_per_second] | max) as $l
  | row(["\(.name): \(.accounts) accounts, \(.connections) connections", (.orders_per_second | whole), (.orders_per_second / $l | decimals(2)),
      (.orders_per_second / $tpcb | decimals(1)), (.orders_per_second / formance | whole), (.http_p50_us | ms), (.http_p99_us | ms)])),
  (.tpcb[] | row(["pgbench TPC-B, \(.clients) clients", (.tps | whole), "", (.tps / $tpcb | decimals(1)), "", "", ""]))),
  "", "trade-ledger's resident memory after the loads: \(.processes[] | select(.process == "trade-ledger") | .memory_kb / 1024 | decimals(1)) MB."
