/* consumer_private.h -- the consumer's rooms: consumer.c (life cycle, group, fetching), consumer_discover.c (a plain
 * consumer's partitions), consumer_position.c (where each partition stands), consumer_batch.c (one batch in one
 * transaction, and what to do when it fails), dead_letter.c. All run on the thread that calls consumer_poll(); only the
 * atomics are touched by others. */
#pragma once

#include <event_bus/consumer.h>

#include <stdatomic.h>

enum {
    BATCH_DEFAULT = 500,
    BATCH_MAX = 10000,
    TOPICS_MAX = 32,
    PARTITIONS_MAX = 4096,
    CONFLICT_RETRIES_MAX = 3, /* a lost race is tried again before the event is taken for the culprit */
    KAFKA_QUERY_MS = 5000,
};

/* Where the consumer is in the life of an assignment. */
enum consumer_state {
    UNASSIGNED,  /* nothing to read */
    POSITIONING, /* partitions are known, where to begin is not: rows have to be read (again) */
    READING,
    HOLDING, /* a batch has failed and is kept; its partitions are paused, so that polling Kafka gives no more events */
};

struct partition {
    size_t topic; /* index of options->topics */
    int32_t number;
    bool assigned;
    bool late;           /* plain: appeared while we ran, so nothing of it is history: read from its beginning */
    bool at_end;         /* the end was reached and nothing came since */
    int64_t next_offset; /* first not handled: what the row says; -1: not known */
    int64_t attempted;   /* what the attempt in hand moves it to; -1: not touched by it */
};

struct batch {
    rd_kafka_message_t **messages;
    struct partition **partitions; /* of each message */
    struct trace *traces;          /* of each message: begun here if it came without one */
    struct delivery *deliveries;   /* of the attempt in hand, without the malformed */
    size_t count, done;            /* messages held; of these handled */
    size_t attempt;                /* messages of the attempt in hand */
    size_t attempt_max;            /* messages of the next attempt: shrinks until a culprit stands alone */
    bool unverified;               /* an attempt has failed: the rows tell what became of it */
    bool commit_unknown;           /* one of the failed attempts may have been committed */
    uint32_t conflicts;
    struct error culprit;  /* kind not NONE: the next event is a dead letter for this reason, without the handler */
    uint64_t dead_letters; /* of the attempt in hand */
};

struct consumer {
    const struct consumer_options *options;
    size_t topic_count;
    char (*topic_names)[KAFKA_TOPIC_MAX]; /* with the prefix */
    size_t batch_max;
    rd_kafka_t *rk;
    struct pg *pg; /* NULL: plain */
    struct outbox *outbox;
    struct arena *arena; /* lives for one poll */
    enum consumer_state state;
    struct partition *partition_table; /* all ever assigned; a plain consumer's positions are nowhere else */
    size_t partition_count, last_found;
    struct batch batch;
    bool reread;         /* an event had to be thrown away: seek once the batch is done */
    struct error fatal;  /* kind not NONE: met in a callback */
    int64_t copied_us;   /* when positions were last copied to Kafka */
    int64_t discover_us; /* plain: when to look for partitions again (monotonic) */
    bool discovered;     /* plain: it has been looked once */

    atomic_bool stopping;
    atomic_uint_least64_t events, batches, dead_letters, retries;
    atomic_int_least64_t lag, last_progress_us;
    atomic_uint_least32_t assigned, missing_topics;
};

/* ---- consumer.c ---- */
void consumer_tell_error(struct consumer *consumer, const struct error *e);
void consumer_say(struct consumer *consumer, const char *fmt, ...) PRINTF(2, 3);
void consumer_hold(struct consumer *consumer);    /* READING → HOLDING */
void consumer_release(struct consumer *consumer); /* HOLDING → READING */

/* ---- consumer_discover.c ---- */
/* Plain: looks for topics and partitions when it is time to. New ones: → POSITIONING. No batch may be held. */
MUST_CHECK bool discover_partitions(struct consumer *consumer, struct error *e);

/* ---- consumer_position.c ---- */
struct partition *position_find(
    struct consumer *consumer, const char *topic_name, int32_t number);                       /* assigned; or NULL */
void position_assign(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list); /* list NULL: none */
/* Finds out where each assigned partition stands and starts fetching there. POSITIONING → READING. */
MUST_CHECK bool position_load(struct consumer *consumer, struct error *e);
/* Queues the statement that moves the partitions touched by the attempt in hand. */
MUST_CHECK bool position_advance(struct consumer *consumer, struct error *e);
void position_advanced(struct consumer *consumer); /* … and it was committed */
enum position_verdict { POSITION_UNMOVED, POSITION_MOVED, POSITION_LOST };
/* Where the rows stand after a failed attempt: as before, where the attempt would have moved them, or elsewhere. */
MUST_CHECK bool position_verify(struct consumer *consumer, enum position_verdict *ret_verdict, struct error *e);
/* The assigned partitions with their next offsets: the caller's. */
rd_kafka_topic_partition_list_t *position_list(const struct consumer *consumer);

/* ---- consumer_batch.c ---- */
void batch_init(struct batch *batch, size_t max);
void batch_release(struct batch *batch);
void batch_add(struct batch *batch, rd_kafka_message_t *message, struct partition *partition); /* takes the message */
void batch_drop(struct consumer *consumer);
/* One attempt at what is held. *ret_count: events handled and durable; 0 if it failed and is to be tried again at once.
 */
MUST_CHECK bool batch_attempt(struct consumer *consumer, size_t *ret_count, struct error *e);

/* ---- dead_letter.c ---- */
void dead_letter(struct consumer *consumer, const struct event *event, const struct error *reason);
