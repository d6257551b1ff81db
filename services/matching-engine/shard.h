/* shard.h -- one partition of orders.accepted.v1: a thread that has its markets' state, and either owns it or follows.
 *
 * Owner. The thread fences its predecessor, reads the committed offset, takes the state it followed with (or the newest
 * snapshot that is not past that offset), and is ready. Then it consumes the group member's queue: up to the committed
 * offset muted (that was published before), from there on live: what is waiting is one batch, applied, encoded and
 * committed in one Kafka transaction. Between batches its state is exactly the committed one; that is when queries are
 * answered and snapshots begun.
 *
 * Follower (hot standby). The thread consumes a queue of its own and applies, muted, what the owner has committed,
 * never more: so its state too is always a committed one, and taking over is the little between.
 *
 * A batch that was not committed leaves the state ahead of the log: the state is then dropped. */
#pragma once

#include "engine_core.h"
#include "standby.h"

#include <event_bus/kafka.h>

enum { SHARD_BATCH_MAX = 4096 };

struct shard_options {
    const struct kafka_options *kafka;
    rd_kafka_t *consumer;    /* the group member; owned by the caller */
    struct standby *standby; /* NULL: the shard only owns */
    const char *topic;       /* bare */
    const char *cluster_id;
    const char *data_directory;
    uint32_t orders_max, pages_max;
    uint16_t markets_max;
    uint64_t snapshot_every;                              /* commands */
    void (*failed)(void *context, const struct error *e); /* the shard's thread has ended by itself */
    void *context;
};

struct shard;

/* Starts the thread: as a follower if there is a standby, else as the owner. Options and what they point to outlive the
 * shard. Errors: TRANSIENT (no thread), FATAL. */
MUST_CHECK bool shard_start(
    const struct shard_options *options, int32_t partition, struct shard **ret_shard, struct error *e);

/* Becomes the owner. Before the partition is assigned: its messages go to this shard's queue from then on. Nothing if
 * it is the owner. */
void shard_own(struct shard *shard);

/* Waits until the owner can take messages, and tells from which offset. Errors: the reason why it cannot. */
MUST_CHECK bool shard_wait_ready(struct shard *shard, int64_t *ret_start_offset, struct error *e);

/* Back to following: the batch at hand is finished, then nothing is written any more. Two steps, so that many shards do
 * it at the same time. */
void shard_yield(struct shard *shard);
void shard_wait_yielded(struct shard *shard);

/* Ends: the owner finishes its batch, then takes a snapshot. Any thread; returns at once. */
void shard_stop(struct shard *shard);
void shard_join(struct shard *shard); /* waits for that end; nothing the second time */
void shard_free(struct shard *shard); /* stops, waits for the thread; NULL is fine */
DEFINE_CLEANUP(struct shard *, shard_free)

int32_t shard_partition(const struct shard *shard);

/* Runs ask(engine, context) in the shard's thread on the committed state. Errors: TRANSIENT (not caught up yet, busy,
 * stopping); what `ask` set. */
typedef bool (*shard_question)(const struct engine *engine, void *context, struct error *e);
MUST_CHECK bool shard_query(
    struct shard *shard, shard_question ask, void *context, uint32_t timeout_ms, struct error *e);

enum shard_role { SHARD_PREPARING, SHARD_FOLLOWER, SHARD_OWNER, SHARD_ENDED };

struct shard_status {
    enum shard_role role;
    bool warm; /* the follower has all that was committed when it last looked */
    int64_t next_offset, committed_offset;
    uint32_t orders;
    int64_t snapshot_offset;   /* of the last one written here; 0: none */
    int64_t snapshot_age_us;   /* since then; 0: none */
    int64_t snapshot_pause_us; /* how long it stopped matching */
};
void shard_get_status(struct shard *shard, struct shard_status *ret_status);

/* Microseconds since the shard last came round its loop. */
int64_t shard_silence_us(const struct shard *shard);
