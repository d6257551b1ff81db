/* penstock-engine-fill COMMANDS [SYMBOLS [RESTING [wait]]] -- writes a command log to orders.accepted.v1 as the relay
 * does: MarketConfigured for each symbol, RESTING orders far from the touch, then COMMANDS: 55 % new limits around a
 * price that wanders, 33 % cancels, 12 % IOC. From one seed: the same arguments give the same log. Prints how many were
 * written. With `wait` it says how many when the resting ones are there, and goes on when a line comes in.
 * KAFKA_BROKERS and TOPIC_PREFIX from the environment. */
#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"

#include <event_bus/event.h>
#include <event_bus/kafka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOLS_MAX = 1000, RECENT = 4096, USERS = 5000, FLUSH_MS = 60000, MIDDLE_TICKS = 1000000, LOT_MINOR = 100 };

struct fill {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    uint64_t written, next_order, failed;
    uint64_t random;
    int64_t at_us;
    uint32_t symbols;
    struct {
        uint64_t order_id, user_id;
        uint32_t symbol;
    } recent[RECENT]; /* ring of orders that may still rest */
};

static void must(bool fine, const struct error *e)
{
    if (fine)
        return;
    fprintf(stderr, "penstock-engine-fill: %s\n", e->message);
    exit(1);
}

static uint64_t below(struct fill *fill, uint64_t n)
{
    fill->random = fill->random * 6364136223846793005u + 1442695040888963407u;
    return (fill->random >> 33) % n;
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct fill *fill = opaque;

    (void)rk;
    fill->failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void symbol_name(uint32_t symbol, char name[16])
{
    snprintf(name, 16, "S%03u-USD", symbol);
}

static void write_command(struct fill *fill, uint32_t symbol, const ProtobufCMessage *message)
{
    uint8_t value[512];
    char key[16], id[32];
    struct error e = { 0 };
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t code;

    symbol_name(symbol, key);
    snprintf(id, sizeof id, "trade-ledger-%lu", ++fill->written);

    struct event event = {
        .key = { key, strlen(key) },
        .id = id,
        .source = "/penstock/trade-ledger",
        .type = message->descriptor->name,
        .subject = key,
        .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        .time_us = fill->at_us,
        .value = { value, protobuf_c_message_pack(message, value) },
    };

    must(event_headers(&event, &headers, &e), &e);
    while ((code = rd_kafka_producev(fill->rk, RD_KAFKA_V_RKT(fill->topic), RD_KAFKA_V_KEY(key, strlen(key)),
                RD_KAFKA_V_VALUE(value, event.value.len), RD_KAFKA_V_HEADERS(headers),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(fill->rk, 10);
    must(code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, "produce", &e), &e);
    if (fill->written % 1000 == 0)
        rd_kafka_poll(fill->rk, 0);
    fill->at_us += 5;
}

static void add_market(struct fill *fill, uint32_t symbol)
{
    Penstock__Markets__V1__MarketConfigured market = PENSTOCK__MARKETS__V1__MARKET_CONFIGURED__INIT;
    char name[16];

    symbol_name(symbol, name);
    market.market_id = symbol + 1;
    market.symbol = name;
    market.base_asset_id = symbol + 2;
    market.quote_asset_id = 1;
    market.lot_minor = LOT_MINOR;
    market.notional_unit_minor = 1;
    market.maker_fee_ppm = 1000;
    market.taker_fee_ppm = 2000;
    market.status = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_OPEN;
    write_command(fill, symbol, &market.base);
}

static void add_order(struct fill *fill, uint32_t symbol, bool buys, int64_t price_ticks, bool ioc)
{
    Penstock__Orders__V1__OrderAccepted order = PENSTOCK__ORDERS__V1__ORDER_ACCEPTED__INIT;
    char name[16], request[32];

    symbol_name(symbol, name);
    order.order_id = ++fill->next_order;
    snprintf(request, sizeof request, "request-%lu", order.order_id);
    order.user_id = 1 + below(fill, USERS);
    order.symbol = name;
    order.side = buys ? PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY : PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL;
    order.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    order.time_in_force = ioc ? PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_IOC
                              : PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC;
    order.price_ticks = price_ticks;
    order.quantity_lots = 1 + (int64_t)below(fill, 50);
    order.hold_minor = order.quantity_lots * (buys ? price_ticks : LOT_MINOR);
    order.accepted_at_us = fill->at_us;
    order.request_source = "/clients";
    order.request_id = request;
    write_command(fill, symbol, &order.base);
    if (!ioc) {
        size_t at = fill->next_order % RECENT;

        fill->recent[at].order_id = order.order_id;
        fill->recent[at].user_id = order.user_id;
        fill->recent[at].symbol = symbol;
    }
}

static void add_cancel(struct fill *fill)
{
    Penstock__Orders__V1__CancelAccepted cancel = PENSTOCK__ORDERS__V1__CANCEL_ACCEPTED__INIT;
    size_t at = below(fill, RECENT);
    char name[16];

    if (fill->recent[at].order_id == 0)
        return;
    symbol_name(fill->recent[at].symbol, name);
    cancel.order_id = fill->recent[at].order_id;
    cancel.user_id = fill->recent[at].user_id;
    cancel.symbol = name;
    cancel.accepted_at_us = fill->at_us;
    write_command(fill, fill->recent[at].symbol, &cancel.base);
    fill->recent[at].order_id = 0;
}

static void add_any(struct fill *fill)
{
    uint64_t dice = below(fill, 100);
    uint32_t symbol = (uint32_t)below(fill, fill->symbols);
    bool buys = below(fill, 2) == 0;
    int64_t away = 1 + (int64_t)below(fill, 200);

    if (dice < 33)
        add_cancel(fill);
    else if (dice < 45)
        add_order(fill, symbol, buys, MIDDLE_TICKS + (buys ? away : -away) / 8, true);
    else
        add_order(fill, symbol, buys, MIDDLE_TICKS + (buys ? -away : away) + 5 * (buys ? 1 : -1), false);
}

static void open_producer(struct fill *fill)
{
    const char *prefix = getenv("TOPIC_PREFIX"), *brokers = getenv("KAFKA_BROKERS");
    struct kafka_options options = { .brokers = brokers, .topic_prefix = prefix, .client_id = "penstock-engine-fill" };
    char topic[KAFKA_TOPIC_MAX], why[128];
    struct error e = { 0 };
    rd_kafka_conf_t *conf;

    must(kafka_conf(&options, &conf, &e) && kafka_topic_name(&options, "orders.accepted.v1", topic, &e) &&
             kafka_conf_set(conf, "enable.idempotence", "true", &e) && kafka_conf_set(conf, "linger.ms", "20", &e) &&
             kafka_conf_set(conf, "partitioner", "murmur2_random", &e) &&
             kafka_conf_set(conf, "compression.type", "lz4", &e),
        &e);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_conf_set_opaque(conf, fill);
    fill->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    must(fill->rk || error_set(&e, ERROR_INVALID, "%s", why), &e);
    fill->topic = rd_kafka_topic_new(fill->rk, topic, NULL);
}

int main(int argc, char **argv)
{
    uint64_t commands = argc > 1 ? strtoull(argv[1], NULL, 10) : 0,
             resting = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    struct fill *fill = xcalloc(1, sizeof *fill);

    fill->symbols = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 8;
    fill->random = 1;
    fill->at_us = 1700000000000000;
    if (commands == 0 || fill->symbols == 0 || fill->symbols > SYMBOLS_MAX) {
        fprintf(stderr, "usage: penstock-engine-fill COMMANDS [SYMBOLS [RESTING [wait]]]\n");
        return 2;
    }
    open_producer(fill);
    for (uint32_t i = 0; i < fill->symbols; i++)
        add_market(fill, i);
    for (uint64_t i = 0; i < resting; i++) {
        int64_t away = 1000 + (int64_t)below(fill, 50000);

        add_order(fill, (uint32_t)(i % fill->symbols), i % 2 == 0, MIDDLE_TICKS + (i % 2 ? away : -away), false);
    }
    memset(fill->recent, 0, sizeof fill->recent);
    if (argc > 4) {
        rd_kafka_flush(fill->rk, FLUSH_MS);
        printf("%lu\n", fill->written);
        fflush(stdout);
        while (getchar() != '\n' && !feof(stdin))
            ;
    }
    while (fill->written < fill->symbols + resting + commands)
        add_any(fill);
    rd_kafka_flush(fill->rk, FLUSH_MS);
    printf("%lu\n", fill->written);

    bool fine = fill->failed == 0 && rd_kafka_outq_len(fill->rk) == 0;

    rd_kafka_topic_destroy(fill->topic);
    rd_kafka_destroy(fill->rk);
    xfree(fill);
    return fine ? 0 : 1;
}
