/* consumer_batch.c -- one batch, one transaction: effects, outbox, dead letters and positions together.
 *
 * A failed attempt is never trusted to have failed: the next one begins by reading where the rows stand. That settles a
 * commit whose outcome is unknown and a partition that another consumer has taken with the same few lines.
 * A batch that the handler refuses is halved until the culprit stands alone; after each success the size doubles again,
 * so one culprit among n costs about 2 log2(n) transactions. What may pass delays only the partition that has it:
 * consumer_delay.c. */
#include "consumer_private.h"

#include <assert.h>

void batch_init(struct batch *batch, size_t max)
{
    *batch = (struct batch){
        .items = xcalloc(max, sizeof *batch->items),
        .deliveries = xcalloc(max, sizeof *batch->deliveries),
        .origins = xcalloc(max, sizeof *batch->origins),
    };
}

void batch_release(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        rd_kafka_message_destroy(batch->items[i].message);
    xfree(batch->items);
    xfree(batch->deliveries);
    xfree(batch->origins);
    *batch = (struct batch){ 0 };
}

void batch_add(struct batch *batch, rd_kafka_message_t *message, struct partition *partition)
{
    batch->items[batch->count++] = (struct item){ .message = message, .partition = partition };
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
        rd_kafka_message_destroy(batch->items[i].message);
    untouch_partitions(consumer);
    batch->count = batch->done = batch->attempt = 0;
    batch->attempt_max = consumer->batch_max;
    batch->unverified = batch->commit_unknown = batch->isolating = false;
    batch->conflicts = 0;
    error_clear(&batch->passing);
    consumer->encoded = false;
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
        const struct item *item = &batch->items[i];
        bool last = i + 1 == batch->done + batch->attempt || batch->items[i + 1].partition != item->partition;
        assert(item->message->offset >= item->partition->next_offset);
        item->partition->attempted = item->message->offset + 1;
        if (!last || !consumer->pg)
            continue;
        item->partition->attempted_last = item->message->offset;
        item->partition->attempted_digest = position_digest(item->message);
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

/* The events for the handler. The others are dead letters already, wait behind one, or were handled before. */
static size_t parse(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    size_t parsed = 0;
    for (size_t i = batch->done; i < batch->done + batch->attempt; i++) {
        struct item *item = &batch->items[i];
        struct delivery *delivery = &batch->deliveries[parsed];
        const char *topic = consumer->options->topics[item->partition->topic];
        error_clear(&delivery->verdict);
        bool well_formed = event_parse(item->message, topic, &delivery->event, &delivery->verdict);
        const struct error *reason = well_formed ? &item->dead : &delivery->verdict;
        if (consumer->grouped)
            begin_trace(&item->trace, &delivery->event);
        if (well_formed && sequence_repeats(consumer, item, &delivery->event))
            continue;
        if (parked_waits(consumer, i, &delivery->event, &delivery->verdict))
            continue;
        if (!error_is(reason, ERROR_NONE)) {
            dead_letter(consumer, &delivery->event, reason);
            parked_add(consumer, &delivery->event, reason, !well_formed);
            continue;
        }
        batch->origins[parsed++] = i;
    }
    return parsed;
}

/* Whether a later event of the same key was handled with it, as if there were nothing to wait for. */
static bool is_followed(const struct consumer *consumer, size_t at, size_t count)
{
    const struct delivery *deliveries = consumer->batch.deliveries;
    const struct event *event = &deliveries[at].event;
    if (!consumer->options->ordered || !event->key.data)
        return false;
    for (size_t i = at + 1; i < count; i++) {
        const struct event *other = &deliveries[i].event;
        if (other->partition == event->partition && other->key.data && other->key.len == event->key.len &&
            memcmp(other->key.data, event->key.data, event->key.len) == 0 && strcmp(other->topic, event->topic) == 0)
            return true;
    }
    return false;
}

static bool judge_one(struct consumer *consumer, size_t at, size_t count, struct error *e)
{
    struct batch *batch = &consumer->batch;
    const struct delivery *delivery = &batch->deliveries[at];
    switch (delivery->verdict.kind) {
    case ERROR_NONE:
        return true;
    case ERROR_TRANSIENT: /* says nothing about the event */
    case ERROR_FATAL:
        *e = delivery->verdict;
        return false;
    default:
        break;
    }
    if (is_followed(consumer, at, count)) { /* all over again, with those behind it parked */
        batch->items[batch->origins[at]].dead = delivery->verdict;
        batch->again = true;
        return true;
    }
    dead_letter(consumer, &delivery->event, &delivery->verdict);
    parked_add(consumer, &delivery->event, &delivery->verdict, false);
    return true;
}

static bool judge(struct consumer *consumer, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++)
        if (!judge_one(consumer, i, count, e))
            return false;
    return !consumer->batch.again || error_set(e, ERROR_TRANSIENT, "later events of a dead letter's key have to wait");
}

static bool handle(struct consumer *consumer, struct error *e)
{
    const struct consumer_options *options = consumer->options;
    consumer->batch.dead_letters = 0;
    sequence_begin(consumer);
    size_t parsed = parse(consumer);
    if (parsed == 0)
        return true;
    return options->handle(consumer->pg, consumer->outbox, consumer->batch.deliveries, parsed, options->context, e) &&
           judge(consumer, parsed, e);
}

static bool handle_in_transaction(struct consumer *consumer, struct error *e)
{
    outbox_clear(consumer->outbox);
    if (!pg_begin(consumer->pg, e) || !position_advance(consumer, e) || !parked_begin(consumer, e) ||
        !handle(consumer, e) || !parked_write(consumer, e) || !sequence_write(consumer, e) ||
        !outbox_write(consumer->outbox, consumer->pg, e))
        return false;
    crash_point("consumer.handled");
    if (!pg_commit(consumer->pg, e))
        return false;
    crash_point("consumer.committed");
    return true;
}

/* Into Kafka. What is encoded already is sent again as it is. */
static bool handle_and_publish(struct consumer *consumer, struct error *e)
{
    if (!consumer->encoded) {
        outbox_clear(consumer->outbox);
        if (!handle(consumer, e))
            return false;
        consumer->encoded = true;
        consumer->encoded_us = now_us();
    }
    crash_point("publish.handled");
    return publish_batch(consumer, e);
}

static bool attempt(struct consumer *consumer, struct error *e)
{
    return consumer->pg         ? handle_in_transaction(consumer, e)
           : consumer->producer ? handle_and_publish(consumer, e)
                                : handle(consumer, e);
}

/* ---- What became of it ---- */

static void succeeded(struct consumer *consumer, size_t *ret_count)
{
    struct batch *batch = &consumer->batch;
    position_advanced(consumer);
    delay_succeeded(consumer);
    parked_committed(consumer);
    sequence_committed(consumer);
    *ret_count = batch->attempt;
    batch->done += batch->attempt;
    batch->attempt_max = batch->attempt_max * 2 > consumer->batch_max ? consumer->batch_max : batch->attempt_max * 2;
    batch->unverified = batch->commit_unknown = false;
    batch->conflicts = 0;
    error_clear(&batch->passing);
    consumer->encoded = false;
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

static bool find_culprit(struct consumer *consumer, struct error *e)
{
    struct batch *batch = &consumer->batch;
    struct item *item = &batch->items[batch->done];
    if (batch->attempt > 1) {
        batch->attempt_max = batch->attempt / 2;
        consumer_tell_error(consumer, e);
        return true;
    }
    if (!error_is(&item->dead, ERROR_NONE)) {
        e->kind = ERROR_FATAL; /* not even the dead letter can be written: going on would lose the event */
        return false;
    }
    item->dead = *e;
    return true;
}

static void roll_back(struct consumer *consumer, const struct error *e)
{
    struct batch *batch = &consumer->batch;
    pg_rollback(consumer->pg);
    outbox_clear(consumer->outbox);
    batch->unverified = true;
    batch->commit_unknown |= e->code == PG_CODE_COMMIT_UNKNOWN;
}

/* The attempt failed. true: try again at once. */
static bool failed(struct consumer *consumer, struct error *e)
{
    struct batch *batch = &consumer->batch;
    bool again = batch->again;
    batch->again = false;
    if (consumer->pg)
        roll_back(consumer, e);
    consumer_hold(consumer);
    if (error_is(e, ERROR_FATAL))
        return false;
    if (again)
        return true;
    atomic_fetch_add(&consumer->retries, 1);
    if (blames_event(batch, e)) {
        consumer->encoded = false;
        return find_culprit(consumer, e);
    }
    e->kind = ERROR_TRANSIENT;
    if (!consumer->pg)
        return false;
    batch->passing = *e; /* whether it is the database, or one partition's, shows when the rows are asked */
    return true;
}

/* Settles the attempt that failed last. The batch may be gone afterwards. true: go on at once. */
static bool settle(struct consumer *consumer, size_t *ret_count, struct error *e)
{
    struct batch *batch = &consumer->batch;
    enum position_verdict verdict;
    if (!position_verify(consumer, &verdict, e)) {
        roll_back(consumer, e);
        atomic_fetch_add(&consumer->retries, 1);
        e->kind = error_is(e, ERROR_FATAL) ? ERROR_FATAL : ERROR_TRANSIENT;
        return false;
    }
    if (verdict == POSITION_UNMOVED) {
        struct error passing = batch->passing;
        batch->unverified = false;
        error_clear(&batch->passing);
        if (error_is(&passing, ERROR_NONE) || delay_failed(consumer, &passing))
            return true;
        *e = passing;
        return false;
    }
    if (verdict == POSITION_MOVED && batch->commit_unknown) {
        consumer_say(consumer, "a commit of unknown outcome had succeeded");
        succeeded(consumer, ret_count);
    } else {
        consumer_say(consumer, "another consumer has moved a position: reading again from the rows");
        batch_drop(consumer);
        consumer->state = POSITIONING;
    }
    return true;
}

/* How many items the next attempt takes. */
static size_t choose(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    const struct partition *partition = batch->items[batch->done].partition;
    size_t left = batch->count - batch->done, max = batch->attempt_max, run = 1;
    if (!batch->isolating)
        return left < max ? left : max;
    if (partition->failures > 0 && partition->attempt_max < max)
        max = partition->attempt_max;
    while (run < left && run < max && batch->items[batch->done + run].partition == partition)
        run++;
    return run;
}

static bool holds_failing(const struct batch *batch)
{
    for (size_t i = batch->done; i < batch->count; i++)
        if (batch->items[i].partition->failures > 0)
            return true;
    return false;
}

bool batch_attempt(struct consumer *consumer, size_t *ret_count, struct error *e)
{
    struct batch *batch = &consumer->batch;
    if (batch->unverified)
        return settle(consumer, ret_count, e);

    if (consumer->pg && !batch->isolating && holds_failing(batch))
        delay_isolate(consumer);
    batch->attempt = choose(consumer);
    assert(batch->attempt > 0);
    if (batch->attempt < batch->count - batch->done)
        consumer_hold(consumer); /* the rest is kept: nothing may come to it */
    touch_partitions(consumer);
    if (!attempt(consumer, e))
        return failed(consumer, e);
    succeeded(consumer, ret_count);
    return true;
}
