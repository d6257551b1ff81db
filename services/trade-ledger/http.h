/* http.h -- HTTP's side. Handlers for routes[] of main.c; they need no transport, so tests call them directly. */
#pragma once

#include "../chassis/http.h"

/* All that changes something: one lane, so that all that waits is one batch. */
bool http_commands(struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e);

/* Reads: one consistent statement each (queries.c; money_reads.c). Lists are newest first, in pages (reading.h). */
bool get_order(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_order_fills(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_orders(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_portfolio(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_portfolio_of(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e);
bool get_trades(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_entries(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
/* Those of two phases, to or from oneself; one of either kind. */
bool get_transfers(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_transfer(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_adjustments(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e); /* for operators; of one, with :id */
bool get_accounts(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_admin_accounts(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e); /* for operators: anyone's, oldest first, ids above `after` */
bool get_assets(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_markets(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_account_balance(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e);
bool get_account_statement(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e);
bool get_positions(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool post_account_reconcile(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e);
bool get_interest(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
