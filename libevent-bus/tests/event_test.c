#include <event_bus/event.h>

#include "orders_v1.pb-c.h"

#include <criterion/criterion.h>

#define VALID_TYPE "penstock.orders.v1.PlaceOrder"

/* A message without a broker: produced into the void, purged, and read back from its delivery report. */
struct void_message {
    rd_kafka_t *rk;
    rd_kafka_event_t *report;
    const rd_kafka_message_t *message;
};

static void make_message(struct void_message *m, rd_kafka_headers_t *headers, const char *key, struct bytes value)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[128];

    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    m->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(m->rk, "%s", why);
    cr_assert_eq(rd_kafka_producev(m->rk, RD_KAFKA_V_TOPIC("void"), RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
                     RD_KAFKA_V_VALUE((void *)value.data, value.len), RD_KAFKA_V_HEADERS(headers),
                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_purge(m->rk, RD_KAFKA_PURGE_F_QUEUE);

    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(m->rk);

    m->report = rd_kafka_queue_poll(queue, 5000);
    rd_kafka_queue_destroy(queue);
    cr_assert_not_null(m->report);
    m->message = rd_kafka_event_message_next(m->report);
    cr_assert_not_null(m->message);
}

static void drop_message(struct void_message *m)
{
    rd_kafka_event_destroy(m->report);
    rd_kafka_destroy(m->rk);
}

static const struct event whole = {
    .key = { "7", 1 },
    .id = "order-1",
    .source = "/tests",
    .type = VALID_TYPE,
    .subject = "7",
    .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    .time_us = 1700000000123456,
    .value = { "abc", 3 },
};

Test(event, headers_come_back_as_they_were_sent)
{
    struct void_message m;
    struct event back;
    struct error e = { 0 };
    rd_kafka_headers_t *headers;

    cr_assert(event_headers(&whole, &headers, &e), "%s", e.message);
    make_message(&m, headers, "7", whole.value);
    cr_assert(event_parse(m.message, "orders.requests.v1", &back, &e), "%s", e.message);
    cr_expect_str_eq(back.topic, "orders.requests.v1");
    cr_expect_str_eq(back.id, whole.id);
    cr_expect_str_eq(back.source, whole.source);
    cr_expect_str_eq(back.type, whole.type);
    cr_expect_str_eq(back.subject, whole.subject);
    cr_expect_str_eq(back.traceparent, whole.traceparent);
    cr_expect_eq(back.time_us, whole.time_us);
    cr_expect(back.key.len == 1 && memcmp(back.key.data, "7", 1) == 0);
    cr_expect(back.value.len == 3 && memcmp(back.value.data, "abc", 3) == 0);
    drop_message(&m);
}

Test(event, absent_attributes_are_empty_and_never_null)
{
    struct void_message m;
    struct event back;
    struct error e = { 0 };
    rd_kafka_headers_t *headers;
    struct event bare = { .id = "1", .source = "/s", .type = "T" };

    cr_assert(event_headers(&bare, &headers, &e), "%s", e.message);
    cr_expect_eq(rd_kafka_header_cnt(headers), 5); /* four attributes and content-type */
    make_message(&m, headers, NULL, (struct bytes){ "", 0 });
    cr_assert(event_parse(m.message, "t", &back, &e), "%s", e.message);
    cr_expect_str_eq(back.subject, "");
    cr_expect_str_eq(back.traceparent, "");
    cr_expect_eq(back.time_us, 0);
    cr_expect_eq(back.key.len, 0);
    drop_message(&m);
}

/* One change to a valid set of headers. value NULL: the header is left out; twice: it is there two times. */
struct header_case {
    const char *header, *value;
    size_t len; /* of value, where it is not a string */
    bool twice;
    bool accepted;
};

static const char long_text[300] = { [0 ... 298] = 'x' };

static const struct header_case header_cases[] = {
    { "ce_id", NULL },
    { "ce_id", "" },
    { "ce_id", long_text },
    { "ce_id", "a\nb" },
    { "ce_id", "a\0b", 3 },
    { "ce_id", "\xff\xfe" },
    { "ce_id", "\xc3\xa9", .accepted = true },
    { "ce_id", "again", .twice = true },
    { "ce_source", NULL },
    { "ce_source", "/x", .twice = true },
    { "ce_type", NULL },
    { "ce_type", long_text },
    { "ce_specversion", NULL },
    { "ce_specversion", "0.3" },
    { "ce_specversion", "1.01" },
    { "ce_time", "yesterday" },
    { "ce_time", "2023-02-29T00:00:00Z" },
    { "ce_time", NULL, .accepted = true },
    { "content-type", "application/json" },
    { "content-type", "application/cloudevents+json" },
    { "content-type", "application/protobuf; charset=x", .accepted = true },
    { "content-type", NULL, .accepted = true },
    { "ce_subject", long_text },
    { "traceparent", "00-zz", .accepted = true },
    { "x-other", "whatever", .twice = true, .accepted = true },
};

static rd_kafka_headers_t *headers_of_case(const struct header_case *c)
{
    rd_kafka_headers_t *headers;
    struct error e;

    cr_assert(event_headers(&whole, &headers, &e));
    rd_kafka_header_remove(headers, c->header);
    for (int i = 0; c->value && i < (c->twice ? 2 : 1); i++)
        rd_kafka_header_add(headers, c->header, -1, c->value, c->len ? (ssize_t)c->len : -1);
    return headers;
}

Test(event, malformed_headers_are_refused_by_name)
{
    for (size_t i = 0; i < ARRAY_LEN(header_cases); i++) {
        const struct header_case *c = &header_cases[i];
        struct void_message m;
        struct event back;
        struct error e = { 0 };

        make_message(&m, headers_of_case(c), "7", whole.value);

        bool accepted = event_parse(m.message, "t", &back, &e);

        cr_expect_eq(accepted, c->accepted, "case %zu: %s", i, c->header);
        cr_expect_str_eq(e.field, c->accepted ? "" : c->header, "case %zu: %s", i, c->header);
        cr_expect(accepted || error_is(&e, ERROR_INVALID));
        /* whatever was wrong, the rest is there for the dead letter */
        cr_expect_eq(back.value.len, 3, "case %zu: %s", i, c->header);
        cr_expect(back.id && back.source && back.type && back.subject && back.traceparent);
        if (strcmp(c->header, "ce_source") != 0)
            cr_expect_str_eq(back.source, "/tests", "case %zu: %s", i, c->header);
        if (strcmp(c->header, "traceparent") == 0)
            cr_expect_str_eq(back.traceparent, "");
        drop_message(&m);
    }
}

Test(event, a_message_without_any_header_is_refused)
{
    struct void_message m;
    struct event back;
    struct error e = { 0 };

    make_message(&m, rd_kafka_headers_new(0), NULL, (struct bytes){ "{}", 2 });
    cr_expect_not(event_parse(m.message, "t", &back, &e));
    cr_expect_str_eq(e.field, "ce_specversion");
    cr_expect_str_eq(back.id, "");
    drop_message(&m);
}

Test(event, an_event_in_structured_mode_is_told_what_it_is)
{
    struct void_message m;
    struct event back;
    struct error e = { 0 };
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);

    rd_kafka_header_add(headers, "content-type", -1, "Application/CloudEvents+json; charset=UTF-8", -1);
    make_message(&m, headers, NULL, (struct bytes){ "{}", 2 });
    cr_expect_not(event_parse(m.message, "t", &back, &e));
    cr_expect_str_eq(e.field, "content-type");
    cr_expect(strstr(e.message, "only binary mode"), "%s", e.message);
    drop_message(&m);
}

Test(event, the_trace_of_the_cloudevents_extension_counts_where_there_is_no_other)
{
#define EXTENSION "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    static const struct {
        const char *plain, *extension, *wanted;
    } cases[] = {
        { NULL, EXTENSION, EXTENSION },
        { "00-nonsense", EXTENSION, EXTENSION },
        { NULL, "00-nonsense", "" },
        { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", EXTENSION,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct void_message m;
        struct event back;
        struct error e = { 0 };
        rd_kafka_headers_t *headers;

        cr_assert(event_headers(&whole, &headers, &e));
        cr_expect_neq(rd_kafka_header_remove(headers, "ce_traceparent"), RD_KAFKA_RESP_ERR_NO_ERROR, "never written");
        rd_kafka_header_remove(headers, "traceparent");
        if (cases[i].plain)
            rd_kafka_header_add(headers, "traceparent", -1, cases[i].plain, -1);
        rd_kafka_header_add(headers, "ce_traceparent", -1, cases[i].extension, -1);
        make_message(&m, headers, "7", whole.value);
        cr_expect(event_parse(m.message, "t", &back, &e), "%zu: %s", i, e.message);
        cr_expect_str_eq(back.traceparent, cases[i].wanted, "%zu", i);
        drop_message(&m);
    }
}

Test(event, headers_that_would_be_refused_are_not_written)
{
    struct event bad[] = { whole, whole, whole };
    const char *fields[] = { "ce_id", "ce_source", "ce_type" };

    bad[0].id = NULL;
    bad[1].source = long_text;
    bad[2].type = "a\tb";
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        rd_kafka_headers_t *headers = NULL;
        struct error e = { 0 };

        cr_expect_not(event_headers(&bad[i], &headers, &e));
        cr_expect_null(headers);
        cr_expect_str_eq(e.field, fields[i]);
    }
}

static struct event packed_order(const char *symbol, uint8_t buffer[256])
{
    Penstock__Orders__V1__PlaceOrder order = PENSTOCK__ORDERS__V1__PLACE_ORDER__INIT;

    order.client_id = 7;
    order.symbol = (char *)symbol;
    return (struct event){ .type = VALID_TYPE, .value = { buffer, protobuf_c_message_pack(&order.base, buffer) } };
}

Test(event, decode_gives_the_message_of_the_named_type)
{
    uint8_t buffer[256];
    struct event event = packed_order("BTC-USD", buffer);
    struct error e = { 0 };
    ProtobufCMessage *message;

    cr_assert(event_decode(&event, &penstock__orders__v1__place_order__descriptor, &message, &e), "%s", e.message);
    cr_expect_str_eq(((Penstock__Orders__V1__PlaceOrder *)message)->symbol, "BTC-USD");
    protobuf_c_message_free_unpacked(message, NULL);

    cr_expect_not(event_decode(&event, &penstock__orders__v1__cancel_order__descriptor, &message, &e));
    cr_expect_str_eq(e.field, "ce_type");
}

Test(event, decode_refuses_what_is_not_protobuf_and_what_is_not_utf8)
{
    uint8_t buffer[256];
    struct event truncated = packed_order("BTC-USD", buffer);
    struct error e = { 0 };
    ProtobufCMessage *message = NULL;

    truncated.value.len -= 1;
    cr_expect_not(event_decode(&truncated, &penstock__orders__v1__place_order__descriptor, &message, &e));
    cr_expect(error_is(&e, ERROR_INVALID));

    struct event foreign = packed_order("BTC\xff", buffer);

    cr_expect_not(event_decode(&foreign, &penstock__orders__v1__place_order__descriptor, &message, &e));
    cr_expect_str_eq(e.field, "symbol");
    cr_expect_null(message);
}

/* ---- Times ---- */

static const struct {
    const char *text;
    int64_t time_us;
    bool canonical; /* formatting gives the text back */
} times[] = {
    { "1970-01-01T00:00:00.000000Z", 0, true },
    { "1970-01-01T00:00:00.000001Z", 1, true },
    { "1969-12-31T23:59:59.999999Z", -1, true },
    { "2023-11-14T22:13:20.123456Z", 1700000000123456, true },
    { "2024-02-29T12:00:00.000000Z", 1709208000000000, true },
    { "0001-01-01T00:00:00.000000Z", -62135596800000000, true },
    { "9999-12-31T23:59:59.999999Z", 253402300799999999, true },
    { "2023-11-14T22:13:20Z", 1700000000000000 },
    { "2023-11-14t22:13:20.5z", 1700000000500000 },
    { "2023-11-14T22:13:20.123456789Z", 1700000000123456 },
    { "2023-11-15T00:13:20+02:00", 1700000000000000 },
    { "2023-11-14T16:43:20-05:30", 1700000000000000 },
    { "2016-12-31T23:59:60Z", 1483228800000000 },
};

Test(event_time, parses_and_formats)
{
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t time_us = -5;
        char text[EVENT_TIME_MAX];

        cr_expect(event_time_parse(times[i].text, &time_us), "%s", times[i].text);
        cr_expect_eq(time_us, times[i].time_us, "%s: %lld", times[i].text, (long long)time_us);
        event_time_format(times[i].time_us, text);
        if (times[i].canonical)
            cr_expect_str_eq(text, times[i].text);
    }
}

Test(event_time, refuses_what_is_not_a_time)
{
    static const char *const bad[] = { "", "now", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14 22:13:20Z",
        "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
        "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z", "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00+0200", "2023-01-01T00:00:00Zz", "23-01-01T00:00:00Z", "-023-01-01T00:00:00Z" };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t time_us;

        cr_expect_not(event_time_parse(bad[i], &time_us), "%s", bad[i]);
    }
}

Test(event_time, a_time_outside_the_calendar_is_clamped)
{
    char text[EVENT_TIME_MAX];

    event_time_format(INT64_MAX, text);
    cr_expect_str_eq(text, "9999-12-31T23:59:59.775807Z");
    event_time_format(INT64_MIN, text);
    cr_expect_eq(strncmp(text, "0000-01-01T00:00:00.", 20), 0, "%s", text);
}
