#include "audit.h"

#include "settlement.h"

#include <criterion/criterion.h>
#include <string.h>

enum { HOLDS_MAX = 1 << 16, LEVELS_MAX = 1 << 14, MARKETS_MAX = 8, ASSETS_MAX = 8 };

/* An order as its events tell. */
struct hold {
    uint64_t order_id;
    int64_t minor; /* still set aside */
    int64_t quantity_lots, filled_lots;
    int64_t shown_lots, shown_ticks; /* by level 3 */
    uint8_t side;
    bool by_quote, open;
};

struct audit {
    const struct engine *engine;
    struct hold holds[HOLDS_MAX]; /* hashed by order id, linear probing; order_id 0: empty */
    size_t holds_count;
    uint64_t seq[MARKETS_MAX], trade_id[MARKETS_MAX], posting_seq[MARKETS_MAX], book_seq[MARKETS_MAX];
    uint64_t orders_seq[MARKETS_MAX];
    uint64_t postings[MARKETS_MAX], orders[MARKETS_MAX]; /* since the last group */
    int64_t at_us[MARKETS_MAX];
    struct {
        uint16_t market;
        struct engine_level_change change;
    } levels[LEVELS_MAX];
    size_t levels_count;
};

struct audit *audit_new(void)
{
    return xcalloc(1, sizeof(struct audit));
}

void audit_free(struct audit *audit)
{
    xfree(audit);
}

void audit_set_engine(struct audit *audit, const struct engine *engine)
{
    audit->engine = engine;
}

static size_t hold_place(const struct audit *audit, uint64_t order_id)
{
    size_t at = order_id * 0x9e3779b97f4a7c15u >> 48 & (HOLDS_MAX - 1);
    while (audit->holds[at].order_id != 0 && audit->holds[at].order_id != order_id)
        at = (at + 1) & (HOLDS_MAX - 1);
    return at;
}

static struct hold *hold_of(struct audit *audit, uint64_t order_id)
{
    return &audit->holds[hold_place(audit, order_id)];
}

void audit_accept(struct audit *audit, uint16_t market, const struct engine_command *order)
{
    struct hold *hold = hold_of(audit, order->order_id);
    (void)market;
    audit->holds_count += hold->order_id == 0 ? 1 : 0;
    cr_assert(audit->holds_count < HOLDS_MAX / 2, "more orders than this audit was made for");
    *hold = (struct hold){ .order_id = order->order_id,
        .minor = order->hold_minor,
        .quantity_lots = order->quantity_lots,
        .side = order->side,
        .by_quote = order->more && order->more->quote_minor != 0,
        .open = true };
}

void audit_accept_amend(struct audit *audit, const struct engine_command *amend)
{
    struct hold *hold = hold_of(audit, amend->order_id);
    if (hold->open)
        hold->minor += amend->hold_minor;
}

bool audit_order(const struct audit *audit, uint64_t order_id, struct audit_order *ret_order)
{
    const struct hold *hold = &audit->holds[hold_place(audit, order_id)];
    *ret_order = (struct audit_order){ hold->minor, hold->filled_lots, hold->side };
    return hold->open;
}

static void check_legs(const struct settlement_leg *legs, size_t count)
{
    __int128 sum[ASSETS_MAX] = { 0 };
    for (size_t i = 0; i < count; i++) {
        cr_assert(legs[i].asset_id < ASSETS_MAX);
        cr_assert((legs[i].kind == SETTLEMENT_USER) == (legs[i].owner_id > 0));
        sum[legs[i].asset_id] += (__int128)legs[i].available_delta_minor + legs[i].held_delta_minor;
        cr_assert(legs[i].available_delta_minor >= 0, "a settlement only gives to the available bucket");
        cr_assert(legs[i].held_delta_minor <= 0, "a settlement only takes from the held bucket");
    }
    for (size_t asset = 0; asset < ASSETS_MAX; asset++)
        cr_assert(sum[asset] == 0, "the legs of asset %zu do not sum to zero", asset);
}

/* What the legs take from holds in `asset` on behalf of `user_id` comes out of this order's hold. */
static void draw(struct audit *audit, uint64_t order_id, uint64_t user_id, uint32_t asset,
    const struct settlement_leg *legs, size_t count)
{
    struct hold *hold = hold_of(audit, order_id);
    cr_assert(hold->open, "order %lu has no hold", order_id);
    for (size_t i = 0; i < count; i++)
        if (legs[i].owner_id == user_id && legs[i].asset_id == asset)
            hold->minor += legs[i].held_delta_minor;
    cr_assert(hold->minor >= 0, "the hold of order %lu is overdrawn", order_id);
}

static void finish(struct audit *audit, uint64_t order_id)
{
    struct hold *hold = hold_of(audit, order_id);

    cr_assert(hold->minor == 0, "order %lu is final with %ld still held", order_id, hold->minor);
    hold->open = false;
}

/* Nothing of an order is lost or made: what was filled and what remains is its quantity. */
static void check_lots(struct audit *audit, uint64_t order_id, int64_t filled_lots, int64_t remaining_lots)
{
    struct hold *hold = hold_of(audit, order_id);
    bool spends = hold->by_quote && hold->side == ENGINE_BUY;
    cr_assert(hold->open, "an event of order %lu, which is not open", order_id);
    cr_assert(spends ? remaining_lots == 0 : filled_lots + remaining_lots == hold->quantity_lots,
        "order %lu: %ld filled and %ld left of %ld", order_id, filled_lots, remaining_lots, hold->quantity_lots);
    hold->filled_lots = filled_lots;
}

static void audit_party(struct audit *audit, const struct engine_fill *fill, const struct engine_party *party)
{
    struct hold *hold = hold_of(audit, party->order_id);
    bool is_filled = party->status == ENGINE_FILLED;
    cr_assert(party->filled_lots == hold->filled_lots + fill->quantity_lots);
    check_lots(audit, party->order_id, party->filled_lots, party->remaining_lots);
    cr_assert(hold->side == ENGINE_BUY ? fill->price_ticks <= party->limit_ticks
                                       : fill->price_ticks >= party->limit_ticks || hold->by_quote,
        "order %lu trades through its limit", party->order_id);
    cr_assert(
        is_filled == (hold->by_quote && hold->side == ENGINE_BUY ? hold->minor == 0 : party->remaining_lots == 0));
    if (is_filled)
        finish(audit, party->order_id);
}

static void audit_fill(struct audit *audit, const struct engine_market_config *config, const struct engine_fill *fill)
{
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    size_t count = settlement_of_fill(config, fill, legs);
    bool taker_buys = fill->record.side == ENGINE_BUY;
    check_legs(legs, count);
    cr_assert(fill->trade_id == ++audit->trade_id[fill->record.market]);
    cr_assert(fill->quantity_lots > 0);
    cr_assert(fill->maker.user_id != fill->taker.user_id, "a self-trade");
    uint32_t taker_pays = taker_buys ? config->quote_asset_id : config->base_asset_id;
    uint32_t maker_pays = taker_buys ? config->base_asset_id : config->quote_asset_id;
    draw(audit, fill->taker.order_id, fill->taker.user_id, taker_pays, legs, count);
    draw(audit, fill->maker.order_id, fill->maker.user_id, maker_pays, legs, count);
    audit_party(audit, fill, &fill->maker);
    audit_party(audit, fill, &fill->taker);
    audit->postings[fill->record.market]++;
}

static void release(struct audit *audit, const struct engine_record *record, uint64_t order_id, uint64_t user_id,
    int64_t released_minor)
{
    const struct engine_market_config *config = &engine_market_get(audit->engine, record->market)->config;
    enum engine_side side = record->side;
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    size_t count = settlement_of_release(config, side, user_id, released_minor, legs);
    cr_assert(released_minor >= 0);
    check_legs(legs, count);
    audit->postings[record->market]++;
    if (count > 0 && hold_of(audit, order_id)->open)
        draw(
            audit, order_id, user_id, side == ENGINE_BUY ? config->quote_asset_id : config->base_asset_id, legs, count);
}

static void audit_closed(struct audit *audit, const struct engine_closed *closed)
{
    cr_assert(closed->status != ENGINE_REJECTED || closed->filled_lots == 0, "a rejected order has fills");
    check_lots(audit, closed->order_id, closed->filled_lots, closed->remaining_lots);
    release(audit, &closed->record, closed->order_id, closed->user_id, closed->released_minor);
    finish(audit, closed->order_id);
}

static void audit_amended(struct audit *audit, const struct engine_amended *amended)
{
    struct hold *hold = hold_of(audit, amended->order_id);
    hold->quantity_lots = amended->quantity_lots;
    check_lots(audit, amended->order_id, amended->filled_lots, amended->remaining_lots);
    release(audit, &amended->record, amended->order_id, amended->user_id, amended->released_minor);
}

static void audit_level3(struct audit *audit, const struct engine_record *record)
{
    struct engine_order_change changes[2];
    size_t count = engine_level3_of(record, changes);
    for (size_t i = 0; i < count; i++) {
        struct hold *hold = hold_of(audit, changes[i].order_id);
        cr_assert(changes[i].visible_lots >= 0 && changes[i].side == hold->side);
        hold->shown_lots = changes[i].visible_lots;
        hold->shown_ticks = changes[i].price_ticks;
    }
    audit->orders[record->market] += count;
}

static void apply_level(struct audit *audit, uint16_t market, const struct engine_level_change *change)
{
    size_t at = 0;
    while (at < audit->levels_count &&
           (audit->levels[at].market != market || audit->levels[at].change.side != change->side ||
               audit->levels[at].change.price_ticks != change->price_ticks))
        at++;
    cr_assert((change->total_lots == 0) == (change->orders == 0));
    cr_assert(at < audit->levels_count || change->orders > 0, "a level that never was is gone");
    if (change->orders == 0) {
        audit->levels[at] = audit->levels[--audit->levels_count];
        return;
    }
    cr_assert(at < LEVELS_MAX);
    audit->levels[at].market = market;
    audit->levels[at].change = *change;
    if (at == audit->levels_count)
        audit->levels_count++;
}

static void audit_levels(struct audit *audit, const struct engine_group *group)
{
    cr_assert(group->book_seq == ++audit->book_seq[group->record.market]);
    cr_assert(group->levels <= ENGINE_LEVELS_MAX);
    for (size_t i = 0; i < group->levels; i++) {
        for (size_t j = 0; j < i && group->levels < 100; j++)
            cr_assert(group->changes[i].side != group->changes[j].side ||
                          group->changes[i].price_ticks != group->changes[j].price_ticks,
                "a level appears twice in one change");
        apply_level(audit, group->record.market, &group->changes[i]);
    }
}

static void audit_group(struct audit *audit, const struct engine_group *group)
{
    uint16_t market = group->record.market;
    unsigned parts = (group->postings > 0 ? 1u : 0) + (group->levels > 0 ? 1u : 0) + (group->orders > 0 ? 1u : 0);
    cr_assert(parts > 0, "an empty group");
    audit->seq[market] += parts - 1;
    if (group->postings > 0)
        cr_assert(group->posting_seq == ++audit->posting_seq[market]);
    cr_assert(group->postings == audit->postings[market] && group->postings <= ENGINE_POSTINGS_MAX);
    audit->postings[market] = 0;
    if (group->orders > 0)
        cr_assert(group->orders_seq == ++audit->orders_seq[market]);
    cr_assert(group->orders == audit->orders[market] && group->orders <= ENGINE_ORDERS_MAX);
    audit->orders[market] = 0;
    if (group->levels > 0)
        audit_levels(audit, group);
}

void audit_records(void *context, const struct engine_record *first, size_t size)
{
    struct audit *audit = context;
    for (engine_each_record(record, first, size)) {
        uint16_t market = record->market;
        const struct engine_market_config *config = &engine_market_get(audit->engine, market)->config;
        cr_assert(market < MARKETS_MAX && record->size % 8 == 0 && record->size >= sizeof *record);
        cr_assert(record->seq == ++audit->seq[market], "seq %lu where %lu was due", record->seq, audit->seq[market]);
        cr_assert(record->at_us >= audit->at_us[market], "time went back");
        audit->at_us[market] = record->at_us;
        audit_level3(audit, record);
        switch ((enum engine_record_kind)record->kind) {
        case ENGINE_RECORD_FILL:
            audit->seq[market] += 2;
            audit_fill(audit, config, (const struct engine_fill *)record);
            break;
        case ENGINE_RECORD_CLOSED:
            audit_closed(audit, (const struct engine_closed *)record);
            break;
        case ENGINE_RECORD_AMENDED:
            audit_amended(audit, (const struct engine_amended *)record);
            break;
        case ENGINE_RECORD_AMEND_REJECTED: {
            const struct engine_amend_rejected *rejected = (const void *)record;
            release(audit, record, rejected->order_id, rejected->user_id, rejected->released_minor);
            break;
        }
        case ENGINE_RECORD_GROUP:
            audit_group(audit, (const struct engine_group *)record);
            break;
        case ENGINE_RECORD_TRIGGERED:
        case ENGINE_RECORD_OPENED:
        case ENGINE_RECORD_CANCEL_REJECTED:
            break;
        }
    }
}

struct settled {
    struct audit *audit;
    const struct engine_market_config *config;
    uint16_t market;
    size_t levels;
    uint32_t orders;
};

static bool resting_is_covered(void *context, const struct engine_resting *order)
{
    struct settled *settled = context;
    const struct hold *hold = hold_of(settled->audit, order->order_id);
    int64_t needed = order->side == ENGINE_BUY
                         ? order->price_ticks * order->remaining_lots * settled->config->notional_unit_minor
                         : order->remaining_lots * settled->config->lot_minor;
    cr_assert(hold->open && hold->minor == needed, "order %lu rests with %ld held, needs %ld", order->order_id,
        hold->minor, needed);
    cr_assert(hold->shown_lots == order->visible_lots && (order->waiting || hold->shown_ticks == order->price_ticks),
        "order %lu shows %ld, by level 3 %ld", order->order_id, order->visible_lots, hold->shown_lots);
    settled->orders++;
    return true;
}

static bool level_is_known(void *context, const struct engine_level_change *level)
{
    struct settled *settled = context;
    for (size_t i = 0; i < settled->audit->levels_count; i++) {
        const struct engine_level_change *known = &settled->audit->levels[i].change;
        if (settled->audit->levels[i].market == settled->market && known->side == level->side &&
            known->price_ticks == level->price_ticks) {
            cr_assert(known->total_lots == level->total_lots && known->orders == level->orders);
            settled->levels++;
            return true;
        }
    }
    cr_assert(false, "level %ld never appeared in a change", level->price_ticks);
    return false;
}

void audit_settled(struct audit *audit)
{
    struct settled settled = { .audit = audit };
    for (uint16_t market = 0; market < engine_market_count(audit->engine); market++) {
        cr_assert(audit->postings[market] == 0, "a fill or release without a group");
        settled.market = market;
        settled.config = &engine_market_get(audit->engine, market)->config;
        for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
            engine_each_order(audit->engine, market, side, resting_is_covered, &settled);
            engine_each_waiting(audit->engine, market, side, resting_is_covered, &settled);
            engine_each_level(audit->engine, market, side, level_is_known, &settled);
        }
    }
    cr_assert(settled.levels == audit->levels_count, "a level that changes gave is not in the book");
    cr_assert(settled.orders == engine_orders_count(audit->engine));
    for (size_t i = 0; i < HOLDS_MAX; i++) {
        settled.orders -= audit->holds[i].open ? 1 : 0;
        cr_assert(audit->holds[i].open || audit->holds[i].shown_lots == 0, "level 3 shows an order that is closed");
    }
    cr_assert(settled.orders == 0, "an order that does not rest has a hold");
}
