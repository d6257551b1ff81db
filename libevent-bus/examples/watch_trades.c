/* watch_trades.c -- prints every trade as a line of JSON, from outside: needs only Kafka and proto/.
 *
 *   protoc-c --proto_path=proto --c_out=. proto/trades_v1.proto proto/orders_v1.proto
 *   cc -I. watch_trades.c trades_v1.pb-c.c orders_v1.pb-c.c $(pkg-config --cflags --libs event-bus) -o watch_trades
 *   KAFKA_BROKERS=127.0.0.1:9092 ./watch_trades             # all trades so far, then as they happen; Ctrl-C ends it
 *
 * Only what was committed is seen. Each start reads from the beginning; --from-end leaves out the past. */
#include "trades_v1.pb-c.h"

#include <event_bus/consumer.h>
#include <event_bus/proto_json.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct consumer *consumer; /* for the signal handler */

static void stop(int signal_number)
{
    (void)signal_number;
    consumer_stop(consumer);
}

static bool print_trades(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)outbox, (void)context, (void)e;
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *trade;
        if (!event_decode(&deliveries[i].event, &penstock__trades__v1__trade_executed__descriptor, &trade,
                &deliveries[i].verdict))
            continue; /* not a trade: on_error is told */
        json_t *json = proto_to_json(trade);
        json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(json);
        protobuf_c_message_free_unpacked(trade, NULL);
    }
    fflush(stdout);
    return true;
}

static void print_error(void *context, const struct error *e)
{
    (void)context;
    fprintf(stderr, "watch_trades: %s\n", e->message);
}

int main(int argc, char **argv)
{
    struct error e = { 0 };
    const struct consumer_options options = {
        .kafka = { .brokers = getenv("KAFKA_BROKERS"),
            .topic_prefix = getenv("TOPIC_PREFIX"),
            .client_id = "watch_trades" },
        .group = "watch-trades", /* only a name: every watcher sees all trades */
        .topics = (const char *const[]){ "trades.v1", NULL },
        .handle = print_trades,
        .on_error = print_error,
        .from_end = argc > 1 && strcmp(argv[1], "--from-end") == 0,
    };
    if (!consumer_open(&options, &consumer, &e)) {
        print_error(NULL, &e);
        return 1;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    bool stopped = consumer_run(consumer, &e);
    if (!stopped)
        print_error(NULL, &e);
    consumer_free(consumer);
    return stopped ? 0 : 1;
}
