# table.jq -- the result of `bench/run relay-cleanup` as markdown.
def row($cells): "| " + ($cells | map(tostring) | join(" | ")) + " |";
def head($cells): row($cells), row($cells | map("---"));
def million: . / 1e6 | tostring + "M";

"Commit \(.machine.commit), \(.machine.date); \(.machine.cores) × \(.machine.cpu), load before \(.machine.load_before).",
"",
head(["published", "rows/s of that quarter", "table MB", "indexes MB", "rows in it", "relay MB"]),
(.growth | to_entries[] | .key as $nth | .value |
  row([if $nth == 5 then "clean" else (.published | million) end, (.rows_per_second // "–"), .table_mb, .indexes_mb, .rows, .relay_mb]))
