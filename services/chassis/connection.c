#include "connection.h"

#include "receive.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

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

/* It is no longer one of the server's. */
static void leave(struct connection *connection)
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
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    leave(connection);
    if (!connection->called)
        lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* Closing at once while the client still sends would reset the connection, and the answer could be lost with it. */
static void linger(struct connection *connection)
{
    set_state(connection, CONNECTION_LINGER);
    if (shutdown(lws_get_socket_fd(connection->wsi), SHUT_WR) != 0)
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

/* As much as the socket takes. libwebsockets keeps the end of a piece that did not fit, and calls when it is gone. */
static void write_answer(struct connection *connection)
{
    while (!lws_partial_buffered(connection->wsi)) {
        const size_t left = connection->out_len - connection->out_done;
        const size_t piece = left < CONNECTION_WRITE_MAX ? left : CONNECTION_WRITE_MAX;
        unsigned char *start = (unsigned char *)connection->out + connection->out_done;
        if (piece == 0) {
            answer_written(connection);
            return;
        }
        if (lws_write(connection->wsi, start, piece, LWS_WRITE_RAW) < 0) {
            connection_close(connection);
            return;
        }
        connection->out_done += piece;
    }
    connection_process(connection);
}

void connection_answer(struct connection *connection, struct call *call)
{
    connection->call = NULL;
    connection->close = call->close;
    connection->out = TAKE(call->answer);
    connection->out_len = call->answer_len;
    connection->out_done = 0;
    set_state(connection, CONNECTION_WRITING);
    write_answer(connection);
}

/* ---- Requests in ---- */

static void say_continue(struct connection *connection)
{
    unsigned char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    /* If it does not get through, the client sends its body anyway, or goes away. */
    (void)lws_write(connection->wsi, text, sizeof text - 1, LWS_WRITE_RAW);
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

/* Where a connection stands once it has used what it can: over, listening, or pausing while a request is handled. The
 * pause leaves what comes in the meantime to the kernel; and libwebsockets, which closes as soon as it reads the end of
 * what a client sends, does not read it before a client that sends no more has its answer. */
static void settle(struct connection *connection)
{
    const enum connection_state state = connection->state;
    if (state == CONNECTION_CLOSED)
        return;
    const bool idle = state == CONNECTION_IDLE;
    if (idle && connection->server->draining && connection->body_left == 0) {
        connection_close(connection);
        return;
    }
    if (idle && !connection->in_request && (connection->input_len > 0 || connection->body_left > 0)) {
        connection->in_request = true;
        connection->deadline_us = monotonic_us() + CONNECTION_REQUEST_TIMEOUT_S * 1000000LL;
    }
    const bool pause = state == CONNECTION_WAITING || state == CONNECTION_WRITING;
    if (pause == connection->paused)
        return;
    connection->paused = pause;
    if (lws_rx_flow_control(connection->wsi, !pause) < 0)
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

static void on_read(struct connection *connection, struct bytes data)
{
    if (connection->input_len > 0) {
        keep(connection, data);
    } else {
        connection->processing = true;
        const size_t used = take(connection, data);
        connection->processing = false;
        keep(connection, (struct bytes){ (const char *)data.data + used, data.len - used });
    }
    connection_process(connection);
}

/* ---- The beginning, and time ---- */

static void open_connection(struct connection *connection, struct lws *wsi)
{
    struct server *server = lws_context_user(lws_get_context(wsi));
    connection->wsi = wsi;
    connection->server = server;
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
    set_state(connection, CONNECTION_IDLE);
    lws_get_peer_simple(wsi, connection->peer, sizeof connection->peer);
    if (server->connection_count > SERVER_CONNECTIONS_MAX)
        connection_close(connection);
}

int connection_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct connection *connection = user;
    if (!connection)
        return 0; /* something of libwebsockets' own */
    connection->called = true;
    switch (reason) {
    case LWS_CALLBACK_RAW_ADOPT:
        open_connection(connection, wsi);
        break;
    case LWS_CALLBACK_RAW_RX:
        on_read(connection, (struct bytes){ in, len });
        break;
    case LWS_CALLBACK_RAW_WRITEABLE:
        if (connection->state == CONNECTION_WRITING)
            write_answer(connection);
        break;
    case LWS_CALLBACK_RAW_CLOSE:
        if (connection->server)
            leave(connection);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        xfree(connection->input);
        xfree(connection->out);
        return 0;
    default:
        break;
    }
    connection->called = false;
    return connection->state == CONNECTION_CLOSED ? -1 : 0;
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
