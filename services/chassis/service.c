/* service.c -- the life of a service: settings, start, run, stop. */
#include "runtime.h"

#include <assert.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_BAD_SETTING = 2,
    START_TIMEOUT_S = 30, /* for the database to be there */
    START_RETRY_MS = 500,
    TICK_MS = 1000,
    STOP_TICK_MS = 5,
    STOP_EXTRA_MS = 2000, /* after the deadline, for threads to notice */
    FILES_MAX = 16384,
};

static struct service_runtime *current;

/* ---- What services ask ---- */

struct service_runtime *service_current(void)
{
    return current;
}

void *service_state(void)
{
    return current->state;
}

bool service_stopping(const struct service_runtime *runtime)
{
    return atomic_load(&runtime->stopping);
}

const struct kafka_options *service_kafka(const struct service_runtime *runtime)
{
    return &runtime->kafka;
}

const struct pg_options *service_pg(const struct service_runtime *runtime)
{
    return &runtime->pg;
}

struct jwt_verifier *service_verifier(const struct service_runtime *runtime)
{
    return runtime->verifier;
}

void service_fail(struct service_runtime *runtime, const struct error *e)
{
    log_error("service failed", e);
    atomic_store(&runtime->exit_code, EXIT_FAILURE);
    uv_async_send(&runtime->wake);
}

/* ---- Stopping: loop thread ---- */

/* Ends the loop once nothing is in flight, or time is up. */
static void on_stop_tick(uv_timer_t *timer)
{
    struct service_runtime *runtime = timer->data;
    const size_t pending = server_pending(runtime->server);
    if (pending > 0 && monotonic_us() < runtime->stop_deadline_us)
        return;
    if (pending > 0)
        log_warn("%zu requests were not finished within SHUTDOWN_TIMEOUT_MS", pending);
    uv_stop(&runtime->loop);
}

static void stop(struct service_runtime *runtime)
{
    if (atomic_exchange(&runtime->stopping, true))
        return;
    log_info("stopping: %zu requests in flight", server_pending(runtime->server));
    runtime->stop_deadline_us = monotonic_us() + runtime->common.shutdown_timeout_ms * 1000;
    server_drain(runtime->server);
    readers_stop(runtime);
    uv_timer_start(&runtime->tick, on_stop_tick, 0, STOP_TICK_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service_runtime *runtime = handle->data;
    log_info("signal %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    stop(runtime);
}

static void on_wake(uv_async_t *async)
{
    stop(async->data);
}

static void on_tick(uv_timer_t *timer)
{
    readers_count(timer->data);
}

/* ---- Starting ---- */

static bool load_settings(struct service_runtime *runtime, struct error *e)
{
    const struct service *service = runtime->service;
    settings_table(service, &runtime->common_table);
    if (!config_load(runtime->common_table.items, &runtime->common, e))
        return false;
    runtime->settings = xcalloc(1, service->settings_size ? service->settings_size : 1);
    if (service->settings && !config_load(service->settings, runtime->settings, e))
        return false;
    settings_apply(runtime);
    return true;
}

/* Waits for the database, so that services may be started in any order. */
static bool reach_database(struct service_runtime *runtime, struct error *e)
{
    const int64_t give_up_us = monotonic_us() + START_TIMEOUT_S * 1000000LL;
    for (;;) {
        CLEANUP(pg_free) struct pg *pg = NULL;
        error_clear(e);
        if (pg_open(&runtime->pg, &pg, e))
            return true;
        if (e->kind != ERROR_TRANSIENT || monotonic_us() > give_up_us)
            return false;
        log_error("waiting for the database", e);
        nanosleep(&(struct timespec){ .tv_nsec = START_RETRY_MS * 1000000L }, NULL);
    }
}

static void loop_open(struct service_runtime *runtime)
{
    uv_loop_init(&runtime->loop);
    uv_async_init(&runtime->loop, &runtime->wake, on_wake);
    uv_timer_init(&runtime->loop, &runtime->tick);
    uv_timer_start(&runtime->tick, on_tick, TICK_MS, TICK_MS);
    runtime->wake.data = runtime->tick.data = runtime;
    for (size_t i = 0; i < ARRAY_LEN(runtime->signals); i++) {
        uv_signal_init(&runtime->loop, &runtime->signals[i]);
        runtime->signals[i].data = runtime;
    }
}

static void *background_run(void *context)
{
    struct service_runtime *runtime = context;
    struct error e = { 0 };
    if (!runtime->service->background(runtime, &e))
        service_fail(runtime, &e);
    return NULL;
}

static bool start(struct service_runtime *runtime, struct error *e)
{
    const struct service *service = runtime->service;
    if (service->database && !reach_database(runtime, e))
        return false;
    if (service_needs_tokens(service))
        runtime->verifier = jwt_verifier_new(runtime->common.jwt_issuer, runtime->common.jwt_audience);
    if (service->start && !service->start(runtime, runtime->settings, &runtime->state, e))
        return false;
    router_add(&runtime->router, service->routes);
    router_add(&runtime->router, health_routes);
    health_bind(&runtime->router);
    if (!readers_open(runtime, e))
        return false;
    const struct server_options options = {
        .host = runtime->common.host,
        .port = (uint16_t)runtime->common.port,
        .loop = &runtime->loop,
        .context = runtime,
        .check = front_check,
        .dispatch = front_dispatch,
    };
    return server_open(&options, &runtime->server, e);
}

/* Until here a signal ends the process as it always does. */
static void start_threads(struct service_runtime *runtime)
{
    uv_signal_start(&runtime->signals[0], on_signal, SIGTERM);
    uv_signal_start(&runtime->signals[1], on_signal, SIGINT);
    pools_start(runtime);
    health_metrics(runtime);
    readers_start(runtime);
    if (runtime->verifier && !jwt_verifier_has_keys(runtime->verifier)) /* identity brings its own */
        runtime->keys = keys_start(runtime->verifier, runtime->common.identity_url);
    if (runtime->service->background)
        runtime->background_running = pthread_create(&runtime->background, NULL, background_run, runtime) == 0;
}

/* ---- The end ---- */

static void on_closed_anyway(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void loop_close(struct service_runtime *runtime)
{
    uv_close((uv_handle_t *)&runtime->wake, NULL);
    uv_close((uv_handle_t *)&runtime->tick, NULL);
    for (size_t i = 0; i < ARRAY_LEN(runtime->signals); i++)
        uv_close((uv_handle_t *)&runtime->signals[i], NULL);
    uv_run(&runtime->loop, UV_RUN_DEFAULT);
    server_free(TAKE(runtime->server));
    uv_walk(&runtime->loop, on_closed_anyway, NULL);
    uv_run(&runtime->loop, UV_RUN_DEFAULT);
    uv_loop_close(&runtime->loop);
}

/* Threads that do not end are left to the end of the process: what they have not committed never happened. */
static void end_threads(struct service_runtime *runtime)
{
    const int64_t deadline_us = monotonic_us() + STOP_EXTRA_MS * 1000;
    const int64_t until_us = deadline_us > runtime->stop_deadline_us ? deadline_us : runtime->stop_deadline_us;
    pools_stop(runtime);
    keys_stop(TAKE(runtime->keys));
    const bool ended = readers_join(runtime, until_us) &&
                       (!runtime->background_running || thread_join_until(runtime->background, until_us)) &&
                       pools_join(runtime, until_us);
    if (ended)
        return;
    log_warn("a thread did not end in time: the process ends without it");
    _exit(EXIT_FAILURE);
}

static void release(struct service_runtime *runtime)
{
    if (runtime->server)
        server_close(runtime->server);
    loop_close(runtime);
    pools_release(runtime);
    readers_release(runtime);
    router_release(&runtime->router);
    jwt_verifier_free(TAKE(runtime->verifier));
}

static int run(struct service_runtime *runtime)
{
    const struct service *service = runtime->service;
    struct error e = { 0 };
    loop_open(runtime);
    const bool started = start(runtime, &e);
    if (started) {
        start_threads(runtime);
        if (service->loop_start && !service->loop_start(runtime, &runtime->loop, &e))
            service_fail(runtime, &e);
        log_info("listening on %s:%lld", runtime->common.host, (long long)runtime->common.port);
        uv_run(&runtime->loop, UV_RUN_DEFAULT);
        if (service->loop_stop)
            service->loop_stop(runtime);
        end_threads(runtime);
    } else {
        log_error("cannot start", &e);
        atomic_store(&runtime->exit_code, e.kind == ERROR_INVALID && e.field[0] ? EXIT_BAD_SETTING : EXIT_FAILURE);
    }
    release(runtime);
    if (service->stop && runtime->state)
        service->stop(runtime->state);
    log_info("stopped");
    return atomic_load(&runtime->exit_code);
}

static void prepare_process(const char *name)
{
    struct rlimit files;
    log_init(name);
    kafka_log_to(log_kafka);
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* For `--check`: what is wrong with the settings, in plain words for whoever is about to start it. */
static int check(const struct service_runtime *runtime)
{
    struct error e = { 0 };
    if (!runtime->service->check || runtime->service->check(runtime->settings, &e))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s\n", e.message);
    return EXIT_BAD_SETTING;
}

int service_main(const struct service *service, int argc, char **argv)
{
    const bool only_check = argc == 2 && strcmp(argv[1], "--check") == 0;
    if (argc > 1 && !only_check) {
        const bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
        settings_print(service, help ? stdout : stderr);
        return help ? EXIT_SUCCESS : EXIT_BAD_SETTING;
    }
    prepare_process(service->name);
    struct service_runtime *runtime = xcalloc(1, sizeof *runtime);
    runtime->service = service;
    runtime->started_us = now_us();
    current = runtime;
    struct error e = { 0 };
    int code = EXIT_BAD_SETTING;
    if (load_settings(runtime, &e))
        code = only_check ? check(runtime) : run(runtime);
    else if (only_check)
        fprintf(stderr, "%s\n", e.message);
    else
        log_error(e.field, &e);
    config_release(runtime->common_table.items, &runtime->common);
    if (service->settings && runtime->settings)
        config_release(service->settings, runtime->settings);
    xfree(runtime->settings);
    current = NULL;
    xfree(runtime);
    curl_global_cleanup();
    return code;
}
