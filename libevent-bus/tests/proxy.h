/* proxy.h -- a TCP proxy on a thread, for losing connections at a chosen moment. One connection at a time. */
#pragma once

enum proxy_mode {
    PROXY_PASS,
    PROXY_CUT_AT_ANSWER, /* requests pass; the first answer is kept and the connection cut */
    PROXY_KEEP_OPEN,     /* what the server says passes, but not that it closes */
    PROXY_SILENT,        /* nothing passes, nothing is cut */
};

struct proxy;
struct proxy *proxy_new(const char *host, const char *port); /* host may be a directory of Unix sockets */
int proxy_port(const struct proxy *proxy);
void proxy_set(struct proxy *proxy, enum proxy_mode mode);
void proxy_free(struct proxy *proxy);
