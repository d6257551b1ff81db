#include "pgoutput.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

static const int64_t postgres_epoch_us = INT64_C(946684800000000); /* 2000-01-01 */

/* What is left to read. After a read beyond the end `failed` is set, and everything reads as 0. */
struct cursor {
    const unsigned char *at;
    size_t left;
    bool failed;
};

static const void *take(struct cursor *cursor, size_t len)
{
    const void *at = cursor->at;

    if (cursor->failed || len > cursor->left) {
        cursor->failed = true;
        return NULL;
    }
    cursor->at += len;
    cursor->left -= len;
    return at;
}

static uint8_t take_u8(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, sizeof *at);

    return at ? *at : 0;
}

static uint16_t take_u16(struct cursor *cursor)
{
    const void *at = take(cursor, sizeof(uint16_t));
    uint16_t value = 0;

    if (at)
        memcpy(&value, at, sizeof value);
    return be16toh(value);
}

static uint32_t take_u32(struct cursor *cursor)
{
    const void *at = take(cursor, sizeof(uint32_t));
    uint32_t value = 0;

    if (at)
        memcpy(&value, at, sizeof value);
    return be32toh(value);
}

static uint64_t take_u64(struct cursor *cursor)
{
    const void *at = take(cursor, sizeof(uint64_t));
    uint64_t value = 0;

    if (at)
        memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static int64_t take_time_us(struct cursor *cursor)
{
    int64_t time_us = (int64_t)take_u64(cursor), since_1970_us;

    if (__builtin_add_overflow(time_us, postgres_epoch_us, &since_1970_us)) {
        cursor->failed = true;
        return 0;
    }
    return since_1970_us;
}

static struct bytes take_string(struct cursor *cursor)
{
    const void *end = cursor->failed || cursor->left == 0 ? NULL : memchr(cursor->at, '\0', cursor->left);
    struct bytes string = { 0 };

    if (!end) {
        cursor->failed = true;
        return string;
    }
    string = (struct bytes){ cursor->at, (size_t)((const unsigned char *)end - cursor->at) };
    take(cursor, string.len + 1);
    return string;
}

/* ---- Messages ---- */

static void read_begin(struct cursor *cursor, struct pgoutput_message *message)
{
    message->commit_lsn = take_u64(cursor);
    message->commit_time_us = take_time_us(cursor);
    message->xid = take_u32(cursor);
}

static void read_commit(struct cursor *cursor, struct pgoutput_message *message)
{
    take_u8(cursor); /* flags, none yet */
    message->commit_lsn = take_u64(cursor);
    message->end_lsn = take_u64(cursor);
    message->commit_time_us = take_time_us(cursor);
    if (message->end_lsn < message->commit_lsn)
        cursor->failed = true;
}

static void read_relation(struct cursor *cursor, struct pgoutput_message *message)
{
    message->relation = take_u32(cursor);
    message->schema = take_string(cursor);
    message->name = take_string(cursor);
    take_u8(cursor); /* replica identity */
    message->count = take_u16(cursor);
    if (message->count > PGOUTPUT_COLUMNS_MAX)
        cursor->failed = true;
    for (uint16_t i = 0; i < message->count && !cursor->failed; i++) {
        struct pgoutput_column *column = &message->columns[i];

        take_u8(cursor); /* part of the key */
        column->name = take_string(cursor);
        column->type = take_u32(cursor);
        take_u32(cursor); /* modifier */
    }
}

static void read_value(struct cursor *cursor, struct pgoutput_value *value)
{
    value->format = take_u8(cursor);
    value->value = (struct bytes){ 0 };
    switch (value->format) {
    case PGOUTPUT_NULL:
    case PGOUTPUT_UNCHANGED:
        return;
    case PGOUTPUT_TEXT:
    case PGOUTPUT_BINARY:
        value->value.len = take_u32(cursor);
        value->value.data = take(cursor, value->value.len);
        return;
    default:
        cursor->failed = true;
    }
}

static void read_insert(struct cursor *cursor, struct pgoutput_message *message)
{
    message->relation = take_u32(cursor);
    if (take_u8(cursor) != 'N')
        cursor->failed = true;
    message->count = take_u16(cursor);
    if (message->count > PGOUTPUT_COLUMNS_MAX)
        cursor->failed = true;
    for (uint16_t i = 0; i < message->count && !cursor->failed; i++)
        read_value(cursor, &message->values[i]);
}

/* Returns whether the whole message is to be read. */
static bool read_message(struct cursor *cursor, bool in_stream, struct pgoutput_message *message)
{
    switch (message->kind) {
    case PGOUTPUT_BEGIN:
        read_begin(cursor, message);
        return true;
    case PGOUTPUT_COMMIT:
        read_commit(cursor, message);
        return true;
    case PGOUTPUT_RELATION:
        message->xid = in_stream ? take_u32(cursor) : 0;
        read_relation(cursor, message);
        return true;
    case PGOUTPUT_INSERT:
        message->xid = in_stream ? take_u32(cursor) : 0;
        read_insert(cursor, message);
        return true;
    case PGOUTPUT_STREAM_START:
        message->xid = take_u32(cursor);
        take_u8(cursor); /* whether it is the first part */
        return true;
    case PGOUTPUT_STREAM_STOP:
        return true;
    case PGOUTPUT_STREAM_COMMIT:
        message->xid = take_u32(cursor);
        read_commit(cursor, message);
        return true;
    case PGOUTPUT_STREAM_ABORT:
        message->xid = take_u32(cursor);
        message->subxid = take_u32(cursor);
        return true;
    case PGOUTPUT_ORIGIN:
    case PGOUTPUT_MESSAGE:
    case PGOUTPUT_TYPE:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
    case PGOUTPUT_TRUNCATE:
        return false;
    default:
        cursor->failed = true;
        return false;
    }
}

bool pgoutput_parse(struct bytes data, bool in_stream, struct pgoutput_message *ret_message, struct error *e)
{
    struct cursor cursor = { .at = data.data, .left = data.len };
    unsigned kind = take_u8(&cursor);

    ret_message->kind = kind;
    if (read_message(&cursor, in_stream, ret_message) && !cursor.failed && cursor.left > 0)
        return error_set(
            e, ERROR_INVALID, "pgoutput: %zu bytes too many in a message of kind 0x%02x", cursor.left, kind);
    if (cursor.failed)
        return error_set(
            e, ERROR_INVALID, "pgoutput: a message of %zu bytes and kind 0x%02x is not understood", data.len, kind);
    return true;
}

/* ---- Frames ---- */

bool pgoutput_read_frame(struct bytes data, struct pgoutput_frame *ret_frame, struct error *e)
{
    struct cursor cursor = { .at = data.data, .left = data.len };
    uint8_t kind = take_u8(&cursor);
    struct pgoutput_frame frame = { .keepalive = kind == 'k' };

    if (kind == 'w') {
        frame.lsn = take_u64(&cursor);
        take_u64(&cursor); /* the same again */
        take_u64(&cursor); /* time */
        frame.data = (struct bytes){ cursor.at, cursor.left };
    } else {
        frame.lsn = take_u64(&cursor);
        take_u64(&cursor); /* time */
        frame.reply_requested = take_u8(&cursor) != 0;
    }
    if ((kind != 'w' && kind != 'k') || cursor.failed || (frame.keepalive && cursor.left > 0))
        return error_set(
            e, ERROR_INVALID, "a walsender's frame of %zu bytes and kind 0x%02x is not understood", data.len, kind);
    *ret_frame = frame;
    return true;
}

static char *put_u64(char *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

void pgoutput_write_status(uint64_t lsn, int64_t at_us, char ret_data[PGOUTPUT_STATUS_BYTES])
{
    char *at = ret_data;

    *at++ = 'r';
    at = put_u64(at, lsn); /* written */
    at = put_u64(at, lsn); /* flushed: this is what moves the slot */
    at = put_u64(at, lsn); /* applied */
    at = put_u64(at, (uint64_t)(at_us - postgres_epoch_us));
    *at = 0; /* no reply wanted */
}

/* ---- Log positions as text ---- */

static const char *read_hex(const char *text, uint64_t *ret_half)
{
    uint64_t value = 0;
    size_t digits = strspn(text, "0123456789abcdefABCDEF");

    if (digits == 0 || digits > 8)
        return NULL;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];

        value = value * 16 + (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *ret_half = value;
    return text + digits;
}

bool lsn_parse(const char *text, uint64_t *ret_lsn)
{
    uint64_t high = 0, low = 0;

    text = read_hex(text, &high);
    if (!text || *text++ != '/')
        return false;
    text = read_hex(text, &low);
    if (!text || *text)
        return false;
    *ret_lsn = high << 32 | low;
    return true;
}

const char *lsn_format(uint64_t lsn, char ret_text[LSN_TEXT_MAX])
{
    snprintf(ret_text, LSN_TEXT_MAX, "%" PRIX64 "/%" PRIX64, lsn >> 32, lsn & UINT32_MAX);
    return ret_text;
}
