/* engine_process.h -- penstock-matching-engine as a child of a test, on real Kafka: its settings, its admin endpoint.
 */
#pragma once

#include "flow.h"
#include "support.h"

#ifdef __SANITIZE_ADDRESS__
enum { STEP = 150 };
#else
enum { STEP = 500 }; /* commands that a test feeds at a time */
#endif

enum {
    /* How long one waits before it is a failure: this machine may be busy. */
    START_TIMEOUT_MS = 60000,
    DRAIN_TIMEOUT_MS = 60000,
    STOP_TIMEOUT_MS = 60000,
    PARTITIONS = 4, /* of orders.accepted.v1 */
};

struct bench {
    char prefix[SUPPORT_NAME_MAX];
    struct flow *flow;
};

struct engine_process {
    struct support_process process;
    char directory[64];
    uint16_t port;
    bool standby;        /* after engine_init(): true */
    unsigned session_ms; /* after engine_init(): as short as the broker allows */
};

void bench_open(struct bench *bench); /* fresh topics, an empty log */
void bench_feed_all(struct bench *bench);

void engine_init(struct engine_process *engine);
void engine_release(struct engine_process *engine); /* kills it, removes its files */
/* crash_at: "" or a point of crash_point(). */
void engine_start(struct engine_process *engine, const struct bench *bench, const char *crash_at);
void engine_start_healthy(struct engine_process *engine, const struct bench *bench);

/* GET /internal/markets/<symbol>/<what>, until it is not 503 any more; 404 stays 404. Returns the status. */
int engine_ask(const struct engine_process *engine, const char *symbol, const char *what, char body[SUPPORT_BODY_MAX]);

/* Which partitions the process has in this role, "owner" or "standby" (only warm ones count): a bit each. */
unsigned engine_partitions(const struct engine_process *engine, const char *role);
void engine_wait_partitions(const struct engine_process *engine, const char *role, int count);
