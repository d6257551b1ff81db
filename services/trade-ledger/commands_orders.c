/* Placing, amending and cancelling: one decision each, against the balances as the batch has left them so far. */
#include "batch.h"
#include "events.h"
#include "views.h"

#include "../chassis/decimal.h"
#include "../chassis/http.h"

#include <inttypes.h>

void insufficient_funds(
    struct arena *arena, struct command *command, const struct asset *asset, int64_t needed, int64_t available)
{
    char needed_text[DECIMAL_TEXT_MAX], available_text[DECIMAL_TEXT_MAX];
    command->short_asset = arena_strdup(arena, asset->code);
    command->available = arena_strdup(arena, decimal_format(available, asset->scale, 0, available_text));
    error_field(&command->error, ERROR_REFUSED, "insufficient-funds", "quantity", "%s %s are needed, %s are available",
        decimal_format(needed, asset->scale, 0, needed_text), asset->code, command->available);
}

static struct trader *trader_of(const struct batch *batch, uint64_t user_id)
{
    return table_find(batch->traders, &user_id, sizeof user_id);
}

/* Whether the user may place this order. */
static bool trader_allows(
    const struct batch *batch, const struct command *command, const struct order_terms *terms, struct error *e)
{
    const struct market *market = command->market;
    const struct killed_key killed = { command->user_id, market->id };
    const struct trader *trader = trader_of(batch, command->user_id);
    int64_t notional = terms->quote_minor;
    if (table_find(batch->killed, &killed, sizeof killed))
        return error_field(e, ERROR_DENIED, "kill-switch", "symbol", "you are blocked in %s", market->symbol);
    if (!trader)
        return true;
    if (trader->orders_per_s_max >= 0 && trader->orders_this_second >= trader->orders_per_s_max)
        return error_field(
            e, ERROR_REFUSED, "rate-limited", "", "no more than %" PRId64 " orders a second", trader->orders_per_s_max);
    if (trader->open_orders_max >= 0 && trader->open_orders >= trader->open_orders_max)
        return error_field(e, ERROR_REFUSED, "too-many-open-orders", "", "no more than %" PRId64 " open orders",
            trader->open_orders_max);
    if (trader->notional_minor_max >= 0 &&
        (notional > 0 || notional_minor(market, terms->price_ticks, terms->quantity_lots, &notional)) &&
        notional > trader->notional_minor_max)
        return error_field(e, ERROR_REFUSED, "order-too-large", terms->quote_minor > 0 ? "quote_amount" : "quantity",
            "price times quantity is above your limit");
    return true;
}

static struct order *order_new(struct batch *batch, const struct command *command, const struct order_terms *terms)
{
    struct order *order = arena_alloc(batch->arena, sizeof *order);
    *order = (struct order){
        .id = batch->order_ids[batch->new_order_count],
        .user_id = command->user_id,
        .market_id = command->market->id,
        .side = terms->side,
        .type = terms->type,
        .time_in_force = terms->time_in_force,
        .post_only = terms->post_only,
        .price_ticks = terms->price_ticks,
        .quantity_lots = terms->quantity_lots,
        .held_minor = terms->hold_minor,
        .status = ORDER_ACCEPTED,
        .client_order_id = command->place.client_order_id[0] ? command->place.client_order_id : NULL,
        .created_at_us = batch->now_us,
        .updated_at_us = batch->now_us,
        .stop_price_ticks = terms->stop_price_ticks,
        .quote_minor = terms->quote_minor,
        .display_lots = terms->display_lots,
        .expires_at_us = terms->expires_at_us,
        .post_only_mode = terms->post_only_mode,
        .self_trade_prevention = terms->self_trade_prevention,
        .maker_fee_ppm = command->market->maker_fee_ppm,
        .taker_fee_ppm = command->market->taker_fee_ppm,
    };
    const struct trader *trader = trader_of(batch, command->user_id);
    if (trader && trader->maker_fee_ppm >= 0) {
        order->maker_fee_ppm = trader->maker_fee_ppm;
        order->taker_fee_ppm = trader->taker_fee_ppm;
    }
    return order;
}

static struct order_context order_context(const struct batch *batch, const struct market *market)
{
    const struct market_state *state = table_find(batch->market_states, &market->id, sizeof market->id);
    return (struct order_context){ .market = market,
        .last_price_ticks = state ? state->last_price_ticks : 0,
        .band_price_ticks = state ? state->band_price_ticks : 0,
        .now_us = batch->now_us };
}

/* The order with its hold, in the batch but not yet published; NULL with command->error. */
static struct order *place(struct batch *batch, struct command *command)
{
    const struct order_request *asked = &command->place;
    struct order_context context = order_context(batch, command->market);
    struct order_terms terms;
    if (asked->client_order_id[0] && batch_client_order(batch, command->user_id, asked->client_order_id)) {
        error_field(&command->error, ERROR_CONFLICT, "client-order-id-reused", "client_order_id",
            "an order with this client_order_id exists");
        return NULL;
    }
    if (!order_terms(asked, &context, &terms, &command->error) ||
        !trader_allows(batch, command, &terms, &command->error))
        return NULL;
    struct account *account = ledger_account(batch->ledger, command->user_id, ACCOUNT_USER, terms.hold_asset->id);
    int64_t spendable = account ? account_spendable(account) : 0;
    if (spendable < terms.hold_minor) {
        insufficient_funds(batch->arena, command, terms.hold_asset, terms.hold_minor, spendable);
        return NULL;
    }
    struct order *order = order_new(batch, command, &terms);
    struct leg hold = { account, -terms.hold_minor, terms.hold_minor };
    const char *reference = arena_printf(batch->arena, "order:%" PRId64, order->id);
    if (!ledger_post(batch->ledger, JOURNAL_HOLD, reference, &hold, 1, &command->error))
        return NULL;
    batch->new_orders[batch->new_order_count++] = order;
    batch_add_order(batch, order);
    return order;
}

/* What has been placed for good counts against the user's limits. */
static void count_order(const struct batch *batch, const struct order *order)
{
    struct trader *trader = trader_of(batch, order->user_id);
    if (!trader)
        return;
    trader->open_orders++;
    trader->orders_this_second++;
}

static void publish_hold(
    const struct batch *batch, struct outbox *outbox, const struct command *command, size_t journal)
{
    event_entries_posted(
        outbox, batch->markets, batch->ledger, &batch->ledger->journals[journal], batch->now_us, command->traceparent);
}

void place_order_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    struct order *order = place(batch, command);
    if (!order)
        return;
    count_order(batch, order);
    event_order_accepted(outbox, command, order, command->market);
    publish_hold(batch, outbox, command, batch->ledger->journal_count - 1);
    command->status = 201;
    command->reply = view_text(view_order(order, command->market), batch->arena);
}

/* ---- Many orders in one request ---- */

static json_t *part_answer(const struct command *part)
{
    json_t *answer = json_object();
    bool refused = part->error.kind != ERROR_NONE;
    json_object_set_new(answer, "status", json_integer(refused ? http_status(&part->error) : part->status));
    if (!refused) {
        json_object_set_new(answer, "order", json_loads(part->reply, 0, NULL));
        return answer;
    }
    json_t *problem = http_problem(&part->error, NULL);
    if (part->short_asset) {
        json_object_set_new(problem, "asset", json_string(part->short_asset));
        json_object_set_new(problem, "available", json_string(part->available));
    }
    json_object_set_new(answer, "problem", problem);
    return answer;
}

void place_many_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    json_t *answers = json_array();
    for (size_t i = 0; i < command->many.count; i++) {
        struct command *part = &command->many.each[i];
        if (part->error.kind == ERROR_NONE)
            place_order_decide(batch, outbox, part);
        json_array_append_new(answers, part_answer(part));
    }
    command->status = 200;
    command->reply = view_text(json_pack("{s:o}", "orders", answers), batch->arena);
}

void mass_quote_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct many *many = &command->many;
    size_t first_order = batch->new_order_count, first_journal = batch->ledger->journal_count;
    for (size_t i = 0; i < many->count; i++) {
        struct command *part = &many->each[i];
        struct order *order = part->error.kind == ERROR_NONE ? place(batch, part) : NULL;
        if (order) {
            order->quote_set = many->quote_set;
            continue;
        }
        while (batch->new_order_count > first_order)
            batch_drop_order(batch);
        ledger_undo(batch->ledger, first_journal);
        command->error = part->error;
        command->short_asset = part->short_asset;
        command->available = part->available;
        error_in_part(&command->error, "quotes", i);
        return;
    }
    json_t *orders = json_array();
    for (size_t i = 0; i < many->count; i++) {
        count_order(batch, batch->new_orders[first_order + i]);
        publish_hold(batch, outbox, command, first_journal + i);
        json_array_append_new(orders, view_order(batch->new_orders[first_order + i], command->market));
    }
    event_mass_quote_accepted(
        outbox, command, batch->new_orders + first_order, many->count, command->market, batch->now_us);
    command->status = 201;
    command->reply = view_text(json_pack("{s:s, s:i, s:o}", "symbol", command->market->symbol, "quote_set",
                                   (int)many->quote_set, "orders", orders),
        batch->arena);
}

/* ---- Cancelling all ---- */

void cancel_all_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    json_t *symbols = json_array();
    if (command->market)
        batch_add_open_market(batch, command->user_id, command->market);
    /* The engine decides by its own order, but what this batch has placed is certainly meant. */
    for (size_t i = 0; !command->market && i < batch->new_order_count; i++) {
        const struct order *order = batch->new_orders[i];
        if (order->user_id == command->user_id)
            batch_add_open_market(batch, order->user_id, market_by_id(batch->markets, order->market_id));
    }
    const struct open_market *open = table_find(batch->open_markets, &command->user_id, sizeof command->user_id);
    for (; open; open = open->next) {
        if (command->market && open->market != command->market)
            continue;
        event_cancel_all_accepted(outbox, command, open->market, batch->now_us);
        json_array_append_new(symbols, json_string(open->market->symbol));
    }
    command->status = 202;
    command->reply =
        view_text(json_pack("{s:s, s:o}", "status", "cancel_all_requested", "symbols", symbols), batch->arena);
}

void dead_man_decide(struct batch *batch, struct command *command)
{
    int64_t timeout_s = command->dead_man.timeout_s;
    batch->dead_men[batch->dead_man_count++] = (struct dead_man){ command->user_id, timeout_s };
    json_t *json =
        json_pack("{s:s, s:I}", "status", timeout_s > 0 ? "armed" : "disarmed", "timeout_s", (json_int_t)timeout_s);
    if (timeout_s > 0)
        json_object_set_new(json, "fires_at", view_time(batch->now_us + timeout_s * 1000000));
    command->status = 200;
    command->reply = view_text(json, batch->arena);
}

/* The open order that a command names, or NULL with command->error; sets command->market. */
static struct order *open_order(const struct batch *batch, struct command *command, const struct cancel_request *named)
{
    struct order *order = named->order_id != 0 ? batch_order(batch, (int64_t)named->order_id)
                                               : batch_client_order(batch, command->user_id, named->client_order_id);
    if (!order || order->user_id != command->user_id) {
        error_field(&command->error, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
        return NULL;
    }
    command->market = market_by_id(batch->markets, order->market_id);
    if (order_is_open(order))
        return order;
    error_field(&command->error, ERROR_CONFLICT, "order-not-open", "order_id", "the order is %s already",
        order_status_name((int)order->status));
    return NULL;
}

/* Sets aside what the amendment needs besides the order's hold. false: command->error says what is short. */
static bool hold_for_amendment(struct batch *batch, struct outbox *outbox, struct command *command,
    const struct order *order, int64_t amend_id, int64_t extra_minor)
{
    const struct asset *asset = hold_asset(command->market, order->side);
    struct account *account = ledger_account(batch->ledger, order->user_id, ACCOUNT_USER, asset->id);
    if (extra_minor == 0)
        return true;
    if (!account || account_spendable(account) < extra_minor) {
        insufficient_funds(batch->arena, command, asset, extra_minor, account ? account_spendable(account) : 0);
        return false;
    }
    struct leg hold = { account, -extra_minor, extra_minor };
    const char *reference = arena_printf(batch->arena, "amend:%" PRId64, amend_id);
    if (!ledger_post(batch->ledger, JOURNAL_HOLD, reference, &hold, 1, &command->error))
        return false;
    event_entries_posted(outbox, batch->markets, batch->ledger,
        &batch->ledger->journals[batch->ledger->journal_count - 1], batch->now_us, command->traceparent);
    return true;
}

void amend_order_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    struct order *order = open_order(batch, command, &command->amend.target);
    struct amend_terms terms;
    if (!order)
        return;
    const struct market *market = command->market;
    struct order_context context = order_context(batch, market);
    if (market->status != MARKET_OPEN && market->status != MARKET_AUCTION) {
        error_field(
            &command->error, ERROR_REFUSED, "market-not-open", "symbol", "%s takes no amendments now", market->symbol);
        return;
    }
    int64_t amend_id = batch->amend_ids[batch->amend_count];
    if (!amend_terms(&command->amend.wanted, &context, order, &terms, &command->error) ||
        !hold_for_amendment(batch, outbox, command, order, amend_id, terms.extra_hold_minor))
        return;
    order->amend.id = amend_id;
    order->amend.status = AMEND_REQUESTED;
    order->amend.price_ticks = terms.price_ticks;
    order->amend.quantity_lots = terms.quantity_lots;
    order->amend.hold_minor = terms.extra_hold_minor;
    batch->amended[batch->amend_count++] = order;
    event_amend_accepted(outbox, command, order, market, batch->now_us);
    command->status = 202;
    command->reply = view_text(view_amend(order, market), batch->arena);
}

void cancel_order_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    struct order *order = open_order(batch, command, &command->cancel);
    if (!order)
        return;
    /* Asked again: the same answer, and nothing more for the engine to do. */
    if (!order->cancel_requested) {
        order->cancel_requested = true;
        batch->cancels[batch->cancel_count++] = order;
        event_cancel_accepted(outbox, command, order, command->market, batch->now_us);
    }
    command->status = 202;
    command->reply = view_text(view_cancel(order, command->market), batch->arena);
}
