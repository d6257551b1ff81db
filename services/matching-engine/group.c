#include "group.h"

#include "log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOPIC "orders.accepted.v1"
#define GROUP "matching-engine"

enum {
    POLL_MS = 100,
    HEARTBEATS = 8, /* in a session: a member learns of a rebalance by its next one */
    WARM_POLL_US = 10000,
    RETRY_US = 1000000,
    QUERY_TIMEOUT_MS = 2000,
    CLUSTER_ID_TIMEOUT_MS = 10 * 1000,
};

struct group {
    struct group_options options;
    rd_kafka_t *consumer;
    struct standby *standby; /* NULL: partitions of others are not followed */
    char *cluster_id;
    struct shard_options shard_options;
    atomic_bool begun; /* which partitions there are to ask is known */

    pthread_rwlock_t lock; /* the list: written by the group's thread only */
    struct shard *shards[GROUP_PARTITIONS_MAX];
    size_t shards_count;

    pthread_mutex_t failure_lock;
    struct error failure; /* the first */
    atomic_bool failed;
};

static void fail(void *context, const struct error *e)
{
    struct group *group = context;

    pthread_mutex_lock(&group->failure_lock);
    if (group->failure.kind == ERROR_NONE)
        group->failure = *e;
    pthread_mutex_unlock(&group->failure_lock);
    atomic_store(&group->failed, true);
}

/* ---- Rebalance: called by rd_kafka_consumer_poll() and rd_kafka_consumer_close(), in the group's thread. ---- */

static bool know_cluster(struct group *group, struct error *e)
{
    if (group->cluster_id)
        return true;

    char *id = rd_kafka_clusterid(group->consumer, CLUSTER_ID_TIMEOUT_MS);

    if (!id)
        return error_set(e, ERROR_TRANSIENT, "Kafka does not tell its cluster id");
    group->cluster_id = xstrdup(id);
    group->shard_options.cluster_id = group->cluster_id;
    rd_kafka_mem_free(group->consumer, id);
    return true;
}

static void add_shard(struct group *group, struct shard *shard)
{
    pthread_rwlock_wrlock(&group->lock);
    group->shards[group->shards_count++] = shard;
    pthread_rwlock_unlock(&group->lock);
}

static struct shard *take_shard(struct group *group, int32_t partition)
{
    struct shard *taken = NULL;

    pthread_rwlock_wrlock(&group->lock);
    for (size_t i = 0; i < group->shards_count && !taken; i++)
        if (shard_partition(group->shards[i]) == partition) {
            taken = group->shards[i];
            group->shards[i] = group->shards[--group->shards_count];
        }
    pthread_rwlock_unlock(&group->lock);
    return taken;
}

static struct shard *find_shard(const struct group *group, int32_t partition)
{
    for (size_t i = 0; i < group->shards_count; i++)
        if (shard_partition(group->shards[i]) == partition)
            return group->shards[i];
    return NULL;
}

static bool start_shard(struct group *group, int32_t partition, struct error *e)
{
    struct shard *shard;

    if (group->shards_count == GROUP_PARTITIONS_MAX)
        return error_set(e, ERROR_FATAL, "more than %d partitions", GROUP_PARTITIONS_MAX);
    if (!shard_start(&group->shard_options, partition, &shard, e))
        return false;
    add_shard(group, shard);
    return true;
}

/* All shards prepare at the same time; each partition then starts where its shard's state ends. */
static bool assign(struct group *group, rd_kafka_topic_partition_list_t *partitions, struct error *e)
{
    if (!know_cluster(group, e))
        return false;
    for (int i = 0; i < partitions->cnt; i++) {
        struct shard *shard = find_shard(group, partitions->elems[i].partition);

        if (shard)
            shard_own(shard);
        else if (!start_shard(group, partitions->elems[i].partition, e))
            return false;
        else if (group->standby)
            shard_own(group->shards[group->shards_count - 1]);
    }
    for (int i = 0; i < partitions->cnt; i++)
        if (!shard_wait_ready(find_shard(group, partitions->elems[i].partition), &partitions->elems[i].offset, e))
            return false;
    atomic_store(&group->begun, true);
    rd_kafka_error_t *error = rd_kafka_incremental_assign(group->consumer, partitions);
    return !error || kafka_error_take(error, "assign", e);
}

/* With a standby the shards go back to following; else they end. All at once, then each is waited for. */
static void release(struct group *group, const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++) {
        struct shard *shard = find_shard(group, partitions->elems[i].partition);

        if (shard && group->standby)
            shard_yield(shard);
        else if (shard)
            shard_stop(shard);
    }
    for (int i = 0; i < partitions->cnt; i++) {
        struct shard *shard = find_shard(group, partitions->elems[i].partition);

        if (shard && group->standby)
            shard_wait_yielded(shard);
        else if (shard)
            shard_free(take_shard(group, partitions->elems[i].partition));
    }
}

static void unassign(struct group *group, rd_kafka_topic_partition_list_t *partitions)
{
    release(group, partitions);

    rd_kafka_error_t *error = rd_kafka_incremental_unassign(group->consumer, partitions);

    if (error) {
        struct error e;

        kafka_error_take(error, "unassign", &e);
        fail(group, &e);
    }
}

static void rebalance(
    rd_kafka_t *consumer, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct group *group = opaque;
    struct error e = { 0 };

    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        log_info("%d partitions assigned", partitions->cnt);
        if (!assign(group, partitions, &e)) {
            fail(group, &e);
            rd_kafka_assign(consumer, NULL); /* the member must answer; the process ends now */
        }
        return;
    }
    log_info("%d partitions %s", partitions->cnt, rd_kafka_assignment_lost(consumer) ? "lost" : "revoked");
    unassign(group, partitions);
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        kafka_error(code, "rebalance", &e);
        fail(group, &e);
    }
}

/* ---- Life ---- */

static bool make_consumer(struct group *group, struct error *e)
{
    char name[KAFKA_TOPIC_MAX], session_ms[16], heartbeat_ms[16], why[sizeof e->message];
    rd_kafka_conf_t *conf;

    if (!kafka_topic_name(group->options.kafka, GROUP, name, e) || !kafka_conf(group->options.kafka, &conf, e))
        return false;
    snprintf(session_ms, sizeof session_ms, "%u", group->options.session_timeout_ms);
    snprintf(heartbeat_ms, sizeof heartbeat_ms, "%u", group->options.session_timeout_ms / HEARTBEATS);

    const struct {
        const char *name, *value;
    } settings[] = {
        { "group.id", name },
        { "partition.assignment.strategy", "cooperative-sticky" },
        { "isolation.level", "read_committed" }, /* the relay publishes in transactions */
        { "enable.auto.commit", "false" },       /* offsets travel in the producer's transaction */
        { "enable.auto.offset.store", "false" },
        { "auto.offset.reset", "error" }, /* a hole in the log must not pass unnoticed */
        { "session.timeout.ms", session_ms },
        { "heartbeat.interval.ms", heartbeat_ms },
        { "fetch.wait.max.ms", "100" },
        { "queued.max.messages.kbytes", "65536" }, /* a second of the fastest log: see kafka_conf() */
        { "fetch.error.backoff.ms", "50" },
    };

    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (!kafka_conf_set(conf, settings[i].name, settings[i].value, e)) {
            rd_kafka_conf_destroy(conf);
            return false;
        }
    rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    rd_kafka_conf_set_opaque(conf, group);
    group->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (group->consumer) {
        rd_kafka_poll_set_consumer(group->consumer);
        return true;
    }
    rd_kafka_conf_destroy(conf);
    return error_set(e, ERROR_INVALID, "Kafka consumer: %s", why);
}

static bool subscribe(struct group *group, struct error *e)
{
    char topic[KAFKA_TOPIC_MAX];

    if (!kafka_topic_name(group->options.kafka, TOPIC, topic, e))
        return false;

    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(group->consumer, topics);

    rd_kafka_topic_partition_list_destroy(topics);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, "subscribe", e);
}

bool group_open(const struct group_options *options, struct group **ret_group, struct error *e)
{
    CLEANUP(group_free) struct group *group = xcalloc(1, sizeof *group);

    group->options = *options;
    pthread_rwlock_init(&group->lock, NULL);
    pthread_mutex_init(&group->failure_lock, NULL);
    if (!make_consumer(group, e))
        return false;
    group->shard_options = (struct shard_options){
        .kafka = options->kafka,
        .consumer = group->consumer,
        .topic = TOPIC,
        .data_directory = options->data_directory,
        .orders_max = options->orders_max,
        .pages_max = options->pages_max,
        .markets_max = options->markets_max,
        .snapshot_every = options->snapshot_every,
        .failed = fail,
        .context = group,
    };
    if (options->standby && !standby_open(options->kafka, TOPIC, GROUP, &group->standby, e))
        return false;
    group->shard_options.standby = group->standby;
    *ret_group = TAKE(group);
    return true;
}

void group_free(struct group *group)
{
    if (!group)
        return;
    standby_free(group->standby);
    if (group->consumer)
        rd_kafka_destroy(group->consumer);
    pthread_rwlock_destroy(&group->lock);
    pthread_mutex_destroy(&group->failure_lock);
    xfree(group->cluster_id);
    xfree(group);
}

/* Messages come on the shards' queues; here only what concerns the member as a whole. */
static void handle_member_event(struct group *group, rd_kafka_message_t *message)
{
    struct error e;

    if (!message)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_error(message->err, rd_kafka_message_errstr(message), &e);
        log_error_seldom("consumer group", &e);
        if (e.kind == ERROR_FATAL)
            fail(group, &e);
    } else {
        error_set(&e, ERROR_FATAL, "a message came outside its shard's queue");
        fail(group, &e);
    }
    rd_kafka_message_destroy(message);
}

/* Follows every partition, until Kafka answers. *ret_begun: false when it is to stop before. */
static bool begin_following(
    struct group *group, bool (*stopping)(const void *context), const void *context, bool *ret_begun, struct error *e)
{
    int32_t partitions;

    *ret_begun = false;
    while (!know_cluster(group, e) || !standby_partitions(group->standby, &partitions, e)) {
        if (stopping(context))
            return true;
        log_error_seldom("standby", e);
        usleep(RETRY_US);
    }
    for (int32_t i = 0; i < partitions; i++)
        if (!start_shard(group, i, e))
            return false;
    atomic_store(&group->begun, true);
    *ret_begun = true;
    return true;
}

static bool all_warm(struct group *group)
{
    for (size_t i = 0; i < group->shards_count; i++) {
        struct shard_status status;

        shard_get_status(group->shards[i], &status);
        if (!status.warm)
            return false;
    }
    return true;
}

/* Only who has all states joins: what it is given then goes on at once, and nothing waits for its replay. */
static bool warm_up(struct group *group, bool (*stopping)(const void *context), const void *context, struct error *e)
{
    int64_t began_us = monotonic_us();
    bool begun;

    if (!begin_following(group, stopping, context, &begun, e))
        return false;
    while (begun && !all_warm(group) && !stopping(context) && !atomic_load(&group->failed))
        usleep(WARM_POLL_US);
    log_info("warm after %ld ms", (monotonic_us() - began_us) / 1000);
    return true;
}

/* Owners write their last snapshot before the group is left, so that whoever comes next finds it. */
static void end(struct group *group)
{
    for (size_t i = 0; i < group->shards_count; i++)
        shard_stop(group->shards[i]);
    if (group->standby)
        for (size_t i = 0; i < group->shards_count; i++)
            shard_join(group->shards[i]);
    rd_kafka_consumer_close(group->consumer);
    while (group->shards_count > 0)
        shard_free(take_shard(group, shard_partition(group->shards[0])));
}

bool group_run(struct group *group, bool (*stopping)(const void *context), const void *context, struct error *e)
{
    bool fine = (!group->standby || warm_up(group, stopping, context, e)) && subscribe(group, e);

    while (fine && !stopping(context) && !atomic_load(&group->failed))
        handle_member_event(group, rd_kafka_consumer_poll(group->consumer, POLL_MS));
    end(group);
    if (fine && atomic_load(&group->failed))
        *e = group->failure;
    return fine && !atomic_load(&group->failed);
}

/* ---- Questions ---- */

struct market_query {
    const char *symbol;
    market_question ask;
    void *context;
    bool found;
};

static bool ask_if_known(const struct engine *engine, void *context, struct error *e)
{
    struct market_query *query = context;
    uint16_t market = engine_market_find(engine, query->symbol);

    query->found = market != ENGINE_NO_MARKET;
    return !query->found || query->ask(engine, market, query->context, e);
}

bool group_ask_market(struct group *group, const char *symbol, market_question ask, void *context, struct error *e)
{
    struct market_query query = { .symbol = symbol, .ask = ask, .context = context };
    bool fine = true;

    pthread_rwlock_rdlock(&group->lock);
    for (size_t i = 0; i < group->shards_count && fine && !query.found; i++)
        fine = shard_query(group->shards[i], ask_if_known, &query, QUERY_TIMEOUT_MS, e);
    pthread_rwlock_unlock(&group->lock);
    if (!fine || query.found)
        return fine;
    if (!atomic_load(&group->begun))
        return error_set(e, ERROR_TRANSIENT, "the engine is starting");
    return error_field(e, ERROR_NOT_FOUND, "unknown-symbol", "symbol", "no market %.31s in this engine", symbol);
}

size_t group_status(struct group *group, struct shard_status *ret_status, int32_t *ret_partitions, size_t max)
{
    size_t count = 0;

    pthread_rwlock_rdlock(&group->lock);
    for (; count < group->shards_count && count < max; count++) {
        ret_partitions[count] = shard_partition(group->shards[count]);
        shard_get_status(group->shards[count], &ret_status[count]);
    }
    pthread_rwlock_unlock(&group->lock);
    return count;
}

bool group_healthy(struct group *group, char *ret_reason, size_t size)
{
    bool healthy = true;

    pthread_rwlock_rdlock(&group->lock);
    for (size_t i = 0; i < group->shards_count && healthy; i++) {
        int64_t silence_ms = shard_silence_us(group->shards[i]) / 1000;

        healthy = silence_ms <= group->options.stuck_after_ms;
        if (!healthy)
            snprintf(ret_reason, size, "partition %d has made no progress for %ld ms",
                shard_partition(group->shards[i]), silence_ms);
    }
    pthread_rwlock_unlock(&group->lock);
    return healthy;
}
