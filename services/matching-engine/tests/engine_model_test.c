/* The engine against the naive book: random commands of all kinds, the same events and the same book. The seed is
 * printed; SEED=n in the environment repeats a run. */
#include "audit.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { OPERATIONS = 25000, BOOK_CHECK_EVERY = 50, EVENTS_MAX = NAIVE_EVENTS_MAX };

struct regime {
    const char *name;
    int64_t price_first_ticks, price_span_ticks;
    uint64_t users;
    uint32_t orders_max;
    unsigned cancel_percent;
    int64_t quantity_max_lots;
    uint64_t id_stride; /* ids grow by 1 … this: markets share one sequence of ids */
};

struct run {
    const struct regime *regime;
    uint64_t random;
    struct engine *engine;
    struct audit *audit;
    struct naive naive;
    struct naive_event events[EVENTS_MAX];
    size_t events_count;
    struct engine_market_config config;
    uint16_t market;
    uint64_t order_id;
    int64_t at_us;
    uint64_t depth_sum; /* of the book, over all operations */
};

static uint64_t next_random(struct run *run)
{
    uint64_t z = run->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t below(struct run *run, uint64_t limit)
{
    return next_random(run) % limit;
}

static void collect(void *context, const struct engine_record *first, size_t size)
{
    struct run *run = context;
    audit_records(run->audit, first, size);
    for (engine_each_record(record, first, size)) {
        const struct engine_fill *fill = (const void *)record;
        const struct engine_closed *order = (const void *)record;
        const struct engine_opened *opened = (const void *)record;
        if (record->kind == ENGINE_RECORD_GROUP)
            continue;
        cr_assert(run->events_count < EVENTS_MAX);
        struct naive_event *event = &run->events[run->events_count++];
        *event = (struct naive_event){ 0 };
        if (record->kind == ENGINE_RECORD_FILL)
            *event = (struct naive_event){ NAIVE_FILL, fill->taker.order_id, fill->maker.order_id, fill->price_ticks,
                fill->quantity_lots, fill->taker.filled_lots, fill->taker.remaining_lots, fill->maker.remaining_lots, 0,
                0 };
        else if (record->kind == ENGINE_RECORD_CANCEL_REJECTED)
            *event = (struct naive_event){ .kind = NAIVE_CANCEL_REJECTED,
                .order_id = ((const struct engine_cancel_rejected *)(const void *)record)->order_id };
        else
            *event = record->kind == ENGINE_RECORD_OPENED ? (struct naive_event){ .kind = NAIVE_OPENED,
                .order_id = opened->order_id,
                .filled_lots = opened->filled_lots,
                .remaining_lots = opened->remaining_lots,
                .status = opened->status }
                                                          : (struct naive_event){ .kind = NAIVE_CLOSED,
                                                                .order_id = order->order_id,
                                                                .filled_lots = order->filled_lots,
                                                                .remaining_lots = order->remaining_lots,
                                                                .status = order->status,
                                                                .reason = order->reason };
    }
}

static void compare_events(const struct run *run, unsigned operation)
{
    cr_assert(run->events_count == run->naive.events_count, "%s, operation %u: %zu events instead of %zu",
        run->regime->name, operation, run->events_count, run->naive.events_count);
    for (size_t i = 0; i < run->events_count; i++) {
        const struct naive_event *a = &run->events[i], *b = &run->naive.events[i];
        cr_assert(a->kind == b->kind && a->order_id == b->order_id && a->maker_id == b->maker_id &&
                      a->price_ticks == b->price_ticks && a->quantity_lots == b->quantity_lots &&
                      a->filled_lots == b->filled_lots && a->remaining_lots == b->remaining_lots &&
                      a->maker_remaining_lots == b->maker_remaining_lots && a->status == b->status &&
                      a->reason == b->reason,
            "%s, operation %u, event %zu: kind %d order %lu maker %lu %ld@%ld reason %d instead of kind %d order %lu "
            "maker %lu %ld@%ld reason %d",
            run->regime->name, operation, i, a->kind, a->order_id, a->maker_id, a->quantity_lots, a->price_ticks,
            a->reason, b->kind, b->order_id, b->maker_id, b->quantity_lots, b->price_ticks, b->reason);
    }
}

struct walk {
    const struct naive *naive;
    const struct naive_order *at;
    size_t count;
};

static bool same_order(void *context, const struct engine_resting *order)
{
    struct walk *walk = context;
    walk->at = naive_first(walk->naive, order->side, walk->at);
    cr_assert(walk->at && walk->at->order_id == order->order_id && walk->at->user_id == order->user_id &&
              walk->at->price_ticks == order->price_ticks && walk->at->remaining_lots == order->remaining_lots &&
              walk->at->filled_lots == order->filled_lots);
    walk->count++;
    return true;
}

static void compare_books(struct run *run)
{
    struct walk walk = { .naive = &run->naive };
    engine_each_order(run->engine, run->market, ENGINE_BUY, same_order, &walk);
    walk.at = NULL;
    engine_each_order(run->engine, run->market, ENGINE_SELL, same_order, &walk);
    cr_assert(walk.count == run->naive.count, "%s: %zu orders rest instead of %zu", run->regime->name, walk.count,
        run->naive.count);
    audit_settled(run->audit);
    engine_check(run->engine);
}

static void place(struct run *run)
{
    static const struct {
        uint8_t type, time_in_force;
        bool post_only;
    } kinds[] = { { ENGINE_LIMIT, ENGINE_GTC, false }, { ENGINE_LIMIT, ENGINE_GTC, false },
        { ENGINE_LIMIT, ENGINE_GTC, false }, { ENGINE_LIMIT, ENGINE_GTC, false }, { ENGINE_LIMIT, ENGINE_GTC, true },
        { ENGINE_LIMIT, ENGINE_IOC, false }, { ENGINE_LIMIT, ENGINE_FOK, false }, { ENGINE_MARKET, ENGINE_IOC, false },
        { ENGINE_MARKET, ENGINE_FOK, false }, { ENGINE_MARKET, ENGINE_GTC, false }, { ENGINE_LIMIT, ENGINE_IOC, true },
        { ENGINE_MARKET, ENGINE_IOC, true }, { ENGINE_LIMIT, ENGINE_FOK, true } };
    /* Most operations are of the first, supported kinds. */
    size_t kind = below(run, 10) < 9 ? below(run, 9) : below(run, ARRAY_LEN(kinds));
    int64_t span = run->regime->price_span_ticks;
    struct engine_command order = { .order_id = run->order_id += 1 + below(run, run->regime->id_stride),
        .user_id = 1 + below(run, run->regime->users),
        .quantity_lots = 1 + (int64_t)below(run, (uint64_t)run->regime->quantity_max_lots),
        .at_us = ++run->at_us,
        .side = (uint8_t)(1 + below(run, 2)),
        .type = kinds[kind].type,
        .time_in_force = kinds[kind].time_in_force,
        .post_only = kinds[kind].post_only,
        .kind = ENGINE_PLACE,
        .market = run->market };
    /* Sides overlap in the middle fifth, so that the book is deep and still trades. */
    order.price_ticks = run->regime->price_first_ticks + (int64_t)below(run, (uint64_t)(span * 3 / 5)) +
                        (order.side == ENGINE_SELL ? span * 2 / 5 : 0);
    if (below(run, 4) == 0 && run->naive.count > 0) /* where somebody already is */
        order.price_ticks = run->naive.orders[below(run, run->naive.count)].price_ticks;
    order.hold_minor = order.side == ENGINE_BUY
                           ? order.price_ticks * order.quantity_lots * run->config.notional_unit_minor
                           : order.quantity_lots * run->config.lot_minor;
    audit_accept(run->audit, run->market, &order);
    cr_assert(engine_apply(run->engine, &order) == ENGINE_OK);
    naive_place(&run->naive, &order);
}

static void cancel(struct run *run)
{
    uint64_t order_id = 1 + below(run, run->order_id + 1), user_id = 1 + below(run, run->regime->users);
    if (run->naive.count > 0 && below(run, 8) > 0) {
        const struct naive_order *order = &run->naive.orders[below(run, run->naive.count)];
        order_id = order->order_id;
        user_id = order->user_id;
    }
    cr_assert(engine_apply(run->engine, &(struct engine_command){ .kind = ENGINE_CANCEL,
                                            .market = run->market,
                                            .order_id = order_id,
                                            .user_id = user_id,
                                            .at_us = ++run->at_us }) == ENGINE_OK);
    naive_cancel(&run->naive, order_id, user_id);
}

static void reconfigure(struct run *run)
{
    run->config.maker_fee_ppm = (uint32_t)below(run, 5000);
    run->config.taker_fee_ppm = (uint32_t)below(run, 5000);
    run->config.status = below(run, 4) == 0 ? ENGINE_HALTED : ENGINE_OPEN;
    run->naive.status = run->config.status;
    cr_assert(engine_configure(run->engine, &run->config, &run->market) == ENGINE_OK);
}

static void run_regime(const struct regime *regime, uint64_t seed)
{
    static struct run run;
    run = (struct run){ .regime = regime, .random = seed, .audit = audit_new() };
    run.engine = engine_new(&(struct engine_options){
        .orders_max = regime->orders_max, .markets_max = 1, .level3 = true, .drain = collect, .context = &run });
    cr_assert(run.engine);
    audit_set_engine(run.audit, run.engine);
    run.naive.orders_max = regime->orders_max;
    run.config = (struct engine_market_config){ "BTC-USD", 1, 2, 1, 3, 7, 0, 0, ENGINE_OPEN };
    reconfigure(&run);
    for (unsigned operation = 0; operation < OPERATIONS; operation++) {
        run.events_count = 0;
        if (below(&run, 1000) == 0)
            reconfigure(&run);
        if (below(&run, 100) < regime->cancel_percent)
            cancel(&run);
        else
            place(&run);
        engine_flush(run.engine);
        compare_events(&run, operation);
        run.depth_sum += run.naive.count;
        if (operation % BOOK_CHECK_EVERY == 0)
            compare_books(&run);
    }
    compare_books(&run);
    cr_assert(run.depth_sum / OPERATIONS >= regime->orders_max / 3,
        "%s: %lu orders rest on average, that proves little", regime->name, run.depth_sum / OPERATIONS);
    cr_assert(
        engine_market_get(run.engine, run.market)->trade_id > OPERATIONS / 20, "%s: too few trades", regime->name);
    engine_free(run.engine);
    audit_free(run.audit);
}

Test(engine_model, gives_the_same_events_and_book_as_the_naive_book)
{
    static const struct regime regimes[] = {
        { "narrow book, few users", 100, 12, 3, 300, 10, 20, 1 },
        { "usual book", 5000, 300, 40, 300, 12, 50, 100 },
        { "wide book", 1, 10000000, 40, 300, 12, 50, 1000 },
        { "edges of the range", (int64_t)1 << 58, 1000, 10, 200, 12, 1, (uint64_t)1 << 48 },
        { "book that is often full", 64, 200, 10, 20, 10, 9, 5000 },
    };
    const char *text = getenv("SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    fprintf(stderr, "engine_model: SEED=%lu\n", seed);
    for (size_t i = 0; i < ARRAY_LEN(regimes); i++)
        run_regime(&regimes[i], seed + i);
}
