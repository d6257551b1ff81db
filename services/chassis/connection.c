#include "connection.h"

#include "receive.h"

#include <assert.h>
#include <stdlib.h>

/* After anything changed: goes through the input, then settles. */
static void connection_process(struct connection *connection);

static void set_state(struct connection *connection, enum connection_state state)
{
    static const int timeouts_s[] = {
        [CONNECTION_IDLE] = CONNECTION_IDLE_TIMEOUT_S,
        [CONNECTION_BODY] = CONNECTION_REQUEST_TIMEOUT_S,
        [CONNECTION_WAITING] = 0,
        [CONNECTION_WRITING] = CONNECTION_WRITE_TIMEOUT_S,
        [CONNECTION_LINGER] = CONNECTION_LINGER_S,
        [CONNECTION_CLOSED] = 0,
    };
    assert(connection->state != CONNECTION_CLOSED);
    connection->server->writing -= connection->state == CONNECTION_WRITING;
    connection->server->writing += state == CONNECTION_WRITING;
    connection->state = state;
    connection->in_request = false;
    connection->deadline_us = timeouts_s[state] ? monotonic_us() + timeouts_s[state] * 1000000LL : 0;
}

/* ---- The end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    xfree(connection->input);
    xfree(connection->out);
    xfree(connection);
}

void connection_close(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->state == CONNECTION_BODY)
        call_free(connection->call);
    else if (connection->call)
        connection->call->connection = NULL;
    connection->call = NULL;
    set_state(connection, CONNECTION_CLOSED);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    server->connection_count--;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    struct connection *connection = request->data;
    if (connection->ended)
        connection_close(connection);
}

/* Closing at once while the client still sends would reset the connection, and the answer could be lost with it. */
static void linger(struct connection *connection)
{
    connection->shutdown.data = connection;
    set_state(connection, CONNECTION_LINGER);
    if (uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shutdown) != 0)
        connection_close(connection);
}

/* ---- Answers out ---- */

static void answer_written(struct connection *connection)
{
    xfree(TAKE(connection->out));
    if (connection->close)
        linger(connection);
    else
        set_state(connection, CONNECTION_IDLE);
    connection_process(connection);
}

static void on_write(uv_write_t *request, int status)
{
    struct connection *connection = request->data;
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (status < 0)
        connection_close(connection);
    else
        answer_written(connection);
}

void connection_answer(struct connection *connection, struct call *call)
{
    connection->call = NULL;
    connection->close = call->close;
    connection->out = TAKE(call->answer);
    connection->out_len = call->answer_len;
    set_state(connection, CONNECTION_WRITING);
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    const uv_buf_t all = uv_buf_init(connection->out, (unsigned)connection->out_len);
    const int written = uv_try_write(stream, &all, 1);
    if (written == (int)connection->out_len) {
        answer_written(connection);
        return;
    }
    const size_t done = written > 0 ? (size_t)written : 0;
    const uv_buf_t rest = uv_buf_init(connection->out + done, (unsigned)(connection->out_len - done));
    connection->write.data = connection;
    if ((written < 0 && written != UV_EAGAIN) || uv_write(&connection->write, stream, &rest, 1, on_write) != 0)
        connection_close(connection);
}

/* ---- Requests in ---- */

static void say_continue(struct connection *connection)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const uv_buf_t buffer = uv_buf_init(text, sizeof text - 1);
    /* If it does not get through, the client sends its body anyway, or goes away. */
    (void)uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
}

static bool accept_call(
    struct connection *connection, struct call *call, const struct http1_head *head, struct error *e)
{
    const struct server *server = connection->server;
    if (server->draining) {
        call->close = true;
        return error_set(e, ERROR_TRANSIENT, "this process is shutting down");
    }
    if (!server->options.check(server->options.context, call, &connection->body_max, e))
        return false;
    if (head->content_length > connection->body_max)
        return error_field(
            e, ERROR_INVALID, "body-too-large", "", "the body may have at most %zu bytes", connection->body_max);
    return true;
}

/* A head is there, good or bad (then *e says why). */
static void begin_call(struct connection *connection, const struct http1_head *head, struct error *e)
{
    struct call *call = NULL;
    const bool received = receive_call(head, connection->peer, &call, e->kind == ERROR_NONE ? e : &(struct error){ 0 });
    call->connection = connection;
    call->received_us = monotonic_us();
    connection->body_left = head->content_length;
    if (!received || e->kind != ERROR_NONE || !accept_call(connection, call, head, e)) {
        call->close |= head->unframed || connection->body_left > CONNECTION_DISCARD_MAX;
        server_refuse(connection->server, call, e);
        return;
    }
    connection->call = call;
    set_state(connection, CONNECTION_BODY);
    if (head->expects_continue && connection->input_len == 0)
        say_continue(connection);
}

static size_t take_head(struct connection *connection, struct bytes data)
{
    struct http1_head head;
    struct error e = { 0 };
    size_t used = 0;
    switch (http1_parse(data, &head, &used, &e)) {
    case HTTP1_MORE:
        return 0;
    case HTTP1_BAD:
        used = data.len;
        break;
    case HTTP1_DONE:
        break;
    }
    begin_call(connection, &head, &e);
    return used;
}

/* Body bytes: into the call, or nowhere when the request was refused already. */
static size_t take_body(struct connection *connection, struct bytes data)
{
    const size_t len = data.len < connection->body_left ? data.len : (size_t)connection->body_left;
    if (connection->state == CONNECTION_BODY &&
        !call_append_body(connection->call, data.data, len, connection->body_max))
        abort(); /* Content-Length was checked against body_max */
    connection->body_left -= len;
    return len;
}

/* Uses what it can of the bytes. What comes after a request that is being handled stays where it is. */
static size_t take(struct connection *connection, struct bytes data)
{
    size_t used = 0;
    for (;;) {
        const struct bytes rest = { (const char *)data.data + used, data.len - used };
        size_t taken = 0;
        if (connection->state == CONNECTION_LINGER || connection->state == CONNECTION_CLOSED)
            return data.len;
        if (connection->body_left > 0)
            taken = take_body(connection, rest);
        else if (connection->state == CONNECTION_IDLE)
            taken = take_head(connection, rest);
        used += taken;
        if (connection->state == CONNECTION_BODY && connection->body_left == 0) {
            set_state(connection, CONNECTION_WAITING);
            server_dispatch(connection->server, connection->call);
        } else if (taken == 0) {
            return used;
        }
    }
}

static void keep(struct connection *connection, struct bytes data)
{
    if (data.len == 0)
        return;
    if (connection->input_len + data.len > connection->input_size) {
        connection->input_size = connection->input_len + data.len;
        connection->input = xrealloc(connection->input, connection->input_size);
    }
    memcpy(connection->input + connection->input_len, data.data, data.len);
    connection->input_len += data.len;
}

static void drop_input(struct connection *connection, size_t used)
{
    connection->input_len -= used;
    if (connection->input_len > 0) {
        memmove(connection->input, connection->input + used, connection->input_len);
        return;
    }
    xfree(TAKE(connection->input));
    connection->input_size = 0;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    const struct connection *connection = handle->data;
    /* Shared: on_read() uses or keeps all of it before the next read. */
    *buffer = uv_buf_init(connection->server->read_buffer, sizeof connection->server->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer);

/* Where a connection stands once it has used what it can: over, listening, or pausing because enough waits already. */
static void settle(struct connection *connection)
{
    const enum connection_state state = connection->state;
    if (state == CONNECTION_CLOSED)
        return;
    const bool idle = state == CONNECTION_IDLE;
    const bool over = connection->ended || (connection->server->draining && connection->body_left == 0);
    if ((idle && over) || (state != CONNECTION_WAITING && state != CONNECTION_WRITING && connection->ended)) {
        connection_close(connection);
        return;
    }
    if (idle && !connection->in_request && (connection->input_len > 0 || connection->body_left > 0)) {
        connection->in_request = true;
        connection->deadline_us = monotonic_us() + CONNECTION_REQUEST_TIMEOUT_S * 1000000LL;
    }
    const bool pause = connection->ended || connection->input_len >= CONNECTION_INPUT_MAX;
    if (pause == connection->paused)
        return;
    connection->paused = pause;
    if (pause)
        uv_read_stop((uv_stream_t *)&connection->tcp);
    else if (uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) != 0)
        connection_close(connection);
}

static void connection_process(struct connection *connection)
{
    if (connection->processing)
        return; /* the one up the stack goes on */
    connection->processing = true;
    if (connection->input_len > 0)
        drop_input(connection, take(connection, (struct bytes){ connection->input, connection->input_len }));
    connection->processing = false;
    settle(connection);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (len == 0)
        return;
    if (len < 0 && len != UV_EOF) {
        connection_close(connection);
        return;
    }
    if (len < 0) {
        connection->ended = true;
    } else if (connection->input_len > 0) {
        keep(connection, (struct bytes){ buffer->base, (size_t)len });
    } else {
        connection->processing = true;
        const size_t used = take(connection, (struct bytes){ buffer->base, (size_t)len });
        connection->processing = false;
        keep(connection, (struct bytes){ buffer->base + used, (size_t)len - used });
    }
    connection_process(connection);
}

/* ---- The beginning, and time ---- */

static void set_peer(struct connection *connection)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &size) != 0)
        return;
    if (address.ss_family == AF_INET)
        uv_ip4_name((const struct sockaddr_in *)&address, connection->peer, sizeof connection->peer);
    else if (address.ss_family == AF_INET6)
        uv_ip6_name((const struct sockaddr_in6 *)&address, connection->peer, sizeof connection->peer);
}

void connection_accept(struct server *server)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->server = server;
    connection->tcp.data = connection;
    uv_tcp_init(server->options.loop, &connection->tcp);
    const bool accepted = uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&connection->tcp) == 0;
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
    set_state(connection, CONNECTION_IDLE);
    uv_tcp_nodelay(&connection->tcp, 1);
    set_peer(connection);
    if (!accepted || server->connection_count > SERVER_CONNECTIONS_MAX ||
        uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) != 0)
        connection_close(connection);
}

void connection_expire(struct connection *connection, int64_t now_us)
{
    if (connection->deadline_us == 0 || now_us < connection->deadline_us)
        return;
    if (connection->state != CONNECTION_BODY) {
        connection_close(connection);
        return;
    }
    struct error e = { 0 };
    struct call *call = TAKE(connection->call);
    call->close = true;
    error_field(&e, ERROR_INVALID, "request-timeout", "", "the body did not arrive within %d seconds",
        CONNECTION_REQUEST_TIMEOUT_S);
    server_refuse(connection->server, call, &e);
}
