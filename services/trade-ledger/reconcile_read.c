/* POST /accounts/:id/reconcile: somebody else's file against an account. It changes nothing. */
#include "http.h"
#include "reading.h"
#include "reconcile.h"
#include "sql.h"
#include "views.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DAYS_APART_DEFAULT = 3, DAYS_APART_MAX = 31 };

static const int64_t day_us = 86400000000;

struct question {
    struct account_name name;
    int64_t days_apart;
    bool reversed; /* what the file calls in, the account calls out: it stands for the other side */
    bool xml;
};

static bool format_from_request(const struct http_request *request, bool *ret_xml, struct error *e)
{
    static const struct {
        const char *type;
        bool xml;
    } types[] = { { "text/csv", false }, { "application/xml", true }, { "text/xml", true } };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t len = strlen(types[i].type);
        *ret_xml = types[i].xml;
        if (strncasecmp(request->content_type, types[i].type, len) == 0 && strchr("; ", request->content_type[len]))
            return true;
    }
    return error_field(e, ERROR_INVALID, "unsupported-file-type", "content-type",
        "a file is text/csv, or application/xml for CAMT.053");
}

static bool question_from_request(
    const struct http_request *request, const struct markets *markets, struct question *ret, struct error *e)
{
    char reverse[8] = "false";
    *ret = (struct question){ 0 };
    if (!account_from_path(request, markets, &ret->name, e) ||
        !query_int(request->query, "days_apart", DAYS_APART_DEFAULT, 0, DAYS_APART_MAX, &ret->days_apart, e) ||
        !format_from_request(request, &ret->xml, e))
        return false;
    if (query_has(request->query, "reverse") && (!query_get(request->query, "reverse", reverse, sizeof reverse) ||
                                                    (strcmp(reverse, "true") != 0 && strcmp(reverse, "false") != 0)))
        return error_field(e, ERROR_INVALID, "unknown-value", "reverse", "true or false");
    ret->reversed = strcmp(reverse, "true") == 0;
    return true;
}

/* The days of the file, and around them as many as a match may lie apart. */
static void file_days(const struct external_file *file, int64_t *ret_first, int64_t *ret_last)
{
    *ret_first = *ret_last = file->lines[0].day;
    for (size_t i = 1; i < file->count; i++) {
        int64_t day = file->lines[i].day;
        *ret_first = day < *ret_first ? day : *ret_first;
        *ret_last = day > *ret_last ? day : *ret_last;
    }
}

static bool read_bounds(struct pg *pg, const struct http_request *request, const struct question *question,
    int64_t from_us, int64_t to_us, struct pg_result **ret_rows, struct error *e)
{
    pg_arg_int64(pg, question->name.account_id);
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int32(pg, question->name.asset_id);
    pg_arg_int64(pg, from_us);
    pg_arg_int64(pg, to_us);
    if (!pg_query(pg, &sql_statement_bounds, ret_rows, e))
        return false;
    return pg_rows(*ret_rows) > 0 ? account_may_read(request, (uint64_t)pg_get_int64(*ret_rows, 0, 1), e)
                                  : account_missing(e);
}

static bool read_own(struct pg *pg, const struct pg_result *bounds, struct pg_result **ret_rows, struct error *e)
{
    pg_arg_int64(pg, pg_get_int64(bounds, 0, 0));
    pg_arg_int64(pg, pg_get_int64(bounds, 0, 4));
    pg_arg_int64(pg, pg_get_int64(bounds, 0, 7));
    pg_arg_bool(pg, false);
    pg_arg_int64(pg, EXTERNAL_LINES_MAX + 1);
    if (!pg_query(pg, &sql_statement_lines, ret_rows, e))
        return false;
    return pg_rows(*ret_rows) <= EXTERNAL_LINES_MAX ||
           error_field(e, ERROR_REFUSED, "statement-too-long", "file",
               "the account has more than %d entries in these days: reconcile fewer days at once", EXTERNAL_LINES_MAX);
}

/* Days before 1970 there are none. */
static struct own_line *own_lines(struct arena *arena, const struct pg_result *rows, bool reversed)
{
    struct own_line *own = arena_alloc(arena, (pg_rows(rows) + 1) * sizeof *own);
    for (size_t i = 0; i < pg_rows(rows); i++) {
        int64_t amount = pg_get_int64(rows, i, 4);
        own[i] = (struct own_line){
            .entry_id = pg_get_int64(rows, i, 0),
            .reference = pg_get_text(rows, i, 2),
            .note = pg_get_text(rows, i, 3),
            .amount = reversed ? -amount : amount,
            .day = (int32_t)(pg_get_int64(rows, i, 7) / day_us),
        };
    }
    return own;
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void set_line(json_t *json, const struct external_line *line, const struct asset *asset)
{
    set(json, "line", json_integer((json_int_t)line->line));
    set(json, "date", view_day(line->day));
    set(json, "amount", view_amount(asset, line->amount));
    set(json, "reference", json_string(line->reference));
}

static void set_own(json_t *json, const struct own_line *own, const struct asset *asset)
{
    set(json, "entry_id", view_id((uint64_t)own->entry_id));
    set(json, "entry_date", view_day(own->day));
    set(json, "entry_amount", view_amount(asset, own->amount));
    set(json, "entry_reference", json_string(own->reference));
    set(json, "entry_note", json_string(own->note));
}

struct result {
    const struct external_file *file;
    const struct own_line *own;
    size_t own_count;
    int64_t first_day, last_day;
};

static json_t *result_json(const struct result *result, const struct reconciliation *done, const struct asset *asset)
{
    json_t *lists[] = { json_array(), json_array(), json_array(), json_array() };
    for (size_t i = 0; i < result->file->count; i++) {
        json_t *json = json_object();
        enum reconciled state = done->lines[i].state;
        set_line(json, &result->file->lines[i], asset);
        if (state != RECONCILED_NOT)
            set_own(json, &result->own[done->lines[i].own], asset);
        json_array_append_new(lists[state], json);
    }
    for (size_t i = 0; i < result->own_count; i++) {
        const struct own_line *own = &result->own[i];
        if (done->own_taken[i] || own->day < result->first_day || own->day > result->last_day)
            continue;
        json_t *json = json_object();
        set_own(json, own, asset);
        json_array_append_new(lists[3], json);
    }
    json_t *json = json_object();
    set(json, "from", view_day((int32_t)result->first_day));
    set(json, "to", view_day((int32_t)result->last_day));
    set(json, "same",
        json_boolean(
            json_array_size(lists[RECONCILED_MATCHED]) == result->file->count && json_array_size(lists[3]) == 0));
    set(json, "matched", lists[RECONCILED_MATCHED]);
    set(json, "missing", lists[RECONCILED_NOT]);
    set(json, "extra", lists[3]);
    set(json, "amount_differs", lists[RECONCILED_AMOUNT_DIFFERS]);
    return json;
}

static bool read_file(const struct http_request *request, const struct question *question, const struct asset *asset,
    struct arena *arena, struct external_file *ret, struct error *e)
{
    bool ok = question->xml ? external_file_camt053(arena, asset, request->body, ret, e)
                            : external_file_csv(arena, asset, request->body, ret, e);
    return ok && (ret->count > 0 || error_field(e, ERROR_REFUSED, "invalid-file", "file", "the file has no lines"));
}

bool post_account_reconcile(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct question question;
    struct external_file file;
    struct result result = { .file = &file };
    MARKETS_REF(markets);
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *account = NULL;
    CLEANUP(pg_result_free) struct pg_result *bounds = NULL;
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!question_from_request(request, markets.set, &question, e) ||
        !read_bounds(pg, request, &question, 0, 1, &account, e))
        return false;
    const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(account, 0, 3));
    if (!asset)
        return account_missing(e);
    if (!read_file(request, &question, asset, arena, &file, e))
        return false;
    file_days(&file, &result.first_day, &result.last_day);
    if (!read_bounds(pg, request, &question, (result.first_day - question.days_apart) * day_us,
            (result.last_day + question.days_apart + 1) * day_us, &bounds, e) ||
        !read_own(pg, bounds, &rows, e))
        return false;
    result.own = own_lines(arena, rows, question.reversed);
    result.own_count = pg_rows(rows);
    struct reconciliation done =
        reconcile(arena, file.lines, file.count, result.own, result.own_count, (int32_t)question.days_apart);
    reply->json = result_json(&result, &done, asset);
    set(reply->json, "account_id", view_id((uint64_t)pg_get_int64(bounds, 0, 0)));
    set(reply->json, "asset", json_string(asset->code));
    return true;
}
