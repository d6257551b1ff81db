# table.jq -- a result of `bench relay` as markdown.
def whole: floor | tostring | explode | reverse | [range(0; length) as $i | if $i > 0 and $i % 3 == 0 then 44, .[$i] else .[$i] end] | reverse | implode;
def decimals($n): . as $x | pow(10; $n) as $p | ($x * $p | round) as $r | ($r / $p | floor | tostring) + "." + (($r % $p | tostring) as $f | "0" * ($n - ($f | length)) + $f);
def row($cells): "| " + ($cells | join(" | ")) + " |";
def head($cells): row($cells), row($cells | map("---"));
def titles: { "read": "limit: polling read alone", "produce": "limit: librdkafka alone, 50 ms transactions, same headers",
  "produce-bare": "limit: the same without headers", "poll": "**poll, exactly once**", "poll-idempotent": "**poll, idempotent**",
  "wal-stream": "**wal, exactly once, stream over TCP**", "wal-peek": "**wal, exactly once, catch-up by SQL**",
  "debezium": "Debezium, defaults (at least once)", "debezium-tuned": "Debezium, tuned (at least once)",
  "debezium-exactly-once": "Debezium, tuned, exactly once", "debezium-quick": "Debezium, low latency (at least once)",
  "debezium-quick-exactly-once": "Debezium, low latency, exactly once" };
def run($name): [(.backlog_runs // [])[] | select(.name == $name)] | last;
def ratio($a; $b): if $a and $b and $b > 0 then ($a / $b | decimals(2)) else "not run" end;
def ms: (. / 1000 | decimals(1));
def latency($name; $rate): [(.latency_runs // [])[] | select(.name == $name and .rate == $rate)] | last;
def p99($name; $rate): latency($name; $rate) | if . then .p99_us | ms else "not run" end;

"Commit \(.machine.commit), \(.machine.date); \(.machine.cores) × \(.machine.cpu), \(.machine.memory_mb) MB, load before \(.machine.load_before); Postgres \(.machine.postgres), Kafka 4.1, Debezium 3.7.",
"Postgres, Kafka and the contestant share these cores.", "",
head(["backlog of \(.backlog[0].rows | whole) rows, one row a transaction", "rows/s", "CPU s", "peak MB", "twice", "missing"]),
((.backlog_runs // [])[] | row([(titles[.name] // .name), (.rows_per_second | whole), (.cpu_s | decimals(1)), (.peak_mb | whole), "\(.twice // "")", "\(.missing // "")"])),
"",
head(["latency, commit to reader", "rows/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU s"]),
((.latency_runs // [])[] | row([(titles[.name] // .name), (.rate | whole), (.p50_us | ms), (.p99_us | ms), (.p999_us | ms), (.cpu_s | decimals(1))])),
"",
([run("read").rows_per_second, run("produce").rows_per_second] | map(select(.)) | min) as $limit
| head(["ratio", "", "aim"]),
  row(["poll exactly once ÷ Debezium tuned, rows/s", ratio(run("poll").rows_per_second; run("debezium-tuned").rows_per_second), "4"]),
  row(["Debezium tuned ÷ poll exactly once, memory", ratio(run("debezium-tuned").peak_mb; run("poll").peak_mb), "40"]),
  row(["poll exactly once ÷ the slower limit", ratio(run("poll").rows_per_second; $limit), "0.6"]),
  row(["wal stream ÷ Debezium exactly once, rows/s", ratio(run("wal-stream").rows_per_second; run("debezium-exactly-once").rows_per_second), "1.5"]),
  row(["wal catch-up ÷ Debezium exactly once, rows/s", ratio(run("wal-peek").rows_per_second; run("debezium-exactly-once").rows_per_second), "3"]),
  row(["poll exactly once, p99 at 500 rows/s, ms", p99("poll"; 500), "below 15"]),
  row(["poll idempotent, p99 at 500 rows/s, ms", p99("poll-idempotent"; 500), "below 6"]),
  row(["Debezium low latency exactly once ÷ poll exactly once, p99 at 500 rows/s", ratio(latency("debezium-quick-exactly-once"; 500).p99_us; latency("poll"; 500).p99_us), ""])
