#include "keys.h"

#include "log.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct keys {
    struct jwt_verifier *verifier;
    char *url;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool asked, stopping; /* under lock */
    atomic_bool loaded;
};

struct text {
    char data[KEYS_BYTES_MAX];
    size_t len;
};

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct text *text = context;
    const size_t len = size * count;
    if (len >= sizeof text->data - text->len)
        return 0;
    memcpy(text->data + text->len, data, len);
    text->len += len;
    return len;
}

/* A stop does not wait for a peer that does not answer. */
static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct keys *keys = context;
    (void)a, (void)b, (void)c, (void)d;
    pthread_mutex_lock(&keys->lock);
    const bool stopping = keys->stopping;
    pthread_mutex_unlock(&keys->lock);
    return stopping;
}

static bool fetch(struct keys *keys, struct text *ret_text, struct error *e)
{
    long status = 0;
    CURL *curl = curl_easy_init();
    if (!curl)
        return error_set(e, ERROR_TRANSIENT, "curl does not start");
    ret_text->len = 0;
    curl_easy_setopt(curl, CURLOPT_URL, keys->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, keys);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_text);
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    ret_text->data[ret_text->len] = '\0';
    if (code != CURLE_OK)
        return error_set(e, ERROR_TRANSIENT, "%s: %s", keys->url, curl_easy_strerror(code));
    if (status != 200)
        return error_set(e, ERROR_TRANSIENT, "%s answered %ld", keys->url, status);
    return true;
}

/* Waits until asked or stopped, at most ms. false: stopped. */
static bool keys_wait(struct keys *keys, int64_t ms, bool until_asked)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&keys->lock);
    int late = 0;
    while (!late && !keys->stopping && !(until_asked && keys->asked))
        late = pthread_cond_timedwait(&keys->changed, &keys->lock, &until);
    if (until_asked)
        keys->asked = false;
    const bool stopping = keys->stopping;
    pthread_mutex_unlock(&keys->lock);
    return !stopping;
}

static void *keys_run(void *context)
{
    struct keys *keys = context;
    struct text *text = xmalloc(sizeof *text);
    int64_t retry_ms = KEYS_RETRY_MS;
    bool running = true;
    while (running) {
        struct error e = { 0 };
        if (fetch(keys, text, &e) && jwt_verifier_set_keys(keys->verifier, text->data, &e)) {
            if (!atomic_exchange(&keys->loaded, true))
                log_info("token keys loaded from %s", keys->url);
            retry_ms = KEYS_RETRY_MS;
            running = keys_wait(keys, KEYS_ASKED_PAUSE_MS, false) && keys_wait(keys, KEYS_REFRESH_S * 1000, true);
            continue;
        }
        running = keys_wait(keys, retry_ms, false);
        if (running && retry_ms >= KEYS_RETRY_MAX_MS / 4)
            log_warn("token keys not fetched: %s", e.message);
        retry_ms = retry_ms * 2 < KEYS_RETRY_MAX_MS ? retry_ms * 2 : KEYS_RETRY_MAX_MS;
    }
    xfree(text);
    return NULL;
}

struct keys *keys_start(struct jwt_verifier *verifier, const char *identity_url)
{
    struct keys *keys = xcalloc(1, sizeof *keys);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&keys->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&keys->lock, NULL);
    keys->verifier = verifier;
    keys->url = xasprintf("%s/.well-known/jwks.json", identity_url);
    pthread_create(&keys->thread, NULL, keys_run, keys);
    return keys;
}

void keys_ask(struct keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    const bool wake = !keys->asked;
    keys->asked = true;
    pthread_mutex_unlock(&keys->lock);
    if (wake)
        pthread_cond_signal(&keys->changed);
}

bool keys_loaded(const struct keys *keys)
{
    return atomic_load(&keys->loaded);
}

void keys_stop(struct keys *keys)
{
    if (!keys)
        return;
    pthread_mutex_lock(&keys->lock);
    keys->stopping = true;
    pthread_mutex_unlock(&keys->lock);
    pthread_cond_signal(&keys->changed);
    pthread_join(keys->thread, NULL);
    pthread_cond_destroy(&keys->changed);
    pthread_mutex_destroy(&keys->lock);
    xfree(keys->url);
    xfree(keys);
}
