/* Placing and cancelling: one decision each, against the balances as the batch has left them so far. */
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
    };
    return order;
}

void place_order_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct order_request *place = &command->place;
    const struct market *market = command->market;
    const struct market_state *state = table_find(batch->market_states, &market->id, sizeof market->id);
    struct order_terms terms;
    if (place->client_order_id[0] && batch_client_order(batch, command->user_id, place->client_order_id)) {
        error_field(&command->error, ERROR_CONFLICT, "client-order-id-reused", "client_order_id",
            "an order with this client_order_id exists");
        return;
    }
    if (!order_terms(place, market, state ? state->last_price_ticks : 0, &terms, &command->error))
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

static struct order *order_to_cancel(const struct batch *batch, const struct command *command)
{
    const struct cancel_request *cancel = &command->cancel;
    struct order *order = cancel->order_id != 0 ? batch_order(batch, (int64_t)cancel->order_id)
                                                : batch_client_order(batch, command->user_id, cancel->client_order_id);
    return order && order->user_id == command->user_id ? order : NULL;
}

void cancel_order_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    struct order *order = order_to_cancel(batch, command);
    if (!order) {
        error_field(&command->error, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
        return;
    }
    command->market = market_by_id(batch->markets, order->market_id);
    if (!order_is_open(order)) {
        error_field(&command->error, ERROR_CONFLICT, "order-not-open", "order_id", "the order is %s already",
            order_status_name((int)order->status));
        return;
    }
    /* Asked again: the same answer, and nothing more for the engine to do. */
    if (!order->cancel_requested) {
        order->cancel_requested = true;
        batch->cancels[batch->cancel_count++] = order;
        event_cancel_accepted(outbox, command, order, command->market, batch->now_us);
    }
    command->status = 202;
    command->reply = view_text(view_cancel(order, command->market), batch->arena);
}
