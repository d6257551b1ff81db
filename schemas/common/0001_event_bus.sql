-- What every service database has: outbox, inbox, consumer_positions.
-- psql variables: service_role (reads and writes), relay_role (publishes and cleans the outbox).

-- Events to publish. Inserted in the transaction of the change; read by outbox-relay, which deletes what it has published.
-- Ids are taken one by one (CACHE 1), after the transaction's locks: concurrent transactions are ordered by it.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    xid         xid8        NOT NULL DEFAULT pg_current_xact_id(),
    topic       text        NOT NULL CHECK (topic <> ''),   -- bare: the prefix is added at Kafka's edge
    key         bytea,
    type        text        NOT NULL CHECK (type <> ''),    -- ce_type
    payload     bytea       NOT NULL,
    traceparent text,
    headers     text[],                                     -- name, value, name, value, …
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One call from any language, inside the caller's transaction. Returns the outbox id.
CREATE FUNCTION outbox_write(p_topic text, p_key text, p_type text, p_payload bytea, p_traceparent text DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO outbox (topic, key, type, payload, traceparent)
    VALUES (p_topic, convert_to(p_key, 'UTF8'), p_type, p_payload, p_traceparent)
    RETURNING id
$$;

-- Requests that had an effect, and the answer given: a repeated request gets the same answer and no second effect.
-- source: 'event:<ce_source>' of a Kafka request, 'user:<id>' of an HTTP one; id: ce_id, or the Idempotency-Key.
CREATE TABLE inbox (
    source     text        NOT NULL,
    id         text        NOT NULL,
    digest     bytea       NOT NULL,      -- SHA-256 of what was asked: another body under the same key is refused
    status     integer     NOT NULL,      -- HTTP status of the answer
    reply      bytea,                     -- its body
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, id)
);

-- Where each consumer stands; moves in the transaction of the effects.
CREATE TABLE consumer_positions (
    consumer_group text    NOT NULL,
    topic          text    NOT NULL,      -- bare
    partition      integer NOT NULL,
    next_offset    bigint  NOT NULL,
    cluster_id     text    NOT NULL,      -- of the Kafka cluster; another cluster under the same name is noticed
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition)
);

-- Moves positions from what the caller believes to what it has handled, all or none. A row that is not where the caller
-- believes raises EB001: someone else has the partition.
CREATE FUNCTION consumer_positions_advance(
    p_group text, p_topics text[], p_partitions integer[], p_expected bigint[], p_next bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    UPDATE consumer_positions AS c
       SET next_offset = n.next, updated_at = now()
      FROM unnest(p_topics, p_partitions, p_expected, p_next) AS n(topic, partition, expected, next)
     WHERE c.consumer_group = p_group AND c.topic = n.topic AND c.partition = n.partition AND c.next_offset = n.expected;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(p_topics) THEN
        RAISE EXCEPTION 'consumer % lost a partition: % of % positions moved', p_group, moved, cardinality(p_topics)
            USING ERRCODE = 'EB001';
    END IF;
END
$$;

GRANT SELECT, INSERT, UPDATE ON inbox, consumer_positions TO :"service_role";
GRANT DELETE ON inbox TO :"service_role";
GRANT INSERT, SELECT ON outbox TO :"service_role";
GRANT SELECT, DELETE ON outbox TO :"relay_role";
