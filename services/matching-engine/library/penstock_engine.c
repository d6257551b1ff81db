/* The stable face of the core: messages become commands of one market whose units are 1, records become reports. */
#include "penstock_engine.h"

#include "engine_core.h"

#include <assert.h>
#include <stdlib.h>

static_assert(sizeof(struct pe_report) == 64 && sizeof(struct pe_order) == 56 && sizeof(struct pe_message) == 64 &&
                  sizeof(struct pe_level) == 24,
    "sizes are part of the ABI");

enum { REPORTS_MAX = 512, CHUNK_MAX = 64, ORDERS_LIMIT = 1 << 28, PAGES_LIMIT = 1 << 25 };

static const uint64_t nobody = (uint64_t)1 << 63; /* with an order's id: a user of its own */

struct pe_engine {
    struct engine *core;
    uint16_t market;
    void (*report)(void *context, const struct pe_report *reports, size_t count);
    void *context;
    size_t count;
    struct pe_report reports[REPORTS_MAX];
};

/* ---- Records → reports ---- */

static void hand_over(struct pe_engine *engine)
{
    if (engine->count > 0)
        engine->report(engine->context, engine->reports, engine->count);
    engine->count = 0;
}

static struct pe_report *report_add(struct pe_engine *engine, const struct engine_record *record, uint8_t kind)
{
    if (engine->count == REPORTS_MAX)
        hand_over(engine);
    struct pe_report *report = &engine->reports[engine->count++];
    *report = (struct pe_report){ .seq = record->seq, .kind = kind, .side = record->side };
    return report;
}

static void report_order(struct pe_engine *engine, const struct engine_record *record, uint8_t kind, uint64_t order_id,
    int64_t price_ticks, int64_t left_lots, uint8_t reason)
{
    struct pe_report *report = report_add(engine, record, kind);
    report->order_id = order_id;
    report->price_ticks = price_ticks;
    report->left_lots = left_lots;
    report->reason = reason;
}

static void report_fill(struct pe_engine *engine, const struct engine_fill *fill)
{
    struct pe_report *report = report_add(engine, &fill->record, PE_FILL);
    report->order_id = fill->taker.order_id;
    report->other_id = fill->maker.order_id;
    report->price_ticks = fill->price_ticks;
    report->quantity_lots = fill->quantity_lots;
    report->left_lots = fill->taker.remaining_lots;
    report->other_left_lots = fill->maker.remaining_lots;
}

static void report_group(struct pe_engine *engine, const struct engine_group *group)
{
    for (uint32_t i = 0; i < group->levels; i++) {
        struct pe_report *report = report_add(engine, &group->record, PE_LEVEL);
        report->side = group->changes[i].side;
        report->price_ticks = group->changes[i].price_ticks;
        report->quantity_lots = group->changes[i].total_lots;
    }
    if (group->last)
        report_add(engine, &group->record, PE_MESSAGE_END);
}

static void report_record(struct pe_engine *engine, const struct engine_record *record)
{
    const struct engine_opened *opened = (const void *)record;
    const struct engine_closed *closed = (const void *)record;
    const struct engine_cancel_rejected *cancel = (const void *)record;
    const struct engine_triggered *triggered = (const void *)record;
    const struct engine_amended *amended = (const void *)record;
    const struct engine_amend_rejected *rejected = (const void *)record;
    switch ((enum engine_record_kind)record->kind) {
    case ENGINE_RECORD_FILL:
        report_fill(engine, (const void *)record);
        break;
    case ENGINE_RECORD_OPENED:
        report_order(engine, record, PE_ACCEPTED, opened->order_id, opened->price_ticks, opened->remaining_lots, 0);
        break;
    case ENGINE_RECORD_CLOSED:
        report_order(
            engine, record, PE_CLOSED, closed->order_id, closed->price_ticks, closed->remaining_lots, closed->reason);
        break;
    case ENGINE_RECORD_CANCEL_REJECTED:
        report_order(engine, record, PE_CANCEL_REJECTED, cancel->order_id, 0, 0, cancel->known);
        break;
    case ENGINE_RECORD_TRIGGERED:
        report_order(engine, record, PE_TRIGGERED, triggered->order_id, triggered->last_price_ticks, 0, 0);
        break;
    case ENGINE_RECORD_AMENDED:
        report_order(engine, record, PE_MODIFIED, amended->order_id, amended->price_ticks, amended->remaining_lots, 0);
        break;
    case ENGINE_RECORD_AMEND_REJECTED:
        report_order(
            engine, record, PE_MODIFY_REJECTED, rejected->order_id, 0, rejected->remaining_lots, rejected->problem);
        break;
    case ENGINE_RECORD_GROUP:
        report_group(engine, (const void *)record);
        break;
    }
}

static void drain(void *context, const struct engine_record *first, size_t size)
{
    struct pe_engine *engine = context;
    if (!engine->report)
        return;
    for (engine_each_record(record, first, size))
        report_record(engine, record);
    hand_over(engine);
}

/* ---- Life ---- */

uint32_t pe_abi_version(void)
{
    return 0;
}

struct pe_engine *pe_init(const struct pe_options *options)
{
    static const struct engine_market_config config = { .symbol = "BOOK",
        .market_id = 1,
        .base_asset_id = 2,
        .quote_asset_id = 1,
        .lot_minor = 1,
        .notional_unit_minor = 1,
        .status = ENGINE_OPEN };
    if (!options || options->size < sizeof *options || options->orders_max == 0 || options->orders_max > ORDERS_LIMIT ||
        options->pages_max > PAGES_LIMIT)
        return NULL;
    struct pe_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->report = options->report;
    engine->context = options->context;
    engine->core = engine_new(&(struct engine_options){ .orders_max = options->orders_max,
        .pages_max = options->pages_max,
        .killed_max = 1,
        .markets_max = 1,
        .huge_pages = true,
        .buffer_size = options->buffer_size,
        .drain = drain,
        .context = engine });
    if (!engine->core || engine_configure(engine->core, &config, &engine->market) != ENGINE_OK) {
        pe_free(engine);
        return NULL;
    }
    return engine;
}

void pe_free(struct pe_engine *engine)
{
    if (engine)
        engine_free(engine->core);
    free(engine);
}

/* ---- Messages → commands ---- */

static uint64_t user_of(uint64_t user_id, uint64_t order_id)
{
    return user_id != 0 ? user_id : order_id | nobody;
}

/* 0 where it does not fit: the core refuses the order then. */
static int64_t hold_of(uint8_t side, int64_t price_ticks, int64_t lots)
{
    int64_t hold;
    if (side != PE_BUY)
        return lots;
    return __builtin_mul_overflow(price_ticks, lots, &hold) ? 0 : hold;
}

static struct engine_command command_new(
    const struct pe_engine *engine, const struct pe_order *order, struct engine_order_more *more)
{
    *more =
        (struct engine_order_more){ .stop_price_ticks = order->stop_price_ticks, .display_lots = order->display_lots };
    return (struct engine_command){ .order_id = order->order_id,
        .user_id = user_of(order->user_id, order->order_id),
        .price_ticks = order->price_ticks,
        .quantity_lots = order->quantity_lots,
        .hold_minor = hold_of(order->side, order->price_ticks, order->quantity_lots),
        .side = order->side,
        .type = order->type,
        .time_in_force = order->time_in_force,
        .post_only = order->post_only,
        .self_trade = order->self_trade,
        .kind = ENGINE_PLACE,
        .market = engine->market,
        .more = order->stop_price_ticks != 0 || order->display_lots != 0 ? more : NULL };
}

static struct engine_command command_cancel(const struct pe_engine *engine, uint64_t order_id, uint64_t user_id)
{
    return (struct engine_command){
        .order_id = order_id, .user_id = user_of(user_id, order_id), .kind = ENGINE_CANCEL, .market = engine->market
    };
}

static enum pe_result result_of(enum engine_verdict verdict)
{
    if (verdict == ENGINE_OK)
        return PE_OK;
    return verdict == ENGINE_DUPLICATE_ORDER ? PE_DUPLICATE : PE_BAD_MESSAGE;
}

enum pe_result pe_new(struct pe_engine *engine, const struct pe_order *order)
{
    struct engine_order_more more;
    struct engine_command command = command_new(engine, order, &more);
    return result_of(engine_apply(engine->core, &command));
}

enum pe_result pe_cancel(struct pe_engine *engine, uint64_t order_id, uint64_t user_id)
{
    struct engine_command command = command_cancel(engine, order_id, user_id);
    return result_of(engine_apply(engine->core, &command));
}

enum pe_result pe_modify(
    struct pe_engine *engine, uint64_t order_id, uint64_t user_id, int64_t price_ticks, int64_t quantity_lots)
{
    struct engine_command command = { .order_id = order_id,
        .user_id = user_of(user_id, order_id),
        .price_ticks = price_ticks,
        .quantity_lots = quantity_lots,
        .kind = ENGINE_AMEND,
        .market = engine->market,
        .amend_id = 1 };
    struct engine_resting order;
    if (price_ticks > 0 && quantity_lots > 0 && engine_order_find(engine->core, engine->market, order_id, &order)) {
        int64_t left_lots = quantity_lots > order.filled_lots ? quantity_lots - order.filled_lots : 0;
        int64_t more =
            hold_of(order.side, price_ticks, left_lots) - hold_of(order.side, order.price_ticks, order.remaining_lots);
        command.hold_minor = more > 0 ? more : 0;
    }
    return result_of(engine_apply(engine->core, &command));
}

/* ---- Many ---- */

struct chunk {
    struct engine_command commands[CHUNK_MAX];
    struct engine_order_more more[CHUNK_MAX];
    size_t count;
};

static size_t chunk_apply(struct pe_engine *engine, struct chunk *chunk, enum pe_result *ret_results)
{
    enum engine_verdict verdicts[CHUNK_MAX];
    size_t fine = engine_apply_batch(engine->core, chunk->commands, chunk->count, verdicts);
    for (size_t i = 0; i < chunk->count && ret_results; i++)
        ret_results[i] = result_of(verdicts[i]);
    chunk->count = 0;
    return fine;
}

/* News and cancels travel in chunks; a modification has to see what those before it left. */
size_t pe_batch(struct pe_engine *engine, const struct pe_message *messages, size_t count, enum pe_result *ret_results)
{
    struct chunk chunk;
    size_t fine = 0, begun = 0;
    chunk.count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct pe_order *order = &messages[i].order;
        bool is_single = messages[i].kind != PE_NEW && messages[i].kind != PE_CANCEL;
        if (is_single || chunk.count == CHUNK_MAX) {
            fine += chunk_apply(engine, &chunk, ret_results ? ret_results + begun : NULL);
            begun = i;
        }
        if (messages[i].kind == PE_NEW)
            chunk.commands[chunk.count] = command_new(engine, order, &chunk.more[chunk.count]);
        else if (messages[i].kind == PE_CANCEL)
            chunk.commands[chunk.count] = command_cancel(engine, order->order_id, order->user_id);
        chunk.count += !is_single;
        if (!is_single)
            continue;
        enum pe_result result = messages[i].kind != PE_MODIFY ? PE_BAD_MESSAGE
                                                              : pe_modify(engine, order->order_id, order->user_id,
                                                                    order->price_ticks, order->quantity_lots);
        if (ret_results)
            ret_results[i] = result;
        fine += result == PE_OK;
        begun = i + 1;
    }
    return fine + chunk_apply(engine, &chunk, ret_results ? ret_results + begun : NULL);
}

void pe_flush(struct pe_engine *engine)
{
    engine_flush(engine->core);
}

/* ---- The book ---- */

int pe_best(const struct pe_engine *engine, enum pe_side side, struct pe_level *ret_level)
{
    struct engine_level_change level;
    if (!engine_best(engine->core, engine->market, side == PE_BUY ? ENGINE_BUY : ENGINE_SELL, &level))
        return 0;
    *ret_level = (struct pe_level){ level.price_ticks, level.total_lots, level.orders, 0 };
    return 1;
}

int64_t pe_depth_at(const struct pe_engine *engine, enum pe_side side, int64_t price_ticks)
{
    struct engine_level_change level;
    enum engine_side core_side = side == PE_BUY ? ENGINE_BUY : ENGINE_SELL;
    return engine_depth_at(engine->core, engine->market, core_side, price_ticks, &level) ? level.total_lots : 0;
}
