/* penstock-matching-engine: orders.accepted.v1 in, trades, order events, postings and level-2 changes out. */
#include "admin.h"
#include "heap.h"
#include "service.h"
#include "settings.h"

static bool start(struct service_runtime *runtime, const void *own, void **ret_state, struct error *e)
{
    const struct settings *settings = own;
    struct group_options options = {
        .kafka = service_kafka(runtime),
        .data_directory = settings->data_directory,
        .orders_max = (uint32_t)settings->orders_max,
        .pages_max = (uint32_t)settings->pages_max,
        .markets_max = (uint16_t)settings->markets_max,
        .snapshot_every = (uint64_t)settings->snapshot_every,
        .standby = settings->standby,
        .session_timeout_ms = (uint32_t)settings->session_timeout_ms,
        .stuck_after_ms = (uint32_t)settings->stuck_after_ms,
    };
    struct group *group;

    if (!group_open(&options, &group, e))
        return false;

    struct admin_state *state = xcalloc(1, sizeof *state);

    state->group = group;
    *ret_state = state;
    return true;
}

static void stop(void *own)
{
    struct admin_state *state = own;

    group_free(state->group);
    xfree(state);
}

static bool stopping(const void *runtime)
{
    return service_stopping(runtime);
}

static bool match(struct service_runtime *runtime, struct error *e)
{
    struct admin_state *state = service_state();

    return group_run(state->group, stopping, runtime, e);
}

static bool healthy(void *own, char *ret_reason, size_t size)
{
    const struct admin_state *state = own;

    return group_healthy(state->group, ret_reason, size);
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "matching-engine",
        .port = 8084,
        .settings = settings_items,
        .settings_size = sizeof(struct settings),
        .routes = admin_routes,
        .start = start,
        .stop = stop,
        .background = match,
        .healthy = healthy,
    };

    heap_keep_from_children();
    return service_main(&service, argc, argv);
}
