#include "connection.h"

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    ACCEPTS_MAX = 64, /* at once; then those who are here already have their turn */
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

static void on_connections(uv_poll_t *listener, int status, int events)
{
    struct server *server = listener->data;
    (void)status, (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        const int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            uv_poll_stop(listener); /* instead of failing without end; on_sweep() tries again */
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        const lws_sock_file_fd_type adopted = { .sockfd = fd };
        lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_SOCKET, adopted, "http", NULL); /* closes it if it fails */
    }
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
    if (server->listen_fd >= 0 && !uv_is_active((uv_handle_t *)&server->listener))
        uv_poll_start(&server->listener, UV_READABLE, on_connections);
}

static int listen_at(const struct addrinfo *address)
{
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int why = errno;
    close(fd);
    errno = why;
    return -1;
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
    const int fd = listen_at(found);
    const int why = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return error_set(e, ERROR_FATAL, "cannot listen on %s port %s: %s", options->host, port,
            uv_strerror(uv_translate_sys_error(why)));
    server->listen_fd = fd;
    server->listener.data = server;
    uv_poll_init(options->loop, &server->listener, fd);
    uv_poll_start(&server->listener, UV_READABLE, on_connections);
    return true;
}

static void log_libwebsockets(int level, const char *line)
{
    log_warn("libwebsockets%s: %.*s", level == LLL_ERR ? " error" : "", (int)strcspn(line, "\n"), line);
}

/* libwebsockets on the service's loop, for sockets that this server accepts: raw ones. */
static bool open_libwebsockets(struct server *server, struct error *e)
{
    static const struct lws_protocols protocols[] = {
        { .name = "http", .callback = connection_event, .per_session_data_size = sizeof(struct connection) },
        { 0 },
    };
    void *loops[] = { server->options.loop };
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .pt_serv_buf_size = CONNECTION_READ_MAX + LWS_PRE,
        .user = server,
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, log_libwebsockets);
    server->lws = lws_create_context(&info);
    server->vhost = server->lws ? lws_get_vhost_by_name(server->lws, "default") : NULL;
    if (!server->vhost)
        return error_set(e, ERROR_FATAL, "libwebsockets does not start: is its libuv plugin installed?");
    return true;
}

bool server_open(const struct server_options *options, struct server **ret_server, struct error *e)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    server->listen_fd = -1;
    server->answers_end = &server->answers;
    pthread_mutex_init(&server->lock, NULL);
    uv_async_init(options->loop, &server->answered, on_answered);
    uv_timer_init(options->loop, &server->sweep);
    uv_timer_start(&server->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    server->answered.data = server->sweep.data = server;
    *ret_server = server; /* the caller's in any case: its handles need the loop to close */
    return open_libwebsockets(server, e) && listen_on(server, e);
}

void server_drain(struct server *server)
{
    server->draining = true;
    if (server->listen_fd < 0)
        return;
    uv_close((uv_handle_t *)&server->listener, NULL);
    close(server->listen_fd);
    server->listen_fd = -1;
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
    lws_context_destroy(server->lws); /* the first of two: now its handles close */
}

void server_free(struct server *server)
{
    if (!server)
        return;
    lws_context_destroy(server->lws);
    pthread_mutex_destroy(&server->lock);
    xfree(server);
}
