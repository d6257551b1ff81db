/* Balances as they are and as they were, and entries that are searched for, on a real Postgres. */
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

TestSuite(balance, .fini = world_end);
TestSuite(as_of, .fini = world_end);
TestSuite(search, .fini = world_end);
TestSuite(pages, .fini = world_end);

#define LIMIT_BUY(price, quantity)                                                                                     \
    "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"" price "\",\"quantity\":\"" quantity "\"}"

/* User 7: five top-ups of 1 to 5 USD and an order that holds 3; user 8: 100 USD. */
static struct world *world_with_money(void)
{
    struct world *world = world_new();
    for (int i = 1; i <= 5; i++) {
        char key[8], body[64];
        snprintf(key, sizeof key, "t%d", i);
        snprintf(body, sizeof body, "{\"currency\":\"USD\",\"amount\":\"%d\"}", i);
        cr_assert_eq(top_up(world, 7, key, body).status, 201);
    }
    cr_assert_eq(place(world, 7, "o", LIMIT_BUY("30000", "0.0001")).status, 201);
    cr_assert_eq(top_up(world, 8, "t", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    return world;
}

static struct answer balance_of(struct world *world, uint64_t user_id, const char *id, const char *query)
{
    return get(world, get_account_balance, (struct ask){ .user_id = user_id, .id = id, .query = query });
}

static const char *time_of(struct world *world, const char *which, int64_t later_us, char ret_query[64])
{
    char sql[160], text[EVENT_TIME_MAX];
    snprintf(sql, sizeof sql, "SELECT microseconds(posted_at) FROM journals WHERE reference = '%s'", which);
    event_time_format(ask(world, sql) + later_us, text);
    snprintf(ret_query, 64, "as_of=%s", text);
    return ret_query;
}

Test(balance, comes_with_what_is_pending_in_one_read)
{
    struct world *world = world_with_money();
    struct answer answer = balance_of(world, 7, "USD", "");
    cr_assert_eq(answer.status, 200, "%s", answer.message);
    cr_expect_str_eq(text_of(&answer, "available"), "12");
    cr_expect_str_eq(text_of(&answer, "held"), "3");
    cr_expect_str_eq(text_of(&answer, "total"), "15");
    cr_expect_str_eq(text_of(&answer, "kind"), "user");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(answer.json, "pending"), "orders")), "3",
        "held for the order");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(answer.json, "pending"), "other")), "0");
    char id[24];
    snprintf(id, sizeof id, "%s", text_of(&answer, "account_id"));
    cr_expect_str_eq(json_string_value(json_object_get(balance_of(world, 7, id, "").json, "available")), "12",
        "by its id it is the same account");
    cr_expect_eq(balance_of(world, 8, id, "").status, 404, "somebody else's");
    cr_expect_eq(balance_of(world, 0, id, "").status, 200, "a service may ask");
}

Test(balance, as_of_a_time_is_what_it_was_then)
{
    struct world *world = world_with_money();
    char query[64];
    static const struct {
        const char *reference;
        int64_t later_us;
        const char *available, *held;
    } cases[] = {
        { "topup:1", -1, "0", "0" },
        { "topup:1", 0, "1", "0" },
        { "topup:3", -1, "3", "0" },
        { "topup:3", 0, "6", "0" },
        { "topup:5", 0, "15", "0" },
        { "order:1", -1, "15", "0" },
        { "order:1", 0, "12", "3" },
        { "order:1", 3600000000, "12", "3" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer =
            balance_of(world, 7, "USD", time_of(world, cases[i].reference, cases[i].later_us, query));
        cr_expect(answer.status == 200 && strcmp(text_of(&answer, "available"), cases[i].available) == 0 &&
                      strcmp(text_of(&answer, "held"), cases[i].held) == 0,
            "%s %+" PRId64 ": %d %s %s", cases[i].reference, cases[i].later_us, answer.status,
            text_of(&answer, "available"), text_of(&answer, "held"));
        struct answer all = get(world, get_portfolio, (struct ask){ .user_id = 7, .query = query });
        json_t *usd = json_array_get(json_object_get(all.json, "balances"), 0);
        cr_expect_str_eq(json_string_value(json_object_get(usd, "available")), cases[i].available);
    }
    check_invariants(world);
}

Test(balance, bad_questions_are_refused)
{
    static const struct {
        const char *id, *query;
        int status;
        const char *problem;
    } cases[] = {
        { "USD", "as_of=yesterday", 400, "invalid-time" },
        { "USD", "as_of=", 400, "invalid-time" },
        { "USD", "as_of=2026-13-01T00:00:00Z", 400, "invalid-time" },
        { "XXX", "", 404, "account-not-found" },
        { "BTC", "", 404, "account-not-found" }, /* he has none */
        { "999999999", "", 404, "account-not-found" },
        { "99999999999999999999", "", 404, "account-not-found" },
        { "-1", "", 404, "account-not-found" },
        { "0", "", 404, "account-not-found" },
        { "1;DROP TABLE entries", "", 404, "account-not-found" },
    };
    struct world *world = world_with_money();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = balance_of(world, 7, cases[i].id, cases[i].query);
        cr_expect(answer.status == cases[i].status && strcmp(answer.problem, cases[i].problem) == 0, "%s?%s: %d %s",
            cases[i].id, cases[i].query, answer.status, answer.problem);
    }
}

/* Entries of one account, a hundred a second, as the superuser writes them: each moves 1. Several share a time. */
static void write_history(struct world *world, int count)
{
    char sql[512];
    snprintf(sql, sizeof sql, "INSERT INTO accounts (owner_id, kind, asset_id, available) VALUES (9, 1, 1, %d)", count);
    ask(world, sql);
    snprintf(sql, sizeof sql,
        "INSERT INTO journals (id, kind, reference, posted_at) SELECT 1000 + i, 1, 'old:' || i, "
        "timestamptz '2026-01-01 00:00:00+00' + (i / 3) * interval '30 milliseconds' FROM generate_series(1, %d) i",
        count);
    ask(world, sql);
    snprintf(sql, sizeof sql,
        "INSERT INTO entries SELECT 1000 + i * 7, 1000 + i, (SELECT id FROM accounts WHERE owner_id = 9), 1, 1, 0, i, "
        "0 FROM generate_series(1, %d) i",
        count);
    ask(world, sql);
    ask(world, "ANALYZE entries, journals");
}

Test(as_of, is_the_sum_of_all_that_was_booked_until_then)
{
    struct world *world = world_new();
    write_history(world, 20000);
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM (SELECT timestamptz '2026-01-01 00:00:00+00' + k * interval '0.777 s' - "
                   "(k % 3) * interval '1 microsecond' AS at FROM generate_series(-3, 260) k) t "
                   "LEFT JOIN entries e ON e.id = entry_as_of((SELECT id FROM accounts WHERE owner_id = 9), t.at) "
                   "WHERE coalesce(e.available_after, 0) <> (SELECT coalesce(sum(x.available_delta), 0) FROM "
                   "entries x JOIN journals j ON j.id = x.journal_id WHERE j.posted_at <= t.at)"),
        0);
    cr_expect_eq(ask(world, "SELECT entry_as_of((SELECT id FROM accounts WHERE owner_id = 9), 'infinity')"), 141000);
    cr_expect_eq(
        ask(world, "SELECT count(*) WHERE entry_as_of((SELECT id FROM accounts WHERE owner_id = 9), '-infinity') "
                   "IS NULL"),
        1);
    /* Halving looks at a row or two a step, and takes 18 steps here; a walk would look at thousands. */
    int64_t looked_up = ask(world, "SELECT entry_as_of((SELECT id FROM accounts WHERE owner_id = 9), timestamptz "
                                   "'2026-01-01 00:02:00+00'); SELECT idx_tup_fetch + seq_tup_read FROM "
                                   "pg_stat_xact_user_tables WHERE relname = 'entries'");
    cr_expect(looked_up > 0 && looked_up <= 60, "%" PRId64 " entries were looked at: no longer by halving", looked_up);
}

static struct answer search(struct world *world, uint64_t user_id, const char *query)
{
    return get(world, get_entries, (struct ask){ .user_id = user_id, .query = query });
}

Test(search, finds_by_reference_account_time_and_amount)
{
    struct world *world = world_with_money();
    static const struct {
        const char *query;
        size_t found;
    } cases[] = {
        { "", 6 },
        { "reference=topup:3", 1 },
        { "reference=order:1", 1 },
        { "reference=topup:6", 0 }, /* another's */
        { "reference=nothing", 0 },
        { "asset=USD&min_amount=3", 4 }, /* 3, 4, 5, and the 3 that are held */
        { "asset=USD&min_amount=3&max_amount=4", 3 },
        { "asset=USD&max_amount=0.99999999", 0 },
        { "asset=USD&min_amount=3&reference=topup:3", 1 },
        { "asset=USD&min_amount=3.5&reference=topup:3", 0 },
        { "asset=BTC", 0 },
        { "to=2026-01-01T00:00:00Z", 0 },
        { "from=2026-01-01T00:00:00Z", 6 },
        { "from=2026-01-01T00:00:00Z&reference=topup:3", 1 },
        { "to=2026-01-01T00:00:00Z&reference=topup:3", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = search(world, 7, cases[i].query);
        cr_expect(answer.status == 200 && json_array_size(json_object_get(answer.json, "entries")) == cases[i].found,
            "%s: %d %s, %zu found", cases[i].query, answer.status, answer.message,
            json_array_size(json_object_get(answer.json, "entries")));
    }
    char from[64], query[200], account[24];
    struct answer balance = balance_of(world, 7, "USD", "");
    snprintf(account, sizeof account, "%s", text_of(&balance, "account_id"));
    snprintf(query, sizeof query, "account=%s&from=%s", account, time_of(world, "topup:4", 0, from) + strlen("as_of="));
    cr_expect_eq(json_array_size(json_object_get(search(world, 7, query).json, "entries")), 3, "from is inside");
    snprintf(query, sizeof query, "account=%s&to=%s", account, from + strlen("as_of="));
    cr_expect_eq(json_array_size(json_object_get(search(world, 7, query).json, "entries")), 3, "to is outside");
    snprintf(query, sizeof query, "account=%s", account);
    cr_expect_eq(json_array_size(json_object_get(search(world, 8, query).json, "entries")), 0, "somebody else's");
}

Test(search, bad_questions_are_refused)
{
    static const struct {
        const char *query;
        int status;
        const char *problem, *field;
    } cases[] = {
        { "min_amount=3", 400, "missing-field", "asset" },
        { "asset=USD&min_amount=-3", 400, "invalid-amount", "min_amount" },
        { "asset=USD&min_amount=1e3", 400, "invalid-amount", "min_amount" },
        { "asset=USD&max_amount=0.000000001", 422, "invalid-amount", "max_amount" },
        { "asset=XXX", 422, "unknown-currency", "asset" },
        { "account=x", 400, "invalid-number", "account" },
        { "from=noon", 400, "invalid-time", "from" },
        { "to=noon", 400, "invalid-time", "to" },
        { "cursor=", 400, "invalid-cursor", "cursor" },
        { "cursor=17", 400, "invalid-cursor", "cursor" },
        { "cursor=AAAAAAAAAAAAAAAAAAAAAA", 400, "invalid-cursor", "cursor" },
        { "limit=501", 400, "out-of-range", "limit" },
        { "reference=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 400, "unknown-value",
            "reference" },
    };
    struct world *world = world_with_money();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = search(world, 7, cases[i].query);
        cr_expect(answer.status == cases[i].status && strcmp(answer.field, cases[i].field) == 0, "%s: %d %s %s",
            cases[i].query, answer.status, answer.problem, answer.field);
    }
    cr_expect_eq(search(world, 7, "asset=USD&min_amount=3&reference=';DROP TABLE entries;--").status, 200);
}

Test(pages, go_on_where_they_were_whatever_is_booked_meanwhile)
{
    struct world *world = world_with_money();
    char query[128] = "limit=2";
    int64_t last = INT64_MAX;
    size_t seen = 0, pages = 0;
    for (;; pages++) {
        struct answer page = search(world, 7, query);
        cr_assert(page.status == 200 && pages < 10, "%d %s", page.status, page.message);
        size_t i;
        json_t *entry;
        json_array_foreach(json_object_get(page.json, "entries"), i, entry)
        {
            int64_t id = json_int64(entry, "entry_id");
            cr_expect(id < last, "an entry came twice or out of order");
            last = id;
            seen++;
        }
        char key[24];
        snprintf(key, sizeof key, "meanwhile%zu", pages);
        cr_assert_eq(top_up(world, 7, key, "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
        if (json_is_null(json_object_get(page.json, "next_cursor")))
            break;
        snprintf(query, sizeof query, "limit=2&cursor=%s", text_of(&page, "next_cursor"));
    }
    cr_expect_eq(seen, 6);
    struct answer page = search(world, 7, "limit=1");
    snprintf(query, sizeof query, "asset=USD&cursor=%s", text_of(&page, "next_cursor"));
    cr_expect_eq(search(world, 7, query).status, 400, "a cursor of other filters");
    snprintf(query, sizeof query, "cursor=%s", text_of(&page, "next_cursor"));
    cr_expect_eq(search(world, 8, query).status, 400, "a cursor of another user");
    cr_expect_eq(get(world, get_orders, (struct ask){ .user_id = 7, .query = query }).status, 400, "of another list");
    cr_expect_eq(get(world, get_trades, (struct ask){ .user_id = 7, .query = "cursor=x" }).status, 400);
    cr_expect_eq(get(world, get_order_fills, (struct ask){ .user_id = 7, .id = "1", .query = "cursor=x" }).status, 400);
}

/* A rare amount in a long account: each page looks at a bounded number of entries, and still says where to go on. */
Test(pages, a_search_that_finds_little_goes_on_in_bounded_steps)
{
    struct world *world = world_new();
    write_history(world, 200000);
    ask(world, "INSERT INTO journals (id, kind, reference, posted_at) VALUES (900, 1, 'rare', '2025-01-01')");
    ask(world, "INSERT INTO entries SELECT 900, 900, id, 1, 500, 0, 500, 0 FROM accounts WHERE owner_id = 9");
    char query[128] = "asset=USD&min_amount=0.000005";
    size_t found = 0, pages = 0;
    for (;; pages++) {
        struct answer page = search(world, 9, query);
        cr_assert(page.status == 200 && pages < 20, "%d %s", page.status, page.message);
        found += json_array_size(json_object_get(page.json, "entries"));
        if (json_is_null(json_object_get(page.json, "next_cursor")))
            break;
        snprintf(query, sizeof query, "asset=USD&min_amount=0.000005&cursor=%s", text_of(&page, "next_cursor"));
    }
    cr_expect(found == 1 && pages == 10, "%zu found on %zu pages", found, pages);
}
