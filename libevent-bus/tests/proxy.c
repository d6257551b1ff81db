#include "proxy.h"

#include <event_bus/base.h>

#include <criterion/criterion.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { POLL_MS = 20, BUFFER_SIZE = 65536 };

struct proxy {
    char *host, *server_port;
    int listener, port;
    _Atomic enum proxy_mode mode;
    atomic_bool stopping;
    pthread_t thread;
};

static int connect_unix(const struct proxy *proxy)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/.s.PGSQL.%.10s", proxy->host, proxy->server_port);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0, "%s", address.sun_path);
    return fd;
}

static int connect_server(const struct proxy *proxy)
{
    if (proxy->host[0] == '/')
        return connect_unix(proxy);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    cr_assert_eq(getaddrinfo(proxy->host, proxy->server_port, &hints, &found), 0);
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, found->ai_addr, found->ai_addrlen), 0);
    freeaddrinfo(found);
    return fd;
}

/* false: that side has closed. */
static bool pass(int from, int to)
{
    static _Thread_local char buffer[BUFFER_SIZE];
    ssize_t got = read(from, buffer, sizeof buffer);
    for (ssize_t sent = 0; sent < got;) {
        ssize_t n = send(to, buffer + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += n;
    }
    return got > 0;
}

static void serve(struct proxy *proxy, int client)
{
    int server = connect_server(proxy);
    bool open = true;
    while (open && !proxy->stopping) {
        struct pollfd fds[] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
        if (proxy->mode == PROXY_SILENT) {
            /* The client may have gone: the next one wants to be served once the mode is PASS again. */
            usleep(POLL_MS * 1000);
            continue;
        }
        if (poll(fds, 2, POLL_MS) <= 0)
            continue;
        if (fds[1].revents && proxy->mode == PROXY_KEEP_OPEN) {
            if (!pass(server, client))
                usleep(POLL_MS * 1000);
        } else if (fds[1].revents) {
            open = proxy->mode == PROXY_PASS && pass(server, client);
        }
        if (open && fds[0].revents)
            open = pass(client, server);
    }
    close(client);
    close(server);
}

static void *run(void *context)
{
    struct proxy *proxy = context;
    while (!proxy->stopping) {
        struct pollfd fd = { .fd = proxy->listener, .events = POLLIN };
        if (poll(&fd, 1, POLL_MS) == 1)
            serve(proxy, accept(proxy->listener, NULL, NULL));
    }
    return NULL;
}

struct proxy *proxy_new(const char *host, const char *port)
{
    struct proxy *proxy = xcalloc(1, sizeof *proxy);
    proxy->host = xstrdup(host);
    proxy->server_port = xstrdup(port);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(proxy->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(proxy->listener, 4), 0);
    cr_assert_eq(getsockname(proxy->listener, (struct sockaddr *)&address, &size), 0);
    proxy->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&proxy->thread, NULL, run, proxy), 0);
    return proxy;
}

int proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

void proxy_set(struct proxy *proxy, enum proxy_mode mode)
{
    proxy->mode = mode;
}

void proxy_free(struct proxy *proxy)
{
    proxy->stopping = true;
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    xfree(proxy->host);
    xfree(proxy->server_port);
    xfree(proxy);
}
