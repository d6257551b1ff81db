/* Placing, amending and cancelling: one decision each, against the balances as the batch has left them so far. */
#include "batch.h"
#include "events.h"
#include "views.h"

#include "../chassis/decimal.h"

#include <inttypes.h>

static void insufficient_funds(
    struct arena *arena, struct command *command, const struct asset *asset, int64_t needed, int64_t available)
{
    char needed_text[DECIMAL_TEXT_MAX], available_text[DECIMAL_TEXT_MAX];
    command->short_asset = arena_strdup(arena, asset->code);
    command->available = arena_strdup(arena, decimal_format(available, asset->scale, 0, available_text));
    error_field(&command->error, ERROR_REFUSED, "insufficient-funds", "quantity", "%s %s are needed, %s are available",
        decimal_format(needed, asset->scale, 0, needed_text), asset->code, command->available);
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

void place_order_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct order_request *place = &command->place;
    const struct market *market = command->market;
    struct order_context context = order_context(batch, market);
    struct order_terms terms;
    if (place->client_order_id[0] && batch_client_order(batch, command->user_id, place->client_order_id)) {
        error_field(&command->error, ERROR_CONFLICT, "client-order-id-reused", "client_order_id",
            "an order with this client_order_id exists");
        return;
    }
    if (!order_terms(place, &context, &terms, &command->error))
        return;
    struct account *account = ledger_account(batch->ledger, command->user_id, ACCOUNT_USER, terms.hold_asset->id);
    int64_t available = account ? account->available : 0;
    if (available < terms.hold_minor) {
        insufficient_funds(batch->arena, command, terms.hold_asset, terms.hold_minor, available);
        return;
    }
    struct order *order = order_new(batch, command, &terms);
    struct leg hold = { account, -terms.hold_minor, terms.hold_minor };
    const char *reference = arena_printf(batch->arena, "order:%" PRId64, order->id);
    if (!ledger_post(batch->ledger, JOURNAL_HOLD, reference, &hold, 1, &command->error))
        return;
    batch->new_orders[batch->new_order_count++] = order;
    batch_add_order(batch, order);
    event_order_accepted(outbox, command, order, market);
    event_entries_posted(outbox, batch->markets, batch->ledger,
        &batch->ledger->journals[batch->ledger->journal_count - 1], batch->now_us, command->traceparent);
    command->status = 201;
    command->reply = view_text(view_order(order, market), batch->arena);
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
    if (!account || account->available < extra_minor) {
        insufficient_funds(batch->arena, command, asset, extra_minor, account ? account->available : 0);
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
