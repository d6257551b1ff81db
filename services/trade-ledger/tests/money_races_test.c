/* Random transfers, holds, posts, voids, reversals and freezes from many connections, some of which are cut off. */
#include "testing.h"

#include "chores.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(money_races, .fini = world_end);

/* On a busy machine much dies before it is done: the killing goes on until enough was done between. */
enum {
    MIXERS = 6,
    USERS = 6,
    AT_ONCE = 8,
    ROUNDS = 12,
    ROUNDS_MAX = 150,
    DONE_ENOUGH = 600,
    JOURNALS = 400,
    BODY = 512
};

struct mixer {
    struct pg *pg;
    int number;
    uint64_t random;
    atomic_size_t done;
    pthread_t thread;
};

static atomic_bool mixing;

static uint64_t next(struct mixer *m)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return m->random * 2685821657736338717u;
}

struct scratch {
    char key[32], path[64], id[24], body[BODY];
};

static void random_payment(struct mixer *m, char *body, size_t size)
{
    snprintf(body, size, "{\"to_user_id\":\"%" PRIu64 "\",\"currency\":\"USD\",\"amount\":\"%" PRIu64 "\"%s}",
        1 + next(m) % USERS, 1 + next(m) % 30,
        next(m) % 3   ? ""
        : next(m) % 2 ? ",\"pending\":true,\"expires_in_s\":1"
                      : ",\"pending\":true");
}

static void random_step(struct mixer *m, struct ask *ask, struct scratch *s)
{
    bool post = next(m) % 2;
    snprintf(s->id, sizeof s->id, "%" PRIu64, 1 + next(m) % JOURNALS);
    snprintf(s->path, sizeof s->path, "/transfers/%s/%s", s->id, post ? "post" : "void");
    snprintf(s->body, BODY, post && next(m) % 2 ? "{\"amount\":\"%d\"}" : "{}", (int)(1 + next(m) % 10));
    ask->id = s->id;
    ask->by_operator = next(m) % 2;
}

static void random_house(struct mixer *m, struct ask *ask, struct scratch *s)
{
    uint64_t what = next(m) % 4;
    ask->by_operator = true;
    snprintf(s->id, sizeof s->id, "%" PRIu64, 1 + next(m) % (what == 0 ? JOURNALS : USERS + 1));
    ask->id = s->id;
    if (what == 0) {
        snprintf(s->path, sizeof s->path, "/ledger/journals/%s/reverse", s->id);
        snprintf(s->body, BODY, "{}");
    } else if (what == 1) {
        snprintf(s->path, sizeof s->path, "/ledger/journals");
        snprintf(s->body, BODY,
            "{\"legs\":[{\"user_id\":\"%s\",\"currency\":\"USD\",\"amount\":\"-2\"},{\"account\":\"house\","
            "\"currency\":"
            "\"USD\",\"amount\":\"1\"},{\"account\":\"fees\",\"currency\":\"USD\",\"amount\":\"1\"}]}",
            s->id);
    } else {
        ask->method = "PATCH";
        ask->key = NULL;
        snprintf(s->path, sizeof s->path, "/admin/accounts/%s", s->id);
        if (what == 2)
            snprintf(s->body, BODY, "{\"status\":\"%s\",\"reason\":\"x\"}", next(m) % 3 ? "open" : "frozen");
        else
            snprintf(s->body, BODY, "{\"overdraft\":\"%d\",\"reason\":\"x\"}", (int)(next(m) % 40));
    }
}

static void random_ask(struct mixer *m, size_t n, struct ask *ask, struct scratch *s)
{
    uint64_t what = next(m) % 10;
    snprintf(s->key, sizeof s->key, "m%d-%zu", m->number, n);
    *ask = (struct ask){
        .user_id = 1 + next(m) % USERS, .method = "POST", .path = s->path, .key = s->key, .body = s->body
    };
    if (what < 4) {
        snprintf(s->path, sizeof s->path, "/transfers");
        random_payment(m, s->body, BODY);
    } else if (what < 5) {
        char one[BODY / 4], two[BODY / 4];
        random_payment(m, one, sizeof one);
        random_payment(m, two, sizeof two);
        snprintf(s->path, sizeof s->path, "/transfers/batch");
        snprintf(s->body, BODY, "{\"mode\":\"%s\",\"transfers\":[%s,%s]}", next(m) % 2 ? "all" : "each", one, two);
    } else if (what < 8) {
        random_step(m, ask, s);
    } else {
        random_house(m, ask, s);
    }
}

static void *mix(void *context)
{
    struct mixer *m = context;
    struct outbox *outbox = outbox_new();
    for (size_t n = 0; atomic_load(&mixing);) {
        struct ask asks[AT_ONCE];
        struct answer answers[AT_ONCE];
        struct scratch scratch[AT_ONCE];
        size_t count = 1 + next(m) % AT_ONCE;
        for (size_t i = 0; i < count; i++)
            random_ask(m, n++, &asks[i], &scratch[i]);
        atomic_fetch_add(&m->done, command_batch(m->pg, outbox, asks, answers, count) ? count : 0);
        for (size_t i = 0; i < count; i++) {
            cr_assert(answers[i].status != 500, "%s %s: %s", asks[i].path, asks[i].body, answers[i].message);
            json_decref(answers[i].json);
        }
    }
    outbox_free(outbox);
    return NULL;
}

static size_t done_by(struct mixer mixers[MIXERS])
{
    size_t done = 0;
    for (int i = 0; i < MIXERS; i++)
        done += atomic_load(&mixers[i].done);
    return done;
}

static const struct {
    const char *what, *sql;
} happened[] = {
    { "transfers", "SELECT count(*) FROM journals WHERE kind = 5" },
    { "posts", "SELECT count(*) FROM pending_transfers WHERE status = 2" },
    { "voids", "SELECT count(*) FROM pending_transfers WHERE status = 3" },
    { "expiries", "SELECT count(*) FROM pending_transfers WHERE status = 4" },
    { "reversals", "SELECT count(*) FROM journals WHERE kind = 10" },
    { "freezes", "SELECT count(*) FROM account_changes WHERE status = 2" },
};

/* Something by each, enough together, and of each kind. */
static bool done_enough(struct world *world, struct mixer mixers[MIXERS])
{
    bool enough = done_by(mixers) >= DONE_ENOUGH;
    for (int i = 0; i < MIXERS; i++)
        enough = enough && atomic_load(&mixers[i].done) > 0;
    for (size_t i = 0; enough && i < ARRAY_LEN(happened); i++)
        enough = ask(world, happened[i].sql) > 0;
    return enough;
}

/* The time of what is set aside runs out under them too. */
static void run_chores(struct pg *pg, struct outbox *outbox)
{
    struct error e = { 0 };
    cr_assert(chores_run(pg, outbox, world_service(), now_us(), &e) || e.kind == ERROR_TRANSIENT, "%s", e.message);
}

Test(money_races, random_transfers_holds_posts_voids_reversals_and_freezes_with_backends_killed_keep_every_invariant,
    .timeout = 300)
{
    struct world *world = world_new();
    struct mixer mixers[MIXERS];
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : support_random() | 1;
    fprintf(stderr, "money_races: SEED=%" PRIu64 "\n", seed);
    for (uint64_t user = 1; user <= USERS; user++)
        cr_assert_eq(top_up(world, user, "seed", "{\"currency\":\"USD\",\"amount\":\"200\"}").status, 201);
    atomic_store(&mixing, true);
    for (int i = 0; i < MIXERS; i++) {
        mixers[i] = (struct mixer){ .pg = world_connect(world), .number = i, .random = seed + (uint64_t)i * 7919 };
        pthread_create(&mixers[i].thread, NULL, mix, &mixers[i]);
    }
    struct pg *chores_pg = world_connect(world);
    struct outbox *chores_outbox = outbox_new();
    for (int round = 0; round < ROUNDS || (!done_enough(world, mixers) && round < ROUNDS_MAX); round++) {
        usleep(200000);
        run_chores(chores_pg, chores_outbox);
        ask(world, "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname = "
                   "current_database() AND application_name = 'ledger-test' ORDER BY random() LIMIT 2) x");
    }
    atomic_store(&mixing, false);
    for (int i = 0; i < MIXERS; i++) {
        pthread_join(mixers[i].thread, NULL);
        cr_expect(mixers[i].done > 0, "connection %d never came back", i);
    }
    outbox_free(chores_outbox);
    cr_expect_gt(done_by(mixers), 200);
    for (size_t i = 0; i < ARRAY_LEN(happened); i++)
        cr_expect_gt(ask(world, happened[i].sql), 0, "there were no %s", happened[i].what);
    check_invariants(world);
}

/* ---- One after the other could not do harm; at the same time neither ---- */

struct racer {
    struct pg *pg;
    struct ask ask;
    struct answer answer;
    pthread_t thread;
};

static void *race(void *context)
{
    struct racer *r = context;
    struct outbox *outbox = outbox_new();
    cr_assert(command_batch(r->pg, outbox, &r->ask, &r->answer, 1));
    outbox_free(outbox);
    return NULL;
}

static size_t winners(struct world *world, struct ask *asks, size_t count)
{
    struct racer racers[MIXERS];
    size_t won = 0;
    for (size_t i = 0; i < count; i++) {
        racers[i] = (struct racer){ .pg = world_connect(world), .ask = asks[i] };
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(racers[i].thread, NULL);
        answers_taken(&racers[i].answer, 1);
        won += racers[i].answer.status == 200 || racers[i].answer.status == 201;
    }
    return won;
}

Test(money_races, of_those_who_reverse_one_journal_or_end_one_hold_at_the_same_time_one_wins, .timeout = 300)
{
    struct world *world = world_new();
    char id[24], path[64], keys[MIXERS][8];
    struct ask asks[MIXERS];
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"1000\"}").status, 201);
    cr_assert_eq(top_up(world, 8, "seed", "{\"currency\":\"USD\",\"amount\":\"1000\"}").status, 201);
    for (int round = 0; round < 5; round++) {
        bool hold = round % 2;
        snprintf(path, sizeof path, "k%d", round);
        struct answer sent = transfer(world, 7, path,
            hold ? "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"10\",\"pending\":true}"
                 : "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"10\"}");
        cr_assert_eq(sent.status, 201);
        snprintf(id, sizeof id, "%s", text_of(&sent, "transfer_id"));
        for (int i = 0; i < MIXERS; i++) {
            static char paths[3][64];
            snprintf(paths[0], 64, "/ledger/journals/%s/reverse", id);
            snprintf(paths[1], 64, "/transfers/%s/post", id);
            snprintf(paths[2], 64, "/transfers/%s/void", id);
            snprintf(keys[i], sizeof keys[i], "%d-%d", round, i);
            asks[i] = (struct ask){ 1000, "POST", paths[hold ? 1 + i % 2 : 0], id, keys[i], "{}", NULL, true };
        }
        cr_expect_eq(winners(world, asks, MIXERS), 1, "round %d", round);
    }
    check_invariants(world);
}
