/* http_client.c -- see http_client.h. */
#include "http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum connection_state { CLOSED, CONNECTING, IDLE, SENDING, RECEIVING };

struct connection {
    enum connection_state state;
    int fd;
    bool busy; /* a request is in hand, sent or not */
    size_t request_len, sent, received;
    int64_t started_us, retry_us;
    char request[LOAD_REQUEST_MAX];
    char reply[LOAD_REPLY_MAX + 1];
};

struct load_client {
    struct addrinfo *address;
    int epoll;
    load_next next;
    load_done done;
    void *context;
    size_t count;
    uint64_t reconnects;
    bool draining, stopped;
    struct connection connections[];
};

static void close_connection(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
    c->sent = c->received = 0;
    c->retry_us = monotonic_us() + 50000;
}

static void open_connection(struct load_client *client, size_t index)
{
    struct connection *c = &client->connections[index];
    const struct addrinfo *a = client->address;
    int one = 1;
    c->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (c->fd < 0)
        return;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = index };
    epoll_ctl(client->epoll, EPOLL_CTL_ADD, c->fd, &event);
    c->state = CONNECTING;
    if (connect(c->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)
        close_connection(c);
    client->reconnects++;
}

static void send_request(struct load_client *client, size_t index)
{
    struct connection *c = &client->connections[index];
    if (!c->busy) {
        if (client->draining)
            return;
        c->request_len = client->next(client->context, index, c->request);
        if (c->request_len == 0)
            return;
        c->busy = true;
        c->started_us = monotonic_us();
    }
    c->state = SENDING;
    while (c->sent < c->request_len) {
        ssize_t n = send(c->fd, c->request + c->sent, c->request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_connection(c);
            return;
        }
        c->sent += (size_t)n;
    }
    c->state = RECEIVING;
}

/* Whether the reply is complete; *ret_body and *ret_len are its body. -1: not HTTP. */
static int parse_reply(struct connection *c, const char **ret_body, size_t *ret_len, int *ret_status)
{
    c->reply[c->received] = '\0';
    char *end = strstr(c->reply, "\r\n\r\n");
    if (!end)
        return 0;
    if (sscanf(c->reply, "HTTP/1.1 %d", ret_status) != 1)
        return -1;
    size_t length = 0;
    for (char *line = strstr(c->reply, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "content-length:", 15) == 0)
            length = strtoul(line + 17, NULL, 10);
    size_t head = (size_t)(end + 4 - c->reply);
    if (c->received < head + length)
        return 0;
    *ret_body = end + 4;
    *ret_len = length;
    return 1;
}

static void receive(struct load_client *client, size_t index)
{
    struct connection *c = &client->connections[index];
    for (;;) {
        ssize_t n = recv(c->fd, c->reply + c->received, LOAD_REPLY_MAX - c->received, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_connection(c);
            return;
        }
        c->received += (size_t)n;
        struct load_answer answer = { .started_us = c->started_us };
        int complete = parse_reply(c, &answer.body, &answer.body_len, &answer.status);
        if (complete < 0 || (!complete && c->received == LOAD_REPLY_MAX)) {
            close_connection(c);
            return;
        }
        if (!complete)
            continue;
        answer.ended_us = monotonic_us();
        c->sent = c->received = 0;
        c->state = IDLE;
        if (answer.status == 503 || answer.status == 502 || answer.status == 504) {
            c->retry_us = answer.ended_us + 20000; /* busy stays: the same request again */
        } else {
            c->busy = false;
            client->done(client->context, index, &answer);
            send_request(client, index);
        }
        if (c->state == CLOSED)
            return;
    }
}

static void on_event(struct load_client *client, size_t index, uint32_t events)
{
    struct connection *c = &client->connections[index];
    if (c->state == CLOSED)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        close_connection(c);
        return;
    }
    if ((events & EPOLLOUT) && c->state == CONNECTING)
        c->state = IDLE;
    if ((events & EPOLLOUT) && (c->state == SENDING || (c->state == IDLE && monotonic_us() >= c->retry_us)))
        send_request(client, index);
    if ((events & EPOLLIN) && c->state != CLOSED)
        receive(client, index);
}

static size_t tick(struct load_client *client, int64_t now)
{
    size_t busy = 0;
    for (size_t i = 0; i < client->count; i++) {
        struct connection *c = &client->connections[i];
        if (c->state == CLOSED && now >= c->retry_us && (c->busy || !client->draining))
            open_connection(client, i);
        else if (c->state == IDLE && now >= c->retry_us)
            send_request(client, i);
        busy += c->busy;
    }
    return busy;
}

size_t load_client_run(struct load_client *client, int64_t until_us, int64_t drain_us)
{
    int64_t last_tick = 0;
    size_t busy = 1;
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(client->epoll, events, 256, 1);
        for (int i = 0; i < n; i++)
            on_event(client, events[i].data.u64, events[i].events);
        int64_t now = monotonic_us();
        client->draining = client->stopped || now >= until_us;
        if (now - last_tick >= 1000) {
            busy = tick(client, now);
            last_tick = now;
        }
        if (client->draining && (busy == 0 || now >= until_us + drain_us))
            return busy;
    }
}

bool load_client_open(const char *host, const char *port, size_t connections, load_next next, load_done done,
    void *context, struct load_client **ret, struct error *e)
{
    if (connections == 0 || connections > LOAD_CONNECTIONS_MAX)
        return error_field(e, ERROR_INVALID, "", "connections", "1 to %d", LOAD_CONNECTIONS_MAX);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *address;
    int code = getaddrinfo(host, port, &hints, &address);
    if (code != 0)
        return error_set(e, ERROR_INVALID, "%s:%s: %s", host, port, gai_strerror(code));
    struct load_client *client = xcalloc(1, sizeof *client + connections * sizeof client->connections[0]);
    client->address = address;
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    client->next = next;
    client->done = done;
    client->context = context;
    client->count = connections;
    for (size_t i = 0; i < connections; i++)
        client->connections[i].fd = -1;
    *ret = client;
    return true;
}

void load_client_free(struct load_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->count; i++)
        if (client->connections[i].fd >= 0)
            close(client->connections[i].fd);
    close(client->epoll);
    freeaddrinfo(client->address);
    xfree(client);
}

void load_client_stop(struct load_client *client)
{
    client->stopped = true;
}

uint64_t load_client_reconnects(const struct load_client *client)
{
    return client->reconnects;
}
