#include "engine_core.h"

#include "book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    PPM = 1000000,
    SYMBOL_TABLE_SIZE = 2 * ENGINE_MARKETS_MAX,
    GROUP_SIZE_MAX = sizeof(struct engine_group) + ENGINE_LEVELS_MAX * sizeof(struct engine_level_change),
};

static_assert((int)GROUP_SIZE_MAX <= (int)ENGINE_BUFFER_MIN, "the longest record fits the smallest buffer");
static_assert(sizeof(struct engine_fill) % 8 == 0 && sizeof(struct engine_opened) % 8 == 0 &&
                  sizeof(struct engine_closed) % 8 == 0 && sizeof(struct engine_cancel_rejected) % 8 == 0 &&
                  sizeof(struct engine_group) % 8 == 0 && sizeof(struct engine_level_change) % 8 == 0,
    "records stay aligned");

struct market {
    struct engine_market state;
    struct book book;
    uint16_t number;
};

struct engine {
    struct book_memory *memory;
    struct market *markets;
    uint16_t markets_count, markets_max;
    uint16_t symbols[SYMBOL_TABLE_SIZE]; /* market + 1, by hash of the symbol; 0: empty */
    void (*drain)(void *context, const struct engine_record *first, size_t size);
    void *context;
    unsigned char *buffer;
    size_t buffer_size, buffer_used;
    uint32_t postings_pending, levels_pending, orders_pending;
    bool level3;
    struct engine_level_change levels[ENGINE_LEVELS_MAX];
};

/* The order a command brought, while it matches. */
struct taker {
    uint64_t order_id, user_id;
    int64_t limit_ticks, filled_lots, remaining_lots;
    enum book_side_index side;
};

struct engine *engine_new(const struct engine_options *options)
{
    assert(options->markets_max > 0 && options->markets_max <= ENGINE_MARKETS_MAX);
    CLEANUP(engine_free) struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    uint32_t pages_max = options->pages_max;
    if (pages_max == 0)
        pages_max = options->orders_max < 1u << 20 ? options->orders_max : 1u << 20;
    engine->drain = options->drain;
    engine->context = options->context;
    engine->level3 = options->level3;
    engine->markets_max = options->markets_max;
    engine->buffer_size = options->buffer_size < ENGINE_BUFFER_MIN ? ENGINE_BUFFER_MIN : options->buffer_size;
    engine->buffer = malloc(engine->buffer_size);
    engine->markets = calloc(options->markets_max, sizeof *engine->markets);
    engine->memory = book_memory_new(options->orders_max, pages_max);
    if (!engine->buffer || !engine->markets || !engine->memory)
        return NULL;
    return TAKE(engine);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    free(engine->markets);
    book_memory_free(engine->memory);
    free(engine->buffer);
    free(engine);
}

/* ---- Records ---- */

void engine_flush(struct engine *engine)
{
    if (engine->buffer_used > 0 && engine->drain)
        engine->drain(engine->context, (const struct engine_record *)(const void *)engine->buffer, engine->buffer_used);
    engine->buffer_used = 0;
}

/* Room for one record, its head filled in; `events` is how many sequence numbers it stands for. */
static void *record_begin(struct engine *engine, struct market *market, enum engine_record_kind kind, size_t size,
    enum engine_side side, unsigned events)
{
    if (engine->buffer_size - engine->buffer_used < size)
        engine_flush(engine);
    struct engine_record *record = (void *)(engine->buffer + engine->buffer_used);
    engine->buffer_used += size;
    *record = (struct engine_record){
        .size = (uint32_t)size,
        .market = market->number,
        .kind = (uint8_t)kind,
        .side = (uint8_t)side,
        .seq = market->state.seq + 1,
        .at_us = market->state.at_us,
    };
    market->state.seq += events;
    return record;
}

/* Emits what is pending of postings and order changes, and of levels when asked for. */
static void record_group(struct engine *engine, struct market *market, bool with_levels, bool last)
{
    uint32_t levels = with_levels ? engine->levels_pending : 0;
    unsigned parts =
        (engine->postings_pending > 0 ? 1u : 0) + (levels > 0 ? 1u : 0) + (engine->orders_pending > 0 ? 1u : 0);
    if (parts == 0)
        return;
    size_t changes_size = levels * sizeof *engine->levels;
    struct engine_group *out = record_begin(engine, market, ENGINE_RECORD_GROUP, sizeof *out + changes_size, 0, parts);
    out->posting_seq = engine->postings_pending > 0 ? ++market->state.posting_seq : 0;
    out->book_seq = levels > 0 ? ++market->state.book_seq : 0;
    out->orders_seq = engine->orders_pending > 0 ? ++market->state.orders_seq : 0;
    out->postings = engine->postings_pending;
    out->levels = levels;
    out->orders = engine->orders_pending;
    out->last = last;
    memcpy(out->changes, engine->levels, changes_size);
    engine->postings_pending = engine->orders_pending = 0;
    engine->levels_pending -= levels;
}

static void count_order_change(struct engine *engine, struct market *market)
{
    if (engine->level3 && ++engine->orders_pending == ENGINE_ORDERS_MAX)
        record_group(engine, market, false, false);
}

static void count_posting(struct engine *engine, struct market *market)
{
    if (++engine->postings_pending == ENGINE_POSTINGS_MAX)
        record_group(engine, market, false, false);
}

/* Notes the state of a level. Called once a level and command, when the command is done with it; a level that is gone
 * still has its zeros. */
static void note_level(struct engine *engine, struct market *market, enum book_side_index side, int64_t price_ticks,
    const struct book_level *level)
{
    engine->levels[engine->levels_pending++] = (struct engine_level_change){
        .price_ticks = price_ticks,
        .total_lots = level->total_lots,
        .orders = level->orders,
        .side = side == BOOK_BID ? ENGINE_BUY : ENGINE_SELL,
    };
    if (engine->levels_pending == ENGINE_LEVELS_MAX)
        record_group(engine, market, true, false);
}

static void command_end(struct engine *engine, struct market *market)
{
    record_group(engine, market, true, true);
}

/* ---- Matching ---- */

/* floor(received × ppm / 10^6) without leaving 64 bits: exact, because ppm <= 10^6. */
static inline int64_t fee_of(int64_t received_minor, uint32_t ppm)
{
    return received_minor / PPM * ppm + received_minor % PPM * ppm / PPM;
}

static enum engine_side side_name(enum book_side_index side)
{
    return side == BOOK_BID ? ENGINE_BUY : ENGINE_SELL;
}

static enum book_side_index opposite(enum book_side_index side)
{
    return side == BOOK_BID ? BOOK_ASK : BOOK_BID;
}

static inline bool crosses(const struct taker *taker, int64_t price_ticks)
{
    return taker->side == BOOK_BID ? price_ticks <= taker->limit_ticks : price_ticks >= taker->limit_ticks;
}

static void fill(struct engine *engine, struct market *market, struct taker *taker, uint32_t maker_slot)
{
    const struct book_order *maker = &engine->memory->orders[maker_slot];
    const struct engine_market_config *config = &market->state.config;
    int64_t lots = maker->remaining_lots < taker->remaining_lots ? maker->remaining_lots : taker->remaining_lots;
    taker->remaining_lots -= lots;
    taker->filled_lots += lots;
    struct engine_fill *out = record_begin(engine, market, ENGINE_RECORD_FILL, sizeof *out, side_name(taker->side), 3);
    int64_t notional_minor = maker->price_ticks * lots * config->notional_unit_minor;
    int64_t base_minor = lots * config->lot_minor;
    bool taker_buys = taker->side == BOOK_BID;
    out->trade_id = ++market->state.trade_id;
    out->price_ticks = maker->price_ticks;
    out->quantity_lots = lots;
    out->maker = (struct engine_party){
        .order_id = maker->order_id,
        .user_id = maker->user_id,
        .filled_lots = maker->filled_lots + lots,
        .remaining_lots = maker->remaining_lots - lots,
        .fee_minor = fee_of(taker_buys ? notional_minor : base_minor, config->maker_fee_ppm),
        .limit_ticks = maker->price_ticks,
        .visible_lots = maker->remaining_lots - lots,
        .status = maker->remaining_lots == lots ? ENGINE_FILLED : ENGINE_PARTIALLY_FILLED,
        .in_book = true,
    };
    out->taker = (struct engine_party){
        .order_id = taker->order_id,
        .user_id = taker->user_id,
        .filled_lots = taker->filled_lots,
        .remaining_lots = taker->remaining_lots,
        .fee_minor = fee_of(taker_buys ? base_minor : notional_minor, config->taker_fee_ppm),
        .limit_ticks = taker->limit_ticks,
        .status = taker->remaining_lots == 0 ? ENGINE_FILLED : ENGINE_PARTIALLY_FILLED,
    };
    market->state.last_price_ticks = maker->price_ticks;
    book_reduce(engine->memory, &market->book, maker_slot, lots);
    count_posting(engine, market);
    count_order_change(engine, market);
}

/* Trades against the best level until taker or level is used up. false: stopped at an order of the taker's own user. */
static bool match_level(struct engine *engine, struct market *market, struct taker *taker)
{
    enum book_side_index side = opposite(taker->side);
    uint32_t level_slot = market->book.sides[side].best;
    int64_t price_ticks = book_level_price(engine->memory, level_slot);
    const struct book_level *level = &engine->memory->levels[level_slot];
    bool traded = false, own = false;
    /* An emptied level keeps its counters at 0 here: nothing else can open it before this command ends. */
    while (taker->remaining_lots > 0 && level->orders > 0) {
        uint32_t maker = level->head;
        own = engine->memory->orders[maker].user_id == taker->user_id;
        if (own)
            break;
        __builtin_prefetch(&engine->memory->orders[engine->memory->orders[maker].next]);
        fill(engine, market, taker, maker);
        traded = true;
    }
    if (traded)
        note_level(engine, market, side, price_ticks, level);
    return !own;
}

/* false: self-trade prevention ended it. */
static bool match(struct engine *engine, struct market *market, struct taker *taker)
{
    const struct book_side *side = &market->book.sides[opposite(taker->side)];
    while (taker->remaining_lots > 0 && side->best != BOOK_NONE &&
           crosses(taker, book_level_price(engine->memory, side->best)))
        if (!match_level(engine, market, taker))
            return false;
    return true;
}

static bool would_cross(const struct engine *engine, const struct market *market, const struct taker *taker)
{
    uint32_t best = market->book.sides[opposite(taker->side)].best;
    return best != BOOK_NONE && crosses(taker, book_level_price(engine->memory, best));
}

/* Fill-or-kill: all of it at once, before the user's own first order is reached? */
static bool can_fill_whole(const struct engine *engine, const struct market *market, const struct taker *taker)
{
    enum book_side_index side = opposite(taker->side);
    int64_t missing_lots = taker->remaining_lots;
    for (uint32_t level = market->book.sides[side].best;
         level != BOOK_NONE && crosses(taker, book_level_price(engine->memory, level));
         level = book_level_after(engine->memory, side, level))
        for (uint32_t at = engine->memory->levels[level].head; at != BOOK_NONE; at = engine->memory->orders[at].next) {
            const struct book_order *maker = &engine->memory->orders[at];
            if (maker->user_id == taker->user_id)
                return false;
            if (maker->remaining_lots >= missing_lots)
                return true;
            missing_lots -= maker->remaining_lots;
        }
    return false;
}

/* ---- Commands ---- */

static struct market *market_at(struct engine *engine, uint16_t number)
{
    return number < engine->markets_count ? &engine->markets[number] : NULL;
}

static void move_clock(struct market *market, int64_t now_us)
{
    if (now_us > market->state.at_us)
        market->state.at_us = now_us;
}

static bool in_range(int32_t value, int32_t first, int32_t last)
{
    return value >= first && value <= last;
}

static bool hold_is_exact(const struct engine_market_config *config, const struct engine_command *order)
{
    int64_t notional_minor, base_minor;
    if (__builtin_mul_overflow(order->price_ticks, order->quantity_lots, &notional_minor) ||
        __builtin_mul_overflow(notional_minor, config->notional_unit_minor, &notional_minor) ||
        __builtin_mul_overflow(order->quantity_lots, config->lot_minor, &base_minor))
        return false;
    return order->hold_minor == (order->side == ENGINE_BUY ? notional_minor : base_minor);
}

static enum engine_verdict judge_order(
    const struct engine *engine, const struct market *market, const struct engine_command *order)
{
    if (order->order_id == 0)
        return ENGINE_BAD_ORDER_ID;
    if (order->user_id == 0)
        return ENGINE_BAD_USER_ID;
    if (!in_range(order->side, ENGINE_BUY, ENGINE_SELL))
        return ENGINE_BAD_SIDE;
    if (!in_range(order->type, ENGINE_LIMIT, ENGINE_STOP_LIMIT))
        return ENGINE_BAD_TYPE;
    if (!in_range(order->time_in_force, ENGINE_GTC, ENGINE_GTD))
        return ENGINE_BAD_TIME_IN_FORCE;
    if (order->post_only > ENGINE_POST_OR_SLIDE)
        return ENGINE_BAD_POST_ONLY;
    if (order->self_trade > ENGINE_DECREMENT)
        return ENGINE_BAD_SELF_TRADE;
    if (order->price_ticks <= 0)
        return ENGINE_BAD_PRICE;
    if (order->quantity_lots <= 0)
        return ENGINE_BAD_QUANTITY;
    if (!hold_is_exact(&market->state.config, order))
        return ENGINE_BAD_HOLD;
    if (book_find(engine->memory, order->order_id) != BOOK_NONE)
        return ENGINE_DUPLICATE_ORDER;
    return ENGINE_OK;
}

static bool is_supported(const struct engine_command *order)
{
    if (order->type == ENGINE_MARKET)
        return (order->time_in_force == ENGINE_IOC || order->time_in_force == ENGINE_FOK) && !order->post_only;
    if (order->type != ENGINE_LIMIT || order->time_in_force == ENGINE_GTD || order->post_only > ENGINE_POST_OR_REJECT)
        return false;
    if (order->self_trade > ENGINE_CANCEL_NEWEST || order->more)
        return false;
    return !order->post_only || order->time_in_force == ENGINE_GTC;
}

/* Why the order is refused before it meets the book, or 0. */
static enum engine_reason refusal(const struct engine *engine, const struct market *market, const struct taker *taker,
    const struct engine_command *order)
{
    if (!is_supported(order))
        return ENGINE_UNSUPPORTED;
    if (market->state.config.status != ENGINE_OPEN)
        return ENGINE_MARKET_CLOSED;
    if (order->post_only && would_cross(engine, market, taker))
        return ENGINE_POST_ONLY_WOULD_CROSS;
    return 0;
}

static void record_closed(struct engine *engine, struct market *market, const struct engine_resting *order,
    enum engine_status status, enum engine_reason reason, bool in_book)
{
    const struct engine_market_config *config = &market->state.config;
    struct engine_closed *out =
        record_begin(engine, market, ENGINE_RECORD_CLOSED, sizeof *out, (enum engine_side)order->side, 1);
    out->order_id = order->order_id;
    out->user_id = order->user_id;
    out->price_ticks = order->price_ticks;
    out->filled_lots = order->filled_lots;
    out->remaining_lots = order->remaining_lots;
    out->released_minor = order->side == ENGINE_BUY
                              ? order->price_ticks * order->remaining_lots * config->notional_unit_minor
                              : order->remaining_lots * config->lot_minor;
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_closed, status));
    out->status = (uint8_t)status;
    out->reason = (uint8_t)reason;
    out->in_book = in_book;
    count_posting(engine, market);
    if (in_book)
        count_order_change(engine, market);
}

static void close_taker(struct engine *engine, struct market *market, const struct taker *taker,
    enum engine_status status, enum engine_reason reason)
{
    struct engine_resting order = {
        .order_id = taker->order_id,
        .user_id = taker->user_id,
        .price_ticks = taker->limit_ticks,
        .filled_lots = taker->filled_lots,
        .remaining_lots = taker->remaining_lots,
        .side = (uint8_t)side_name(taker->side),
    };
    record_closed(engine, market, &order, status, reason, false);
}

static bool level_has_room(const struct engine *engine, const struct market *market, const struct taker *taker)
{
    uint32_t level = book_level_at(engine->memory, &market->book, taker->side, taker->limit_ticks);
    return level == BOOK_NONE || engine->memory->levels[level].total_lots <= INT64_MAX - taker->remaining_lots;
}

static void rest_taker(struct engine *engine, struct market *market, const struct taker *taker)
{
    if (!book_has_room(engine->memory) || !level_has_room(engine, market, taker)) {
        close_taker(
            engine, market, taker, taker->filled_lots > 0 ? ENGINE_CANCELLED : ENGINE_REJECTED, ENGINE_BOOK_FULL);
        return;
    }
    struct book_order order = {
        .order_id = taker->order_id,
        .user_id = taker->user_id,
        .price_ticks = taker->limit_ticks,
        .remaining_lots = taker->remaining_lots,
        .filled_lots = taker->filled_lots,
        .market = market->number,
        .side = (uint8_t)taker->side,
    };
    uint32_t slot = book_add(engine->memory, &market->book, &order);
    struct engine_opened *out =
        record_begin(engine, market, ENGINE_RECORD_OPENED, sizeof *out, side_name(taker->side), 1);
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->price_ticks = taker->limit_ticks;
    out->filled_lots = taker->filled_lots;
    out->remaining_lots = out->visible_lots = taker->remaining_lots;
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_opened, status));
    out->status = taker->filled_lots > 0 ? ENGINE_PARTIALLY_FILLED : ENGINE_ACCEPTED;
    count_order_change(engine, market);
    note_level(
        engine, market, taker->side, taker->limit_ticks, &engine->memory->levels[engine->memory->orders[slot].level]);
}

static void execute(struct engine *engine, struct market *market, struct taker *taker, int32_t time_in_force)
{
    if (time_in_force == ENGINE_FOK && !can_fill_whole(engine, market, taker)) {
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_FOK_UNFILLED);
        return;
    }
    if (!match(engine, market, taker))
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
    else if (taker->remaining_lots > 0 && time_in_force == ENGINE_GTC)
        rest_taker(engine, market, taker);
    else if (taker->remaining_lots > 0)
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_IOC_REMAINDER);
}

static enum engine_verdict place(struct engine *engine, struct market *market, const struct engine_command *order)
{
    enum engine_verdict verdict = judge_order(engine, market, order);
    if (verdict != ENGINE_OK)
        return verdict;
    move_clock(market, order->at_us);
    struct taker taker = {
        .order_id = order->order_id,
        .user_id = order->user_id,
        .limit_ticks = order->price_ticks,
        .remaining_lots = order->quantity_lots,
        .side = order->side == ENGINE_BUY ? BOOK_BID : BOOK_ASK,
    };
    enum engine_reason reason = refusal(engine, market, &taker, order);
    if (reason != 0)
        close_taker(engine, market, &taker, ENGINE_REJECTED, reason);
    else
        execute(engine, market, &taker, order->time_in_force);
    command_end(engine, market);
    return ENGINE_OK;
}

static void describe(const struct book_order *order, struct engine_resting *ret_order)
{
    *ret_order = (struct engine_resting){
        .order_id = order->order_id,
        .user_id = order->user_id,
        .price_ticks = order->price_ticks,
        .filled_lots = order->filled_lots,
        .remaining_lots = order->remaining_lots,
        .visible_lots = order->remaining_lots,
        .side = (uint8_t)side_name(order->side),
        .type = ENGINE_LIMIT,
        .time_in_force = ENGINE_GTC,
    };
}

static void reject_cancel(struct engine *engine, struct market *market, uint64_t order_id, uint64_t user_id, bool known)
{
    struct engine_cancel_rejected *out = record_begin(engine, market, ENGINE_RECORD_CANCEL_REJECTED, sizeof *out, 0, 1);
    out->order_id = order_id;
    out->user_id = user_id;
    memset(&out->known, 0, sizeof *out - offsetof(struct engine_cancel_rejected, known));
    out->known = known;
}

static enum engine_verdict cancel(struct engine *engine, struct market *market, uint64_t order_id, uint64_t user_id)
{
    uint32_t slot = book_find(engine->memory, order_id);
    const struct book_order *order = &engine->memory->orders[slot];
    bool known = slot != BOOK_NONE && order->market == market->number;
    if (!known || order->user_id != user_id) {
        reject_cancel(engine, market, order_id, user_id, known);
        return ENGINE_OK;
    }
    struct engine_resting cancelled;
    describe(order, &cancelled);
    enum book_side_index side = order->side;
    const struct book_level *level = &engine->memory->levels[order->level];
    book_remove(engine->memory, &market->book, slot);
    record_closed(engine, market, &cancelled, ENGINE_CANCELLED, ENGINE_REQUESTED, true);
    note_level(engine, market, side, cancelled.price_ticks, level);
    command_end(engine, market);
    return ENGINE_OK;
}

static enum engine_verdict apply(struct engine *engine, struct market *market, const struct engine_command *command)
{
    if (command->kind == ENGINE_PLACE)
        return place(engine, market, command);
    if (command->kind != ENGINE_CANCEL && command->kind != ENGINE_TICK)
        return ENGINE_BAD_COMMAND;
    if (command->kind == ENGINE_CANCEL && command->order_id == 0)
        return ENGINE_BAD_ORDER_ID;
    if (command->kind == ENGINE_CANCEL && command->user_id == 0)
        return ENGINE_BAD_USER_ID;
    move_clock(market, command->at_us);
    return command->kind == ENGINE_CANCEL ? cancel(engine, market, command->order_id, command->user_id) : ENGINE_OK;
}

enum engine_verdict engine_apply(struct engine *engine, const struct engine_command *command)
{
    struct market *market = market_at(engine, command->market);
    return market ? apply(engine, market, command) : ENGINE_BAD_MARKET;
}

size_t engine_apply_batch(
    struct engine *engine, const struct engine_command *commands, size_t count, enum engine_verdict *ret_verdicts)
{
    size_t fine = 0;
    for (size_t i = 0; i < count; i++) {
        enum engine_verdict verdict = engine_apply(engine, &commands[i]);
        if (ret_verdicts)
            ret_verdicts[i] = verdict;
        fine += verdict == ENGINE_OK;
    }
    return fine;
}

/* ---- Markets ---- */

static uint32_t symbol_place(const char *symbol)
{
    uint32_t hash = 2166136261u;
    for (const char *c = symbol; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash & (SYMBOL_TABLE_SIZE - 1);
}

uint16_t engine_market_find(const struct engine *engine, const char *symbol)
{
    for (uint32_t at = symbol_place(symbol); engine->symbols[at] != 0; at = (at + 1) & (SYMBOL_TABLE_SIZE - 1)) {
        uint16_t number = (uint16_t)(engine->symbols[at] - 1);
        if (strcmp(engine->markets[number].state.config.symbol, symbol) == 0)
            return number;
    }
    return ENGINE_NO_MARKET;
}

static bool config_is_valid(const struct engine_market_config *config)
{
    return config->symbol[0] != '\0' && memchr(config->symbol, '\0', ENGINE_SYMBOL_MAX) && config->base_asset_id > 0 &&
           config->quote_asset_id > 0 && config->base_asset_id != config->quote_asset_id && config->lot_minor > 0 &&
           config->notional_unit_minor > 0 && config->maker_fee_ppm <= PPM && config->taker_fee_ppm <= PPM &&
           in_range(config->status, ENGINE_OPEN, ENGINE_CANCEL_ONLY);
}

static bool fixed_parts_agree(const struct engine_market_config *a, const struct engine_market_config *b)
{
    return a->market_id == b->market_id && a->base_asset_id == b->base_asset_id &&
           a->quote_asset_id == b->quote_asset_id && a->lot_minor == b->lot_minor &&
           a->notional_unit_minor == b->notional_unit_minor;
}

static struct market *market_add(struct engine *engine, const char *symbol)
{
    if (engine->markets_count == engine->markets_max)
        return NULL;
    uint32_t at = symbol_place(symbol);
    while (engine->symbols[at] != 0)
        at = (at + 1) & (SYMBOL_TABLE_SIZE - 1);
    struct market *market = &engine->markets[engine->markets_count];
    market->number = engine->markets_count++;
    engine->symbols[at] = engine->markets_count;
    return market;
}

enum engine_verdict engine_configure(
    struct engine *engine, const struct engine_market_config *config, uint16_t *ret_market)
{
    if (!config_is_valid(config))
        return ENGINE_BAD_CONFIG;
    uint16_t number = engine_market_find(engine, config->symbol);
    struct market *market = market_at(engine, number);
    if (market && !fixed_parts_agree(&market->state.config, config))
        return ENGINE_BAD_CONFIG;
    if (!market)
        market = market_add(engine, config->symbol);
    if (!market)
        return ENGINE_TOO_MANY_MARKETS;
    engine_flush(engine);
    market->state.config = *config;
    *ret_market = market->number;
    return ENGINE_OK;
}

/* ---- State ---- */

uint16_t engine_market_count(const struct engine *engine)
{
    return engine->markets_count;
}

const struct engine_market *engine_market_get(const struct engine *engine, uint16_t market)
{
    return market < engine->markets_count ? &engine->markets[market].state : NULL;
}

uint32_t engine_orders_count(const struct engine *engine)
{
    return engine->memory->orders_live;
}

static enum book_side_index side_index(enum engine_side side)
{
    return side == ENGINE_BUY ? BOOK_BID : BOOK_ASK;
}

static struct engine_level_change level_state(const struct engine *engine, enum engine_side side, uint32_t slot)
{
    return (struct engine_level_change){
        .price_ticks = book_level_price(engine->memory, slot),
        .total_lots = engine->memory->levels[slot].total_lots,
        .orders = engine->memory->levels[slot].orders,
        .side = (uint8_t)side,
    };
}

void engine_each_level(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_level_change *level), void *context)
{
    uint32_t at = engine->markets[market].book.sides[side_index(side)].best;
    for (; at != BOOK_NONE; at = book_level_after(engine->memory, side_index(side), at)) {
        struct engine_level_change level = level_state(engine, side, at);
        if (!each(context, &level))
            return;
    }
}

void engine_each_order(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context)
{
    uint32_t level = engine->markets[market].book.sides[side_index(side)].best;
    for (; level != BOOK_NONE; level = book_level_after(engine->memory, side_index(side), level))
        for (uint32_t at = engine->memory->levels[level].head; at != BOOK_NONE; at = engine->memory->orders[at].next) {
            struct engine_resting order;
            describe(&engine->memory->orders[at], &order);
            if (!each(context, &order))
                return;
        }
}

void engine_each_waiting(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context)
{
    (void)engine, (void)market, (void)side, (void)each, (void)context;
}

void engine_each_killed(
    const struct engine *engine, uint16_t market, bool (*each)(void *context, uint64_t user_id), void *context)
{
    (void)engine, (void)market, (void)each, (void)context;
}

enum engine_verdict engine_restore_killed(struct engine *engine, uint16_t market, uint64_t user_id)
{
    (void)engine, (void)market, (void)user_id;
    return ENGINE_BAD_COMMAND;
}

bool engine_best(
    const struct engine *engine, uint16_t market, enum engine_side side, struct engine_level_change *ret_level)
{
    uint32_t best = engine->markets[market].book.sides[side_index(side)].best;
    if (best != BOOK_NONE)
        *ret_level = level_state(engine, side, best);
    return best != BOOK_NONE;
}

bool engine_depth_at(const struct engine *engine, uint16_t market, enum engine_side side, int64_t price_ticks,
    struct engine_level_change *ret_level)
{
    const struct book *book = &engine->markets[market].book;
    uint32_t slot = price_ticks > 0 ? book_level_at(engine->memory, book, side_index(side), price_ticks) : BOOK_NONE;
    if (slot != BOOK_NONE)
        *ret_level = level_state(engine, side, slot);
    return slot != BOOK_NONE;
}

enum engine_verdict engine_restore_market(struct engine *engine, const struct engine_market *market)
{
    uint16_t number;
    if (!memchr(market->config.symbol, '\0', ENGINE_SYMBOL_MAX) ||
        engine_market_find(engine, market->config.symbol) != ENGINE_NO_MARKET)
        return ENGINE_BAD_CONFIG;
    enum engine_verdict verdict = engine_configure(engine, &market->config, &number);
    if (verdict == ENGINE_OK)
        engine->markets[number].state = *market;
    return verdict;
}

enum engine_verdict engine_restore_order(struct engine *engine, uint16_t number, const struct engine_resting *order)
{
    struct market *market = market_at(engine, number);
    if (!market)
        return ENGINE_BAD_MARKET;
    if (order->order_id == 0 || book_find(engine->memory, order->order_id) != BOOK_NONE)
        return ENGINE_DUPLICATE_ORDER;
    if (!in_range(order->side, ENGINE_BUY, ENGINE_SELL))
        return ENGINE_BAD_SIDE;
    if (order->price_ticks <= 0)
        return ENGINE_BAD_PRICE;
    struct taker taker = {
        .limit_ticks = order->price_ticks, .remaining_lots = order->remaining_lots, .side = side_index(order->side)
    };
    if (order->remaining_lots <= 0 || order->filled_lots < 0 || !level_has_room(engine, market, &taker))
        return ENGINE_BAD_QUANTITY;
    if (would_cross(engine, market, &taker))
        return ENGINE_BAD_PRICE;
    if (!book_has_room(engine->memory))
        return ENGINE_TOO_MANY_MARKETS;
    struct book_order resting = {
        .order_id = order->order_id,
        .user_id = order->user_id,
        .price_ticks = order->price_ticks,
        .remaining_lots = order->remaining_lots,
        .filled_lots = order->filled_lots,
        .market = number,
        .side = (uint8_t)side_index(order->side),
    };
    book_add(engine->memory, &market->book, &resting);
    return ENGINE_OK;
}

void engine_check(const struct engine *engine)
{
    uint32_t orders = 0;
    for (uint16_t number = 0; number < engine->markets_count; number++) {
        const struct book *book = &engine->markets[number].book;
        book_check(engine->memory, book);
        for (enum book_side_index side = BOOK_BID; side <= BOOK_ASK; side++)
            for (uint32_t level = book->sides[side].best; level != BOOK_NONE;
                 level = book_level_after(engine->memory, side, level))
                orders += engine->memory->levels[level].orders;
    }
    assert(orders == engine->memory->orders_live);
    assert(engine->postings_pending == 0 && engine->levels_pending == 0);
}
