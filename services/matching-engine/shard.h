/* shard.h -- one partition of orders.accepted.v1: a thread that owns its markets' state and its transactional producer.
 *
 * Life: the thread fences its predecessor, reads the committed offset, loads the newest snapshot that is not past it,
 * and is ready. Then it consumes its partition's queue: up to the committed offset muted (that was published before),
 * from there on live: what is waiting is one batch, applied, encoded and committed in one Kafka transaction. Between
 * batches its state is exactly the committed one; that is when queries are answered and snapshots taken.
 *
 * A batch that was not committed leaves the state ahead of the log: the shard then ends without a snapshot. */
#pragma once

#include "engine_core.h"

#include <event_bus/kafka.h>

enum { SHARD_BATCH_MAX = 1000 };

struct shard_options {
    const struct kafka_options *kafka;
    rd_kafka_t *consumer; /* the group member; owned by the caller */
    const char *topic;    /* bare */
    const char *cluster_id;
    const char *data_directory;
    uint32_t orders_max, pages_max;
    uint16_t markets_max;
    uint64_t snapshot_every;                              /* commands; also taken when the shard stops */
    void (*failed)(void *context, const struct error *e); /* the shard's thread has ended by itself */
    void *context;
};

struct shard;

/* Starts the thread. Before the partition is assigned: its messages go to this shard's queue from then on. Options and
 * what they point to outlive the shard. Errors: TRANSIENT (no thread), FATAL. */
MUST_CHECK bool shard_start(
    const struct shard_options *options, int32_t partition, struct shard **ret_shard, struct error *e);

/* Waits until the shard can take messages, and tells from which offset. Errors: the reason why it cannot. */
MUST_CHECK bool shard_wait_ready(struct shard *shard, int64_t *ret_start_offset, struct error *e);

void shard_stop(
    struct shard *shard); /* any thread; returns at once: the batch at hand is finished, then a snapshot taken */
void shard_free(struct shard *shard); /* stops, waits for the thread; NULL is fine */
DEFINE_CLEANUP(struct shard *, shard_free)

int32_t shard_partition(const struct shard *shard);

/* Runs ask(engine, context) in the shard's thread on the committed state. Errors: TRANSIENT (not caught up yet, busy,
 * stopping); what `ask` set. */
typedef bool (*shard_question)(const struct engine *engine, void *context, struct error *e);
MUST_CHECK bool shard_query(
    struct shard *shard, shard_question ask, void *context, uint32_t timeout_ms, struct error *e);

/* Microseconds since the shard last came round its loop. */
int64_t shard_silence_us(const struct shard *shard);
