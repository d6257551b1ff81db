#include "views.h"

#include "../chassis/decimal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event_bus/event.h>

static const char *const status_names[] = { "", "accepted", "partially_filled", "filled", "cancelled", "rejected",
    "expired" };
static const char *const type_names[] = { "", "limit", "market", "stop", "stop_limit" };
static const char *const tif_names[] = { "", "GTC", "IOC", "FOK", "GTD" };
static const char *const reason_names[] = { "", "requested", "ioc_remainder", "self_trade", "fok_unfilled",
    "post_only_would_cross", "market_closed", "book_full", "expired", "unsupported", "limits", "price_band",
    "kill_switch", "cancel_all", "quote_replaced", "quote_spent" };
static const char *const post_only_names[] = { "", "reject", "slide" };
static const char *const self_trade_names[] = { "", "cancel_newest", "cancel_oldest", "cancel_both", "decrement" };
static const char *const amend_names[] = { "", "amend_requested", "amended", "amend_rejected" };
static const char *const market_status_names[] = { "", "open", "halted", "cancel_only", "auction" };
static const char *const journal_names[] = { "", "topup", "hold", "trade", "release", "transfer", "transfer_hold",
    "transfer_post", "transfer_void", "manual", "reversal", "interest" };
static const char *const account_names[] = { "", "user", "funding", "fees", "suspense", "house" };
static const char *const account_status_names[] = { "", "open", "frozen", "closed" };
static const char *const pending_names[] = { "", "pending", "posted", "voided", "expired" };
static const char *const adjustment_names[] = { "", "proposed", "approved", "rejected" };
static const char *const asset_class_names[] = { "", "currency", "crypto" };

static const char *name_in(const char *const *names, size_t count, int value)
{
    return value >= 0 && (size_t)value < count ? names[value] : "";
}

const char *side_name(enum side side)
{
    return side == SIDE_BUY ? "buy" : "sell";
}

const char *order_status_name(int status)
{
    return name_in(status_names, ARRAY_LEN(status_names), status);
}

bool order_status_parse(const char *name, int *ret_status)
{
    for (int i = 1; i < (int)ARRAY_LEN(status_names); i++) {
        if (strcmp(status_names[i], name) == 0) {
            *ret_status = i;
            return true;
        }
    }
    return false;
}

const char *journal_kind_name(int kind)
{
    return name_in(journal_names, ARRAY_LEN(journal_names), kind);
}

const char *account_kind_name(int kind)
{
    return name_in(account_names, ARRAY_LEN(account_names), kind);
}

static bool name_parse(const char *const *names, int count, const char *name, int *ret)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

bool account_kind_parse(const char *name, int *ret_kind)
{
    return name_parse(account_names, ARRAY_LEN(account_names), name, ret_kind);
}

bool pending_status_parse(const char *name, int *ret_status)
{
    return name_parse(pending_names, ARRAY_LEN(pending_names), name, ret_status);
}

bool adjustment_status_parse(const char *name, int *ret_status)
{
    return name_parse(adjustment_names, ARRAY_LEN(adjustment_names), name, ret_status);
}

bool account_status_parse(const char *name, int *ret_status)
{
    return name_parse(account_status_names, ARRAY_LEN(account_status_names), name, ret_status);
}

json_t *view_time(int64_t time_us)
{
    char text[EVENT_TIME_MAX];
    event_time_format(time_us, text);
    return json_string(text);
}

json_t *view_day(int32_t day)
{
    char text[EVENT_TIME_MAX];
    event_time_format(day * INT64_C(86400000000), text);
    return json_stringn(text, 10);
}

json_t *view_id(uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, id);
    return json_string(text);
}

static json_t *decimal(int64_t minor, unsigned scale, unsigned min_decimals)
{
    char text[DECIMAL_TEXT_MAX];
    return json_string(decimal_format(minor, scale, min_decimals, text));
}

json_t *view_amount(const struct asset *asset, int64_t minor)
{
    return decimal(minor, asset->scale, 0);
}

/* Neither product overflows: market_units() has checked the market's limits. */
json_t *view_price(const struct market *market, int64_t price_ticks)
{
    return decimal(price_ticks * market->tick_units, market->tick_scale, market->tick_scale);
}

json_t *view_quantity(const struct market *market, int64_t quantity_lots)
{
    return decimal(quantity_lots * market->lot_minor, market->base->scale, 0);
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

json_t *view_amend(const struct order *order, const struct market *market)
{
    json_t *json = json_object();
    set(json, "order_id", view_id((uint64_t)order->id));
    set(json, "amend_id", view_id((uint64_t)order->amend.id));
    set(json, "status", json_string(name_in(amend_names, ARRAY_LEN(amend_names), (int)order->amend.status)));
    set(json, "price", view_price(market, order->amend.price_ticks));
    set(json, "quantity", view_quantity(market, order->amend.quantity_lots));
    if (order->amend.status == AMEND_REQUESTED)
        set(json, "held", view_amount(hold_asset(market, order->side), order->amend.hold_minor));
    return json;
}

/* What few orders have. */
static void set_more(json_t *json, const struct order *order, const struct market *market)
{
    if (order->stop_price_ticks)
        set(json, "stop_price", view_price(market, order->stop_price_ticks));
    if (order->quote_minor)
        set(json, "quote_amount", view_amount(market->quote, order->quote_minor));
    if (order->display_lots)
        set(json, "display_quantity", view_quantity(market, order->display_lots));
    if (order->expires_at_us)
        set(json, "expires_at", view_time(order->expires_at_us));
    if (order->post_only_mode)
        set(json, "post_only_mode",
            json_string(name_in(post_only_names, ARRAY_LEN(post_only_names), (int)order->post_only_mode)));
    if (order->self_trade_prevention)
        set(json, "self_trade_prevention",
            json_string(name_in(self_trade_names, ARRAY_LEN(self_trade_names), (int)order->self_trade_prevention)));
    if (order->quote_set)
        set(json, "quote_set", json_integer(order->quote_set));
    if (order->client_order_id)
        set(json, "client_order_id", json_string(order->client_order_id));
    if (order->reason != 0)
        set(json, "reason", json_string(name_in(reason_names, ARRAY_LEN(reason_names), order->reason)));
    if (order->cancel_requested && order_is_open(order))
        set(json, "cancel_requested", json_true());
    if (order->amend.status != AMEND_NONE)
        set(json, "amendment", view_amend(order, market));
}

json_t *view_order(const struct order *order, const struct market *market)
{
    bool limited = order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
    json_t *json = json_object();
    set(json, "order_id", view_id((uint64_t)order->id));
    set(json, "status", json_string(order_status_name((int)order->status)));
    set(json, "symbol", json_string(market->symbol));
    set(json, "side", json_string(side_name(order->side)));
    set(json, "type", json_string(name_in(type_names, ARRAY_LEN(type_names), (int)order->type)));
    set(json, limited ? "price" : "protection_price", view_price(market, order->price_ticks));
    if (!order_is_quote_buy(order)) {
        set(json, "quantity", view_quantity(market, order->quantity_lots));
        set(json, "remaining_quantity", view_quantity(market, order->quantity_lots - order->filled_lots));
    }
    set(json, "filled_quantity", view_quantity(market, order->filled_lots));
    set(json, "time_in_force", json_string(name_in(tif_names, ARRAY_LEN(tif_names), (int)order->time_in_force)));
    set(json, "post_only", json_boolean(order->post_only));
    set(json, "held", view_amount(hold_asset(market, order->side), order->held_minor));
    set(json, "held_asset", json_string(hold_asset(market, order->side)->code));
    set_more(json, order, market);
    set(json, "created_at", view_time(order->created_at_us));
    set(json, "updated_at", view_time(order->updated_at_us));
    return json;
}

json_t *view_cancel(const struct order *order, const struct market *market)
{
    json_t *json = json_object();
    set(json, "order_id", view_id((uint64_t)order->id));
    set(json, "status", json_string("cancel_requested"));
    set(json, "symbol", json_string(market->symbol));
    if (order->client_order_id)
        set(json, "client_order_id", json_string(order->client_order_id));
    return json;
}

json_t *view_balance(const struct asset *asset, int64_t available, int64_t held)
{
    json_t *json = json_object();
    set(json, "asset", json_string(asset->code));
    set(json, "available", view_amount(asset, available));
    set(json, "held", view_amount(asset, held));
    set(json, "total", view_amount(asset, available + held)); /* fits: see ledger_rules.h */
    return json;
}

json_t *view_topup(const struct topup *topup, const struct asset *asset, const struct account *account, int64_t now_us)
{
    json_t *json = json_object();
    set(json, "topup_id", view_id((uint64_t)topup->id));
    set(json, "status", json_string("booked"));
    set(json, "currency", json_string(asset->code));
    set(json, "amount", view_amount(asset, topup->amount));
    if (topup->reference)
        set(json, "reference", json_string(topup->reference));
    set(json, "balance", view_balance(asset, account->available, account->held));
    set(json, "booked_at", view_time(now_us));
    return json;
}

json_t *view_account(const struct account *account, const struct asset *asset)
{
    json_t *json = view_balance(asset, account->available, account->held);
    set(json, "account_id", view_id((uint64_t)account->id));
    set(json, "kind", json_string(account_kind_name(account->kind)));
    if (account->owner_id != 0)
        set(json, "user_id", view_id(account->owner_id));
    set(json, "status",
        json_string(name_in(account_status_names, ARRAY_LEN(account_status_names), (int)account->status)));
    set(json, "overdraft", view_amount(asset, account->overdraft_minor));
    return json;
}

json_t *view_asset(const struct asset *asset)
{
    json_t *json = json_object();
    set(json, "asset", json_string(asset->code));
    set(json, "scale", json_integer(asset->scale));
    set(json, "class", json_string(name_in(asset_class_names, ARRAY_LEN(asset_class_names), asset->class)));
    return json;
}

static void set_notes(json_t *json, const struct journal *journal, int64_t now_us)
{
    if (journal->note)
        set(json, "reference", json_string(journal->note));
    if (journal->effective_at_us)
        set(json, "effective_at", view_time(journal->effective_at_us));
    set(json, "posted_at", view_time(now_us));
}

/* Written out: as a tree it would take three times as long as the transfer's decision. */
static char *balance_text(struct arena *arena, const struct asset *asset, int64_t available, int64_t held)
{
    char a[DECIMAL_TEXT_MAX], h[DECIMAL_TEXT_MAX], t[DECIMAL_TEXT_MAX];
    return arena_printf(arena, "{\"asset\":\"%s\",\"available\":\"%s\",\"held\":\"%s\",\"total\":\"%s\"}", asset->code,
        decimal_format(available, asset->scale, 0, a), decimal_format(held, asset->scale, 0, h),
        decimal_format(available + held, asset->scale, 0, t)); /* fits: see ledger_rules.h */
}

/* ,"name":value; nothing without one. Takes the reference. */
static const char *member_text(struct arena *arena, const char *name, json_t *value)
{
    return value ? arena_printf(arena, ",\"%s\":%s", name, view_text(value, arena)) : "";
}

char *view_transfer(struct arena *arena, const struct ledger *ledger, const struct journal *journal,
    const struct asset *asset, bool both_sides, int64_t now_us)
{
    const struct entry *from = &ledger->entries[journal->first_entry], *to = from + 1;
    char amount[DECIMAL_TEXT_MAX], at[EVENT_TIME_MAX];
    const char *owner =
        to->account->owner_id ? arena_printf(arena, ",\"to_user_id\":\"%" PRIu64 "\"", to->account->owner_id) : "";
    const char *theirs = both_sides ? arena_printf(arena, ",\"to_balance\":%s",
                                          balance_text(arena, asset, to->available_after, to->held_after))
                                    : "";
    event_time_format(now_us, at);
    return arena_printf(arena,
        "{\"transfer_id\":\"%" PRId64 "\",\"journal_id\":\"%" PRId64
        "\",\"status\":\"posted\",\"currency\":\"%s\",\"amount\":"
        "\"%s\",\"from_account_id\":\"%" PRId64 "\",\"to_account_id\":\"%" PRId64
        "\"%s,\"balance\":%s%s%s%s,\"posted_at\":\"%s\"}",
        journal->id, journal->id, asset->code, decimal_format(to->available_delta, asset->scale, 0, amount),
        from->account->id, to->account->id, owner, balance_text(arena, asset, from->available_after, from->held_after),
        theirs, member_text(arena, "reference", journal->note ? json_string(journal->note) : NULL),
        member_text(arena, "effective_at", journal->effective_at_us ? view_time(journal->effective_at_us) : NULL), at);
}

json_t *view_pending(const struct pending_transfer *pending, const struct asset *asset, uint64_t from_owner,
    uint64_t to_owner, const struct account *from)
{
    json_t *json = json_object();
    set(json, "transfer_id", view_id((uint64_t)pending->id));
    set(json, "status", json_string(name_in(pending_names, ARRAY_LEN(pending_names), (int)pending->status)));
    set(json, "currency", json_string(asset->code));
    set(json, "amount", view_amount(asset, pending->amount));
    if (pending->status == PENDING_POSTED)
        set(json, "posted_amount", view_amount(asset, pending->posted));
    set(json, "from_account_id", view_id((uint64_t)pending->from_account_id));
    set(json, "to_account_id", view_id((uint64_t)pending->to_account_id));
    if (from_owner != 0)
        set(json, "from_user_id", view_id(from_owner));
    if (to_owner != 0)
        set(json, "to_user_id", view_id(to_owner));
    if (pending->note)
        set(json, "reference", json_string(pending->note));
    if (pending->expires_at_us)
        set(json, "expires_at", view_time(pending->expires_at_us));
    set(json, "created_at", view_time(pending->created_at_us));
    if (from)
        set(json, "balance", view_balance(asset, from->available, from->held));
    return json;
}

json_t *view_adjustment(const struct markets *markets, const struct adjustment *adjustment)
{
    json_t *json = json_object(), *legs = json_array();
    for (size_t i = 0; i < adjustment->leg_count; i++) {
        const struct leg *leg = &adjustment->legs[i];
        const struct asset *asset = asset_by_id(markets, leg->account->asset_id);
        json_t *row = json_object();
        set(row, "account_id", view_id((uint64_t)leg->account->id));
        set(row, "currency", json_string(asset->code));
        set(row, "amount", view_amount(asset, leg->available_delta));
        json_array_append_new(legs, row);
    }
    set(json, "adjustment_id", view_id((uint64_t)adjustment->id));
    set(json, "status", json_string(name_in(adjustment_names, ARRAY_LEN(adjustment_names), (int)adjustment->status)));
    set(json, "proposed_by", view_id(adjustment->proposed_by));
    set(json, "legs", legs);
    if (adjustment->reverses)
        set(json, "reverses", view_id((uint64_t)adjustment->reverses));
    if (adjustment->note)
        set(json, "reference", json_string(adjustment->note));
    if (adjustment->effective_at_us)
        set(json, "effective_at", view_time(adjustment->effective_at_us));
    if (adjustment->decided_by)
        set(json, "decided_by", view_id(adjustment->decided_by));
    if (adjustment->reason)
        set(json, "reason", json_string(adjustment->reason));
    if (adjustment->journal_id)
        set(json, "journal_id", view_id((uint64_t)adjustment->journal_id));
    return json;
}

json_t *view_journal(
    const struct markets *markets, const struct ledger *ledger, const struct journal *journal, int64_t now_us)
{
    json_t *json = json_object(), *entries = json_array();
    for (size_t i = 0; i < journal->entry_count; i++) {
        const struct entry *entry = &ledger->entries[journal->first_entry + i];
        const struct asset *asset = asset_by_id(markets, entry->account->asset_id);
        json_t *row = json_object();
        set(row, "entry_id", view_id((uint64_t)entry->id));
        set(row, "account_id", view_id((uint64_t)entry->account->id));
        set(row, "asset", json_string(asset->code));
        set(row, "available_delta", view_amount(asset, entry->available_delta));
        set(row, "held_delta", view_amount(asset, entry->held_delta));
        set(row, "available", view_amount(asset, entry->available_after));
        set(row, "held", view_amount(asset, entry->held_after));
        json_array_append_new(entries, row);
    }
    set(json, "journal_id", view_id((uint64_t)journal->id));
    set(json, "kind", json_string(journal_kind_name((int)journal->kind)));
    set(json, "entries", entries);
    set_notes(json, journal, now_us);
    return json;
}

json_t *view_market(const struct market *market, int64_t last_price_ticks)
{
    json_t *json = json_object();
    set(json, "symbol", json_string(market->symbol));
    set(json, "base", json_string(market->base->code));
    set(json, "quote", json_string(market->quote->code));
    set(json, "status", json_string(name_in(market_status_names, ARRAY_LEN(market_status_names), (int)market->status)));
    set(json, "tick_size", json_string(market->tick_size));
    set(json, "lot_size", json_string(market->lot_size));
    set(json, "min_quantity", view_quantity(market, market->min_quantity_lots));
    set(json, "max_quantity", view_quantity(market, market->max_quantity_lots));
    set(json, "max_price", view_price(market, market->max_price_ticks));
    if (market->min_price_ticks > 0)
        set(json, "min_price", view_price(market, market->min_price_ticks));
    if (market->price_step_ticks > 1)
        set(json, "price_step", view_price(market, market->price_step_ticks));
    if (market->quantity_step_lots > 1)
        set(json, "quantity_step", view_quantity(market, market->quantity_step_lots));
    if (market->min_notional_minor > 0)
        set(json, "min_notional", view_amount(market->quote, market->min_notional_minor));
    if (market->max_notional_minor > 0)
        set(json, "max_notional", view_amount(market->quote, market->max_notional_minor));
    if (market->price_band_ppm > 0)
        set(json, "price_band_ppm", json_integer(market->price_band_ppm));
    set(json, "maker_fee_ppm", json_integer(market->maker_fee_ppm));
    set(json, "taker_fee_ppm", json_integer(market->taker_fee_ppm));
    set(json, "market_band_ppm", json_integer(market->market_band_ppm));
    set(json, "reference_price",
        market->reference_price_ticks > 0 ? view_price(market, market->reference_price_ticks) : json_null());
    set(json, "last_price", last_price_ticks > 0 ? view_price(market, last_price_ticks) : json_null());
    return json;
}

char *view_text(json_t *json, struct arena *arena)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    char *copy = arena_strdup(arena, text);
    free(text);
    json_decref(json);
    return copy;
}
