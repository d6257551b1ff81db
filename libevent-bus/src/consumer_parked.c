/* consumer_parked.c -- events behind a dead letter (options.ordered): they wait in parked_events, in the transaction
 * that would have handled them, and are handled from there, one by one, once the dead letter is. A row is taken out and
 * has its effects in one transaction, fenced by the partition's position, so it happens once whoever else tries. */
#include "consumer_private.h"

#include "event_bus_sql.h"

#include <assert.h>

enum {
    LOOK_EVERY_US = 1000000,
    DUE_MAX = 100, /* keys looked at together */
    ROWS_MIN = 64,
};

/* What the attempt in hand parks, column by column; all borrowed from its messages and arena. */
struct parked_rows {
    size_t count, capacity;
    const char **topics, **ids, **sources, **types, **subjects, **traceparents, **flaws, **reasons;
    int32_t *partitions;
    int64_t *offsets, *times;
    struct bytes *keys, *values;
    bool *waiting; /* of each item of the attempt: an earlier event of its key is parked; NULL: none is */
    size_t first;  /* item of the batch that `waiting` begins with */
};

void parked_free(struct parked_rows *parking)
{
    if (!parking)
        return;
    xfree(parking->topics);
    xfree(parking->ids);
    xfree(parking->sources);
    xfree(parking->types);
    xfree(parking->subjects);
    xfree(parking->traceparents);
    xfree(parking->flaws);
    xfree(parking->reasons);
    xfree(parking->partitions);
    xfree(parking->offsets);
    xfree(parking->times);
    xfree(parking->keys);
    xfree(parking->values);
    xfree(parking);
}

static void grow(struct parked_rows *p)
{
    size_t n = p->capacity = p->capacity ? p->capacity * 2 : ROWS_MIN;
    p->topics = xrealloc(p->topics, n * sizeof *p->topics);
    p->ids = xrealloc(p->ids, n * sizeof *p->ids);
    p->sources = xrealloc(p->sources, n * sizeof *p->sources);
    p->types = xrealloc(p->types, n * sizeof *p->types);
    p->subjects = xrealloc(p->subjects, n * sizeof *p->subjects);
    p->traceparents = xrealloc(p->traceparents, n * sizeof *p->traceparents);
    p->flaws = xrealloc(p->flaws, n * sizeof *p->flaws);
    p->reasons = xrealloc(p->reasons, n * sizeof *p->reasons);
    p->partitions = xrealloc(p->partitions, n * sizeof *p->partitions);
    p->offsets = xrealloc(p->offsets, n * sizeof *p->offsets);
    p->times = xrealloc(p->times, n * sizeof *p->times);
    p->keys = xrealloc(p->keys, n * sizeof *p->keys);
    p->values = xrealloc(p->values, n * sizeof *p->values);
}

static void add(struct consumer *consumer, const struct event *event, const char *flaw, const char *reason)
{
    struct parked_rows *p = consumer->parking;
    if (p->count == p->capacity)
        grow(p);
    size_t i = p->count++;
    p->topics[i] = event->topic;
    p->partitions[i] = event->partition;
    p->offsets[i] = event->offset;
    p->keys[i] = event->key;
    p->ids[i] = event->id;
    p->sources[i] = event->source;
    p->types[i] = event->type;
    p->subjects[i] = event->subject;
    p->traceparents[i] = event->traceparent;
    p->times[i] = event->time_us;
    p->values[i] = event->value;
    p->flaws[i] = flaw;
    p->reasons[i] = reason;
}

/* ---- Parking ---- */

static bool ask_waiting(struct consumer *consumer, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct batch *batch = &consumer->batch;
    struct parked_rows *parking = consumer->parking;
    const char **topics = arena_alloc(consumer->arena, batch->attempt * sizeof *topics);
    int32_t *partitions = arena_alloc(consumer->arena, batch->attempt * sizeof *partitions);
    struct bytes *keys = arena_alloc(consumer->arena, batch->attempt * sizeof *keys);
    for (size_t i = 0; i < batch->attempt; i++) {
        const struct item *item = &batch->items[batch->done + i];
        topics[i] = consumer->options->topics[item->partition->topic];
        partitions[i] = item->partition->number;
        keys[i] = (struct bytes){ item->message->key, item->message->key_len };
    }
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_texts(consumer->pg, topics, batch->attempt);
    pg_arg_int32s(consumer->pg, partitions, batch->attempt);
    pg_arg_blobs(consumer->pg, keys, batch->attempt);
    if (!pg_query(consumer->pg, &sql_event_bus_parked_keys, &rows, e))
        return false;
    parking->waiting = arena_alloc(consumer->arena, batch->attempt * sizeof *parking->waiting);
    memset(parking->waiting, 0, batch->attempt * sizeof *parking->waiting);
    for (size_t i = 0; i < pg_rows(rows); i++)
        parking->waiting[pg_get_int64(rows, i, 0) - 1] = true;
    return true;
}

bool parked_begin(struct consumer *consumer, struct error *e)
{
    if (!consumer->options->ordered)
        return true;
    if (!consumer->parking)
        consumer->parking = xcalloc(1, sizeof *consumer->parking);
    consumer->parking->count = 0;
    consumer->parking->waiting = NULL;
    consumer->parking->first = consumer->batch.done;
    return !consumer->parked || ask_waiting(consumer, e);
}

static bool same_key(const struct bytes a, const struct bytes b)
{
    return a.data && b.data && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool was_added(const struct consumer *consumer, const struct event *event)
{
    const struct parked_rows *p = consumer->parking;
    for (size_t i = 0; i < p->count; i++)
        if (p->partitions[i] == event->partition && same_key(p->keys[i], event->key) &&
            strcmp(p->topics[i], event->topic) == 0)
            return true;
    return false;
}

static const char *flaw_text(struct consumer *consumer, const struct error *flaw)
{
    return error_is(flaw, ERROR_NONE) ? NULL : arena_strdup(consumer->arena, flaw->message);
}

bool parked_waits(struct consumer *consumer, size_t item, const struct event *event, const struct error *flaw)
{
    const struct parked_rows *parking = consumer->parking;
    if (!consumer->options->ordered)
        return false;
    if (!(parking->waiting && parking->waiting[item - parking->first]) && !was_added(consumer, event))
        return false;
    add(consumer, event, flaw_text(consumer, flaw), NULL);
    return true;
}

void parked_add(struct consumer *consumer, const struct event *event, const struct error *reason, bool flaw)
{
    if (!consumer->options->ordered)
        return;
    const char *text = arena_strdup(consumer->arena, reason->message);
    add(consumer, event, flaw ? text : NULL, text);
}

bool parked_write(struct consumer *consumer, struct error *e)
{
    const struct parked_rows *p = consumer->parking;
    if (!consumer->options->ordered || p->count == 0)
        return true;
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_texts(consumer->pg, p->topics, p->count);
    pg_arg_int32s(consumer->pg, p->partitions, p->count);
    pg_arg_int64s(consumer->pg, p->offsets, p->count);
    pg_arg_blobs(consumer->pg, p->keys, p->count);
    pg_arg_texts(consumer->pg, p->ids, p->count);
    pg_arg_texts(consumer->pg, p->sources, p->count);
    pg_arg_texts(consumer->pg, p->types, p->count);
    pg_arg_texts(consumer->pg, p->subjects, p->count);
    pg_arg_texts(consumer->pg, p->traceparents, p->count);
    pg_arg_int64s(consumer->pg, p->times, p->count);
    pg_arg_blobs(consumer->pg, p->values, p->count);
    pg_arg_texts(consumer->pg, p->flaws, p->count);
    pg_arg_texts(consumer->pg, p->reasons, p->count);
    return pg_send(consumer->pg, &sql_event_bus_parked_insert, NULL, e);
}

void parked_committed(struct consumer *consumer)
{
    if (!consumer->options->ordered || consumer->parking->count == 0)
        return;
    consumer->parked = true;
    atomic_fetch_add(&consumer->parked_count, (int64_t)consumer->parking->count);
    consumer->parking->count = 0;
}

/* ---- And back ---- */

static void arg_row(struct consumer *consumer, const struct event *event)
{
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_text(consumer->pg, event->topic);
    pg_arg_int32(consumer->pg, event->partition);
    pg_arg_int64(consumer->pg, event->offset);
}

static struct bytes column_bytes(const struct pg_result *rows, size_t column)
{
    struct bytes value = pg_get_bytes(rows, 0, column);
    if (!pg_is_null(rows, 0, column) && !value.data)
        value.data = ""; /* empty is not absent */
    return pg_is_null(rows, 0, column) ? (struct bytes){ 0 } : value;
}

static void fill_event(const struct pg_result *rows, struct event *event)
{
    event->key = column_bytes(rows, 0);
    event->id = pg_get_text(rows, 0, 1);
    event->source = pg_get_text(rows, 0, 2);
    event->type = pg_get_text(rows, 0, 3);
    event->subject = pg_get_text(rows, 0, 4);
    event->traceparent = pg_get_text(rows, 0, 5);
    event->time_us = pg_get_int64(rows, 0, 6);
    event->value = column_bytes(rows, 7);
}

/* The event's effects, unless it is refused: then *refusal says why, and nothing of the transaction may stay. */
static bool handle_one(struct consumer *consumer, struct delivery *delivery, struct error *refusal, struct error *e)
{
    const struct consumer_options *options = consumer->options;
    struct error failure = { 0 };
    error_clear(&delivery->verdict);
    if (options->handle(consumer->pg, consumer->outbox, delivery, 1, options->context, &failure))
        failure = delivery->verdict;
    switch (failure.kind) {
    case ERROR_NONE:
        return true;
    case ERROR_TRANSIENT:
    case ERROR_FATAL:
        *e = failure;
        return false;
    default:
        *refusal = failure;
        return true;
    }
}

/* A statement that the handler queued may be what fails, at the commit: that too says something of the event. */
static bool commit_one(struct consumer *consumer, struct error *refusal, struct error *e)
{
    struct error failure = { 0 };
    if (outbox_write(consumer->outbox, consumer->pg, &failure) && pg_commit(consumer->pg, &failure))
        return true;
    if (failure.kind == ERROR_TRANSIENT || failure.kind == ERROR_FATAL)
        *e = failure;
    else
        *refusal = failure;
    return !error_is(refusal, ERROR_NONE);
}

static bool take_one(struct consumer *consumer, struct partition *partition, struct delivery *delivery,
    struct pg_result **ret_rows, struct error *refusal, struct error *e)
{
    if (!pg_begin(consumer->pg, e) || !position_fence(consumer, partition, e))
        return false;
    arg_row(consumer, &delivery->event);
    if (!pg_query(consumer->pg, &sql_event_bus_parked_take, ret_rows, e))
        return false;
    if (pg_rows(*ret_rows) == 0)
        return error_set(e, ERROR_TRANSIENT, "someone else has taken %s[%d]@%lld out of the parked events",
            delivery->event.topic, delivery->event.partition, (long long)delivery->event.offset);
    fill_event(*ret_rows, &delivery->event);
    if (!pg_is_null(*ret_rows, 0, 8)) {
        error_set(refusal, ERROR_INVALID, "%s", pg_get_text(*ret_rows, 0, 8));
        return true;
    }
    if (!handle_one(consumer, delivery, refusal, e))
        return false;
    crash_point("consumer.unparked");
    return !error_is(refusal, ERROR_NONE) || commit_one(consumer, refusal, e);
}

/* It stays parked, with the reason, and is a dead letter (again). */
static bool refuse_one(struct consumer *consumer, struct partition *partition, const struct event *event,
    const struct error *refusal, struct error *e)
{
    if (!pg_begin(consumer->pg, e) || !position_fence(consumer, partition, e))
        return false;
    arg_row(consumer, event);
    pg_arg_text(consumer->pg, refusal->message);
    if (!pg_send(consumer->pg, &sql_event_bus_parked_refuse, NULL, e))
        return false;
    dead_letter(consumer, event, refusal);
    return outbox_write(consumer->outbox, consumer->pg, e) && pg_commit(consumer->pg, e);
}

static bool retry_one(
    struct consumer *consumer, struct partition *partition, struct delivery *delivery, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL; /* the event borrows from it */
    struct error refusal = { 0 };
    consumer->batch.dead_letters = 0;
    outbox_clear(consumer->outbox);
    bool ok = take_one(consumer, partition, delivery, &rows, &refusal, e);
    if (!ok || !error_is(&refusal, ERROR_NONE)) {
        pg_rollback(consumer->pg);
        outbox_clear(consumer->outbox);
    }
    if (ok && !error_is(&refusal, ERROR_NONE)) {
        ok = refuse_one(consumer, partition, &delivery->event, &refusal, e);
        if (!ok)
            pg_rollback(consumer->pg);
        else
            atomic_fetch_add(&consumer->dead_letters, consumer->batch.dead_letters);
    } else if (ok && consumer->options->committed) {
        consumer->options->committed(consumer->options->context);
    }
    return ok;
}

/* *ret_rows: what is due. */
static bool look(struct consumer *consumer, struct pg_result **ret_rows, struct error *e)
{
    size_t count = 0;
    const char **topics = arena_alloc(consumer->arena, consumer->partition_count * sizeof *topics);
    int32_t *partitions = arena_alloc(consumer->arena, consumer->partition_count * sizeof *partitions);
    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct partition *partition = &consumer->partition_table[i];
        if (!partition->assigned)
            continue;
        topics[count] = consumer->options->topics[partition->topic];
        partitions[count++] = partition->number;
    }
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_texts(consumer->pg, topics, count);
    pg_arg_int32s(consumer->pg, partitions, count);
    pg_arg_int64(consumer->pg, DUE_MAX);
    if (!pg_query(consumer->pg, &sql_event_bus_parked_due, ret_rows, e))
        return false;
    consumer->parked = pg_get_int64(*ret_rows, 0, 0) > 0;
    atomic_store(&consumer->parked_count, pg_get_int64(*ret_rows, 0, 0));
    return true;
}

static struct partition *find(struct consumer *consumer, const struct event *event)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *partition = &consumer->partition_table[i];
        if (partition->assigned && partition->number == event->partition &&
            strcmp(consumer->options->topics[partition->topic], event->topic) == 0)
            return partition;
    }
    return NULL;
}

static bool retry_all(struct consumer *consumer, size_t *ret_count, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    *ret_count = 0;
    if (!look(consumer, &rows, e))
        return false;
    for (size_t i = 0; i < pg_rows(rows) && !pg_is_null(rows, i, 1) && !atomic_load(&consumer->stopping); i++) {
        struct delivery delivery = { .event = { .topic = pg_get_text(rows, i, 1),
                                         .partition = (int32_t)pg_get_int64(rows, i, 2),
                                         .offset = pg_get_int64(rows, i, 3) } };
        struct partition *partition = find(consumer, &delivery.event);
        assert(partition);
        if (!retry_one(consumer, partition, &delivery, e))
            return false;
        ++*ret_count;
    }
    return true;
}

bool parked_retry(struct consumer *consumer, struct error *e)
{
    struct error failure = { 0 };
    size_t count;
    if (!consumer->options->ordered || !consumer->parked || monotonic_us() < consumer->parked_look_us)
        return true;
    if (retry_all(consumer, &count, &failure)) {
        consumer->parked_look_us = count > 0 ? 0 : monotonic_us() + LOOK_EVERY_US;
        return true;
    }
    consumer->parked_look_us = monotonic_us() + LOOK_EVERY_US;
    atomic_fetch_add(&consumer->retries, 1);
    if (error_is(&failure, ERROR_FATAL)) {
        *e = failure;
        return false;
    }
    consumer_tell_error(consumer, &failure);
    return true;
}
