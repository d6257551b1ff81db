#include "mapping.h"

#include <stdio.h>

const struct mapping mapping_default = { .table = "outbox",
    .order_column = "id",
    .xid_column = "xid",
    .id_column = "",
    .id_format = "",
    .topic_column = "topic",
    .topic_format = "{}",
    .key_column = "key",
    .type_column = "type",
    .type_format = "{}",
    .payload_column = "payload",
    .headers_column = "headers",
    .trace_column = "traceparent",
    .time_column = "created_at",
    .content_type = "",
    .ce_source = "",
    .parked_table = "outbox_parked",
    .control_table = "outbox_relay" };

bool mapping_format_is_constant(const char *format)
{
    return strstr(format, "{}") == NULL;
}

bool mapping_format(const char *format, const char *value, char *ret_text, size_t size)
{
    const char *hole = strstr(format, "{}");
    int len = hole ? snprintf(ret_text, size, "%.*s%s%s", (int)(hole - format), format, value, hole + 2)
                   : snprintf(ret_text, size, "%s", format);

    if (len >= 0 && (size_t)len < size)
        return true;
    ret_text[0] = '\0';
    return false;
}

/* Doubles each `quote` in text and puts it around. */
static char *quoted(const char *text, size_t len, char quote)
{
    char *result = xmalloc(2 * len + 3), *out = result;

    *out++ = quote;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == quote)
            *out++ = quote;
        *out++ = text[i];
    }
    *out++ = quote;
    *out = '\0';
    return result;
}

char *mapping_quote_identifier(const char *name)
{
    return quoted(name, strlen(name), '"');
}

char *mapping_quote_table(const char *name)
{
    const char *dot = strchr(name, '.');

    if (!dot)
        return mapping_quote_identifier(name);

    CLEANUP(xfree) char *schema = quoted(name, (size_t)(dot - name), '"');
    CLEANUP(xfree) char *table = mapping_quote_identifier(dot + 1);
    return xasprintf("%s.%s", schema, table);
}

char *mapping_quote_literal(const char *text)
{
    return quoted(text, strlen(text), '\''); /* standard_conforming_strings is on: session.sql */
}
