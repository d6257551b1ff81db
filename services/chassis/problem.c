/* problem.c -- struct error → HTTP status and RFC 9457 problem+json. The one table of refusals. */
#include "http.h"

#include <stdio.h>

/* What a kind is when the error names no problem of its own. */
static const struct {
    int status;
    const char *problem;
    const char *title;
} kinds[] = {
    [ERROR_NONE] = { 200, "none", "No error" },
    [ERROR_INVALID] = { 400, "invalid-request", "The request is malformed" },
    [ERROR_UNAUTHENTICATED] = { 401, "unauthenticated", "A valid access token is needed" },
    [ERROR_DENIED] = { 403, "denied", "Not allowed" },
    [ERROR_NOT_FOUND] = { 404, "not-found", "Not found" },
    [ERROR_CONFLICT] = { 409, "conflict", "In conflict with the present state" },
    [ERROR_REFUSED] = { 422, "refused", "The request was understood and refused" },
    [ERROR_TRANSIENT] = { 503, "unavailable", "Not available at the moment; try again" },
    [ERROR_FATAL] = { 500, "internal", "Internal error" },
};

/* Problems whose status is not their kind's, and problems that deserve a title of their own. status 0: the kind's. */
static const struct {
    const char *problem;
    int status;
    const char *title;
} problems[] = {
    { "body-too-large", 413, "The body is too large" },
    { "length-required", 411, "A Content-Length is needed" },
    { "headers-too-large", 431, "The request header is too large" },
    { "method-not-allowed", 405, "The method is not allowed here" },
    { "unsupported-media-type", 415, "The body must be application/json" },
    { "rate-limited", 429, "Too many requests" },
    { "request-timeout", 408, "The request did not arrive in time" },
    { "upstream-failed", 502, "A service behind this one failed" },
    { "upstream-timeout", 504, "A service behind this one did not answer in time" },
    { "idempotency-key-missing", 400, "An Idempotency-Key is needed" },
    { "idempotency-key-reused", 422, "The Idempotency-Key was used with another request" },
    { "request-in-flight", 409, "The same request is being handled" },
    { "client-order-id-reused", 409, "The client_order_id was used before" },
    { "email-taken", 409, "The e-mail address is taken" },
    { "wrong-credentials", 401, "Wrong e-mail address or password" },
    { "insufficient-funds", 0, "Not enough funds" },
    { "account-frozen", 0, "The account is frozen" },
    { "account-closed", 0, "The account is closed" },
    { "account-not-found", 404, "No such account" },
    { "account-not-empty", 409, "The account is not empty" },
    { "unknown-recipient", 0, "There is no such recipient" },
    { "four-eyes", 403, "Another operator has to decide" },
    { "approval-needed", 403, "Another operator has to approve" },
    { "role-needed", 403, "This is the house's to do" },
    { "funding-disabled", 403, "Funding is disabled" },
    { "no-reference-price", 422, "The market has no reference price" },
    { "market-not-open", 422, "The market is not open" },
    { "order-not-found", 404, "No such order" },
    { "malformed-json", 400, "The body is not well-formed JSON" },
    { "missing-field", 400, "A field is missing" },
    { "wrong-type", 400, "A field has the wrong type" },
};

int http_status(const struct error *e)
{
    for (size_t i = 0; e->problem[0] && i < ARRAY_LEN(problems); i++)
        if (problems[i].status && strcmp(problems[i].problem, e->problem) == 0)
            return problems[i].status;
    return kinds[e->kind].status;
}

static const char *problem_title(const struct error *e)
{
    for (size_t i = 0; e->problem[0] && i < ARRAY_LEN(problems); i++)
        if (strcmp(problems[i].problem, e->problem) == 0)
            return problems[i].title;
    return kinds[e->kind].title;
}

json_t *http_problem(const struct error *e, const struct trace *trace)
{
    char type[80];
    snprintf(type, sizeof type, "urn:penstock:problem:%s", e->problem[0] ? e->problem : kinds[e->kind].problem);
    json_t *problem = json_pack("{s:s, s:s, s:i}", "type", type, "title", problem_title(e), "status", http_status(e));
    if (!problem)
        return NULL;
    /* A message may quote the client's bytes: what is not UTF-8 is left out, jansson refuses it. */
    if (e->message[0])
        json_object_set_new(problem, "detail", json_string(e->message));
    if (e->field[0])
        json_object_set_new(problem, "field", json_string(e->field));
    char id[33] = "";
    if (trace)
        trace_id(trace, id);
    if (id[0])
        json_object_set_new(problem, "trace_id", json_string(id));
    return problem;
}
