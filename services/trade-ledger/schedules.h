/* schedules.h -- scheduled transfers: the requests about them, and making those that are due. */
#pragma once

#include "../chassis/http.h"
#include "commands.h"

/* One transaction's worth of what is due: the transfer and what becomes of its schedule together, each occurrence once
 * (its key in the inbox names it). *ret_done: attempts. Runs in the caller's transaction. */
MUST_CHECK bool schedules_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us,
    size_t *ret_done, struct error *e);

bool post_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_schedules(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool pause_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool resume_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool cancel_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
