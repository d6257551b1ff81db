/* http.c -- one call to the gateway's public API. */
#include "cli.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { REPLY_MAX = 16 * 1024 * 1024, TIMEOUT_MS = 30000 };

struct reply {
    char *data;
    size_t len;
    long status;
};

void random_key(char ret_key[33])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort();
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ret_key + 2 * i, 3, "%02x", bytes[i]);
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct reply *reply = context;
    size_t len = size * count;
    if (reply->len + len > REPLY_MAX)
        return 0;
    reply->data = xrealloc(reply->data, reply->len + len);
    memcpy(reply->data + reply->len, data, len);
    reply->len += len;
    return len;
}

/* A copy; NUL-terminated. */
static char *whole(const struct reply *reply, size_t *ret_len)
{
    char *copy = xcalloc(reply->len + 1, 1);
    if (reply->len > 0)
        memcpy(copy, reply->data, reply->len);
    if (ret_len)
        *ret_len = reply->len;
    return copy;
}

static struct curl_slist *header(struct curl_slist *list, const char *name, const char *value)
{
    char *line = xasprintf("%s: %s", name, value);
    list = curl_slist_append(list, line);
    xfree(line);
    return list;
}

static bool exchange(
    const struct cli *cli, const struct api_call *call, const char *token, struct reply *ret_reply, struct error *e)
{
    CURL *easy = curl_easy_init();
    CLEANUP(xfree) char *url = xasprintf("%s%s", cli->gateway_url, call->path);
    char *body = call->body ? json_dumps(call->body, JSON_COMPACT) : NULL;
    struct curl_slist *headers = header(NULL, "accept", "application/json");
    if (token) {
        CLEANUP(xfree) char *bearer = xasprintf("Bearer %s", token);
        headers = header(headers, "authorization", bearer);
    }
    if (call->idempotency_key)
        headers = header(headers, "idempotency-key", call->idempotency_key);
    if (body) {
        headers = header(headers, "content-type", "application/json");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    } else if (call->file_type) {
        headers = header(headers, "content-type", call->file_type);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->file);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)call->file_len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, ret_reply);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &ret_reply->status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    free(body);
    return code == CURLE_OK ||
           error_set(e, ERROR_TRANSIENT, "%s does not answer: %s", cli->gateway_url, curl_easy_strerror(code));
}

static int report_problem(const struct cli *cli, const struct reply *reply, const json_t *problem)
{
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *field = json_string_value(json_object_get(problem, "field"));
    if (cli->json && problem)
        print_json(problem);
    fprintf(stderr, "penstock: %s%s%s (HTTP %ld)\n", field && *field ? field : "", field && *field ? ": " : "",
        detail ? detail : "no reason was given", reply->status);
    if (reply->status == 401)
        return CLI_NO_SESSION;
    return reply->status >= 500 ? CLI_UNREACHABLE : CLI_REFUSED;
}

/* Exchanges the refresh token for new tokens, which replace the old ones in `session`. */
static bool refresh(const struct cli *cli, json_t *session)
{
    const json_t *token = json_object_get(session, "refresh_token");
    struct reply reply = { 0 };
    struct error e = { 0 };
    if (!json_is_string(token))
        return false;
    json_t *body = json_pack("{s:s}", "refresh_token", json_string_value(token));
    const struct api_call call = { "POST", "/auth/refresh", .body = body };
    bool ok = exchange(cli, &call, NULL, &reply, &e) && reply.status == 200;
    json_t *fresh = ok ? json_loadb(reply.data, reply.len, 0, NULL) : NULL;
    json_decref(body);
    xfree(reply.data);
    if (!fresh)
        return false;
    json_object_update(session, fresh);
    json_decref(fresh);
    return session_save(session, &e);
}

/* Paths are put together from arguments: what would need encoding is no symbol, id, number, time or status. */
static bool path_is_plain(const char *path)
{
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/?&=._%:-")] == '\0';
}

/* All attempts are one request: they have the same key. */
static int call_in_session(struct cli *cli, const struct api_call *call, json_t *session, json_t **ret_json)
{
    struct error e = { 0 };
    struct reply reply = { 0 };
    int result = CLI_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        const char *token = json_string_value(json_object_get(session, "access_token"));
        xfree(reply.data);
        reply = (struct reply){ 0 };
        if (!exchange(cli, call, token, &reply, &e)) {
            result = cli_fail(CLI_UNREACHABLE, &e);
            break;
        }
        if (reply.status != 401 || !session || attempt > 0 || !refresh(cli, session))
            break;
    }
    json_t *json = result == CLI_OK && reply.len > 0 ? json_loadb(reply.data, reply.len, 0, NULL) : NULL;
    if (result == CLI_OK && (reply.status < 200 || reply.status > 299)) {
        result = report_problem(cli, &reply, json);
        json_decref(json);
        json = NULL;
    }
    *ret_json = json;
    if (result == CLI_OK && call->ret_text)
        *call->ret_text = whole(&reply, call->ret_len);
    xfree(reply.data);
    return result;
}

int api_call(struct cli *cli, const struct api_call *call, json_t **ret_json)
{
    struct api_call keyed = *call;
    struct error e = { 0 };
    char key[33];
    json_t *session = call->with_token ? session_load() : NULL;
    int result;
    *ret_json = NULL;
    if (call->with_key && !call->idempotency_key) {
        random_key(key);
        keyed.idempotency_key = key;
    }
    if (!path_is_plain(call->path)) {
        result = cli_usage(cli, "an argument has a character that no symbol, id, number or time has");
    } else if (call->with_token && !session) {
        error_set(&e, ERROR_UNAUTHENTICATED, "not logged in: penstock login --email … first");
        result = cli_fail(CLI_NO_SESSION, &e);
    } else {
        result = call_in_session(cli, &keyed, session, ret_json);
    }
    json_decref(session);
    json_decref(call->body);
    return result;
}
