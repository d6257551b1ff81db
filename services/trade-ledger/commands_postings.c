#include "commands_postings.h"

#include "../chassis/log.h"
#include "../chassis/metrics.h"
#include "events.h"
#include "store.h"

#include <string.h>

typedef Penstock__Ledger__V1__PostingsEmitted postings_event;

enum { POSTINGS_PER_EVENT_MAX = 10000, ENTRIES_PER_POSTING = 6 };

struct run {
    struct trade_ledger *service;
    const struct markets *markets;
    struct booking booking;
    struct table *progress; /* int32_t market id → struct market_progress */
    struct market_progress **progresses;
    size_t progress_count;
    struct outbox *outbox;
    int64_t now_us;
};

static void collect_orders(
    const postings_event *event, int64_t *order_ids, size_t *count, int64_t *trading_ids, size_t *trading_count)
{
    for (size_t i = 0; i < event->n_postings; i++) {
        const Penstock__Ledger__V1__Posting *posting = event->postings[i];
        for (size_t j = 0; j < posting->n_orders; j++)
            order_ids[(*count)++] = (int64_t)posting->orders[j]->order_id;
        if (posting->trade_id == 0)
            continue;
        trading_ids[(*trading_count)++] = (int64_t)posting->maker_order_id;
        trading_ids[(*trading_count)++] = (int64_t)posting->taker_order_id;
    }
}

static bool load(struct run *run, struct pg *pg, postings_event *const *events, size_t count, struct error *e)
{
    struct arena *arena = run->booking.arena;
    size_t orders_max = 0, postings = 0, orders = 0, trading = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; events[i] && j < events[i]->n_postings; j++)
            orders_max += events[i]->postings[j]->n_orders;
        postings += events[i] ? events[i]->n_postings : 0;
    }
    int64_t *order_ids = arena_alloc(arena, (orders_max + 1) * sizeof *order_ids);
    int64_t *trading_ids = arena_alloc(arena, (2 * postings + 1) * sizeof *trading_ids);
    int32_t *market_ids = arena_alloc(arena, (count + 1) * sizeof *market_ids);
    size_t market_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct market *market = events[i] ? market_by_symbol(run->markets, events[i]->symbol) : NULL;
        if (!market)
            continue;
        market_ids[market_count++] = market->id;
        collect_orders(events[i], order_ids, &orders, trading_ids, &trading);
    }
    struct posting_wants wants = {
        .order_ids = order_ids,
        .order_count = orders,
        .trading_order_ids = trading_ids,
        .trading_order_count = trading,
        .market_ids = market_ids,
        .market_count = market_count,
        .journals = postings,
        .entries = postings * ENTRIES_PER_POSTING,
        .trades = postings,
    };
    if (!store_load_postings(pg, &run->booking, &wants, run->progress, e))
        return false;
    run->now_us = run->booking.ledger->locked_at_us;
    return true;
}

static struct market_progress *progress_of(struct run *run, int32_t market_id)
{
    void **slot = table_slot(run->progress, &market_id, sizeof market_id);
    if (!*slot) {
        struct market_progress *fresh = arena_alloc(run->booking.arena, sizeof *fresh);
        *fresh = (struct market_progress){ .market_id = market_id };
        *slot = fresh;
    }
    return *slot;
}

static void remember_progress(struct run *run, struct market_progress *progress)
{
    for (size_t i = 0; i < run->progress_count; i++) {
        if (run->progresses[i] == progress)
            return;
    }
    run->progresses[run->progress_count++] = progress;
}

/* Books one event, or sets the delivery's verdict. false: FATAL. */
static bool book(struct run *run, struct delivery *delivery, const postings_event *event, struct error *e)
{
    const struct market *market = market_by_symbol(run->markets, event->symbol);
    if (!market) {
        error_field(&delivery->verdict, ERROR_REFUSED, "unknown-symbol", "symbol", "there is no such market");
        return true;
    }
    struct market_progress *progress = progress_of(run, market->id);
    struct ledger *ledger = run->booking.ledger;
    size_t first = ledger->journal_count;
    ledger->cause = arena_printf(run->booking.arena, "%s %s", delivery->event.source, delivery->event.id);
    bool booked;
    if (!posting_book(&run->booking, market, progress, event, &booked, &delivery->verdict)) {
        if (delivery->verdict.kind != ERROR_FATAL)
            remember_progress(run, progress);
        else
            *e = delivery->verdict;
        return delivery->verdict.kind != ERROR_FATAL;
    }
    if (!booked)
        return true;
    remember_progress(run, progress);
    for (size_t i = first; i < ledger->journal_count; i++)
        event_entries_posted(
            run->outbox, run->markets, ledger, &ledger->journals[i], run->now_us, delivery->event.traceparent);
    return true;
}

/* The orders that the batch has changed, each once. */
static struct order **changed_orders(struct run *run, postings_event *const *events, size_t count, size_t *ret_count)
{
    size_t max = 0, found = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; events[i] && j < events[i]->n_postings; j++)
            max += events[i]->postings[j]->n_orders;
    }
    struct order **orders = arena_alloc(run->booking.arena, (max + 1) * sizeof(struct order *));
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; events[i] && j < events[i]->n_postings; j++) {
            const Penstock__Ledger__V1__Posting *posting = events[i]->postings[j];
            for (size_t k = 0; k < posting->n_orders; k++) {
                int64_t id = (int64_t)posting->orders[k]->order_id;
                struct order *order = table_find(run->booking.orders, &id, sizeof id);
                if (order && order->changed) {
                    order->changed = false;
                    orders[found++] = order;
                }
            }
        }
    }
    *ret_count = found;
    return orders;
}

static void check_size(struct delivery *delivery, postings_event const **event)
{
    if (*event && (*event)->n_postings > POSTINGS_PER_EVENT_MAX) {
        error_field(&delivery->verdict, ERROR_REFUSED, "posting-refused", "postings",
            "more than %d postings in one event", POSTINGS_PER_EVENT_MAX);
        *event = NULL;
    }
}

static void raise_alarm(const struct delivery *delivery)
{
    metric_add(
        metric_counter("ledger_postings_refused_total", "", "Events of the engine that the ledger did not book"), 1);
    log_error("posting refused: it goes to the dead letters, and its market waits", &delivery->verdict);
}

static bool run_all(struct run *run, struct pg *pg, struct delivery *deliveries, postings_event *const *events,
    size_t count, struct error *e)
{
    if (!load(run, pg, events, count, e))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (events[i] && !book(run, &deliveries[i], events[i], e))
            return false;
        if (deliveries[i].verdict.kind != ERROR_NONE)
            raise_alarm(&deliveries[i]);
    }
    size_t order_count;
    struct order **orders = changed_orders(run, events, count, &order_count);
    metric_add(metric_counter("ledger_trades_booked_total", "", "Executions booked"), run->booking.trade_count);
    if (!accounts_woken(pg, run->outbox, run->markets, run->booking.ledger, run->now_us, e))
        return false;
    return store_save_postings(
        pg, &run->booking, orders, order_count, run->progresses, run->progress_count, run->now_us, e);
}

/* A market that was made after the cache was read. */
static bool know_markets(
    struct trade_ledger *service, struct pg *pg, postings_event *const *events, size_t count, struct error *e)
{
    const struct markets *markets = markets_get(service->markets);
    bool unknown = false;
    for (size_t i = 0; i < count && !unknown; i++)
        unknown = events[i] && !market_by_symbol(markets, events[i]->symbol);
    markets_put(service->markets, markets);
    return !unknown || markets_reload(service->markets, pg, e);
}

bool postings_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct delivery *deliveries, Penstock__Ledger__V1__PostingsEmitted *const *events, size_t count, int64_t now_us,
    struct error *e)
{
    const postings_event **sized = arena_alloc(arena, (count + 1) * sizeof(postings_event *));
    for (size_t i = 0; i < count; i++) {
        sized[i] = events[i];
        check_size(&deliveries[i], &sized[i]);
    }
    if (!know_markets(service, pg, events, count, e))
        return false;
    struct run run = {
        .service = service,
        .markets = markets_get(service->markets),
        .booking = { .arena = arena, .ledger = ledger_new(arena), .orders = table_new(arena) },
        .progress = table_new(arena),
        .progresses = arena_alloc(arena, (count + 1) * sizeof(struct market_progress *)),
        .outbox = outbox,
        .now_us = now_us,
    };
    bool ok = run_all(&run, pg, deliveries, (postings_event *const *)sized, count, e);
    markets_put(service->markets, run.markets);
    return ok;
}
