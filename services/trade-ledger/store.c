#include "store.h"

#include "sql.h"
#include "store_parts.h"

#include <assert.h>
#include <string.h>

/* Order and number as in the select lists of orders_*.sql. */
void store_order_from_row(const struct pg_result *rows, size_t row, struct arena *arena, struct order *ret)
{
    *ret = (struct order){
        .id = pg_get_int64(rows, row, 0),
        .user_id = (uint64_t)pg_get_int64(rows, row, 1),
        .market_id = (int32_t)pg_get_int64(rows, row, 2),
        .side = (enum side)pg_get_int64(rows, row, 3),
        .type = (enum order_type)pg_get_int64(rows, row, 4),
        .time_in_force = (enum time_in_force)pg_get_int64(rows, row, 5),
        .post_only = pg_get_bool(rows, row, 6),
        .price_ticks = pg_get_int64(rows, row, 7),
        .quantity_lots = pg_get_int64(rows, row, 8),
        .filled_lots = pg_get_int64(rows, row, 9),
        .held_minor = pg_get_int64(rows, row, 10),
        .status = (enum order_status)pg_get_int64(rows, row, 11),
        .reason = (int32_t)pg_get_int64(rows, row, 12),
        .cancel_requested = pg_get_bool(rows, row, 13),
        .client_order_id = pg_is_null(rows, row, 14) ? NULL : arena_strdup(arena, pg_get_text(rows, row, 14)),
        .created_at_us = pg_get_int64(rows, row, 15),
        .updated_at_us = pg_get_int64(rows, row, 16),
        .stop_price_ticks = pg_get_int64(rows, row, 17),
        .quote_minor = pg_get_int64(rows, row, 18),
        .display_lots = pg_get_int64(rows, row, 19),
        .expires_at_us = pg_get_int64(rows, row, 20),
        .post_only_mode = (enum post_only_mode)pg_get_int64(rows, row, 21),
        .self_trade_prevention = (enum self_trade_prevention)pg_get_int64(rows, row, 22),
        .quote_set = (int32_t)pg_get_int64(rows, row, 23),
        .maker_fee_ppm = (int32_t)pg_get_int64(rows, row, 24),
        .taker_fee_ppm = (int32_t)pg_get_int64(rows, row, 25),
        .amend = { .id = pg_get_int64(rows, row, 26),
            .status = (enum amend_status)pg_get_int64(rows, row, 27),
            .price_ticks = pg_get_int64(rows, row, 28),
            .quantity_lots = pg_get_int64(rows, row, 29),
            .hold_minor = pg_get_int64(rows, row, 30) },
    };
}

void store_account_from_row(const struct pg_result *rows, size_t row, struct account *ret)
{
    *ret = (struct account){
        .id = pg_get_int64(rows, row, 0),
        .owner_id = (uint64_t)pg_get_int64(rows, row, 1),
        .kind = (int32_t)pg_get_int64(rows, row, 2),
        .asset_id = (int32_t)pg_get_int64(rows, row, 3),
        .available = pg_get_int64(rows, row, 4),
        .held = pg_get_int64(rows, row, 5),
        .status = (enum account_status)pg_get_int64(rows, row, 6),
        .overdraft_minor = pg_get_int64(rows, row, 7),
    };
}

static void fill_accounts(struct ledger *ledger, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        struct account account;
        store_account_from_row(rows, row, &account);
        ledger_add_account(ledger, &account);
    }
}

static void fill_orders(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        struct order order;
        store_order_from_row(rows, row, batch->arena, &order);
        if (batch_order(batch, order.id))
            continue;
        struct order *copy = arena_alloc(batch->arena, sizeof *copy);
        *copy = order;
        batch_add_order(batch, copy);
    }
}

static void fill_seen(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        struct bytes digest = pg_get_bytes(rows, row, 2);
        struct seen *seen = arena_alloc(batch->arena, sizeof *seen);
        *seen = (struct seen){
            .source = arena_strdup(batch->arena, pg_get_text(rows, row, 0)),
            .key = arena_strdup(batch->arena, pg_get_text(rows, row, 1)),
            .status = (int)pg_get_int64(rows, row, 3),
            .reply = pg_is_null(rows, row, 4) ? NULL : arena_strdup(batch->arena, pg_get_text(rows, row, 4)),
        };
        memcpy(seen->digest, digest.data, digest.len < DIGEST_LEN ? digest.len : DIGEST_LEN);
        batch_add_seen(batch, seen);
    }
}

static void fill_market_states(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        int32_t id = (int32_t)pg_get_int64(rows, row, 0);
        struct market_state *state = arena_alloc(batch->arena, sizeof *state);
        *state =
            (struct market_state){ pg_get_int64(rows, row, 1), pg_get_int64(rows, row, 2), pg_get_int64(rows, row, 3) };
        *table_slot(batch->market_states, &id, sizeof id) = state;
    }
}

static void fill_traders(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        uint64_t user_id = (uint64_t)pg_get_int64(rows, row, 0);
        struct killed_key killed = { user_id, pg_get_int64(rows, row, 1) };
        if (killed.market_id != 0) {
            *table_slot(batch->killed, &killed, sizeof killed) = batch;
            continue;
        }
        struct trader *trader = arena_alloc(batch->arena, sizeof *trader);
        *trader = (struct trader){
            .maker_fee_ppm = (int32_t)pg_get_int64(rows, row, 2),
            .taker_fee_ppm = (int32_t)pg_get_int64(rows, row, 3),
            .open_orders_max = pg_get_int64(rows, row, 4),
            .orders_per_s_max = pg_get_int64(rows, row, 5),
            .notional_minor_max = pg_get_int64(rows, row, 6),
            .open_orders = pg_get_int64(rows, row, 7),
            .orders_this_second = pg_get_int64(rows, row, 8),
        };
        if (trader->open_orders_max < 0 && batch->settings->open_orders_max > 0)
            trader->open_orders_max = batch->settings->open_orders_max;
        if (trader->orders_per_s_max < 0 && batch->settings->orders_per_second_max > 0)
            trader->orders_per_s_max = batch->settings->orders_per_second_max;
        *table_slot(batch->traders, &user_id, sizeof user_id) = trader;
    }
}

static void fill_open_markets(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++)
        batch_add_open_market(batch, (uint64_t)pg_get_int64(rows, row, 0),
            market_by_id(batch->markets, (int32_t)pg_get_int64(rows, row, 1)));
}

struct loaded {
    struct pg_result *accounts, *seen, *client_orders, *named, *markets, *traders, *open_markets, *pending,
        *old_journals, *adjustments, *ids;
};

static void loaded_release(struct loaded *loaded)
{
    pg_result_free(loaded->accounts);
    pg_result_free(loaded->seen);
    pg_result_free(loaded->client_orders);
    pg_result_free(loaded->named);
    pg_result_free(loaded->markets);
    pg_result_free(loaded->traders);
    pg_result_free(loaded->open_markets);
    pg_result_free(loaded->pending);
    pg_result_free(loaded->old_journals);
    pg_result_free(loaded->adjustments);
    pg_result_free(loaded->ids);
}

static void arg_accounts(struct pg *pg, const struct wants *wants, size_t count)
{
    pg_arg_int64s(pg, (const int64_t *)wants->owners, count);
    pg_arg_int32s(pg, wants->kinds, count);
    pg_arg_int32s(pg, wants->assets, count);
}

static void arg_named_orders(struct pg *pg, const struct wants *wants)
{
    pg_arg_int64s(pg, wants->named_ids, wants->named_count);
    pg_arg_int64s(pg, wants->named_users, wants->named_client_count);
    pg_arg_texts(pg, wants->named_client_ids, wants->named_client_count);
}

/* More orders than this are not counted: no limit is higher. */
enum { COUNTED_ORDERS_MAX = 1000000, SECOND_US = 1000000 };

static bool send_limits_lock(struct pg *pg, const struct wants *wants, struct error *e)
{
    pg_arg_int64s(pg, wants->traders, wants->trader_count);
    pg_arg_bool(pg, wants->count_orders);
    return pg_send(pg, &sql_limits_lock, NULL, e);
}

static bool send_traders(
    struct pg *pg, const struct wants *wants, int64_t now_us, struct pg_result **ret_traders, struct error *e)
{
    pg_arg_int64s(pg, wants->traders, wants->trader_count);
    pg_arg_bool(pg, wants->count_orders);
    pg_arg_int64(pg, COUNTED_ORDERS_MAX);
    pg_arg_int64(pg, now_us - SECOND_US);
    pg_arg_int64(pg, COUNTED_ORDERS_MAX);
    return pg_send(pg, &sql_traders_find, ret_traders, e);
}

/* All accounts by one statement, so that they are locked in one order; the plainest that will do. */
static bool send_accounts_lock(struct pg *pg, const struct wants *wants, struct loaded *loaded, struct error *e)
{
    bool by_id = wants->account_id_count > 0, for_orders = wants->amends > 0;
    bool named = wants->pending_count + wants->reversed_count + wants->adjustment_count > 0;
    if (wants->account_count == 0 && !by_id && !for_orders && !named)
        return true;
    arg_accounts(pg, wants, wants->account_count);
    if (!by_id && !for_orders && !named)
        return pg_send(pg, &sql_accounts_lock, &loaded->accounts, e);
    if (!for_orders && !named) {
        pg_arg_int64s(pg, wants->account_ids, wants->account_id_count);
        return pg_send(pg, &sql_accounts_lock_by_id, &loaded->accounts, e);
    }
    arg_named_orders(pg, wants);
    if (!by_id && !named)
        return pg_send(pg, &sql_accounts_lock_for_orders, &loaded->accounts, e);
    pg_arg_int64s(pg, wants->account_ids, wants->account_id_count);
    pg_arg_int64s(pg, wants->pending_ids, wants->pending_count);
    pg_arg_int64s(pg, wants->reversed_ids, wants->reversed_count);
    pg_arg_int64s(pg, wants->adjustment_ids, wants->adjustment_count);
    return pg_send(pg, &sql_accounts_lock_named, &loaded->accounts, e);
}

/* Locks: users whose orders are counted, accounts, then orders. What has no lock of its own is read after them. */
static bool send_locks(struct pg *pg, const struct wants *wants, struct loaded *loaded, struct error *e)
{
    if (wants->find_traders && wants->trader_count > 0 && !send_limits_lock(pg, wants, e))
        return false;
    if (wants->create_count > 0) {
        arg_accounts(pg, wants, wants->create_count);
        pg_arg_int32s(pg, wants->known_only, wants->create_count);
        if (!pg_send(pg, &sql_accounts_create, NULL, e))
            return false;
    }
    if (!send_accounts_lock(pg, wants, loaded, e))
        return false;
    if (wants->named_count + wants->named_client_count > 0) {
        arg_named_orders(pg, wants);
        if (!pg_send(pg, &sql_orders_lock, &loaded->named, e))
            return false;
    }
    if (wants->pending_count > 0) {
        pg_arg_int64s(pg, wants->pending_ids, wants->pending_count);
        if (!pg_send(pg, &sql_pending_lock, &loaded->pending, e))
            return false;
    }
    if (wants->adjustment_count == 0)
        return true;
    pg_arg_int64s(pg, wants->adjustment_ids, wants->adjustment_count);
    return pg_send(pg, &sql_adjustments_lock, &loaded->adjustments, e);
}

static bool send_reads(struct pg *pg, const struct wants *wants, int64_t now_us, struct loaded *loaded, struct error *e)
{
    if (wants->find_traders && wants->trader_count > 0 && !send_traders(pg, wants, now_us, &loaded->traders, e))
        return false;
    if (wants->cancelling_count > 0) {
        pg_arg_int64s(pg, wants->cancelling, wants->cancelling_count);
        if (!pg_send(pg, &sql_open_markets, &loaded->open_markets, e))
            return false;
    }
    if (wants->reversed_count > 0) {
        pg_arg_int64s(pg, wants->reversed_ids, wants->reversed_count);
        if (!pg_send(pg, &sql_journals_to_reverse, &loaded->old_journals, e))
            return false;
    }
    if (wants->seen_count > 0) {
        pg_arg_texts(pg, wants->seen_sources, wants->seen_count);
        pg_arg_texts(pg, wants->seen_keys, wants->seen_count);
        if (!pg_send(pg, &sql_seen_find, &loaded->seen, e))
            return false;
    }
    if (wants->client_count > 0) {
        pg_arg_int64s(pg, wants->client_users, wants->client_count);
        pg_arg_texts(pg, wants->client_ids, wants->client_count);
        if (!pg_send(pg, &sql_orders_by_client_id, &loaded->client_orders, e))
            return false;
    }
    if (wants->market_count > 0) {
        pg_arg_int32s(pg, wants->market_ids, wants->market_count);
        if (!pg_send(pg, &sql_market_states, &loaded->markets, e))
            return false;
    }
    return true;
}

struct id_counts {
    size_t journals, orders, topups, trades, amends, adjustments;
};

static bool send_ids(struct pg *pg, const struct id_counts *counts, struct pg_result **ret_ids, struct error *e)
{
    pg_arg_int64(pg, (int64_t)counts->journals);
    pg_arg_int64(pg, (int64_t)counts->orders);
    pg_arg_int64(pg, (int64_t)counts->topups);
    pg_arg_int64(pg, (int64_t)counts->trades);
    pg_arg_int64(pg, (int64_t)counts->amends);
    pg_arg_int64(pg, (int64_t)counts->adjustments);
    return pg_send(pg, &sql_ids_take, ret_ids, e);
}

/* Columns of ids_take.sql. */
enum { ID_JOURNAL, ID_ORDER, ID_TOPUP, ID_TRADE, ID_AMEND, ID_ADJUSTMENT, ID_CLOCK };

static const int64_t *read_ids(struct arena *arena, const struct pg_result *rows, unsigned column, size_t count)
{
    assert(count <= pg_rows(rows));
    return COLUMN(int64_t, count, pg_get_int64(rows, i, column));
}

static void take_ids(struct batch *batch, const struct wants *wants, const struct pg_result *rows)
{
    const int64_t *journals = read_ids(batch->arena, rows, ID_JOURNAL, wants->journals);
    ledger_set_ids(batch->ledger, journals, wants->journals, wants->entries);
    batch->order_ids = read_ids(batch->arena, rows, ID_ORDER, wants->orders);
    batch->topup_ids = read_ids(batch->arena, rows, ID_TOPUP, wants->topups);
    batch->amend_ids = read_ids(batch->arena, rows, ID_AMEND, wants->amends);
    batch->adjustment_ids = read_ids(batch->arena, rows, ID_ADJUSTMENT, wants->adjustments);
    batch->now_us = batch->ledger->locked_at_us = pg_get_int64(rows, 0, ID_CLOCK);
}

bool store_load(struct pg *pg, struct batch *batch, const struct wants *wants, struct error *e)
{
    __attribute__((cleanup(loaded_release))) struct loaded loaded = { 0 };
    struct id_counts ids = {
        .journals = wants->journals,
        .orders = wants->orders,
        .topups = wants->topups,
        .amends = wants->amends,
        .adjustments = wants->adjustments,
    };
    if (!send_locks(pg, wants, &loaded, e) || !send_reads(pg, wants, batch->now_us, &loaded, e) ||
        !send_ids(pg, &ids, &loaded.ids, e) || !pg_wait(pg, e))
        return false;
    fill_accounts(batch->ledger, loaded.accounts);
    fill_orders(batch, loaded.named);
    fill_orders(batch, loaded.client_orders);
    fill_seen(batch, loaded.seen);
    fill_market_states(batch, loaded.markets);
    fill_traders(batch, loaded.traders);
    fill_open_markets(batch, loaded.open_markets);
    store_fill_pending(batch, loaded.pending);
    store_fill_old_journals(batch, loaded.old_journals);
    store_fill_adjustments(batch, loaded.adjustments);
    take_ids(batch, wants, loaded.ids);
    return true;
}

/* Accounts with new terms are stored apart from the many that have only moved. */
static bool save_accounts(struct pg *pg, const struct ledger *ledger, bool with_terms, struct error *e)
{
    struct arena *arena = ledger->arena;
    size_t n = 0;
    struct account **accounts = arena_alloc(arena, (ledger->account_count + 1) * sizeof(struct account *));
    for (size_t i = 0; i < ledger->account_count; i++) {
        struct account *account = ledger->accounts[i];
        if (account->terms_changed == with_terms && (account->changed || with_terms))
            accounts[n++] = account;
    }
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, accounts[i]->id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, accounts[i]->available), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, accounts[i]->held), n);
    if (!with_terms)
        return pg_send(pg, &sql_accounts_save, NULL, e);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)accounts[i]->status), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, accounts[i]->overdraft_minor), n);
    return pg_send(pg, &sql_accounts_set, NULL, e);
}

/* Most journals say nothing besides their cause, and are stored with fewer columns. */
static bool save_journals(struct pg *pg, const struct ledger *ledger, bool more, int64_t now_us, struct error *e)
{
    struct arena *arena = ledger->arena;
    size_t n = 0;
    const struct journal **journals = arena_alloc(arena, (ledger->journal_count + 1) * sizeof(struct journal *));
    for (size_t i = 0; i < ledger->journal_count; i++) {
        if ((ledger->journals[i].note || ledger->journals[i].effective_at_us) == more)
            journals[n++] = &ledger->journals[i];
    }
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, journals[i]->id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)journals[i]->kind), n);
    pg_arg_texts(pg, COLUMN(const char *, n, journals[i]->reference), n);
    pg_arg_int64(pg, now_us);
    pg_arg_texts(pg, COLUMN(const char *, n, journals[i]->cause), n);
    if (!more)
        return pg_send(pg, &sql_journals_insert, NULL, e);
    pg_arg_texts(pg, COLUMN(const char *, n, journals[i]->note), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, journals[i]->effective_at_us), n);
    return pg_send(pg, &sql_journals_insert_more, NULL, e);
}

/* Accounts, journals and entries as the batch leaves them. */
static bool save_ledger(struct pg *pg, const struct ledger *ledger, int64_t now_us, struct error *e)
{
    struct arena *arena = ledger->arena;
    size_t n = ledger->journal_count;
    if (!save_accounts(pg, ledger, false, e) || !save_accounts(pg, ledger, true, e))
        return false;
    if (n == 0)
        return true;
    if (!save_journals(pg, ledger, false, now_us, e) || !save_journals(pg, ledger, true, now_us, e))
        return false;

    size_t m = ledger->entry_count;
    const struct entry *entries = ledger->entries;
    int64_t *journal_ids = arena_alloc(arena, (m + 1) * sizeof *journal_ids);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < ledger->journals[i].entry_count; j++)
            journal_ids[ledger->journals[i].first_entry + j] = ledger->journals[i].id;
    }
    pg_arg_int64s(pg, COLUMN(int64_t, m, entries[i].id), m);
    pg_arg_int64s(pg, journal_ids, m);
    pg_arg_int64s(pg, COLUMN(int64_t, m, entries[i].account->id), m);
    pg_arg_int32s(pg, COLUMN(int32_t, m, entries[i].account->asset_id), m);
    pg_arg_int64s(pg, COLUMN(int64_t, m, entries[i].available_delta), m);
    pg_arg_int64s(pg, COLUMN(int64_t, m, entries[i].held_delta), m);
    pg_arg_int64s(pg, COLUMN(int64_t, m, entries[i].available_after), m);
    pg_arg_int64s(pg, COLUMN(int64_t, m, entries[i].held_after), m);
    return pg_send(pg, &sql_entries_insert, NULL, e);
}

static bool has_more(const struct order *order)
{
    return order->client_order_id || order->stop_price_ticks || order->quote_minor || order->display_lots ||
           order->expires_at_us || order->post_only_mode || order->self_trade_prevention || order->quote_set;
}

static bool send_new_orders(struct pg *pg, struct arena *arena, struct order *const *orders, size_t n, int64_t now_us,
    bool more, struct error *e)
{
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)orders[i]->user_id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, orders[i]->market_id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->side), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->type), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->time_in_force), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, orders[i]->post_only ? 1 : 0), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->price_ticks), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->quantity_lots), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->held_minor), n);
    if (more)
        pg_arg_texts(pg, COLUMN(const char *, n, orders[i]->client_order_id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, orders[i]->maker_fee_ppm), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, orders[i]->taker_fee_ppm), n);
    pg_arg_int64(pg, now_us);
    if (!more)
        return pg_send(pg, &sql_orders_insert, NULL, e);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->stop_price_ticks), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->quote_minor), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->display_lots), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->expires_at_us), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->post_only_mode), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->self_trade_prevention), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, orders[i]->quote_set), n);
    return pg_send(pg, &sql_orders_insert_more, NULL, e);
}

/* Plain orders are most of them, and are stored with fewer columns. */
static bool save_new_orders(struct pg *pg, const struct batch *batch, struct error *e)
{
    size_t n = batch->new_order_count, plain_count = 0, more_count = 0;
    struct order **plain = arena_alloc(batch->arena, (n + 1) * sizeof(struct order *));
    struct order **more = arena_alloc(batch->arena, (n + 1) * sizeof(struct order *));
    for (size_t i = 0; i < n; i++) {
        if (has_more(batch->new_orders[i]))
            more[more_count++] = batch->new_orders[i];
        else
            plain[plain_count++] = batch->new_orders[i];
    }
    return send_new_orders(pg, batch->arena, plain, plain_count, batch->now_us, false, e) &&
           send_new_orders(pg, batch->arena, more, more_count, batch->now_us, true, e);
}

static bool save_amends(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    size_t n = batch->amend_count;
    struct order *const *orders = batch->amended;
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->amend.id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->amend.price_ticks), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->amend.quantity_lots), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->amend.hold_minor), n);
    pg_arg_int64(pg, batch->now_us);
    return pg_send(pg, &sql_orders_amend, NULL, e);
}

static bool save_cancels(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    if (batch->cancel_count == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, batch->cancel_count, batch->cancels[i]->id), batch->cancel_count);
    pg_arg_int64(pg, batch->now_us);
    return pg_send(pg, &sql_orders_request_cancel, NULL, e);
}

static bool save_topups(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    const struct topup *topups = batch->new_topups;
    size_t n = batch->new_topup_count;
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, topups[i].id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)topups[i].user_id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, topups[i].asset_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, topups[i].amount), n);
    pg_arg_texts(pg, COLUMN(const char *, n, topups[i].reference), n);
    pg_arg_int64(pg, batch->now_us);
    return pg_send(pg, &sql_topups_insert, NULL, e);
}

/* Who comes twice in a batch: the last counts. */
static bool save_dead_men(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    const struct dead_man *men = batch->dead_men;
    size_t n = batch->dead_man_count, set = 0, clear = 0;
    int64_t *arm = arena_alloc(arena, (n + 1) * sizeof *arm), *disarm = arena_alloc(arena, (n + 1) * sizeof *disarm);
    int32_t *timeouts = arena_alloc(arena, (n + 1) * sizeof *timeouts);
    for (size_t i = 0; i < n; i++) {
        bool later = false;
        for (size_t j = i + 1; j < n && !later; j++)
            later = men[j].user_id == men[i].user_id;
        if (!later && men[i].timeout_s > 0) {
            timeouts[set] = (int32_t)men[i].timeout_s;
            arm[set++] = (int64_t)men[i].user_id;
        } else if (!later) {
            disarm[clear++] = (int64_t)men[i].user_id;
        }
    }
    if (set > 0) {
        pg_arg_int64s(pg, arm, set);
        pg_arg_int32s(pg, timeouts, set);
        pg_arg_int64(pg, batch->now_us);
        if (!pg_send(pg, &sql_dead_man_set, NULL, e))
            return false;
    }
    if (clear == 0)
        return true;
    pg_arg_int64s(pg, disarm, clear);
    return pg_send(pg, &sql_dead_man_clear, NULL, e);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){ text, text ? strlen(text) : 0 };
}

static bool save_seen(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    struct seen *const *seen = batch->new_seen;
    size_t n = batch->new_seen_count;
    if (n == 0)
        return true;
    pg_arg_texts(pg, COLUMN(const char *, n, seen[i]->source), n);
    pg_arg_texts(pg, COLUMN(const char *, n, seen[i]->key), n);
    pg_arg_blobs(pg, COLUMN(struct bytes, n, ((struct bytes){ seen[i]->digest, DIGEST_LEN })), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, seen[i]->status), n);
    pg_arg_blobs(pg, COLUMN(struct bytes, n, text_bytes(seen[i]->reply)), n);
    return pg_send(pg, &sql_seen_insert, NULL, e);
}

bool store_save(struct pg *pg, const struct batch *batch, struct error *e)
{
    return save_ledger(pg, batch->ledger, batch->now_us, e) && save_new_orders(pg, batch, e) &&
           save_amends(pg, batch, e) && save_cancels(pg, batch, e) && save_topups(pg, batch, e) &&
           save_dead_men(pg, batch, e) && store_save_money(pg, batch, e) && save_seen(pg, batch, e);
}

static void fill_progress(struct arena *arena, const struct pg_result *rows, struct table *progress)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        struct market_progress *copy = arena_alloc(arena, sizeof *copy);
        *copy = (struct market_progress){
            .market_id = (int32_t)pg_get_int64(rows, row, 0),
            .last_posting_seq = pg_get_int64(rows, row, 1),
            .last_seq = pg_get_int64(rows, row, 2),
            .last_trade_id = pg_get_int64(rows, row, 3),
            .last_price_ticks = pg_get_int64(rows, row, 4),
            .dead_posting_seq = pg_get_int64(rows, row, 5),
        };
        *table_slot(progress, &copy->market_id, sizeof copy->market_id) = copy;
    }
}

static bool send_posting_locks(struct pg *pg, const struct posting_wants *wants, struct loaded *loaded, struct error *e)
{
    static const int64_t no_users[1];
    static const char *const no_texts[1];
    pg_arg_int64s(pg, wants->trading_order_ids, wants->trading_order_count);
    if (!pg_send(pg, &sql_posting_accounts_create, NULL, e))
        return false;
    pg_arg_int64s(pg, wants->order_ids, wants->order_count);
    if (!pg_send(pg, &sql_posting_accounts_lock, &loaded->accounts, e))
        return false;
    pg_arg_int64s(pg, wants->order_ids, wants->order_count);
    pg_arg_int64s(pg, no_users, 0);
    pg_arg_texts(pg, no_texts, 0);
    if (!pg_send(pg, &sql_orders_lock, &loaded->named, e))
        return false;
    pg_arg_int32s(pg, wants->market_ids, wants->market_count);
    return pg_send(pg, &sql_market_progress_lock, &loaded->markets, e);
}

bool store_load_postings(struct pg *pg, struct booking *booking, const struct posting_wants *wants,
    struct table *ret_progress, struct error *e)
{
    __attribute__((cleanup(loaded_release))) struct loaded loaded = { 0 };
    struct arena *arena = booking->arena;
    if (!send_posting_locks(pg, wants, &loaded, e) ||
        !send_ids(pg, &(struct id_counts){ .journals = wants->journals, .trades = wants->trades }, &loaded.ids, e) ||
        !pg_wait(pg, e))
        return false;
    fill_accounts(booking->ledger, loaded.accounts);
    for (size_t row = 0; row < pg_rows(loaded.named); row++) {
        struct order *order = arena_alloc(arena, sizeof *order);
        store_order_from_row(loaded.named, row, arena, order);
        *table_slot(booking->orders, &order->id, sizeof order->id) = order;
    }
    fill_progress(arena, loaded.markets, ret_progress);
    const int64_t *journals = read_ids(arena, loaded.ids, ID_JOURNAL, wants->journals);
    ledger_set_ids(booking->ledger, journals, wants->journals, wants->entries);
    booking->trade_ids = read_ids(arena, loaded.ids, ID_TRADE, wants->trades);
    booking->ledger->locked_at_us = pg_get_int64(loaded.ids, 0, ID_CLOCK);
    booking->trade_max = wants->trades;
    booking->trades = arena_alloc(arena, (wants->trades + 1) * sizeof *booking->trades);
    return true;
}

static bool save_trades(struct pg *pg, const struct booking *booking, struct error *e)
{
    struct arena *arena = booking->arena;
    const struct trade *trades = booking->trades;
    size_t n = booking->trade_count;
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, trades[i].market_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].trade_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].price_ticks), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].quantity_lots), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)trades[i].taker_side), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].maker_order_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].taker_order_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)trades[i].maker_user_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)trades[i].taker_user_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].maker_fee), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].taker_fee), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, trades[i].executed_at_us), n);
    return pg_send(pg, &sql_trades_insert, NULL, e);
}

static bool save_orders(struct pg *pg, struct arena *arena, struct order *const *orders, size_t n, struct error *e)
{
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->filled_lots), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->held_minor), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->status), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, orders[i]->reason), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->updated_at_us), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->price_ticks), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->quantity_lots), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)orders[i]->amend.status), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, orders[i]->amend.hold_minor), n);
    return pg_send(pg, &sql_orders_save, NULL, e);
}

bool store_save_postings(struct pg *pg, const struct booking *booking, struct order *const *orders, size_t order_count,
    struct market_progress *const *progress, size_t progress_count, int64_t now_us, struct error *e)
{
    struct arena *arena = booking->arena;
    size_t n = progress_count;
    if (!save_ledger(pg, booking->ledger, now_us, e) || !save_orders(pg, arena, orders, order_count, e) ||
        !save_trades(pg, booking, e))
        return false;
    if (n == 0)
        return true;
    pg_arg_int32s(pg, COLUMN(int32_t, n, progress[i]->market_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, progress[i]->last_posting_seq), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, progress[i]->last_seq), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, progress[i]->last_trade_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, progress[i]->last_price_ticks), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, progress[i]->dead_posting_seq), n);
    return pg_send(pg, &sql_market_progress_save, NULL, e);
}
