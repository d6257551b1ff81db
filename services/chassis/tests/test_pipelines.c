/* Requests of all kinds, many on one connection, in pieces cut anywhere, from clients that vanish: each that is
 * answered is answered in its turn and with its own answer, and the service has nothing left to do afterwards.
 * PIPELINES_SECONDS: for how long; PIPELINES_SEED: the choices of an earlier run. */
#include "drive.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS = 12,
    REQUESTS_MAX = 24, /* on one connection */
    SENT_MAX = REQUESTS_MAX * 90000,
    ANSWER_MAX = 400000,
    PATIENCE_MS = 20000, /* under sanitizers, beside the builds of others */
    SECONDS = 3,
};

struct expected {
    int status;
    size_t body_len; /* 0: not looked at */
    char needle[48]; /* "": not looked at */
};

/* One connection: what is sent, what must come back. */
struct stream {
    char *bytes;
    size_t len, sent;
    struct expected answers[REQUESTS_MAX];
    size_t count, answered;
    char *input;
    size_t input_len;
};

struct client {
    uint16_t port;
    unsigned seed;
    uint64_t deadline_us;
    uint64_t number, answers;
    char fault[256]; /* "": none */
    pthread_t thread;
};

static unsigned draw(struct client *client, unsigned below)
{
    return (unsigned)rand_r(&client->seed) % below;
}

static void add(struct stream *stream, const char *head, size_t body_len, const char *body, struct expected expected)
{
    stream->len += (size_t)sprintf(stream->bytes + stream->len, "%s", head);
    const size_t given = strlen(body);
    memcpy(stream->bytes + stream->len, body, given);
    memset(stream->bytes + stream->len + given, ' ', body_len - given);
    stream->len += body_len;
    stream->answers[stream->count++] = expected;
}

static void add_post(struct client *client, struct stream *stream, const char *path, const char *body, size_t padding,
    struct expected expected)
{
    char head[160];
    const size_t len = strlen(body) + padding;
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", path,
        draw(client, 2) ? "Content-Type: application/json\r\n" : "", len);
    add(stream, head, len, body, expected);
}

static void add_request(struct client *client, struct stream *stream)
{
    char id[40], text[160];
    snprintf(id, sizeof id, "c%u-%llu", client->seed % 1000, (unsigned long long)client->number++);
    struct expected expected = { .status = 200 };
    snprintf(expected.needle, sizeof expected.needle, "\"%s\"", id);
    switch (draw(client, 8)) {
    case 0:
    case 1:
        snprintf(text, sizeof text, "GET /params/%s/x/2 HTTP/1.1\r\nHost: x\r\n\r\n", id);
        add(stream, text, 0, "", expected);
        return;
    case 2:
        expected = (struct expected){ .status = 200, .body_len = 1 + draw(client, 300000) };
        snprintf(text, sizeof text, "GET /big?bytes=%zu HTTP/1.1\r\nHost: x\r\n\r\n", expected.body_len);
        add(stream, text, 0, "", expected);
        return;
    case 3:
        expected.status = 201;
        snprintf(text, sizeof text, "{\"name\":\"%s\"}", id);
        add_post(client, stream, "/items", text, draw(client, 20), expected);
        return;
    case 4:
        add_post(client, stream, "/echo", "{\"id\":", draw(client, 100), (struct expected){ .status = 400 });
        return;
    case 5:
        add_post(client, stream, "/echo", "{}", 65536 + draw(client, 20000), (struct expected){ .status = 413 });
        return;
    default:
        snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
        add_post(client, stream, "/echo", text, draw(client, 4) ? draw(client, 40) : draw(client, 60000), expected);
        return;
    }
}

/* The first answer in the input, checked and taken away. false: it is not complete, or wrong (then fault says why). */
static bool take_answer(struct client *client, struct stream *stream)
{
    const char *stop = memmem(stream->input, stream->input_len, "\r\n\r\n", 4);
    if (!stop)
        return false;
    const size_t head = (size_t)(stop + 4 - stream->input);
    const char *field = memmem(stream->input, head, "Content-Length: ", 16);
    const size_t body_len = field ? strtoul(field + 16, NULL, 10) : 0;
    if (head + body_len > stream->input_len)
        return false;
    const struct expected *expected = &stream->answers[stream->answered];
    const int status = atoi(stream->input + 9);
    const bool right = status == expected->status && (expected->body_len == 0 || body_len == expected->body_len) &&
                       (!expected->needle[0] || memmem(stop + 4, body_len, expected->needle, strlen(expected->needle)));
    if (!right || stream->answered == stream->count) {
        snprintf(client->fault, sizeof client->fault, "answer %zu of %zu is %d with %zu bytes, not %d with %zu and %s",
            stream->answered, stream->count, status, body_len, expected->status, expected->body_len, expected->needle);
        return false;
    }
    stream->answered++;
    client->answers++;
    stream->input_len -= head + body_len;
    memmove(stream->input, stream->input + head + body_len, stream->input_len);
    return true;
}

static bool read_some(struct client *client, struct stream *stream, int fd)
{
    const ssize_t len = recv(fd, stream->input + stream->input_len, ANSWER_MAX - stream->input_len, MSG_DONTWAIT);
    if (len <= 0) {
        snprintf(client->fault, sizeof client->fault, "the connection ended after %zu of %zu answers", stream->answered,
            stream->count);
        return false;
    }
    stream->input_len += (size_t)len;
    while (take_answer(client, stream))
        ;
    return !client->fault[0];
}

static void send_piece(struct client *client, struct stream *stream, int fd)
{
    const size_t left = stream->len - stream->sent;
    const unsigned most = draw(client, 3) ? 200 : 100000;
    const size_t piece = 1 + draw(client, most);
    const ssize_t len =
        send(fd, stream->bytes + stream->sent, piece < left ? piece : left, MSG_DONTWAIT | MSG_NOSIGNAL);
    stream->sent += len > 0 ? (size_t)len : 0;
    if (stream->sent == stream->len && draw(client, 4) == 0)
        shutdown(fd, SHUT_WR); /* nothing more will come; the answers still have to */
}

/* Sends and reads until all is answered, or until it has gone so many steps and vanishes. */
static void run_stream(struct client *client, struct stream *stream, int fd, unsigned steps)
{
    for (unsigned step = 0; step < steps && stream->answered < stream->count && !client->fault[0]; step++) {
        const short out = stream->sent < stream->len ? POLLOUT : 0;
        const short in = step % 64 < 48 || !out ? POLLIN : 0; /* now and then it does not read for a while */
        struct pollfd wait = { .fd = fd, .events = (short)(in | out) };
        if (poll(&wait, 1, PATIENCE_MS) <= 0)
            snprintf(client->fault, sizeof client->fault, "nothing happened: %zu of %zu bytes sent, %zu of %zu answers",
                stream->sent, stream->len, stream->answered, stream->count);
        else if (wait.revents & (POLLIN | POLLHUP | POLLERR))
            read_some(client, stream, fd);
        if (wait.revents & POLLOUT)
            send_piece(client, stream, fd);
    }
}

static void *client_run(void *context)
{
    struct client *client = context;
    struct stream stream = { .bytes = xmalloc(SENT_MAX), .input = xmalloc(ANSWER_MAX) };
    while ((uint64_t)monotonic_us() < client->deadline_us && !client->fault[0]) {
        stream.len = stream.sent = stream.count = stream.answered = stream.input_len = 0;
        for (unsigned left = 1 + draw(client, REQUESTS_MAX); left > 0; left--)
            add_request(client, &stream);
        const bool vanishes = draw(client, 4) == 0;
        const struct linger reset = { .l_onoff = 1 };
        const int fd = drive_connect(client->port);
        run_stream(client, &stream, fd, vanishes ? draw(client, 100) : UINT32_MAX);
        if (vanishes && draw(client, 2))
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    xfree(stream.bytes);
    xfree(stream.input);
    return NULL;
}

static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec used = { 0 };
    cr_assert_eq(clock_getcpuclockid(pid, &clock), 0);
    clock_gettime(clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static uint64_t setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

Test(pipelines, each_request_gets_its_own_answer_and_the_service_comes_to_rest, .timeout = 1200)
{
    static struct client clients[CLIENTS];
    struct sample sample;
    uint64_t answers = 0;
    const unsigned seed = (unsigned)setting("PIPELINES_SEED", support_random() % 1000000);
    sample_start(&sample, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .port = sample.port, .seed = seed + i };
        clients[i].deadline_us = (uint64_t)monotonic_us() + setting("PIPELINES_SECONDS", SECONDS) * 1000000;
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        answers += clients[i].answers;
        cr_expect_str_empty(clients[i].fault, "client %u, PIPELINES_SEED=%u: %s", i, seed, clients[i].fault);
    }
    fprintf(stderr, "PIPELINES_SEED=%u: %llu answers\n", seed, (unsigned long long)answers);
    cr_expect_gt(answers, 0);
    double used_s = 1;
    for (int i = 0; i < 20 && used_s > 0.1; i++) { /* what the vanished asked for is still worked off */
        const double before_s = cpu_seconds(sample.process.pid);
        nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
        used_s = cpu_seconds(sample.process.pid) - before_s;
    }
    cr_expect_lt(used_s, 0.1, "%.2f s of CPU in half a second without a request", used_s);
    cr_expect_eq(support_process_stop(&sample.process, 10000), 0);
}
