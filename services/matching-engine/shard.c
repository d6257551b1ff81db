#include "shard.h"

#include "commands.h"
#include "log.h"
#include "metrics.h"
#include "outputs.h"
#include "publisher.h"
#include "snapshot.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    IDLE_WAIT_MS = 100,
    BATCH_OUTPUTS_MAX = 20000, /* a batch ends early beyond: the transaction stays small */
    COMMITTED_TIMEOUT_MS = 5000,
    COMMITTED_TRIES = 12,
    NOTHING_COMMITTED = 0,
};

enum phase { PREPARING, READY, ENDED };

/* A query waits here for the thread to come round. */
struct question {
    shard_question ask; /* NULL: none */
    void *context;
    struct error *error;
    bool taken, answered, result;
};

struct shard {
    struct shard_options options;
    int32_t partition;
    char topic[KAFKA_TOPIC_MAX]; /* full */
    pthread_t thread;
    rd_kafka_queue_t *queue;
    atomic_bool stop;
    _Atomic int64_t progress_us;

    pthread_mutex_t lock; /* phase, start_offset, error, question */
    pthread_cond_t changed;
    enum phase phase;
    int64_t start_offset;
    struct error error; /* why it ended; kind NONE: it was stopped */
    struct question question;

    /* The thread's own. */
    struct engine *engine;
    struct outputs *outputs;
    struct arena *scratch;
    struct publisher *publisher;
    int64_t next_offset;      /* the state includes all before it */
    int64_t committed_offset; /* what is before it was published by us or a predecessor */
    uint64_t commands_since_snapshot;
    struct snapshot_child *snapshot; /* under way, or NULL */
    struct outputs_stats counted;    /* in the metrics already */
    rd_kafka_message_t *messages[SHARD_BATCH_MAX];
    size_t messages_count, messages_done;
};

/* ---- Metrics: made once, shared by all shards of the process. ---- */

static void count(const char *name, const char *help, uint64_t n)
{
    metric_add(metric_counter(name, "", help), n);
}

static void gauge(const struct shard *shard, const char *name, const char *help, double value)
{
    char label[32];

    snprintf(label, sizeof label, "partition=\"%d\"", shard->partition);
    metric_set(metric_gauge(name, label, help), value);
}

/* ---- Preparing ---- */

static struct snapshot_identity identity_of(const struct shard *shard)
{
    return (struct snapshot_identity){
        .directory = shard->options.data_directory,
        .topic = shard->topic,
        .cluster_id = shard->options.cluster_id,
        .partition = shard->partition,
    };
}

static bool read_committed_offset(struct shard *shard, struct error *e)
{
    for (int tries = 1;; tries++) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, shard->topic, shard->partition);
        rd_kafka_resp_err_t code = rd_kafka_committed(shard->options.consumer, list, COMMITTED_TIMEOUT_MS);

        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = list->elems[0].err;
        shard->committed_offset = list->elems[0].offset >= 0 ? list->elems[0].offset : NOTHING_COMMITTED;
        rd_kafka_topic_partition_list_destroy(list);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return true;
        kafka_error(code, "committed offset", e);
        if (e->kind != ERROR_TRANSIENT || tries == COMMITTED_TRIES || atomic_load(&shard->stop))
            return false;
    }
}

static void note_snapshot(const char *line)
{
    log_warn("%s", line);
}

static bool prepare(struct shard *shard, struct error *e)
{
    struct snapshot_identity identity = identity_of(shard);
    struct engine_options options = {
        .orders_max = shard->options.orders_max,
        .pages_max = shard->options.pages_max,
        .markets_max = shard->options.markets_max,
        .level3 = true,
        .drain = outputs_records,
        .context = shard->outputs,
    };
    int64_t began_us = monotonic_us();

    if (!publisher_open(
            shard->options.kafka, shard->options.topic, shard->partition, &shard->stop, &shard->publisher, e))
        return false;
    if (!read_committed_offset(shard, e))
        return false;
    if (!snapshot_refuse_newer(&identity, shard->committed_offset, note_snapshot, e) ||
        !snapshot_load(
            &identity, shard->committed_offset, &options, note_snapshot, &shard->engine, &shard->next_offset, e))
        return false;
    outputs_set_engine(shard->outputs, shard->engine);
    log_info("partition %d: %u resting orders as of offset %ld, committed %ld, in %ld ms", shard->partition,
        engine_orders_count(shard->engine), shard->next_offset, shard->committed_offset,
        (monotonic_us() - began_us) / 1000);
    return true;
}

static void set_phase(struct shard *shard, enum phase phase, const struct error *e)
{
    pthread_mutex_lock(&shard->lock);
    shard->phase = phase;
    shard->start_offset = shard->next_offset;
    if (e)
        shard->error = *e;
    pthread_cond_broadcast(&shard->changed);
    pthread_mutex_unlock(&shard->lock);
}

/* ---- Batches ---- */

static void drop_messages(struct shard *shard)
{
    for (size_t i = 0; i < shard->messages_count; i++)
        rd_kafka_message_destroy(shard->messages[i]);
    shard->messages_count = shard->messages_done = 0;
}

/* What is waiting, at most a batch; waits for the first message only. */
static void fetch(struct shard *shard)
{
    if (shard->messages_done < shard->messages_count)
        return;
    drop_messages(shard);

    rd_kafka_message_t *first = rd_kafka_consume_queue(shard->queue, IDLE_WAIT_MS);

    if (!first)
        return;
    shard->messages[shard->messages_count++] = first;

    ssize_t more = rd_kafka_consume_batch_queue(shard->queue, 0, shard->messages + 1, SHARD_BATCH_MAX - 1);

    if (more > 0)
        shard->messages_count += (size_t)more;
}

/* An event on the queue that is not a message. false: the shard cannot go on. */
static bool handle_queue_error(const struct shard *shard, const rd_kafka_message_t *message, struct error *e)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return true;
    kafka_error(message->err, shard->topic, e);
    if (e->kind == ERROR_FATAL)
        return false;
    log_error(rd_kafka_message_errstr(message), e);
    return true;
}

static void apply(struct shard *shard, const rd_kafka_message_t *message)
{
    struct event event;
    struct error refused = { 0 };

    shard->next_offset = message->offset + 1;
    outputs_set_muted(shard->outputs, message->offset < shard->committed_offset);
    if (event_parse(message, shard->options.topic, &event, &refused)) {
        outputs_begin_command(shard->outputs, event.traceparent);
        if (commands_apply(shard->engine, shard->scratch, &event, &refused)) {
            engine_flush(shard->engine);
            return;
        }
    }
    outputs_dead_letter(shard->outputs, message, shard->options.topic, &refused);
    if (message->offset >= shard->committed_offset)
        log_warn("partition %d offset %ld is a dead letter: %s: %s", message->partition, message->offset, refused.field,
            refused.message);
}

/* Applies messages until all are done or the transaction is large enough. *ret_live: how many are not a replay. */
static bool apply_messages(struct shard *shard, size_t *ret_live, struct error *e)
{
    size_t live = 0, replayed = 0;

    while (shard->messages_done < shard->messages_count && outputs_count(shard->outputs) < BATCH_OUTPUTS_MAX) {
        const rd_kafka_message_t *message = shard->messages[shard->messages_done++];

        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (!handle_queue_error(shard, message, e))
                return false;
            continue;
        }
        if (message->offset < shard->next_offset)
            continue; /* fetched twice around a rebalance */
        apply(shard, message);
        *(message->offset < shard->committed_offset ? &replayed : &live) += 1;
    }
    shard->commands_since_snapshot += live + replayed;
    count("engine_commands_total", "Commands applied live", live);
    count("engine_replayed_total", "Commands replayed from the log at a start", replayed);
    *ret_live = live;
    return true;
}

static bool commit(struct shard *shard, struct error *e)
{
    struct outputs_stats before, after;
    int64_t began_us = monotonic_us();
    size_t events = outputs_count(shard->outputs);

    if (!publisher_commit(
            shard->publisher, shard->options.consumer, shard->outputs, shard->next_offset, &shard->stop, e))
        return false;
    shard->committed_offset = shard->next_offset;
    outputs_get_stats(shard->outputs, &after);
    before = shard->counted;
    shard->counted = after;
    count("engine_batches_total", "Kafka transactions committed", 1);
    count("engine_events_total", "Events published", events);
    count("engine_fills_total", "Executions", after.fills - before.fills);
    count("engine_dead_letters_total", "Commands refused as malformed", after.dead_letters - before.dead_letters);
    metric_observe(metric_histogram("engine_commit_seconds", "", "One Kafka transaction, from begin to committed"),
        (double)(monotonic_us() - began_us) / 1e6);
    gauge(shard, "engine_resting_orders", "Orders in the books", engine_orders_count(shard->engine));
    gauge(shard, "engine_next_offset", "Committed offset of the command log", (double)shard->committed_offset);
    return true;
}

/* A snapshot that cannot be written costs replay time, never correctness: it is reported, and the next one is tried in
 * turn. */
static void begin_snapshot(struct shard *shard)
{
    struct snapshot_identity identity = identity_of(shard);
    struct error e = { 0 };

    assert(shard->next_offset <= shard->committed_offset);
    if (shard->snapshot)
        return; /* the one before is not written yet */
    shard->commands_since_snapshot = 0;
    if (!snapshot_begin(&identity, shard->engine, shard->next_offset, &shard->snapshot, &e))
        log_error("snapshot", &e);
}

static void look_after_snapshot(struct shard *shard, bool wait)
{
    struct snapshot_result result;
    struct error e = { 0 };

    if (!shard->snapshot)
        return;
    switch (snapshot_look(shard->snapshot, wait, &e)) {
    case SNAPSHOT_RUNNING:
        return;
    case SNAPSHOT_FAILED:
        log_error("snapshot", &e);
        break;
    case SNAPSHOT_WRITTEN:
        snapshot_get_result(shard->snapshot, &result);
        log_info("partition %d: snapshot at offset %ld, %zu bytes, written in %ld ms; matching stood still for %ld us",
            shard->partition, result.next_offset, result.size, result.took_us / 1000, result.pause_us);
        metric_observe(metric_histogram("engine_snapshot_pause_seconds", "", "How long a snapshot stopped matching"),
            (double)result.pause_us / 1e6);
        break;
    }
    snapshot_child_free(TAKE(shard->snapshot));
}

static bool run_batch(struct shard *shard, struct error *e)
{
    size_t live;

    fetch(shard);
    if (!apply_messages(shard, &live, e))
        return false;
    if (live > 0 && !commit(shard, e))
        return false;
    outputs_clear(shard->outputs);
    look_after_snapshot(shard, false);
    if (shard->commands_since_snapshot >= shard->options.snapshot_every)
        begin_snapshot(shard);
    return true;
}

/* ---- Queries ---- */

static void answer(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    struct question *question = &shard->question;

    if (question->ask && !question->answered && shard->next_offset >= shard->committed_offset) {
        question->taken = true;
        pthread_mutex_unlock(&shard->lock);

        bool result = question->ask(shard->engine, question->context, question->error);

        pthread_mutex_lock(&shard->lock);
        question->result = result;
        question->answered = true;
        pthread_cond_broadcast(&shard->changed);
    }
    pthread_mutex_unlock(&shard->lock);
}

/* Waits under the lock; false after the deadline. */
static bool wait_changed(struct shard *shard, const struct timespec *deadline)
{
    return pthread_cond_timedwait(&shard->changed, &shard->lock, deadline) != ETIMEDOUT;
}

static struct timespec deadline_in(uint32_t timeout_ms)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

bool shard_query(struct shard *shard, shard_question ask, void *context, uint32_t timeout_ms, struct error *e)
{
    struct timespec deadline = deadline_in(timeout_ms);
    bool in_time = true, asked = false, result = false, answered = false;

    pthread_mutex_lock(&shard->lock);
    while (shard->question.ask && shard->phase == READY && in_time)
        in_time = wait_changed(shard, &deadline);
    if (!shard->question.ask && shard->phase == READY) {
        shard->question = (struct question){ .ask = ask, .context = context, .error = e };
        asked = true;
        rd_kafka_queue_yield(shard->queue);
    }
    /* Once taken, the answer is waited for: it writes to the caller's memory. */
    while (asked && !shard->question.answered && (shard->question.taken || (in_time && shard->phase == READY)))
        in_time = wait_changed(shard, &deadline);
    if (asked) {
        answered = shard->question.answered;
        result = shard->question.result;
        shard->question = (struct question){ 0 };
        pthread_cond_broadcast(&shard->changed);
    }
    pthread_mutex_unlock(&shard->lock);
    return answered ? result : error_set(e, ERROR_TRANSIENT, "partition %d is busy or catching up", shard->partition);
}

/* ---- The thread ---- */

static void come_round(struct shard *shard)
{
    atomic_store_explicit(&shard->progress_us, monotonic_us(), memory_order_relaxed);
    answer(shard);
}

static bool run(struct shard *shard, struct error *e)
{
    while (!atomic_load(&shard->stop)) {
        come_round(shard);
        if (!run_batch(shard, e))
            return false;
    }
    look_after_snapshot(shard, true);
    if (shard->commands_since_snapshot > 0)
        begin_snapshot(shard);
    look_after_snapshot(shard, true);
    return true;
}

static void *shard_main(void *context)
{
    struct shard *shard = context;
    struct error e = { 0 };
    bool ready = prepare(shard, &e);
    bool ended_well = false;

    if (ready) {
        set_phase(shard, READY, NULL);
        ended_well = run(shard, &e) || (e.kind == ERROR_TRANSIENT && atomic_load(&shard->stop));
    }
    set_phase(shard, ENDED, &e);
    if (ready && !ended_well)
        shard->options.failed(shard->options.context, &e);
    snapshot_child_free(TAKE(shard->snapshot));
    drop_messages(shard);
    publisher_free(TAKE(shard->publisher));
    return NULL;
}

bool shard_start(const struct shard_options *options, int32_t partition, struct shard **ret_shard, struct error *e)
{
    struct shard *shard = xcalloc(1, sizeof *shard);
    pthread_condattr_t monotonic;

    shard->options = *options;
    shard->partition = partition;
    shard->outputs = outputs_new();
    shard->scratch = arena_new();
    shard->progress_us = monotonic_us();
    pthread_mutex_init(&shard->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&shard->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    bool started = kafka_topic_name(options->kafka, options->topic, shard->topic, e);

    if (started) {
        /* Cut off from the consumer's common queue before the partition is assigned: no message can go there. */
        shard->queue = rd_kafka_queue_get_partition(options->consumer, shard->topic, partition);
        rd_kafka_queue_forward(shard->queue, NULL);
        started = pthread_create(&shard->thread, NULL, shard_main, shard) == 0 ||
                  error_set(e, ERROR_TRANSIENT, "no thread: %s", strerror(errno));
    }
    if (!started) {
        shard->phase = ENDED;
        shard->thread = 0;
        shard_free(shard);
        return false;
    }
    *ret_shard = shard;
    return true;
}

bool shard_wait_ready(struct shard *shard, int64_t *ret_start_offset, struct error *e)
{
    pthread_mutex_lock(&shard->lock);
    while (shard->phase == PREPARING)
        pthread_cond_wait(&shard->changed, &shard->lock);

    bool ready = shard->phase == READY;

    *ret_start_offset = shard->start_offset;
    if (!ready)
        *e = shard->error;
    pthread_mutex_unlock(&shard->lock);
    return ready;
}

void shard_stop(struct shard *shard)
{
    atomic_store(&shard->stop, true);
    rd_kafka_queue_yield(shard->queue);
}

void shard_free(struct shard *shard)
{
    if (!shard)
        return;
    if (shard->thread != 0) {
        shard_stop(shard);
        pthread_join(shard->thread, NULL);
    }
    if (shard->queue)
        rd_kafka_queue_destroy(shard->queue);
    engine_free(shard->engine);
    outputs_free(shard->outputs);
    arena_free(shard->scratch);
    pthread_cond_destroy(&shard->changed);
    pthread_mutex_destroy(&shard->lock);
    xfree(shard);
}

int32_t shard_partition(const struct shard *shard)
{
    return shard->partition;
}

int64_t shard_silence_us(const struct shard *shard)
{
    return monotonic_us() - atomic_load_explicit(&shard->progress_us, memory_order_relaxed);
}
