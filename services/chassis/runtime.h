/* runtime.h -- the running service, between the files that make it up. */
#pragma once

#include "keys.h"
#include "log.h"
#include "metrics.h"
#include "router.h"
#include "server.h"
#include "service.h"
#include "worker.h"

enum {
    LANES_MAX = 32,
    SUBSCRIPTIONS_MAX = 16,
    PARTITIONS_SHOWN_MAX = 64, /* of one subscription, in metrics */
    WORKERS_MAX = 256,
};

/* Settings every service has. */
struct common_settings {
    char *host;
    int64_t port, workers, slow_workers, lane_threads, queue_max, shutdown_timeout_ms, log_level;
    char *postgres_url;
    char *brokers, *topic_prefix, *security_protocol, *sasl_mechanism, *sasl_username, *sasl_password, *ssl_ca_location;
    char *identity_url, *jwt_issuer, *jwt_audience;
};

enum { COMMON_ITEMS_MAX = 24 };

/* The table of the above for one service: names begin with its own. */
struct common_table {
    struct config_item items[COMMON_ITEMS_MAX];
    char names[COMMON_ITEMS_MAX][64];
    char port[8];
};

/* A pool of equal workers on one queue: plain routes, slow routes, or one lane. */
struct pool {
    char name[48];
    struct queue *queue;
    struct worker *workers;
    size_t count;
};

struct reader {
    struct service_runtime *runtime;
    const struct subscription *subscription;
    struct consumer_options options;
    struct consumer *consumer;
    struct consumer_stats seen;                                  /* as last added to the counters; loop thread */
    struct consumer_partition_stats shown[PARTITIONS_SHOWN_MAX]; /* partitions whose gauges are set */
    size_t shown_count;
    struct metric *events, *dead_letters, *retries;
    pthread_t thread;
    bool running;
};

struct service_runtime {
    const struct service *service;
    struct common_table common_table;
    struct common_settings common;
    void *settings;
    void *state;
    int64_t started_us;

    struct kafka_options kafka;
    struct pg_options pg; /* of the workers */
    char pg_name[64];
    struct jwt_verifier *verifier; /* NULL: no route asks for a token */
    struct keys *keys;

    struct router router;
    struct pool plain, slow, lanes[LANES_MAX];
    uint32_t lane_ids[LANES_MAX];
    size_t lane_count;
    atomic_bool hurry; /* workers: no more attempts */
    struct server *server;

    struct reader readers[SUBSCRIPTIONS_MAX];
    size_t reader_count;
    pthread_t background;
    bool background_running;

    uv_loop_t loop;
    uv_async_t wake; /* stop was asked for by another thread */
    uv_timer_t tick;
    uv_signal_t signals[2];
    int64_t stop_deadline_us; /* 0: running */
    atomic_bool stopping;
    atomic_int exit_code;
};

/* ---- settings.c ---- */
void settings_table(const struct service *service, struct common_table *ret_table);
bool service_needs_tokens(const struct service *service);
void settings_apply(struct service_runtime *runtime); /* fills kafka, pg */
void settings_print(const struct service *service, FILE *out);

/* ---- front.c: server_options' two functions ---- */
bool front_check(void *runtime, struct call *call, size_t *ret_body_max, struct error *e);
void front_dispatch(void *runtime, struct call *call);

/* ---- pools.c ---- */
void pools_start(struct service_runtime *runtime); /* gives each route of the router its queue */
void pools_stop(struct service_runtime *runtime);  /* no more is taken in; waits go on */
bool pools_join(struct service_runtime *runtime, int64_t deadline_us);
void pools_release(struct service_runtime *runtime);
bool thread_join_until(pthread_t thread, int64_t deadline_us); /* on the monotonic clock */

/* ---- consumers.c ---- */
MUST_CHECK bool readers_open(struct service_runtime *runtime, struct error *e);
void readers_start(struct service_runtime *runtime);
void readers_stop(struct service_runtime *runtime);
bool readers_join(struct service_runtime *runtime, int64_t deadline_us);
void readers_release(struct service_runtime *runtime);
void readers_count(struct service_runtime *runtime); /* adds to the counters; loop thread, each second */

/* ---- health.c ---- */
extern const struct http_route health_routes[];
void health_bind(struct router *router); /* marks those that the loop thread answers */
void health_metrics(struct service_runtime *runtime);
