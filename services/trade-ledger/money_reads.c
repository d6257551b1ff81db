/* Reads of money: balances as they are and as they were, entries. One snapshot each. */
#include "../chassis/decimal.h"
#include "http.h"
#include "reading.h"
#include "sql.h"
#include "views.h"

#include <string.h>

enum { ENTRIES_LOOKED_AT_MAX = 20000 }; /* for one page that is searched by amount, which no index knows */

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

/* ---- Balances ---- */

static bool as_of_from_query(const struct http_request *request, int64_t *ret_us, bool *ret_asked, struct error *e)
{
    *ret_asked = query_has(request->query, "as_of");
    return time_from_query(request, "as_of", now_us(), ret_us, e);
}

static bool reply_portfolio(
    struct pg *pg, const struct http_request *request, uint64_t user_id, struct http_reply *reply, struct error *e)
{
    bool past;
    int64_t as_of_us;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!as_of_from_query(request, &as_of_us, &past, e))
        return false;
    pg_arg_int64(pg, (int64_t)user_id);
    if (past)
        pg_arg_int64(pg, as_of_us);
    if (!pg_query(pg, past ? &sql_portfolio_as_of : &sql_portfolio, &rows, e))
        return false;
    json_t *balances = json_array();
    for (size_t i = 0; i < pg_rows(rows); i++) {
        const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(rows, i, 0));
        if (!asset)
            continue;
        json_t *balance = view_balance(asset, pg_get_int64(rows, i, 1), pg_get_int64(rows, i, 2));
        set(balance, "account_id", view_id((uint64_t)pg_get_int64(rows, i, 3)));
        json_array_append_new(balances, balance);
    }
    reply->json = json_object();
    set(reply->json, "user_id", view_id(user_id));
    set(reply->json, "balances", balances);
    set(reply->json, "as_of", view_time(as_of_us));
    return true;
}

bool get_portfolio(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    return reply_portfolio(pg, request, request->claims.user_id, reply, e);
}

/* A service may ask for anyone's, a user for his own. */
bool get_portfolio_of(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    uint64_t user_id;
    bool is_service = request->claims.user_id == 0;
    if (!parse_id(request->params[0], "user_id", &user_id, e))
        return false;
    if (user_id > INT64_MAX || (!is_service && user_id != request->claims.user_id))
        return error_field(e, ERROR_NOT_FOUND, "not-found", "user_id", "there is no such portfolio");
    return reply_portfolio(pg, request, user_id, reply, e);
}

/* Held money is held for open orders or for something else: the two are read in the balance's own snapshot. */
static json_t *pending_json(const struct asset *asset, int64_t held, int64_t orders)
{
    json_t *json = json_object();
    set(json, "orders", view_amount(asset, orders));
    set(json, "other", view_amount(asset, held - orders));
    return json;
}

bool get_account_balance(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    bool past;
    int64_t as_of_us;
    struct account_name name;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!account_from_path(request, markets.set, &name, e) || !as_of_from_query(request, &as_of_us, &past, e))
        return false;
    pg_arg_int64(pg, name.account_id);
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int32(pg, name.asset_id);
    if (past)
        pg_arg_int64(pg, as_of_us);
    if (!pg_query(pg, past ? &sql_account_balance_as_of : &sql_account_balance, &rows, e))
        return false;
    if (pg_rows(rows) == 0)
        return account_missing(e);
    const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(rows, 0, 3));
    if (!asset || !account_may_read(request, (uint64_t)pg_get_int64(rows, 0, 1), e))
        return asset ? false : account_missing(e);
    int64_t held = pg_get_int64(rows, 0, 5);
    json_t *json = view_balance(asset, pg_get_int64(rows, 0, 4), held);
    set(json, "account_id", view_id((uint64_t)pg_get_int64(rows, 0, 0)));
    set(json, "kind", json_string(account_kind_name((int)pg_get_int64(rows, 0, 2))));
    set(json, "pending", past ? json_null() : pending_json(asset, held, pg_get_int64(rows, 0, 6)));
    set(json, "entry_id", pg_is_null(rows, 0, 7) ? json_null() : view_id((uint64_t)pg_get_int64(rows, 0, 7)));
    set(json, "as_of", view_time(as_of_us));
    reply->json = json;
    return true;
}

/* ---- Entries ---- */

static json_t *entry_from_row(const struct pg_result *rows, size_t row, const struct asset *asset)
{
    json_t *json = json_object();
    set(json, "entry_id", view_id((uint64_t)pg_get_int64(rows, row, 2)));
    set(json, "journal_id", view_id((uint64_t)pg_get_int64(rows, row, 3)));
    set(json, "account_id", view_id((uint64_t)pg_get_int64(rows, row, 4)));
    set(json, "asset", json_string(asset->code));
    set(json, "kind", json_string(journal_kind_name((int)pg_get_int64(rows, row, 10))));
    set(json, "reference", json_string(pg_get_text(rows, row, 11)));
    set(json, "available_delta", view_amount(asset, pg_get_int64(rows, row, 6)));
    set(json, "held_delta", view_amount(asset, pg_get_int64(rows, row, 7)));
    set(json, "available", view_amount(asset, pg_get_int64(rows, row, 8)));
    set(json, "held", view_amount(asset, pg_get_int64(rows, row, 9)));
    set(json, "posted_at", view_time(pg_get_int64(rows, row, 12)));
    return json;
}

struct search {
    struct page page;
    int64_t account_id; /* 0: all */
    int32_t asset_id;   /* 0: all */
    int64_t from_us, to_us, min_minor, max_minor;
    bool by_amount, by_reference;
    char reference[REFERENCE_MAX + 1];
};

static bool amount_from_query(const struct http_request *request, const char *name, const struct asset *asset,
    int64_t fallback, int64_t *ret_minor, struct error *e)
{
    char text[DECIMAL_FIELD_MAX];
    *ret_minor = fallback;
    if (!query_has(request->query, name))
        return true;
    return query_get(request->query, name, text, sizeof text)
               ? decimal_parse(text, asset->scale, name, ret_minor, e)
               : error_field(e, ERROR_INVALID, "invalid-amount", name, "%s must be an amount", name);
}

/* Amounts are read by the asset's scale, so they need one. */
static bool amounts_from_query(
    const struct http_request *request, const struct markets *markets, struct search *search, struct error *e)
{
    search->min_minor = 0;
    search->max_minor = INT64_MAX;
    search->by_amount = query_has(request->query, "min_amount") || query_has(request->query, "max_amount");
    if (!search->by_amount)
        return true;
    const struct asset *asset = asset_by_id(markets, search->asset_id);
    if (!asset)
        return error_field(e, ERROR_INVALID, "missing-field", "asset", "amounts are searched for in one asset");
    return amount_from_query(request, "min_amount", asset, 0, &search->min_minor, e) &&
           amount_from_query(request, "max_amount", asset, INT64_MAX, &search->max_minor, e);
}

static bool search_from_query(
    const struct http_request *request, const struct markets *markets, struct search *ret, struct error *e)
{
    *ret = (struct search){ .by_reference = query_has(request->query, "reference") };
    if (!page_from_query(request, "entries", &ret->page, e) || !asset_from_query(request, markets, &ret->asset_id, e) ||
        !query_int(request->query, "account", 0, 1, INT64_MAX, &ret->account_id, e) ||
        !time_from_query(request, "from", 0, &ret->from_us, e) ||
        !time_from_query(request, "to", time_max_us, &ret->to_us, e) || !amounts_from_query(request, markets, ret, e))
        return false;
    return !ret->by_reference || query_get(request->query, "reference", ret->reference, sizeof ret->reference) ||
           error_field(
               e, ERROR_INVALID, "unknown-value", "reference", "a reference has at most %d bytes", (int)REFERENCE_MAX);
}

static bool search_run(
    struct pg *pg, const struct search *search, uint64_t user_id, struct pg_result **ret_rows, struct error *e)
{
    pg_arg_int64(pg, (int64_t)user_id);
    pg_arg_int64(pg, search->page.before);
    pg_arg_int64(pg, search->account_id);
    pg_arg_int32(pg, search->asset_id);
    pg_arg_int64(pg, search->from_us);
    pg_arg_int64(pg, search->to_us);
    pg_arg_int64(pg, search->min_minor);
    pg_arg_int64(pg, search->max_minor);
    if (search->by_reference)
        pg_arg_text(pg, search->reference);
    else
        pg_arg_int64(pg, search->by_amount ? ENTRIES_LOOKED_AT_MAX : search->page.limit);
    pg_arg_int64(pg, search->page.limit);
    return pg_query(pg, search->by_reference ? &sql_entries_by_reference : &sql_entries_search, ret_rows, e);
}

bool get_entries(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct search search;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!search_from_query(request, markets.set, &search, e) ||
        !search_run(pg, &search, request->claims.user_id, &rows, e))
        return false;
    json_t *list = json_array();
    int64_t last_id = 0;
    for (size_t i = 0; i < pg_rows(rows) && !pg_is_null(rows, i, 2); i++) {
        last_id = pg_get_int64(rows, i, 2);
        const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(rows, i, 5));
        json_array_append_new(list, entry_from_row(rows, i, asset));
    }
    if (search.by_amount && !search.by_reference && pg_get_int64(rows, 0, 0) >= ENTRIES_LOOKED_AT_MAX)
        search.page.continue_at = pg_get_int64(rows, 0, 1);
    reply_page(reply, "entries", list, &search.page, last_id);
    return true;
}

/* ---- Interest ---- */

bool get_interest(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    static const char *const day_counts[] = { "", "ACT/365", "ACT/360", "30/360", "ACT/ACT" };
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    if (!pg_query(pg, &sql_interest_list, &rows, e))
        return false;
    json_t *list = json_array();
    for (size_t i = 0; i < pg_rows(rows); i++) {
        const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(rows, i, 0));
        int64_t until = pg_get_int64(rows, i, 5);
        char rate[DECIMAL_TEXT_MAX];
        if (!asset)
            continue;
        json_t *json = json_object();
        set(json, "asset", json_string(asset->code));
        set(json, "account_id", view_id((uint64_t)pg_get_int64(rows, i, 1)));
        set(json, "annual_rate_percent", json_string(decimal_format(pg_get_int64(rows, i, 2), 7, 0, rate)));
        set(json, "day_count", json_string(day_counts[pg_get_int64(rows, i, 3)]));
        set(json, "accrued", view_amount(asset, pg_get_int64(rows, i, 4)));
        set(json, "accrued_until", until >= 0 ? view_day((int32_t)until) : json_null());
        json_array_append_new(list, json);
    }
    reply->json = json_object();
    set(reply->json, "interest", list);
    return true;
}
