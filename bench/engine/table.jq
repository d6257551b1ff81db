# table.jq -- the result of `bench/run engine` as markdown.
def decimals($n): . as $x | pow(10; $n) as $p | ($x * $p | round) as $r | ($r / $p | floor | tostring) + "." + (($r % $p | tostring) as $f | "0" * ($n - ($f | length)) + $f);
def row($cells): "| " + ($cells | join(" | ")) + " |";
def head($cells): row($cells), row($cells | map("---"));
def mega: (. / 1e6) | decimals(1) + "M";
def ratio($of): if $of then (.ops_per_s / $of.ops_per_s | decimals(2)) else "–" end;
def same($truth): [.fills, .quantity, .fill_hash, .notional, .resting, .book_hash] == ($truth | [.fills, .quantity, .fill_hash, .notional, .resting, .book_hash]);
def of($subject): map(select(.subject == $subject)) | first;

"Commit \(.machine.commit), \(.machine.date); \(.machine.cores) × \(.machine.cpu), load before \(.machine.load_before).",
"",
(.runs | group_by(.workload) | .[] | (map(select(.subject | startswith("bare"))) | first) as $truth | of("exchange-core") as $ec | of("bare") as $bare
 | of("bare-queue") as $queue |
  "**\(.[0].workload)**: \(.[0].operations) operations, \($truth.fills) fills, \($truth.resting) orders rest in the end", "",
  head(["book", "ops/s", "ns/op", "p50 / p99 / p99.9 ns", "÷ exchange-core", "÷ bare", "÷ bare-queue", "same result"]),
  (.[] | row([.what, (.ops_per_s | mega), (.ns_per_op | decimals(1)), "\(.p50_ns) / \(.p99_ns) / \(.p999_ns)", ratio($ec), ratio($bare), ratio($queue),
    (if same($truth) then "yes" else "**no: \(.fills) fills, \(.quantity) lots, \(.resting) rest**" end)])),
  ""),
([.runs[] | select(.subject | startswith("core"))] | map(.clock_ns) | max | if . then "Reading the clock twice takes \(.) ns of each single latency; it is not subtracted." else empty end),
(.left_out[] | "\(.) could not be built here and was left out.")
