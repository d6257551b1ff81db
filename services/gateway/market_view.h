/* market_view.h -- the gateway's read model of the public market data: each market's configuration, level-2 book and
 * last trades. Pure memory, no I/O: events go in (one consumer thread), JSON comes out (worker threads); a mutex
 * inside.
 *
 * A book follows BookChanged events by their gapless book_seq, and is held against their checksum. When one is missing
 * (at start, after a gap) or the checksum differs the book is not current: market_view_book() says so, the caller
 * fetches the engine's snapshot and gives it to market_view_load_book(). */
#pragma once

#include <event_bus/event.h>
#include <jansson.h>

enum {
    MARKET_VIEW_MARKETS_MAX = 1024,
    MARKET_VIEW_TRADES_MAX = 1000,   /* kept per market */
    MARKET_VIEW_LEVELS_MAX = 100000, /* per side; more is not a book but an attack: the book stops being current */
};

struct market_view;

struct market_view *market_view_new(void);
void market_view_free(struct market_view *view);
DEFINE_CLEANUP(struct market_view *, market_view_free)

/* Applies MarketConfigured, BookChanged or TradeExecuted; any other type is ERROR_INVALID, as is what does not decode.
 */
MUST_CHECK bool market_view_apply(struct market_view *view, const struct event *event, struct error *e);

/* Replaces the book of `symbol` by the engine's snapshot
 * {"book_seq":"N","bids":[{"price_ticks":"…","quantity_lots":"…","orders":n},…],"asks":[…]}, unless the book is already
 * at N or beyond. */
MUST_CHECK bool market_view_load_book(
    struct market_view *view, const char *symbol, const json_t *snapshot, struct error *e);

/* The caller's references. Errors: NOT_FOUND (unknown symbol, problem unknown-symbol); for the book TRANSIENT with
 * problem book-not-current when a snapshot is needed. Prices and quantities are decimal strings. */
json_t *market_view_book(struct market_view *view, const char *symbol, size_t depth, struct error *e);
json_t *market_view_trades(
    struct market_view *view, const char *symbol, size_t limit, struct error *e); /* newest first */
json_t *market_view_markets(struct market_view *view);                            /* array, by symbol */
