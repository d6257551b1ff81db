/* outbox-relay: one thread a source; see relay.h. Inputs: OUTBOX_RELAY_SOURCES. HTTP: /health, /metrics, and admin.h.
 */
#include "admin.h"

#include <pthread.h>
#include <stdio.h>

static bool stopping(void *runtime)
{
    return service_stopping(runtime);
}

static struct relay_options relay_options_of(
    struct service_runtime *runtime, const struct relay_settings *settings, const struct relay_source_setting *source)
{
    return (struct relay_options){ .source = source->name,
        .setting = source->setting,
        .dsn = source->dsn,
        .mapping = &source->mapping,
        .kafka = service_kafka(runtime),
        .compression = relay_compression(settings),
        .page_rows = settings->page_rows,
        .page_bytes = settings->page_bytes,
        .poll_max_us = settings->poll_max_ms * 1000,
        .transaction_us = settings->transaction_ms * 1000,
        .pause_us = settings->pause_us,
        .transaction_timeout_ms = settings->transaction_timeout_ms,
        .queue_kbytes_max = settings->queue_kbytes_max,
        .lease_stale_us = settings->lease_ms * 1000,
        .cleanup = settings->cleanup,
        .cleanup_delay_us = settings->cleanup_delay_s * 1000000,
        .idempotent = source->guarantee == 1,
        .mode = (enum source_mode)source->mode,
        .slot = source->slot,
        .publication = source->publication,
        .wal_catch_up_bytes = settings->wal_catch_up_bytes,
        .wal_peek_changes = settings->wal_peek_changes,
        .wal_spill_folder = settings->wal_spill_folder,
        .park = settings->on_refusal == 0,
        .reset = source->reset,
        .stopping = stopping,
        .context = runtime };
}

static void relays_stop(void *state)
{
    struct relays *relays = state;

    for (size_t i = 0; i < relays->sources.count; i++)
        relay_free(relays->relays[i]);
    relay_sources_release(&relays->sources);
    xfree(relays);
}

static bool relays_start(struct service_runtime *runtime, const void *settings, void **ret_state, struct error *e)
{
    struct relays *relays = xcalloc(1, sizeof *relays);

    relays->settings = settings;
    relays->kafka = service_kafka(runtime);
    if (!relay_sources_load(settings, &relays->sources, e)) {
        relays_stop(relays);
        return false;
    }
    for (size_t i = 0; i < relays->sources.count; i++) {
        relays->options[i] = relay_options_of(runtime, settings, &relays->sources.items[i]);
        relays->relays[i] = relay_new(&relays->options[i]);
    }
    *ret_state = relays;
    return true;
}

static bool relays_check(const void *settings, struct error *e)
{
    struct relay_sources sources;
    const bool good = relay_sources_load(settings, &sources, e);

    relay_sources_release(&sources);
    return good;
}

static void *run_relay(void *relay)
{
    relay_run(relay);
    return NULL;
}

/* A thread for each source; returns when all have ended. */
static bool relays_run(struct service_runtime *runtime, struct error *e)
{
    struct relays *relays = service_state();
    pthread_t threads[RELAY_SOURCES_MAX];
    size_t started = 0;
    int code = 0;

    for (; started < relays->sources.count && code == 0; started += code == 0)
        code = pthread_create(&threads[started], NULL, run_relay, relays->relays[started]);
    if (code != 0) {
        error_set(e, ERROR_FATAL, "cannot start a thread: %s", strerror(code));
        service_fail(runtime, e);
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return code == 0;
}

static bool relays_healthy(void *state, char *ret_reason, size_t size)
{
    const struct relays *relays = state;

    for (size_t i = 0; i < relays->sources.count; i++) {
        struct relay_status status;

        relay_get_status(relays->relays[i], &status);
        if (status.state != RELAY_PAUSED && status.lag_s > (double)relays->settings->max_lag_s) {
            snprintf(ret_reason, size, "source %s is %s and lags %.0f s: %s", relays->sources.items[i].name,
                relay_state_name(status.state), status.lag_s, status.trouble);
            return false;
        }
        if (status.retained_bytes > (uint64_t)relays->settings->wal_max_retained_bytes) {
            snprintf(ret_reason, size, "source %s: its slot keeps %.1f GB of log on the server",
                relays->sources.items[i].name, (double)status.retained_bytes / 1e9);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct service service = { .name = "outbox-relay",
        .port = 8085,
        .settings = relay_settings_items,
        .settings_size = sizeof(struct relay_settings),
        .routes = admin_routes,
        .start = relays_start,
        .check = relays_check,
        .stop = relays_stop,
        .background = relays_run,
        .healthy = relays_healthy };

    int code = service_main(&service, argc, argv);
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("\nEach source has these, after RELAY_<NAME>_ (trade-ledger: RELAY_TRADE_LEDGER_POSTGRES_URL):\n\n");
        config_print(relay_source_items, stdout);
    }
    return code;
}
