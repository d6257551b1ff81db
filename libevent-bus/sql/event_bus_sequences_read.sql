-- The highest ce_sequence that a group has handled, of each partition and source. $1 group
SELECT topic, partition, source, highest FROM consumer_sequences WHERE consumer_group = $1::text
