/* log_state.c -- see log_state.h. */
#include "log_state.h"

#include "ledger_v1.pb-c.h"
#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"
#include "topups_v1.pb-c.h"
#include "trades_v1.pb-c.h"

#include <string.h>

/* ---- A set of 64-bit keys with an index each: open addressing, doubling. Key 0 is not allowed. ---- */

struct map {
    struct {
        uint64_t key;
        size_t value;
    } * slots;
    size_t count, capacity;
};

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t map_slot(const struct map *map, uint64_t key)
{
    size_t at = mix(key) & (map->capacity - 1);
    while (map->slots[at].key != 0 && map->slots[at].key != key)
        at = (at + 1) & (map->capacity - 1);
    return at;
}

static bool map_get(const struct map *map, uint64_t key, size_t *ret_value)
{
    if (map->capacity == 0)
        return false;
    size_t at = map_slot(map, key);
    if (map->slots[at].key == 0)
        return false;
    *ret_value = map->slots[at].value;
    return true;
}

static void map_put(struct map *map, uint64_t key, size_t value)
{
    if (map->count * 2 >= map->capacity) {
        struct map bigger = { .capacity = map->capacity ? map->capacity * 2 : 1024 };
        bigger.slots = xcalloc(bigger.capacity, sizeof *bigger.slots);
        for (size_t i = 0; i < map->capacity; i++)
            if (map->slots[i].key != 0)
                bigger.slots[map_slot(&bigger, map->slots[i].key)] = map->slots[i];
        bigger.count = map->count;
        xfree(map->slots);
        *map = bigger;
    }
    size_t at = map_slot(map, key);
    if (map->slots[at].key == 0)
        map->count++;
    map->slots[at].key = key;
    map->slots[at].value = value;
}

/* ---- State ---- */

struct log_state {
    struct log_market markets[LOG_MARKETS_MAX];
    size_t market_count, expected_markets;
    struct log_order *orders;
    size_t order_count, order_capacity, missing_orders;
    struct map order_by_id;
    struct log_balance *balances;
    size_t balance_count, balance_capacity;
    struct map balance_by_key;
    struct map topups; /* value 1: seen in the log */
    size_t missing_topups;
    struct map journals; /* value: index */
    struct log_journal {
        size_t missing; /* entries that are still to come */
        uint64_t sums;  /* each asset's, times a number of that asset: 0 when all are, and by chance once in 2^64 */
    } * journal_states;
    size_t journal_count, journal_capacity, missing_entries;
    struct map ids; /* hash of topic, ce_source, ce_id: two events of one id collide, two ids do so once in 10^6 runs of
                       10^6 */
    uint64_t events;
};

struct log_state *log_state_new(void)
{
    return xcalloc(1, sizeof(struct log_state));
}

void log_state_free(struct log_state *state)
{
    if (!state)
        return;
    xfree(state->orders);
    xfree(state->balances);
    xfree(state->order_by_id.slots);
    xfree(state->balance_by_key.slots);
    xfree(state->topups.slots);
    xfree(state->journals.slots);
    xfree(state->journal_states);
    xfree(state->ids.slots);
    xfree(state);
}

struct log_market *log_state_market(struct log_state *state, const char *symbol)
{
    for (size_t i = 0; i < state->market_count; i++)
        if (strcmp(state->markets[i].symbol, symbol) == 0)
            return &state->markets[i];
    return NULL;
}

struct log_market *log_state_market_at(struct log_state *state, size_t index)
{
    return index < state->market_count ? &state->markets[index] : NULL;
}

struct log_order *log_state_order(struct log_state *state, uint64_t order_id)
{
    size_t index;
    return map_get(&state->order_by_id, order_id, &index) ? &state->orders[index] : NULL;
}

struct log_order *log_state_order_at(struct log_state *state, size_t index)
{
    return index < state->order_count ? &state->orders[index] : NULL;
}

struct log_balance *log_state_balance_at(struct log_state *state, size_t index)
{
    return index < state->balance_count ? &state->balances[index] : NULL;
}

static struct log_order *add_order(struct log_state *state, uint64_t order_id)
{
    if (state->order_count == state->order_capacity) {
        state->order_capacity = state->order_capacity ? state->order_capacity * 2 : 1024;
        state->orders = xrealloc(state->orders, state->order_capacity * sizeof *state->orders);
    }
    map_put(&state->order_by_id, order_id, state->order_count);
    state->orders[state->order_count] = (struct log_order){ .order_id = order_id };
    return &state->orders[state->order_count++];
}

struct log_balance *log_state_balance(struct log_state *state, uint64_t owner_id, int kind, uint32_t asset_id)
{
    uint64_t key = owner_id << 20 | (uint64_t)kind << 16 | asset_id; /* asset ids stay below 2^15, kinds below 2^4 */
    size_t index;
    if (map_get(&state->balance_by_key, key, &index))
        return &state->balances[index];
    if (state->balance_count == state->balance_capacity) {
        state->balance_capacity = state->balance_capacity ? state->balance_capacity * 2 : 256;
        state->balances = xrealloc(state->balances, state->balance_capacity * sizeof *state->balances);
    }
    map_put(&state->balance_by_key, key, state->balance_count);
    state->balances[state->balance_count] =
        (struct log_balance){ .owner_id = owner_id, .kind = kind, .asset_id = asset_id };
    return &state->balances[state->balance_count++];
}

void log_state_expect_order(struct log_state *state, uint64_t order_id, uint64_t amend_id)
{
    struct log_order *order = add_order(state, order_id);
    order->in_database = true;
    order->database_amend_id = amend_id;
    state->missing_orders += amend_id ? 2 : 1;
}

void log_state_expect_topup(struct log_state *state, uint64_t topup_id)
{
    map_put(&state->topups, topup_id, 0);
    state->missing_topups++;
}

void log_state_expect_journal(struct log_state *state, uint64_t journal_id, size_t entries)
{
    if (state->journal_count == state->journal_capacity) {
        state->journal_capacity = state->journal_capacity ? state->journal_capacity * 2 : 256;
        state->journal_states =
            xrealloc(state->journal_states, state->journal_capacity * sizeof *state->journal_states);
    }
    map_put(&state->journals, journal_id, state->journal_count);
    state->journal_states[state->journal_count++] = (struct log_journal){ .missing = entries };
    state->missing_entries += entries;
}

size_t log_state_missing_entries(const struct log_state *state)
{
    return state->missing_entries;
}

size_t log_state_journals(const struct log_state *state)
{
    return state->journal_count;
}

void log_state_expect_markets(struct log_state *state, size_t count)
{
    state->expected_markets = count;
}

size_t log_state_missing_markets(const struct log_state *state)
{
    return state->expected_markets > state->market_count ? state->expected_markets - state->market_count : 0;
}

size_t log_state_missing_orders(const struct log_state *state)
{
    return state->missing_orders;
}

size_t log_state_missing_topups(const struct log_state *state)
{
    return state->missing_topups;
}

uint64_t log_state_events(const struct log_state *state)
{
    return state->events;
}

static bool is_quote_buy(const struct log_order *order)
{
    return order->quote_minor > 0 && order->side == PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
}

int64_t log_order_held(const struct log_state *state, const struct log_order *order)
{
    if (order->status != PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_ACCEPTED &&
        order->status != PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_PARTIALLY_FILLED)
        return 0;
    const struct log_market *market = log_state_market((struct log_state *)state, order->symbol);
    if (is_quote_buy(order))
        return order->hold_minor - order->spent_minor;
    int64_t remaining = order->quantity_lots - order->filled_lots;
    return order->side == PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY
               ? order->price_ticks * remaining * market->notional_unit_minor /* held once already: cannot overflow */
               : remaining * market->lot_minor;
}

/* ---- Events in ---- */

static bool contradiction(struct error *e, const struct event *event, const char *what)
{
    return error_set(e, ERROR_REFUSED, "%s partition %d offset %lld (%s): %s", event->topic, (int)event->partition,
        (long long)event->offset, event->id, what);
}

static bool apply_market(struct log_state *state, const struct event *event,
    const Penstock__Markets__V1__MarketConfigured *m, struct error *e)
{
    struct log_market *market = log_state_market(state, m->symbol);
    if (!market) {
        if (state->market_count == LOG_MARKETS_MAX || strlen(m->symbol) >= sizeof market->symbol)
            return contradiction(e, event, "more markets than this tool holds");
        market = &state->markets[state->market_count++];
        strcpy(market->symbol, m->symbol);
    } else if (market->lot_minor != m->lot_minor || market->notional_unit_minor != m->notional_unit_minor) {
        return contradiction(e, event, "a market changed its units");
    }
    market->lot_minor = m->lot_minor;
    market->notional_unit_minor = m->notional_unit_minor;
    market->base_asset_id = m->base_asset_id;
    market->quote_asset_id = m->quote_asset_id;
    return true;
}

static void hold(struct log_state *state, const struct log_order *order, const struct log_market *market, int64_t minor)
{
    bool buy = order->side == PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    struct log_balance *balance = log_state_balance(state, order->user_id,
        PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER, buy ? market->quote_asset_id : market->base_asset_id);
    balance->available -= minor;
    balance->held += minor;
}

static bool apply_accepted(
    struct log_state *state, const struct event *event, const Penstock__Orders__V1__OrderAccepted *m, struct error *e)
{
    struct log_market *market = log_state_market(state, m->symbol);
    struct log_order *order = log_state_order(state, m->order_id);
    if (!market)
        return contradiction(e, event, "an order in a market that was never configured");
    if (order && order->in_log)
        return contradiction(e, event, "an order was accepted twice");
    if (!order)
        order = add_order(state, m->order_id);
    else
        state->missing_orders--;
    *order = (struct log_order){ .order_id = m->order_id,
        .user_id = m->user_id,
        .symbol = market->symbol,
        .price_ticks = m->price_ticks,
        .quantity_lots = m->quantity_lots,
        .hold_minor = m->hold_minor,
        .quote_minor = m->quote_minor,
        .side = (int)m->side,
        .status = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_ACCEPTED,
        .in_log = true,
        .database_amend_id = order->database_amend_id,
        .in_database = order->in_database };
    if (is_quote_buy(order) ? m->hold_minor != m->quote_minor : log_order_held(state, order) != m->hold_minor)
        return contradiction(e, event, "the hold is not price times quantity");
    if (order->in_database)
        hold(state, order, market, m->hold_minor);
    return true;
}

static bool apply_mass_quote(struct log_state *state, const struct event *event,
    const Penstock__Orders__V1__MassQuoteAccepted *m, struct error *e)
{
    for (size_t i = 0; i < m->n_orders; i++)
        if (!apply_accepted(state, event, m->orders[i], e))
            return false;
    return true;
}

/* The database has answered amendments in the order of their ids: its order row names the last it knows. */
static bool apply_amend(
    struct log_state *state, const struct event *event, const Penstock__Orders__V1__AmendAccepted *m, struct error *e)
{
    struct log_order *order = log_state_order(state, m->order_id);
    const struct log_market *market = log_state_market(state, m->symbol);
    if (!order || !order->in_log || !market)
        return contradiction(e, event, "an amendment of an order that was never accepted");
    if (m->amend_id <= order->amend_id || m->extra_hold_minor < 0)
        return contradiction(e, event, "an amendment twice, or one that holds less than nothing");
    if (m->amend_id > order->database_amend_id)
        return true;
    if (m->amend_id == order->database_amend_id)
        state->missing_orders--;
    order->amend_id = m->amend_id;
    order->amend_hold_minor = m->extra_hold_minor;
    hold(state, order, market, m->extra_hold_minor);
    return true;
}

static bool apply_topup(
    struct log_state *state, const struct event *event, const Penstock__Topups__V1__TopupBooked *m, struct error *e)
{
    size_t seen;
    if (!map_get(&state->topups, m->topup_id, &seen))
        return true; /* newer than the database's snapshot */
    if (seen)
        return contradiction(e, event, "a top-up was booked twice");
    map_put(&state->topups, m->topup_id, 1);
    state->missing_topups--;
    log_state_balance(state, m->user_id, PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER, m->asset_id)
        ->available += m->amount_minor;
    log_state_balance(state, 0, PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_FUNDING, m->asset_id)->available -=
        m->amount_minor;
    return true;
}

/* One owner's entries of a journal that only the ledger tells of. When the last has come they sum to zero. */
static bool apply_entries(
    struct log_state *state, const struct event *event, const Penstock__Ledger__V1__EntriesPosted *m, struct error *e)
{
    size_t index;
    if (m->kind < PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TRANSFER ||
        !map_get(&state->journals, m->journal_id, &index))
        return true;
    struct log_journal *journal = &state->journal_states[index];
    if (m->n_entries > journal->missing)
        return contradiction(e, event, "a journal has more entries in the log than in the database");
    for (size_t i = 0; i < m->n_entries; i++) {
        const Penstock__Ledger__V1__Entry *entry = m->entries[i];
        struct log_balance *balance = log_state_balance(state, m->owner_id, (int)entry->kind, entry->asset_id);
        journal->sums +=
            mix(entry->asset_id) * ((uint64_t)entry->available_delta_minor + (uint64_t)entry->held_delta_minor);
        balance->available += entry->available_delta_minor;
        balance->held += entry->held_delta_minor;
    }
    journal->missing -= m->n_entries;
    state->missing_entries -= m->n_entries;
    return journal->missing > 0 || journal->sums == 0 ||
           contradiction(e, event, "the entries of a journal do not sum to zero");
}

/* Whether the legs sum to zero for each asset. A posting has a handful of legs. */
static bool balanced(const Penstock__Ledger__V1__Posting *posting)
{
    for (size_t i = 0; i < posting->n_legs; i++) {
        __int128 sum = 0;
        for (size_t j = 0; j < posting->n_legs; j++)
            if (posting->legs[j]->asset_id == posting->legs[i]->asset_id)
                sum += (__int128)posting->legs[j]->available_delta_minor + posting->legs[j]->held_delta_minor;
        if (sum != 0)
            return false;
    }
    return true;
}

static void apply_order_state(struct log_state *state, struct log_order *order,
    const Penstock__Ledger__V1__Posting *posting, const Penstock__Ledger__V1__OrderState *now)
{
    if (posting->trade_id != 0 && is_quote_buy(order))
        order->spent_minor += posting->price_ticks * posting->quantity_lots *
                              log_state_market(state, order->symbol)->notional_unit_minor; /* held: cannot overflow */
    if (now->amend_id != 0)
        order->amend_hold_minor = 0;
    if (now->price_ticks != 0)
        order->price_ticks = now->price_ticks;
    if (now->quantity_lots != 0)
        order->quantity_lots = now->quantity_lots;
    if (now->status == PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED)
        return; /* an amendment came when the order was gone */
    order->status = (int)now->status;
    order->filled_lots = now->filled_lots;
}

static bool apply_posting(
    struct log_state *state, const struct event *event, const Penstock__Ledger__V1__Posting *posting, struct error *e)
{
    if (!balanced(posting))
        return contradiction(e, event, "the legs of a posting do not sum to zero");
    for (size_t i = 0; i < posting->n_legs; i++) {
        const Penstock__Ledger__V1__Leg *leg = posting->legs[i];
        struct log_balance *balance = log_state_balance(state, leg->owner_id, (int)leg->kind, leg->asset_id);
        balance->available += leg->available_delta_minor;
        balance->held += leg->held_delta_minor;
    }
    for (size_t i = 0; i < posting->n_orders; i++) {
        struct log_order *order = log_state_order(state, posting->orders[i]->order_id);
        if (!order || !order->in_log)
            return contradiction(e, event, "a posting for an order that was never accepted");
        apply_order_state(state, order, posting, posting->orders[i]);
    }
    return true;
}

static bool apply_postings(
    struct log_state *state, const struct event *event, const Penstock__Ledger__V1__PostingsEmitted *m, struct error *e)
{
    struct log_market *market = log_state_market(state, m->symbol);
    if (!market)
        return contradiction(e, event, "postings of a market that was never configured");
    if (m->posting_seq != market->seen_posting_seq + 1)
        return contradiction(e, event, "a gap or a repetition in posting_seq");
    market->seen_posting_seq = m->posting_seq;
    if (m->posting_seq > market->booked_posting_seq)
        return true;
    for (size_t i = 0; i < m->n_postings; i++)
        if (!apply_posting(state, event, m->postings[i], e))
            return false;
    return true;
}

/* The engine's side of an order: open, filled or gone at the cut. */
static void engine_step(struct log_state *state, uint64_t order_id, uint64_t seq, bool opens, int64_t lots)
{
    struct log_order *order = log_state_order(state, order_id);
    struct log_market *market = order && order->in_log ? log_state_market(state, order->symbol) : NULL;
    if (!market || seq > market->engine_seq)
        return;
    if (opens)
        order->resting = true;
    order->resting_lots = lots;
    if (lots == 0)
        order->resting = false;
}

static bool apply_trade(
    struct log_state *state, const struct event *event, const Penstock__Trades__V1__TradeExecuted *m, struct error *e)
{
    struct log_market *market = log_state_market(state, m->symbol);
    if (!market || m->trade_id != market->seen_trade_id + 1)
        return contradiction(e, event, "a gap or a repetition in trade_id");
    market->seen_trade_id = m->trade_id;
    return true;
}

static bool apply_message(
    struct log_state *state, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == &penstock__markets__v1__market_configured__descriptor)
        return apply_market(state, event, (const Penstock__Markets__V1__MarketConfigured *)message, e);
    if (type == &penstock__orders__v1__order_accepted__descriptor)
        return strcmp(event->topic, "orders.accepted.v1") != 0 ||
               apply_accepted(state, event, (const Penstock__Orders__V1__OrderAccepted *)message, e);
    if (type == &penstock__orders__v1__mass_quote_accepted__descriptor)
        return apply_mass_quote(state, event, (const Penstock__Orders__V1__MassQuoteAccepted *)message, e);
    if (type == &penstock__orders__v1__amend_accepted__descriptor)
        return apply_amend(state, event, (const Penstock__Orders__V1__AmendAccepted *)message, e);
    if (type == &penstock__topups__v1__topup_booked__descriptor)
        return apply_topup(state, event, (const Penstock__Topups__V1__TopupBooked *)message, e);
    if (type == &penstock__ledger__v1__postings_emitted__descriptor)
        return apply_postings(state, event, (const Penstock__Ledger__V1__PostingsEmitted *)message, e);
    if (type == &penstock__ledger__v1__entries_posted__descriptor)
        return apply_entries(state, event, (const Penstock__Ledger__V1__EntriesPosted *)message, e);
    if (type == &penstock__trades__v1__trade_executed__descriptor)
        return apply_trade(state, event, (const Penstock__Trades__V1__TradeExecuted *)message, e);
    if (type == &penstock__orders__v1__order_opened__descriptor) {
        const Penstock__Orders__V1__OrderOpened *m = (const Penstock__Orders__V1__OrderOpened *)message;
        engine_step(state, m->order_id, m->seq, true, m->open_lots);
    } else if (type == &penstock__orders__v1__order_filled__descriptor) {
        const Penstock__Orders__V1__OrderFilled *m = (const Penstock__Orders__V1__OrderFilled *)message;
        engine_step(state, m->order_id, m->seq, false, m->remaining_lots);
    } else if (type == &penstock__orders__v1__order_amended__descriptor) {
        const Penstock__Orders__V1__OrderAmended *m = (const Penstock__Orders__V1__OrderAmended *)message;
        engine_step(state, m->order_id, m->seq, false, m->remaining_lots);
    } else if (type == &penstock__orders__v1__order_cancelled__descriptor) {
        const Penstock__Orders__V1__OrderCancelled *m = (const Penstock__Orders__V1__OrderCancelled *)message;
        engine_step(state, m->order_id, m->seq, false, 0);
    }
    return true;
}

static uint64_t fnv(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (h ^ 0xff) * 1099511628211u;
}

static const ProtobufCMessageDescriptor *const counted[] = { &penstock__markets__v1__market_configured__descriptor,
    &penstock__orders__v1__order_accepted__descriptor, &penstock__topups__v1__topup_booked__descriptor,
    &penstock__ledger__v1__postings_emitted__descriptor, &penstock__ledger__v1__entries_posted__descriptor,
    &penstock__trades__v1__trade_executed__descriptor, &penstock__orders__v1__order_opened__descriptor,
    &penstock__orders__v1__order_filled__descriptor, &penstock__orders__v1__order_cancelled__descriptor,
    &penstock__orders__v1__order_amended__descriptor, &penstock__orders__v1__amend_accepted__descriptor,
    &penstock__orders__v1__mass_quote_accepted__descriptor };

bool log_state_apply(struct log_state *state, const struct event *event, struct error *e)
{
    uint64_t id = fnv(fnv(fnv(14695981039346656037u, event->topic), event->source), event->id);
    size_t ignored;
    id = id ? id : 1;
    if (map_get(&state->ids, id, &ignored))
        return contradiction(e, event, "this ce_id was published twice");
    map_put(&state->ids, id, 1);
    state->events++;
    for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
        if (strcmp(event->type, counted[i]->name) != 0)
            continue;
        ProtobufCMessage *message;
        struct error why = { 0 };
        if (!event_decode(event, counted[i], &message, &why))
            return contradiction(e, event, why.message);
        bool ok = apply_message(state, event, message, e);
        protobuf_c_message_free_unpacked(message, NULL);
        return ok;
    }
    return true;
}
