/* trade-ledger: accounts, orders and double entry. All its inputs are on this screen. */
#include "../chassis/log.h"
#include "../chassis/service.h"
#include "chores.h"
#include "events.h"
#include "external_file.h"
#include "http.h"
#include "interest_run.h"
#include "positions.h"
#include "schedules.h"
#include "self_check.h"

#include <unistd.h>

/* Money goes by lanes of its own: a large request of transfers keeps no order waiting. */
enum {
    LANE_COMMANDS = 1,
    LANE_MONEY,
    LANE_MANY,
    MANY_AT_ONCE_MAX = 4,
    MANY_BODY_MAX = 1024 * 1024,
    CHORES_EVERY_MS = 1000,
    STOP_CHECK_MS = 100,
    INTEREST_EVERY_US = 60000000,
};

static const struct http_route routes[] = {
    { "POST", "/orders", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .lane = LANE_COMMANDS },
    { "POST", "/orders/batch", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .lane = LANE_COMMANDS },
    { "POST", "/quotes/mass", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .lane = LANE_COMMANDS },
    { "POST", "/orders/cancel-all", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .lane = LANE_COMMANDS },
    { "POST", "/orders/cancel-all-after", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .lane = LANE_COMMANDS },
    { "PATCH", "/orders/:id", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .lane = LANE_COMMANDS },
    { "DELETE", "/orders/:id", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .lane = LANE_COMMANDS },
    { "POST", "/fund/topup", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .lane = LANE_COMMANDS },
    { "POST", "/transfers", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .lane = LANE_MONEY },
    { "POST", "/transfers/batch", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MANY, .batch_max = MANY_AT_ONCE_MAX, .body_max = MANY_BODY_MAX },
    { "POST", "/transfers/:id/post", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "POST", "/transfers/:id/void", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "POST", "/ledger/journals/:id/reverse", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "POST", "/ledger/journals", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "POST", "/ledger/journals/batch", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MANY, .batch_max = MANY_AT_ONCE_MAX, .body_max = MANY_BODY_MAX },
    { "POST", "/ledger/adjustments", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "POST", "/ledger/adjustments/:id/approve", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "POST", "/ledger/adjustments/:id/reject", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true, .lane = LANE_MONEY },
    { "GET", "/ledger/adjustments", get_adjustments, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/ledger/adjustments/:id", get_adjustments, .auth = HTTP_AUTH_USER, .read_only = true },
    { "PATCH", "/admin/accounts/:id", .handle_batch = http_commands, .auth = HTTP_AUTH_USER, .json = true,
        .lane = LANE_MONEY },
    { "GET", "/transfers", get_transfers, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/transfers/:id", get_transfer, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/accounts", get_accounts, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/admin/accounts", get_admin_accounts, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/assets", get_assets, .auth = HTTP_AUTH_NONE, .read_only = true },
    { "GET", "/orders", get_orders, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/orders/:id", get_order, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/orders/:id/fills", get_order_fills, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/portfolio", get_portfolio, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/portfolio/positions", get_positions, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/portfolio/:user_id", get_portfolio_of, .auth = HTTP_AUTH_ANY, .read_only = true },
    { "GET", "/trades", get_trades, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/ledger/entries", get_entries, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/accounts/:id/balance", get_account_balance, .auth = HTTP_AUTH_ANY, .read_only = true },
    { "GET", "/accounts/:id/statement", get_account_statement, .auth = HTTP_AUTH_ANY, .read_only = true },
    { "POST", "/accounts/:id/reconcile", post_account_reconcile, .auth = HTTP_AUTH_ANY, .read_only = true, .slow = true,
        .body_max = EXTERNAL_FILE_MAX },
    { "GET", "/interest", get_interest, .auth = HTTP_AUTH_USER, .read_only = true },
    { "POST", "/schedules", post_schedule, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "GET", "/schedules", get_schedules, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/admin/schedules", get_admin_schedules, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/schedules/:id", get_schedule, .auth = HTTP_AUTH_USER, .read_only = true },
    { "POST", "/schedules/:id/pause", pause_schedule, .auth = HTTP_AUTH_USER },
    { "POST", "/schedules/:id/resume", resume_schedule, .auth = HTTP_AUTH_USER },
    { "DELETE", "/schedules/:id", cancel_schedule, .auth = HTTP_AUTH_USER },
    { "GET", "/markets", get_markets, .auth = HTTP_AUTH_NONE, .read_only = true },
    { 0 },
};

static const char *const request_topics[] = { "orders.requests.v1", "topups.requests.v1", NULL };
static const char *const posting_topics[] = { "ledger.postings.v1", NULL };
static const char *const user_topics[] = { "identity.users.v1", NULL };

static const struct subscription subscriptions[] = {
    { .group = "ledger-requests", .topics = request_topics, .handle = events_requests },
    { .group = "ledger-postings", .topics = posting_topics, .handle = events_postings, .ordered = true },
    { .group = "ledger-users", .topics = user_topics, .handle = events_users },
    { 0 },
};

static bool start(struct service_runtime *runtime, const void *settings, void **ret_state, struct error *e)
{
    static struct trade_ledger ledger; /* the process's one service */
    CLEANUP(pg_free) struct pg *pg = NULL;
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    CLEANUP(markets_cache_free) struct markets_cache *markets = markets_cache_new();
    ledger.settings = *(const struct settings *)settings;
    if (!pg_open(service_pg(runtime), &pg, e) || !markets_reload(markets, pg, e))
        return false;
    ledger.markets = markets;
    if (!chores_run(pg, outbox, &ledger, now_us(), e) || !markets_reload(markets, pg, e))
        return false;
    ledger.positions = position_cache_new();
    TAKE(markets);
    *ret_state = &ledger;
    return true;
}

static void stop(void *state)
{
    struct trade_ledger *ledger = state;
    markets_cache_free(TAKE(ledger->markets));
    position_cache_free(TAKE(ledger->positions));
}

/* Interest is looked for once a minute; while there is more to do, each second. */
static bool interest(struct pg *pg, struct outbox *outbox, struct trade_ledger *ledger, struct error *e)
{
    bool more = false;
    int64_t now = now_us();
    if (now < ledger->interest_next_us)
        return true;
    if (!interest_run(pg, outbox, ledger, now, &more, e))
        return false;
    ledger->interest_next_us = more ? 0 : now + INTEREST_EVERY_US;
    return true;
}

/* What is to be done without anyone asking, once a second. */
static bool background(struct service_runtime *runtime, struct error *e)
{
    CLEANUP(pg_free) struct pg *pg = NULL;
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    if (!pg_open(service_pg(runtime), &pg, e))
        return false;
    for (int waited_ms = 0; !service_stopping(runtime); waited_ms += STOP_CHECK_MS) {
        struct error failure = { 0 };
        usleep(STOP_CHECK_MS * 1000);
        if (waited_ms < CHORES_EVERY_MS)
            continue;
        waited_ms = 0;
        if (chores_run(pg, outbox, service_state(), now_us(), &failure) &&
            self_check_step(pg, service_state(), &failure) && interest(pg, outbox, service_state(), &failure))
            continue;
        if (failure.kind == ERROR_FATAL) {
            *e = failure;
            return false;
        }
        log_error("chores", &failure);
    }
    return true;
}

static bool healthy(void *state, char *ret_reason, size_t size)
{
    return self_check_healthy(state, ret_reason, size);
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "trade-ledger",
        .port = 8082,
        .settings = settings_items,
        .settings_size = sizeof(struct settings),
        .routes = routes,
        .subscriptions = subscriptions,
        .database = true,
        .lane_threads_max = 2,
        .start = start,
        .stop = stop,
        .background = background,
        .healthy = healthy,
    };
    return service_main(&service, argc, argv);
}
