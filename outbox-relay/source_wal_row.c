#include "source_wal_row.h"

#include <endian.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

enum { ARRAY_HEADER_BYTES = 12, ARRAY_DIMENSION_BYTES = 8, UUID_BYTES = 16, UUID_TEXT_BYTES = 37, NUMBER_BYTES = 24 };
static const int64_t postgres_epoch_us = INT64_C(946684800000000); /* 2000-01-01 */

enum wal_encoding wal_encoding_of(uint32_t type)
{
    static const struct wal_type types[] = { { 17, WAL_BYTES }, { 18, WAL_TEXT }, { 19, WAL_TEXT }, { 20, WAL_INT8 },
        { 21, WAL_INT2 }, { 23, WAL_INT4 }, { 25, WAL_TEXT }, { 114, WAL_JSON }, { 1009, WAL_TEXTS },
        { 1015, WAL_TEXTS }, { 1043, WAL_TEXT }, { 1114, WAL_TIMESTAMP }, { 1184, WAL_TIMESTAMP }, { 2950, WAL_UUID },
        { 3802, WAL_JSONB } };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].oid == type)
            return types[i].encoding;
    return WAL_UNREADABLE;
}

const char *wal_role_column(const struct mapping *mapping, enum wal_role role)
{
    switch (role) {
    case WAL_ORDER:
        return mapping->order_column;
    case WAL_ID:
        return mapping->id_column;
    case WAL_TOPIC:
        return mapping_format_is_constant(mapping->topic_format) ? "" : mapping->topic_column;
    case WAL_KEY:
        return mapping->key_column;
    case WAL_TYPE:
        return mapping_format_is_constant(mapping->type_format) ? "" : mapping->type_column;
    case WAL_PAYLOAD:
        return mapping->payload_column;
    case WAL_HEADERS:
        return mapping->headers_column;
    case WAL_TRACE:
        return mapping->trace_column;
    case WAL_TIME:
        return mapping->time_column;
    case WAL_ROLES:
    default:
        return "";
    }
}

bool wal_role_reads(enum wal_role role, enum wal_encoding encoding)
{
    const bool is_integer = encoding == WAL_INT2 || encoding == WAL_INT4 || encoding == WAL_INT8;
    const bool is_json = encoding == WAL_JSON || encoding == WAL_JSONB;

    switch (role) {
    case WAL_ORDER:
        return is_integer;
    case WAL_HEADERS:
        return encoding == WAL_TEXTS || is_json;
    case WAL_TIME:
        return encoding == WAL_TIMESTAMP || encoding == WAL_INT8;
    case WAL_KEY:
    case WAL_PAYLOAD:
        return encoding == WAL_BYTES || encoding == WAL_TEXT || encoding == WAL_UUID || is_integer || is_json;
    case WAL_ID:
    case WAL_TOPIC:
    case WAL_TYPE:
    case WAL_TRACE:
        return encoding == WAL_TEXT || encoding == WAL_UUID || is_integer;
    case WAL_ROLES:
    default:
        return false;
    }
}

static enum wal_encoding encoding_of(uint32_t type, const struct wal_type *types, size_t type_count)
{
    for (size_t i = 0; i < type_count; i++)
        if (types[i].oid == type)
            return types[i].encoding;
    return wal_encoding_of(type);
}

bool wal_relation_read(const struct pgoutput_message *message, const struct mapping *mapping,
    const struct wal_type *types, size_t type_count, struct wal_relation *ret_relation, struct error *e)
{
    struct wal_relation relation = { .oid = message->relation };

    for (enum wal_role role = 0; role < WAL_ROLES; role++) {
        const char *name = wal_role_column(mapping, role);

        relation.columns[role] = -1;
        for (int i = 0; i < message->count && *name; i++) {
            const struct pgoutput_column *column = &message->columns[i];

            if (column->name.len != strlen(name) || memcmp(column->name.data, name, column->name.len) != 0)
                continue;
            relation.columns[role] = i;
            relation.encodings[role] = encoding_of(column->type, types, type_count);
            if (!wal_role_reads(role, relation.encodings[role]))
                return error_set(e, ERROR_FATAL,
                    "column %.60s is of type %" PRIu32 " in the log, which wal mode cannot read for this", name,
                    column->type);
        }
    }
    *ret_relation = relation;
    return true;
}

/* ---- Values ---- */

static int64_t read_integer(struct bytes value)
{
    uint64_t wide = 0;

    for (size_t i = 0; i < value.len; i++)
        wide = wide << 8 | ((const unsigned char *)value.data)[i];
    if (value.len == sizeof(int16_t))
        return (int16_t)(uint16_t)wide;
    if (value.len == sizeof(int32_t))
        return (int32_t)(uint32_t)wide;
    return (int64_t)wide;
}

static bool has_its_length(enum wal_encoding encoding, struct bytes value)
{
    switch (encoding) {
    case WAL_INT2:
        return value.len == sizeof(int16_t);
    case WAL_INT4:
        return value.len == sizeof(int32_t);
    case WAL_INT8:
    case WAL_TIMESTAMP:
        return value.len == sizeof(int64_t);
    case WAL_UUID:
        return value.len == UUID_BYTES;
    case WAL_JSONB:
        return value.len >= 1 && *(const char *)value.data == 1; /* the version of the format */
    case WAL_BYTES:
    case WAL_TEXT:
    case WAL_JSON:
    case WAL_TEXTS:
        return true;
    case WAL_UNREADABLE:
    default:
        return false;
    }
}

static struct bytes uuid_text(struct bytes value, struct arena *arena)
{
    const unsigned char *byte = value.data;
    char *text = arena_alloc(arena, UUID_TEXT_BYTES), *at = text;

    for (int i = 0; i < UUID_BYTES; i++)
        at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte[i]);
    return (struct bytes){ text, (size_t)(at - text) };
}

/* As text, or as it is if it is bytes. NUL-terminated in any case. */
static struct bytes value_text(enum wal_encoding encoding, struct bytes value, struct arena *arena)
{
    char *copy;

    if (encoding == WAL_UUID)
        return uuid_text(value, arena);
    if (encoding == WAL_INT2 || encoding == WAL_INT4 || encoding == WAL_INT8) {
        copy = arena_alloc(arena, NUMBER_BYTES);
        return (struct bytes){ copy, (size_t)snprintf(copy, NUMBER_BYTES, "%" PRId64, read_integer(value)) };
    }
    if (encoding == WAL_JSONB)
        value = (struct bytes){ (const char *)value.data + 1, value.len - 1 };
    copy = arena_alloc(arena, value.len + 1);
    memcpy(copy, value.data, value.len);
    copy[value.len] = '\0';
    return (struct bytes){ copy, value.len };
}

/* ---- Headers ---- */

static uint32_t read_be32(const void *data)
{
    uint32_t value;

    memcpy(&value, data, sizeof value);
    return be32toh(value);
}

/* text[] as it travels in binary: name, value, name, value, … Returns the flaw, or NULL. */
static const char *read_header_texts(struct bytes array, struct arena *arena, struct source_row *row)
{
    const char *data = array.data;
    size_t count, used = ARRAY_HEADER_BYTES + ARRAY_DIMENSION_BYTES;
    struct bytes *headers;

    if (array.len < ARRAY_HEADER_BYTES || read_be32(data) == 0)
        return NULL;
    if (read_be32(data) != 1 || array.len < used)
        return "headers is not a list of one dimension";
    count = read_be32(data + ARRAY_HEADER_BYTES);
    if (count % 2 != 0)
        return "headers has a name without a value";
    if (count > 2 * SOURCE_HEADERS_MAX)
        return "headers has too many entries";
    headers = arena_alloc(arena, count * sizeof *headers);
    for (size_t i = 0; i < count; i++) {
        uint32_t item = array.len - used >= 4 ? read_be32(data + used) : UINT32_MAX;

        used += 4;
        if (item == UINT32_MAX || item > array.len - used)
            return "headers has a NULL";
        headers[i] = value_text(WAL_TEXT, (struct bytes){ data + used, item }, arena);
        used += item;
    }
    row->headers = headers;
    row->header_count = count;
    return NULL;
}

static void json_free(json_t *json)
{
    json_decref(json);
}
DEFINE_CLEANUP(json_t *, json_free)

/* Strings as they are, anything else as its JSON. */
static struct bytes json_text(const json_t *value, struct arena *arena)
{
    CLEANUP(xfree) char *copy = NULL;
    struct bytes text;
    char *dumped;

    if (json_is_string(value))
        return value_text(WAL_TEXT, (struct bytes){ json_string_value(value), json_string_length(value) }, arena);
    dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    copy = dumped;
    text = dumped ? (struct bytes){ dumped, strlen(dumped) } : (struct bytes){ "", 0 };
    return value_text(WAL_TEXT, text, arena);
}

static const char *read_header_object(struct bytes text, struct arena *arena, struct source_row *row)
{
    CLEANUP(json_free) json_t *object = json_loadb(text.data, text.len, 0, NULL);
    struct bytes *headers;
    const char *name;
    json_t *value;
    size_t count = 0;

    if (!json_is_object(object))
        return "headers is not a JSON object";
    if (json_object_size(object) > SOURCE_HEADERS_MAX)
        return "headers has too many entries";
    headers = arena_alloc(arena, 2 * json_object_size(object) * sizeof *headers + 1);
    json_object_foreach(object, name, value)
    {
        if (json_is_null(value))
            return "headers has a NULL";
        headers[count++] = value_text(WAL_TEXT, (struct bytes){ name, strlen(name) }, arena);
        headers[count++] = json_text(value, arena);
    }
    row->headers = headers;
    row->header_count = count;
    return NULL;
}

/* ---- A row ---- */

static const char *formatted(const char *format, struct bytes value, struct arena *arena)
{
    size_t size = strlen(format) + value.len + 1;
    char *text;

    if (strcmp(format, "{}") == 0)
        return value.data;
    text = arena_alloc(arena, size);
    return mapping_format(format, value.data, text, size) ? text : "";
}

static void row_take(enum wal_role role, enum wal_encoding encoding, struct bytes value, const struct mapping *mapping,
    struct arena *arena, struct source_row *row)
{
    switch (role) {
    case WAL_ORDER:
        row->id = (uint64_t)read_integer(value);
        if (read_integer(value) <= 0)
            row->flaw = "the order column is not positive";
        break;
    case WAL_ID:
        row->event_id = value_text(encoding, value, arena).data;
        break;
    case WAL_TOPIC:
        row->topic = formatted(mapping->topic_format, value_text(encoding, value, arena), arena);
        break;
    case WAL_KEY:
        row->key = value_text(encoding, value, arena);
        break;
    case WAL_TYPE:
        row->type = formatted(mapping->type_format, value_text(encoding, value, arena), arena);
        break;
    case WAL_PAYLOAD:
        row->payload = value_text(encoding, value, arena);
        break;
    case WAL_HEADERS:
        row->flaw = encoding == WAL_TEXTS ? read_header_texts(value, arena, row)
                                          : read_header_object(value_text(encoding, value, arena), arena, row);
        break;
    case WAL_TRACE:
        row->traceparent = value_text(encoding, value, arena).data;
        break;
    case WAL_TIME:
        row->created_at_us =
            encoding == WAL_TIMESTAMP ? read_integer(value) + postgres_epoch_us : read_integer(value) * 1000;
        break;
    case WAL_ROLES:
    default:
        break;
    }
}

static const char *role_missing(enum wal_role role, const struct mapping *mapping)
{
    if (*wal_role_column(mapping, role) == '\0')
        return NULL;
    switch (role) {
    case WAL_ORDER:
        return "the order column is NULL";
    case WAL_ID:
        return "the id column is NULL";
    case WAL_TOPIC:
        return "the topic column is NULL";
    case WAL_TYPE:
        return "the type column is NULL";
    case WAL_KEY:
    case WAL_PAYLOAD:
    case WAL_HEADERS:
    case WAL_TRACE:
    case WAL_TIME:
    case WAL_ROLES:
    default:
        return NULL;
    }
}

bool wal_row_read(const struct pgoutput_message *message, const struct wal_relation *relation,
    const struct mapping *mapping, struct arena *arena, struct source_row *ret_row, struct error *e)
{
    const char *flaw = NULL;

    *ret_row = (struct source_row){ .topic = "", .type = "", .traceparent = "" };
    if (mapping_format_is_constant(mapping->topic_format))
        ret_row->topic = mapping->topic_format;
    if (mapping_format_is_constant(mapping->type_format))
        ret_row->type = mapping->type_format;
    for (enum wal_role role = 0; role < WAL_ROLES; role++) {
        int column = relation->columns[role];
        const struct pgoutput_value *value = column < 0 ? NULL : &message->values[column];

        if (column >= message->count)
            return error_set(e, ERROR_INVALID, "a row in the log has fewer columns than its table");
        if (!value || value->format == PGOUTPUT_NULL) {
            ret_row->flaw = role_missing(role, mapping);
        } else {
            if (value->format != PGOUTPUT_BINARY || !has_its_length(relation->encodings[role], value->value))
                return error_set(e, ERROR_INVALID, "a value in the log is not of the type of its column");
            row_take(role, relation->encodings[role], value->value, mapping, arena, ret_row);
        }
        flaw = flaw ? flaw : ret_row->flaw; /* the first one says why */
        ret_row->flaw = NULL;
    }
    ret_row->flaw = flaw;
    return true;
}
