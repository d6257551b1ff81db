/* recorder.h -- latencies of answers, and of fills: from the POST of an order to its first trade as taker arriving from
 * trades.v1. recorder_placed() and recorder_answer() from one thread; a thread of its own reads Kafka. */
#pragma once

#include <event_bus/error.h>

struct recorder;

struct recorder_summary {
    uint64_t count;
    int64_t p50_us, p99_us;
};

/* brokers NULL: no fills. */
MUST_CHECK bool recorder_open(const char *brokers, const char *prefix, struct recorder **ret, struct error *e);
void recorder_free(struct recorder *recorder);
DEFINE_CLEANUP(struct recorder *, recorder_free)

void recorder_answer(struct recorder *recorder, int64_t latency_us);
void recorder_placed(struct recorder *recorder, uint64_t order_id, int64_t started_us); /* monotonic */
void recorder_settle(struct recorder *recorder, uint32_t wait_ms); /* lets the last trades arrive, then stops reading */
void recorder_summary(
    struct recorder *recorder, struct recorder_summary *ret_answers, struct recorder_summary *ret_fills);
