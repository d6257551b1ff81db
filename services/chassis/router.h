/* router.h -- which route a request belongs to. Built at start, then constant; matching is any thread's. */
#pragma once

#include "http.h"
#include "metrics.h"

struct queue;
struct service_runtime;

enum { ROUTER_STATUSES_MAX = 16, ROUTE_QUEUES_MAX = 8 };

/* Routes of the chassis that need no thread. */
typedef void (*loop_handler)(struct service_runtime *runtime, struct http_call *call);

struct route {
    const struct http_route *spec;
    struct queue *queues[ROUTE_QUEUES_MAX]; /* by user; see service.h, lane_threads_max */
    uint32_t queue_count;                   /* 0 for loop and proxied routes */
    loop_handler on_loop;                   /* answered at once, in the loop thread */
    struct metric *duration;
    struct {
        int status;
        struct metric *count;
    } statuses[ROUTER_STATUSES_MAX]; /* loop thread only */
};

struct router {
    struct route *routes; /* in table order: the first that matches wins */
    size_t count;
};

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

struct router_match {
    struct route *route;
    struct bytes params[HTTP_PARAMS_MAX]; /* pieces of the path */
};

/* Each adds the routes of a table that method == NULL ends. */
void router_add(struct router *router, const struct http_route *table);
void router_release(struct router *router);

/* HEAD falls back to GET. */
enum router_result router_match(
    const struct router *router, const char *method, const char *path, struct router_match *ret_match);
/* "GET, HEAD, POST, OPTIONS" for a path; "" when there is none. */
void router_allow(const struct router *router, const char *path, char *ret_text, size_t size);

/* Counts an answer. Loop thread. route NULL: nothing matched. */
void router_observe(struct route *route, const char *method, int status, double seconds);
