#include "engine_core.h"
#include "reader.h"
#include "subject.h"
#include "workload_command.h"

#include <stdlib.h>

enum { BUFFER_SIZE = 192 * 1024, QUEUE_PIECE_MAX = SPSC_SIZE / 4 };

struct core {
    struct engine *engine;
    struct engine_command *commands; /* one an operation, made beforehand: what the process decodes from its log */
    enum delivery delivery;
    uint64_t bytes; /* of records */
    struct reader *reader;
    struct spsc *queue;
    struct result result;
};

static size_t record_size(const unsigned char *report)
{
    return ((const struct engine_record *)(const void *)report)->size;
}

static void drain_result(struct core *core, const struct engine_record *first, size_t size)
{
    for (engine_each_record(record, first, size)) {
        const struct engine_fill *fill = (const void *)record;
        if (record->kind == ENGINE_RECORD_FILL)
            result_fill(&core->result, fill->taker.order_id, fill->maker.order_id, fill->price_ticks,
                (uint64_t)fill->quantity_lots);
    }
}

static void drain_queue(struct core *core, const unsigned char *data, size_t size)
{
    while (size > 0) {
        size_t piece = size < QUEUE_PIECE_MAX ? size : QUEUE_PIECE_MAX;
        spsc_put(core->queue, data, piece);
        data += piece;
        size -= piece;
    }
}

static void drain(void *context, const struct engine_record *first, size_t size)
{
    struct core *core = context;
    core->bytes += size;
    if (core->delivery == DELIVERY_RESULT)
        drain_result(core, first, size);
    else if (core->delivery == DELIVERY_QUEUE)
        drain_queue(core, (const unsigned char *)first, size);
}

static void make_commands(struct core *core, const struct workload *workload, uint16_t market)
{
    size_t count = workload->prefill + workload->operations;
    int64_t *prices = calloc(workload->order_id_max + 1, sizeof *prices);

    core->commands = workload_memory(count + 1, sizeof *core->commands);
    if (!prices || !core->commands)
        abort();
    for (size_t i = 0; i < count; i++)
        core->commands[i] = workload_command(&workload->ops[i], market, i + 1, prices);
    free(prices);
}

static void *core_open(const struct workload *workload, enum delivery delivery)
{
    static const struct engine_market_config config = { .symbol = "BTC-USD",
        .market_id = 1,
        .base_asset_id = 2,
        .quote_asset_id = 1,
        .lot_minor = 1,
        .notional_unit_minor = 1,
        .maker_fee_ppm = 1000,
        .taker_fee_ppm = 2000,
        .status = ENGINE_OPEN };
    struct core *core = calloc(1, sizeof *core);
    uint16_t market;

    if (!core)
        abort();
    core->delivery = delivery;
    if (delivery == DELIVERY_QUEUE) {
        core->reader = reader_new(record_size);
        core->queue = reader_queue(core->reader);
    }
    core->engine = engine_new(&(struct engine_options){ .orders_max = 1 << 20,
        .markets_max = 1,
        .huge_pages = true,
        .buffer_size = BUFFER_SIZE,
        .drain = drain,
        .context = core });
    if (!core->engine || engine_configure(core->engine, &config, &market) != ENGINE_OK)
        abort();
    make_commands(core, workload, market);
    return core;
}

static void apply(void *context, uint64_t first, uint64_t count)
{
    struct core *core = context;
    size_t fine = count == 1 ? engine_apply(core->engine, &core->commands[first]) == ENGINE_OK
                             : engine_apply_batch(core->engine, &core->commands[first], count, NULL);
    if (fine != count)
        abort();
    engine_flush(core->engine); /* as the process does: a batch's records are handed over with it */
}

static void flush(void *context)
{
    struct core *core = context;
    engine_flush(core->engine);
    if (core->reader)
        reader_wait(core->reader);
}

static bool add_resting(void *context, const struct engine_resting *order)
{
    result_resting(context, order->order_id, order->price_ticks, (uint64_t)order->remaining_lots);
    return true;
}

static void core_result(void *context, struct result *ret_result)
{
    struct core *core = context;
    engine_each_order(core->engine, 0, ENGINE_BUY, add_resting, &core->result);
    engine_each_order(core->engine, 0, ENGINE_SELL, add_resting, &core->result);
    *ret_result = core->result;
}

static void core_close(void *context)
{
    struct core *core = context;
    if (core->reader)
        reader_free(core->reader);
    engine_free(core->engine);
    free(core->commands);
    free(core);
}

const struct subject core_buffer = { "core", "Penstock's core, all events into a buffer", DELIVERY_BUFFER, core_open,
    apply, flush, core_result, core_close };
const struct subject core_queue = { "core-queue", "Penstock's core, every event to another thread", DELIVERY_QUEUE,
    core_open, apply, flush, core_result, core_close };
