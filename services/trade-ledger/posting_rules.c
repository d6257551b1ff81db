#include "posting_rules.h"

#include "order_rules.h"

#include <assert.h>
#include <inttypes.h>

typedef Penstock__Ledger__V1__Posting posting_message;
typedef Penstock__Ledger__V1__OrderState order_state_message;

static bool refuse(struct error *e, const char *field, const char *message)
{
    return error_field(e, ERROR_REFUSED, "posting-refused", field, "%s", message);
}

static struct order *find_order(const struct booking *booking, const struct market *market, uint64_t order_id)
{
    int64_t id = (int64_t)order_id;
    struct order *order = table_find(booking->orders, &id, sizeof id);
    return order && order->market_id == market->id ? order : NULL;
}

/* Do the engine's legs say what the ledger computed? Compared as sums per account: their order and number are the
 * engine's. */
static bool legs_agree(const struct booking *booking, const posting_message *posting, const struct leg *expected,
    size_t expected_count, struct error *e)
{
    struct leg difference[2 * LEDGER_LEGS_MAX];
    size_t count = 0;
    if (posting->n_legs > LEDGER_LEGS_MAX)
        return refuse(e, "legs", "more legs than one posting can have");
    for (size_t i = 0; i < expected_count; i++)
        difference[count++] = expected[i];
    for (size_t i = 0; i < posting->n_legs; i++) {
        const Penstock__Ledger__V1__Leg *leg = posting->legs[i];
        struct account *account =
            ledger_account(booking->ledger, leg->owner_id, (enum account_kind)leg->kind, (int32_t)leg->asset_id);
        if (!account)
            return refuse(e, "legs", "a leg moves an account that these orders have no part in");
        if (leg->available_delta_minor == INT64_MIN || leg->held_delta_minor == INT64_MIN)
            return refuse(e, "legs", "a leg is out of range");
        difference[count++] = (struct leg){ account, -leg->available_delta_minor, -leg->held_delta_minor };
    }
    for (size_t i = 0; i < count; i++) {
        __int128 available = 0, held = 0;
        for (size_t j = 0; j < count; j++) {
            if (difference[j].account == difference[i].account) {
                available += difference[j].available_delta;
                held += difference[j].held_delta;
            }
        }
        if (available != 0 || held != 0)
            return refuse(e, "legs", "the legs are not what these orders, price and quantity come to");
    }
    return true;
}

static bool legs_balance(const posting_message *posting, struct error *e)
{
    for (size_t i = 0; i < posting->n_legs; i++) {
        __int128 sum = 0;
        for (size_t j = 0; j < posting->n_legs; j++) {
            if (posting->legs[j]->asset_id == posting->legs[i]->asset_id)
                sum += (__int128)posting->legs[j]->available_delta_minor + posting->legs[j]->held_delta_minor;
        }
        if (sum != 0)
            return refuse(e, "legs", "the legs do not sum to zero");
    }
    return true;
}

static const order_state_message *find_state(const posting_message *posting, int64_t order_id)
{
    for (size_t i = 0; i < posting->n_orders; i++) {
        if (posting->orders[i]->order_id == (uint64_t)order_id)
            return posting->orders[i];
    }
    return NULL;
}

/* Does the engine's state of an order follow from ours? Of a buy by quote amount no quantity is known. */
static bool state_agrees(const order_state_message *state, const struct order *after, struct error *e)
{
    int64_t remaining = order_is_quote_buy(after) ? 0 : after->quantity_lots - after->filled_lots;
    if (state->filled_lots != after->filled_lots || state->remaining_lots != remaining ||
        (int)state->status != (int)after->status)
        return refuse(e, "orders", "fill state and status do not follow from what happened to the order so far");
    return true;
}

/* What `lots` of an order at `price_ticks` take out of its hold. */
static bool fill_takes(
    const struct market *market, const struct order *order, int64_t price_ticks, int64_t lots, int64_t *ret_minor)
{
    return hold_minor(
        market, order->side, order_is_quote_buy(order) ? price_ticks : order->price_ticks, lots, ret_minor);
}

static bool is_filled(const struct order *order)
{
    return order_is_quote_buy(order) ? order->held_minor == 0 : order->filled_lots == order->quantity_lots;
}

/* The order after the execution, if the engine says the same of it. */
static bool order_fill(const struct market *market, const posting_message *posting, const struct order *order,
    int64_t at_us, struct order *ret_order, struct error *e)
{
    const order_state_message *state = find_state(posting, order->id);
    struct order after = *order;
    int64_t held, lots = posting->quantity_lots;
    if (!state || state->user_id != order->user_id)
        return refuse(e, "orders", "the posting does not name both orders with their users");
    if (!order_is_quote_buy(order) && lots > order->quantity_lots - order->filled_lots)
        return refuse(e, "quantity_lots", "more is filled than the order has left");
    if (!fill_takes(market, order, posting->price_ticks, lots, &held) || held > order->held_minor ||
        __builtin_add_overflow(order->filled_lots, lots, &after.filled_lots))
        return refuse(e, "quantity_lots", "the order's hold does not cover the fill");
    after.held_minor -= held;
    after.status = is_filled(&after) ? ORDER_FILLED : ORDER_PARTIALLY_FILLED;
    after.updated_at_us = at_us;
    after.changed = true;
    if (!state_agrees(state, &after, e))
        return false;
    *ret_order = after;
    return true;
}

/* Fees are floor(received × ppm / 10^6) by the rates the order was accepted with. An order from before rates were
 * promised pays at most the highest its market ever had. */
static bool fee_right(const struct market *market, int32_t ppm, int64_t fee, int64_t received)
{
    if (ppm >= 0)
        return fee == (int64_t)((__int128)received * ppm / 1000000);
    return fee >= 0 && (__int128)fee * 1000000 <= (__int128)received * market->fee_ceiling_ppm;
}

struct execution {
    struct order *maker, *taker, *buyer, *seller;
    int64_t paid;       /* quote minor units at the execution's price */
    int64_t paid_limit; /* what the buyer's hold gives up: at its limit; by quote amount what it pays */
    int64_t base;       /* base minor units */
    int64_t buyer_fee, seller_fee;
};

static bool execution_of(const struct booking *booking, const struct market *market, const posting_message *posting,
    struct execution *ret, struct error *e)
{
    struct execution x = {
        .maker = find_order(booking, market, posting->maker_order_id),
        .taker = find_order(booking, market, posting->taker_order_id),
    };
    if (!x.maker || !x.taker || x.maker == x.taker)
        return refuse(e, "maker_order_id", "an order of the execution is not known in this market");
    if (!order_is_open(x.maker) || !order_is_open(x.taker))
        return refuse(e, "orders", "an order of the execution is closed");
    if ((int)x.taker->side != (int)posting->taker_side || x.maker->side == x.taker->side)
        return refuse(e, "taker_side", "the sides do not face each other");
    x.buyer = x.taker->side == SIDE_BUY ? x.taker : x.maker;
    x.seller = x.taker->side == SIDE_BUY ? x.maker : x.taker;
    if (posting->quantity_lots <= 0 || posting->price_ticks <= 0 || posting->price_ticks > x.buyer->price_ticks ||
        posting->price_ticks < x.seller->price_ticks)
        return refuse(e, "price_ticks", "price or quantity is outside what both orders allow");
    if (!notional_minor(market, posting->price_ticks, posting->quantity_lots, &x.paid) ||
        !fill_takes(market, x.buyer, posting->price_ticks, posting->quantity_lots, &x.paid_limit) ||
        !hold_minor(market, SIDE_SELL, posting->price_ticks, posting->quantity_lots, &x.base))
        return refuse(e, "quantity_lots", "the execution is larger than can be booked");
    x.buyer_fee = x.buyer == x.maker ? posting->maker_fee_minor : posting->taker_fee_minor;
    x.seller_fee = x.seller == x.maker ? posting->maker_fee_minor : posting->taker_fee_minor;
    bool buyer_made = x.buyer == x.maker;
    if (!fee_right(market, buyer_made ? x.buyer->maker_fee_ppm : x.buyer->taker_fee_ppm, x.buyer_fee, x.base) ||
        !fee_right(market, buyer_made ? x.seller->taker_fee_ppm : x.seller->maker_fee_ppm, x.seller_fee, x.paid))
        return refuse(e, "maker_fee_minor", "a fee is not what the orders were promised");
    *ret = x;
    return true;
}

enum { EXECUTION_LEGS = 6 };

static bool execution_legs(const struct booking *booking, const struct market *market, const struct execution *x,
    struct leg ret_legs[EXECUTION_LEGS], struct error *e)
{
    int32_t base = market->base->id, quote = market->quote->id;
    const struct ledger *ledger = booking->ledger;
    struct leg legs[EXECUTION_LEGS] = {
        { ledger_account(ledger, x->buyer->user_id, ACCOUNT_USER, quote), x->paid_limit - x->paid, -x->paid_limit },
        { ledger_account(ledger, x->buyer->user_id, ACCOUNT_USER, base), x->base - x->buyer_fee, 0 },
        { ledger_account(ledger, x->seller->user_id, ACCOUNT_USER, base), 0, -x->base },
        { ledger_account(ledger, x->seller->user_id, ACCOUNT_USER, quote), x->paid - x->seller_fee, 0 },
        { ledger_account(ledger, 0, ACCOUNT_FEES, base), x->buyer_fee, 0 },
        { ledger_account(ledger, 0, ACCOUNT_FEES, quote), x->seller_fee, 0 },
    };
    for (size_t i = 0; i < EXECUTION_LEGS; i++) {
        if (!legs[i].account)
            return refuse(e, "legs", "an account of the execution does not exist");
        ret_legs[i] = legs[i];
    }
    return true;
}

static void add_trade(struct booking *booking, const struct market *market, const posting_message *posting,
    const struct execution *x, int64_t at_us)
{
    assert(booking->trade_count < booking->trade_max);
    booking->trades[booking->trade_count] = (struct trade){
        .id = booking->trade_ids[booking->trade_count],
        .market_id = market->id,
        .trade_id = (int64_t)posting->trade_id,
        .price_ticks = posting->price_ticks,
        .quantity_lots = posting->quantity_lots,
        .taker_side = x->taker->side,
        .maker_order_id = x->maker->id,
        .taker_order_id = x->taker->id,
        .maker_user_id = x->maker->user_id,
        .taker_user_id = x->taker->user_id,
        .maker_fee = posting->maker_fee_minor,
        .taker_fee = posting->taker_fee_minor,
        .executed_at_us = at_us,
    };
    booking->trade_count++;
}

static bool book_execution(struct booking *booking, const struct market *market, const posting_message *posting,
    int64_t at_us, struct error *e)
{
    struct execution x = { 0 };
    struct leg legs[EXECUTION_LEGS];
    struct order maker = { 0 }, taker = { 0 };
    if (posting->n_orders != 2)
        return refuse(e, "orders", "an execution changes two orders");
    if (!execution_of(booking, market, posting, &x, e) || !execution_legs(booking, market, &x, legs, e) ||
        !legs_agree(booking, posting, legs, EXECUTION_LEGS, e) ||
        !order_fill(market, posting, x.maker, at_us, &maker, e) ||
        !order_fill(market, posting, x.taker, at_us, &taker, e))
        return false;
    const char *reference = arena_printf(booking->arena, "trade:%s:%" PRIu64, market->symbol, posting->trade_id);
    if (!ledger_post(booking->ledger, JOURNAL_TRADE, reference, legs, EXECUTION_LEGS, e))
        return false;
    *x.maker = maker;
    *x.taker = taker;
    add_trade(booking, market, posting, &x, at_us);
    return true;
}

/* ---- What happens to one order without an execution ---- */

static bool is_closing(const order_state_message *state)
{
    int status = (int)state->status;
    return status == ORDER_CANCELLED || status == ORDER_REJECTED || status == ORDER_EXPIRED;
}

/* Closed: all that was set aside for it becomes available. What waits for an amendment stays until that is answered. */
static bool change_close(const order_state_message *state, struct order *after, struct error *e)
{
    if (!order_is_open(after))
        return refuse(e, "orders", "the order is closed");
    if ((int)state->status == ORDER_REJECTED && after->filled_lots > 0)
        return refuse(e, "orders", "an order with fills cannot be rejected");
    if (!protobuf_c_enum_descriptor_get_value(&penstock__orders__v1__cancel_reason__descriptor, (int)state->reason))
        return refuse(e, "orders", "the reason is not a known one");
    after->held_minor = 0;
    after->status = (enum order_status)state->status;
    after->reason = (int32_t)state->reason;
    return state_agrees(state, after, e);
}

/* A post-only order may step back from the price it was given, never forward. */
static bool price_allowed(const struct order *order, int64_t given_ticks, int64_t price_ticks)
{
    bool back = order->side == SIDE_BUY ? price_ticks < given_ticks : price_ticks > given_ticks;
    return price_ticks == given_ticks || (order->post_only && order->post_only_mode == POST_ONLY_SLIDE && back);
}

/* A new price or quantity, of its own (self-trade prevention takes quantity, a slide steps back) or by the amendment
 * that was asked for. What the hold is then too much becomes available. */
static bool change_terms(
    const struct market *market, const order_state_message *state, bool amended, struct order *after, struct error *e)
{
    int64_t price = amended ? after->amend.price_ticks : after->price_ticks;
    int64_t quantity = amended ? after->amend.quantity_lots : after->quantity_lots;
    int64_t held;
    if (!order_is_open(after) || after->quote_minor > 0)
        return refuse(e, "orders", "an order that is closed or by quote amount does not change");
    if (state->price_ticks <= 0 || state->price_ticks > market->max_price_ticks ||
        !price_allowed(after, price, state->price_ticks))
        return refuse(e, "orders", "nobody asked for this price");
    if (state->quantity_lots <= after->filled_lots ||
        (amended ? state->quantity_lots != quantity : state->quantity_lots > quantity))
        return refuse(e, "orders", "nobody asked for this quantity");
    after->price_ticks = state->price_ticks;
    after->quantity_lots = state->quantity_lots;
    if (!hold_minor(market, after->side, after->price_ticks, after->quantity_lots - after->filled_lots, &held) ||
        held > after->held_minor + (amended ? after->amend.hold_minor : 0))
        return refuse(e, "orders", "what is held does not cover the order as changed");
    after->held_minor = held;
    return state_agrees(state, after, e);
}

/* The order may have been closed before the engine came to the amendment: it then knows it no more, or says how it
 * ended. */
static bool change_not_amended(const order_state_message *state, const struct order *after, struct error *e)
{
    bool gone = (int)state->status == 0 && !order_is_open(after);
    return gone || state_agrees(state, after, e);
}

static bool change_answers(
    const struct market *market, const order_state_message *state, struct order *after, struct error *e)
{
    if (after->amend.status != AMEND_REQUESTED || (uint64_t)after->amend.id != state->amend_id)
        return refuse(e, "orders", "no such amendment of this order is under way");
    bool applied = state->price_ticks != 0 || state->quantity_lots != 0;
    if (!(applied ? change_terms(market, state, true, after, e) : change_not_amended(state, after, e)))
        return false;
    after->amend.status = applied ? AMEND_APPLIED : AMEND_REJECTED;
    after->amend.hold_minor = 0;
    return true;
}

static const char *change_reference(
    const struct booking *booking, const struct market *market, const order_state_message *state, size_t index)
{
    if (state->amend_id != 0)
        return arena_printf(booking->arena, "amend:%" PRIu64, state->amend_id);
    if (is_closing(state))
        return arena_printf(booking->arena, "order:%" PRIu64, state->order_id);
    return arena_printf(booking->arena, "change:%s:%" PRId64 ":%zu", market->symbol, booking->posting_seq, index);
}

/* What is no longer set aside becomes available; the rest follows from how the order is afterwards. */
static bool book_change(struct booking *booking, const struct market *market, const posting_message *posting,
    size_t index, int64_t at_us, struct error *e)
{
    if (posting->n_orders != 1 || posting->maker_order_id != 0 || posting->taker_order_id != 0)
        return refuse(e, "orders", "what is no execution changes one order");
    const order_state_message *state = posting->orders[0];
    struct order *order = find_order(booking, market, state->order_id);
    if (!order || order->user_id != state->user_id)
        return refuse(e, "orders", "the order is not known in this market with this user");
    struct order after = *order;
    if (!(state->amend_id != 0  ? change_answers(market, state, &after, e)
            : is_closing(state) ? change_close(state, &after, e)
                                : change_terms(market, state, false, &after, e)))
        return false;
    after.updated_at_us = at_us;
    after.changed = true;

    const struct asset *asset = hold_asset(market, order->side);
    int64_t released = order->held_minor + order->amend.hold_minor - after.held_minor - after.amend.hold_minor;
    struct leg leg = { ledger_account(booking->ledger, order->user_id, ACCOUNT_USER, asset->id), released, -released };
    if (!leg.account)
        return refuse(e, "legs", "the account of the hold does not exist");
    if (!legs_agree(booking, posting, &leg, 1, e))
        return false;
    if (released != 0 &&
        !ledger_post(booking->ledger, JOURNAL_RELEASE, change_reference(booking, market, state, index), &leg, 1, e))
        return false;
    *order = after;
    return true;
}

static bool book_postings(struct booking *booking, const struct market *market, struct market_progress *progress,
    const Penstock__Ledger__V1__PostingsEmitted *event, struct error *e)
{
    if (event->n_postings == 0)
        return refuse(e, "postings", "the event is empty");
    for (size_t i = 0; i < event->n_postings; i++) {
        const posting_message *posting = event->postings[i];
        bool execution = posting->trade_id != 0;
        if (execution && posting->trade_id != (uint64_t)progress->last_trade_id + 1)
            return refuse(e, "trade_id", "executions are numbered without gaps");
        if (!legs_balance(posting, e) || !(execution ? book_execution(booking, market, posting, event->at_us, e)
                                                     : book_change(booking, market, posting, i, event->at_us, e)))
            return false;
        if (execution) {
            progress->last_trade_id++;
            progress->last_price_ticks = posting->price_ticks;
        }
    }
    return true;
}

struct saved_order {
    struct order *order, before;
};

/* The orders that an event names, as they are, so that a refusal halfway can put them back. */
static struct saved_order *save_orders(const struct booking *booking, const struct market *market,
    const Penstock__Ledger__V1__PostingsEmitted *event, size_t *ret_count)
{
    size_t max = 0, count = 0;
    for (size_t i = 0; i < event->n_postings; i++)
        max += event->postings[i]->n_orders;
    struct saved_order *saved = arena_alloc(booking->arena, (max + 1) * sizeof *saved);
    for (size_t i = 0; i < event->n_postings; i++) {
        for (size_t j = 0; j < event->postings[i]->n_orders; j++) {
            struct order *order = find_order(booking, market, event->postings[i]->orders[j]->order_id);
            if (order)
                saved[count++] = (struct saved_order){ order, *order };
        }
    }
    *ret_count = count;
    return saved;
}

static bool in_sequence(
    const struct market_progress *progress, const Penstock__Ledger__V1__PostingsEmitted *event, struct error *e)
{
    int64_t expected = progress->last_posting_seq + 1;
    if (event->posting_seq == (uint64_t)expected)
        return true;
    if (progress->dead_posting_seq >= expected)
        return error_field(e, ERROR_REFUSED, "parked", "posting_seq",
            "%s: posting %" PRIu64 " waits behind dead-lettered posting %" PRId64, event->symbol, event->posting_seq,
            expected);
    return error_field(e, ERROR_FATAL, "postings-missing", "posting_seq",
        "%s: posting %" PRIu64 " arrived where %" PRId64 " was due: the log has a gap", event->symbol,
        event->posting_seq, expected);
}

bool posting_book(struct booking *booking, const struct market *market, struct market_progress *progress,
    const Penstock__Ledger__V1__PostingsEmitted *event, bool *ret_booked, struct error *e)
{
    *ret_booked = false;
    if (event->posting_seq > INT64_MAX || event->posting_seq == 0 || event->seq > INT64_MAX)
        return refuse(e, "posting_seq", "the sequence is out of range");
    if (event->at_us <= 0 || event->at_us > time_max_us)
        return refuse(e, "at_us", "the time is out of range");
    if ((int64_t)event->posting_seq <= progress->last_posting_seq)
        return true;
    if (!in_sequence(progress, event, e)) {
        if (e->kind != ERROR_FATAL)
            progress->changed = true;
        return false;
    }
    size_t journal_mark = booking->ledger->journal_count, trade_mark = booking->trade_count, saved_count;
    struct saved_order *saved = save_orders(booking, market, event, &saved_count);
    struct market_progress before = *progress;
    booking->posting_seq = (int64_t)event->posting_seq;
    if (!book_postings(booking, market, progress, event, e)) {
        ledger_undo(booking->ledger, journal_mark);
        booking->trade_count = trade_mark;
        /* An order named twice was saved twice, each time as it was before the event. */
        for (size_t i = 0; i < saved_count; i++)
            *saved[i].order = saved[i].before;
        *progress = before;
        progress->dead_posting_seq = (int64_t)event->posting_seq;
        progress->changed = true;
        return false;
    }
    progress->last_posting_seq = (int64_t)event->posting_seq;
    progress->last_seq = (int64_t)event->seq;
    progress->changed = true;
    *ret_booked = true;
    return true;
}
