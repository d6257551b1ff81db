/* schedules.h -- scheduled transfers: the requests about them, and making those that are due. */
#pragma once

#include "../chassis/http.h"
#include "commands.h"
#include "schedule.h"

/* A scheduled transfer, as all its queries list it. */
struct scheduled {
    int64_t id;
    uint64_t user_id, to_user_id;
    const struct asset *asset;
    int64_t amount, created_us;
    const char *note; /* borrowed from the rows */
    struct schedule schedule;
};

/* One transaction's worth of what is due: the transfer and what becomes of its schedule together, each occurrence once
 * (its key in the inbox names it). *ret_done: attempts. Runs in the caller's transaction. */
MUST_CHECK bool schedules_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us,
    size_t *ret_done, struct error *e);

bool post_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool get_schedules(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
/* For operators: everyone's that fail. */
bool get_admin_schedules(struct pg *pg, struct outbox *outbox, const struct http_request *request,
    struct http_reply *reply, struct error *e);
bool get_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool pause_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool resume_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
bool cancel_schedule(struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply,
    struct error *e);
