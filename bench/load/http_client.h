/* http_client.h -- many keep-alive HTTP/1.1 connections on one epoll, for loads: no allocation a request. One thread.
 *
 * A request whose connection breaks before its answer is sent again on a new connection, for ever, with the same bytes:
 * the load relies on Idempotency-Key, as a careful client would. */
#pragma once

#include <event_bus/error.h>

enum { LOAD_REQUEST_MAX = 128 * 1024, LOAD_REPLY_MAX = 128 * 1024, LOAD_CONNECTIONS_MAX = 1024 };

struct load_client;

struct load_answer {
    int status;
    const char *body; /* NUL-terminated, valid during the call */
    size_t body_len;
    int64_t started_us, ended_us; /* monotonic; started: first sending */
};

/* Called when connection `index` is free: writes the next request's bytes (headers and body) and returns their length;
 * 0: nothing to send now. Called again after each answer and every millisecond while idle. */
typedef size_t (*load_next)(void *context, size_t index, char request[LOAD_REQUEST_MAX]);
typedef void (*load_done)(void *context, size_t index, const struct load_answer *answer);

MUST_CHECK bool load_client_open(const char *host, const char *port, size_t connections, load_next next, load_done done,
    void *context, struct load_client **ret, struct error *e);
void load_client_free(struct load_client *client);
/* Runs until `until_us` (monotonic) has passed; then waits for answers still under way, at most `drain_us`. Returns how
 * many are left without an answer. */
size_t load_client_run(struct load_client *client, int64_t until_us, int64_t drain_us);
/* From a callback: no further requests, as if until_us had passed. */
void load_client_stop(struct load_client *client);
uint64_t load_client_reconnects(const struct load_client *client);
DEFINE_CLEANUP(struct load_client *, load_client_free)
