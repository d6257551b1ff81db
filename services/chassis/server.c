#include "connection.h"

#include "log.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>

enum {
    BACKLOG = 1024,
    SWEEP_MS = 1000,
};

/* ---- Answers: from any thread to the connection ---- */

/* The call goes out, if there is still someone to read it, and ends. A lane leaves the rendering to this thread. */
static void deliver(struct call *call)
{
    if (!call->answer)
        call_render(call);
    const struct http_request *request = &call->http.request;
    const double seconds = (double)(monotonic_us() - call->received_us) / 1e6;
    router_observe(call->route, request->method, call->http.reply.status, seconds);
    log_trace(LOG_DEBUG, &request->trace, "%s %s %d %.6f s", request->method, request->path, call->http.reply.status,
        seconds);
    if (call->connection)
        connection_answer(call->connection, call);
    call_free(call);
}

static void on_answered(uv_async_t *async)
{
    struct server *server = async->data;
    pthread_mutex_lock(&server->lock);
    struct call *call = server->answers;
    server->answers = NULL;
    server->answers_end = &server->answers;
    pthread_mutex_unlock(&server->lock);
    while (call) {
        struct call *next = call->next;
        assert(server->waiting > 0);
        server->waiting--;
        deliver(call);
        call = next;
    }
}

void server_answer(struct server *server, struct call *const *calls, size_t count)
{
    pthread_mutex_lock(&server->lock);
    const bool wake = server->answers == NULL;
    for (size_t i = 0; i < count; i++) {
        calls[i]->next = NULL;
        *server->answers_end = calls[i];
        server->answers_end = &calls[i]->next;
    }
    pthread_mutex_unlock(&server->lock);
    if (wake && count)
        uv_async_send(&server->answered);
}

void server_answer_now(struct server *server, struct call *call)
{
    assert(server->waiting > 0);
    server->waiting--;
    call_render(call);
    deliver(call);
}

void server_refuse(struct server *server, struct call *call, const struct error *e)
{
    call->http.error = *e;
    server_dispatch(server, call);
}

void server_dispatch(struct server *server, struct call *call)
{
    server->waiting++;
    call->received_us = monotonic_us();
    if (call->http.error.kind != ERROR_NONE)
        server_answer_now(server, call);
    else
        server->options.dispatch(server->options.context, call);
}

/* ---- Life ---- */

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0)
        connection_accept(listener->data);
}

static void on_sweep(uv_timer_t *timer)
{
    struct server *server = timer->data;
    const int64_t now = monotonic_us();
    for (struct connection *connection = server->connections; connection;) {
        struct connection *next = connection->next;
        connection_expire(connection, now);
        connection = next;
    }
}

static bool listen_on(struct server *server, struct error *e)
{
    const struct server_options *options = &server->options;
    char port[8];
    struct addrinfo *found = NULL;
    snprintf(port, sizeof port, "%u", (unsigned)options->port);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    const int failed = getaddrinfo(options->host, port, &hints, &found);
    if (failed)
        return error_set(e, ERROR_FATAL, "cannot listen on %s: %s", options->host, gai_strerror(failed));
    int code = uv_tcp_bind(&server->listener, found->ai_addr, 0);
    freeaddrinfo(found);
    if (code == 0)
        code = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    if (code != 0)
        return error_set(e, ERROR_FATAL, "cannot listen on %s port %s: %s", options->host, port, uv_strerror(code));
    return true;
}

bool server_open(const struct server_options *options, struct server **ret_server, struct error *e)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    server->answers_end = &server->answers;
    pthread_mutex_init(&server->lock, NULL);
    uv_tcp_init(options->loop, &server->listener);
    uv_async_init(options->loop, &server->answered, on_answered);
    uv_timer_init(options->loop, &server->sweep);
    uv_timer_start(&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    server->listener.data = server->answered.data = server->sweep.data = server;
    *ret_server = server; /* the caller's in any case: its handles need the loop to close */
    return listen_on(server, e);
}

void server_drain(struct server *server)
{
    if (server->draining)
        return;
    server->draining = true;
    uv_close((uv_handle_t *)&server->listener, NULL);
}

size_t server_pending(const struct server *server)
{
    return server->waiting + server->writing;
}

size_t server_connections(const struct server *server)
{
    return server->connection_count;
}

void server_close(struct server *server)
{
    server_drain(server);
    on_answered(&server->answered); /* nobody answers any more: what came last is taken off the list */
    while (server->connections)
        connection_close(server->connections);
    uv_close((uv_handle_t *)&server->answered, NULL);
    uv_close((uv_handle_t *)&server->sweep, NULL);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    pthread_mutex_destroy(&server->lock);
    xfree(server);
}
