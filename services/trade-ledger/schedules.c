#include "schedules.h"

#include "../chassis/decimal.h"
#include "../chassis/log.h"
#include "../chassis/metrics.h"
#include "events.h"
#include "reading.h"
#include "requests.h"
#include "sql.h"
#include "views.h"

#include <event_bus/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SCHEDULES_AT_ONCE = 200, RUNS_SHOWN = 50 };

static const char *const every_names[] = { "", "once", "day", "week", "month" };
static const char *const status_names[] = { "", "active", "paused", "cancelled", "finished", "failed", "suspended" };

static bool from_row(const struct markets *markets, const struct pg_result *rows, size_t row, struct scheduled *ret)
{
    *ret = (struct scheduled){
        .id = pg_get_int64(rows, row, 0),
        .user_id = (uint64_t)pg_get_int64(rows, row, 1),
        .to_user_id = (uint64_t)pg_get_int64(rows, row, 2),
        .asset = asset_by_id(markets, (int32_t)pg_get_int64(rows, row, 3)),
        .amount = pg_get_int64(rows, row, 4),
        .note = pg_get_text(rows, row, 5),
        .schedule = { .every = (enum schedule_every)pg_get_int64(rows, row, 6),
            .first_us = pg_get_int64(rows, row, 7),
            .occurrence = pg_get_int64(rows, row, 8),
            .next_us = pg_get_int64(rows, row, 9),
            .attempts = (int32_t)pg_get_int64(rows, row, 10),
            .status = (enum schedule_status)pg_get_int64(rows, row, 11),
            .failures = (int32_t)pg_get_int64(rows, row, 13) },
        .created_us = pg_get_int64(rows, row, 12),
    };
    return ret->asset != NULL;
}

/* ---- Making what is due ---- */

static void transfer_command(struct arena *arena, const struct scheduled *due, struct command *ret)
{
    char amount[DECIMAL_TEXT_MAX];
    *ret = (struct command){ .kind = COMMAND_TRANSFER,
        .user_id = due->user_id,
        .transfer = { .from = { .owner_id = due->user_id, .kind = ACCOUNT_USER },
            .to = { .owner_id = due->to_user_id, .kind = ACCOUNT_USER },
            .currency = arena_strdup(arena, due->asset->code),
            .amount = arena_strdup(arena, decimal_format(due->amount, due->asset->scale, 0, amount)),
            .note = due->note },
        .source = "schedule",
        .key = arena_printf(arena, "%" PRId64 ":%" PRId64, due->id, due->schedule.occurrence),
        .request_source = "schedule",
        .traceparent = "" };
    command_digest(ret, "schedule", (struct bytes){ ret->key, strlen(ret->key) });
}

#define COLUMN(type, count, expression)                                                                                \
    ({                                                                                                                 \
        type *column_ = arena_alloc(arena, ((count) + 1) * sizeof(type));                                              \
        for (size_t i = 0; i < (count); i++)                                                                           \
            column_[i] = (expression);                                                                                 \
        column_;                                                                                                       \
    })

static bool save(struct pg *pg, struct arena *arena, const struct scheduled *all, size_t n, struct error *e)
{
    pg_arg_int64s(pg, COLUMN(int64_t, n, all[i].id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, all[i].schedule.occurrence), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, all[i].schedule.next_us), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, all[i].schedule.attempts), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)all[i].schedule.status), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, all[i].schedule.failures), n);
    return pg_query(pg, &sql_schedules_save, NULL, e);
}

static bool save_runs(struct pg *pg, struct arena *arena, const struct scheduled *all, const struct command *commands,
    size_t n, int64_t now_us, struct error *e)
{
    pg_arg_int64s(pg, COLUMN(int64_t, n, all[i].id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, all[i].schedule.occurrence), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, all[i].schedule.attempts + 1), n);
    pg_arg_texts(
        pg, COLUMN(const char *, n, commands[i].error.kind == ERROR_NONE ? NULL : commands[i].error.problem), n);
    pg_arg_texts(pg, COLUMN(const char *, n, commands[i].error.message), n);
    pg_arg_int64(pg, now_us);
    return pg_send(pg, &sql_scheduled_runs_insert, NULL, e);
}

static void count(const char *outcome, size_t n)
{
    char label[32];
    snprintf(label, sizeof label, "outcome=\"%s\"", outcome);
    metric_add(metric_counter("ledger_scheduled_transfers_total", label, "Attempts at scheduled transfers"), n);
}

/* Its owner learns of it by the event and by its state, an operator by the log and the metric too. */
static void tell_failure(struct outbox *outbox, const struct scheduled *now, int64_t occurrence, int32_t attempt,
    const struct error *why, int64_t now_us)
{
    bool given_up = now->schedule.occurrence > occurrence;
    event_scheduled_transfer_failed(outbox, now, occurrence, attempt, why, now_us);
    log_warn("scheduled transfer %" PRId64 " of user %" PRIu64 " failed%s: %s", now->id, now->user_id,
        now->schedule.status == SCHEDULE_SUSPENDED ? " and is suspended"
        : given_up                                 ? " and is given up"
                                                   : "",
        why->message);
    count("failed", 1);
    count("given_up", given_up);
    count("suspended", now->schedule.status == SCHEDULE_SUSPENDED);
}

static bool make(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct scheduled *due, size_t n, int64_t now_us, struct error *e)
{
    struct command *commands = arena_alloc(arena, (n + 1) * sizeof *commands);
    for (size_t i = 0; i < n; i++)
        transfer_command(arena, &due[i], &commands[i]);
    if (!commands_run(pg, outbox, service, arena, commands, n, now_us, e) ||
        !save_runs(pg, arena, due, commands, n, now_us, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool made = commands[i].error.kind == ERROR_NONE;
        const struct schedule before = due[i].schedule;
        schedule_attempted(&due[i].schedule, made, now_us);
        if (made)
            count("made", 1);
        else
            tell_failure(outbox, &due[i], before.occurrence, before.attempts + 1, &commands[i].error, now_us);
    }
    return save(pg, arena, due, n, e);
}

bool schedules_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us, size_t *ret_done,
    struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    size_t n = 0;
    *ret_done = 0;
    pg_arg_int64(pg, now_us);
    pg_arg_int64(pg, SCHEDULES_AT_ONCE);
    if (!pg_query(pg, &sql_schedules_due, &rows, e))
        return false;
    if (pg_rows(rows) == 0)
        return true;
    const struct markets *markets = markets_get(service->markets);
    struct scheduled *due = arena_alloc(arena, (pg_rows(rows) + 1) * sizeof *due);
    for (size_t i = 0; i < pg_rows(rows); i++)
        n += from_row(markets, rows, i, &due[n]);
    bool ok = make(pg, outbox, service, arena, due, n, now_us, e);
    markets_put(service->markets, markets);
    *ret_done = n;
    return ok;
}

/* ---- Requests ---- */

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static json_t *scheduled_json(const struct scheduled *s)
{
    bool runs = s->schedule.status == SCHEDULE_ACTIVE;
    json_t *json = json_object();
    set(json, "schedule_id", view_id((uint64_t)s->id));
    set(json, "status", json_string(status_names[s->schedule.status]));
    set(json, "to_user_id", view_id(s->to_user_id));
    set(json, "currency", json_string(s->asset->code));
    set(json, "amount", view_amount(s->asset, s->amount));
    set(json, "reference", json_string(s->note));
    set(json, "every", json_string(every_names[s->schedule.every]));
    set(json, "first_at", view_time(s->schedule.first_us));
    set(json, "next_at", runs ? view_time(s->schedule.next_us) : json_null());
    set(json, "occurrence", json_integer(s->schedule.occurrence));
    set(json, "failed_attempts", json_integer(s->schedule.attempts));
    set(json, "failed_in_a_row", json_integer(s->schedule.failures));
    set(json, "created_at", view_time(s->created_us));
    return json;
}

static bool every_from_name(const char *name, enum schedule_every *ret, struct error *e)
{
    for (int i = EVERY_ONCE; i <= EVERY_MONTH; i++) {
        if (strcmp(every_names[i], name) == 0) {
            *ret = (enum schedule_every)i;
            return true;
        }
    }
    return error_field(e, ERROR_INVALID, "unknown-value", "every", "every is once, day, week or month");
}

static bool recipient_from_json(const json_t *json, uint64_t user_id, uint64_t *ret, struct error *e)
{
    const char *text;
    struct error unread = { 0 };
    if (!json_get_string(json, "to_user_id", &text, e))
        return false;
    if (!parse_id(text, "to_user_id", ret, &unread) || *ret > INT64_MAX)
        return error_field(e, ERROR_INVALID, "wrong-type", "to_user_id", "to_user_id is no id");
    return *ret != user_id ||
           error_field(e, ERROR_REFUSED, "same-account", "to_user_id", "the money would go where it comes from");
}

static bool scheduled_from_json(
    const struct http_request *request, const struct markets *markets, struct scheduled *ret, struct error *e)
{
    static const char *const fields[] = { "to_user_id", "currency", "amount", "reference", "every", "first_at", NULL };
    const json_t *json = request->json;
    const char *currency, *amount, *every, *first_at;
    *ret = (struct scheduled){ .user_id = request->claims.user_id };
    if (!json_only_fields(json, fields, e) || !recipient_from_json(json, ret->user_id, &ret->to_user_id, e) ||
        !json_get_string(json, "currency", &currency, e) || !json_get_string(json, "amount", &amount, e) ||
        !json_opt_string(json, "reference", "", &ret->note, e) || !json_get_string(json, "every", &every, e) ||
        !json_get_string(json, "first_at", &first_at, e) || !every_from_name(every, &ret->schedule.every, e))
        return false;
    ret->asset = asset_by_code(markets, currency);
    if (!ret->asset)
        return error_field(e, ERROR_REFUSED, "unknown-currency", "currency", "there is no such currency");
    if (!decimal_parse(amount, ret->asset->scale, "amount", &ret->amount, e))
        return false;
    if (ret->amount == 0)
        return error_field(e, ERROR_REFUSED, "invalid-amount", "amount", "the amount must be above zero");
    if (strlen(ret->note) > NOTE_MAX || !input_is_clean(ret->note))
        return error_field(e, ERROR_REFUSED, "invalid-reference", "reference",
            "reference must be at most %d bytes without control characters", NOTE_MAX);
    if (!event_time_parse(first_at, &ret->schedule.first_us))
        return error_field(e, ERROR_INVALID, "invalid-time", "first_at", "first_at must be a time as in RFC 3339");
    return ret->schedule.first_us >= now_us() - 86400000000 ||
           error_field(e, ERROR_REFUSED, "invalid-time", "first_at", "first_at is in the past");
}

/* As for a transfer: an id that is mistyped would only show when the time has come. */
static bool check_recipient(struct pg *pg, uint64_t user_id, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(pg, (int64_t)user_id);
    if (!pg_query(pg, &sql_owner_known, &rows, e))
        return false;
    return pg_get_bool(rows, 0, 0) ||
           error_field(e, ERROR_REFUSED, "unknown-recipient", "to_user_id", "there is no such user");
}

static bool insert(struct pg *pg, const struct scheduled *s, const char *key, bool *ret_new, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(pg, (int64_t)s->user_id);
    pg_arg_text(pg, key);
    pg_arg_int64(pg, (int64_t)s->to_user_id);
    pg_arg_int32(pg, s->asset->id);
    pg_arg_int64(pg, s->amount);
    pg_arg_text(pg, s->note);
    pg_arg_int32(pg, (int32_t)s->schedule.every);
    pg_arg_int64(pg, s->schedule.first_us);
    if (!pg_query(pg, &sql_schedule_insert, &rows, e))
        return false;
    *ret_new = pg_rows(rows) > 0;
    return true;
}

static bool same_wish(const struct scheduled *a, const struct scheduled *b)
{
    return a->to_user_id == b->to_user_id && a->asset == b->asset && a->amount == b->amount &&
           strcmp(a->note, b->note) == 0 && a->schedule.every == b->schedule.every &&
           a->schedule.first_us == b->schedule.first_us;
}

bool post_schedule(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    bool is_new;
    struct scheduled wish, stored;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!scheduled_from_json(request, markets.set, &wish, e) || !check_recipient(pg, wish.to_user_id, e) ||
        !insert(pg, &wish, request->idempotency_key, &is_new, e))
        return false;
    pg_arg_int64(pg, (int64_t)wish.user_id);
    pg_arg_text(pg, request->idempotency_key);
    if (!pg_query(pg, &sql_schedule_by_key, &rows, e))
        return false;
    if (pg_rows(rows) == 0 || !from_row(markets.set, rows, 0, &stored))
        return error_set(e, ERROR_TRANSIENT, "the schedule is being made");
    if (!same_wish(&wish, &stored))
        return error_field(e, ERROR_REFUSED, "idempotency-key-reused", "", "the key was used for another schedule");
    *reply = (struct http_reply){ .status = 201, .json = scheduled_json(&stored), .replayed = !is_new };
    return true;
}

/* With the last attempt, if there was one. whose: for operators. */
static json_t *listed_json(const struct pg_result *rows, size_t row, const struct scheduled *s, bool whose)
{
    json_t *json = scheduled_json(s);
    bool tried = !pg_is_null(rows, row, 14);
    set(json, "last_attempt_at", tried ? view_time(pg_get_int64(rows, row, 14)) : json_null());
    set(json, "last_problem",
        tried && !pg_is_null(rows, row, 15) ? json_string(pg_get_text(rows, row, 15)) : json_null());
    if (whose)
        set(json, "user_id", view_id(s->user_id));
    return json;
}

static bool list(struct pg *pg, const struct pg_statement *statement, int64_t user_id, const struct page *page,
    bool whose, struct http_reply *reply, struct error *e)
{
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(pg, user_id);
    pg_arg_int64(pg, page->before);
    pg_arg_int64(pg, page->limit);
    if (!pg_query(pg, statement, &rows, e))
        return false;
    json_t *all = json_array();
    struct scheduled s = { 0 };
    for (size_t i = 0; i < pg_rows(rows); i++) {
        if (from_row(markets.set, rows, i, &s))
            json_array_append_new(all, listed_json(rows, i, &s, whose));
    }
    reply_page(reply, "schedules", all, page, s.id);
    return true;
}

bool get_schedules(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct page page;
    (void)outbox;
    return page_from_query(request, "schedules", &page, e) &&
           list(pg, &sql_schedules_list, (int64_t)request->claims.user_id, &page, false, reply, e);
}

bool get_admin_schedules(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct page page;
    int64_t user_id;
    (void)outbox;
    if (!claims_operator(&request->claims))
        return error_field(e, ERROR_DENIED, "role-needed", "", "this needs the role of an operator");
    return query_int(request->query, "user_id", 0, 1, INT64_MAX, &user_id, e) &&
           page_from_query(request, "admin-schedules", &page, e) &&
           list(pg, &sql_schedules_failing, user_id, &page, true, reply, e);
}

static bool find(struct pg *pg, const struct pg_statement *statement, const struct http_request *request,
    const struct markets *markets, struct pg_result **ret_rows, struct scheduled *ret, struct error *e)
{
    uint64_t id;
    struct error unread = { 0 };
    if (parse_id(request->params[0], "schedule_id", &id, &unread) && id <= INT64_MAX) {
        pg_arg_int64(pg, (int64_t)request->claims.user_id);
        pg_arg_int64(pg, (int64_t)id);
        if (!pg_query(pg, statement, ret_rows, e))
            return false;
        if (pg_rows(*ret_rows) > 0 && from_row(markets, *ret_rows, 0, ret))
            return true;
    }
    return error_field(e, ERROR_NOT_FOUND, "schedule-not-found", "schedule_id", "there is no such schedule");
}

static json_t *runs_json(const struct pg_result *rows)
{
    json_t *list = json_array();
    for (size_t i = 0; i < pg_rows(rows); i++) {
        bool made = pg_is_null(rows, i, 3);
        json_t *json = json_object();
        set(json, "occurrence", json_integer(pg_get_int64(rows, i, 0)));
        set(json, "attempt", json_integer(pg_get_int64(rows, i, 1)));
        set(json, "at", view_time(pg_get_int64(rows, i, 2)));
        set(json, "outcome", json_string(made ? "made" : "failed"));
        set(json, "problem", made ? json_null() : json_string(pg_get_text(rows, i, 3)));
        set(json, "detail", json_string(pg_get_text(rows, i, 4)));
        json_array_append_new(list, json);
    }
    return list;
}

bool get_schedule(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct scheduled s;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(pg_result_free) struct pg_result *runs = NULL;
    if (!find(pg, &sql_schedule_get, request, markets.set, &rows, &s, e))
        return false;
    pg_arg_int64(pg, s.id);
    pg_arg_int64(pg, RUNS_SHOWN);
    if (!pg_query(pg, &sql_scheduled_runs_list, &runs, e))
        return false;
    reply->json = scheduled_json(&s);
    set(reply->json, "runs", runs_json(runs));
    return true;
}

/* The same twice changes nothing. */
static bool change(struct pg *pg, const struct http_request *request, struct http_reply *reply,
    enum schedule_status wanted, struct error *e)
{
    struct scheduled s;
    MARKETS_REF(markets);
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!find(pg, &sql_schedule_lock, request, markets.set, &rows, &s, e))
        return false;
    bool closed = s.schedule.status == SCHEDULE_CANCELLED || s.schedule.status == SCHEDULE_FINISHED ||
                  s.schedule.status == SCHEDULE_FAILED;
    if (closed && s.schedule.status != wanted)
        return error_field(
            e, ERROR_CONFLICT, "schedule-closed", "schedule_id", "the schedule is %s", status_names[s.schedule.status]);
    if (s.schedule.status != wanted) {
        if (wanted == SCHEDULE_ACTIVE)
            schedule_resume(&s.schedule, now_us());
        else
            s.schedule.status = wanted;
        if (!save(pg, arena, &s, 1, e))
            return false;
    }
    reply->json = scheduled_json(&s);
    return true;
}

bool pause_schedule(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    return change(pg, request, reply, SCHEDULE_PAUSED, e);
}

bool resume_schedule(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    return change(pg, request, reply, SCHEDULE_ACTIVE, e);
}

bool cancel_schedule(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    return change(pg, request, reply, SCHEDULE_CANCELLED, e);
}
