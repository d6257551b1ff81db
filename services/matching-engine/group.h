/* group.h -- the engine's place in the consumer group: which partitions are its own, and a shard for each. With a
 * standby there is a shard for every partition of the topic: those that others own are followed. */
#pragma once

#include "shard.h"

enum { GROUP_PARTITIONS_MAX = 256 };

struct group;

struct group_options {
    const struct kafka_options *kafka;
    const char *data_directory;
    uint32_t orders_max, pages_max; /* a shard */
    uint16_t markets_max;
    uint64_t snapshot_every;
    bool standby; /* follow what others own, and join the group once warm */
    uint32_t session_timeout_ms;
    uint32_t stuck_after_ms; /* a shard that is silent for longer is unhealthy */
};

/* Errors: INVALID (a setting), FATAL. Options and what they point to outlive the group. */
MUST_CHECK bool group_open(const struct group_options *options, struct group **ret_group, struct error *e);
void group_free(struct group *group); /* after group_run(); NULL is fine */
DEFINE_CLEANUP(struct group *, group_free)

/* Takes part until stopping(context), then leaves: shards finish their batch and take a snapshot. false: a shard or the
 * group failed; what is committed is whole, the process may be started again. */
MUST_CHECK bool group_run(
    struct group *group, bool (*stopping)(const void *context), const void *context, struct error *e);

/* Asks the shard that has the market. Any thread. Errors: NOT_FOUND (no such market here), TRANSIENT, those of `ask`.
 */
typedef bool (*market_question)(const struct engine *engine, uint16_t market, void *context, struct error *e);
MUST_CHECK bool group_ask_market(
    struct group *group, const char *symbol, market_question ask, void *context, struct error *e);

/* How each partition stands here, at most `max`. Any thread. */
size_t group_status(struct group *group, struct shard_status *ret_status, int32_t *ret_partitions, size_t max);

/* false: a shard is stuck; the reason names it. Any thread. */
bool group_healthy(struct group *group, char *ret_reason, size_t size);
