/* place_order.c -- sends one order request to a running market, from outside: needs only Kafka and
 * proto/orders_v1.proto.
 *
 *   protoc-c --proto_path=proto --c_out=. proto/orders_v1.proto
 *   cc -I. place_order.c orders_v1.pb-c.c $(pkg-config --cflags --libs event-bus) -o place_order
 *   KAFKA_BROKERS=127.0.0.1:9092 ./place_order 7 BTC-USD buy 50000.00 0.5
 *
 * Prints the request's ce_id; the answer on orders.events.v1 carries it as request_id. */
#include "orders_v1.pb-c.h"

#include <event_bus/producer.h>

#include <stdio.h>
#include <stdlib.h>

enum { ACKNOWLEDGE_MS = 10000 };

static int fail(const struct error *e)
{
    fprintf(stderr, "place_order: %s\n", e->message);
    return 1;
}

static int usage(void)
{
    fputs("usage: KAFKA_BROKERS=host:port place_order CLIENT_ID SYMBOL buy|sell PRICE QUANTITY\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct error e = { 0 };
    if (argc != 6 || (strcmp(argv[3], "buy") != 0 && strcmp(argv[3], "sell") != 0) || !getenv("KAFKA_BROKERS"))
        return usage();

    Penstock__Orders__V1__PlaceOrder order = PENSTOCK__ORDERS__V1__PLACE_ORDER__INIT;
    order.client_id = strtoull(argv[1], NULL, 10);
    order.symbol = argv[2];
    order.side =
        strcmp(argv[3], "buy") == 0 ? PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY : PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL;
    order.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    order.price = argv[4]; /* decimal text: money is never a double */
    order.quantity = argv[5];

    const struct kafka_options kafka = {
        .brokers = getenv("KAFKA_BROKERS"),
        .topic_prefix = getenv("TOPIC_PREFIX"),
        .client_id = "place_order",
    };
    CLEANUP(producer_free) struct producer *producer = NULL;
    if (!producer_open(&kafka, "/examples/place_order", &producer, &e))
        return fail(&e);

    /* The same source and id again has no second effect, so a sender that is not sure simply repeats. */
    char id[64];
    snprintf(id, sizeof id, "%s-%lld", argv[1], (long long)now_us());
    if (!producer_send(producer, "orders.requests.v1", argv[1], id, &order.base, NULL, &e) ||
        !producer_flush(producer, ACKNOWLEDGE_MS, &e))
        return fail(&e);
    puts(id);
    return 0;
}
