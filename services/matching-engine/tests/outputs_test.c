/* The events that records become: every field where the proto has it, and the bytes that protobuf-c would pack. */
#include "outputs.h"

#include "registry.h"

#include <event_bus/proto_json.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

enum { TEXT_MAX = 4096, GROUP_LEVELS = 3 };

static struct engine *engine_with_market(void)
{
    struct engine *engine = engine_new(&(struct engine_options){ .orders_max = 100, .markets_max = 2 });
    struct engine_market_config config = { .symbol = "BTC-USD",
        .market_id = 1,
        .base_asset_id = 2,
        .quote_asset_id = 1,
        .lot_minor = 100,
        .notional_unit_minor = 1,
        .status = ENGINE_OPEN };
    uint16_t market;

    cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK);
    return engine;
}

static struct engine_record head(size_t size, enum engine_record_kind kind, enum engine_side side, uint64_t seq)
{
    return (struct engine_record){
        .size = (uint32_t)size, .kind = (uint8_t)kind, .side = (uint8_t)side, .seq = seq, .at_us = 1700000000000014
    };
}

/* The event as JSON without the fields that are 0; fails unless its bytes are those of protobuf-c. */
static void describe(const struct output *output, char text[TEXT_MAX])
{
    const ProtobufCMessageDescriptor *descriptor = proto_find(proto_registry, output->event.type);
    ProtobufCMessage *message;
    struct error e = { 0 };
    uint8_t packed[TEXT_MAX];

    cr_assert(descriptor, "%s", output->event.type);
    cr_assert(event_decode(&output->event, descriptor, &message, &e), "%s", e.message);
    cr_assert(
        protobuf_c_message_get_packed_size(message) == output->event.value.len && output->event.value.len < TEXT_MAX);
    protobuf_c_message_pack(message, packed);
    cr_assert(memcmp(packed, output->event.value.data, output->event.value.len) == 0, "%s", output->event.type);

    json_t *json = proto_to_json(message);
    size_t len = json_dumpb(json, text, TEXT_MAX - 1, JSON_COMPACT | JSON_SORT_KEYS);

    cr_assert(len < TEXT_MAX);
    text[len] = '\0';
    json_decref(json);
    protobuf_c_message_free_unpacked(message, NULL);
}

/* Says what the records give, each event led by its topic, id and key. The outputs' memory is reused by the next. */
static void check(const struct engine_record *first, size_t size, const char *const expected[][2], size_t count)
{
    CLEANUP(outputs_free) struct outputs *outputs = outputs_new();
    CLEANUP(engine_free) struct engine *engine = engine_with_market();

    outputs_set_engine(outputs, engine);
    outputs_begin_command(outputs, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    outputs_records(outputs, first, size);
    cr_assert(outputs_count(outputs) == count, "%zu events", outputs_count(outputs));
    for (size_t i = 0; i < count; i++) {
        const struct output *output = outputs_at(outputs, i);
        char text[TEXT_MAX], name[256];
        json_t *wanted = json_loads(expected[i][1], 0, NULL), *got;
        const char *key;
        json_t *value;

        describe(output, text);
        snprintf(name, sizeof name, "%s %s %.*s", output->event.topic, output->event.id, (int)output->event.key.len,
            (const char *)output->event.key.data);
        cr_assert_str_eq(name, expected[i][0]);
        got = json_loads(text, 0, NULL);
        cr_assert(wanted && got);
        json_object_foreach(wanted, key, value)
            cr_assert(json_equal(value, json_object_get(got, key)), "%s of %s", key, text);
        json_decref(wanted);
        json_decref(got);
    }
}

struct closing_group {
    struct engine_group group;
    struct engine_level_change changes[GROUP_LEVELS];
};

static struct engine_group group_of(uint64_t seq, uint32_t postings, uint32_t levels, uint32_t orders)
{
    return (struct engine_group){
        .record = head(
            sizeof(struct engine_group) + levels * sizeof(struct engine_level_change), ENGINE_RECORD_GROUP, 0, seq),
        .posting_seq = postings ? 21 : 0,
        .book_seq = levels ? 22 : 0,
        .orders_seq = orders ? 23 : 0,
        .postings = postings,
        .levels = levels,
        .orders = orders,
        .last = 1,
    };
}

Test(outputs, of_a_fill_are_a_trade_two_order_events_a_posting_and_the_book)
{
    struct {
        struct engine_fill fill;
        struct engine_group group;
        struct engine_level_change change;
    } records = {
        .fill = { .record = head(sizeof(struct engine_fill), ENGINE_RECORD_FILL, ENGINE_BUY, 5),
            .trade_id = 3,
            .price_ticks = 100,
            .quantity_lots = 1000,
            .maker = { .order_id = 1,
                .user_id = 7,
                .filled_lots = 1500,
                .remaining_lots = 4000,
                .fee_minor = 100,
                .visible_lots = 500,
                .status = ENGINE_PARTIALLY_FILLED,
                .in_book = true,
                .requeued = true },
            .taker = { .order_id = 2,
                .user_id = 8,
                .filled_lots = 1000,
                .fee_minor = 200,
                .limit_ticks = 103,
                .status = ENGINE_FILLED } },
        .group = group_of(8, 1, 1, 1),
        .change = { .price_ticks = 100, .total_lots = 500, .orders = 1, .side = ENGINE_SELL },
    };
    static const char *const expected[][2] = {
        { "trades.v1 BTC-USD-trades-3 BTC-USD",
            "{\"trade_id\":\"3\",\"symbol\":\"BTC-USD\",\"price_ticks\":\"100\",\"quantity_lots\":\"1000\","
            "\"taker_side\":\"SIDE_BUY\",\"maker_order_id\":\"1\",\"taker_order_id\":\"2\",\"seq\":\"5\","
            "\"at_us\":\"1700000000000014\"}" },
        { "orders.events.v1 BTC-USD-events-6 7",
            "{\"order_id\":\"1\",\"user_id\":\"7\",\"trade_id\":\"3\",\"side\":\"SIDE_SELL\","
            "\"liquidity\":\"LIQUIDITY_MAKER\",\"price_ticks\":\"100\",\"quantity_lots\":\"1000\","
            "\"remaining_lots\":\"4000\",\"status\":\"ORDER_STATUS_PARTIALLY_FILLED\",\"fee_minor\":\"100\",\"seq\":"
            "\"6\","
            "\"at_us\":\"1700000000000014\"}" },
        { "orders.events.v1 BTC-USD-events-7 8",
            "{\"order_id\":\"2\",\"user_id\":\"8\",\"side\":\"SIDE_BUY\",\"liquidity\":\"LIQUIDITY_TAKER\","
            "\"remaining_lots\":\"0\",\"status\":\"ORDER_STATUS_FILLED\",\"fee_minor\":\"200\",\"seq\":\"7\"}" },
        { "ledger.postings.v1 BTC-USD-postings-21 BTC-USD",
            "{\"symbol\":\"BTC-USD\",\"posting_seq\":\"21\",\"seq\":\"8\",\"postings\":[{\"trade_id\":\"3\","
            "\"price_ticks\":\"100\",\"quantity_lots\":\"1000\",\"maker_order_id\":\"1\",\"taker_order_id\":\"2\","
            "\"legs\":["
            "{\"owner_id\":\"8\",\"kind\":\"ACCOUNT_KIND_USER\",\"asset_id\":1,\"available_delta_minor\":\"3000\","
            "\"held_delta_minor\":\"-103000\"},"
            "{\"owner_id\":\"8\",\"kind\":\"ACCOUNT_KIND_USER\",\"asset_id\":2,\"available_delta_minor\":\"99800\","
            "\"held_delta_minor\":\"0\"},"
            "{\"owner_id\":\"7\",\"kind\":\"ACCOUNT_KIND_USER\",\"asset_id\":2,\"available_delta_minor\":\"0\","
            "\"held_delta_minor\":\"-100000\"},"
            "{\"owner_id\":\"7\",\"kind\":\"ACCOUNT_KIND_USER\",\"asset_id\":1,\"available_delta_minor\":\"99900\","
            "\"held_delta_minor\":\"0\"},"
            "{\"owner_id\":\"0\",\"kind\":\"ACCOUNT_KIND_FEES\",\"asset_id\":2,\"available_delta_minor\":\"200\","
            "\"held_delta_minor\":\"0\"},"
            "{\"owner_id\":\"0\",\"kind\":\"ACCOUNT_KIND_FEES\",\"asset_id\":1,\"available_delta_minor\":\"100\","
            "\"held_delta_minor\":\"0\"}],"
            "\"orders\":[{\"order_id\":\"1\",\"user_id\":\"7\",\"status\":\"ORDER_STATUS_PARTIALLY_FILLED\","
            "\"filled_lots\":\"1500\",\"remaining_lots\":\"4000\",\"reason\":\"CANCEL_REASON_UNSPECIFIED\","
            "\"price_ticks\":\"0\",\"quantity_lots\":\"0\",\"amend_id\":\"0\"},"
            "{\"order_id\":\"2\",\"user_id\":\"8\",\"status\":\"ORDER_STATUS_FILLED\",\"filled_lots\":\"1000\","
            "\"remaining_lots\":\"0\",\"reason\":\"CANCEL_REASON_UNSPECIFIED\",\"price_ticks\":\"0\","
            "\"quantity_lots\":\"0\",\"amend_id\":\"0\"}],"
            "\"taker_side\":\"SIDE_BUY\",\"maker_fee_minor\":\"100\",\"taker_fee_minor\":\"200\"}]}" },
        { "market.book.v1 BTC-USD-book-22 BTC-USD",
            "{\"symbol\":\"BTC-USD\",\"book_seq\":\"22\",\"seq\":\"9\",\"changes\":[{\"side\":\"SIDE_SELL\","
            "\"price_ticks\":\"100\",\"quantity_lots\":\"500\",\"orders\":1}],\"at_us\":\"1700000000000014\"}" },
        { "market.orders.v1 BTC-USD-orders-23 BTC-USD",
            "{\"symbol\":\"BTC-USD\",\"orders_seq\":\"23\",\"seq\":\"10\",\"changes\":[{\"order_id\":\"1\","
            "\"side\":\"SIDE_SELL\",\"price_ticks\":\"100\",\"quantity_lots\":\"500\",\"requeued\":true}]}" },
    };

    check(&records.fill.record, sizeof records, expected, ARRAY_LEN(expected));
}

Test(outputs, of_an_amendment_carry_the_new_price_and_what_is_no_longer_held)
{
    struct {
        struct engine_amended amended;
        struct engine_group group;
    } records = {
        .amended = { .record = head(sizeof(struct engine_amended), ENGINE_RECORD_AMENDED, ENGINE_SELL, 5),
            .order_id = 1,
            .user_id = 7,
            .amend_id = 44,
            .price_ticks = 101,
            .quantity_lots = 30,
            .filled_lots = 10,
            .remaining_lots = 20,
            .released_minor = 900,
            .status = ENGINE_PARTIALLY_FILLED,
            .kept_priority = true },
        .group = group_of(6, 1, 0, 0),
    };
    static const char *const expected[][2] = {
        { "orders.events.v1 BTC-USD-events-5 7",
            "{\"order_id\":\"1\",\"user_id\":\"7\",\"symbol\":\"BTC-USD\",\"amend_id\":\"44\",\"price_ticks\":\"101\","
            "\"quantity_lots\":\"30\",\"remaining_lots\":\"20\",\"kept_priority\":true,\"seq\":\"5\","
            "\"at_us\":\"1700000000000014\"}" },
        { "ledger.postings.v1 BTC-USD-postings-21 BTC-USD",
            "{\"seq\":\"6\",\"postings\":[{\"trade_id\":\"0\",\"price_ticks\":\"0\",\"quantity_lots\":\"0\","
            "\"maker_order_id\":\"0\",\"taker_order_id\":\"0\",\"legs\":[{\"owner_id\":\"7\","
            "\"kind\":\"ACCOUNT_KIND_USER\",\"asset_id\":2,\"available_delta_minor\":\"900\","
            "\"held_delta_minor\":\"-900\"}],\"orders\":[{\"order_id\":\"1\",\"user_id\":\"7\","
            "\"status\":\"ORDER_STATUS_PARTIALLY_FILLED\",\"filled_lots\":\"10\",\"remaining_lots\":\"20\","
            "\"reason\":\"CANCEL_REASON_UNSPECIFIED\",\"price_ticks\":\"101\",\"quantity_lots\":\"30\","
            "\"amend_id\":\"44\"}],\"taker_side\":\"SIDE_UNSPECIFIED\",\"maker_fee_minor\":\"0\","
            "\"taker_fee_minor\":\"0\"}]}" },
    };

    /* It says nothing of level 3 here: it was not resting. */
    check(&records.amended.record, sizeof records, expected, ARRAY_LEN(expected));
}

Test(outputs, of_a_refused_amendment_give_the_extra_hold_back)
{
    struct {
        struct engine_amend_rejected rejected;
        struct engine_group group;
    } records = {
        .rejected = { .record = head(sizeof(struct engine_amend_rejected), ENGINE_RECORD_AMEND_REJECTED, ENGINE_BUY, 5),
            .order_id = 1,
            .user_id = 7,
            .amend_id = 44,
            .released_minor = 77,
            .problem = ENGINE_AMEND_NOT_OPEN },
        .group = group_of(6, 1, 0, 0),
    };
    static const char *const expected[][2] = {
        { "orders.events.v1 BTC-USD-events-5 7",
            "{\"order_id\":\"1\",\"user_id\":\"7\",\"amend_id\":\"44\",\"problem\":\"order-not-open\",\"seq\":\"5\","
            "\"request_id\":\"\",\"at_us\":\"1700000000000014\"}" },
        { "ledger.postings.v1 BTC-USD-postings-21 BTC-USD",
            "{\"postings\":[{\"trade_id\":\"0\",\"price_ticks\":\"0\",\"quantity_lots\":\"0\","
            "\"maker_order_id\":\"0\",\"taker_order_id\":\"0\",\"legs\":[{\"owner_id\":\"7\","
            "\"kind\":\"ACCOUNT_KIND_USER\",\"asset_id\":1,\"available_delta_minor\":\"77\","
            "\"held_delta_minor\":\"-77\"}],\"orders\":[{\"order_id\":\"1\",\"user_id\":\"7\","
            "\"status\":\"ORDER_STATUS_UNSPECIFIED\",\"filled_lots\":\"0\",\"remaining_lots\":\"0\","
            "\"reason\":\"CANCEL_REASON_UNSPECIFIED\",\"price_ticks\":\"0\",\"quantity_lots\":\"0\","
            "\"amend_id\":\"44\"}],\"taker_side\":\"SIDE_UNSPECIFIED\",\"maker_fee_minor\":\"0\","
            "\"taker_fee_minor\":\"0\"}]}" },
    };

    check(&records.rejected.record, sizeof records, expected, ARRAY_LEN(expected));
}

Test(outputs, of_single_records_are_one_event_each)
{
    const struct engine_opened opened = { .record = head(sizeof opened, ENGINE_RECORD_OPENED, ENGINE_BUY, 5),
        .order_id = 1,
        .user_id = 7,
        .price_ticks = 9,
        .remaining_lots = 20,
        .waiting = true };
    const struct engine_triggered triggered = { .record =
                                                    head(sizeof triggered, ENGINE_RECORD_TRIGGERED, ENGINE_BUY, 6),
        .order_id = 1,
        .user_id = UINT64_MAX,
        .last_price_ticks = 99 };
    const struct engine_cancel_rejected rejected = {
        .record = head(sizeof rejected, ENGINE_RECORD_CANCEL_REJECTED, 0, 7),
        .order_id = 1,
        .user_id = 7,
        .known = true,
    };
    static const char *const expected[][2] = {
        { "orders.events.v1 BTC-USD-events-5 7",
            "{\"order_id\":\"1\",\"user_id\":\"7\",\"symbol\":\"BTC-USD\",\"open_lots\":\"20\",\"seq\":\"5\","
            "\"at_us\":\"1700000000000014\"}" },
        { "orders.events.v1 BTC-USD-events-6 18446744073709551615",
            "{\"order_id\":\"1\",\"user_id\":\"18446744073709551615\",\"last_price_ticks\":\"99\",\"seq\":\"6\","
            "\"at_us\":\"1700000000000014\"}" },
        { "orders.events.v1 BTC-USD-events-7 7",
            "{\"order_id\":\"1\",\"user_id\":\"7\",\"problem\":\"order-not-found\",\"seq\":\"7\","
            "\"at_us\":\"1700000000000014\"}" },
    };

    check(&opened.record, sizeof opened, &expected[0], 1);
    check(&triggered.record, sizeof triggered, &expected[1], 1);
    check(&rejected.record, sizeof rejected, &expected[2], 1);
}

Test(outputs, have_the_headers_that_the_bus_gives)
{
    CLEANUP(outputs_free) struct outputs *outputs = outputs_new();
    CLEANUP(engine_free) struct engine *engine = engine_with_market();
    struct engine_opened opened = { .record = head(sizeof opened, ENGINE_RECORD_OPENED, ENGINE_BUY, 5) };
    static const int64_t times_us[] = { 0, 1700000000000014, INT64_MAX, INT64_MIN };

    outputs_set_engine(outputs, engine);
    for (size_t i = 0; i < ARRAY_LEN(times_us); i++) {
        opened.record.at_us = times_us[i];
        opened.waiting = true;
        outputs_begin_command(outputs, i % 2 ? "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" : "");
        outputs_records(outputs, &opened.record, sizeof opened);

        const struct output *output = outputs_at(outputs, i);
        rd_kafka_headers_t *own = output_headers(output), *bus;
        struct error e = { 0 };
        const char *name, *bus_name;
        const void *value, *bus_value;
        size_t size, bus_size, index = 0;

        cr_assert(event_headers(&output->event, &bus, &e), "%s", e.message);
        while (rd_kafka_header_get_all(bus, index, &bus_name, &bus_value, &bus_size) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            cr_assert(rd_kafka_header_get_all(own, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR);
            cr_assert_str_eq(name, bus_name);
            cr_assert(size == bus_size && memcmp(value, bus_value, size) == 0, "%s", name);
            index++;
        }
        cr_assert(index >= 6 && rd_kafka_header_cnt(own) == index);
        rd_kafka_headers_destroy(own);
        rd_kafka_headers_destroy(bus);
    }
}

Test(outputs, of_a_wide_book_change_are_the_bytes_that_protobuf_gives)
{
    struct closing_group records = { .group = group_of(1, 0, GROUP_LEVELS, 0),
        .changes = { { 1, 0, 0, ENGINE_BUY }, { INT64_MAX, INT64_MAX, UINT32_MAX, ENGINE_SELL },
            { 127, 128, 16384, ENGINE_SELL } } };
    static const char *const expected[][2] = {
        { "market.book.v1 BTC-USD-book-22 BTC-USD",
            "{\"changes\":[{\"side\":\"SIDE_BUY\",\"price_ticks\":\"1\",\"quantity_lots\":\"0\",\"orders\":0},"
            "{\"side\":\"SIDE_SELL\",\"price_ticks\":\"9223372036854775807\",\"quantity_lots\":"
            "\"9223372036854775807\",\"orders\":4294967295},{\"side\":\"SIDE_SELL\",\"price_ticks\":\"127\","
            "\"quantity_lots\":\"128\",\"orders\":16384}]}" },
    };

    check(&records.group.record, sizeof records, expected, 1);
}
