/* consumer.h -- batches of events, from Kafka into Postgres or back into Kafka exactly once, or plain.
 *
 * Into Postgres: the position (next offset) of each partition is a row of consumer_positions in the handler's own
 * database and moves in the same transaction as the effects, by a compare-and-set: whoever lost the partition cannot
 * write. On assignment the consumer seeks to that row; without a row it starts at the beginning. Kafka's committed
 * offsets are not used, except as a copy for lag tools. Only committed records of Kafka transactions are seen. An event
 * that came without a traceparent begins a trace here: its handler sees a fresh one, so that what it causes can be
 * joined to it.
 *
 * Into Kafka (transactional_id): what the handler puts into its outbox is published by the consumer itself, in one
 * Kafka transaction with the offsets of the inputs. Readers that see only committed records see each effect once. An
 * aborted transaction is sent again byte by byte without asking the handler. A member that has lost its partitions is
 * found out by its group's generation and drops its batch; one whose transactional id another one has taken is fenced:
 * FATAL. The ids of what is published tell the input: `<group>-<topic>-<partition>-<offset of the batch>-<n>`. Kafka
 * forgets the offsets of a group that was empty for offsets.retention.minutes (a week): what has to survive longer goes
 * into Postgres.
 *
 * Plain (neither): every consumer reads all partitions of its topics by itself, whatever its group is called, and keeps
 * its position in memory only; so two processes each see everything, and a new one waits for no other. Topics and
 * partitions that appear while it runs are found within 10 s (1 s for a topic that was missing) and read from their
 * beginning.
 *
 * A loop of its own: consumer_run() blocks the calling thread until consumer_stop(). Transient errors are retried with
 * jittered back-off from 100 ms to 10 s. Into Postgres, while the database answers, each partition waits by itself: it
 * is paused, and the others go on (see retry_max_ms). FATAL ends the run: among others a position that is no longer in
 * the log, or that was taken on another Kafka cluster or on a topic that was deleted and made again; the latter is
 * noticed by the record handled last, which is read once more on assignment and has to be the same.
 *
 * Rebalances are eager (range): all partitions change hands at once. A batch in hand is dropped; its position is in the
 * rows, so whoever is assigned the partition next handles it, once. */
#pragma once

#include "event.h"
#include "kafka.h"
#include "outbox.h"
#include "pg.h"

struct consumer;

/* One event of a batch. A handler that cannot accept it (malformed, breaks a rule of the contract) sets `verdict` by
 * error_set() or error_field(): kind INVALID or REFUSED sends the event to `<topic>.<group>.dead` through the outbox of
 * the same transaction, with headers dlq_reason, dlq_field, dlq_kind, dlq_topic, dlq_partition, dlq_offset, dlq_group,
 * dlq_ce_id, dlq_ce_source, and dlq_parked if it is kept in parked_events too. An event whose headers are malformed
 * goes there without reaching the handler. A plain consumer only tells on_error and goes on. A verdict of kind
 * TRANSIENT or FATAL fails the whole batch. */
struct delivery {
    struct event event;
    struct error verdict;
};

/* Handles `count` deliveries, in order per partition, inside an open transaction on pg (pg is NULL into Kafka; pg
 * and outbox are in a plain consumer). true: the consumer writes outbox, positions and commits. false: all is rolled
 * back; TRANSIENT is retried as it is, FATAL ends consumer_run(), CONFLICT (a lost race) is retried a few times; that
 * and all others are retried in halves until the culprit stands alone, which is dead-lettered. The handler may be
 * called again with the same deliveries: state outside the transaction must not be touched before `committed` is
 * called. */
typedef bool (*consumer_handler)(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e);

struct consumer_options {
    struct kafka_options kafka;
    const char *group;         /* bare; also names the rows in consumer_positions. Plain consumer: only a name */
    const char *const *topics; /* bare names, NULL-terminated */
    consumer_handler handle;
    void (*committed)(void *context); /* optional: the batch last handled is durable */
    void *context;
    const struct pg_options *pg;  /* NULL: into Kafka, or plain: no group, no transaction; position only in memory */
    const char *transactional_id; /* into Kafka: bare; of this member alone and the same at each start */
    const char *source;           /* into Kafka: ce_source of what is published */
    bool from_end;                /* plain consumer: start at the end instead of the beginning */
    /* Plain consumer: start this far before the end of each partition; 0: see from_end. Counted in offsets, of which
     * transaction markers take some and compaction leaves gaps: at most so many events. */
    uint32_t tail;
    uint32_t batch_max; /* events; 0: 500 */
    /* Into Postgres: events of a key depend on each other. The later events of a dead letter's key are parked behind
     * it, in table parked_events and in the same transaction, until parked_retry() or parked_drop() is called in SQL
     * (or `penstock dlq retry`); then they are handled in order, before any newer one. Without it they go on. */
    bool ordered;
    /* Into Postgres: an event that fails for a passing reason for longer than this ends the run, or becomes a dead
     * letter. 0: it is tried for ever. The database being away does not count. */
    uint32_t retry_max_ms;
    enum consumer_gives_up { CONSUMER_STOPS, CONSUMER_DEAD_LETTERS } retry_then;
    void (*on_error)(
        void *context, const struct error *e); /* optional: told of each retried error and dead letter; for logs */
    void (*on_state)(void *context, const char *line); /* optional: assignment, seek, stop; for logs */
};

struct consumer_stats {
    uint64_t events, batches, dead_letters, retries;
    int64_t lag; /* events not yet handled over all assigned partitions, as of the last fetch; -1 unknown */
    int64_t last_progress_us; /* now_us() when a batch was last handled, or the end was last reached */
    uint32_t assigned;        /* partitions */
    uint32_t missing_topics;  /* plain consumer: not found (yet); it goes on looking */
    int64_t parked;           /* events parked in its partitions, as of the last look (1 s) */
};

struct consumer_partition_stats {
    const char *topic; /* bare; as long as the options' */
    int32_t partition;
    int64_t lag;       /* events not yet handled; -1 unknown */
    int64_t lag_us;    /* how long the oldest of them has been in Kafka, as far as is known; 0 at the end */
    uint32_t failures; /* in a row, for a passing reason; it waits by itself meanwhile */
};

/* Options and what they point to must outlive the consumer. Errors: INVALID (setting named), FATAL, TRANSIENT
 * (database). */
EB_API MUST_CHECK bool consumer_open(
    const struct consumer_options *options, struct consumer **ret_consumer, struct error *e);
EB_API void consumer_free(struct consumer *consumer); /* after consumer_run() has returned; NULL is fine */
DEFINE_CLEANUP(struct consumer *, consumer_free)

/* To be called before the first poll, where a relay publishes without Kafka's transactions (GUARANTEE=idempotent): an
 * event whose ce_sequence is not above the highest of its partition and ce_source is a repeat, and is passed over. Into
 * Postgres the highest is a row of consumer_sequences, in the transaction of the effects; a plain consumer has it in
 * memory, where its position is. Not asked of others: whoever else writes ce_sequence may count as he likes. Errors:
 * INVALID (into Kafka: there is no place to keep it). */
EB_API MUST_CHECK bool consumer_drop_repeats(struct consumer *consumer, struct error *e);

/* true after consumer_stop(); false with *e FATAL. */
EB_API MUST_CHECK bool consumer_run(struct consumer *consumer, struct error *e);
EB_API void consumer_stop(struct consumer *consumer); /* any thread, any time, signal handlers too */
EB_API void consumer_get_stats(const struct consumer *consumer, struct consumer_stats *ret); /* any thread */
/* Of the partitions assigned, as of the last fetch; at most max. Returns how many there are. Any thread. */
EB_API size_t consumer_get_partitions(struct consumer *consumer, struct consumer_partition_stats *ret, size_t max);

/* Plain consumers and tests: handles one batch, waiting up to timeout_ms for the first event. *ret_count may be 0.
 * After ERROR_TRANSIENT the next call tries the same batch again; a consumer into Postgres must be polled often
 * enough (60 s) to stay in its group. */
EB_API MUST_CHECK bool consumer_poll(
    struct consumer *consumer, uint32_t timeout_ms, size_t *ret_count, struct error *e);
