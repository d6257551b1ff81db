/* recorder.c -- see recorder.h. */
#include "recorder.h"

#include "trades_v1.pb-c.h"

#include <event_bus/consumer.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct sample {
    uint64_t order_id;
    int64_t at_us;
};

struct samples {
    struct sample *items;
    size_t count, capacity;
};

struct recorder {
    struct samples answers, placed, traded;
    char *prefix, *brokers;
    struct consumer_options options;
    struct consumer *consumer;
    pthread_t thread;
    bool reading;
};

static const char *const topics[] = { "trades.v1", NULL };

static void add(struct samples *samples, uint64_t order_id, int64_t at_us)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 65536;
        samples->items = xrealloc(samples->items, samples->capacity * sizeof *samples->items);
    }
    samples->items[samples->count++] = (struct sample){ order_id, at_us };
}

static bool on_trades(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)outbox, (void)e;
    struct recorder *recorder = context;
    int64_t now = monotonic_us();
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *message;
        if (!event_decode(&deliveries[i].event, &penstock__trades__v1__trade_executed__descriptor, &message,
                &deliveries[i].verdict))
            continue;
        add(&recorder->traded, ((Penstock__Trades__V1__TradeExecuted *)message)->taker_order_id, now);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return true;
}

static void *read_trades(void *context)
{
    struct recorder *recorder = context;
    struct error e = { 0 };
    if (!consumer_run(recorder->consumer, &e))
        fprintf(stderr, "penstock-load: trades: %s\n", e.message);
    return NULL;
}

bool recorder_open(const char *brokers, const char *prefix, struct recorder **ret, struct error *e)
{
    CLEANUP(recorder_free) struct recorder *recorder = xcalloc(1, sizeof *recorder);
    if (brokers) {
        recorder->brokers = xstrdup(brokers);
        recorder->prefix = xstrdup(prefix);
        recorder->options = (struct consumer_options){
            .kafka = { .brokers = recorder->brokers, .topic_prefix = recorder->prefix, .client_id = "penstock-load" },
            .group = "penstock-load",
            .topics = topics,
            .handle = on_trades,
            .context = recorder,
            .from_end = true
        };
        if (!consumer_open(&recorder->options, &recorder->consumer, e))
            return false;
        if (pthread_create(&recorder->thread, NULL, read_trades, recorder) != 0)
            return error_set(e, ERROR_FATAL, "no thread");
        recorder->reading = true;
        sleep(2); /* until partitions are assigned: an earlier trade would only be missed, not mismeasured */
    }
    *ret = TAKE(recorder);
    return true;
}

void recorder_settle(struct recorder *recorder, uint32_t wait_ms)
{
    if (!recorder->reading)
        return;
    usleep(wait_ms * 1000);
    consumer_stop(recorder->consumer);
    pthread_join(recorder->thread, NULL);
    recorder->reading = false;
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder)
        return;
    recorder_settle(recorder, 0);
    consumer_free(recorder->consumer);
    xfree(recorder->answers.items);
    xfree(recorder->placed.items);
    xfree(recorder->traded.items);
    xfree(recorder->brokers);
    xfree(recorder->prefix);
    xfree(recorder);
}

void recorder_answer(struct recorder *recorder, int64_t latency_us)
{
    add(&recorder->answers, 0, latency_us);
}

void recorder_placed(struct recorder *recorder, uint64_t order_id, int64_t started_us)
{
    add(&recorder->placed, order_id, started_us);
}

static int by_order_then_time(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;
    if (a->order_id != b->order_id)
        return a->order_id < b->order_id ? -1 : 1;
    return (a->at_us > b->at_us) - (a->at_us < b->at_us);
}

/* All samples have order_id 0: sorts by time. */
static void summarise(struct samples *samples, struct recorder_summary *ret)
{
    qsort(samples->items, samples->count, sizeof *samples->items, by_order_then_time);
    *ret = (struct recorder_summary){ .count = samples->count };
    if (samples->count > 0) {
        ret->p50_us = samples->items[samples->count / 2].at_us;
        ret->p99_us = samples->items[samples->count - 1 - samples->count / 100].at_us;
    }
}

void recorder_summary(
    struct recorder *recorder, struct recorder_summary *ret_answers, struct recorder_summary *ret_fills)
{
    struct samples fills = { 0 };
    struct samples *placed = &recorder->placed, *traded = &recorder->traded;
    if (placed->count > 0)
        qsort(placed->items, placed->count, sizeof *placed->items, by_order_then_time);
    if (traded->count > 0)
        qsort(traded->items, traded->count, sizeof *traded->items, by_order_then_time);
    for (size_t p = 0, t = 0; p < placed->count && t < traded->count;) {
        if (placed->items[p].order_id < traded->items[t].order_id) {
            p++;
        } else if (placed->items[p].order_id > traded->items[t].order_id) {
            t++;
        } else {
            add(&fills, 0, traded->items[t].at_us - placed->items[p].at_us);
            p++;
        }
    }
    *ret_answers = *ret_fills = (struct recorder_summary){ 0 };
    if (recorder->answers.count > 0)
        summarise(&recorder->answers, ret_answers);
    if (fills.count > 0)
        summarise(&fills, ret_fills);
    xfree(fills.items);
}
