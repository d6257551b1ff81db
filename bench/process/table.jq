# table.jq -- the result of `bench/run engine-process` as markdown.
def row($cells): "| " + ($cells | map(tostring) | join(" | ")) + " |";
def head($cells): row($cells), row($cells | map("---"));
def per_command($seconds): . as $run | ($seconds / $run.commands * 1e7 | round / 10);
def drain($what): row([$what, (.commands_per_second | round), (.events_per_second | round), per_command(.engine_cpu_seconds // .cpu_seconds),
  per_command(.broker_cpu_seconds)]);

"Commit \(.machine.commit), \(.machine.date); \(.machine.cores) × \(.machine.cpu), load before \(.machine.load_before).",
"",
head(["topic to topic, in transactions", "commands/s", "events/s", "engine's µs a command", "broker's"]),
(.drained | drain("a million commands")),
(.resting | drain("after a million resting orders, with snapshots")),
(.drained.limit | drain("limit: the same events, encoded beforehand, only published")),
"",
"\(.drained.share_of_limit * 1000 | round / 10) % of the limit. Matching is \(.drained.match_share * 1000 | round / 10) % of the shards' time.",
"",
head(["", "ms"]),
row(["mean stop for a snapshot, both cores full (\(.resting.snapshots) snapshots)", (.resting.snapshot_pause_ms / .resting.snapshots * 10 | round / 10)]),
row(["worst stop for a snapshot, \(.snapshots.resting) orders in one state, without Kafka", ([.snapshots.snapshots[].stop_us] | max / 1000)]),
row(["worst batch of \(.snapshots.batch) commands while one is written; alone", "\([.snapshots.snapshots[].worst_batch_us] | max / 1000); \(.snapshots.alone.worst_batch_us / 1000)"]),
row(["after kill -9: \(.recovery.orders_from_snapshots) resting orders and \(.recovery.commands_replayed) commands since are there; all owned", "\(.recovery.warm_ms); \(.recovery.owner_ms)"]),
(.takeovers[] | row(["owner \(.end): next output of its partitions; all answered", "\(.first_ms); \(.all_ms)"]))
