/* The examples do what they say. That they can be built outside of this tree is for install_test.sh. */
#include "orders_v1.pb-c.h"
#include "support.h"
#include "trades_v1.pb-c.h"

#include <event_bus/consumer.h>
#include <event_bus/producer.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_MS = 20000, WAIT_US = 30 * 1000 * 1000, OUTPUT_MAX = 8192 };

static char prefix[SUPPORT_NAME_MAX];
static struct kafka_options kafka;

static void open_topics(void)
{
    support_topics_open(prefix);
    kafka = (struct kafka_options){
        .brokers = support_kafka_brokers(), .topic_prefix = prefix, .client_id = "examples-test"
    };
}

TestSuite(examples, .init = open_topics, .timeout = 110);

static void start(struct support_process *process, const char *const *argv)
{
    char env[2][SUPPORT_URL_MAX];
    snprintf(env[0], sizeof env[0], "KAFKA_BROKERS=%s", kafka.brokers);
    snprintf(env[1], sizeof env[1], "TOPIC_PREFIX=%s", prefix);

    support_process_start(process, argv, (const char *const[]){ env[0], env[1], NULL });
}

/* ---- place_order ---- */

static bool check_order(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)outbox, (void)context;
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *message;
        cr_assert(event_decode(&deliveries[i].event, &penstock__orders__v1__place_order__descriptor, &message, e), "%s",
            e->message);
        const Penstock__Orders__V1__PlaceOrder *order = (Penstock__Orders__V1__PlaceOrder *)message;
        cr_expect_eq(order->client_id, 7);
        cr_expect_str_eq(order->symbol, "BTC-USD");
        cr_expect_eq(order->side, PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL);
        cr_expect_str_eq(order->price, "50000.01");
        cr_expect_str_eq(order->quantity, "0.5");
        cr_expect_str_eq(deliveries[i].event.source, "/examples/place_order");
        cr_expect(deliveries[i].event.key.len == 1 && memcmp(deliveries[i].event.key.data, "7", 1) == 0);
        cr_expect_neq(deliveries[i].event.time_us, 0);
        cr_expect_eq(strlen(deliveries[i].event.traceparent), TRACEPARENT_LEN);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return true;
}

static void expect_order(const char *program)
{
    struct support_process process;
    struct error e = { 0 };
    start(&process, (const char *const[]){ program, "7", "BTC-USD", "sell", "50000.01", "0.5", NULL });
    cr_assert_eq(support_process_wait(&process, EXIT_MS), 0);

    const struct consumer_options options = {
        .kafka = kafka,
        .group = "examples-test",
        .topics = (const char *const[]){ "orders.requests.v1", NULL },
        .handle = check_order,
    };
    CLEANUP(consumer_free) struct consumer *consumer = NULL;
    cr_assert(consumer_open(&options, &consumer, &e), "%s", e.message);
    size_t count = 0;
    for (int64_t start_us = monotonic_us(); count == 0 && monotonic_us() - start_us < WAIT_US;)
        cr_assert(consumer_poll(consumer, 500, &count, &e) || error_is(&e, ERROR_TRANSIENT), "%s", e.message);
    cr_expect_eq(count, 1);
}

Test(examples, place_order_sends_a_request)
{
    char program[SUPPORT_PATH_MAX];
    expect_order(support_build_path("libevent-bus/examples/place_order", program));
}

/* ---- watch_trades ---- */

static void send_trades(int count)
{
    struct error e = { 0 };
    CLEANUP(producer_free) struct producer *producer = NULL;
    cr_assert(producer_open(&kafka, "/tests", &producer, &e), "%s", e.message);
    for (int i = 1; i <= count; i++) {
        Penstock__Trades__V1__TradeExecuted trade = PENSTOCK__TRADES__V1__TRADE_EXECUTED__INIT;
        trade.trade_id = (uint64_t)i;
        trade.symbol = "BTC-USD";
        trade.price_ticks = 5000000;
        cr_assert(producer_send(producer, "trades.v1", trade.symbol, NULL, &trade.base, NULL, &e), "%s", e.message);
    }
    cr_assert(producer_flush(producer, EXIT_MS, &e), "%s", e.message);
}

static void read_output(const struct support_process *process, char ret_output[OUTPUT_MAX])
{
    FILE *file = fopen(process->log_path, "re");
    cr_assert_not_null(file);
    ret_output[fread(ret_output, 1, OUTPUT_MAX - 1, file)] = '\0';
    fclose(file);
}

static void expect_trades(const char *program)
{
    struct support_process process;
    char output[OUTPUT_MAX] = "";
    send_trades(3);
    start(&process, (const char *const[]){ program, NULL });
    for (int64_t start_us = monotonic_us(); !strstr(output, "\"3\"") && monotonic_us() - start_us < WAIT_US;) {
        usleep(50000);
        read_output(&process, output);
    }
    cr_expect(strstr(output, "{\"trade_id\":\"1\",\"symbol\":\"BTC-USD\",\"price_ticks\":\"5000000\""), "%s", output);
    cr_expect(strstr(output, "{\"trade_id\":\"3\","), "%s", output);
    cr_expect_eq(support_process_stop(&process, EXIT_MS), 0);
}

Test(examples, watch_trades_prints_every_trade)
{
    char program[SUPPORT_PATH_MAX];
    expect_trades(support_build_path("libevent-bus/examples/watch_trades", program));
}
