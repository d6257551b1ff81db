#include "flow.h"

#include "commands.h"
#include "outputs.h"

#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"
#include "registry.h"

#include <event_bus/proto_json.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_TOPIC "orders.accepted.v1"
#define TRACEPARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

enum {
    TRANSACTION_MAX = 100,
    CALL_TIMEOUT_MS = 20000,
    GROUP_NAME_MAX = 256,
    TIME_STEP_US = 7,
};

/* What a record must be the same in: its place among those of its key and symbol, and all its bytes. */
struct line {
    char group[GROUP_NAME_MAX];
    size_t index; /* as read: order within the group */
    char id[EVENT_ID_MAX];
    uint64_t digest;
};

struct lines {
    struct line *items;
    size_t count, capacity;
};

struct flow {
    struct kafka_options kafka;
    char prefix[64];
    struct event *commands;
    size_t count, capacity, fed;
    int64_t at_us;
    rd_kafka_t *feeder, *observer, *watcher;
    int64_t last_offsets[FLOW_PARTITIONS_MAX]; /* of fed commands; -1: none */
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct flow *flow = opaque;

    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->_private && message->partition < FLOW_PARTITIONS_MAX &&
        message->offset > flow->last_offsets[message->partition])
        flow->last_offsets[message->partition] = message->offset;
}

static rd_kafka_t *make_handle(struct flow *flow, rd_kafka_type_t type, const char *const settings[][2])
{
    rd_kafka_conf_t *conf;
    struct error e = { 0 };
    char why[256];

    cr_assert(kafka_conf(&flow->kafka, &conf, &e), "%s", e.message);
    for (size_t i = 0; settings[i][0]; i++)
        cr_assert(kafka_conf_set(conf, settings[i][0], settings[i][1], &e), "%s", e.message);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, flow);

    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);

    cr_assert(rk, "%s", why);
    return rk;
}

static void must(rd_kafka_error_t *error, const char *what)
{
    cr_assert(!error, "%s: %s", what, rd_kafka_error_string(error));
}

struct flow *flow_new(const char *brokers, const char *topic_prefix)
{
    struct flow *flow = xcalloc(1, sizeof *flow);
    char id[128], group[128];

    snprintf(flow->prefix, sizeof flow->prefix, "%s", topic_prefix);
    flow->kafka =
        (struct kafka_options){ .brokers = xstrdup(brokers), .topic_prefix = flow->prefix, .client_id = "engine-test" };
    flow->at_us = 1700000000000000;
    snprintf(id, sizeof id, "%sfeeder", topic_prefix);
    snprintf(group, sizeof group, "%smatching-engine", topic_prefix);
    for (size_t i = 0; i < FLOW_PARTITIONS_MAX; i++)
        flow->last_offsets[i] = -1;
    flow->feeder = make_handle(flow, RD_KAFKA_PRODUCER,
        (const char *const[][2]){ { "transactional.id", id }, { "partitioner", "murmur2_random" }, { NULL } });
    flow->observer = make_handle(flow, RD_KAFKA_CONSUMER,
        (const char *const[][2]){ { "group.id", group }, { "isolation.level", "read_committed" },
            { "enable.partition.eof", "true" }, { "fetch.wait.max.ms", "10" }, { "enable.auto.commit", "false" },
            { NULL } });
    flow->watcher = make_handle(flow, RD_KAFKA_CONSUMER,
        (const char *const[][2]){ { "group.id", group }, { "isolation.level", "read_uncommitted" }, { NULL } });
    must(rd_kafka_init_transactions(flow->feeder, CALL_TIMEOUT_MS), "init transactions");
    return flow;
}

/* ---- The log ---- */

void flow_add_raw(struct flow *flow, const char *key, const char *type, struct bytes value)
{
    if (flow->count == flow->capacity) {
        flow->capacity = flow->capacity ? 2 * flow->capacity : 256;
        flow->commands = xrealloc(flow->commands, flow->capacity * sizeof *flow->commands);
    }
    flow->commands[flow->count] = (struct event){
        .topic = INPUT_TOPIC,
        .key = { xstrdup(key), strlen(key) },
        .id = xasprintf("trade-ledger-%zu", flow->count + 1),
        .source = "/penstock/trade-ledger",
        .type = xstrdup(type),
        .subject = "",
        .traceparent = flow->count % 2 ? TRACEPARENT : "",
        .time_us = flow->at_us,
        .value = { memcpy(xmalloc(value.len + 1), value.data, value.len), value.len },
    };
    flow->count++;
    flow->at_us += TIME_STEP_US;
}

void flow_add(struct flow *flow, const char *key, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    CLEANUP(xfree) char *value = xmalloc(len + 1);

    protobuf_c_message_pack(message, (uint8_t *)value);
    flow_add_raw(flow, key, message->descriptor->name, (struct bytes){ value, len });
}

void flow_add_market(struct flow *flow, const char *symbol, uint32_t market_id)
{
    Penstock__Markets__V1__MarketConfigured market = PENSTOCK__MARKETS__V1__MARKET_CONFIGURED__INIT;

    market.market_id = market_id;
    market.symbol = (char *)symbol;
    market.base_asset_id = market_id + 1;
    market.quote_asset_id = 1;
    market.lot_minor = 100;
    market.notional_unit_minor = 1;
    market.maker_fee_ppm = 1000;
    market.taker_fee_ppm = 2000;
    market.status = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_OPEN;
    flow_add(flow, symbol, &market.base);
}

void flow_add_order(struct flow *flow, const char *symbol, uint64_t order_id, uint64_t user_id, const char *side,
    int64_t quantity_lots, int64_t price_ticks, const char *flags)
{
    Penstock__Orders__V1__OrderAccepted order = PENSTOCK__ORDERS__V1__ORDER_ACCEPTED__INIT;
    bool buys = strcmp(side, "buy") == 0;

    order.order_id = order_id;
    order.user_id = user_id;
    order.symbol = (char *)symbol;
    order.side = buys ? PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY : PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL;
    order.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    order.time_in_force = strcmp(flags, "ioc") == 0   ? PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_IOC
                          : strcmp(flags, "fok") == 0 ? PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_FOK
                                                      : PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC;
    order.post_only = strcmp(flags, "post") == 0;
    order.price_ticks = price_ticks;
    order.quantity_lots = quantity_lots;
    order.hold_minor = buys ? price_ticks * quantity_lots : quantity_lots * 100;
    order.accepted_at_us = flow->at_us;
    flow_add(flow, symbol, &order.base);
}

void flow_add_cancel(struct flow *flow, const char *symbol, uint64_t order_id, uint64_t user_id)
{
    Penstock__Orders__V1__CancelAccepted cancel = PENSTOCK__ORDERS__V1__CANCEL_ACCEPTED__INIT;

    cancel.order_id = order_id;
    cancel.user_id = user_id;
    cancel.symbol = (char *)symbol;
    cancel.accepted_at_us = flow->at_us;
    flow_add(flow, symbol, &cancel.base);
}

static uint64_t next_random(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 33) % below;
}

void flow_add_random(struct flow *flow, uint64_t seed, size_t count)
{
    static const char *const symbols[] = { "BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "DOT-USD", "XRP-USD" };
    static const char *const flags[] = { "", "", "", "", "ioc", "fok", "post" };
    enum { USERS = 20, RECENT = 200 };
    uint64_t order_id = 0;

    for (uint32_t i = 0; i < ARRAY_LEN(symbols); i++)
        flow_add_market(flow, symbols[i], i + 1);
    for (size_t i = 0; i < count; i++) {
        if (order_id > 0 && next_random(&seed, 100) < 20) {
            uint64_t span = order_id < RECENT ? order_id : RECENT;
            uint64_t target = order_id - next_random(&seed, span);

            flow_add_cancel(flow, symbols[target % ARRAY_LEN(symbols)], target, 1 + target % USERS);
            continue;
        }
        /* The sides overlap a little, so that books grow deep and still trade. */
        bool buys = next_random(&seed, 2) == 0;

        order_id++;
        flow_add_order(flow, symbols[order_id % ARRAY_LEN(symbols)], order_id, 1 + order_id % USERS,
            buys ? "buy" : "sell", 1 + (int64_t)next_random(&seed, 50),
            (buys ? 1000 : 1020) + (int64_t)next_random(&seed, 30), flags[next_random(&seed, ARRAY_LEN(flags))]);
    }
}

size_t flow_count(const struct flow *flow)
{
    return flow->count;
}

size_t flow_fed(const struct flow *flow)
{
    return flow->fed;
}

/* ---- Feeding ---- */

static void produce(struct flow *flow, const struct event *event, bool counted)
{
    char topic[KAFKA_TOPIC_MAX];
    rd_kafka_headers_t *headers;
    struct error e = { 0 };

    cr_assert(
        kafka_topic_name(&flow->kafka, INPUT_TOPIC, topic, &e) && event_headers(event, &headers, &e), "%s", e.message);
    cr_assert(rd_kafka_producev(flow->feeder, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(event->key.data, event->key.len),
                  RD_KAFKA_V_VALUE((void *)event->value.data, event->value.len), RD_KAFKA_V_HEADERS(headers),
                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(counted ? flow : NULL),
                  RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* A command that never was: the engine must not see it. */
static void feed_aborted(struct flow *flow, const struct event *command)
{
    must(rd_kafka_begin_transaction(flow->feeder), "begin");
    produce(flow, command, false);
    rd_kafka_flush(flow->feeder, CALL_TIMEOUT_MS);
    must(rd_kafka_abort_transaction(flow->feeder, CALL_TIMEOUT_MS), "abort");
}

void flow_feed(struct flow *flow, size_t from, size_t to)
{
    cr_assert(from == flow->fed && to <= flow->count);
    while (flow->fed < to) {
        if (flow->fed % 3 == 0)
            feed_aborted(flow, &flow->commands[flow->fed]);
        must(rd_kafka_begin_transaction(flow->feeder), "begin");
        for (size_t i = 0; i < TRANSACTION_MAX && flow->fed < to; i++)
            produce(flow, &flow->commands[flow->fed++], true);
        must(rd_kafka_commit_transaction(flow->feeder, CALL_TIMEOUT_MS), "commit");
    }
}

static bool is_drained(struct flow *flow)
{
    char topic[KAFKA_TOPIC_MAX];
    struct error e = { 0 };
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(FLOW_PARTITIONS_MAX);
    bool drained = true;

    cr_assert(kafka_topic_name(&flow->kafka, INPUT_TOPIC, topic, &e));
    for (int32_t i = 0; i < FLOW_PARTITIONS_MAX; i++)
        if (flow->last_offsets[i] >= 0)
            rd_kafka_topic_partition_list_add(list, topic, i);
    if (rd_kafka_committed(flow->observer, list, CALL_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        drained = false;
    for (int i = 0; i < list->cnt && drained; i++)
        drained = list->elems[i].offset > flow->last_offsets[list->elems[i].partition];
    rd_kafka_topic_partition_list_destroy(list);
    return drained;
}

void flow_committed(struct flow *flow, int64_t ret_offsets[FLOW_PARTITIONS_MAX])
{
    char topic[KAFKA_TOPIC_MAX];
    struct error e = { 0 };
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(FLOW_PARTITIONS_MAX);

    cr_assert(kafka_topic_name(&flow->kafka, INPUT_TOPIC, topic, &e));
    for (int32_t i = 0; i < FLOW_PARTITIONS_MAX; i++)
        if (flow->last_offsets[i] >= 0)
            rd_kafka_topic_partition_list_add(list, topic, i);
    memset(ret_offsets, 0, FLOW_PARTITIONS_MAX * sizeof *ret_offsets);
    cr_assert(rd_kafka_committed(flow->watcher, list, CALL_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset > 0)
            ret_offsets[list->elems[i].partition] = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
}

void flow_wait_drained(struct flow *flow, uint32_t timeout_ms)
{
    int64_t give_up_us = monotonic_us() + (int64_t)timeout_ms * 1000;

    while (!is_drained(flow)) {
        cr_assert(monotonic_us() < give_up_us, "the engine has not committed everything after %u ms", timeout_ms);
        usleep(20000);
    }
}

/* ---- Reading back ---- */

typedef void (*record_reader)(void *context, const rd_kafka_message_t *message, const struct event *event);

static size_t assign_all(struct flow *flow, const char *bare_topic, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(flow->observer, topic, NULL);

    cr_assert(rd_kafka_metadata(flow->observer, 0, handle, &metadata, CALL_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                  metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt > 0,
        "topic %s is not there", bare_topic);

    int partitions = metadata->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);

    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    cr_assert(rd_kafka_assign(flow->observer, list) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return (size_t)partitions;
}

static void read_all(struct flow *flow, const char *bare_topic, record_reader read, void *context)
{
    char topic[KAFKA_TOPIC_MAX];
    struct error e = { 0 };

    cr_assert(kafka_topic_name(&flow->kafka, bare_topic, topic, &e));
    for (size_t open = assign_all(flow, bare_topic, topic); open > 0;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(flow->observer, CALL_TIMEOUT_MS);
        struct event event;

        cr_assert(message, "no end of %s", bare_topic);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            open--;
        else {
            cr_assert(message->err == RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_message_errstr(message));
            bool parsed = event_parse(message, bare_topic, &event, &e);
            cr_assert(parsed || strstr(bare_topic, ".dead"), "%s", e.message);
            read(context, message, &event);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(flow->observer, NULL);
}

static uint64_t mix(uint64_t digest, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        digest = (digest ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return (digest ^ len) * 1099511628211u;
}

static void add_line(
    struct lines *lines, const char *topic, const struct event *event, const rd_kafka_headers_t *headers)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? 2 * lines->capacity : 1024;
        lines->items = xrealloc(lines->items, lines->capacity * sizeof *lines->items);
    }
    struct line *line = &lines->items[lines->count];
    const char *name;
    const void *value;
    size_t size;

    line->index = lines->count++;
    snprintf(line->id, sizeof line->id, "%s", event->id);
    snprintf(line->group, sizeof line->group, "%s %.*s %.*s", topic, (int)event->key.len, (const char *)event->key.data,
        (int)(strrchr(event->id, '-') - event->id), event->id);
    line->digest = mix(14695981039346656037u, event->key.data, event->key.len);
    line->digest = mix(line->digest, event->value.data, event->value.len);
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        line->digest = mix(line->digest, name, strlen(name));
        line->digest = mix(line->digest, value, size);
    }
}

static int by_group(const void *a, const void *b)
{
    const struct line *one = a, *other = b;
    int order = strcmp(one->group, other->group);

    return order != 0 ? order : (one->index > other->index) - (one->index < other->index);
}

static void add_record(void *context, const rd_kafka_message_t *message, const struct event *event)
{
    rd_kafka_headers_t *headers;

    cr_assert(rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR);
    add_line(context, event->topic, event, headers);
}

static struct lines read_outputs(struct flow *flow)
{
    struct lines lines = { 0 };

    for (size_t topic = 0; topic < OUTPUT_DEAD; topic++)
        read_all(flow, output_topic_names[topic], add_record, &lines);
    qsort(lines.items, lines.count, sizeof *lines.items, by_group);
    return lines;
}

/* The commands through core and encoder, here and now. */
static struct lines expected_outputs(const struct flow *flow)
{
    CLEANUP(outputs_free) struct outputs *outputs = outputs_new();
    CLEANUP(engine_free)
    struct engine *engine = engine_new(&(struct engine_options){
        .orders_max = 100000, .markets_max = 16, .level3 = true, .drain = outputs_records, .context = outputs });
    CLEANUP(arena_free) struct arena *scratch = arena_new();
    struct lines lines = { 0 };

    outputs_set_engine(outputs, engine);
    for (size_t i = 0; i < flow->fed; i++) {
        struct error refused = { 0 };

        outputs_begin_command(outputs, flow->commands[i].traceparent);
        if (commands_apply(engine, scratch, &flow->commands[i], &refused))
            engine_flush(engine);
    }
    for (size_t i = 0; i < outputs_count(outputs); i++) {
        const struct output *output = outputs_at(outputs, i);
        rd_kafka_headers_t *headers;
        struct error e = { 0 };

        cr_assert(event_headers(&output->event, &headers, &e), "%s", e.message);
        add_line(&lines, output->event.topic, &output->event, headers);
        rd_kafka_headers_destroy(headers);
    }
    qsort(lines.items, lines.count, sizeof *lines.items, by_group);
    return lines;
}

size_t flow_check_outputs(struct flow *flow)
{
    struct lines expected = expected_outputs(flow), got = read_outputs(flow);
    size_t count = expected.count;

    for (size_t i = 0; i < expected.count && i < got.count; i++) {
        const struct line *a = &got.items[i], *b = &expected.items[i];

        cr_assert(strcmp(a->group, b->group) == 0 && strcmp(a->id, b->id) == 0, "%s %s where %s %s is due", a->group,
            a->id, b->group, b->id);
        cr_assert(a->digest == b->digest, "%s %s has other bytes than the core gives", a->group, a->id);
    }
    cr_assert(got.count == expected.count, "%zu records instead of %zu", got.count, expected.count);
    xfree(expected.items);
    xfree(got.items);
    return count;
}

/* ---- As text ---- */

static void append(char **text, const char *fmt, ...) PRINTF(2, 3);
static void append(char **text, const char *fmt, ...)
{
    char line[8192];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);

    char *longer = xasprintf("%s%s", *text, line);

    xfree(*text);
    *text = longer;
}

static void add_json(void *context, const rd_kafka_message_t *message, const struct event *event)
{
    const ProtobufCMessageDescriptor *descriptor = proto_find(proto_registry, event->type);
    ProtobufCMessage *decoded;
    struct error e = { 0 };

    (void)message;
    cr_assert(descriptor && event_decode(event, descriptor, &decoded, &e), "%s: %s", event->type, e.message);

    json_t *json = proto_to_json(decoded);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    append(context, "%s %.*s %s\n", event->id, (int)event->key.len, (const char *)event->key.data, text);
    free(text);
    json_decref(json);
    protobuf_c_message_free_unpacked(decoded, NULL);
}

static void add_headers(void *context, const rd_kafka_message_t *message, const struct event *event)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    (void)event;
    cr_assert(rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR);
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        append(context, "%s=%.*s ", name, (int)size, (const char *)value);
    append(context, "\n");
}

char *flow_read_topic(struct flow *flow, const char *topic)
{
    char *text = xstrdup("");

    read_all(flow, topic, add_json, &text);
    return text;
}

char *flow_read_headers(struct flow *flow, const char *topic)
{
    char *text = xstrdup("");

    read_all(flow, topic, add_headers, &text);
    return text;
}
