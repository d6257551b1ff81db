/* Statements as text: what is computed, and what other people's words cannot do. */
#include "../../chassis/service.h"
#include "statement.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct asset usd = { .id = 1, .scale = 2, .code = "USD" };

static char *render(const char *reference, const char *note, char *(*as)(const struct statement *, size_t *))
{
    const struct statement_line lines[] = {
        { "2026-01-02T03:04:05.000006Z", "topup", reference, note, 12345, 12345, 0, 7 },
        { "2026-01-03T03:04:05.000006Z", "trade", "trade:BTC-USD:4", "", -2345, 9000, 1000, 9 },
    };
    const struct statement statement = { .account_id = 3,
        .owner_id = 7,
        .asset = &usd,
        .from = "2026-01-01T00:00:00.000000Z",
        .to = "2026-02-01T00:00:00.000000Z",
        .closing_available = 9000,
        .closing_held = 1000,
        .lines = lines,
        .line_count = ARRAY_LEN(lines) };
    size_t len;
    char *text = as(&statement, &len);
    cr_expect_eq(strlen(text), len);
    return text;
}

Test(statement, csv_has_a_row_for_each_entry_between_two_balances)
{
    char *text = render("topup:9", "card 4", statement_csv);
    cr_expect_str_eq(text, "posted_at,entry_id,kind,reference,note,amount,balance,available,held\r\n"
                           "2026-01-01T00:00:00.000000Z,,opening balance,,,,0,0,0\r\n"
                           "2026-01-02T03:04:05.000006Z,7,topup,topup:9,card 4,123.45,123.45,123.45,0\r\n"
                           "2026-01-03T03:04:05.000006Z,9,trade,trade:BTC-USD:4,,-23.45,100,90,10\r\n"
                           "2026-02-01T00:00:00.000000Z,,closing balance,,,,100,90,10\r\n");
    free(text);
}

Test(statement, csv_cells_are_no_formulas_and_stay_one_cell)
{
    static const struct {
        const char *note, *cell;
    } cases[] = {
        { "plain", ",plain," },
        { "=HYPERLINK(\"http://x\")", ",\"'=HYPERLINK(\"\"http://x\"\")\"," },
        { "+1+1", ",\"'+1+1\"," },
        { "-2+3", ",\"'-2+3\"," },
        { "@SUM(A1)", ",\"'@SUM(A1)\"," },
        { "\t=1", ",\"'\t=1\"," },
        { "\r=1", ",\"'\r=1\"," },
        { "a,b", ",\"a,b\"," },
        { "say \"hi\"", ",\"say \"\"hi\"\"\"," },
        { "two\nlines", ",\"two\nlines\"," },
        { "a=b", ",a=b," },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = render("topup:9", cases[i].note, statement_csv);
        cr_expect(strstr(text, cases[i].cell), "%s: %s", cases[i].note, text);
        free(text);
    }
}

Test(statement, html_shows_text_as_text)
{
    static const char *const attacks[] = { "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
        "'><svg onload=alert(1)>", "</table></body><h1>paid</h1>", "&lt;b&gt;" };
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        for (int in_note = 0; in_note < 2; in_note++) {
            char *text = render(in_note ? "topup:9" : attacks[i], in_note ? attacks[i] : "", statement_html);
            cr_expect(!strstr(text, attacks[i]), "%s came through", attacks[i]);
            cr_expect(!strstr(text, "<script") && !strstr(text, "<img") && !strstr(text, "<svg") &&
                      !strstr(text, "<h1>paid"));
            free(text);
        }
    }
    char *text = render("topup:9", "a<b & \"c\" 'd'", statement_html);
    cr_expect(strstr(text, "a&lt;b &amp; &quot;c&quot; &#39;d&#39;"));
    free(text);
}

Test(statement, html_is_made_for_paper_and_loads_nothing)
{
    char *text = render("topup:9", "card 4", statement_html);
    static const char *const needed[] = { "@page{size:A4", "@media print", "thead{display:table-header-group}",
        "default-src 'none'", "<dt>Came in</dt><dd>123.45</dd>", "<dt>Went out</dt><dd>-23.45</dd>",
        "<dt>Closing balance</dt><dd>100 USD</dd>", "<td class=\"n\">-23.45</td><td class=\"n\">100</td>",
        "of which held 10", "2026-01-02 03:04:05" };
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        cr_expect(strstr(text, needed[i]), "%s is missing", needed[i]);
    cr_expect(!strstr(text, "http://") && !strstr(text, "https://") && !strstr(text, "<script"));
    free(text);
}
