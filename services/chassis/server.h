/* server.h -- HTTP/1.1 on the loop thread: connections in, calls out, answers back. libwebsockets on libuv reads and
 * writes the sockets; http1.h parses; limits and the life of a connection are connection.h's. Loop thread only, except
 * server_answer(). */
#pragma once

#include "call.h"

#include <uv.h>

struct server;

enum { SERVER_CONNECTIONS_MAX = 10000 }; /* one more is closed at once */

struct server_options {
    const char *host;
    uint16_t port;
    uv_loop_t *loop;
    void *context;
    /* Once the header is there: finds the route and checks all that can be checked. Fills call->route; false answers *e
     * and skips the body. *ret_body_max: bytes of body to accept. */
    bool (*check)(void *context, struct call *call, size_t *ret_body_max, struct error *e);
    /* The whole request is there. Must end, now or later, in one of the two server_answer functions. */
    void (*dispatch)(void *context, struct call *call);
};

/* Listens. *ret_server is the caller's even on failure. Errors: FATAL: port in use, unknown host. */
MUST_CHECK bool server_open(const struct server_options *options, struct server **ret_server, struct error *e);

/* Any thread: takes calls and brings them to the loop thread, which renders those that are not rendered yet. */
void server_answer(struct server *server, struct call *const *calls, size_t count);
/* Loop thread: the same at once, rendering first. */
void server_answer_now(struct server *server, struct call *call);

/* No new connections; requests that still arrive on old ones are answered 503 and end theirs. */
void server_drain(struct server *server);
/* Requests dispatched and not answered, and answers not yet handed to the kernel. */
size_t server_pending(const struct server *server);
size_t server_connections(const struct server *server);

/* Two steps, with the loop run until it has nothing left in between: closes handles and connections; frees. */
void server_close(struct server *server);
void server_free(struct server *server); /* NULL is fine */
