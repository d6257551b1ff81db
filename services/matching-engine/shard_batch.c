#include "shard_private.h"

#include "commands.h"
#include "log.h"
#include "metrics.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_OUTPUTS_MAX = 20000, /* a batch ends early beyond: the transaction stays small */
    COMMITTED_TIMEOUT_MS = 5000,
    COMMITTED_PATIENCE_US = 240 * 1000 * 1000,
    COMMITTED_BACKOFF_US = 100 * 1000,
    NOTHING_COMMITTED = 0,
    SAMPLE = 16,
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
    int64_t give_up_us = monotonic_us() + COMMITTED_PATIENCE_US;

    for (;;) {
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
        if (e->kind != ERROR_TRANSIENT || monotonic_us() > give_up_us || atomic_load(&shard->leave))
            return false;
        log_error_seldom("asking again", e);
        usleep(COMMITTED_BACKOFF_US);
    }
}

static void note_snapshot(const char *line)
{
    log_warn("%s", line);
}

void shard_drop_state(struct shard *shard)
{
    outputs_abandon(shard->outputs);
    engine_free(TAKE(shard->engine));
}

bool shard_load(struct shard *shard, int64_t committed_offset, struct error *e)
{
    struct snapshot_identity identity = identity_of(shard);
    struct engine_options options = {
        .orders_max = shard->options.orders_max,
        .pages_max = shard->options.pages_max,
        .markets_max = shard->options.markets_max,
        .level3 = true,
        .huge_pages = true, /* a snapshot's fork() copies page tables */
        .small_start = true,
        .drain = outputs_records,
        .context = shard->outputs,
    };
    int64_t began_us = monotonic_us();

    if (!snapshot_load(&identity, committed_offset, &options, note_snapshot, &shard->engine, &shard->next_offset, e))
        return false;
    outputs_set_engine(shard->outputs, shard->engine);
    shard->commands_since_snapshot = 0;
    log_info("partition %d: %u resting orders as of offset %ld, committed %ld, in %ld ms", shard->partition,
        engine_orders_count(shard->engine), shard->next_offset, committed_offset, (monotonic_us() - began_us) / 1000);
    return true;
}

/* Fences first: what the predecessor had not committed is aborted then, and the committed offset is final. */
static bool prepare(struct shard *shard, struct error *e)
{
    struct snapshot_identity identity = identity_of(shard);
    int64_t began_us = monotonic_us(), fenced_us;

    if (!publisher_open(
            shard->options.kafka, shard->options.topic, shard->partition, &shard->leave, &shard->publisher, e))
        return false;
    fenced_us = monotonic_us();
    if (!read_committed_offset(shard, e) ||
        !snapshot_refuse_newer(&identity, shard->committed_offset, note_snapshot, e))
        return false;
    if (shard->engine && shard->next_offset > shard->committed_offset)
        shard_drop_state(shard); /* it followed a log that was made anew */
    if (!shard->engine && !shard_load(shard, shard->committed_offset, e))
        return false;
    log_info("partition %d: owner from offset %ld, committed %ld; %ld ms to fence, %ld ms in all", shard->partition,
        shard->next_offset, shard->committed_offset, (fenced_us - began_us) / 1000, (monotonic_us() - began_us) / 1000);
    return true;
}

/* ---- Batches ---- */

void shard_drop_messages(struct shard *shard)
{
    for (size_t i = 0; i < shard->messages_count; i++)
        rd_kafka_message_destroy(shard->messages[i]);
    shard->messages_count = shard->messages_done = 0;
}

void shard_fetch(struct shard *shard, rd_kafka_queue_t *queue, int timeout_ms)
{
    if (shard->messages_done < shard->messages_count)
        return;
    shard_drop_messages(shard);

    rd_kafka_message_t *first = rd_kafka_consume_queue(queue, timeout_ms);

    if (!first)
        return;
    shard->messages[shard->messages_count++] = first;

    ssize_t more = rd_kafka_consume_batch_queue(queue, 0, shard->messages + 1, SHARD_BATCH_MAX - 1);

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
    log_error_seldom(rd_kafka_message_errstr(message), e);
    return true;
}

/* Where the time goes. One command in SAMPLE is timed and stands for all of them: a clock costs as much as a match. */
static int64_t tell_time(const struct shard *shard)
{
    struct timespec now;

    if (shard->applied % SAMPLE != 0)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note_time(struct shard *shard, enum shard_stage stage, int64_t begin_ns, int64_t end_ns)
{
    shard->stages_ns[stage] += (uint64_t)(end_ns - begin_ns) * SAMPLE;
}

static bool do_command(struct shard *shard, const struct event *event, struct error *e)
{
    struct command command;
    int64_t begin_ns = tell_time(shard), decoded_ns, matched_ns;
    bool fine = commands_decode(shard->scratch, event, &command, e);

    decoded_ns = tell_time(shard);
    fine = fine && commands_do(shard->engine, &command, e);
    matched_ns = tell_time(shard);
    engine_flush(shard->engine);
    note_time(shard, STAGE_DECODE, begin_ns, decoded_ns);
    note_time(shard, STAGE_MATCH, decoded_ns, matched_ns);
    note_time(shard, STAGE_ENCODE, matched_ns, tell_time(shard));
    arena_clear(shard->scratch);
    return fine;
}

static void apply(struct shard *shard, const rd_kafka_message_t *message)
{
    struct event event;
    struct error refused = { 0 };
    int64_t begin_ns;

    shard->next_offset = message->offset + 1;
    shard->applied++;
    outputs_set_muted(shard->outputs, message->offset < shard->committed_offset);
    begin_ns = tell_time(shard);

    bool parsed = event_parse(message, shard->options.topic, &event, &refused);

    note_time(shard, STAGE_DECODE, begin_ns, tell_time(shard));
    if (parsed) {
        outputs_begin_command(shard->outputs, event.traceparent);
        if (do_command(shard, &event, &refused))
            return;
    }
    outputs_dead_letter(shard->outputs, message, shard->options.topic, &refused);
    if (message->offset >= shard->committed_offset)
        log_warn("partition %d offset %ld is a dead letter: %s: %s", message->partition, message->offset, refused.field,
            refused.message);
}

bool shard_apply(struct shard *shard, int64_t end_offset, size_t *ret_live, struct error *e)
{
    size_t live = 0, replayed = 0;

    while (shard->messages_done < shard->messages_count && outputs_count(shard->outputs) < BATCH_OUTPUTS_MAX) {
        const rd_kafka_message_t *message = shard->messages[shard->messages_done];

        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset >= end_offset)
            break;
        shard->messages_done++;
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
    count("engine_replayed_total", "Commands replayed muted, at a start or as a standby", replayed);
    *ret_live = live;
    return true;
}

static void show_stages(struct shard *shard)
{
    static const char *const labels[STAGES] = { "stage=\"decode\"", "stage=\"match\"", "stage=\"encode\"",
        "stage=\"produce\"", "stage=\"commit\"" };

    for (size_t i = 0; i < STAGES; i++) {
        metric_add(
            metric_counter("engine_stage_nanoseconds_total", labels[i], "Where the shards' threads spend their time"),
            shard->stages_ns[i]);
        shard->stages_ns[i] = 0;
    }
}

static bool commit(struct shard *shard, struct error *e)
{
    struct outputs_stats before, after;
    struct publisher_times times;
    size_t events = outputs_count(shard->outputs);

    if (!publisher_commit(
            shard->publisher, shard->options.consumer, shard->outputs, shard->next_offset, &shard->leave, &times, e))
        return false;
    shard->stages_ns[STAGE_PRODUCE] += (uint64_t)times.produce_us * 1000;
    shard->stages_ns[STAGE_COMMIT] += (uint64_t)times.commit_us * 1000;
    show_stages(shard);
    shard->committed_offset = shard->next_offset;
    outputs_get_stats(shard->outputs, &after);
    before = shard->counted;
    shard->counted = after;
    count("engine_batches_total", "Kafka transactions committed", 1);
    count("engine_events_total", "Events published", events);
    count("engine_fills_total", "Executions", after.fills - before.fills);
    count("engine_dead_letters_total", "Commands refused as malformed", after.dead_letters - before.dead_letters);
    metric_observe(metric_histogram("engine_commit_seconds", "", "One Kafka transaction, from begin to committed"),
        (double)(times.produce_us + times.commit_us) / 1e6);
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

static void note_written(struct shard *shard, const struct snapshot_result *result)
{
    pthread_mutex_lock(&shard->lock);
    shard->snapshot_at_us = monotonic_us();
    shard->status.snapshot_offset = result->next_offset;
    shard->status.snapshot_pause_us = result->pause_us;
    pthread_mutex_unlock(&shard->lock);
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
        log_info("partition %d: snapshot at offset %ld, %zu bytes, written in %ld ms; matching stood still for %ld us, "
                 "%ld of them on a core",
            shard->partition, result.next_offset, result.size, result.took_us / 1000, result.pause_us,
            result.pause_cpu_us);
        metric_observe(metric_histogram("engine_snapshot_pause_seconds", "", "How long a snapshot stopped matching"),
            (double)result.pause_us / 1e6);
        note_written(shard, &result);
        break;
    }
    snapshot_child_free(TAKE(shard->snapshot));
}

static bool run_batch(struct shard *shard, struct error *e)
{
    size_t live;

    shard_fetch(shard, shard->queue, SHARD_IDLE_WAIT_MS);
    if (!shard_apply(shard, INT64_MAX, &live, e))
        return false;
    if (live > 0 && !commit(shard, e))
        return false;
    outputs_clear(shard->outputs);
    look_after_snapshot(shard, false);
    if (shard->commands_since_snapshot >= shard->options.snapshot_every)
        begin_snapshot(shard);
    return true;
}

static bool run(struct shard *shard, struct error *e)
{
    while (!atomic_load(&shard->leave)) {
        shard_come_round(shard);
        if (!run_batch(shard, e))
            return false;
    }
    return true;
}

/* Only what the whole process gives up is worth waiting for: a partition that moves goes on elsewhere, warm. */
static void take_last_snapshot(struct shard *shard)
{
    look_after_snapshot(shard, true);
    if (shard->commands_since_snapshot > 0 && shard->next_offset <= shard->committed_offset)
        begin_snapshot(shard);
    look_after_snapshot(shard, true);
}

bool shard_run_owner(struct shard *shard, struct error *e)
{
    rd_kafka_queue_forward(shard->queue, NULL);

    bool fine = prepare(shard, e);

    if (fine) {
        shard_set_role(shard, SHARD_OWNER, NULL);
        fine = run(shard, e);
    }
    if (fine && atomic_load(&shard->stop))
        take_last_snapshot(shard);
    snapshot_child_free(TAKE(shard->snapshot));
    shard_drop_messages(shard);
    publisher_free(TAKE(shard->publisher));
    if (!fine)
        shard_drop_state(shard);
    return fine;
}
