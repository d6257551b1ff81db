/* pg_args.c -- values → arguments in Postgres' binary format (network byte order; arrays as array_recv() reads them).
 */
#include "pg_private.h"

#include <assert.h>
#include <endian.h>

/* Types by number, as in pg_type.dat; they never change. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_BYTEAS = 1001,
    OID_INT4S = 1007,
    OID_TEXTS = 1009,
    OID_INT8S = 1016,
};

enum {
    KEEP_MAX = 4 * 1024 * 1024, /* bytes kept between statements */
    ARRAY_HEAD_MAX = 5 * 4,
};

void pg_args_clear(struct pg_args *args)
{
    if (args->capacity > KEEP_MAX)
        pg_args_release(args);
    args->count = 0;
    args->len = 0;
    args->too_large = false;
}

void pg_args_release(struct pg_args *args)
{
    xfree(args->data);
    args->data = NULL;
    args->len = args->capacity = 0;
}

/* The next argument, with room for `size` bytes. NULL once the arguments together are too large, which pg_send()
 * reports. */
static char *next_argument(struct pg *pg, Oid type, size_t size)
{
    struct pg_args *args = &pg->args;
    assert(args->count < PG_ARGS_MAX);
    unsigned i = args->count++;
    args->types[i] = type;
    args->offsets[i] = args->len;
    args->lengths[i] = -1;
    if (args->too_large || size > PG_ARGS_BYTES_MAX - args->len) {
        args->too_large = true;
        return NULL;
    }
    if (!args->data || args->capacity - args->len < size) {
        args->capacity = args->capacity * 2 > args->len + size ? args->capacity * 2 : args->len + size + 1024;
        args->data = xrealloc(args->data, args->capacity);
    }
    args->lengths[i] = (int)size;
    args->len += size;
    return args->data + args->offsets[i];
}

static void null_argument(struct pg *pg, Oid type)
{
    (void)next_argument(pg, type, 0);
    pg->args.lengths[pg->args.count - 1] = -1;
}

static char *put_int32(char *at, int32_t value)
{
    uint32_t wire = htobe32((uint32_t)value);
    return (char *)memcpy(at, &wire, sizeof wire) + sizeof wire;
}

static char *put_int64(char *at, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    return (char *)memcpy(at, &wire, sizeof wire) + sizeof wire;
}

void pg_arg_int64(struct pg *pg, int64_t value)
{
    char *at = next_argument(pg, OID_INT8, sizeof value);
    if (at)
        put_int64(at, value);
}

void pg_arg_int32(struct pg *pg, int32_t value)
{
    char *at = next_argument(pg, OID_INT4, sizeof value);
    if (at)
        put_int32(at, value);
}

void pg_arg_bool(struct pg *pg, bool value)
{
    char *at = next_argument(pg, OID_BOOL, 1);
    if (at)
        *at = (char)value;
}

static void bytes_argument(struct pg *pg, Oid type, struct bytes value)
{
    if (!value.data) {
        null_argument(pg, type);
        return;
    }
    char *at = next_argument(pg, type, value.len);
    if (at && value.len)
        memcpy(at, value.data, value.len);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){ text, text ? strlen(text) : 0 };
}

void pg_arg_text(struct pg *pg, const char *value)
{
    bytes_argument(pg, OID_TEXT, text_bytes(value));
}

void pg_arg_bytes(struct pg *pg, struct bytes value)
{
    bytes_argument(pg, OID_BYTEA, value);
}

/* An array of one dimension whose elements, lengths included, take elements_size bytes. Where the elements go; NULL if
 * too large or empty. */
static char *array_argument(
    struct pg *pg, Oid type, Oid element_type, size_t count, bool has_nulls, size_t elements_size)
{
    if (count > INT32_MAX) {
        elements_size = PG_ARGS_BYTES_MAX; /* refused there */
        count = 0;
    }
    size_t head_size = count ? ARRAY_HEAD_MAX : ARRAY_HEAD_MAX - 8; /* an empty array has no dimension */
    char *at = next_argument(pg, type, head_size + elements_size);
    if (!at)
        return NULL;
    at = put_int32(at, count ? 1 : 0);
    at = put_int32(at, has_nulls);
    at = put_int32(at, (int32_t)element_type);
    if (!count)
        return NULL;
    at = put_int32(at, (int32_t)count);
    return put_int32(at, 1); /* lower bound */
}

void pg_arg_int64s(struct pg *pg, const int64_t *values, size_t count)
{
    char *at = array_argument(pg, OID_INT8S, OID_INT8, count, false, count * (4 + sizeof *values));
    for (size_t i = 0; at && i < count; i++) {
        at = put_int32(at, sizeof *values);
        at = put_int64(at, values[i]);
    }
}

void pg_arg_int32s(struct pg *pg, const int32_t *values, size_t count)
{
    char *at = array_argument(pg, OID_INT4S, OID_INT4, count, false, count * (4 + sizeof *values));
    for (size_t i = 0; at && i < count; i++) {
        at = put_int32(at, sizeof *values);
        at = put_int32(at, values[i]);
    }
}

static char *put_element(char *at, struct bytes value)
{
    if (!value.data)
        return put_int32(at, -1);
    at = put_int32(at, (int32_t)value.len);
    if (value.len)
        memcpy(at, value.data, value.len);
    return at + value.len;
}

static void add_element_size(struct bytes value, size_t *size, bool *has_nulls)
{
    *has_nulls |= !value.data;
    size_t len = value.data ? value.len : 0;
    *size = len < PG_ARGS_BYTES_MAX && *size < PG_ARGS_BYTES_MAX ? *size + 4 + len : PG_ARGS_BYTES_MAX;
}

void pg_arg_texts(struct pg *pg, const char *const *values, size_t count)
{
    size_t size = 0;
    bool has_nulls = false;
    for (size_t i = 0; i < count; i++)
        add_element_size(text_bytes(values[i]), &size, &has_nulls);
    char *at = array_argument(pg, OID_TEXTS, OID_TEXT, count, has_nulls, size);
    for (size_t i = 0; at && i < count; i++)
        at = put_element(at, text_bytes(values[i]));
}

void pg_arg_blobs(struct pg *pg, const struct bytes *values, size_t count)
{
    size_t size = 0;
    bool has_nulls = false;
    for (size_t i = 0; i < count; i++)
        add_element_size(values[i], &size, &has_nulls);
    char *at = array_argument(pg, OID_BYTEAS, OID_BYTEA, count, has_nulls, size);
    for (size_t i = 0; at && i < count; i++)
        at = put_element(at, values[i]);
}
