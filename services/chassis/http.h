/* http.h -- what a handler sees of HTTP. Handlers are free of transport: tests call them with a struct http_request
 * they fill by hand. Server, threads and sockets are service.h's.
 *
 * Errors: a handler sets `struct error`; the server turns kind, problem, field and message into an RFC 9457
 * problem+json reply. Status by kind: INVALID 400, UNAUTHENTICATED 401, DENIED 403, NOT_FOUND 404, CONFLICT 409,
 * REFUSED 422, TRANSIENT 503, FATAL 500; by problem where that table (problem.c) says otherwise. */
#pragma once

#include "jwt.h"

#include <event_bus/outbox.h>
#include <event_bus/pg.h>
#include <event_bus/trace.h>

#include <jansson.h>

enum {
    HTTP_BODY_MAX = 64 * 1024, /* bytes, unless the route says otherwise; more is 413 */
    HTTP_PATH_MAX = 1024,
    HTTP_PARAMS_MAX = 4,
    HTTP_BATCH_MAX = 500,
};

struct http_request {
    const char *method;                  /* "GET" */
    const char *path;                    /* decoded, without the query */
    const char *query;                   /* raw, "" if none */
    const char *params[HTTP_PARAMS_MAX]; /* what matched ":name" in the pattern, in order */
    const char *authorization;           /* the header, "" if absent */
    const char *idempotency_key;         /* "" if absent; at most 255 printable bytes, checked */
    const char *content_type;            /* "" if absent */
    struct bytes body;
    json_t *json;             /* the parsed body for .json routes: always an object; duplicate keys were refused */
    struct jwt_claims claims; /* set when the route asks for a user or a service */
    struct trace trace;       /* from traceparent, or new */
    const char *peer;         /* client address */
};

struct http_reply {
    int status;   /* 0 becomes 200 */
    json_t *json; /* body; the server takes the reference */
    char *body;   /* or: raw body, xmalloc'd, taken; with body_len and content_type */
    size_t body_len;
    const char *content_type; /* static string; NULL: application/json */
    char location[128];       /* "Location", "" if none */
    uint32_t retry_after_s;   /* "Retry-After", 0 if none */
    bool replayed;            /* adds "Idempotency-Replayed: true" */
};

struct http_call {
    struct http_request request;
    struct http_reply reply;
    struct error error; /* kind != NONE: answered as a problem */
};

/* One request, run on a worker thread, inside a transaction on pg (NULL if the service has no database or the route
 * says .no_tx). The chassis begins and commits; false rolls back. */
typedef bool (*http_handler)(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e);

/* All requests that are waiting, at most HTTP_BATCH_MAX, in one transaction. Each call's error is that call's answer
 * and does not disturb the others. Returning false rolls back all: TRANSIENT is retried a few times, then every call
 * gets *e. So is what fails, until its commit, by a unique key that another transaction had first: tried again, the
 * handler sees it. */
typedef bool (*http_batch_handler)(
    struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e);

enum http_auth { HTTP_AUTH_NONE, HTTP_AUTH_USER, HTTP_AUTH_SERVICE, HTTP_AUTH_ANY };

struct http_route {
    const char *method;  /* NULL ends the table */
    const char *pattern; /* "/orders/:id" */
    http_handler handle; /* exactly one of the two, or .proxied … */
    http_batch_handler handle_batch;
    enum http_auth auth;
    bool json;       /* the body must be a JSON object */
    bool idempotent; /* needs an Idempotency-Key: 400 without */
    bool read_only;  /* transaction READ ONLY; may be served by any worker */
    bool no_tx;      /* the handler has no use for a transaction */
    bool proxied;    /* neither handler: service.proxy takes the call, in the loop thread, once all checks are passed */
    bool slow;       /* CPU-bound (argon2): own small pool, so that it starves nobody */
    uint32_t body_max; /* 0: HTTP_BODY_MAX */
    uint32_t lane;     /* batched routes with the same lane share one queue, thread and connection */
    uint32_t
        batch_max; /* of that lane: at most so many calls in one transaction, where they are large; 0: HTTP_BATCH_MAX */
};

/* ---- Reading a JSON body: each names the field in its error. ERROR_INVALID: missing or of another type. ---- */
MUST_CHECK bool json_get_string(const json_t *object, const char *field, const char **ret, struct error *e);
/* *ret = fallback if absent or null. */
MUST_CHECK bool json_opt_string(
    const json_t *object, const char *field, const char *fallback, const char **ret, struct error *e);
MUST_CHECK bool json_opt_bool(const json_t *object, const char *field, bool fallback, bool *ret, struct error *e);
MUST_CHECK bool json_only_fields(
    const json_t *object, const char *const *fields, struct error *e); /* names an unknown one */
/* A 64-bit integer as JSON carries it, a string of digits; 0 if it is absent or none. For what our own services answer.
 */
int64_t json_int64(const json_t *object, const char *field);

/* ---- Query string ---- */
/* Decoded value of `name` into ret (size bytes): false if absent or too long. */
bool query_get(const char *query, const char *name, char *ret, size_t size);
MUST_CHECK bool query_int(
    const char *query, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct error *e);
MUST_CHECK bool parse_id(
    const char *text, const char *field, uint64_t *ret, struct error *e); /* decimal, > 0; else NOT_FOUND */
int http_status(const struct error *e);
json_t *http_problem(const struct error *e, const struct trace *trace); /* the problem+json object */
