/* Reconciliation on a real Postgres, with files as they come from a bank. */
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(reconcile, .fini = world_end);

/* Of user 9: 10 topped up with "card 4", 4 out by a trade, 2 topped up, 3 topped up. */
static struct world *world_with_history(void)
{
    struct world *world = world_new();
    ask(world, "INSERT INTO accounts (owner_id, kind, asset_id) VALUES (9, 1, 1)");
    ask(world, "INSERT INTO topups (id, user_id, asset_id, amount, reference, created_at) VALUES (1, 9, 1, 1, 'card "
               "4', now())");
    ask(world, "INSERT INTO journals (id, kind, reference, posted_at) VALUES (1, 1, 'topup:1', '2026-01-05 10:00+00'), "
               "(2, 3, 'trade:BTC-USD:1', '2026-01-10 "
               "10:00+00'), (3, 1, 'topup:2', '2026-01-13 10:00+00'), (4, 1, 'topup:3', '2026-01-20 10:00+00'), (5, 1, "
               "'topup:4', '2026-03-01 00:00+00')");
    ask(world,
        "INSERT INTO entries SELECT v.id, v.id, a.id, 1, v.d, 0, 0, 0 FROM accounts a, (VALUES (1, 1000000000), (2, "
        "-400000000), (3, 200000000), (4, 300000000), (5, 1)) v(id, d) WHERE a.owner_id = 9");
    return world;
}

static char *read_whole(const char *relative, size_t *ret_len)
{
    char path[SUPPORT_PATH_MAX], *text = NULL;
    FILE *in = fopen(support_source_path(relative, path), "r"), *out = open_memstream(&text, ret_len);
    cr_assert(in, "%s", path);
    for (int c; (c = fgetc(in)) != EOF;)
        fputc(c, out);
    fclose(in);
    fclose(out);
    return text;
}

static struct http_reply reconciled(
    struct world *world, uint64_t user_id, const char *type, const char *query, struct bytes body, struct error *e)
{
    struct http_reply reply = { 0 };
    struct http_request request = { .method = "POST",
        .query = query,
        .params = { "USD" },
        .claims.user_id = user_id,
        .content_type = type,
        .body = body };
    if (!post_account_reconcile(world->pg, world->outbox, &request, &reply, e))
        cr_assert(e->kind != ERROR_NONE);
    answers_taken(&(struct answer){ .json = reply.json }, 1);
    return reply;
}

static int64_t first_entry(const json_t *json, const char *list)
{
    return json_int64(json_array_get(json_object_get(json, list), 0), "entry_id");
}

Test(reconcile, csv_and_camt053_of_the_same_month_give_the_same_answer)
{
    static const struct {
        const char *file, *type;
        int never_booked; /* its line */
    } cases[] = {
        { "services/trade-ledger/tests/files/statement.csv", "text/csv", 6 },
        { "services/trade-ledger/tests/files/statement.camt053.xml", "application/xml; charset=utf-8", 5 },
    };
    struct world *world = world_with_history();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len;
        struct error e = { 0 };
        char *text = read_whole(cases[i].file, &len);
        struct http_reply reply = reconciled(world, 9, cases[i].type, "", (struct bytes){ text, len }, &e);
        cr_assert(reply.json, "%s: %s", cases[i].file, e.message);
        cr_expect_eq(json_array_size(json_object_get(reply.json, "matched")), 2);
        cr_expect_eq(first_entry(reply.json, "matched"), 1);
        cr_expect_eq(first_entry(reply.json, "amount_differs"), 2);
        cr_expect_eq(json_array_size(json_object_get(reply.json, "amount_differs")), 1);
        cr_expect_eq(first_entry(reply.json, "extra"), 4);
        cr_expect_eq(
            json_array_size(json_object_get(reply.json, "extra")), 1, "what lies outside the file's days is not extra");
        json_t *missing = json_array_get(json_object_get(reply.json, "missing"), 0);
        cr_expect_str_eq(json_string_value(json_object_get(missing, "reference")), "never booked");
        cr_expect_eq(json_integer_value(json_object_get(missing, "line")), cases[i].never_booked);
        cr_expect(json_is_false(json_object_get(reply.json, "same")));
        free(text);
    }
}

Test(reconcile, the_other_side_of_the_account_has_the_other_sign)
{
    struct world *world = world_with_history();
    struct error e = { 0 };
    static const char text[] = "date,amount,reference\n2026-01-05,-10,card 4\n2026-01-10,4,trade:BTC-USD:1\n";
    struct http_reply reply =
        reconciled(world, 9, "text/csv", "reverse=true", (struct bytes){ text, sizeof text - 1 }, &e);
    cr_assert(reply.json, "%s", e.message);
    cr_expect(json_is_true(json_object_get(reply.json, "same")));
}

Test(reconcile, bad_questions_are_refused)
{
    static const struct {
        uint64_t user_id;
        const char *type, *query, *body, *problem;
    } cases[] = {
        { 9, "application/json", "", "{}", "unsupported-file-type" },
        { 9, "text/csvx", "", "date,amount\n", "unsupported-file-type" },
        { 9, "text/csv", "", "date,amount\n", "invalid-file" },
        { 9, "text/csv", "days_apart=99", "date,amount\n2026-01-01,1", "out-of-range" },
        { 9, "text/csv", "reverse=1", "date,amount\n2026-01-01,1", "unknown-value" },
        { 8, "text/csv", "", "date,amount\n2026-01-01,1", "account-not-found" },
        { 9, "text/xml", "", "<Document/>", "invalid-file" },
    };
    struct world *world = world_with_history();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error e = { 0 };
        struct http_reply reply = reconciled(world, cases[i].user_id, cases[i].type, cases[i].query,
            (struct bytes){ cases[i].body, strlen(cases[i].body) }, &e);
        cr_expect(!reply.json && (strcmp(e.problem, cases[i].problem) == 0 || strcmp(e.field, "days_apart") == 0),
            "%s: %s %s", cases[i].body, e.problem, e.message);
    }
}
