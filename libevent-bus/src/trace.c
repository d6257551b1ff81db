/* trace.c -- W3C Trace Context, version 00. */
#include <event_bus/trace.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    ID_OFFSET = 3,
    ID_LEN = 32,
    SPAN_OFFSET = ID_OFFSET + ID_LEN + 1,
    SPAN_LEN = 16,
    FLAGS_OFFSET = SPAN_OFFSET + SPAN_LEN + 1,
};

static void draw(unsigned char *ret, size_t len)
{
    ssize_t got = getrandom(ret, len, 0);
    assert(got == (ssize_t)len); /* up to 256 bytes are never cut short */
}

/* Not all zero, which the standard reserves for "invalid". */
static void put_hex(char *ret, const unsigned char *random, size_t len)
{
    bool zero = true;
    for (size_t i = 0; i < len / 2; i++) {
        ret[2 * i] = "0123456789abcdef"[random[i] >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
        zero = zero && random[i] == 0;
    }
    if (zero)
        ret[len - 1] = '1';
}

void trace_new(struct trace *ret_trace)
{
    unsigned char random[(ID_LEN + SPAN_LEN) / 2];
    draw(random, sizeof random);
    memcpy(ret_trace->parent, "00-", ID_OFFSET);
    put_hex(ret_trace->parent + ID_OFFSET, random, ID_LEN);
    ret_trace->parent[SPAN_OFFSET - 1] = '-';
    put_hex(ret_trace->parent + SPAN_OFFSET, random + ID_LEN / 2, SPAN_LEN);
    memcpy(ret_trace->parent + FLAGS_OFFSET - 1, "-01", sizeof "-01");
}

static bool is_hex(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(const char *s, size_t len)
{
    return strspn(s, "0") >= len;
}

static bool well_formed(const char *s)
{
    size_t len = strnlen(s, TRACEPARENT_LEN + 1);
    if (len < TRACEPARENT_LEN || !is_hex(s, 2) || strncmp(s, "ff", 2) == 0)
        return false;
    /* A later version may append fields, after a dash; version 00 has none. */
    if (len > TRACEPARENT_LEN && (strncmp(s, "00", 2) == 0 || s[TRACEPARENT_LEN] != '-'))
        return false;
    return s[ID_OFFSET - 1] == '-' && s[SPAN_OFFSET - 1] == '-' && s[FLAGS_OFFSET - 1] == '-' &&
           is_hex(s + ID_OFFSET, ID_LEN) && is_hex(s + SPAN_OFFSET, SPAN_LEN) && is_hex(s + FLAGS_OFFSET, 2) &&
           !is_zero(s + ID_OFFSET, ID_LEN) && !is_zero(s + SPAN_OFFSET, SPAN_LEN);
}

bool trace_parse(const char *traceparent, struct trace *ret_trace)
{
    memset(ret_trace, 0, sizeof *ret_trace);
    if (!traceparent || !well_formed(traceparent))
        return false;
    memcpy(ret_trace->parent, traceparent, TRACEPARENT_LEN);
    /* What is sent on is version 00, of whose flags only "sampled" has a meaning. */
    bool sampled = strchr("13579bdf", traceparent[FLAGS_OFFSET + 1]) != NULL;
    memcpy(ret_trace->parent, "00", 2);
    memcpy(ret_trace->parent + FLAGS_OFFSET, sampled ? "01" : "00", 2);
    return true;
}

void trace_child(const struct trace *parent, struct trace *ret_trace)
{
    if (parent->parent[0] == '\0') {
        trace_new(ret_trace);
        return;
    }
    unsigned char random[SPAN_LEN / 2];
    draw(random, sizeof random);
    *ret_trace = *parent;
    put_hex(ret_trace->parent + SPAN_OFFSET, random, SPAN_LEN);
}

void trace_id(const struct trace *trace, char ret_hex[33])
{
    ret_hex[0] = '\0';
    if (trace->parent[0] != '\0') {
        memcpy(ret_hex, trace->parent + ID_OFFSET, ID_LEN);
        ret_hex[ID_LEN] = '\0';
    }
}
