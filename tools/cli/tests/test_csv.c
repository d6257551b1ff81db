/* A line of history as a journal. */
#include "csv.h"

#include <criterion/criterion.h>
#include <string.h>

#define GOOD "2020-01-31,user:7,house,USD,12.50,\"fee, \"\"monthly\"\"\""

Test(csv, a_line_is_a_journal_of_two_legs_at_its_date)
{
    struct error e = { 0 };
    json_auto_t *journal = csv_journal(GOOD "\r", &e);
    cr_assert_not_null(journal, "%s %s", e.field, e.message);
    json_auto_t *wanted =
        json_loads("{\"legs\":[{\"user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"-12.50\"},"
                   "{\"account\":\"house\",\"currency\":\"USD\",\"amount\":\"12.50\"}],"
                   "\"effective_at\":\"2020-01-31T00:00:00Z\",\"reference\":\"fee, \\\"monthly\\\"\"}",
            0, NULL);
    cr_assert_not_null(wanted);
    CLEANUP(xfree) char *text = json_dumps(journal, 0);
    cr_expect(json_equal(journal, wanted), "%s", text);
    json_auto_t *other = csv_journal("2020-01-31T10:00:00+02:00,account:12,user:8,USD,1", &e);
    cr_expect_not_null(other, "without a reference, with a time");
    cr_expect(!csv_journal(" \r", &e) && e.kind == ERROR_NONE, "an empty line is none");
}

Test(csv, what_cannot_be_read_names_its_field)
{
    static const struct {
        const char *line, *field;
    } cases[] = {
        { "31.1.2020,user:7,house,USD,1,x", "date" },
        { "2020-13-01,user:7,house,USD,1,x", "date" },
        { "2020-01-31,bob,house,USD,1,x", "debit" },
        { "2020-01-31,user:,house,USD,1,x", "debit" },
        { "2020-01-31,user:7,user:7x,USD,1,x", "credit" },
        { "2020-01-31,user:7,house,,1,x", "currency" },
        { "2020-01-31,user:7,house,USD,,x", "amount" },
        { "2020-01-31,user:7,house,USD,-1,x", "amount" },
        { "2020-01-31,user:7,house,USD", "" },
        { "2020-01-31,user:7,house,USD,1,x,y", "" },
        { "2020-01-31,user:7,house,USD,1,\"x", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error e = { 0 };
        cr_expect_null(csv_journal(cases[i].line, &e), "%s", cases[i].line);
        cr_expect(e.kind == ERROR_INVALID && strcmp(e.field, cases[i].field) == 0, "%s: %s %s", cases[i].line, e.field,
            e.message);
    }
}

Test(csv, the_first_line_names_the_columns)
{
    struct error e = { 0 };
    cr_expect(csv_header("date,debit,credit,currency,amount,reference\r", &e));
    cr_expect(csv_header("date,debit,credit,currency,amount", &e));
    cr_expect(!csv_header("date,credit,debit,currency,amount,reference", &e));
    cr_expect(!csv_header(GOOD, &e));
}
