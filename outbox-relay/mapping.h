/* mapping.h -- which table a source publishes, and which of its columns are what. Set by RELAY_<NAME>_TABLE, …
 * (config.c); constant once loaded. The defaults are the tables of schemas/common/. */
#pragma once

#include <event_bus/error.h>

/* Names as they stand in the catalogue, never quoted. All are set, none is NULL; "" where it says so. */
struct mapping {
    char *table;          /* "outbox" or "schema.outbox" */
    char *order_column;   /* ascending integer, unique, indexed: the order of rows that were written at the same time */
    char *xid_column;     /* xid8 DEFAULT pg_current_xact_id(); poll mode only */
    char *id_column;      /* "": the order column; becomes ce_id */
    char *id_format;      /* "shop-{}": {} is the id; "" is "<source>-{}" */
    char *topic_column;   /* not read when topic_format has no {} */
    char *topic_format;   /* "{}", "shop.{}.v1", or a constant */
    char *key_column;     /* "": no key */
    char *type_column;    /* not read when type_format has no {} */
    char *type_format;    /* as topic_format; becomes ce_type */
    char *payload_column; /* bytea as it is, any other type as its text; NULL is a tombstone */
    char *headers_column; /* "": none; text[] (name, value, …), json or jsonb (an object) */
    char *trace_column;   /* "": none; W3C traceparent */
    char *time_column;    /* "": none; timestamptz, timestamp (UTC) or integer (milliseconds) */
    char *content_type; /* "": by the type of the payload column: application/protobuf, application/json, text/plain */
    char *ce_source;    /* "" is "/penstock/<source>" */
    char *parked_table, *control_table;
};

extern const struct mapping mapping_default;

/* What a {} in a format stands for; a constant has none. ret_text gets "" and false is returned when it does not fit.
 */
bool mapping_format_is_constant(const char *format);
MUST_CHECK bool mapping_format(const char *format, const char *value, char *ret_text, size_t size);

/* One identifier, schema.table, or a literal, quoted for SQL; the caller's (xfree). */
char *mapping_quote_identifier(const char *name);
char *mapping_quote_table(const char *name);
char *mapping_quote_literal(const char *text);

/* ---- Templates: sql/<name>.sql says {table}, {order}, … ---- */

/* SQL expressions, by the types that the columns have; the caller's (mapping_sql_release). */
struct mapping_sql {
    char *table, *parked, *control;
    char *order, *xid, *id, *topic, *key, *type, *payload, *size, *headers, *trace, *time;
    const char *content_type;
};

/* The tables' names and the columns order and xid: what needs no look at the types. The other expressions stay NULL. */
void mapping_sql_init(struct mapping_sql *ret_sql, const struct mapping *mapping);
void mapping_sql_release(struct mapping_sql *sql); /* zeroed is fine */

enum { MAPPING_COLUMNS_MAX = 1600 };
struct mapping_column {
    const char *name, *type; /* as format_type() calls it */
};

/* Completes *sql from the columns that the table has. Errors: FATAL with the setting (`setting`_TABLE, …) and what is
 * missing or of a type that cannot be used. */
MUST_CHECK bool mapping_resolve(struct mapping_sql *sql, const struct mapping *mapping, const char *setting,
    const struct mapping_column *columns, size_t count, struct error *e);

/* Puts the expressions into a template; the caller's (xfree). An unknown {name} is a bug: it aborts. */
char *mapping_expand(const struct mapping_sql *sql, const char *template);
