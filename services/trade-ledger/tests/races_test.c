/* Many at once, and connections that die under them. */
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(races, .fini = world_end);

enum { THREADS = 8, MANY = 1250, FEW = 125, BATCH = 64 };

struct repeater {
    struct pg *pg;
    struct ask ask;
    size_t repeats;
    size_t created, replayed, other;
    char order_id[32];
    pthread_t thread;
};

/* Sends one request over and over, in batches of varying size. */
static void *repeat(void *context)
{
    struct repeater *r = context;
    struct outbox *outbox = outbox_new();
    for (size_t sent = 0; sent < r->repeats;) {
        struct ask asks[BATCH];
        struct answer answers[BATCH];
        size_t n = 1 + sent % BATCH;
        n = n < r->repeats - sent ? n : r->repeats - sent;
        for (size_t i = 0; i < n; i++)
            asks[i] = r->ask;
        if (!command_batch(r->pg, outbox, asks, answers, n))
            r->other += n;
        for (size_t i = 0; i < n; i++) {
            const char *id = json_string_value(json_object_get(answers[i].json, "order_id"));
            r->replayed += answers[i].status == 201 && answers[i].replayed;
            r->created += answers[i].status == 201 && !answers[i].replayed;
            r->other += answers[i].status != 201;
            if (id && r->order_id[0] && strcmp(r->order_id, id) != 0)
                r->other++;
            if (id)
                snprintf(r->order_id, sizeof r->order_id, "%s", id);
            json_decref(answers[i].json);
        }
        sent += n;
    }
    outbox_free(outbox);
    return NULL;
}

static void repeat_everywhere(struct world *world, struct ask ask, size_t repeats, struct repeater repeaters[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        repeaters[i] = (struct repeater){ .pg = world_connect(world), .ask = ask, .repeats = repeats };
        pthread_create(&repeaters[i].thread, NULL, repeat, &repeaters[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(repeaters[i].thread, NULL);
}

Test(races, ten_thousand_concurrent_duplicates_of_an_order_have_one_effect_and_one_answer, .timeout = 300)
{
    struct world *world = world_new();
    struct repeater repeaters[THREADS];
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"100000\"}").status, 201);
    repeat_everywhere(world,
        (struct ask){ 7, "POST", "/orders", NULL, "same",
            "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"10\",\"quantity\":\"1\"}", NULL },
        MANY, repeaters);
    size_t created = 0;
    for (int i = 0; i < THREADS; i++) {
        created += repeaters[i].created;
        cr_expect(repeaters[i].other == 0 && strcmp(repeaters[i].order_id, repeaters[0].order_id) == 0, "thread %d", i);
        cr_expect_eq(repeaters[i].created + repeaters[i].replayed, MANY);
    }
    cr_expect_eq(created, 1);
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 1);
    check_invariants(world);
}

Test(races, a_thousand_concurrent_duplicates_of_a_first_top_up_make_one_account_and_one_entry, .timeout = 300)
{
    struct world *world = world_new();
    struct repeater repeaters[THREADS];
    repeat_everywhere(world,
        (struct ask){ 7, "POST", "/fund/topup", NULL, "same", "{\"currency\":\"USD\",\"amount\":\"5\"}", NULL }, FEW,
        repeaters);
    size_t created = 0, other = 0;
    for (int i = 0; i < THREADS; i++) {
        created += repeaters[i].created;
        other += repeaters[i].other;
    }
    cr_expect(created == 1 && other == 0, "%zu created, %zu other", created, other);
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 7"), 500000000);
    cr_expect_eq(ask(world, "SELECT count(*) FROM topups"), 1);
    check_invariants(world);
}

/* ---- Two that share no account, so that no lock makes one wait for the other ---- */

struct latecomer {
    struct pg *pg;
    struct ask ask;
    struct answer answer;
    bool done;
};

static void *come_late(void *context)
{
    struct latecomer *late = context;
    struct outbox *outbox = outbox_new();
    late->done = command_batch(late->pg, outbox, &late->ask, &late->answer, 1);
    outbox_free(outbox);
    return NULL;
}

/* A buy is stored but not committed when a sell of the same user comes in on another connection. */
static struct answer sell_during_buy(
    struct world *world, const char *buy_key, const char *buy, const char *sell_key, const char *sell)
{
    struct error e = { 0 };
    pthread_t thread;
    struct latecomer late = { .pg = world_connect(world), .ask = { 7, "POST", "/orders", NULL, sell_key, sell, NULL } };
    struct http_call call = { .request = { .method = "POST",
                                  .path = "/orders",
                                  .query = "",
                                  .idempotency_key = buy_key,
                                  .json = json_loads(buy, 0, NULL),
                                  .claims.user_id = 7 } };
    struct http_call *calls[] = { &call };
    cr_assert(
        pg_begin(world->pg, &e) && http_commands(world->pg, world->outbox, calls, 1, &e) && pg_wait(world->pg, &e),
        "%s", e.message);
    cr_assert_eq(call.reply.status, 201);
    pthread_create(&thread, NULL, come_late, &late);
    usleep(300000);
    cr_assert(outbox_write(world->outbox, world->pg, &e) && pg_commit(world->pg, &e), "%s", e.message);
    pthread_join(thread, NULL);
    cr_assert(late.done);
    answers_taken(&late.answer, 1);
    json_decref(call.request.json);
    xfree(call.reply.body);
    return late.answer;
}

#define PLACE(side, more)                                                                                              \
    "{\"symbol\":\"BTC-USD\",\"side\":\"" side "\",\"type\":\"limit\",\"price\":\"10\",\"quantity\":\"1\"" more "}"

Test(races, a_key_or_client_order_id_claimed_by_an_uncommitted_request_is_not_claimed_again, .timeout = 300)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "usd", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    cr_assert_eq(top_up(world, 7, "btc", "{\"currency\":\"BTC\",\"amount\":\"100\"}").status, 201);
    struct answer same_key = sell_during_buy(world, "k", PLACE("buy", ""), "k", PLACE("sell", ""));
    cr_expect(same_key.status == 422 && strcmp(same_key.problem, "idempotency-key-reused") == 0, "%d", same_key.status);
    struct answer same_id = sell_during_buy(
        world, "a", PLACE("buy", ",\"client_order_id\":\"mine\""), "b", PLACE("sell", ",\"client_order_id\":\"mine\""));
    cr_expect(same_id.status == 409 && strcmp(same_id.problem, "client-order-id-reused") == 0, "%d", same_id.status);
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 2);
    check_invariants(world);
}

/* ---- Random commands of many users from many connections, some of which are cut off ---- */

struct mixer {
    struct pg *pg;
    int number;
    uint64_t random;
    atomic_size_t done;
    pthread_t thread;
};

static atomic_bool mixing;

/* On a busy machine much dies before it is done: the killing goes on until enough was done between. */
enum { ROUNDS = 12, ROUNDS_MAX = 150, DONE_ENOUGH = 400 };

static uint64_t next(struct mixer *m)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return m->random * 2685821657736338717u;
}

static void random_ask(struct mixer *m, size_t n, struct ask *ask, char key[32], char body[256])
{
    uint64_t what = next(m) % 10;
    snprintf(key, 32, "m%d-%zu", m->number, n);
    *ask = (struct ask){ .user_id = 1 + next(m) % 6, .method = "POST", .path = "/orders", .key = key, .body = body };
    if (what < 3) {
        ask->path = "/fund/topup";
        snprintf(body, 256, "{\"currency\":\"%s\",\"amount\":\"%" PRIu64 "\"}", next(m) % 2 ? "USD" : "BTC",
            1 + next(m) % 50);
    } else if (what < 7) {
        snprintf(body, 256,
            "{\"symbol\":\"BTC-USD\",\"side\":\"%s\",\"type\":\"limit\",\"price\":\"%" PRIu64
            "\",\"quantity\":\"1\",\"client_order_id\":\"c%" PRIu64 "\"}",
            next(m) % 2 ? "buy" : "sell", 1 + next(m) % 20, next(m) % 400);
    } else if (what < 8) {
        ask->path = "/quotes/mass";
        snprintf(body, 256,
            "{\"symbol\":\"BTC-USD\",\"quote_set\":1,\"quotes\":[{\"side\":\"buy\",\"price\":\"%" PRIu64
            "\",\"quantity\":\"1\"},{\"side\":\"sell\",\"price\":\"30\",\"quantity\":\"1\"}]}",
            1 + next(m) % 20);
    } else if (what < 9) {
        ask->method = "PATCH";
        ask->key = NULL;
        snprintf(
            body, 256, "{\"price\":\"%" PRIu64 "\",\"quantity\":\"%" PRIu64 "\"}", 1 + next(m) % 20, 1 + next(m) % 3);
        snprintf(key, 32, "%" PRIu64, 1 + next(m) % 300);
        ask->id = key;
    } else {
        ask->method = "DELETE";
        ask->body = NULL;
        snprintf(key, 32, "%" PRIu64, 1 + next(m) % 300);
        ask->id = key;
    }
}

static void *mix(void *context)
{
    struct mixer *m = context;
    struct outbox *outbox = outbox_new();
    for (size_t n = 0; atomic_load(&mixing);) {
        struct ask asks[8];
        struct answer answers[8];
        char keys[8][32], bodies[8][256];
        size_t count = 1 + next(m) % 8;
        for (size_t i = 0; i < count; i++)
            random_ask(m, n++, &asks[i], keys[i], bodies[i]);
        atomic_fetch_add(&m->done, command_batch(m->pg, outbox, asks, answers, count) ? count : 0);
        for (size_t i = 0; i < count; i++)
            json_decref(answers[i].json);
    }
    outbox_free(outbox);
    return NULL;
}

/* By all together, and something by each. */
static bool done_enough(struct mixer mixers[6])
{
    size_t done = 0;
    bool each = true;
    for (int i = 0; i < 6; i++) {
        done += atomic_load(&mixers[i].done);
        each = each && atomic_load(&mixers[i].done) > 0;
    }
    return each && done >= DONE_ENOUGH;
}

Test(races, random_concurrent_commands_with_backends_killed_under_them_keep_every_invariant, .timeout = 300)
{
    struct world *world = world_new();
    struct mixer mixers[6];
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : support_random() | 1;
    fprintf(stderr, "races: SEED=%" PRIu64 "\n", seed);
    atomic_store(&mixing, true);
    for (int i = 0; i < 6; i++) {
        mixers[i] = (struct mixer){ .pg = world_connect(world), .number = i, .random = seed + (uint64_t)i * 7919 };
        pthread_create(&mixers[i].thread, NULL, mix, &mixers[i]);
    }
    for (int round = 0; round < ROUNDS || (!done_enough(mixers) && round < ROUNDS_MAX); round++) {
        usleep(200000);
        ask(world, "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = "
                   "current_database() AND application_name = 'ledger-test' ORDER BY random() LIMIT 2) x");
    }
    atomic_store(&mixing, false);
    size_t done = 0;
    for (int i = 0; i < 6; i++) {
        pthread_join(mixers[i].thread, NULL);
        done += mixers[i].done;
        cr_expect(mixers[i].done > 0, "connection %d never came back", i);
    }
    cr_expect(done > 200, "only %zu commands", done);
    cr_expect_gt(ask(world, "SELECT count(*) FROM orders"), 20);
    check_invariants(world);
}
