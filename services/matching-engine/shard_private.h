/* shard_private.h -- what the files of a shard share: shard.c (its life, roles and queries), shard_batch.c (owning),
 * shard_follow.c (following). */
#pragma once

#include "outputs.h"
#include "publisher.h"
#include "shard.h"
#include "snapshot.h"

#include <pthread.h>

enum { SHARD_IDLE_WAIT_MS = 100 };

/* A query waits here for the thread to come round. */
struct question {
    shard_question ask; /* NULL: none */
    void *context;
    struct error *error;
    bool taken, answered, result;
};

/* Where an owner's time goes. Decode: headers and value; encode: the events; produce: handing them to librdkafka;
 * commit: waiting for Kafka. */
enum shard_stage { STAGE_DECODE, STAGE_MATCH, STAGE_ENCODE, STAGE_PRODUCE, STAGE_COMMIT, STAGES };

struct shard {
    struct shard_options options;
    int32_t partition;
    char topic[KAFKA_TOPIC_MAX]; /* full */
    pthread_t thread;
    rd_kafka_queue_t *queue;         /* of the group member */
    rd_kafka_queue_t *standby_queue; /* NULL: it only owns */
    atomic_bool stop;
    atomic_bool leave; /* an owner's: end owning after this batch; set with stop too */
    _Atomic int64_t progress_us;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    bool own; /* what it is to be */
    enum shard_role role;
    int64_t start_offset;
    struct error error; /* why it ended; kind NONE: it was stopped */
    struct question question;
    struct shard_status status;
    int64_t snapshot_at_us; /* monotonic; 0: none */

    /* The thread's own. */
    struct engine *engine; /* NULL: the state was dropped */
    struct outputs *outputs;
    struct arena *scratch;
    struct publisher *publisher; /* an owner's */
    int64_t next_offset;         /* the state includes all before it */
    int64_t committed_offset;    /* what is before it was published by us or others */
    bool warm;
    uint64_t commands_since_snapshot;
    struct snapshot_child *snapshot;     /* under way, or NULL */
    struct outputs_stats counted;        /* in the metrics already */
    uint64_t applied, stages_ns[STAGES]; /* the latter since the last commit */
    rd_kafka_message_t *messages[SHARD_BATCH_MAX];
    size_t messages_count, messages_done;
};

/* shard.c */
void shard_come_round(struct shard *shard); /* once a loop: queries, status, progress */
void shard_set_role(struct shard *shard, enum shard_role role, const struct error *e);
bool shard_is_to_own(struct shard *shard);

/* shard_batch.c */
MUST_CHECK bool shard_load(struct shard *shard, int64_t committed_offset, struct error *e);
void shard_drop_state(struct shard *shard);
void shard_drop_messages(struct shard *shard);
/* What is waiting in the queue, at most a batch; waits for the first message only. Nothing while some are not done. */
void shard_fetch(struct shard *shard, rd_kafka_queue_t *queue, int timeout_ms);
/* Applies messages before end_offset until all are done or the transaction is large enough. *ret_live: how many are not
 * a replay. */
MUST_CHECK bool shard_apply(struct shard *shard, int64_t end_offset, size_t *ret_live, struct error *e);
/* The owner's life, until it is to leave. false: it failed; TRANSIENT with `leave` set: the state may be ahead. */
MUST_CHECK bool shard_run_owner(struct shard *shard, struct error *e);

/* shard_follow.c */
/* The follower's life, until it is to own or to stop. */
MUST_CHECK bool shard_run_follower(struct shard *shard, struct error *e);
