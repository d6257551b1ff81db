/* wire.h -- writes protobuf's wire format by field number, as protobuf-c would pack it: fields in their order, what is
 * 0 or empty left out. For the few messages that leave the engine by the hundred thousand a second; a test compares
 * each with protobuf-c. One thread. */
#pragma once

#include <event_bus/base.h>

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    WIRE_VARINT_MAX = 10, /* bytes */
    WIRE_CAPACITY_MIN = 1024,
};

struct wire {
    uint8_t *data;
    size_t len, capacity;
};

static inline void wire_release(struct wire *w)
{
    xfree(w->data);
    *w = (struct wire){ 0 };
}

static inline void wire_clear(struct wire *w)
{
    w->len = 0;
}

static inline void wire_reserve(struct wire *w, size_t more)
{
    if (w->capacity - w->len >= more)
        return;
    w->capacity = 2 * (w->capacity + more) + WIRE_CAPACITY_MIN;
    w->data = xrealloc(w->data, w->capacity);
}

/* The caller has reserved. */
static inline void wire_varint(struct wire *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        w->data[w->len++] = (uint8_t)(value | 0x80);
    w->data[w->len++] = (uint8_t)value;
}

static inline void wire_uint(struct wire *w, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    wire_reserve(w, 2 * WIRE_VARINT_MAX);
    wire_varint(w, field << 3 | WIRE_VARINT);
    wire_varint(w, value);
}

static inline void wire_int(struct wire *w, unsigned field, int64_t value)
{
    wire_uint(w, field, (uint64_t)value);
}

static inline void wire_text(struct wire *w, unsigned field, const char *text, size_t len)
{
    if (len == 0)
        return;
    wire_reserve(w, 2 * WIRE_VARINT_MAX + len);
    wire_varint(w, field << 3 | WIRE_BYTES);
    wire_varint(w, len);
    memcpy(w->data + w->len, text, len);
    w->len += len;
}

/* A message within: what is written between the two calls. */
static inline size_t wire_open(struct wire *w, unsigned field)
{
    wire_reserve(w, 2 * WIRE_VARINT_MAX);
    wire_varint(w, field << 3 | WIRE_BYTES);
    return ++w->len; /* one byte for the length; wire_close() makes room if it takes more */
}

static inline void wire_close(struct wire *w, size_t begin)
{
    size_t len = w->len - begin, more = 0;

    for (size_t rest = len; rest >= 0x80; rest >>= 7)
        more++;
    if (more > 0) {
        wire_reserve(w, more);
        memmove(w->data + begin + more, w->data + begin, len);
    }
    w->len = begin - 1;
    wire_varint(w, len);
    w->len += len;
}

/* Fields that are on the wire already. */
static inline void wire_append(struct wire *w, const struct wire *fields)
{
    wire_reserve(w, fields->len);
    if (fields->len > 0)
        memcpy(w->data + w->len, fields->data, fields->len);
    w->len += fields->len;
}
