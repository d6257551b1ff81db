/* lws_pipelined_posts.c -- why requests are not parsed by libwebsockets: run it and see. The smallest HTTP server that
 * libwebsockets can be; a client sends it two requests in one write, and counts answers and the server's CPU time.
 * On request only: ninja -C build lws-pipelined-posts && build/services/chassis/tests/lws-pipelined-posts */
#include <libwebsockets.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PORT = 18123,
    WAIT_MS = 500,
    SETTLE_MS = 300, /* a server that has answered has nothing to do */
};

static int answer(struct lws *wsi)
{
    unsigned char text[LWS_PRE + 64];
    const int len = sprintf((char *)text + LWS_PRE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (lws_write(wsi, text + LWS_PRE, (size_t)len, LWS_WRITE_HTTP_HEADERS) < 0)
        return -1;
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    if (reason == LWS_CALLBACK_HTTP)
        return lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) ? 0 : answer(wsi);
    if (reason == LWS_CALLBACK_HTTP_BODY) {
        printf("  a body: %.*s\n", (int)len, (const char *)in);
        fflush(stdout);
    }
    if (reason == LWS_CALLBACK_HTTP_BODY)
        return 0;
    if (reason == LWS_CALLBACK_HTTP_BODY_COMPLETION)
        return answer(wsi);
    return lws_callback_http_dummy(wsi, reason, user, in, len);
}

static void serve(void)
{
    static const struct lws_protocols protocols[] = { { .name = "http", .callback = on_event }, { 0 } };
    const struct lws_context_creation_info info = { .port = PORT, .iface = "127.0.0.1", .protocols = protocols };
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&info);
    while (context && lws_service(context, 0) >= 0)
        ;
    _exit(EXIT_FAILURE);
}

static int reach(void)
{
    const struct sockaddr_in address = { AF_INET, htons(PORT), { htonl(INADDR_LOOPBACK) }, { 0 } };
    for (int i = 0; i < 100; i++) {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    perror("no server");
    exit(EXIT_FAILURE);
}

static unsigned answers_to(const char *bytes)
{
    char text[4096];
    unsigned answers = 0;
    const int fd = reach();
    if (write(fd, bytes, strlen(bytes)) < 0)
        perror("write");
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    while (answers < 2 && poll(&wait, 1, WAIT_MS) > 0) {
        const ssize_t len = read(fd, text, sizeof text - 1);
        if (len <= 0)
            break;
        text[len] = '\0';
        for (const char *at = text; (at = strstr(at, "HTTP/1.1 200")); at++)
            answers++;
    }
    nanosleep(&(struct timespec){ .tv_nsec = SETTLE_MS * 1000000L }, NULL);
    close(fd);
    return answers;
}

static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec used = { 0 };
    if (clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

int main(void)
{
#define GET  "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    static const struct {
        const char *what, *bytes;
    } cases[] = { { "GET GET", GET GET }, { "POST GET", POST GET }, { "GET POST", GET POST },
        { "POST POST", POST POST } };
    bool loops = false;
    printf("libwebsockets %s, two requests in one write:\n", lws_get_library_version());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fflush(stdout);
        const pid_t server = fork();
        if (server == 0)
            serve();
        close(reach());
        const double before_s = cpu_seconds(server);
        const unsigned answers = answers_to(cases[i].bytes);
        const double used_s = cpu_seconds(server) - before_s;
        printf("%-10s %u answers, %.2f s of CPU%s\n", cases[i].what, answers, used_s, used_s > 0.1 ? ": it loops" : "");
        loops |= used_s > 0.1;
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    return loops ? EXIT_FAILURE : EXIT_SUCCESS;
}
