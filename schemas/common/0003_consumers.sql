-- Consumers that know their log again, events parked behind a dead letter, and outbox_write() as strict as the C library.
-- psql variables: service_role, relay_role.

-- A sign of the log a position was taken in: the record handled last. A topic that was deleted and made again has another one there.
ALTER TABLE consumer_positions ADD COLUMN last_offset bigint, ADD COLUMN last_digest bigint;

-- As its namesake with five arguments, and remembers the records handled last; NULL keeps what is there.
CREATE FUNCTION consumer_positions_advance(p_group text, p_topics text[], p_partitions integer[], p_expected bigint[], p_next bigint[],
    p_last_offsets bigint[], p_last_digests bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    UPDATE consumer_positions AS c
       SET next_offset = n.next, last_offset = coalesce(n.last_offset, c.last_offset),
           last_digest = CASE WHEN n.last_offset IS NULL THEN c.last_digest ELSE n.last_digest END, updated_at = now()
      FROM unnest(p_topics, p_partitions, p_expected, p_next, p_last_offsets, p_last_digests)
           AS n(topic, partition, expected, next, last_offset, last_digest)
     WHERE c.consumer_group = p_group AND c.topic = n.topic AND c.partition = n.partition AND c.next_offset = n.expected;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(p_topics) THEN
        RAISE EXCEPTION 'consumer % lost a partition: % of % positions moved', p_group, moved, cardinality(p_topics)
            USING ERRCODE = 'EB001';
    END IF;
END
$$;

-- Dead letters of consumers whose events depend on their order, and the later events of their keys, which wait behind them.
-- The first row of a key is a dead letter; it goes on by parked_retry(), or by parked_drop(), which gives it up.
CREATE TABLE parked_events (
    consumer_group text    NOT NULL,
    topic          text    NOT NULL,      -- bare
    partition      integer NOT NULL,
    log_offset     bigint  NOT NULL,
    key            bytea,                 -- NULL: nothing waits behind it
    ce_id          text    NOT NULL,
    source         text    NOT NULL,
    type           text    NOT NULL,
    subject        text    NOT NULL,
    traceparent    text    NOT NULL,
    time_us        bigint  NOT NULL,
    value          bytea,
    flaw           text,                  -- its headers cannot be read: it can only be dropped
    reason         text,                  -- why it was refused; NULL: it waits behind an earlier one
    retry_at       timestamptz,           -- someone wants it tried again
    attempts       integer NOT NULL DEFAULT 0,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition, log_offset)
);
CREATE INDEX parked_events_key ON parked_events (consumer_group, topic, partition, key, log_offset);

-- The consumer tries the dead letter again, and after it, in order, what waits behind it. NULL offset: all of the partition; NULL
-- partition: all of the topic. Returns how many.
CREATE FUNCTION parked_retry(p_group text, p_topic text, p_partition integer DEFAULT NULL, p_offset bigint DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
    WITH chosen AS (
        UPDATE parked_events SET retry_at = now()
         WHERE consumer_group = p_group AND topic = p_topic AND reason IS NOT NULL AND flaw IS NULL
           AND partition = coalesce(p_partition, partition) AND log_offset = coalesce(p_offset, log_offset)
        RETURNING 1)
    SELECT count(*) FROM chosen
$$;

-- Gives a dead letter up; what waits behind it goes on. Returns how many (0: it is not there).
CREATE FUNCTION parked_drop(p_group text, p_topic text, p_partition integer, p_offset bigint)
RETURNS bigint LANGUAGE sql AS $$
    WITH chosen AS (
        DELETE FROM parked_events
         WHERE consumer_group = p_group AND topic = p_topic AND partition = p_partition AND log_offset = p_offset AND reason IS NOT NULL
        RETURNING 1)
    SELECT count(*) FROM chosen
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON parked_events TO :"service_role";

-- One call from any language, inside the caller's transaction. Returns the outbox id. Refuses what no relay could publish; what is
-- merely untidy it mends as the C library does: a malformed traceparent is dropped, control characters in headers become '?'.
DROP FUNCTION outbox_write(text, text, text, bytea, text);
CREATE FUNCTION outbox_write(
    p_topic text, p_key text, p_type text, p_payload bytea, p_traceparent text DEFAULT NULL, p_headers text[] DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    trace CONSTANT text := '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}';
    new_id bigint;
BEGIN
    IF p_topic IS NULL OR p_topic !~ '^[a-zA-Z0-9._-]{1,249}$' THEN
        RAISE EXCEPTION 'outbox_write: "%" is not a topic name', p_topic USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_type IS NULL OR p_type = '' OR octet_length(p_type) > 127 OR p_type ~ '[\x01-\x1f\x7f]' THEN
        RAISE EXCEPTION 'outbox_write: the type is empty, longer than 127 bytes or not printable'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_payload IS NULL THEN
        RAISE EXCEPTION 'outbox_write: the payload is NULL' USING ERRCODE = 'null_value_not_allowed';
    ELSIF array_ndims(p_headers) > 1 OR cardinality(p_headers) % 2 = 1 OR array_position(p_headers, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'outbox_write: headers are name, value, name, value, without NULL'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_traceparent ~ (trace || '$') OR p_traceparent ~ (trace || '-') AND p_traceparent !~ '^00' THEN
        p_traceparent := '00' || substr(p_traceparent, 3, 51)
                         || CASE WHEN substr(p_traceparent, 55, 1) IN ('1', '3', '5', '7', '9', 'b', 'd', 'f') THEN '01' ELSE '00' END;
    ELSE
        p_traceparent := NULL;
    END IF;
    INSERT INTO outbox (topic, key, type, payload, traceparent, headers)
    VALUES (p_topic, convert_to(p_key, 'UTF8'), p_type, p_payload, p_traceparent,
            (SELECT array_agg(regexp_replace(header, '[\x01-\x1f\x7f]', '?', 'g') ORDER BY nth)
               FROM unnest(p_headers) WITH ORDINALITY AS h(header, nth)))
    RETURNING id INTO new_id;
    RETURN new_id;
END
$$;
