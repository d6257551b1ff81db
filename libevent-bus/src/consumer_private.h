/* consumer_private.h -- the consumer's rooms: consumer.c (life cycle, group, fetching), consumer_discover.c (a plain
 * consumer's partitions), consumer_position.c (where each partition stands), consumer_batch.c (one batch in one
 * transaction, and what to do when it fails), consumer_delay.c (a partition that fails waits by itself),
 * consumer_parked.c (events behind a dead letter), consumer_sequence.c (repeats), consumer_publish.c (into Kafka),
 * dead_letter.c. All run on the thread that calls consumer_poll(); only the atomics and what is under a lock are
 * touched by others. */
#pragma once

#include <event_bus/consumer.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
    BATCH_DEFAULT = 500,
    BATCH_MAX = 10000,
    TOPICS_MAX = 32,
    PARTITIONS_MAX = 4096,
    CONFLICT_RETRIES_MAX = 3, /* a lost race is tried again before the event is taken for the culprit */
    KAFKA_QUERY_MS = 5000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 10000,
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

    /* The record handled last is read once more on assignment, and must be the same one. */
    int64_t last_offset, last_digest; /* -1: not known */
    int64_t attempted_last, attempted_digest;
    bool checking;  /* fetching begins at last_offset, which is compared and thrown away */
    bool unchecked; /* last_offset is no longer in the log: nothing to compare */

    /* Failing for a passing reason */
    uint32_t failures;        /* in a row; 0: it is well */
    int64_t failing_since_us; /* monotonic */
    int64_t delayed_until_us; /* monotonic; 0: not delayed. Paused until then */
    size_t attempt_max;       /* while it fails: shrinks until the culprit stands alone */

    int64_t behind_since_us; /* Kafka's time of the oldest event known not to be handled, or handled last; 0: none */

    struct sequence *sequences; /* by source: drop_repeats */
    size_t sequence_count;
};

struct item {
    rd_kafka_message_t *message;
    struct partition *partition;
    struct trace trace; /* begun here if it came without one */
    struct error
        dead; /* kind not NONE: to be a dead letter, without the handler: it was refused in an earlier attempt */
};

struct batch {
    struct item *items;
    struct delivery *deliveries; /* of the attempt in hand, without those that do not reach the handler */
    size_t *origins;             /* of each delivery: index of its item */
    size_t count, done;          /* items held; of these handled */
    size_t attempt;              /* items of the attempt in hand */
    size_t attempt_max;          /* items of the next attempt: shrinks until a culprit stands alone */
    bool unverified;             /* an attempt has failed: the rows tell what became of it */
    bool commit_unknown;         /* one of the failed attempts may have been committed */
    bool isolating;              /* each attempt is of one partition: items are sorted by it */
    bool again;                  /* the attempt was given up for a better one: no failure */
    struct error passing;        /* kind not NONE: the reason of the attempt that failed last, which may pass */
    uint32_t conflicts;
    uint64_t dead_letters; /* of the attempt in hand */
};

struct consumer {
    const struct consumer_options *options;
    size_t topic_count;
    char (*topic_names)[KAFKA_TOPIC_MAX]; /* with the prefix */
    size_t batch_max;
    rd_kafka_t *rk;
    bool drop_repeats;
    bool grouped; /* not plain: into Postgres (pg) or into Kafka (producer) */
    struct pg *pg;
    rd_kafka_t *producer;
    bool encoded; /* into Kafka: the outbox holds what the attempt in hand publishes, since encoded_us */
    int64_t encoded_us;
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
    uint32_t delayed;    /* partitions */

    /* ordered */
    bool parked;                 /* something may be parked in the partitions assigned */
    int64_t parked_look_us;      /* when to look whether something is due (monotonic) */
    struct parked_rows *parking; /* events to be parked by the attempt in hand */

    pthread_mutex_t lock;
    struct consumer_partition_stats *published; /* under lock; as many as published_count */
    size_t published_count;

    atomic_bool stopping;
    atomic_uint_least64_t events, batches, dead_letters, retries;
    atomic_int_least64_t lag, last_progress_us, parked_count;
    atomic_uint_least32_t assigned, missing_topics;
};

/* ---- consumer.c ---- */
void consumer_tell_error(struct consumer *consumer, const struct error *e);
void consumer_say(struct consumer *consumer, const char *fmt, ...) PRINTF(2, 3);
void consumer_hold(struct consumer *consumer);    /* READING → HOLDING */
void consumer_release(struct consumer *consumer); /* HOLDING → READING */
int64_t consumer_backoff_us(uint32_t attempt);
void consumer_destroy_handle(rd_kafka_t *rk); /* within 5 s */

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
/* Queues the statement that fails, and dooms the transaction, if the partition is not ours any more. */
MUST_CHECK bool position_fence(struct consumer *consumer, struct partition *partition, struct error *e);
/* Of what was fetched: true if it is the record that was handled last, read again and found the same; to be thrown
 * away. Another one sets consumer->fatal. */
bool position_recheck(struct consumer *consumer, struct partition *partition, const rd_kafka_message_t *message);
void position_recheck_end(struct consumer *consumer, struct partition *partition, int64_t end_offset);
int64_t position_digest(const rd_kafka_message_t *message);
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

/* ---- consumer_delay.c ---- */
/* What the attempt in hand met may pass, and the database answers: from now on each partition is tried by itself. If it
 * was by itself already, it waits, paused, while the others go on. true: try again at once. */
bool delay_failed(struct consumer *consumer, struct error *e);
void delay_isolate(struct consumer *consumer);   /* sorts the batch, failing partitions last */
void delay_succeeded(struct consumer *consumer); /* the attempt in hand was committed */
void delay_reset(struct consumer *consumer, struct partition *partition);
MUST_CHECK bool delay_resume(struct consumer *consumer, struct error *e); /* partitions whose time has come */
void delay_pause_again(struct consumer *consumer);                        /* after an assign call, which resumes all */

/* ---- consumer_publish.c ---- */
/* Fences whoever has the same transactional id: what that one had not committed is aborted when this returns. */
MUST_CHECK bool publish_open(struct consumer *consumer, struct error *e);
void publish_close(struct consumer *consumer);
/* Commits the outbox and the offsets of the attempt in hand, or aborts. Errors: TRANSIENT: to be tried again as it is;
 * INVALID: an event cannot be published; FATAL: fenced. */
MUST_CHECK bool publish_batch(struct consumer *consumer, struct error *e);
MUST_CHECK bool publish_positions(struct consumer *consumer, struct error *e);

/* ---- consumer_parked.c ---- */
void parked_free(struct parked_rows *parking);
DEFINE_CLEANUP(struct parked_rows *, parked_free)
/* Begins an attempt: which of its items wait because of what is parked already. */
MUST_CHECK bool parked_begin(struct consumer *consumer, struct error *e);
/* Whether the item must wait; then it was added to what will be parked. */
bool parked_waits(struct consumer *consumer, size_t item, const struct event *event, const struct error *flaw);
/* A dead letter of the attempt in hand: the later events of its key wait. flaw: its headers cannot be read. */
void parked_add(struct consumer *consumer, const struct event *event, const struct error *reason, bool flaw);
MUST_CHECK bool parked_write(struct consumer *consumer, struct error *e);
void parked_committed(struct consumer *consumer);
/* Handles what is due among the parked, some events at most. Transient failures are told and left for later. */
MUST_CHECK bool parked_retry(struct consumer *consumer, struct error *e);

/* ---- consumer_sequence.c: all do nothing unless drop_repeats ---- */
MUST_CHECK bool sequence_load(struct consumer *consumer, struct error *e);
void sequence_begin(struct consumer *consumer); /* an attempt */
/* Whether the event was handled before; if not, it counts as handled by the attempt in hand. */
bool sequence_repeats(struct consumer *consumer, const struct item *item, const struct event *event);
MUST_CHECK bool sequence_write(struct consumer *consumer, struct error *e); /* queues the statement */
void sequence_committed(struct consumer *consumer);
void sequence_free(struct consumer *consumer);

/* ---- dead_letter.c ---- */
void dead_letter(struct consumer *consumer, const struct event *event, const struct error *reason);
