-- Consumers that read what a relay publishes without Kafka's transactions: repeats carry the number that they had.
-- psql variables: service_role, relay_role.

-- The highest ce_sequence that a group has handled; moves in the transaction of the effects.
CREATE TABLE consumer_sequences (
    consumer_group text    NOT NULL,
    topic          text    NOT NULL,      -- bare
    partition      integer NOT NULL,
    source         text    NOT NULL,      -- ce_source
    highest        bigint  NOT NULL,
    PRIMARY KEY (consumer_group, topic, partition, source)
);
GRANT SELECT, INSERT, UPDATE ON consumer_sequences TO :"service_role";
