#include "feed.h"

#include <assert.h>

enum { TABLE_FIRST = 1 << 12, BUYER = 1, SELLER = 2 };

/* Ids of our own takers: above those of any feed. */
static const uint64_t taker_ids = (uint64_t)1 << 63;

struct open_order {
    uint64_t order_id; /* 0: empty */
    int64_t price_ticks, lots;
    int64_t total_lots; /* with what was executed: what an amendment names */
    uint8_t side;
};

struct open_level {
    int64_t price_ticks; /* 0: empty */
    int64_t lots;
    uint8_t side;
};

struct feed {
    FILE *out;
    struct open_order *orders; /* hashed by id, linear probing, at most half full */
    size_t orders_mask, orders_count;
    struct open_level *levels; /* hashed by price and side; a level once seen stays */
    size_t levels_mask, levels_count;
    uint64_t messages, refused, executions, takers, amends;
    int64_t at_us;
};

static uint64_t hash_of(uint64_t value)
{
    value *= 0x9e3779b97f4a7c15u;
    return value ^ value >> 32;
}

static struct open_order *order_place(const struct feed *feed, uint64_t order_id)
{
    size_t at = hash_of(order_id) & feed->orders_mask;
    while (feed->orders[at].order_id != 0 && feed->orders[at].order_id != order_id)
        at = (at + 1) & feed->orders_mask;
    return &feed->orders[at];
}

static struct open_level *level_place(const struct feed *feed, uint8_t side, int64_t price_ticks)
{
    size_t at = hash_of((uint64_t)price_ticks * 2 + side) & feed->levels_mask;
    while (feed->levels[at].price_ticks != 0 &&
           (feed->levels[at].price_ticks != price_ticks || feed->levels[at].side != side))
        at = (at + 1) & feed->levels_mask;
    return &feed->levels[at];
}

static void orders_grow(struct feed *feed)
{
    struct open_order *old = feed->orders;
    size_t old_size = feed->orders_mask + 1;
    if (2 * feed->orders_count < old_size)
        return;
    feed->orders_mask = 2 * old_size - 1;
    feed->orders = xcalloc(2 * old_size, sizeof *feed->orders);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].order_id != 0)
            *order_place(feed, old[i].order_id) = old[i];
    xfree(old);
}

static void levels_grow(struct feed *feed)
{
    struct open_level *old = feed->levels;
    size_t old_size = feed->levels_mask + 1;
    if (2 * feed->levels_count < old_size)
        return;
    feed->levels_mask = 2 * old_size - 1;
    feed->levels = xcalloc(2 * old_size, sizeof *feed->levels);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].price_ticks != 0)
            *level_place(feed, old[i].side, old[i].price_ticks) = old[i];
    xfree(old);
}

static void order_erase(struct feed *feed, struct open_order *order)
{
    size_t mask = feed->orders_mask, hole = (size_t)(order - feed->orders);
    for (size_t at = (hole + 1) & mask; feed->orders[at].order_id != 0; at = (at + 1) & mask) {
        size_t home = hash_of(feed->orders[at].order_id) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            feed->orders[hole] = feed->orders[at];
            hole = at;
        }
    }
    feed->orders[hole].order_id = 0;
    feed->orders_count--;
}

static int64_t level_add(struct feed *feed, uint8_t side, int64_t price_ticks, int64_t lots)
{
    levels_grow(feed);
    struct open_level *level = level_place(feed, side, price_ticks);
    feed->levels_count += level->price_ticks == 0;
    level->price_ticks = price_ticks;
    level->side = side;
    return level->lots += lots;
}

struct feed *feed_new(FILE *out, const char *symbol)
{
    struct feed *feed = xcalloc(1, sizeof *feed);
    feed->out = out;
    feed->orders_mask = feed->levels_mask = TABLE_FIRST - 1;
    feed->orders = xcalloc(TABLE_FIRST, sizeof *feed->orders);
    feed->levels = xcalloc(TABLE_FIRST, sizeof *feed->levels);
    fprintf(out, "market symbol=%s id=1 base=2 quote=1 lot=1 unit=1 status=open\n", symbol);
    return feed;
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    xfree(feed->orders);
    xfree(feed->levels);
    xfree(feed);
}

/* ---- Messages ---- */

static bool refuse(struct feed *feed)
{
    feed->refused++;
    return false;
}

static void begin(struct feed *feed, int64_t at_us)
{
    feed->messages++;
    if (at_us > feed->at_us)
        feed->at_us = at_us;
}

static const char *side_text(uint8_t side)
{
    return side == ENGINE_BUY ? "buy" : "sell";
}

static int owner(uint8_t side)
{
    return side == ENGINE_BUY ? BUYER : SELLER;
}

/* The touched level now has `lots` more. */
static void end(struct feed *feed, uint8_t side, int64_t price_ticks, int64_t lots)
{
    fprintf(feed->out, "expect level side=%s price=%ld lots=%ld\n", side_text(side), price_ticks,
        level_add(feed, side, price_ticks, lots));
    if (feed->messages % FEED_COUNT_EVERY == 0)
        fprintf(feed->out, "expect count count=%zu\n", feed->orders_count);
}

static void write_place(
    struct feed *feed, uint64_t order_id, uint8_t side, int64_t price_ticks, int64_t lots, const char *time_in_force)
{
    fprintf(feed->out, "place id=%lu user=%d side=%s type=limit tif=%s price=%ld lots=%ld at=%ld\n", order_id,
        owner(side), side_text(side), time_in_force, price_ticks, lots, feed->at_us);
}

bool feed_add(struct feed *feed, int64_t at_us, uint64_t order_id, uint8_t side, int64_t price_ticks, int64_t lots)
{
    begin(feed, at_us);
    if (order_id == 0 || order_id >= taker_ids || price_ticks <= 0 || lots <= 0 ||
        (side != ENGINE_BUY && side != ENGINE_SELL) || order_place(feed, order_id)->order_id != 0 ||
        feed->orders_count == FEED_ORDERS_MAX)
        return refuse(feed);
    feed->orders_count++;
    orders_grow(feed);
    *order_place(feed, order_id) = (struct open_order){ order_id, price_ticks, lots, lots, side };
    write_place(feed, order_id, side, price_ticks, lots, "gtc");
    fputs("expect quiet\n", feed->out);
    end(feed, side, price_ticks, lots);
    return true;
}

bool feed_delete(struct feed *feed, int64_t at_us, uint64_t order_id)
{
    struct open_order order = *order_place(feed, order_id);
    begin(feed, at_us);
    if (order.order_id == 0)
        return refuse(feed);
    fprintf(feed->out, "cancel id=%lu user=%d at=%ld\n", order_id, owner(order.side), feed->at_us);
    order_erase(feed, order_place(feed, order_id));
    end(feed, order.side, order.price_ticks, -order.lots);
    return true;
}

bool feed_reduce(struct feed *feed, int64_t at_us, uint64_t order_id, int64_t lots)
{
    struct open_order *order = order_place(feed, order_id);
    if (order->order_id != 0 && lots == order->lots)
        return feed_delete(feed, at_us, order_id);
    begin(feed, at_us);
    if (order->order_id == 0 || lots <= 0 || lots > order->lots)
        return refuse(feed);
    order->lots -= lots;
    order->total_lots -= lots;
    fprintf(feed->out, "amend amend=%lu id=%lu user=%d side=%s price=%ld lots=%ld at=%ld\n", ++feed->amends, order_id,
        owner(order->side), side_text(order->side), order->price_ticks, order->total_lots, feed->at_us);
    end(feed, order->side, order->price_ticks, -lots);
    return true;
}

bool feed_execute(struct feed *feed, int64_t at_us, uint64_t order_id, int64_t lots)
{
    struct open_order *order = order_place(feed, order_id), before = *order;
    begin(feed, at_us);
    if (before.order_id == 0 || lots <= 0 || lots > before.lots)
        return refuse(feed);
    order->lots -= lots;
    if (order->lots == 0)
        order_erase(feed, order);
    write_place(feed, taker_ids + ++feed->takers, before.side == ENGINE_BUY ? ENGINE_SELL : ENGINE_BUY,
        before.price_ticks, lots, "ioc");
    fprintf(feed->out, "expect fill maker=%lu price=%ld lots=%ld\nexpect quiet\n", order_id, before.price_ticks, lots);
    feed->executions++;
    end(feed, before.side, before.price_ticks, -lots);
    return true;
}

bool feed_replace(
    struct feed *feed, int64_t at_us, uint64_t order_id, uint64_t new_id, int64_t price_ticks, int64_t lots)
{
    uint8_t side = order_place(feed, order_id)->side;
    if (order_place(feed, order_id)->order_id == 0 || new_id == order_id || order_place(feed, new_id)->order_id != 0) {
        begin(feed, at_us);
        return refuse(feed);
    }
    return feed_delete(feed, at_us, order_id) && feed_add(feed, at_us, new_id, side, price_ticks, lots);
}

bool feed_look(const struct feed *feed, uint64_t order_id, uint8_t *ret_side, int64_t *ret_price_ticks)
{
    const struct open_order *order = order_place(feed, order_id);
    *ret_side = order->side;
    *ret_price_ticks = order->price_ticks;
    return order_id != 0 && order->order_id != 0;
}

int64_t feed_lots_at(const struct feed *feed, uint8_t side, int64_t price_ticks)
{
    return level_place(feed, side, price_ticks)->lots;
}

void feed_expect_rank(struct feed *feed, uint8_t side, uint32_t rank, int64_t price_ticks, int64_t lots)
{
    fprintf(feed->out, "expect rank side=%s rank=%u price=%ld lots=%ld\n", side_text(side), rank, price_ticks, lots);
}

void feed_report(const struct feed *feed, const char *path)
{
    fprintf(stderr, "%s: %lu messages of the book, %lu executions, %lu not understood, %zu orders open in the end\n",
        path, feed->messages, feed->executions, feed->refused, feed->orders_count);
}
