#include "restart.h"

#include <event_bus/base.h>
#include <stdio.h>

struct copy {
    struct engine *to;
    uint16_t market;
    enum engine_verdict verdict; /* the first that was not OK */
};

static bool copy_order(void *context, const struct engine_resting *order)
{
    struct copy *copy = context;
    copy->verdict = engine_restore_order(copy->to, copy->market, order);
    if (copy->verdict != ENGINE_OK)
        fprintf(stderr, "restart: order %lu: %s\n", order->order_id, engine_verdict_text(copy->verdict));
    return copy->verdict == ENGINE_OK;
}

static bool copy_killed(void *context, uint64_t user_id)
{
    struct copy *copy = context;
    copy->verdict = engine_restore_killed(copy->to, copy->market, user_id);
    if (copy->verdict != ENGINE_OK)
        fprintf(stderr, "restart: user %lu: %s\n", user_id, engine_verdict_text(copy->verdict));
    return copy->verdict == ENGINE_OK;
}

static bool copy_market(struct copy *copy, const struct engine *from)
{
    copy->verdict = engine_restore_market(copy->to, engine_market_get(from, copy->market));
    if (copy->verdict != ENGINE_OK)
        fprintf(stderr, "restart: market %u: %s\n", copy->market, engine_verdict_text(copy->verdict));
    for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL && copy->verdict == ENGINE_OK; side++)
        engine_each_order(from, copy->market, side, copy_order, copy);
    for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL && copy->verdict == ENGINE_OK; side++)
        engine_each_waiting(from, copy->market, side, copy_order, copy);
    if (copy->verdict == ENGINE_OK)
        engine_each_killed(from, copy->market, copy_killed, copy);
    return copy->verdict == ENGINE_OK;
}

struct engine *restart_copy(struct engine *engine, const struct engine_options *options)
{
    CLEANUP(engine_free) struct engine *to = engine_new(options);
    struct copy copy = { .to = to };

    if (!to)
        return NULL;
    engine_flush(engine);
    for (; copy.market < engine_market_count(engine); copy.market++)
        if (!copy_market(&copy, engine))
            return NULL;
    return TAKE(to);
}
