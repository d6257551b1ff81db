/* Statements on a real Postgres: the period between two balances, in three forms. */
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(statement, .fini = world_end);

/* January: 10 in, 4 out, 3 held; February: 3 given back, 100 in; as the superuser writes them, for user 9. */
static struct world *world_with_history(void)
{
    struct world *world = world_new();
    ask(world, "INSERT INTO accounts (owner_id, kind, asset_id, available) VALUES (9, 1, 1, 10600000000)");
    ask(world, "INSERT INTO topups (id, user_id, asset_id, amount, reference, created_at) VALUES "
               "(1, 9, 1, 1000000000, '=cmd|''/c calc''!A1', now()), (2, 9, 1, 10000000000, '<b>rent</b>', now())");
    ask(world,
        "INSERT INTO journals (id, kind, reference, posted_at) VALUES (1, 1, 'topup:1', '2026-01-05 10:00+00'), (2, 3, "
        "'trade:BTC-USD:1', '2026-01-10 "
        "10:00+00'), (3, 2, 'order:1', '2026-01-31 23:59:59.999999+00'), (4, 4, 'order:1', '2026-02-01 00:00+00'), "
        "(5, 1, 'topup:2', '2026-02-10 10:00+00')");
    ask(world,
        "INSERT INTO entries SELECT v.id, v.id, a.id, 1, v.d, v.h, v.av, v.ha FROM accounts a, (VALUES "
        "(1, 1000000000, 0, 1000000000, 0), (2, -400000000, 0, 600000000, 0), (3, -300000000, 300000000, 300000000, "
        "300000000), (4, 300000000, -300000000, 600000000, 0), (5, 10000000000, 0, 10600000000, 0)) v(id, d, h, av, "
        "ha) WHERE a.owner_id = 9");
    return world;
}

static struct answer statement(struct world *world, uint64_t user_id, const char *id, const char *query)
{
    return get(world, get_account_statement, (struct ask){ .user_id = user_id, .id = id, .query = query });
}

static const char *total_of(const struct answer *answer, const char *which)
{
    return json_string_value(json_object_get(json_object_get(answer->json, which), "total"));
}

Test(statement, runs_from_the_opening_to_the_closing_balance)
{
    static const struct {
        const char *query, *opening, *closing;
        size_t lines;
    } cases[] = {
        { "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z", "0", "6", 2 },
        { "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&holds=true", "0", "6", 3 },
        { "from=2026-02-01T00:00:00Z&to=2026-03-01T00:00:00Z", "6", "106", 1 },
        { "from=2026-02-01T00:00:00Z&to=2026-03-01T00:00:00Z&holds=true", "6", "106", 2 },
        { "from=2026-01-10T10:00:00Z&to=2026-01-10T10:00:00Z", "10", "10", 0 },
        { "from=2026-01-10T10:00:00Z&to=2026-01-10T10:00:00.000001Z", "10", "6", 1 },
        { "from=2025-01-01T00:00:00Z&to=2025-02-01T00:00:00Z", "0", "0", 0 },
        { "from=2026-03-01T00:00:00Z&to=2099-02-01T00:00:00Z", "106", "106", 0 },
    };
    struct world *world = world_with_history();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = statement(world, 9, "USD", cases[i].query);
        cr_assert_eq(answer.status, 200, "%s", answer.message);
        cr_expect(strcmp(total_of(&answer, "opening"), cases[i].opening) == 0 &&
                      strcmp(total_of(&answer, "closing"), cases[i].closing) == 0 &&
                      json_array_size(json_object_get(answer.json, "entries")) == cases[i].lines,
            "%s: %s to %s, %zu entries", cases[i].query, total_of(&answer, "opening"), total_of(&answer, "closing"),
            json_array_size(json_object_get(answer.json, "entries")));
    }
    struct answer answer = statement(world, 9, "USD", cases[0].query);
    json_t *last = json_array_get(json_object_get(answer.json, "entries"), 1);
    cr_expect_str_eq(json_string_value(json_object_get(last, "amount")), "-4");
    cr_expect_str_eq(json_string_value(json_object_get(last, "total")), "6", "the running balance");
}

static const char *text_as(struct world *world, const char *format, char *ret_text, size_t size)
{
    char query[128];
    struct http_reply reply = { 0 };
    struct error e = { 0 };
    snprintf(query, sizeof query, "from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z&format=%s", format);
    struct http_request request = { .method = "GET", .query = query, .params = { "USD" }, .claims.user_id = 9 };
    cr_assert(get_account_statement(world->pg, world->outbox, &request, &reply, &e), "%s", e.message);
    snprintf(ret_text, size, "%s: %s", reply.content_type, reply.body);
    xfree(reply.body);
    return ret_text;
}

Test(statement, csv_and_html_and_pdf_defuse_what_a_payer_wrote)
{
    struct world *world = world_with_history();
    char text[16384];
    cr_expect(strncmp(text_as(world, "csv", text, sizeof text), "text/csv", 8) == 0);
    cr_expect(strstr(text, ",\"'=cmd|'/c calc'!A1\",10,10,10,0\r\n"), "%s", text);
    cr_expect(strstr(text, "closing balance,,,,106,106,0\r\n"), "%s", text);
    cr_expect(strncmp(text_as(world, "html", text, sizeof text), "text/html", 9) == 0);
    cr_expect(strncmp(text_as(world, "pdf", text, sizeof text), "application/pdf: %PDF-", 22) == 0);
    text_as(world, "html", text, sizeof text);
    cr_expect(strstr(text, "&lt;b&gt;rent&lt;/b&gt;") && !strstr(text, "<b>rent"), "%s", text);
}

Test(statement, bad_questions_are_refused)
{
    static const struct {
        uint64_t user_id;
        const char *id, *query;
        int status;
        const char *field;
    } cases[] = {
        { 9, "USD", "from=x", 400, "from" },
        { 9, "USD", "to=2026-02-30T00:00:00Z", 400, "to" },
        { 9, "USD", "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "from" },
        { 9, "USD", "format=doc", 400, "format" },
        { 9, "USD", "format=", 400, "format" },
        { 9, "USD", "format=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 400, "format" },
        { 9, "USD", "holds=maybe", 400, "holds" },
        { 9, "ETH", "", 404, "account_id" },
        { 8, "USD", "", 404, "account_id" },
        { 9, "../7", "", 404, "account_id" },
    };
    struct world *world = world_with_history();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = statement(world, cases[i].user_id, cases[i].id, cases[i].query);
        cr_expect(answer.status == cases[i].status && strcmp(answer.field, cases[i].field) == 0, "%s?%s: %d %s %s",
            cases[i].id, cases[i].query, answer.status, answer.field, answer.message);
    }
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)ask(world, "SELECT id FROM accounts WHERE owner_id = 9"));
    cr_expect_eq(statement(world, 8, id, "").status, 404, "somebody else's, by its id");
}

Test(statement, one_that_is_too_long_is_refused_and_not_cut)
{
    struct world *world = world_with_history();
    ask(world, "INSERT INTO journals (id, kind, reference, posted_at) SELECT 100 + i, 1, 'many:' || i, '2026-03-01 "
               "00:00+00' FROM generate_series(1, 10001) i");
    ask(world, "INSERT INTO entries SELECT 100 + i, 100 + i, a.id, 1, 1, 0, 10600000000 + i, 0 FROM accounts a, "
               "generate_series(1, 10001) i WHERE a.owner_id = 9");
    struct answer answer = statement(world, 9, "USD", "from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z");
    cr_expect(answer.status == 422 && strcmp(answer.problem, "statement-too-long") == 0, "%d %s", answer.status,
        answer.problem);
    answer = statement(world, 9, "USD", "from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z");
    cr_expect_eq(answer.status, 200);
}
