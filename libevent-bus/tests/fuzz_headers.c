/* The headers of a message are bytes of strangers. Whatever they are, what is read from them is text within its bounds,
 * and an event that was read can be written and read again as the same one.
 *
 * Input: headers one after the other, each a byte that chooses the name, a byte that gives the length, and the value.
 */
#include "../src/event_private.h"
#include "../src/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject",
    "content-type", "traceparent", "ce_traceparent", "" };

static rd_kafka_headers_t *make_headers(const uint8_t *data, size_t size)
{
    rd_kafka_headers_t *list = rd_kafka_headers_new(8);
    for (size_t at = 0; at + 2 <= size;) {
        const char *name = names[data[at] % ARRAY_LEN(names)];
        bool null = data[at] >= 0xf0; /* a header without a value */
        size_t len = data[at + 1];
        at += 2;
        len = len > size - at ? size - at : len;
        rd_kafka_header_add(list, name, -1, null ? NULL : data + at, null ? 0 : (ssize_t)len);
        at += len;
    }
    return list;
}

static void check_text(const char *text, size_t max)
{
    if (strlen(text) >= max || !text_is_clean(text, strlen(text)))
        abort();
}

static void check_same(const struct event *a, const struct event *b)
{
    if (strcmp(a->id, b->id) || strcmp(a->source, b->source) || strcmp(a->type, b->type) ||
        strcmp(a->subject, b->subject) || strcmp(a->traceparent, b->traceparent) || a->time_us != b->time_us)
        abort();
}

static void read_again(const struct event *event)
{
    struct event again = { 0 };
    struct error e = { 0 };
    rd_kafka_headers_t *list;
    if (!event_headers(event, &list, &e) || !event_parse_headers(list, &again, &e))
        abort();
    check_same(event, &again);
    rd_kafka_headers_destroy(list);
}

static void read_text(const uint8_t *data, size_t size)
{
    CLEANUP(xfree) char *text = xstrndup((const char *)data, size);
    struct trace trace, again;
    int64_t time_us;
    char time[EVENT_TIME_MAX];
    if (trace_parse(text, &trace) && (!trace_parse(trace.parent, &again) || strcmp(trace.parent, again.parent) != 0))
        abort();
    if (!event_time_parse(text, &time_us))
        return;
    int64_t same_us;
    event_time_format(time_us, time);
    if (!event_time_parse(time, &same_us) || same_us != time_us)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event event = { 0 };
    struct error e = { 0 };
    rd_kafka_headers_t *list = make_headers(data, size);
    if (event_parse_headers(list, &event, &e))
        read_again(&event);
    else if (e.kind != ERROR_INVALID || !e.field[0])
        abort();
    check_text(event.id, EVENT_ID_MAX);
    check_text(event.source, EVENT_SOURCE_MAX);
    check_text(event.type, EVENT_TYPE_MAX);
    check_text(event.subject, EVENT_SUBJECT_MAX);
    rd_kafka_headers_destroy(list);
    read_text(data, size);
    return 0;
}
