/* consumer.c -- life cycle, consumer group, fetching.
 *
 * Polling Kafka must not stop while a batch waits for Postgres: a member that does not poll holds up its group's
 * rebalance. So a batch that has failed is kept with its partitions paused, and the wait between attempts is spent
 * polling; a rebalance that comes meanwhile drops the batch, for its position is in the rows. All partitions of a
 * consumer share its connection: while the database is away they wait together. What a single event or a single
 * partition causes delays the others only for the few attempts it takes to find it. */
#include "consumer_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    POLL_SLICE_MS = 100, /* how soon consumer_stop() is noticed */
    COPY_INTERVAL_US = 1000000,
    CLOSE_MAX_S = 5,
    STATE_LINE_MAX = 400,
};

void consumer_tell_error(struct consumer *consumer, const struct error *e)
{
    if (consumer->options->on_error)
        consumer->options->on_error(consumer->options->context, e);
}

void consumer_say(struct consumer *consumer, const char *fmt, ...)
{
    char line[STATE_LINE_MAX];
    va_list args;
    if (!consumer->options->on_state)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    consumer->options->on_state(consumer->options->context, line);
}

/* ---- Pausing ---- */

void consumer_hold(struct consumer *consumer)
{
    if (consumer->state != READING)
        return;
    rd_kafka_topic_partition_list_t *list = position_list(consumer);
    rd_kafka_pause_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    consumer->state = HOLDING;
}

void consumer_release(struct consumer *consumer)
{
    if (consumer->state != HOLDING)
        return;
    rd_kafka_topic_partition_list_t *list = position_list(consumer);
    for (int i = list->cnt - 1; i >= 0; i--) /* who waits by itself goes on waiting */
        if (position_find(consumer, list->elems[i].topic, list->elems[i].partition)->delayed_until_us)
            rd_kafka_topic_partition_list_del_by_idx(list, i);
    rd_kafka_resume_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    consumer->state = consumer->reread ? POSITIONING : READING;
    consumer->reread = false;
}

/* ---- The group ---- */

/* For the lag tools of Kafka only; nothing reads it back. */
static void copy_positions(struct consumer *consumer)
{
    if (!consumer->pg || monotonic_us() - consumer->copied_us < COPY_INTERVAL_US)
        return;
    rd_kafka_topic_partition_list_t *list = position_list(consumer);
    (void)rd_kafka_commit(consumer->rk, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
    consumer->copied_us = monotonic_us();
}

/* Called from within a poll. Fetching does not begin here: positions have to be read first, and that may fail and be
 * tried again; librdkafka waits for the assign call. */
static void rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct consumer *consumer = opaque;
    batch_drop(consumer);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        consumer_say(consumer, "%d partitions assigned", list->cnt);
        position_assign(consumer, list);
        consumer->state = POSITIONING;
    } else {
        consumer_say(consumer, "%d partitions revoked", list->cnt);
        position_assign(consumer, NULL);
        rd_kafka_assign(rk, NULL);
        consumer->state = UNASSIGNED;
    }
    consumer->reread = false;
    rd_kafka_yield(rk);
}

/* ---- Fetching ---- */

/* -1: unknown */
static int64_t lag_of(const struct consumer *consumer, const struct partition *partition)
{
    int64_t low, high;
    if (partition->at_end)
        return 0;
    if (partition->next_offset < 0 ||
        rd_kafka_get_watermark_offsets(
            consumer->rk, consumer->topic_names[partition->topic], partition->number, &low, &high) ||
        high < 0)
        return -1;
    return high > partition->next_offset ? high - partition->next_offset : 0;
}

static void publish(struct consumer *consumer, struct consumer_partition_stats **row, const struct partition *partition)
{
    int64_t lag = lag_of(consumer, partition), since_us = partition->behind_since_us, now = now_us();
    *(*row)++ = (struct consumer_partition_stats){
        .topic = consumer->options->topics[partition->topic],
        .partition = partition->number,
        .lag = lag,
        .lag_us = lag == 0 || since_us == 0 || since_us > now ? 0 : now - since_us,
        .failures = partition->failures,
    };
}

static void measure_lag(struct consumer *consumer)
{
    uint32_t assigned = atomic_load(&consumer->assigned);
    int64_t sum = assigned ? 0 : -1;
    pthread_mutex_lock(&consumer->lock);
    if (assigned > consumer->published_count)
        consumer->published = xrealloc(consumer->published, assigned * sizeof *consumer->published);
    struct consumer_partition_stats *row = consumer->published;
    for (size_t i = 0; i < consumer->partition_count; i++)
        if (consumer->partition_table[i].assigned)
            publish(consumer, &row, &consumer->partition_table[i]);
    consumer->published_count = assigned;
    for (size_t i = 0; i < assigned && sum >= 0; i++)
        sum = consumer->published[i].lag < 0 ? -1 : sum + consumer->published[i].lag;
    pthread_mutex_unlock(&consumer->lock);
    atomic_store(&consumer->lag, sum);
}

static void meet_error(struct consumer *consumer, const rd_kafka_message_t *message)
{
    const char *topic_name = message->rkt ? rd_kafka_topic_name(message->rkt) : "Kafka";
    struct error e = { 0 };
    struct partition *partition = message->rkt ? position_find(consumer, topic_name, message->partition) : NULL;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && partition && partition->checking) {
        partition->unchecked = true; /* retention may have removed what was handled last: read on from the position */
        consumer->reread |= consumer->state == HOLDING;
        consumer->state = consumer->state == READING ? POSITIONING : consumer->state;
        return;
    }
    kafka_error(message->err, topic_name, &e);
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        error_set(&e, ERROR_FATAL,
            "the position in %s[%d] is outside of the log: events are lost, or the topic is another one", topic_name,
            message->partition);
    if (error_is(&e, ERROR_FATAL) || error_is(&e, ERROR_DENIED)) {
        e.kind = ERROR_FATAL;
        consumer->fatal = e;
        return;
    }
    e.kind = ERROR_TRANSIENT; /* a topic that is not there yet may come */
    consumer_tell_error(consumer, &e);
}

/* The client's own troubles, mostly brokers that are away. librdkafka goes on trying by itself. */
static void client_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct consumer *consumer = opaque;
    struct error e = { 0 };
    (void)rk;
    kafka_error((rd_kafka_resp_err_t)code, reason, &e);
    if (error_is(&e, ERROR_FATAL))
        consumer->fatal = e;
    else
        consumer_tell_error(consumer, &e);
}

static void meet_end(struct consumer *consumer, const rd_kafka_message_t *message)
{
    struct partition *partition = position_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);
    if (!partition)
        return;
    position_recheck_end(consumer, partition, message->offset);
    partition->at_end = true;
    partition->behind_since_us = 0;
    atomic_store(&consumer->last_progress_us, now_us());
}

static void note_age(struct partition *partition, const rd_kafka_message_t *message)
{
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, NULL);
    partition->at_end = false;
    if (timestamp_ms > 0 && (partition->behind_since_us == 0 || message->offset == partition->next_offset))
        partition->behind_since_us = timestamp_ms * 1000;
}

/* Takes the message. */
static void take_message(struct consumer *consumer, rd_kafka_message_t *message)
{
    struct partition *partition = NULL;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        meet_end(consumer, message);
    else if (message->err)
        meet_error(consumer, message);
    else
        partition = position_find(consumer, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition && partition->delayed_until_us)
        partition = NULL; /* fetched before the pause: it is read again afterwards */
    if (partition && partition->checking && consumer->state == READING &&
        position_recheck(consumer, partition, message))
        partition = NULL;
    if (partition && consumer->state == READING && message->offset >= partition->next_offset) {
        assert(consumer->batch.count < consumer->batch_max);
        note_age(partition, message);
        batch_add(&consumer->batch, message, partition);
        return;
    }
    consumer->reread |= partition && consumer->state == HOLDING; /* fetched before the pause */
    rd_kafka_message_destroy(message);
}

/* Takes what is there, waiting up to timeout_ms for the first. Errors, the group's business and throwing away count
 * too. */
static void fetch(struct consumer *consumer, int timeout_ms)
{
    enum consumer_state state = consumer->state;
    for (size_t n = 0; n < consumer->batch_max && consumer->state == state; n++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, n == 0 ? timeout_ms : 0);
        if (!message)
            break;
        take_message(consumer, message);
    }
    measure_lag(consumer);
}

static int slice_ms(int64_t deadline_us)
{
    int64_t left_ms = (deadline_us - monotonic_us() + 999) / 1000;
    return left_ms < 0 ? 0 : left_ms > POLL_SLICE_MS ? POLL_SLICE_MS : (int)left_ms;
}

static bool poll_once(struct consumer *consumer, int timeout_ms, size_t *ret_count, struct error *e)
{
    arena_clear(consumer->arena);
    if (!consumer->grouped && consumer->state != HOLDING && !discover_partitions(consumer, e))
        return false;
    if (consumer->pg && consumer->state == READING && consumer->batch.count == 0 &&
        (!delay_resume(consumer, e) || !parked_retry(consumer, e)))
        return false;
    bool busy = consumer->state == HOLDING || consumer->state == POSITIONING;
    fetch(consumer, busy ? 0 : timeout_ms);
    if (!error_is(&consumer->fatal, ERROR_NONE)) {
        *e = consumer->fatal;
        return false;
    }
    if (consumer->state == POSITIONING && !position_load(consumer, e))
        return false;
    if (consumer->batch.count == 0)
        return true;
    if (!batch_attempt(consumer, ret_count, e))
        return false;
    copy_positions(consumer);
    measure_lag(consumer);
    return true;
}

bool consumer_poll(struct consumer *consumer, uint32_t timeout_ms, size_t *ret_count, struct error *e)
{
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_ms * 1000;
    *ret_count = 0;
    do {
        if (!poll_once(consumer, slice_ms(deadline_us), ret_count, e))
            return false;
    } while (*ret_count == 0 && !atomic_load(&consumer->stopping) &&
             (consumer->batch.count > 0 || monotonic_us() < deadline_us));
    return true;
}

/* Doubles from attempt to attempt; the upper half is random, so that consumers do not come back all at once. */
int64_t consumer_backoff_us(uint32_t attempt)
{
    int64_t ms = attempt > 7 ? BACKOFF_MAX_MS : (int64_t)BACKOFF_MIN_MS << attempt;
    ms = ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms;
    return ms * 500 + arc4random_uniform((uint32_t)ms * 500 + 1);
}

static void wait_polling(struct consumer *consumer, int64_t wait_us)
{
    int64_t deadline_us = monotonic_us() + wait_us;
    while (monotonic_us() < deadline_us && !atomic_load(&consumer->stopping) &&
           (consumer->state == HOLDING || consumer->state == POSITIONING))
        fetch(consumer, slice_ms(deadline_us));
}

bool consumer_run(struct consumer *consumer, struct error *e)
{
    uint32_t attempt = 0;
    while (!atomic_load(&consumer->stopping)) {
        struct error failure = { 0 };
        size_t count;
        if (consumer_poll(consumer, POLL_SLICE_MS, &count, &failure)) {
            attempt = count > 0 || consumer->state == READING ? 0 : attempt;
            continue;
        }
        if (!error_is(&failure, ERROR_TRANSIENT)) {
            failure.kind = ERROR_FATAL;
            *e = failure;
            return false;
        }
        consumer_tell_error(consumer, &failure);
        wait_polling(consumer, consumer_backoff_us(attempt++));
    }
    consumer_say(consumer, "stopped");
    return true;
}

void consumer_stop(struct consumer *consumer)
{
    atomic_store(&consumer->stopping, true);
}

void consumer_get_stats(const struct consumer *consumer, struct consumer_stats *ret)
{
    *ret = (struct consumer_stats){
        .events = atomic_load(&consumer->events),
        .batches = atomic_load(&consumer->batches),
        .dead_letters = atomic_load(&consumer->dead_letters),
        .retries = atomic_load(&consumer->retries),
        .lag = atomic_load(&consumer->lag),
        .last_progress_us = atomic_load(&consumer->last_progress_us),
        .assigned = atomic_load(&consumer->assigned),
        .missing_topics = atomic_load(&consumer->missing_topics),
        .parked = atomic_load(&consumer->parked_count),
    };
}

size_t consumer_get_partitions(struct consumer *consumer, struct consumer_partition_stats *ret, size_t max)
{
    pthread_mutex_lock(&consumer->lock);
    size_t count = consumer->published_count;
    if (count > 0 && max > 0)
        memcpy(ret, consumer->published, (count < max ? count : max) * sizeof *ret);
    pthread_mutex_unlock(&consumer->lock);
    return count;
}

/* ---- Opening and closing ---- */

static const struct {
    const char *name, *value;
} settings[] = {
    { "isolation.level", "read_committed" },
    { "enable.auto.commit", "false" },
    { "enable.auto.offset.store", "false" },
    { "auto.offset.reset", "error" },   /* positions are always explicit; one outside of the log must not be forgiven */
    { "enable.partition.eof", "true" }, /* transaction markers take offsets: the end is not where the arithmetic says */
    { "check.crcs", "true" },
    { "session.timeout.ms", "6000" },
    { "heartbeat.interval.ms", "2000" },
    { "max.poll.interval.ms", "60000" },
    /* Eager: all partitions change hands at once, so a batch is either wholly ours or dropped. Cooperative would save
     * refetching, and need each batch in hand to be split by partition. Range: the same number of each topic goes to
     * the same member. */
    { "partition.assignment.strategy", "range" },
    { "topic.metadata.refresh.interval.ms", "10000" }, /* a topic made after us is found within this time */
    { "fetch.error.backoff.ms", "100" },
};

static bool check_options(const struct consumer_options *options, struct error *e)
{
    if (!options->handle)
        return error_field(e, ERROR_INVALID, "", "handle", "a consumer needs a handler");
    if (!options->topics || !options->topics[0])
        return error_field(e, ERROR_INVALID, "", "topics", "a consumer needs a topic");
    if (!options->group || !options->group[0])
        return error_field(e, ERROR_INVALID, "", "group", "a consumer needs a group");
    if ((options->pg || options->transactional_id) && (options->from_end || options->tail > 0))
        return error_field(e, ERROR_INVALID, "", options->from_end ? "from_end" : "tail",
            "a consumer into Postgres or Kafka starts where its position says");
    if (options->transactional_id && (options->pg || !options->source))
        return error_field(e, ERROR_INVALID, "", options->pg ? "transactional_id" : "source",
            options->pg ? "effects go into Postgres or into Kafka" : "what is published needs a source");
    if (!options->pg && (options->ordered || options->retry_max_ms > 0))
        return error_field(e, ERROR_INVALID, "", options->ordered ? "ordered" : "retry_max_ms",
            "only a consumer into Postgres can park events or give them up");
    if (options->batch_max > BATCH_MAX)
        return error_field(e, ERROR_INVALID, "", "batch_max", "a batch is at most %d events", BATCH_MAX);
    return true;
}

static bool name_topics(struct consumer *consumer, struct error *e)
{
    const struct consumer_options *options = consumer->options;
    while (options->topics[consumer->topic_count])
        consumer->topic_count++;
    if (consumer->topic_count > TOPICS_MAX)
        return error_field(e, ERROR_INVALID, "", "topics", "a consumer reads at most %d topics", TOPICS_MAX);
    consumer->topic_names = xcalloc(consumer->topic_count, sizeof *consumer->topic_names);
    for (size_t i = 0; i < consumer->topic_count; i++) {
        char dead_name[KAFKA_TOPIC_MAX];
        CLEANUP(xfree) char *dead = xasprintf("%s.%s.dead", options->topics[i], options->group);
        if (!kafka_topic_name(&options->kafka, options->topics[i], consumer->topic_names[i], e) ||
            !kafka_topic_name(&options->kafka, dead, dead_name, e))
            return false;
    }
    return true;
}

static bool configure(struct consumer *consumer, rd_kafka_conf_t *conf, struct error *e)
{
    char group_id[KAFKA_TOPIC_MAX];
    if (!kafka_topic_name(&consumer->options->kafka, consumer->options->group, group_id, e) ||
        !kafka_conf_set(conf, "group.id", group_id, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (!kafka_conf_set(conf, settings[i].name, settings[i].value, e))
            return false;
    }
    rd_kafka_conf_set_opaque(conf, consumer);
    if (consumer->grouped)
        rd_kafka_conf_set_rebalance_cb(conf, rebalance);
    rd_kafka_conf_set_error_cb(conf, client_error);
    return true;
}

static bool start(struct consumer *consumer, struct error *e)
{
    rd_kafka_conf_t *conf;
    char why[sizeof e->message];
    if (!kafka_conf(&consumer->options->kafka, &conf, e))
        return false;
    if (!configure(consumer, conf, e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    consumer->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!consumer->rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(e, ERROR_INVALID, "Kafka consumer: %s", why);
    }
    rd_kafka_poll_set_consumer(consumer->rk);
    return true;
}

static bool subscribe(struct consumer *consumer, struct error *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->topic_count);
    for (size_t i = 0; i < consumer->topic_count; i++)
        rd_kafka_topic_partition_list_add(list, consumer->topic_names[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, "subscribe", e);
}

bool consumer_open(const struct consumer_options *options, struct consumer **ret_consumer, struct error *e)
{
    if (!check_options(options, e))
        return false;
    CLEANUP(consumer_free) struct consumer *consumer = xcalloc(1, sizeof *consumer);
    consumer->options = options;
    consumer->batch_max = options->batch_max ? options->batch_max : BATCH_DEFAULT;
    consumer->grouped = options->pg || options->transactional_id;
    consumer->arena = arena_new();
    pthread_mutex_init(&consumer->lock, NULL);
    consumer->lag = -1;
    consumer->last_progress_us = now_us();
    batch_init(&consumer->batch, consumer->batch_max);
    consumer->batch.attempt_max = consumer->batch_max;
    if (!name_topics(consumer, e))
        return false;
    if (options->pg) {
        consumer->outbox = outbox_new();
        if (!pg_open(options->pg, &consumer->pg, e))
            return false;
    }
    if (options->transactional_id) {
        consumer->outbox = outbox_new();
        if (!publish_open(consumer, e))
            return false;
    }
    if (!start(consumer, e) || (consumer->grouped && !subscribe(consumer, e)))
        return false;
    consumer->missing_topics = consumer->grouped ? 0 : (uint32_t)consumer->topic_count;
    *ret_consumer = TAKE(consumer);
    return true;
}

static void *destroy_handle(void *rk)
{
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

/* librdkafka 2.0 may never end here after a topic it read was deleted. Then the handle is left to its thread: some
 * memory and sockets until the process ends, which is better than a process that does not. */
void consumer_destroy_handle(rd_kafka_t *rk)
{
    pthread_t thread;
    struct timespec until;
    if (pthread_create(&thread, NULL, destroy_handle, rk) != 0)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_MAX_S;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0)
        pthread_detach(thread);
}

void consumer_free(struct consumer *consumer)
{
    if (!consumer)
        return;
    if (consumer->rk) {
        batch_drop(consumer);
        rd_kafka_assign(consumer->rk, NULL); /* closing would wait for it while positions are unknown */
        if (consumer->grouped)
            rd_kafka_consumer_close(consumer->rk);
        consumer_destroy_handle(consumer->rk);
    }
    publish_close(consumer);
    batch_release(&consumer->batch);
    pg_free(consumer->pg);
    outbox_free(consumer->outbox);
    arena_free(consumer->arena);
    parked_free(consumer->parking);
    pthread_mutex_destroy(&consumer->lock);
    xfree(consumer->published);
    sequence_free(consumer);
    xfree(consumer->partition_table);
    xfree(consumer->topic_names);
    xfree(consumer);
}
