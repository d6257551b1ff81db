/* The engine as a process on real Kafka: exact outputs, kills at every crash point, restarts, two engines, poison. */
#include "flow.h"
#include "support.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    START_TIMEOUT_MS = 20000,
    DRAIN_TIMEOUT_MS = 30000,
    STOP_TIMEOUT_MS = 20000,
    COMMANDS = 3000,
    PARTITIONS = 4,         /* of orders.accepted.v1 */
    TAKEOVER_MAX_MS = 4000, /* twice what is promised: this machine is shared */
};

struct bench {
    char prefix[SUPPORT_NAME_MAX];
    struct flow *flow;
};

struct engine_process {
    struct support_process process;
    char directory[64];
    uint16_t port;
};

static void bench_open(struct bench *bench)
{
    support_topics_open(bench->prefix);
    bench->flow = flow_new(support_kafka_brokers(), bench->prefix);
}

static void engine_init(struct engine_process *engine)
{
    memset(engine, 0, sizeof *engine);
    strcpy(engine->directory, "/tmp/engine-test-XXXXXX");
    cr_assert(mkdtemp(engine->directory));
    engine->port = support_free_port();
}

static void engine_release(struct engine_process *engine)
{
    char command[128];

    support_process_kill(&engine->process);
    snprintf(command, sizeof command, "rm -rf '%s'", engine->directory);
    cr_assert(system(command) == 0);
}

/* crash_at: "" or a point of crash_point(). */
static void engine_start(struct engine_process *engine, const struct bench *bench, const char *crash_at)
{
    char path[SUPPORT_PATH_MAX], env[7][256];
    const char *variables[8] = { 0 };

    snprintf(env[0], sizeof env[0], "KAFKA_BROKERS=%s", support_kafka_brokers());
    snprintf(env[1], sizeof env[1], "TOPIC_PREFIX=%s", bench->prefix);
    snprintf(env[2], sizeof env[2], "MATCHING_ENGINE_PORT=%u", engine->port);
    snprintf(env[3], sizeof env[3], "MATCHING_ENGINE_DATA_DIR=%s", engine->directory);
    snprintf(env[4], sizeof env[4], "MATCHING_ENGINE_SNAPSHOT_EVERY=300");
    const char *session_ms = getenv("MATCHING_ENGINE_SESSION_TIMEOUT_MS");
    snprintf(env[5], sizeof env[5], "MATCHING_ENGINE_SESSION_TIMEOUT_MS=%s", session_ms ? session_ms : "2000");
    snprintf(env[6], sizeof env[6], "CRASH_AT=%s", crash_at);
    for (size_t i = 0; i < 7; i++)
        variables[i] = env[i];
    support_process_start(&engine->process,
        (const char *const[]){ support_build_path("services/matching-engine/penstock-matching-engine", path), NULL },
        variables);
}

static void engine_start_healthy(struct engine_process *engine, const struct bench *bench)
{
    engine_start(engine, bench, "");
    support_process_wait_healthy(&engine->process, engine->port, START_TIMEOUT_MS);
}

static void feed_all(struct bench *bench)
{
    flow_feed(bench->flow, 0, flow_count(bench->flow));
}

/* Waits for a shard that is catching up; 404 stays 404. */
static int ask(const struct engine_process *engine, const char *symbol, const char *what, char body[SUPPORT_BODY_MAX])
{
    char path[128];
    int status = 0;

    snprintf(path, sizeof path, "/internal/markets/%s/%s", symbol, what);
    for (int tries = 0; tries < 100; tries++) {
        status = support_http(engine->port, "GET", path, "", NULL, body);
        if (status == 200)
            break;
        usleep(100000);
    }
    return status;
}

Test(engine_process, gives_exactly_these_outputs_for_these_orders)
{
    struct bench bench;
    struct engine_process engine;

    bench_open(&bench);
    engine_init(&engine);
    flow_add_market(bench.flow, "BTC-USD", 1);
    flow_add_order(bench.flow, "BTC-USD", 1, 7, "sell", 1000, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 2, 8, "buy", 1500, 103, "ioc");
    flow_add_cancel(bench.flow, "BTC-USD", 1, 7);
    feed_all(&bench);
    engine_start_healthy(&engine, &bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);

    static const struct {
        const char *topic, *records;
    } cases[] = {
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

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(xfree) char *records = flow_read_topic(bench.flow, cases[i].topic);

        cr_assert_str_eq(records, cases[i].records);
    }
    /* Opened, book, orders; trade, two fills, cancelled remainder, postings, book, orders; the refused cancel. */
    cr_assert(flow_check_outputs(bench.flow) == 11);
    engine_release(&engine);
}

Test(engine_process, serves_the_committed_book_with_its_sequence)
{
    struct bench bench;
    struct engine_process engine;
    char body[SUPPORT_BODY_MAX];

    bench_open(&bench);
    engine_init(&engine);
    flow_add_market(bench.flow, "BTC-USD", 1);
    flow_add_order(bench.flow, "BTC-USD", 1, 7, "sell", 1000, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 2, 8, "buy", 400, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 3, 8, "buy", 5, 99, "");
    feed_all(&bench);
    engine_start_healthy(&engine, &bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    cr_assert(ask(&engine, "BTC-USD", "book", body) == 200, "%s", body);

    json_t *book = json_loads(body, 0, NULL);
    const char *seq, *price, *lots;

    cr_assert(json_unpack(book, "{s:s, s:[{s:s, s:s}]}", "seq", &seq, "asks", "price_ticks", &price, "quantity_lots",
                  &lots) == 0,
        "%s", body);
    cr_assert_str_eq(seq, "12");
    cr_assert_str_eq(price, "100");
    cr_assert_str_eq(lots, "600");
    json_decref(book);
    cr_assert(support_http(engine.port, "GET", "/internal/markets/NO-SUCH/book", "", NULL, body) == 404, "%s", body);
    engine_release(&engine);
}

Test(engine_process, killed_at_any_crash_point_gives_the_outputs_of_an_uninterrupted_run)
{
    static const char *const points[] = { "engine.produced:4", "engine.offsets_sent:2", "engine.committed:5",
        "engine.snapshot_written:1" };

    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        struct bench bench;
        struct engine_process engine;

        bench_open(&bench);
        engine_init(&engine);
        flow_add_random(bench.flow, 11 + i, COMMANDS);
        engine_start(&engine, &bench, points[i]);
        feed_all(&bench);
        cr_assert(
            support_process_wait(&engine.process, DRAIN_TIMEOUT_MS) == 128 + SIGKILL, "%s was not reached", points[i]);
        engine_start_healthy(&engine, &bench);
        flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
        cr_assert(flow_check_outputs(bench.flow) > COMMANDS);
        engine_release(&engine);
    }
}

Test(engine_process, killed_at_random_under_load_loses_nothing_and_repeats_nothing)
{
    enum { KILLS = 5 };
    struct bench bench;
    struct engine_process engine;

    bench_open(&bench);
    engine_init(&engine);
    flow_add_random(bench.flow, 99, (size_t)KILLS * 1000);
    for (size_t i = 0; i < KILLS; i++) {
        engine_start(&engine, &bench, "");
        flow_feed(bench.flow, i * 1000, (i + 1) * 1000);
        usleep((useconds_t)(support_random() % 900) * 1000);
        support_process_kill(&engine.process);
    }
    flow_feed(bench.flow, (size_t)KILLS * 1000, flow_count(bench.flow));
    engine_start_healthy(&engine, &bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    flow_check_outputs(bench.flow);
    engine_release(&engine);
}

Test(engine_process, has_the_same_state_from_a_snapshot_and_from_the_whole_log)
{
    struct bench bench;
    struct engine_process engine, fresh;
    char running[SUPPORT_BODY_MAX], restarted[SUPPORT_BODY_MAX], replayed[SUPPORT_BODY_MAX];

    bench_open(&bench);
    engine_init(&engine);
    engine_init(&fresh);
    flow_add_random(bench.flow, 5, COMMANDS);
    engine_start_healthy(&engine, &bench);
    feed_all(&bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    cr_assert(ask(&engine, "ETH-USD", "orders", running) == 200);
    cr_assert(support_process_stop(&engine.process, STOP_TIMEOUT_MS) == 0);
    engine_start_healthy(&engine, &bench);
    cr_assert(ask(&engine, "ETH-USD", "orders", restarted) == 200);
    cr_assert(support_process_stop(&engine.process, STOP_TIMEOUT_MS) == 0);
    engine_start_healthy(&fresh, &bench);
    cr_assert(ask(&fresh, "ETH-USD", "orders", replayed) == 200);
    cr_assert(strlen(running) > 5000, "too few orders rest to prove anything");
    cr_assert_str_eq(running, restarted);
    cr_assert_str_eq(running, replayed);
    flow_check_outputs(bench.flow);
    engine_release(&engine);
    engine_release(&fresh);
}

/* How many partitions the process has in this role: "owner" or "standby" (only warm ones count). */
static size_t partitions_of(const struct engine_process *engine, const char *role)
{
    char body[SUPPORT_BODY_MAX];
    size_t count = 0, i;
    json_t *entry;

    if (support_http(engine->port, "GET", "/internal/partitions", "", NULL, body) != 200)
        return 0;

    json_t *reply = json_loads(body, 0, NULL);

    json_array_foreach(json_object_get(reply, "partitions"), i, entry)
    {
        bool is = strcmp(json_string_value(json_object_get(entry, "role")), role) == 0;

        count += is && (json_is_true(json_object_get(entry, "warm")) || strcmp(role, "owner") == 0) ? 1 : 0;
    }
    json_decref(reply);
    return count;
}

static void wait_partitions(const struct engine_process *engine, const char *role, size_t count)
{
    for (int tries = 0; tries < 1500 && partitions_of(engine, role) != count; tries++)
        usleep(10000);
    cr_assert(partitions_of(engine, role) == count, "%s of %zu partitions, not %zu", role, partitions_of(engine, role),
        count);
}

/* Two engines that share the partitions, each warm for those of the other. */
static void start_two(struct bench *bench, struct engine_process *a, struct engine_process *b)
{
    engine_init(a);
    engine_init(b);
    engine_start_healthy(a, bench);
    wait_partitions(a, "owner", PARTITIONS);
    engine_start_healthy(b, bench);
    wait_partitions(b, "owner", PARTITIONS / 2);
    wait_partitions(a, "owner", PARTITIONS / 2);
    wait_partitions(a, "standby", PARTITIONS / 2);
    wait_partitions(b, "standby", PARTITIONS / 2);
}

Test(engine_process, shares_the_partitions_of_a_group_and_takes_over_when_the_other_dies)
{
    static const char *const standby[] = { "true", "false" };

    for (size_t i = 0; i < ARRAY_LEN(standby); i++) {
        struct bench bench;
        struct engine_process a, b;

        bench_open(&bench);
        engine_init(&a);
        engine_init(&b);
        setenv("MATCHING_ENGINE_STANDBY", standby[i], 1);
        flow_add_random(bench.flow, 21, COMMANDS);
        engine_start_healthy(&a, &bench);
        flow_feed(bench.flow, 0, 1000);
        engine_start_healthy(&b, &bench);
        wait_partitions(&a, "owner", PARTITIONS / 2);
        wait_partitions(&b, "owner", PARTITIONS / 2);
        flow_feed(bench.flow, 1000, 2000);
        support_process_kill(&b.process);
        flow_feed(bench.flow, 2000, flow_count(bench.flow));
        flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
        cr_assert(partitions_of(&a, "owner") == PARTITIONS);
        flow_check_outputs(bench.flow);
        engine_release(&a);
        engine_release(&b);
    }
}

/* Feeds, ends the one as `signal` does, and measures until the other owns all and has answered what was fed. */
static void take_over(int signal)
{
    struct bench bench;
    struct engine_process a, b;
    int64_t began_us, owned_us;

    bench_open(&bench);
    setenv("MATCHING_ENGINE_SESSION_TIMEOUT_MS", "1000", 1);
    flow_add_random(bench.flow, 41, COMMANDS);
    start_two(&bench, &a, &b);
    flow_feed(bench.flow, 0, COMMANDS / 2);
    began_us = monotonic_us();
    kill(a.process.pid, signal);
    flow_feed(bench.flow, COMMANDS / 2, COMMANDS);
    wait_partitions(&b, "owner", PARTITIONS);
    owned_us = monotonic_us();
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    fprintf(stderr, "takeover after signal %d: owner after %ld ms, all answered after %ld ms\n", signal,
        (owned_us - began_us) / 1000, (monotonic_us() - began_us) / 1000);
    cr_assert(owned_us - began_us < TAKEOVER_MAX_MS * 1000, "the takeover took %ld ms", (owned_us - began_us) / 1000);
    flow_feed(bench.flow, COMMANDS, flow_count(bench.flow));
    if (signal == SIGSTOP) {
        kill(a.process.pid, SIGCONT);
        cr_assert(support_process_wait(&a.process, STOP_TIMEOUT_MS) == 1, "it is fenced, and ends");
    }
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    flow_check_outputs(bench.flow);
    engine_release(&a);
    engine_release(&b);
}

Test(engine_process, standby_takes_over_in_seconds_from_a_killed_owner)
{
    take_over(SIGKILL);
}

Test(engine_process, standby_takes_over_in_seconds_from_a_paused_owner_which_is_then_fenced)
{
    take_over(SIGSTOP);
}

Test(engine_process, moves_partitions_to_and_fro_under_load_without_a_loss)
{
    enum { MOVES = 3 };
    struct bench bench;
    struct engine_process a, b;

    bench_open(&bench);
    engine_init(&a);
    engine_init(&b);
    flow_add_random(bench.flow, 51, (size_t)MOVES * 1000);
    engine_start_healthy(&a, &bench);
    for (size_t i = 0; i < MOVES; i++) {
        engine_start_healthy(&b, &bench);
        flow_feed(bench.flow, i * 1000, i * 1000 + 500);
        wait_partitions(&b, "owner", PARTITIONS / 2);
        flow_feed(bench.flow, i * 1000 + 500, (i + 1) * 1000);
        cr_assert(support_process_stop(&b.process, STOP_TIMEOUT_MS) == 0);
    }
    flow_feed(bench.flow, (size_t)MOVES * 1000, flow_count(bench.flow));
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    flow_check_outputs(bench.flow);
    engine_release(&a);
    engine_release(&b);
}

Test(engine_process, cannot_write_after_a_pause_in_which_another_took_over)
{
    struct bench bench;
    struct engine_process a, b;

    bench_open(&bench);
    engine_init(&a);
    engine_init(&b);
    flow_add_random(bench.flow, 31, COMMANDS);
    engine_start_healthy(&a, &bench);
    flow_feed(bench.flow, 0, 1500);
    kill(a.process.pid, SIGSTOP);
    engine_start_healthy(&b, &bench);
    flow_feed(bench.flow, 1500, flow_count(bench.flow));
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    kill(a.process.pid, SIGCONT);
    usleep(3000000);
    flow_check_outputs(bench.flow);
    engine_release(&a);
    engine_release(&b);
}

Test(engine_process, puts_poison_aside_and_goes_on)
{
    struct bench bench;
    struct engine_process engine;

    bench_open(&bench);
    engine_init(&engine);
    flow_add_market(bench.flow, "BTC-USD", 1);
    flow_add_raw(bench.flow, "BTC-USD", "penstock.orders.v1.OrderAccepted", (struct bytes){ "\xff\xff\xff", 3 });
    flow_add_raw(bench.flow, "BTC-USD", "penstock.orders.v1.NoSuchThing", (struct bytes){ "", 0 });
    flow_add_order(bench.flow, "NO-MARKET", 1, 7, "sell", 1, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 0, 7, "sell", 1, 100, "");
    flow_add_order(bench.flow, "BTC-USD", 2, 7, "sell", 1, 100, "");
    feed_all(&bench);
    engine_start_healthy(&engine, &bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    cr_assert(flow_check_outputs(bench.flow) == 3, "the good order opened and changed the book");

    CLEANUP(xfree) char *dead = flow_read_headers(bench.flow, "orders.accepted.v1.matching-engine.dead");
    static const char *const parts[] = { "ce_id=trade-ledger-2 ", "ce_id=trade-ledger-3 ", "ce_id=trade-ledger-4 ",
        "ce_id=trade-ledger-5 ", "dlq_field=order_id ", "dlq_field=symbol ", "dlq_field=ce_type ",
        "dlq_topic=orders.accepted.v1 ", "dlq_group=matching-engine ", "dlq_kind=refused ", "dlq_kind=invalid " };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        cr_assert(strstr(dead, parts[i]), "%s is missing in\n%s", parts[i], dead);
    engine_release(&engine);
}
