/* users.c -- see users.h. Blocking; before the clock starts. A service that is down for a moment is waited for: loads
 * also run while services are being killed. */
#include "users.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPEN_TRIES_MAX = 60, OPEN_PAUSE_MS = 500 };

struct users {
    size_t count;
    struct {
        char *token;
        uint64_t id;
    } each[];
};

static size_t collect(char *data, size_t size, size_t count, void *context)
{
    return fwrite(data, size, count, context);
}

/* POST; *ret_json is the caller's. */
static bool post(
    const char *url, const char *token, const char *key, const char *body, json_t **ret_json, struct error *e)
{
    char *reply = NULL, header[2048];
    size_t len = 0;
    long status = 0;
    FILE *out = open_memstream(&reply, &len);
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "content-type: application/json");
    snprintf(header, sizeof header, "idempotency-key: %s", key);
    headers = curl_slist_append(headers, header);
    if (token) {
        snprintf(header, sizeof header, "authorization: Bearer %s", token);
        headers = curl_slist_append(headers, header);
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, out);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    fclose(out);
    *ret_json = code == CURLE_OK && status == 201 ? json_loadb(reply, len, 0, NULL) : NULL;
    if (!*ret_json)
        error_set(e, code != CURLE_OK || status >= 500 ? ERROR_TRANSIENT : ERROR_INVALID,
            "POST %s: %s, HTTP %ld: %.80s", url, curl_easy_strerror(code), status, len ? reply : "");
    free(reply);
    return *ret_json != NULL;
}

/* One try: each signs up by an address of its own, so that one that was lost half-way is only left behind. */
static bool try_user(struct users *users, size_t index, const char *base, struct error *e)
{
    static const char *const money[][2] = { { "USD", "10000000" }, { "BTC", "100000" }, { "ETH", "1000000" } };
    json_t *json;
    CLEANUP(xfree) char *signup = xasprintf("%s/auth/signup", base);
    CLEANUP(xfree) char *topup = xasprintf("%s/api/fund/topup", base);
    CLEANUP(xfree)
    char *body = xasprintf("{\"email\":\"load-%lld-%zu@load.invalid\",\"password\":\"a load test's password\"}",
        (long long)now_us(), index);
    if (!post(signup, NULL, "signup", body, &json, e))
        return false;
    const char *token = json_string_value(json_object_get(json, "access_token"));
    const char *id = json_string_value(json_object_get(json, "user_id"));
    xfree(users->each[index].token);
    users->each[index].token = token ? xstrdup(token) : NULL;
    users->each[index].id = id ? strtoull(id, NULL, 10) : 0;
    json_decref(json);
    if (!users->each[index].token)
        return error_set(e, ERROR_INVALID, "signup gave no token");
    for (size_t i = 0; i < ARRAY_LEN(money); i++) {
        CLEANUP(xfree) char *request = xasprintf("{\"currency\":\"%s\",\"amount\":\"%s\"}", money[i][0], money[i][1]);
        if (!post(topup, users->each[index].token, money[i][0], request, &json, e))
            return false;
        json_decref(json);
    }
    return true;
}

static bool open_user(struct users *users, size_t index, const char *base, struct error *e)
{
    for (int tries = 1; !try_user(users, index, base, e); tries++) {
        if (tries == OPEN_TRIES_MAX || e->kind != ERROR_TRANSIENT)
            return false;
        error_clear(e);
        nanosleep(&(struct timespec){ .tv_nsec = OPEN_PAUSE_MS * 1000000L }, NULL);
    }
    return true;
}

/* The first users of a file of lines "ID TOKEN"; gives how many there were. */
static size_t read_users(struct users *users, const char *path)
{
    char token[2048];
    unsigned long long id;
    size_t n = 0;
    FILE *file = path ? fopen(path, "r") : NULL;
    for (; file && n < users->count && fscanf(file, "%llu %2047s", &id, token) == 2; n++) {
        users->each[n].id = id;
        users->each[n].token = xstrdup(token);
    }
    if (file)
        fclose(file);
    return n;
}

static bool write_users(const struct users *users, const char *path, struct error *e)
{
    FILE *file = fopen(path, "w");
    for (size_t i = 0; file && i < users->count; i++)
        fprintf(file, "%llu %s\n", (unsigned long long)users->each[i].id, users->each[i].token);
    return (file && fclose(file) == 0) || error_set(e, ERROR_INVALID, "%s cannot be written", path);
}

bool users_open(const char *host, const char *port, size_t count, const char *path, struct users **ret, struct error *e)
{
    CLEANUP(users_free) struct users *users = xcalloc(1, sizeof *users + count * sizeof users->each[0]);
    CLEANUP(xfree) char *base = xasprintf("http://%s:%s", host, port);
    users->count = count;
    size_t known = read_users(users, path);
    for (size_t i = known; i < count; i++)
        if (!open_user(users, i, base, e))
            return false;
    if (path && known < count && !write_users(users, path, e))
        return false;
    *ret = TAKE(users);
    return true;
}

void users_free(struct users *users)
{
    if (!users)
        return;
    for (size_t i = 0; i < users->count; i++)
        xfree(users->each[i].token);
    xfree(users);
}

const char *users_token(const struct users *users, size_t index)
{
    return users->each[index].token;
}

uint64_t users_id(const struct users *users, size_t index)
{
    return users->each[index].id;
}
