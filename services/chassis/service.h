/* service.h -- the life of a service: settings, log, metrics, HTTP server, workers, consumers, health, shutdown.
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct service service = { .name = "trade-ledger", .settings = settings_items, … };
 *         return service_main(&service, argc, argv);
 *     }
 *
 * Threads: one libuv loop for all sockets (main thread); `workers` threads with one connection each for plain routes;
 * one thread and connection (or up to lane_threads_max of them) for each lane of batched routes; one small pool for
 * slow routes; one thread and connection for each subscription; `background` threads of the service's own. Requests
 * wait in bounded queues: full is 503.
 *
 * Every service answers GET /health (process alive, consumers making progress), /health/db, /metrics.
 * SIGTERM: stop accepting, finish what is in flight (at most SHUTDOWN_TIMEOUT_MS), stop consumers after their batch,
 * exit 0. `--check` reads the settings, says what is wrong with them, and ends: 0, or 2.
 *
 * Settings that every service has, added to its own table: <NAME>_PORT, <NAME>_HOST (127.0.0.1), <NAME>_WORKERS,
 * <NAME>_SLOW_WORKERS, <NAME>_QUEUE_MAX, KAFKA_BROKERS, TOPIC_PREFIX, KAFKA_SECURITY_PROTOCOL, … , LOG_LEVEL,
 * SHUTDOWN_TIMEOUT_MS, and with .database <NAME>_POSTGRES_URL; with a route that asks for a token: IDENTITY_URL,
 * JWT_ISSUER, JWT_AUDIENCE. <NAME> is the name in capitals with '_' for '-'. */
#pragma once

#include "config.h"
#include "http.h"

#include <event_bus/consumer.h>

#include <uv.h>

struct service_runtime; /* the running service */

struct subscription {
    const char *group;         /* NULL ends the table. Bare consumer group; of a plain one only a name */
    const char *const *topics; /* NULL-terminated */
    consumer_handler handle;   /* context is the service's state */
    bool plain;    /* no database, no group: this process reads all partitions into a read model in memory */
    bool from_end; /* plain: start at the end */
    uint32_t tail; /* plain: start this many offsets before the end of each partition; 0: see from_end */
    uint32_t batch_max;
    /* With a database, as in consumer.h: */
    bool ordered;          /* later events of a dead letter's key are parked behind it */
    uint32_t retry_max_ms; /* 0: what fails for a passing reason is tried for ever */
    enum consumer_gives_up retry_then;
};

struct service {
    const char *name;
    uint16_t port;                      /* default of <NAME>_PORT */
    const struct config_item *settings; /* its own, may be NULL */
    size_t settings_size;
    const struct http_route *routes;
    const struct subscription *subscriptions; /* may be NULL */
    bool database;
    /* Threads and connections of each lane, each with its own queue; 0: one. A user's requests always go to the same,
     * so that they stay in order and batches of different threads rarely wait for each other's locks. While one batch's
     * commit is in flight another is read and decided; but batches are smaller then, and cost more. So it is half of
     * the processors, at most this many, or what <NAME>_LANE_THREADS says. */
    uint32_t lane_threads_max;
    /* Called once, after settings and database connection, before the sockets open. Whatever it returns in *ret_state
     * is handed to handlers by service_state(). false stops the start. */
    bool (*start)(struct service_runtime *runtime, const void *settings, void **ret_state, struct error *e);
    /* Optional, for `--check`, which connects to nothing: what of the settings the table cannot tell. */
    bool (*check)(const void *settings, struct error *e);
    /* Called after all threads have ended. */
    void (*stop)(void *state);
    /* Optional: called in the loop thread once the server listens, to add handles of its own (gateway). */
    bool (*loop_start)(struct service_runtime *runtime, uv_loop_t *loop, struct error *e);
    void (*loop_stop)(struct service_runtime *runtime); /* close those handles */
    /* Optional: a thread of the service's own, e.g. the engine's; must return soon after service_stopping(). */
    bool (*background)(struct service_runtime *runtime, struct error *e);
    /* Optional: extra truth for /health; false with a reason makes it 503. */
    bool (*healthy)(void *state, char *ret_reason, size_t size);
    /* For routes marked .proxied, in the loop thread: takes the call by returning true and answers it, now or later,
     * with service_reply(); false is 404. */
    bool (*proxy)(struct service_runtime *runtime, struct http_call *call);
};

int service_main(const struct service *service, int argc, char **argv);

/* The one running service of this process; set before start() is called. */
void *service_state(void);
struct service_runtime *service_current(void);
bool service_stopping(const struct service_runtime *runtime);
void service_fail(struct service_runtime *runtime, const struct error *e); /* any thread: log, stop, exit 1 */
const struct kafka_options *service_kafka(const struct service_runtime *runtime);
const struct pg_options *service_pg(const struct service_runtime *runtime);
/* NULL if no route asks for a token. If start() sets its keys, they are not fetched from IDENTITY_URL. */
struct jwt_verifier *service_verifier(const struct service_runtime *runtime);

/* Answers a call taken by .proxy; loop thread only. Takes reply's body. */
void service_reply(struct service_runtime *runtime, struct http_call *call);
