/* GET /accounts/:id/statement: the period's entries between two balances, in the form that is asked for. */
#include "http.h"
#include "reading.h"
#include "sql.h"
#include "statement.h"
#include "views.h"

#include <event_bus/event.h>

#include <string.h>
#include <time.h>

enum { STATEMENT_LINES_MAX = 10000 }; /* a longer period is to be asked for in parts */

enum statement_format { FORMAT_JSON, FORMAT_CSV, FORMAT_HTML, FORMAT_PDF };

struct question {
    struct account_name name;
    int64_t from_us, to_us;
    bool with_holds;
    enum statement_format format;
};

static bool format_from_query(const struct http_request *request, enum statement_format *ret, struct error *e)
{
    static const char *const names[] = { "json", "csv", "html", "pdf" };
    char name[8] = "json";
    if (query_has(request->query, "format") && !query_get(request->query, "format", name, sizeof name))
        name[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum statement_format)i;
            return true;
        }
    }
    return error_field(e, ERROR_INVALID, "unknown-value", "format", "a statement is json, csv, html or pdf");
}

/* The first moment of the month, UTC. */
static int64_t month_begin_us(int64_t now_us)
{
    time_t seconds = now_us / 1000000;
    struct tm day;
    gmtime_r(&seconds, &day);
    day = (struct tm){ .tm_year = day.tm_year, .tm_mon = day.tm_mon, .tm_mday = 1 };
    return (int64_t)timegm(&day) * 1000000;
}

static bool question_from_request(
    const struct http_request *request, const struct markets *markets, struct question *ret, struct error *e)
{
    int64_t now = now_us();
    char holds[8] = "false";
    *ret = (struct question){ 0 };
    if (!account_from_path(request, markets, &ret->name, e) || !time_from_query(request, "to", now, &ret->to_us, e) ||
        !time_from_query(request, "from", month_begin_us(ret->to_us), &ret->from_us, e) ||
        !format_from_query(request, &ret->format, e))
        return false;
    if (ret->from_us > ret->to_us)
        return error_field(e, ERROR_REFUSED, "invalid-time", "from", "the period ends before it begins");
    if (query_has(request->query, "holds") && (!query_get(request->query, "holds", holds, sizeof holds) ||
                                                  (strcmp(holds, "true") != 0 && strcmp(holds, "false") != 0)))
        return error_field(e, ERROR_INVALID, "unknown-value", "holds", "true or false");
    ret->with_holds = strcmp(holds, "true") == 0;
    return true;
}

static const char *time_text(struct arena *arena, int64_t time_us)
{
    char text[EVENT_TIME_MAX];
    event_time_format(time_us, text);
    return arena_strdup(arena, text);
}

static void fill_lines(struct statement *statement, struct arena *arena, const struct pg_result *rows)
{
    size_t count = pg_rows(rows);
    struct statement_line *lines = arena_alloc(arena, (count + 1) * sizeof *lines);
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct statement_line){
            .entry_id = pg_get_int64(rows, i, 0),
            .kind = journal_kind_name((int)pg_get_int64(rows, i, 1)),
            .reference = pg_get_text(rows, i, 2), /* borrowed: the rows outlive the statement */
            .note = pg_get_text(rows, i, 3),
            .amount = pg_get_int64(rows, i, 4),
            .available = pg_get_int64(rows, i, 5),
            .held = pg_get_int64(rows, i, 6),
            .posted_at = time_text(arena, pg_get_int64(rows, i, 7)),
        };
    statement->lines = lines;
    statement->line_count = count;
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static json_t *line_json(const struct statement_line *line, const struct asset *asset)
{
    json_t *json = view_balance(asset, line->available, line->held);
    json_object_del(json, "asset");
    set(json, "entry_id", view_id((uint64_t)line->entry_id));
    set(json, "kind", json_string(line->kind));
    set(json, "reference", json_string(line->reference));
    set(json, "note", json_string(line->note));
    set(json, "amount", view_amount(asset, line->amount));
    set(json, "posted_at", json_string(line->posted_at));
    return json;
}

static json_t *statement_json(const struct statement *s)
{
    json_t *json = json_object(), *lines = json_array();
    for (size_t i = 0; i < s->line_count; i++)
        json_array_append_new(lines, line_json(&s->lines[i], s->asset));
    set(json, "account_id", view_id((uint64_t)s->account_id));
    set(json, "owner_id", view_id(s->owner_id));
    set(json, "asset", json_string(s->asset->code));
    set(json, "from", json_string(s->from));
    set(json, "to", json_string(s->to));
    set(json, "opening", view_balance(s->asset, s->opening_available, s->opening_held));
    set(json, "entries", lines);
    set(json, "closing", view_balance(s->asset, s->closing_available, s->closing_held));
    return json;
}

static bool reply_statement(
    const struct statement *statement, enum statement_format format, struct http_reply *reply, struct error *e)
{
    static const char *const types[] = { [FORMAT_CSV] = "text/csv; charset=utf-8",
        [FORMAT_HTML] = "text/html; charset=utf-8",
        [FORMAT_PDF] = "application/pdf" };
    if (format == FORMAT_JSON) {
        reply->json = statement_json(statement);
        return true;
    }
    reply->content_type = types[format];
    if (format == FORMAT_CSV)
        reply->body = statement_csv(statement, &reply->body_len);
    else if (format == FORMAT_HTML)
        reply->body = statement_html(statement, &reply->body_len);
    else
        reply->body = statement_pdf(statement, reading_service()->settings.statement_font, &reply->body_len);
    return reply->body || error_set(e, ERROR_TRANSIENT, "the statement could not be printed");
}

static bool read_lines(struct pg *pg, const struct question *question, int64_t account_id, int64_t after_id,
    int64_t last_id, struct pg_result **ret_rows, struct error *e)
{
    pg_arg_int64(pg, account_id);
    pg_arg_int64(pg, after_id);
    pg_arg_int64(pg, last_id);
    pg_arg_bool(pg, question->with_holds);
    pg_arg_int64(pg, STATEMENT_LINES_MAX + 1);
    if (!pg_query(pg, &sql_statement_lines, ret_rows, e))
        return false;
    return pg_rows(*ret_rows) <= STATEMENT_LINES_MAX ||
           error_field(e, ERROR_REFUSED, "statement-too-long", "from",
               "there are more than %d entries: ask for a shorter period", STATEMENT_LINES_MAX);
}

bool get_account_statement(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct question question;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *bounds = NULL;
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    if (!question_from_request(request, markets.set, &question, e))
        return false;
    pg_arg_int64(pg, question.name.account_id);
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int32(pg, question.name.asset_id);
    pg_arg_int64(pg, question.from_us);
    pg_arg_int64(pg, question.to_us);
    if (!pg_query(pg, &sql_statement_bounds, &bounds, e))
        return false;
    const struct asset *asset =
        pg_rows(bounds) > 0 ? asset_by_id(markets.set, (int32_t)pg_get_int64(bounds, 0, 3)) : NULL;
    if (!asset)
        return account_missing(e);
    struct statement statement = {
        .account_id = pg_get_int64(bounds, 0, 0),
        .owner_id = (uint64_t)pg_get_int64(bounds, 0, 1),
        .asset = asset,
        .from = time_text(arena, question.from_us),
        .to = time_text(arena, question.to_us),
        .opening_available = pg_get_int64(bounds, 0, 5),
        .opening_held = pg_get_int64(bounds, 0, 6),
        .closing_available = pg_get_int64(bounds, 0, 8),
        .closing_held = pg_get_int64(bounds, 0, 9),
    };
    if (!account_may_read(request, statement.owner_id, e) ||
        !read_lines(
            pg, &question, statement.account_id, pg_get_int64(bounds, 0, 4), pg_get_int64(bounds, 0, 7), &rows, e))
        return false;
    fill_lines(&statement, arena, rows);
    return reply_statement(&statement, question.format, reply, e);
}
