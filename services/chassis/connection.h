/* connection.h -- one client: bytes in, answers out, one request after the other. Loop thread only.
 *
 * The socket is libwebsockets': a raw one, whose bytes it brings here. It allocates the struct connection with it and
 * frees that once libuv has let go of the socket, which is after whatever is on the stack when it closes. */
#pragma once

#include "server.h"

#include <libwebsockets.h>
#include <netinet/in.h>
#include <pthread.h>

enum {
    CONNECTION_READ_MAX = 64 * 1024,  /* bytes read at once: no more of later requests is kept while one is handled */
    CONNECTION_WRITE_MAX = 64 * 1024, /* bytes handed to libwebsockets at once: of these it copies what has to wait */
    CONNECTION_DISCARD_MAX =
        1 << 20, /* a refused body up to this size is read to its end, so that the connection lives on */
    CONNECTION_REQUEST_TIMEOUT_S = 15, /* for the head, and again for the body, to arrive completely */
    CONNECTION_WRITE_TIMEOUT_S = 30,   /* for the client to take an answer */
    CONNECTION_IDLE_TIMEOUT_S = 75,    /* between two requests */
    CONNECTION_LINGER_S = 2,           /* for the client to read its answer before the connection is cut */
};

/* What a connection is doing; set by set_state() alone, with its deadline. */
enum connection_state {
    CONNECTION_IDLE,    /* between requests, or in the middle of a head */
    CONNECTION_BODY,    /* `call` is ours, its body arrives */
    CONNECTION_WAITING, /* `call` is with a worker */
    CONNECTION_WRITING, /* `out` is being written */
    CONNECTION_LINGER,  /* answered and half closed: what still comes is thrown away */
    CONNECTION_CLOSED,  /* waits for libwebsockets to let go of it */
};

struct connection {
    struct lws *wsi;
    struct server *server;
    struct connection *previous, *next;
    enum connection_state state;
    int64_t deadline_us; /* monotonic; 0: none */
    struct call *call;   /* BODY, WAITING */
    uint64_t body_left;  /* bytes of this request's body not read yet */
    size_t body_max;
    char *input; /* read and not used yet */
    size_t input_len, input_size;
    char *out; /* WRITING */
    size_t out_len, out_done;
    bool close;      /* after this answer */
    bool in_request; /* IDLE: its first bytes are here; the time for the rest runs */
    bool paused;     /* we do not read */
    bool processing; /* in connection_process(), up the stack */
    bool called;     /* by libwebsockets, up the stack: it closes the socket when it hears so */
    char peer[INET6_ADDRSTRLEN];
};

struct server {
    struct server_options options;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    int listen_fd; /* -1: none */
    uv_poll_t listener;
    uv_async_t answered;
    uv_timer_t sweep; /* once a second: deadlines */
    bool draining;
    struct connection *connections;
    size_t connection_count, waiting, writing;
    pthread_mutex_t lock;
    struct call *answers, **answers_end; /* under lock */
};

/* What libwebsockets calls: a connection begins, bytes are here, the socket takes bytes again, it is over. */
int connection_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
/* Takes call->answer; the call stays the caller's. */
void connection_answer(struct connection *connection, struct call *call);
void connection_close(struct connection *connection);
void connection_expire(struct connection *connection, int64_t now_us); /* monotonic */

/* server.c's part for it: an answer given before the request was complete. Frees the call. */
void server_refuse(struct server *server, struct call *call, const struct error *e);
void server_dispatch(struct server *server, struct call *call);
