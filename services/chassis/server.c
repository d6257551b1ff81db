#include "server.h"

#include "log.h"
#include "receive.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <unistd.h>

enum {
    ACCEPT_MAX = 64, /* connections taken in one go */
    BACKLOG = 1024,
    WRITE_CHUNK = 64 * 1024,   /* bytes handed to the kernel in one go */
    DISCARD_MAX = 1024 * 1024, /* a refused body up to this size is read to its end, so that the connection lives on */
    READ_BUFFER = 32 * 1024,
};

/* What a connection is doing. Changed by the functions of one section each. */
enum connection_state {
    CONNECTION_IDLE,      /* between requests */
    CONNECTION_RECEIVING, /* call is ours, its body arrives */
    CONNECTION_WAITING,   /* call is with a worker */
    CONNECTION_ANSWERING, /* out is being written */
    CONNECTION_LINGERING, /* nothing more is read or written: the client may finish reading */
};

struct connection {
    struct server *server;
    struct lws *wsi;
    struct connection *previous, *next;
    enum connection_state state;
    struct call *call; /* RECEIVING, WAITING */
    size_t body_max;
    int64_t deadline_us; /* RECEIVING: of the body; LINGERING */
    char *out;           /* ANSWERING */
    size_t out_len, out_sent;
    bool close;    /* after this answer */
    bool unread;   /* the request's body was not read: closing at once would take the answer with it */
    bool read_off; /* libwebsockets does not read meanwhile */
    char peer[INET6_ADDRSTRLEN];
};

struct server {
    struct server_options options;
    struct lws_context *lws;
    int listen_fd; /* -1: draining */
    uv_poll_t listener;
    uv_async_t answered;
    struct connection *connections;
    size_t connection_count, waiting, answering;
    pthread_mutex_t lock;
    struct call *answers, **answers_end; /* under lock */
};

/* ---- Answers: written as far as the kernel takes them ---- */

/* The end of a connection that lets libwebsockets finish what it is in the middle of. */
static void connection_kill(struct connection *connection)
{
    lws_set_timeout(connection->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    lws_cancel_service(connection->server->lws);
}

static void set_reading(struct connection *connection, bool on)
{
    if (connection->read_off == !on)
        return;
    connection->read_off = !on;
    lws_rx_flow_control(connection->wsi, on);
}

static void answer_written(struct connection *connection)
{
    connection->server->answering--;
    xfree(TAKE(connection->out));
    if (connection->close && connection->unread) {
        connection->state = CONNECTION_LINGERING;
        connection->deadline_us = monotonic_us() + SERVER_LINGER_S * 1000000;
        lws_set_timeout(connection->wsi, PENDING_TIMEOUT_CLOSE_SEND, SERVER_LINGER_S);
        return;
    }
    connection->state = connection->close ? CONNECTION_LINGERING : CONNECTION_IDLE;
    if (connection->close || lws_http_transaction_completed(connection->wsi)) {
        connection_kill(connection);
        return;
    }
    set_reading(connection, true);
}

static void answer_write(struct connection *connection)
{
    while (!lws_partial_buffered(connection->wsi)) {
        const size_t rest = connection->out_len - connection->out_sent;
        if (rest == 0) {
            answer_written(connection);
            return;
        }
        const size_t len = rest < WRITE_CHUNK ? rest : WRITE_CHUNK;
        unsigned char *from = (unsigned char *)connection->out + LWS_PRE + connection->out_sent;
        if (lws_write(connection->wsi, from, len, LWS_WRITE_HTTP) < 0) {
            connection_kill(connection);
            return;
        }
        connection->out_sent += len;
    }
    lws_callback_on_writable(connection->wsi);
}

/* Loop thread: the rendered call goes out, if there is still someone to read it, and ends. */
static void deliver(struct server *server, struct call *call)
{
    struct connection *connection = call->connection;
    const double seconds = (double)(monotonic_us() - call->received_us) / 1e6;
    router_observe(call->route, call->http.request.method, call->http.reply.status, seconds);
    log_trace(LOG_DEBUG, &call->http.request.trace, "%s %s %d %.6f s", call->http.request.method,
        call->http.request.path, call->http.reply.status, seconds);
    if (connection) {
        connection->call = NULL;
        connection->state = CONNECTION_ANSWERING;
        connection->close = call->close;
        connection->out = TAKE(call->answer);
        connection->out_len = call->answer_len;
        connection->out_sent = 0;
        server->answering++;
        answer_write(connection);
    }
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
        deliver(server, call);
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
    deliver(server, call);
}

/* ---- Requests ---- */

/* Answers before the request is complete. The call is still the connection's. */
static void refuse(struct connection *connection, const struct error *e, uint64_t body_left)
{
    struct call *call = connection->call;
    connection->unread = body_left > 0;
    if (body_left > DISCARD_MAX)
        call->close = true;
    call->http.error = *e;
    call_render(call);
    deliver(connection->server, call);
}

static void dispatch(struct connection *connection, bool keep_reading)
{
    connection->state = CONNECTION_WAITING;
    connection->server->waiting++;
    lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    /* libwebsockets does not read in the middle of a transaction, and its poll would spin on what is there. */
    if (!keep_reading)
        set_reading(connection, false);
    struct call *call = connection->call;
    call->received_us = monotonic_us();
    connection->server->options.dispatch(connection->server->options.context, call);
}

static void say_continue(struct lws *wsi)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned char out[LWS_PRE + sizeof text];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_EXPECT) <= 0)
        return;
    memcpy(out + LWS_PRE, text, sizeof text - 1);
    /* If it does not get through, the client sends its body anyway, or goes away. */
    (void)lws_write(wsi, out + LWS_PRE, sizeof text - 1, LWS_WRITE_HTTP);
}

static bool accept_request(
    struct connection *connection, struct call *call, const struct receive_body *body, struct error *e)
{
    const struct server *server = connection->server;
    if (server->listen_fd < 0) {
        call->close = true;
        return error_set(e, ERROR_TRANSIENT, "this process is shutting down");
    }
    connection->body_max = 0;
    if (!server->options.check(server->options.context, call, &connection->body_max, e))
        return false;
    if (body->length > connection->body_max)
        return error_field(
            e, ERROR_INVALID, "body-too-large", "", "the body may have at most %zu bytes", connection->body_max);
    return true;
}

static void on_request(struct connection *connection)
{
    struct receive_body body;
    struct error e = { 0 };
    struct call *call = NULL;
    const bool received = receive_request(connection->wsi, connection->peer, &call, &body, &e);
    assert(connection->call == NULL && connection->out == NULL);
    connection->call = call;
    call->connection = connection;
    call->received_us = monotonic_us();
    connection->state = CONNECTION_RECEIVING;
    connection->unread = false;
    if (!received || !accept_request(connection, call, &body, &e)) {
        refuse(connection, &e, body.unframed ? UINT64_MAX : body.length);
        return;
    }
    if (body.none) {
        dispatch(connection, false);
        return;
    }
    connection->deadline_us = call->received_us + SERVER_REQUEST_TIMEOUT_S * 1000000;
    say_continue(connection->wsi);
}

/* Nonzero ends the connection. */
static int on_body(struct connection *connection, const void *data, size_t len)
{
    if (connection->state == CONNECTION_LINGERING)
        return monotonic_us() > connection->deadline_us;
    if (connection->state != CONNECTION_RECEIVING)
        return 0; /* refused: the rest is thrown away */
    if (!call_append_body(connection->call, data, len, connection->body_max))
        return 1; /* more than its Content-Length: cannot happen */
    return monotonic_us() > connection->deadline_us;
}

static void on_body_complete(struct connection *connection)
{
    connection->unread = false;
    if (connection->state == CONNECTION_RECEIVING)
        dispatch(connection, true);
    else if (connection->state == CONNECTION_WAITING || connection->state == CONNECTION_ANSWERING)
        set_reading(connection, false); /* the next request is here already: it stays where it is */
}

/* ---- Connections ---- */

static void connection_gone(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->state == CONNECTION_RECEIVING)
        call_free(connection->call);
    else if (connection->call)
        connection->call->connection = NULL;
    if (connection->out)
        server->answering--;
    xfree(connection->out);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    server->connection_count--;
    lws_set_opaque_user_data(connection->wsi, NULL);
    xfree(connection);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    (void)user;
    struct connection *connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (!connection)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        on_request(connection);
        return 0;
    case LWS_CALLBACK_HTTP_BODY:
        return on_body(connection, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        on_body_complete(connection);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        if (connection->state == CONNECTION_ANSWERING)
            answer_write(connection);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1; /* no other protocol is spoken here */
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        connection_gone(connection);
        return 0;
    default:
        return 0;
    }
}

static void connection_start(struct server *server, int fd, const struct sockaddr_storage *address)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->server = server;
    if (address->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, connection->peer, sizeof connection->peer);
    else if (address->ss_family == AF_INET6)
        inet_ntop(
            AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, connection->peer, sizeof connection->peer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    connection->wsi = lws_adopt_socket(server->lws, fd); /* closes fd when it fails */
    if (!connection->wsi) {
        xfree(connection);
        return;
    }
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
    lws_set_opaque_user_data(connection->wsi, connection);
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    (void)events;
    for (int i = 0; i < ACCEPT_MAX && status == 0 && server->listen_fd >= 0; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        const int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (server->connection_count >= SERVER_CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        connection_start(server, fd, &address);
    }
}

/* ---- Life ---- */

static void on_lws_log(int level, const char *line)
{
    const int len = (int)strcspn(line, "\n");
    log_write(level == LLL_ERR ? LOG_WARN : LOG_DEBUG, "libwebsockets: %.*s", len, line);
}

static bool make_listener(const struct server_options *options, int *ret_fd, struct error *e)
{
    char port[8];
    struct addrinfo *found = NULL;
    snprintf(port, sizeof port, "%u", (unsigned)options->port);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    const int failed = getaddrinfo(options->host, port, &hints, &found);
    if (failed)
        return error_set(e, ERROR_FATAL, "cannot listen on %s: %s", options->host, gai_strerror(failed));
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool listening = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0 &&
                     bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    const int code = errno;
    freeaddrinfo(found);
    if (listening) {
        *ret_fd = fd;
        return true;
    }
    if (fd >= 0)
        close(fd);
    return error_set(e, ERROR_FATAL, "cannot listen on %s port %s: %s", options->host, port, strerror(code));
}

static struct lws_context *make_context(uv_loop_t *loop)
{
    static const struct lws_protocols protocols[] = {
        { .name = "http", .callback = on_event, .tx_packet_size = WRITE_CHUNK },
        { 0 },
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN,
        .foreign_loops = (void *[]){ loop },
        .max_http_header_data2 = SERVER_HEADERS_MAX,
        .pt_serv_buf_size = READ_BUFFER,
        .timeout_secs = SERVER_REQUEST_TIMEOUT_S,
        .keepalive_timeout = SERVER_KEEPALIVE_S,
        .gid = -1,
        .uid = -1,
    };
    return lws_create_context(&info);
}

bool server_open(const struct server_options *options, struct server **ret_server, struct error *e)
{
    int fd = -1;
    if (!make_listener(options, &fd, e))
        return false;
    struct server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    server->listen_fd = fd;
    server->answers_end = &server->answers;
    pthread_mutex_init(&server->lock, NULL);
    server->lws = make_context(options->loop);
    if (!server->lws) {
        close(fd);
        xfree(server);
        return error_set(
            e, ERROR_FATAL, "libwebsockets does not start; is its libuv plugin (libwebsockets-evlib-uv) installed?");
    }
    uv_async_init(options->loop, &server->answered, on_answered);
    uv_poll_init(options->loop, &server->listener, fd);
    server->answered.data = server->listener.data = server;
    uv_poll_start(&server->listener, UV_READABLE, on_connect);
    *ret_server = server;
    return true;
}

void server_drain(struct server *server)
{
    if (server->listen_fd < 0)
        return;
    uv_poll_stop(&server->listener);
    uv_close((uv_handle_t *)&server->listener, NULL);
    close(server->listen_fd);
    server->listen_fd = -1;
}

size_t server_pending(const struct server *server)
{
    return server->waiting + server->answering;
}

size_t server_connections(const struct server *server)
{
    return server->connection_count;
}

void server_close(struct server *server)
{
    server_drain(server);
    on_answered(&server->answered); /* nobody answers any more: what came last is taken off the list */
    uv_close((uv_handle_t *)&server->answered, NULL);
    lws_context_destroy(server->lws);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    lws_context_destroy(server->lws); /* what had to wait until the loop had closed its handles */
    pthread_mutex_destroy(&server->lock);
    xfree(server);
}
