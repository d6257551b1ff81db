# table.jq -- a result of bench/run as markdown. $what: pipeline or million.
def whole: floor | tostring | explode | reverse | [range(0; length) as $i | if $i > 0 and $i % 3 == 0 then 44, .[$i] else .[$i] end] | reverse | implode;
def decimals($n): . as $x | pow(10; $n) as $p | ($x * $p | round) as $r | ($r / $p | floor | tostring) + "." + (($r % $p | tostring) as $f | "0" * ($n - ($f | length)) + $f);
def ms: (. / 1000) | if . < 100 then decimals(1) else round | tostring end | . + " ms";
def seconds: decimals(1) + " s";
def row($cells): "| " + ($cells | join(" | ")) + " |";
def head($cells): row($cells), row($cells | map("---"));

def machine:
  "Commit \(.machine.commit), \(.machine.date); \(.machine.cores) × \(.machine.cpu), \(.machine.memory_mb) MB, load before \(.machine.load_before); Postgres \(.machine.postgres).",
  "Postgres, Kafka, all services and the load share these cores.", "";

def memory:
  "", head(["process", "resident memory after the run"]),
  (.processes[] | row([.process, "\(.memory_kb / 1024 | decimals(1)) MB"])),
  row(["**together**", "\([.processes[].memory_kb] | add / 1024 | decimals(1)) MB"]),
  row(["**without Postgres and Kafka**", "\([.processes[] | select(.process != "postgres" and .process != "kafka") | .memory_kb] | add / 1024 | decimals(1)) MB"]);

# The better of the two measurements, before the loads and after them: a limit is what can be reached.
def limit($batch): [.limit[] | select(.batch == $batch) | .orders_per_second] | max;

def load_row($name; $load; $l100; $l500):
  row([$name, ($load.requests_per_second | whole), ($load.orders_per_second | whole),
       ($load.orders_per_second / $l100 | decimals(3)), ($load.orders_per_second / $l500 | decimals(3))]);

def pipeline:
  limit(100) as $l100 | limit(500) as $l500
  | head(["at full speed, \(.seconds) s each", "requests/s", "orders/s", "orders/s ÷ limit, batch 100", "÷ limit, batch 500"]),
    row(["limit: one connection, batches of 100", "", ($l100 | whole), "1", ($l100 / $l500 | decimals(2))]),
    row(["limit: one connection, batches of 500", "", ($l500 | whole), ($l500 / $l100 | decimals(2)), "1"]),
    (.http[] as $h | load_row("HTTP, the day's flow, \($h.connections) connection\(if $h.connections > 1 then "s" else "" end)"; $h; $l100; $l500)),
    load_row("HTTP, orders only, \(.http_orders_only.connections) connections"; .http_orders_only; $l100; $l500),
    load_row("Kafka, the day's flow, until all is answered"; .kafka; $l100; $l500),
    load_row("Kafka, orders only, until all is answered"; .kafka_orders_only; $l100; $l500),
    "",
    head(["latency at half of the best rate", "p50", "p99"]),
    row(["POST to 201 (\(.http_half.rate) requests/s on \(.http_half.connections) connections)", (.http_half.http_p50_us | ms), (.http_half.http_p99_us | ms)]),
    row(["POST to the fill on Kafka (\(.http_half.fills) fills)", (.http_half.fill_p50_us | ms), (.http_half.fill_p99_us | ms)]),
    row(["Kafka request to its answer (\(.kafka_half.rate) requests/s)", (.kafka_half.answer_p50_us | ms), (.kafka_half.answer_p99_us | ms)]),
    "",
    head(["start", ""]),
    row(["`up`, programs built, no data", (.up_empty_s | seconds)]),
    row(["`up`, warm: built, with data", (.up_warm_s | seconds)]),
    row(["`verify` at the end: log = database = engine, after", (.verify_s | seconds)]);

def million:
  head(["\(.load.requests // (.load.placed + .load.cancelled + .load.refused) | whole) operations through \(.load.door | if . == "http" then "HTTP" else "Kafka" end)", ""]),
  row(["orders placed", (.load.accepted // .load.placed | whole)]),
  row(["cancelled", (.load.cancelled | whole)]),
  row(["all answered after", (.load.seconds | seconds)]),
  row(["requests/s", (.load.requests_per_second | whole)]),
  row(["all booked after (with making and funding the users)", (.booked_after_s | seconds)]),
  row(["`verify`: log = database = engine, after another", (.verify_s | seconds)]),
  row(["data on disk", "\(.data_mb | whole) MB"]);

machine, (if $what == "million" then million else pipeline end), memory
