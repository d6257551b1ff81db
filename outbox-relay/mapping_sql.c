/* Templates of SQL: what stands for {table}, {payload}, …, given the types that the columns have. */
#include "mapping.h"

#include <assert.h>
#include <stdio.h>

void mapping_sql_init(struct mapping_sql *ret_sql, const struct mapping *mapping)
{
    *ret_sql = (struct mapping_sql){ .table = mapping_quote_table(mapping->table),
        .parked = mapping_quote_table(mapping->parked_table),
        .control = mapping_quote_table(mapping->control_table),
        .order = mapping_quote_identifier(mapping->order_column),
        .xid = mapping_quote_identifier(mapping->xid_column) };
}

void mapping_sql_release(struct mapping_sql *sql)
{
    char *const owned[] = { sql->table, sql->parked, sql->control, sql->order, sql->xid, sql->id, sql->topic, sql->key,
        sql->type, sql->payload, sql->size, sql->headers, sql->trace, sql->time };

    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        xfree(owned[i]);
    *sql = (struct mapping_sql){ 0 };
}

/* ---- One column ---- */

struct resolver {
    const char *setting, *table;
    const struct mapping_column *columns;
    size_t count;
};

static const char *type_of(const struct resolver *resolver, const char *column)
{
    for (size_t i = 0; i < resolver->count; i++)
        if (strcmp(resolver->columns[i].name, column) == 0)
            return resolver->columns[i].type;
    return NULL;
}

static bool fail(const struct resolver *resolver, const char *suffix, struct error *e, const char *what)
{
    char field[sizeof e->field];

    snprintf(field, sizeof field, "%s_%s", resolver->setting, suffix);
    return error_field(e, ERROR_FATAL, "", field, "%s: %.140s", field, what);
}

static bool find(
    const struct resolver *resolver, const char *suffix, const char *column, const char **ret_type, struct error *e)
{
    char what[160];

    *ret_type = type_of(resolver, column);
    if (*ret_type)
        return true;
    snprintf(what, sizeof what, "table \"%.50s\" has no column \"%.63s\"", resolver->table, column);
    return fail(resolver, suffix, e, what);
}

static bool wrong_type(const struct resolver *resolver, const char *suffix, const char *column, const char *type,
    const char *wanted, struct error *e)
{
    char what[160];

    snprintf(what, sizeof what, "column \"%.60s\" is %.30s, not %s", column, type, wanted);
    return fail(resolver, suffix, e, what);
}

static bool is_one_of(const char *type, const char *const *types)
{
    for (; *types; types++)
        if (strcmp(type, *types) == 0)
            return true;
    return false;
}

static const char *const integers[] = { "smallint", "integer", "bigint", NULL };

static bool resolve_order(const struct resolver *resolver, const struct mapping *mapping, struct error *e)
{
    const char *type;

    if (!find(resolver, "ORDER_COLUMN", mapping->order_column, &type, e))
        return false;
    return is_one_of(type, integers) ||
           wrong_type(resolver, "ORDER_COLUMN", mapping->order_column, type, "an integer", e);
}

static bool resolve_xid(const struct resolver *resolver, const struct mapping *mapping, struct error *e)
{
    const char *type;

    if (!find(resolver, "XID_COLUMN", mapping->xid_column, &type, e))
        return false;
    return strcmp(type, "xid8") == 0 || wrong_type(resolver, "XID_COLUMN", mapping->xid_column, type, "xid8", e);
}

/* Text, shaped by a format; a constant does not need the column. */
static bool resolve_text(const struct resolver *resolver, const char *suffix, const char *column, const char *format,
    char **ret_sql, struct error *e)
{
    const char *hole = strstr(format, "{}"), *type;

    if (!hole) {
        CLEANUP(xfree) char *constant = mapping_quote_literal(format);
        *ret_sql = xasprintf("%s::text", constant);
        return true;
    }
    if (!find(resolver, suffix, column, &type, e))
        return false;

    CLEANUP(xfree) char *name = mapping_quote_identifier(column);
    CLEANUP(xfree) char *head = xstrndup(format, (size_t)(hole - format));
    CLEANUP(xfree) char *before = mapping_quote_literal(head);
    CLEANUP(xfree) char *after = mapping_quote_literal(hole + 2);
    *ret_sql = strcmp(format, "{}") == 0 ? xasprintf("%s::text", name)
                                         : xasprintf("(%s || %s::text || %s)", before, name, after);
    return true;
}

static bool resolve_optional_text(
    const struct resolver *resolver, const char *suffix, const char *column, char **ret_sql, struct error *e)
{
    if (*column)
        return resolve_text(resolver, suffix, column, "{}", ret_sql, e);
    *ret_sql = xstrdup("NULL::text");
    return true;
}

/* bytea as it is, anything else as its text. */
static bool resolve_bytes(const struct resolver *resolver, const char *suffix, const char *column, char **ret_sql,
    const char **ret_type, struct error *e)
{
    if (!find(resolver, suffix, column, ret_type, e))
        return false;

    CLEANUP(xfree) char *name = mapping_quote_identifier(column);
    *ret_sql = strcmp(*ret_type, "bytea") == 0 ? xstrdup(name) : xasprintf("convert_to(%s::text, 'UTF8')", name);
    return true;
}

static bool resolve_payload(
    const struct resolver *resolver, const struct mapping *mapping, struct mapping_sql *sql, struct error *e)
{
    CLEANUP(xfree) char *name = mapping_quote_identifier(mapping->payload_column);
    const char *type;

    if (!resolve_bytes(resolver, "PAYLOAD_COLUMN", mapping->payload_column, &sql->payload, &type, e))
        return false;
    if (strcmp(type, "bytea") == 0 || strcmp(type, "text") == 0) /* neither is fetched from TOAST for its length */
        sql->size = xasprintf("coalesce(octet_length(%s), 0)", name);
    else
        sql->size = xasprintf("coalesce(pg_column_size(%s), 0)", name);
    if (*mapping->content_type)
        sql->content_type = mapping->content_type;
    else if (strcmp(type, "bytea") == 0)
        sql->content_type = "application/protobuf";
    else
        sql->content_type = strncmp(type, "json", 4) == 0 ? "application/json" : "text/plain";
    return true;
}

static bool resolve_headers(
    const struct resolver *resolver, const struct mapping *mapping, struct mapping_sql *sql, struct error *e)
{
    CLEANUP(xfree) char *name = mapping_quote_identifier(mapping->headers_column);
    const char *type;

    if (!*mapping->headers_column) {
        sql->headers = xstrdup("NULL::text[]");
        return true;
    }
    if (!find(resolver, "HEADERS_COLUMN", mapping->headers_column, &type, e))
        return false;
    if (strcmp(type, "text[]") == 0)
        sql->headers = xstrdup(name);
    else if (strncmp(type, "json", 4) == 0)
        sql->headers =
            xasprintf("CASE WHEN jsonb_typeof(%s::jsonb) = 'object' THEN ARRAY(SELECT unnest(ARRAY[pair.key, "
                      "coalesce(pair.value, '')]) FROM jsonb_each_text(%s::jsonb) AS pair) END",
                name, name);
    else
        return wrong_type(resolver, "HEADERS_COLUMN", mapping->headers_column, type, "text[], json or jsonb", e);
    return true;
}

static bool resolve_time(
    const struct resolver *resolver, const struct mapping *mapping, struct mapping_sql *sql, struct error *e)
{
    CLEANUP(xfree) char *name = mapping_quote_identifier(mapping->time_column);
    const char *type;

    if (!*mapping->time_column) {
        sql->time = xstrdup("NULL::timestamptz");
        return true;
    }
    if (!find(resolver, "TIME_COLUMN", mapping->time_column, &type, e))
        return false;
    if (strcmp(type, "timestamp with time zone") == 0)
        sql->time = xstrdup(name);
    else if (strcmp(type, "timestamp without time zone") == 0)
        sql->time = xasprintf("(%s AT TIME ZONE 'UTC')", name);
    else if (is_one_of(type, integers))
        sql->time = xasprintf("to_timestamp(%s / 1000.0)", name);
    else
        return wrong_type(resolver, "TIME_COLUMN", mapping->time_column, type, "a time or an integer", e);
    return true;
}

bool mapping_resolve(struct mapping_sql *sql, const struct mapping *mapping, const char *setting,
    const struct mapping_column *columns, size_t count, struct error *e)
{
    const struct resolver resolver = {
        .setting = setting, .table = mapping->table, .columns = columns, .count = count
    };
    const char *key_type;

    if (count == 0) {
        char what[160];
        snprintf(what, sizeof what, "there is no table \"%.100s\" in this database", mapping->table);
        return fail(&resolver, "TABLE", e, what);
    }
    if (!*mapping->key_column)
        sql->key = xstrdup("NULL::bytea");
    else if (!resolve_bytes(&resolver, "KEY_COLUMN", mapping->key_column, &sql->key, &key_type, e))
        return false;
    return resolve_order(&resolver, mapping, e) && resolve_xid(&resolver, mapping, e) &&
           resolve_optional_text(&resolver, "ID_COLUMN", mapping->id_column, &sql->id, e) &&
           resolve_text(&resolver, "TOPIC_COLUMN", mapping->topic_column, mapping->topic_format, &sql->topic, e) &&
           resolve_text(&resolver, "TYPE_COLUMN", mapping->type_column, mapping->type_format, &sql->type, e) &&
           resolve_payload(&resolver, mapping, sql, e) && resolve_headers(&resolver, mapping, sql, e) &&
           resolve_optional_text(&resolver, "TRACE_COLUMN", mapping->trace_column, &sql->trace, e) &&
           resolve_time(&resolver, mapping, sql, e);
}

/* ---- Templates ---- */

static const char *expression(const struct mapping_sql *sql, const char *name, size_t len)
{
    const struct {
        const char *name, *sql;
    } all[] = { { "table", sql->table }, { "parked", sql->parked }, { "control", sql->control },
        { "order", sql->order }, { "xid", sql->xid }, { "id", sql->id }, { "topic", sql->topic }, { "key", sql->key },
        { "type", sql->type }, { "payload", sql->payload }, { "size", sql->size }, { "headers", sql->headers },
        { "trace", sql->trace }, { "time", sql->time } };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strlen(all[i].name) == len && memcmp(all[i].name, name, len) == 0)
            return all[i].sql;
    return NULL;
}

char *mapping_expand(const struct mapping_sql *sql, const char *template)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert(out);
    for (const char *open; (open = strchr(template, '{'));) {
        const char *close = strchr(open, '}');
        assert(close);
        const char *with = expression(sql, open + 1, (size_t)(close - open - 1));
        assert(with);
        fprintf(out, "%.*s%s", (int)(open - template), template, with);
        template = close + 1;
    }
    fputs(template, out);
    fclose(out);
    return text;
}
