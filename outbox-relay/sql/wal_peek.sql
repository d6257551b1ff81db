-- What was committed since the slot's position, whole transactions in the order of their commits, until there are so many changes.
COPY (SELECT data
        FROM pg_logical_slot_peek_binary_changes(current_setting('outbox_relay.slot'), NULL,
               current_setting('outbox_relay.changes')::integer, 'proto_version', '1',
               'publication_names', current_setting('outbox_relay.publication'), 'binary', 'true'))
  TO STDOUT (FORMAT binary)
