/* mapping.h -- which table a source publishes, and which of its columns are what. Set by RELAY_<NAME>_TABLE, …
 * (config.c); constant once loaded. The defaults are the table of schemas/common/.
 *
 * Statements against the table are templates: sql/<name>.sql says {table}, {order}, {topic}, … and mapping_expand()
 * puts expressions of the right type there, with every identifier quoted. */
#pragma once

#include <event_bus/error.h>

enum { MAPPING_NAME_MAX = 64, MAPPING_FORMAT_MAX = 256 };

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
    char *payload_column; /* bytea as it is, any other type as its text */
    char *headers_column; /* "": none; text[] (name, value, …), json or jsonb (an object) */
    char *trace_column;   /* "": none; W3C traceparent */
    char *time_column;    /* "": none; timestamptz, timestamp (UTC) or integer (milliseconds) */
    char *content_type; /* "": by the type of the payload column: application/protobuf, application/json, text/plain */
    char *ce_source;    /* "" is "/penstock/<source>" */
    char *parked_table, *control_table;
};

/* What a {} in a format stands for; a constant has none. ret_text gets "" and false is returned when it does not fit.
 */
bool mapping_format_is_constant(const char *format);
MUST_CHECK bool mapping_format(const char *format, const char *value, char *ret_text, size_t size);

/* One identifier, or schema.table, quoted for SQL; xfree. */
char *mapping_quote_identifier(const char *name);
char *mapping_quote_table(const char *name);
char *mapping_quote_literal(const char *text);
