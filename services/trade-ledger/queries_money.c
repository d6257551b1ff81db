/* HTTP in, reads only: accounts and assets. */
#include "http.h"

#include "../chassis/service.h"
#include "reading.h"
#include "requests.h"
#include "sql.h"
#include "store.h"
#include "views.h"

#include <string.h>

enum { ACCOUNTS_DEFAULT = 100, ACCOUNTS_MAX = 500, NAME_MAX_BYTES = 32 };

static json_t *transfer_row(
    const struct pg_result *rows, size_t row, const struct markets *markets, struct arena *arena, int64_t *ret_id)
{
    struct pending_transfer transfer;
    store_pending_from_row(rows, row, arena, &transfer);
    *ret_id = transfer.id;
    return view_pending(&transfer, asset_by_id(markets, transfer.asset_id), (uint64_t)pg_get_int64(rows, row, 11),
        (uint64_t)pg_get_int64(rows, row, 12), NULL);
}

bool get_transfer(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    MARKETS_REF(markets);
    uint64_t id, user_id = request->claims.user_id;
    int64_t last_id;
    (void)outbox;
    if (!parse_id(request->params[0], "transfer_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "transfer-not-found", "transfer_id", "there is no such transfer");
    pg_arg_int64(pg, (int64_t)id);
    if (!pg_query(pg, &sql_transfer_get, &rows, e))
        return false;
    bool mine = pg_rows(rows) > 0 &&
                ((uint64_t)pg_get_int64(rows, 0, 11) == user_id || (uint64_t)pg_get_int64(rows, 0, 12) == user_id);
    if (pg_rows(rows) == 0 || (!mine && !claims_operator(&request->claims)))
        return error_field(e, ERROR_NOT_FOUND, "transfer-not-found", "transfer_id", "there is no such transfer");
    reply->json = transfer_row(rows, 0, markets.set, arena, &last_id);
    return true;
}

/* *ret 0 if absent. */
static bool name_from_query(const struct http_request *request, const char *field,
    bool (*parse)(const char *name, int *ret), int *ret, struct error *e)
{
    char name[NAME_MAX_BYTES];
    *ret = 0;
    if (!strstr(request->query, field))
        return true;
    return (query_get(request->query, field, name, sizeof name) && parse(name, ret)) ||
           error_field(e, ERROR_INVALID, "unknown-value", field, "%s has an unknown value", field);
}

bool get_transfers(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    MARKETS_REF(markets);
    struct page page;
    int status;
    int64_t last_id = 0;
    (void)outbox;
    if (!page_from_query(request, "transfers", &page, e) ||
        !name_from_query(request, "status", pending_status_parse, &status, e))
        return false;
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int64(pg, page.before);
    pg_arg_int32(pg, status);
    pg_arg_int64(pg, page.limit);
    if (!pg_query(pg, &sql_pending_list, &rows, e))
        return false;
    json_t *list = json_array();
    for (size_t i = 0; i < pg_rows(rows); i++)
        json_array_append_new(list, transfer_row(rows, i, markets.set, arena, &last_id));
    reply_page(reply, "transfers", list, &page, last_id);
    return true;
}

static struct markets_cache *cache(void)
{
    struct trade_ledger *ledger = service_state();
    return ledger->markets;
}

static json_t *account_rows(const struct pg_result *rows, int64_t *ret_last_id)
{
    const struct markets *markets = markets_get(cache());
    json_t *list = json_array();
    *ret_last_id = 0;
    for (size_t i = 0; i < pg_rows(rows); i++) {
        struct account account;
        store_account_from_row(rows, i, &account);
        const struct asset *asset = asset_by_id(markets, account.asset_id);
        *ret_last_id = account.id;
        if (asset)
            json_array_append_new(list, view_account(&account, asset));
    }
    markets_put(cache(), markets);
    return list;
}

bool get_accounts(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    int64_t last_id;
    (void)outbox;
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    if (!pg_query(pg, &sql_accounts_own, &rows, e))
        return false;
    reply->json = json_pack("{s:o}", "accounts", account_rows(rows, &last_id));
    return true;
}

static struct adjustment *adjustment_from(const struct pg_result *rows, size_t row, struct arena *arena)
{
    struct adjustment *adjustment = arena_alloc(arena, sizeof *adjustment);
    store_adjustment_from_row(rows, row, arena, adjustment);
    adjustment->decided_by = (uint64_t)pg_get_int64(rows, row, 9);
    adjustment->reason = pg_is_null(rows, row, 10) ? NULL : arena_strdup(arena, pg_get_text(rows, row, 10));
    adjustment->journal_id = pg_get_int64(rows, row, 11);
    return adjustment;
}

/* Rows of one adjustment follow each other. */
static json_t *adjustment_rows(
    const struct pg_result *rows, const struct markets *markets, struct arena *arena, int64_t *ret_last_id)
{
    json_t *list = json_array();
    *ret_last_id = 0;
    for (size_t row = 0; row < pg_rows(rows);) {
        struct adjustment *adjustment = adjustment_from(rows, row, arena);
        struct account *accounts = arena_alloc(arena, LEDGER_LEGS_MAX * sizeof *accounts);
        int64_t created_us = pg_get_int64(rows, row, 12), decided_us = pg_get_int64(rows, row, 13);
        for (; row < pg_rows(rows) && pg_get_int64(rows, row, 0) == adjustment->id; row++) {
            struct account *account = &accounts[adjustment->leg_count];
            *account =
                (struct account){ .id = pg_get_int64(rows, row, 5), .asset_id = (int32_t)pg_get_int64(rows, row, 8) };
            adjustment->legs[adjustment->leg_count++] = (struct leg){ account, pg_get_int64(rows, row, 6), 0 };
        }
        json_t *json = view_adjustment(markets, adjustment);
        json_object_set_new(json, "created_at", view_time(created_us));
        if (decided_us)
            json_object_set_new(json, "decided_at", view_time(decided_us));
        json_array_append_new(list, json);
        *ret_last_id = adjustment->id;
    }
    return list;
}

static bool no_such_adjustment(struct error *e)
{
    return error_field(e, ERROR_NOT_FOUND, "adjustment-not-found", "adjustment_id", "there is no such adjustment");
}

bool get_adjustments(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    MARKETS_REF(markets);
    struct page page;
    uint64_t id = 0;
    int status;
    int64_t last_id;
    (void)outbox;
    if (!claims_operator(&request->claims))
        return error_field(e, ERROR_DENIED, "role-needed", "", "this needs the role of an operator");
    if (request->params[0] && (!parse_id(request->params[0], "adjustment_id", &id, e) || id > INT64_MAX))
        return no_such_adjustment(e);
    if (!page_from_query(request, "adjustments", &page, e) ||
        !name_from_query(request, "status", adjustment_status_parse, &status, e))
        return false;
    pg_arg_int64(pg, page.before);
    pg_arg_int32(pg, status);
    pg_arg_int64(pg, page.limit);
    pg_arg_int64(pg, (int64_t)id);
    if (!pg_query(pg, &sql_adjustments_list, &rows, e))
        return false;
    if (id != 0 && pg_rows(rows) == 0)
        return no_such_adjustment(e);
    json_t *list = adjustment_rows(rows, markets.set, arena, &last_id);
    if (id == 0) {
        reply_page(reply, "adjustments", list, &page, last_id);
        return true;
    }
    reply->json = json_incref(json_array_get(list, 0));
    json_decref(list);
    return true;
}

struct account_filter {
    int64_t owner_id, after, limit;
    int kind, status;
    int32_t asset_id;
};

static bool filter_from_query(const struct http_request *request, struct account_filter *ret, struct error *e)
{
    char code[ASSET_CODE_MAX];
    ret->asset_id = 0;
    if (query_get(request->query, "asset", code, sizeof code)) {
        const struct markets *markets = markets_get(cache());
        const struct asset *asset = asset_by_code(markets, code);
        ret->asset_id = asset ? asset->id : -1;
        markets_put(cache(), markets);
    }
    return query_int(request->query, "user_id", -1, 0, INT64_MAX, &ret->owner_id, e) &&
           query_int(request->query, "after", 0, 0, INT64_MAX, &ret->after, e) &&
           query_int(request->query, "limit", ACCOUNTS_DEFAULT, 1, ACCOUNTS_MAX, &ret->limit, e) &&
           name_from_query(request, "kind", account_kind_parse, &ret->kind, e) &&
           name_from_query(request, "status", account_status_parse, &ret->status, e);
}

bool get_admin_accounts(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct account_filter filter;
    int64_t last_id;
    (void)outbox;
    if (!claims_operator(&request->claims))
        return error_field(e, ERROR_DENIED, "role-needed", "", "this needs the role of an operator");
    if (!filter_from_query(request, &filter, e))
        return false;
    pg_arg_int64(pg, filter.owner_id);
    pg_arg_int32(pg, filter.kind);
    pg_arg_int32(pg, filter.asset_id);
    pg_arg_int32(pg, filter.status);
    pg_arg_int64(pg, filter.after);
    pg_arg_int64(pg, filter.limit);
    if (!pg_query(pg, &sql_accounts_list, &rows, e))
        return false;
    json_t *list = account_rows(rows, &last_id);
    bool full = json_array_size(list) >= (size_t)filter.limit;
    reply->json =
        json_pack("{s:o, s:o}", "accounts", list, "next_after", full ? view_id((uint64_t)last_id) : json_null());
    return true;
}

bool get_assets(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    const struct markets *markets = markets_get(cache());
    json_t *list = json_array();
    (void)pg, (void)outbox, (void)request, (void)e;
    for (size_t i = 0; i < markets->asset_count; i++)
        json_array_append_new(list, view_asset(&markets->assets[i]));
    markets_put(cache(), markets);
    reply->json = json_pack("{s:o}", "assets", list);
    return true;
}
