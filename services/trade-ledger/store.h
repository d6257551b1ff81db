/* store.h -- rows ⇄ structs. Loads pay one round trip; saves are queued and travel with the commit. */
#pragma once

#include "batch.h"
#include "posting_rules.h"

/* Makes the accounts that are to be made, locks and reads the rest, in the order that commands.h promises. */
MUST_CHECK bool store_load(struct pg *pg, struct batch *batch, const struct wants *wants, struct error *e);
MUST_CHECK bool store_save(struct pg *pg, const struct batch *batch, struct error *e);

/* The postings' side: orders by id, the accounts of their users in their markets' assets, and the progress of markets.
 */
struct posting_wants {
    const int64_t *order_ids;
    size_t order_count;
    const int64_t *trading_order_ids; /* of these the accounts are made too */
    size_t trading_order_count;
    const int32_t *market_ids;
    size_t market_count;
    size_t journals, entries, trades; /* ids */
};
MUST_CHECK bool store_load_postings(struct pg *pg, struct booking *booking, const struct posting_wants *wants,
    struct table *ret_progress, struct error *e); /* int32_t market id → struct market_progress */
MUST_CHECK bool store_save_postings(struct pg *pg, const struct booking *booking, struct order *const *orders,
    size_t order_count, struct market_progress *const *progress, size_t progress_count, int64_t now_us,
    struct error *e);

/* Rows of account_changes. Queued. */
MUST_CHECK bool store_account_changes(struct pg *pg, struct arena *arena, const struct account_change *changes,
    size_t count, int64_t now_us, struct error *e);

/* One row of accounts, by the columns of accounts_lock.sql and its like. */
void store_account_from_row(const struct pg_result *rows, size_t row, struct account *ret);

/* One row of pending_transfers, by the columns of pending_lock.sql and its like. */
void store_pending_from_row(
    const struct pg_result *rows, size_t row, struct arena *arena, struct pending_transfer *ret);

/* One row of adjustments without its leg, by the columns of adjustments_lock.sql and its like. */
void store_adjustment_from_row(const struct pg_result *rows, size_t row, struct arena *arena, struct adjustment *ret);

/* One row of orders, by the columns of sql/order_columns as all order queries list them. */
void store_order_from_row(const struct pg_result *rows, size_t row, struct arena *arena, struct order *ret);
