/* call.h -- one request on its way through the server: received on the loop thread, handled on a worker or lane,
 * answered on the loop thread again. One thread touches it at a time; it outlives its connection when the client hangs
 * up. */
#pragma once

#include "http.h"
#include "router.h"

enum {
    CALL_KEY_MAX = 255, /* Idempotency-Key */
    CALL_JSON_DEPTH_MAX = 16,
};

struct connection;

struct call {
    struct http_call http;         /* what handlers see; first, so that call_of() is a cast */
    struct call *next;             /* in the one list it is on */
    struct connection *connection; /* NULL once the client has gone; loop thread only */
    struct route *route;           /* NULL: nothing matched */
    int64_t received_us;           /* monotonic */
    bool head;                     /* HEAD: the answer has no body */
    bool close;                    /* the connection ends with this answer */
    char *body;
    size_t body_len, body_size;
    char *answer; /* rendered: head and body */
    size_t answer_len;
    char allow[64]; /* "Allow" of a 405 or an OPTIONS */
    char *params;   /* room for the parameters of the path, in text */
    char text[];    /* what the strings of the request point to */
};

static inline struct call *call_of(struct http_call *http)
{
    return (struct call *)http;
}

void call_free(struct call *call); /* NULL is fine */
DEFINE_CLEANUP(struct call *, call_free)

/* Room for body_size bytes is made as they arrive. Beyond `max`: false, nothing is taken. */
MUST_CHECK bool call_append_body(struct call *call, const void *data, size_t len, size_t max);

/* What is left to check of the request, by any thread: the JSON body. Again: nothing to do. */
MUST_CHECK bool call_prepare(struct call *call, struct error *e);
MUST_CHECK bool call_check_json_depth(struct bytes text, struct error *e);
MUST_CHECK bool call_check_key(const char *key, bool needed, struct error *e);

/* Forgets what a handler answered, for another attempt. */
void call_reset(struct http_call *http);

/* Turns reply or error into call->answer. Any thread. */
void call_render(struct call *call);
