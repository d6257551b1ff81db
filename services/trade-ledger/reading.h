/* reading.h -- what the reads have in common: the query string, pages, whose money it is.
 *
 * A page is asked for by `limit` and `cursor`. A cursor is opaque: it names the list, the filters and the last id that
 * was seen, with a checksum, so that one that was cut, invented or carried over to other filters is refused instead of
 * giving a wrong page. Pages go by id: what is inserted meanwhile is newer, and neither shifts nor doubles what
 * follows. */
#pragma once

#include "../chassis/http.h"
#include "batch.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 500, CURSOR_TEXT_MAX = 40 };

struct trade_ledger *reading_service(void);

/* The set of markets for one read; gives it back at the end of the scope. */
struct markets_ref {
    const struct markets *set;
};
void markets_ref_release(struct markets_ref *ref);
#define MARKETS_REF(name)                                                                                              \
    __attribute__((cleanup(markets_ref_release))) struct markets_ref name = { markets_get(reading_service()->markets) }

struct page {
    int64_t limit;
    int64_t before;      /* only ids below */
    uint64_t list;       /* fingerprint of the list, its user and its filters */
    int64_t continue_at; /* 0: decided by reply_page(); else there is more below this id whatever the page holds */
};

/* `limit`, and `cursor` or `before` (an id). Errors: INVALID: invalid-cursor, or as query_int(). */
MUST_CHECK bool page_from_query(
    const struct http_request *request, const char *list, struct page *ret, struct error *e);

/* {"<name>": [...], "next_before": "17" | null, "next_cursor": "..." | null}: more may follow when the page is full.
 * Takes the list. */
void reply_page(struct http_reply *reply, const char *name, json_t *list, const struct page *page, int64_t last_id);

/* Pure: what a cursor says. */
void cursor_format(uint64_t list, int64_t last_id, char ret_text[CURSOR_TEXT_MAX]);
bool cursor_parse(const char *text, uint64_t list, int64_t *ret_last_id);

bool query_has(const char *query, const char *name);
MUST_CHECK bool time_from_query(
    const struct http_request *request, const char *name, int64_t fallback_us, int64_t *ret_us, struct error *e);
/* *ret_id 0: not asked for. Errors: REFUSED. */
MUST_CHECK bool market_from_query(
    const struct http_request *request, const struct markets *markets, int32_t *ret_market_id, struct error *e);
MUST_CHECK bool asset_from_query(
    const struct http_request *request, const struct markets *markets, int32_t *ret_asset_id, struct error *e);

/* A path's :id names an account by its id, or one's own by its asset's code. */
struct account_name {
    int64_t account_id; /* 0: the user's own in … */
    int32_t asset_id;
};
MUST_CHECK bool account_from_path(
    const struct http_request *request, const struct markets *markets, struct account_name *ret, struct error *e);
/* A user reads his own accounts, a service and an operator all. Errors: NOT_FOUND, as for one that does not exist. */
MUST_CHECK bool account_may_read(const struct http_request *request, uint64_t owner_id, struct error *e);
bool account_missing(struct error *e); /* always false */
