/* One engine as a process on real Kafka: exact outputs, poison, kills at every crash point and at random, restarts. */
#include "engine_process.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *topic, *records;
} exact_outputs[] = {
    { "trades.v1",
        "BTC-USD-trades-1 BTC-USD {\"at_us\":\"1700000000000014\",\"maker_order_id\":\"1\",\"price_ticks\":\"100\","
        "\"quantity_lots\":\"1000\",\"seq\":\"4\",\"symbol\":\"BTC-USD\",\"taker_order_id\":\"2\","
        "\"taker_side\":\"SIDE_BUY\",\"trade_id\":\"1\"}\n" },
    { "ledger.postings.v1",
        "BTC-USD-postings-1 BTC-USD {\"at_us\":\"1700000000000014\",\"posting_seq\":\"1\","
        "\"postings\":[{\"legs\":[{\"asset_id\":1,\"available_delta_minor\":\"3000\","
        "\"held_delta_minor\":\"-103000\",\"kind\":\"ACCOUNT_KIND_USER\",\"owner_id\":\"8\"},{\"asset_id\":2,"
        "\"available_delta_minor\":\"99800\",\"held_delta_minor\":\"0\",\"kind\":\"ACCOUNT_KIND_USER\","
        "\"owner_id\":\"8\"},{\"asset_id\":2,\"available_delta_minor\":\"0\",\"held_delta_minor\":\"-100000\","
        "\"kind\":\"ACCOUNT_KIND_USER\",\"owner_id\":\"7\"},{\"asset_id\":1,"
        "\"available_delta_minor\":\"99900\",\"held_delta_minor\":\"0\",\"kind\":\"ACCOUNT_KIND_USER\","
        "\"owner_id\":\"7\"},{\"asset_id\":2,\"available_delta_minor\":\"200\",\"held_delta_minor\":\"0\","
        "\"kind\":\"ACCOUNT_KIND_FEES\",\"owner_id\":\"0\"},{\"asset_id\":1,\"available_delta_minor\":\"100\","
        "\"held_delta_minor\":\"0\",\"kind\":\"ACCOUNT_KIND_FEES\",\"owner_id\":\"0\"}],"
        "\"maker_fee_minor\":\"100\",\"maker_order_id\":\"1\",\"orders\":[{\"amend_id\":\"0\",\"filled_lots\":"
        "\"1000\","
        "\"order_id\":\"1\",\"price_ticks\":\"0\",\"quantity_lots\":\"0\",\"reason\":\"CANCEL_REASON_UNSPECIFIED\","
        "\"remaining_lots\":\"0\","
        "\"status\":\"ORDER_STATUS_FILLED\",\"user_id\":\"7\"},{\"amend_id\":\"0\",\"filled_lots\":\"1000\","
        "\"order_id\":\"2\","
        "\"price_ticks\":\"0\",\"quantity_lots\":\"0\",\"reason\":\"CANCEL_REASON_UNSPECIFIED\",\"remaining_lots\":"
        "\"500\","
        "\"status\":\"ORDER_STATUS_PARTIALLY_FILLED\",\"user_id\":\"8\"}],\"price_ticks\":\"100\","
        "\"quantity_lots\":\"1000\",\"taker_fee_minor\":\"200\",\"taker_order_id\":\"2\","
        "\"taker_side\":\"SIDE_BUY\",\"trade_id\":\"1\"},{\"legs\":[{\"asset_id\":1,"
        "\"available_delta_minor\":\"51500\",\"held_delta_minor\":\"-51500\",\"kind\":\"ACCOUNT_KIND_USER\","
        "\"owner_id\":\"8\"}],\"maker_fee_minor\":\"0\",\"maker_order_id\":\"0\","
        "\"orders\":[{\"amend_id\":\"0\",\"filled_lots\":\"1000\",\"order_id\":\"2\",\"price_ticks\":\"0\","
        "\"quantity_lots\":\"0\",\"reason\":\"CANCEL_REASON_IOC_REMAINDER\","
        "\"remaining_lots\":\"500\",\"status\":\"ORDER_STATUS_CANCELLED\",\"user_id\":\"8\"}],"
        "\"price_ticks\":\"0\",\"quantity_lots\":\"0\",\"taker_fee_minor\":\"0\",\"taker_order_id\":\"0\","
        "\"taker_side\":\"SIDE_UNSPECIFIED\",\"trade_id\":\"0\"}],\"seq\":\"8\",\"symbol\":\"BTC-USD\"}\n" },
    { "market.orders.v1",
        "BTC-USD-orders-1 BTC-USD {\"at_us\":\"1700000000000007\",\"changes\":[{\"order_id\":\"1\","
        "\"price_ticks\":\"100\",\"quantity_lots\":\"1000\",\"requeued\":true,\"side\":\"SIDE_SELL\"}],"
        "\"orders_seq\":\"1\",\"seq\":\"3\",\"symbol\":\"BTC-USD\"}\n"
        "BTC-USD-orders-2 BTC-USD {\"at_us\":\"1700000000000014\",\"changes\":[{\"order_id\":\"1\","
        "\"price_ticks\":\"100\",\"quantity_lots\":\"0\",\"requeued\":false,\"side\":\"SIDE_SELL\"}],"
        "\"orders_seq\":\"2\",\"seq\":\"10\",\"symbol\":\"BTC-USD\"}\n" },
    { "market.book.v1",
        "BTC-USD-book-1 BTC-USD {\"at_us\":\"1700000000000007\",\"book_seq\":\"1\",\"changes\":[{\"orders\":1,"
        "\"price_ticks\":\"100\",\"quantity_lots\":\"1000\",\"side\":\"SIDE_SELL\"}],\"checksum\":2583205176,"
        "\"seq\":\"2\","
        "\"symbol\":\"BTC-USD\"}\n"
        "BTC-USD-book-2 BTC-USD {\"at_us\":\"1700000000000014\",\"book_seq\":\"2\",\"changes\":[{\"orders\":0,"
        "\"price_ticks\":\"100\",\"quantity_lots\":\"0\",\"side\":\"SIDE_SELL\"}],\"checksum\":0,\"seq\":\"9\","
        "\"symbol\":\"BTC-USD\"}\n" },
};

static void check_exact_outputs(struct bench *bench)
{
    for (size_t i = 0; i < ARRAY_LEN(exact_outputs); i++) {
        CLEANUP(xfree) char *records = flow_read_topic(bench->flow, exact_outputs[i].topic);

        cr_assert_str_eq(records, exact_outputs[i].records);
    }
    /* Opened, book, orders; trade, two fills, cancelled remainder, postings, book, orders; the refused cancel. */
    cr_assert(flow_check_outputs(bench->flow) == 11);
}

static void check_served_book(const struct engine_process *engine)
{
    char body[SUPPORT_BODY_MAX];

    cr_assert(engine_ask(engine, "ETH-USD", "book", body) == 200, "%s", body);

    json_t *book = json_loads(body, 0, NULL);
    const char *seq, *price, *lots;

    cr_assert(json_unpack(book, "{s:s, s:[{s:s, s:s}]}", "seq", &seq, "asks", "price_ticks", &price, "quantity_lots",
                  &lots) == 0,
        "%s", body);
    cr_assert_str_eq(seq, "12");
    cr_assert_str_eq(price, "100");
    cr_assert_str_eq(lots, "600");
    json_decref(book);
    cr_assert(engine_ask(engine, "NO-SUCH", "book", body) == 404, "%s", body);
}

static void check_dead_letters(struct bench *bench)
{
    static const char *const parts[] = { "ce_id=trade-ledger-9 ", "ce_id=trade-ledger-10 ", "ce_id=trade-ledger-11 ",
        "ce_id=trade-ledger-12 ", "dlq_field=order_id ", "dlq_field=symbol ", "dlq_field=ce_type ",
        "dlq_topic=orders.accepted.v1 ", "dlq_group=matching-engine ", "dlq_kind=refused ", "dlq_kind=invalid " };
    CLEANUP(xfree) char *dead = flow_read_headers(bench->flow, "orders.accepted.v1.matching-engine.dead");

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        cr_assert(strstr(dead, parts[i]), "%s is missing in\n%s", parts[i], dead);
}

Test(engine_process, gives_exact_outputs_then_serves_the_committed_book_then_puts_poison_aside_and_goes_on)
{
    struct bench bench;
    struct engine_process engine;

    bench_open(&bench);
    engine_init(&engine);
    flow_add_market(bench.flow, "BTC-USD", 1);
    flow_add_order(bench.flow, "BTC-USD", 1, 7, "sell", 1000, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 2, 8, "buy", 1500, 103, "ioc");
    flow_add_cancel(bench.flow, "BTC-USD", 1, 7);
    bench_feed_all(&bench);
    engine_start_healthy(&engine, &bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    check_exact_outputs(&bench);

    flow_add_market(bench.flow, "ETH-USD", 2);
    flow_add_order(bench.flow, "ETH-USD", 11, 7, "sell", 1000, 100, "");
    flow_add_order(bench.flow, "ETH-USD", 12, 8, "buy", 400, 100, "");
    flow_add_order(bench.flow, "ETH-USD", 13, 8, "buy", 5, 99, "");
    flow_add_raw(bench.flow, "BTC-USD", "penstock.orders.v1.OrderAccepted", (struct bytes){ "\xff\xff\xff", 3 });
    flow_add_raw(bench.flow, "BTC-USD", "penstock.orders.v1.NoSuchThing", (struct bytes){ "", 0 });
    flow_add_order(bench.flow, "NO-MARKET", 21, 7, "sell", 1, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 0, 7, "sell", 1, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 22, 7, "sell", 1, 100, "");
    bench_feed_all(&bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    check_served_book(&engine);
    check_dead_letters(&bench);
    cr_assert(flow_check_outputs(bench.flow) == 11 + 12 + 3, "the last order opened and changed the book");
    engine_release(&engine);
}

/* The next step of the log, to an engine that is starting. */
static void feed_step(struct bench *bench)
{
    flow_feed(bench->flow, flow_fed(bench->flow), flow_fed(bench->flow) + STEP);
}

static void crash_everywhere(struct engine_process *engine, struct bench *bench)
{
    static const char *const points[] = { "engine.produced:2", "engine.offsets_sent", "engine.committed:2",
        "engine.snapshot_written" };

    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        engine_start(engine, bench, points[i]);
        feed_step(bench);
        cr_assert(
            support_process_wait(&engine->process, DRAIN_TIMEOUT_MS) == 128 + SIGKILL, "%s was not reached", points[i]);
    }
}

static void kill_at_random(struct engine_process *engine, struct bench *bench, size_t kills)
{
    for (size_t i = 0; i < kills; i++) {
        engine_start(engine, bench, "");
        feed_step(bench);
        usleep((useconds_t)(support_random() % 1500) * 1000);
        support_process_kill(&engine->process);
    }
}

/* engine: what it serves now, from its snapshot after a restart, and another's after the whole log are the same. */
static void check_restarted_state(struct engine_process *engine, const struct bench *bench)
{
    struct engine_process fresh;
    char running[SUPPORT_BODY_MAX], restarted[SUPPORT_BODY_MAX], replayed[SUPPORT_BODY_MAX];

    cr_assert(engine_ask(engine, "ETH-USD", "orders", running) == 200);
    cr_assert(support_process_stop(&engine->process, STOP_TIMEOUT_MS) == 0);
    engine_start_healthy(engine, bench);
    cr_assert(engine_ask(engine, "ETH-USD", "orders", restarted) == 200);
    engine_init(&fresh);
    engine_start_healthy(&fresh, bench);
    cr_assert(engine_ask(&fresh, "ETH-USD", "orders", replayed) == 200);
    cr_assert(strlen(running) > 5000, "too few orders rest to prove anything");
    cr_assert_str_eq(running, restarted);
    cr_assert_str_eq(running, replayed);
    engine_release(&fresh);
}

Test(engine_process, killed_at_any_point_gives_the_outputs_of_an_uninterrupted_run_and_the_same_state_from_any_start)
{
    enum { KILLS = 3, STEPS = KILLS + 5 };
    struct bench bench;
    struct engine_process engine;

    bench_open(&bench);
    engine_init(&engine);
    flow_add_random(bench.flow, 11, (size_t)STEPS * STEP);
    crash_everywhere(&engine, &bench);
    kill_at_random(&engine, &bench, KILLS);
    bench_feed_all(&bench);
    engine_start_healthy(&engine, &bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    check_restarted_state(&engine, &bench);
    cr_assert(flow_check_outputs(bench.flow) > (size_t)STEPS * STEP);
    engine_release(&engine);
}
