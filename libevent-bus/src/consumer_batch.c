/* consumer_batch.c -- one batch, one transaction: effects, outbox, dead letters and positions together.
 *
 * A failed attempt is never trusted to have failed: the next one begins by reading where the rows stand. That settles a
 * commit whose outcome is unknown and a partition that another consumer has taken with the same few lines.
 * A batch that the handler refuses is halved until the culprit stands alone; after each success the size doubles again,
 * so one culprit among n costs about 2 log2(n) transactions. */
#include "consumer_private.h"

#include <assert.h>

void batch_init(struct batch *batch, size_t max)
{
    *batch = (struct batch){
        .messages = xcalloc(max, sizeof *batch->messages),
        .partitions = xcalloc(max, sizeof *batch->partitions),
        .traces = xcalloc(max, sizeof *batch->traces),
        .deliveries = xcalloc(max, sizeof *batch->deliveries),
    };
}

void batch_release(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        rd_kafka_message_destroy(batch->messages[i]);
    xfree(batch->messages);
    xfree(batch->partitions);
    xfree(batch->traces);
    xfree(batch->deliveries);
    *batch = (struct batch){ 0 };
}

void batch_add(struct batch *batch, rd_kafka_message_t *message, struct partition *partition)
{
    batch->messages[batch->count] = message;
    batch->traces[batch->count] = (struct trace){ 0 };
    batch->partitions[batch->count++] = partition;
}

static void untouch_partitions(struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++)
        consumer->partition_table[i].attempted = -1;
}

static void clear(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    for (size_t i = 0; i < batch->count; i++)
        rd_kafka_message_destroy(batch->messages[i]);
    untouch_partitions(consumer);
    batch->count = batch->done = batch->attempt = 0;
    batch->attempt_max = consumer->batch_max;
    batch->unverified = batch->commit_unknown = false;
    batch->conflicts = 0;
    error_clear(&batch->culprit);
}

void batch_drop(struct consumer *consumer)
{
    consumer_release(consumer);
    clear(consumer);
}

/* ---- An attempt ---- */

static void touch_partitions(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    untouch_partitions(consumer);
    for (size_t i = batch->done; i < batch->done + batch->attempt; i++) {
        assert(batch->messages[i]->offset >= batch->partitions[i]->next_offset);
        batch->partitions[i]->attempted = batch->messages[i]->offset + 1;
    }
}

/* The trace begins at the door: what an event causes can be joined even if its writer knew nothing of traces. */
static void begin_trace(struct trace *trace, struct event *event)
{
    if (event->traceparent[0])
        return;
    if (!trace->parent[0])
        trace_new(trace);
    event->traceparent = trace->parent;
}

/* The events for the handler. The others are dead letters already. */
static size_t parse(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    size_t parsed = 0;
    for (size_t i = batch->done; i < batch->done + batch->attempt; i++) {
        struct delivery *delivery = &batch->deliveries[parsed];
        const char *topic = consumer->options->topics[batch->partitions[i]->topic];
        error_clear(&delivery->verdict);
        bool well_formed = event_parse(batch->messages[i], topic, &delivery->event, &delivery->verdict);
        if (consumer->pg)
            begin_trace(&batch->traces[i], &delivery->event);
        if (!well_formed)
            dead_letter(consumer, &delivery->event, &delivery->verdict);
        else if (!error_is(&batch->culprit, ERROR_NONE))
            dead_letter(consumer, &delivery->event, &batch->culprit);
        else
            parsed++;
    }
    return parsed;
}

static bool judge(struct consumer *consumer, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        const struct delivery *delivery = &consumer->batch.deliveries[i];
        switch (delivery->verdict.kind) {
        case ERROR_NONE:
            break;
        case ERROR_TRANSIENT: /* says nothing about the event */
        case ERROR_FATAL:
            *e = delivery->verdict;
            return false;
        default:
            dead_letter(consumer, &delivery->event, &delivery->verdict);
        }
    }
    return true;
}

static bool handle(struct consumer *consumer, struct error *e)
{
    const struct consumer_options *options = consumer->options;
    consumer->batch.dead_letters = 0;
    size_t parsed = parse(consumer);
    if (parsed == 0)
        return true;
    return options->handle(consumer->pg, consumer->outbox, consumer->batch.deliveries, parsed, options->context, e) &&
           judge(consumer, parsed, e);
}

static bool handle_in_transaction(struct consumer *consumer, struct error *e)
{
    outbox_clear(consumer->outbox);
    if (!pg_begin(consumer->pg, e) || !position_advance(consumer, e) || !handle(consumer, e) ||
        !outbox_write(consumer->outbox, consumer->pg, e))
        return false;
    crash_point("consumer.handled");
    if (!pg_commit(consumer->pg, e))
        return false;
    crash_point("consumer.committed");
    return true;
}

/* ---- What became of it ---- */

static void succeeded(struct consumer *consumer, size_t *ret_count)
{
    struct batch *batch = &consumer->batch;
    position_advanced(consumer);
    *ret_count = batch->attempt;
    batch->done += batch->attempt;
    batch->attempt_max = batch->attempt_max * 2 > consumer->batch_max ? consumer->batch_max : batch->attempt_max * 2;
    batch->unverified = batch->commit_unknown = false;
    batch->conflicts = 0;
    error_clear(&batch->culprit);
    atomic_fetch_add(&consumer->events, batch->attempt);
    atomic_fetch_add(&consumer->batches, 1);
    atomic_fetch_add(&consumer->dead_letters, batch->dead_letters);
    atomic_store(&consumer->last_progress_us, now_us());
    if (consumer->options->committed)
        consumer->options->committed(consumer->options->context);
    if (batch->done < batch->count)
        return;
    clear(consumer);
    consumer_release(consumer);
}

/* Whether the reason lies in the events, and not in the moment. */
static bool blames_event(struct batch *batch, const struct error *e)
{
    switch (e->kind) {
    case ERROR_NONE:
    case ERROR_TRANSIENT:
    case ERROR_FATAL:
        return false;
    case ERROR_CONFLICT:
        return batch->conflicts++ >= CONFLICT_RETRIES_MAX;
    default:
        return true;
    }
}

/* true: try again at once. */
static bool failed(struct consumer *consumer, struct error *e)
{
    struct batch *batch = &consumer->batch;
    if (consumer->pg) {
        pg_rollback(consumer->pg);
        outbox_clear(consumer->outbox);
        batch->unverified = true;
        batch->commit_unknown |= e->code == PG_CODE_COMMIT_UNKNOWN;
    }
    consumer_hold(consumer);
    if (error_is(e, ERROR_FATAL))
        return false;
    atomic_fetch_add(&consumer->retries, 1);
    if (!blames_event(batch, e)) {
        e->kind = ERROR_TRANSIENT;
        return false;
    }
    if (!error_is(&batch->culprit, ERROR_NONE)) {
        e->kind = ERROR_FATAL; /* not even the dead letter can be written: going on would lose the event */
        return false;
    }
    if (batch->attempt > 1) {
        batch->attempt_max = batch->attempt / 2;
        consumer_tell_error(consumer, e);
    } else {
        batch->culprit = *e;
    }
    return true;
}

/* Settles the attempt that failed last. The batch may be gone afterwards. */
static bool settle(struct consumer *consumer, size_t *ret_count, struct error *e)
{
    struct batch *batch = &consumer->batch;
    enum position_verdict verdict;
    if (!position_verify(consumer, &verdict, e))
        return failed(consumer, e);
    if (verdict == POSITION_UNMOVED) {
        batch->unverified = false;
    } else if (verdict == POSITION_MOVED && batch->commit_unknown) {
        consumer_say(consumer, "a commit of unknown outcome had succeeded");
        succeeded(consumer, ret_count);
    } else {
        consumer_say(consumer, "another consumer has moved a position: reading again from the rows");
        batch_drop(consumer);
        consumer->state = POSITIONING;
    }
    return true;
}

bool batch_attempt(struct consumer *consumer, size_t *ret_count, struct error *e)
{
    struct batch *batch = &consumer->batch;
    if (batch->unverified)
        return settle(consumer, ret_count, e);

    size_t left = batch->count - batch->done;
    batch->attempt = left < batch->attempt_max ? left : batch->attempt_max;
    assert(batch->attempt > 0);
    touch_partitions(consumer);
    if (!(consumer->pg ? handle_in_transaction(consumer, e) : handle(consumer, e)))
        return failed(consumer, e);
    succeeded(consumer, ret_count);
    return true;
}
