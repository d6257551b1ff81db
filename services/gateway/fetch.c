/* fetch.c -- a blocking GET for worker threads, which may wait. */
#include "gateway.h"

#include <curl/curl.h>
#include <string.h>

enum { FETCH_MAX = 64 * 1024 * 1024 };

struct sink {
    char *data;
    size_t len, capacity;
};

static size_t append(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    size_t len = size * count;
    if (sink->len + len > FETCH_MAX)
        return 0;
    if (sink->len + len > sink->capacity) {
        sink->capacity = (sink->len + len) * 2;
        sink->data = xrealloc(sink->data, sink->capacity);
    }
    memcpy(sink->data + sink->len, data, len);
    sink->len += len;
    return len;
}

json_t *fetch_json(const char *url, uint32_t timeout_ms, int *ret_status, struct error *e)
{
    CURL *easy = curl_easy_init();
    struct sink sink = { 0 };
    if (!easy) {
        error_set(e, ERROR_TRANSIENT, "libcurl has no handle");
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &sink);
    CURLcode code = curl_easy_perform(easy);
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    json_t *json =
        code == CURLE_OK ? json_loadb(sink.data ? sink.data : "", sink.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    xfree(sink.data);
    *ret_status = (int)status;
    if (!json)
        error_field(e, ERROR_TRANSIENT, "upstream-unavailable", "", "%s",
            code == CURLE_OK ? "the service behind did not answer with JSON" : curl_easy_strerror(code));
    return json;
}
