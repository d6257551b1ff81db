#include "reading.h"

#include "../chassis/base64url.h"
#include "../chassis/service.h"
#include "requests.h"
#include "views.h"

#include <event_bus/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct trade_ledger *reading_service(void)
{
    return service_state();
}

void markets_ref_release(struct markets_ref *ref)
{
    if (ref->set)
        markets_put(reading_service()->markets, ref->set);
}

/* ---- Cursors ---- */

static uint64_t fnv(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static const uint64_t fnv_start = 0xcbf29ce484222325u;

static uint64_t cursor_check(uint64_t list, int64_t last_id)
{
    return fnv(fnv(fnv_start, &list, sizeof list), &last_id, sizeof last_id);
}

void cursor_format(uint64_t list, int64_t last_id, char ret_text[CURSOR_TEXT_MAX])
{
    int64_t parts[2] = { last_id, (int64_t)cursor_check(list, last_id) };
    static_assert(BASE64URL_SIZE(sizeof parts) <= CURSOR_TEXT_MAX, "a cursor fits");
    base64url_encode(parts, sizeof parts, ret_text);
}

bool cursor_parse(const char *text, uint64_t list, int64_t *ret_last_id)
{
    int64_t parts[2];
    size_t len;
    if (!base64url_decode(text, strlen(text), (uint8_t *)parts, sizeof parts, &len) || len != sizeof parts ||
        parts[0] <= 0 || (uint64_t)parts[1] != cursor_check(list, parts[0]))
        return false;
    *ret_last_id = parts[0];
    return true;
}

/* Of all that decides what the list holds: its name, whose it is, the path's parameters and the query but for the page.
 */
static uint64_t fingerprint(const struct http_request *request, const char *list)
{
    uint64_t hash = fnv(fnv_start, list, strlen(list) + 1);
    hash = fnv(hash, &request->claims.user_id, sizeof request->claims.user_id);
    for (size_t i = 0; i < HTTP_PARAMS_MAX && request->params[i]; i++)
        hash = fnv(hash, request->params[i], strlen(request->params[i]) + 1);
    for (const char *at = request->query; *at;) {
        size_t len = strcspn(at, "&");
        bool paging = strncmp(at, "cursor=", 7) == 0 || strncmp(at, "limit=", 6) == 0 || strncmp(at, "before=", 7) == 0;
        if (!paging && len > 0)
            hash = fnv(fnv(hash, at, len), "&", 1);
        at += len + (at[len] == '&');
    }
    return hash;
}

bool page_from_query(const struct http_request *request, const char *list, struct page *ret, struct error *e)
{
    char cursor[CURSOR_TEXT_MAX];
    *ret = (struct page){ .list = fingerprint(request, list) };
    if (!query_int(request->query, "limit", PAGE_DEFAULT, 1, PAGE_MAX, &ret->limit, e) ||
        !query_int(request->query, "before", INT64_MAX, 1, INT64_MAX, &ret->before, e))
        return false;
    if (!query_has(request->query, "cursor"))
        return true;
    if (query_has(request->query, "before"))
        return error_field(e, ERROR_INVALID, "invalid-cursor", "cursor", "a page begins at a cursor or before an id");
    return (query_get(request->query, "cursor", cursor, sizeof cursor) &&
               cursor_parse(cursor, ret->list, &ret->before)) ||
           error_field(e, ERROR_INVALID, "invalid-cursor", "cursor",
               "this is no cursor of this list with these filters; begin without one");
}

void reply_page(struct http_reply *reply, const char *name, json_t *list, const struct page *page, int64_t last_id)
{
    char cursor[CURSOR_TEXT_MAX];
    bool full = json_array_size(list) >= (size_t)page->limit;
    int64_t next = full ? last_id : page->continue_at;
    json_t *json = json_object();
    if (next > 0)
        cursor_format(page->list, next, cursor);
    json_object_set_new(json, name, list);
    json_object_set_new(json, "next_before", next > 0 ? view_id((uint64_t)next) : json_null());
    json_object_set_new(json, "next_cursor", next > 0 ? json_string(cursor) : json_null());
    reply->json = json;
}

/* ---- The query string ---- */

bool query_has(const char *query, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = query; *at; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            return true;
    }
    return false;
}

bool time_from_query(
    const struct http_request *request, const char *name, int64_t fallback_us, int64_t *ret_us, struct error *e)
{
    char text[EVENT_TIME_MAX + 8];
    *ret_us = fallback_us;
    if (!query_has(request->query, name))
        return true;
    return (query_get(request->query, name, text, sizeof text) && event_time_parse(text, ret_us)) ||
           error_field(e, ERROR_INVALID, "invalid-time", name, "%s must be a time as in RFC 3339", name);
}

bool market_from_query(
    const struct http_request *request, const struct markets *markets, int32_t *ret_market_id, struct error *e)
{
    char symbol[SYMBOL_MAX];
    *ret_market_id = 0;
    if (!query_has(request->query, "symbol"))
        return true;
    const struct market *market =
        query_get(request->query, "symbol", symbol, sizeof symbol) ? market_by_symbol(markets, symbol) : NULL;
    if (!market)
        return error_field(e, ERROR_REFUSED, "unknown-symbol", "symbol", "there is no such market");
    *ret_market_id = market->id;
    return true;
}

bool asset_from_query(
    const struct http_request *request, const struct markets *markets, int32_t *ret_asset_id, struct error *e)
{
    char code[ASSET_CODE_MAX];
    *ret_asset_id = 0;
    if (!query_has(request->query, "asset"))
        return true;
    const struct asset *asset =
        query_get(request->query, "asset", code, sizeof code) ? asset_by_code(markets, code) : NULL;
    if (!asset)
        return error_field(e, ERROR_REFUSED, "unknown-currency", "asset", "there is no such asset");
    *ret_asset_id = asset->id;
    return true;
}

/* ---- Accounts ---- */

bool account_missing(struct error *e)
{
    return error_field(e, ERROR_NOT_FOUND, "account-not-found", "account_id", "there is no such account");
}

bool account_from_path(
    const struct http_request *request, const struct markets *markets, struct account_name *ret, struct error *e)
{
    const char *text = request->params[0];
    const struct asset *asset = asset_by_code(markets, text);
    uint64_t id;
    *ret = (struct account_name){ 0 };
    if (asset && request->claims.user_id > 0) {
        ret->asset_id = asset->id;
        return true;
    }
    struct error unread = { 0 };
    if (!parse_id(text, "account_id", &id, &unread) || id > INT64_MAX)
        return account_missing(e);
    ret->account_id = (int64_t)id;
    return true;
}

bool account_may_read(const struct http_request *request, uint64_t owner_id, struct error *e)
{
    bool is_service = request->claims.user_id == 0;
    return is_service || claims_operator(&request->claims) || request->claims.user_id == owner_id || account_missing(e);
}
