/* views.h -- nouns as JSON: amounts, prices and quantities are decimal strings, ids are strings, times RFC 3339. Pure.
 * Each returns a new reference. */
#pragma once

#include "batch.h"

#include <jansson.h>

json_t *view_order(const struct order *order, const struct market *market);
json_t *view_balance(const struct asset *asset, int64_t available, int64_t held); /* asset, available, held, total */
json_t *view_topup(const struct topup *topup, const struct asset *asset, const struct account *account, int64_t now_us);
json_t *view_amend(const struct order *order, const struct market *market);
json_t *view_cancel(const struct order *order, const struct market *market);
json_t *view_market(const struct market *market, int64_t last_price_ticks);
json_t *view_account(const struct account *account, const struct asset *asset); /* with its balance */
json_t *view_asset(const struct asset *asset);
/* Text in the arena. both_sides: tell also what the recipient has now. */
char *view_transfer(struct arena *arena, const struct ledger *ledger, const struct journal *journal,
    const struct asset *asset, bool both_sides, int64_t now_us);
/* The parties by their owners (0: the house); from: the sender's account as it is now, NULL: not told. */
json_t *view_pending(const struct pending_transfer *pending, const struct asset *asset, uint64_t from_owner,
    uint64_t to_owner, const struct account *from);
json_t *view_adjustment(const struct markets *markets, const struct adjustment *adjustment);
json_t *view_journal(
    const struct markets *markets, const struct ledger *ledger, const struct journal *journal, int64_t now_us);
json_t *view_time(int64_t time_us);
json_t *view_day(int32_t day); /* since 1970-01-01: "2026-01-31" */
json_t *view_id(uint64_t id);
json_t *view_price(const struct market *market, int64_t price_ticks);
json_t *view_quantity(const struct market *market, int64_t quantity_lots);
json_t *view_amount(const struct asset *asset, int64_t minor);

char *view_text(json_t *json, struct arena *arena); /* compact text in the arena; takes the reference */

const char *side_name(enum side side);
const char *order_status_name(int status);
bool order_status_parse(const char *name, int *ret_status);
const char *journal_kind_name(int kind);
const char *account_kind_name(int kind);
bool account_kind_parse(const char *name, int *ret_kind);
bool adjustment_status_parse(const char *name, int *ret_status);
bool pending_status_parse(const char *name, int *ret_status);
bool account_status_parse(const char *name, int *ret_status);
