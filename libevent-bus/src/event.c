#include "event_private.h"
#include "text.h"

#include <stdio.h>

#define SPEC_VERSION "1.0"
#define CONTENT_TYPE "application/protobuf"
#define STRUCTURED   "application/cloudevents"

enum {
    SPEC_VERSION_MAX = 16,
    CONTENT_TYPE_MAX = 128,
    TRACEPARENT_MAX = 256, /* a later version of Trace Context may be longer than ours */
    NESTING_MAX = 32,      /* messages within messages */
};

/* The headers we know, in the order they are written. */
enum header { SPECVERSION, ID, SOURCE, TYPE, TIME, SUBJECT, CONTENT, TRACEPARENT, TRACE_EXTENSION, HEADERS };

static const struct {
    const char *name;
    size_t max; /* bytes with the NUL */
    bool required;
} headers[HEADERS] = {
    [SPECVERSION] = { "ce_specversion", SPEC_VERSION_MAX, true },
    [ID] = { "ce_id", EVENT_ID_MAX, true },
    [SOURCE] = { "ce_source", EVENT_SOURCE_MAX, true },
    [TYPE] = { "ce_type", EVENT_TYPE_MAX, true },
    [TIME] = { "ce_time", EVENT_TIME_MAX * 2, false },
    [SUBJECT] = { "ce_subject", EVENT_SUBJECT_MAX, false },
    [CONTENT] = { "content-type", CONTENT_TYPE_MAX, false },
    [TRACEPARENT] = { "traceparent", TRACEPARENT_MAX, false },
    /* CloudEvents' distributed tracing extension, as its SDKs write it: read where there is no other, never written. */
    [TRACE_EXTENSION] = { "ce_traceparent", TRACEPARENT_MAX, false },
};

static bool refuse(enum header h, const char *why, struct error *e)
{
    return error_field(e, ERROR_INVALID, "", headers[h].name, "header %s %s", headers[h].name, why);
}

static bool check_value(enum header h, const char *value, size_t len, struct error *e)
{
    if (len >= headers[h].max)
        return refuse(h, "is too long", e);
    if (headers[h].required && len == 0)
        return refuse(h, "is empty", e);
    if (!text_is_clean(value, len))
        return refuse(h, "is not printable UTF-8", e);
    return true;
}

bool event_headers(const struct event *event, rd_kafka_headers_t **ret_headers, struct error *e)
{
    char time[EVENT_TIME_MAX] = "";

    if (event->time_us != 0)
        event_time_format(event->time_us, time);

    const char *values[HEADERS] = {
        [SPECVERSION] = SPEC_VERSION,
        [ID] = event->id,
        [SOURCE] = event->source,
        [TYPE] = event->type,
        [TIME] = time,
        [SUBJECT] = event->subject,
        [CONTENT] = CONTENT_TYPE,
        [TRACEPARENT] = event->traceparent,
    };

    for (enum header h = 0; h < HEADERS; h++) {
        values[h] = values[h] ? values[h] : "";
        if (!check_value(h, values[h], strlen(values[h]), e))
            return false;
    }

    rd_kafka_headers_t *list = rd_kafka_headers_new(HEADERS);

    for (enum header h = 0; h < HEADERS; h++) {
        if (values[h][0] != '\0')
            rd_kafka_header_add(list, headers[h].name, -1, values[h], -1);
    }
    *ret_headers = list;
    return true;
}

/* What a message has of each header. A header's value has a NUL behind it, from librdkafka. */
struct found_header {
    const void *value;
    size_t len;
    unsigned times;
};

/* One walk over them: asking librdkafka for each by its name would be as many. */
static void find_headers(const rd_kafka_headers_t *list, struct found_header ret_found[HEADERS])
{
    const char *name;
    const void *value;
    size_t len;

    memset(ret_found, 0, HEADERS * sizeof *ret_found);
    for (size_t i = 0; list && rd_kafka_header_get_all(list, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        for (enum header h = 0; h < HEADERS; h++)
            if (strcmp(name, headers[h].name) == 0) {
                if (ret_found[h].times++ == 0)
                    ret_found[h] = (struct found_header){ value, len, 1 };
                break;
            }
}

/* The one value of header h; "" if it is absent. */
static bool read_header(const struct found_header *found, enum header h, const char **ret_value, struct error *e)
{
    const char *value = found->value ? found->value : "";

    if (found->times == 0)
        return !headers[h].required || refuse(h, "is missing", e);
    if (found->times > 1)
        return refuse(h, "is repeated", e);
    if (!check_value(h, value, found->value ? found->len : 0, e))
        return false;
    *ret_value = value;
    return true;
}

static bool check_content_type(const char *content_type)
{
    size_t len = strlen(CONTENT_TYPE);

    return content_type[0] == '\0' || (strncasecmp(content_type, CONTENT_TYPE, len) == 0 &&
                                          (content_type[len] == '\0' || content_type[len] == ';'));
}

static bool is_structured(const char *content_type)
{
    return strncasecmp(content_type, STRUCTURED, strlen(STRUCTURED)) == 0;
}

/* W3C: a traceparent that does not parse is as good as none. */
static const char *find_trace(const char *const values[HEADERS])
{
    struct trace trace;

    if (trace_parse(values[TRACEPARENT], &trace))
        return values[TRACEPARENT];
    return trace_parse(values[TRACE_EXTENSION], &trace) ? values[TRACE_EXTENSION] : "";
}

bool event_parse_headers(const rd_kafka_headers_t *list, struct event *event, struct error *e)
{
    const char *values[HEADERS];
    struct found_header found[HEADERS];
    struct error first = { 0 }, later;

    find_headers(list, found);
    /* A bad header does not hide the others: a dead letter names what can be read. */
    for (enum header h = 0; h < HEADERS; h++) {
        values[h] = "";
        if (!read_header(&found[h], h, &values[h], error_is(&first, ERROR_NONE) ? &first : &later))
            values[h] = "";
    }
    event->id = values[ID];
    event->source = values[SOURCE];
    event->type = values[TYPE];
    event->subject = values[SUBJECT];
    event->traceparent = find_trace(values);
    if (is_structured(values[CONTENT])) /* says more than that ce_specversion is missing */
        return refuse(CONTENT, "tells of structured content mode; only binary mode is read", e);
    if (!error_is(&first, ERROR_NONE)) {
        *e = first;
        return false;
    }
    if (strcmp(values[SPECVERSION], SPEC_VERSION) != 0)
        return refuse(SPECVERSION, "is not " SPEC_VERSION, e);
    if (!check_content_type(values[CONTENT]))
        return refuse(CONTENT, "is not " CONTENT_TYPE, e);
    if (values[TIME][0] != '\0' && !event_time_parse(values[TIME], &event->time_us))
        return refuse(TIME, "is not an RFC 3339 time", e);
    return true;
}

bool event_parse(const rd_kafka_message_t *message, const char *bare_topic, struct event *ret_event, struct error *e)
{
    rd_kafka_headers_t *list = NULL;

    if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        list = NULL;
    *ret_event = (struct event){
        .topic = bare_topic,
        .partition = message->partition,
        .offset = message->offset,
        .key = { message->key, message->key_len },
        .value = { message->payload, message->len },
    };
    return event_parse_headers(list, ret_event, e);
}

/* ---- Values ---- */

static bool check_message(const ProtobufCMessage *message, int depth, struct error *e);

static bool check_element(const ProtobufCFieldDescriptor *field, const void *element, int depth, struct error *e)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *nested = *(ProtobufCMessage *const *)element;

        return !nested || check_message(nested, depth + 1, e);
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(char *const *)element;

        if (text && !text_is_utf8(text, strlen(text)))
            return error_field(e, ERROR_INVALID, "", field->name, "field %s is not UTF-8", field->name);
    }
    return true;
}

static bool check_field(
    const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, int depth, struct error *e)
{
    const char *base = (const char *)message;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        bool other_of_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
                              *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id;

        return other_of_oneof || check_element(field, base + field->offset, depth, e);
    }
    if (field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING)
        return true;

    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    void *const *elements = *(void *const *const *)(const void *)(base + field->offset);

    for (size_t i = 0; i < count; i++) {
        if (!check_element(field, &elements[i], depth, e))
            return false;
    }
    return true;
}

/* proto3 strings are UTF-8; protobuf-c does not look. */
static bool check_message(const ProtobufCMessage *message, int depth, struct error *e)
{
    if (depth > NESTING_MAX)
        return error_set(e, ERROR_INVALID, "messages are nested more than %d deep", NESTING_MAX);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        if (!check_field(message, &message->descriptor->fields[i], depth, e))
            return false;
    }
    return true;
}

static bool decode(const struct event *event, const ProtobufCMessageDescriptor *descriptor,
    ProtobufCAllocator *allocator, ProtobufCMessage **ret_message, struct error *e)
{
    if (strcmp(event->type, descriptor->name) != 0)
        return error_field(e, ERROR_INVALID, "", "ce_type", "event is a %s, not a %s", event->type, descriptor->name);

    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, allocator, event->value.len, event->value.data);

    if (!message)
        return error_set(e, ERROR_INVALID, "value does not decode as %s", descriptor->name);
    if (!check_message(message, 0, e)) {
        protobuf_c_message_free_unpacked(message, allocator);
        return false;
    }
    *ret_message = message;
    return true;
}

bool event_decode(const struct event *event, const ProtobufCMessageDescriptor *descriptor,
    ProtobufCMessage **ret_message, struct error *e)
{
    return decode(event, descriptor, NULL, ret_message, e);
}

static void *alloc_in_arena(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void free_with_arena(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

bool event_decode_in(struct arena *arena, const struct event *event, const ProtobufCMessageDescriptor *descriptor,
    ProtobufCMessage **ret_message, struct error *e)
{
    ProtobufCAllocator allocator = { alloc_in_arena, free_with_arena, arena };

    return decode(event, descriptor, &allocator, ret_message, e);
}
