/* Statements as text: what is computed, and what other people's words cannot do. */
#include "../../chassis/service.h"
#include "statement.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- PDF: its text, as pdftotext finds it ---- */

enum { PDF_LINES = 150 };

static char *text_of_pdf(const char *bytes, size_t len)
{
    char path[] = "/tmp/statement-test-XXXXXX", command[128], *text = NULL, chunk[4096];
    int file = mkstemp(path);
    size_t text_len = 0;
    cr_assert(file >= 0 && write(file, bytes, len) == (ssize_t)len && close(file) == 0);
    snprintf(command, sizeof command, "pdftotext -layout -enc UTF-8 %s - 2>/dev/null", path);
    FILE *in = popen(command, "r"), *out = open_memstream(&text, &text_len);
    cr_assert(in && out);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;)
        fwrite(chunk, 1, n, out);
    fclose(out);
    cr_assert_eq(pclose(in), 0, "pdftotext (package poppler-utils) could not read it");
    unlink(path);
    return text;
}

/* Line i brings i hundredths; each has a note. */
static char *long_pdf(const char *note, const char *font, const char *const kind)
{
    struct statement_line *lines = xcalloc(PDF_LINES, sizeof *lines);
    int64_t balance = 0;
    for (int64_t i = 0; i < PDF_LINES; i++) {
        balance += i + 1;
        lines[i] = (struct statement_line){ "2026-01-02T03:04:05.000006Z", kind, "topup:9", note, i + 1, balance - 10,
            10, 1000 + i };
    }
    const struct statement statement = { .account_id = 3,
        .owner_id = 7,
        .asset = &usd,
        .from = "2026-01-01T00:00:00.000000Z",
        .to = "2026-02-01T00:00:00.000000Z",
        .closing_available = balance - 10,
        .closing_held = 10,
        .lines = lines,
        .line_count = PDF_LINES };
    size_t len;
    char *bytes = statement_pdf(&statement, font, &len);
    cr_assert(bytes && len > 1000 && strncmp(bytes, "%PDF-", 5) == 0);
    char *text = text_of_pdf(bytes, len);
    xfree(bytes);
    xfree(lines);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

static const char dejavu[] = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

Test(statement, pdf_has_every_line_once_on_numbered_pages_that_carry_the_balance_on)
{
    char *text =
             long_pdf("Za\u017c\u00f3\u0142\u0107 \u0395\u03bb\u03bb\u03ac\u03b4\u03b1 <b>rent</b>", dejavu, "topup"),
         where[64];
    cr_expect_eq(count_of(text, "topup topup:9"), PDF_LINES);
    cr_expect_eq(count_of(text, "Za\u017c\u00f3\u0142\u0107 \u0395\u03bb\u03bb\u03ac\u03b4\u03b1 <b>rent</b>"),
        PDF_LINES, "in the payer's own letters");
    size_t pages = count_of(text, "\f");
    cr_assert_gt(pages, 3);
    for (size_t i = 1; i <= pages; i++) {
        snprintf(where, sizeof where, "Page %zu of %zu", i, pages);
        cr_expect_eq(count_of(text, where), 1, "%s", where);
    }
    cr_expect_eq(count_of(text, "Booked (UTC)"), pages, "a head on each page");
    cr_expect_eq(count_of(text, "Carried forward"), pages - 1);
    cr_expect_eq(count_of(text, "Brought forward"), pages - 1);
    cr_expect_eq(count_of(text, "Opening balance"), 1);
    cr_expect_eq(count_of(text, "Closing balance, of which held 0.1"), 1);
    cr_expect_eq(count_of(text, "113.25 USD"), 1, "1 + 2 + … + 150 hundredths");
    for (const char *at = text; (at = strstr(at, "Carried forward")); at++) {
        double out = 0, in = -1, amount = 0, after = -1;
        const char *next = strstr(at, "Brought forward"), *first = strstr(at, "topup:9");
        cr_assert(next && first && sscanf(at, "Carried forward %lf", &out) == 1 &&
                  sscanf(next, "Brought forward %lf", &in) == 1 &&
                  sscanf(first, "topup:9 %lf %lf", &amount, &after) == 2);
        cr_expect(out > 0 && out == in && (int64_t)(100 * (in + amount) + 0.5) == (int64_t)(100 * after + 0.5),
            "%f, %f + %f = %f", out, in, amount, after);
    }
    free(text);
}

Test(statement, pdf_shows_anything_a_payer_wrote_without_losing_a_number)
{
    static const char *const notes[] = { "\xf0\x9f\x98\x80 four bytes", "a ) Tj ( b \\ <</JS>>",
        "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
        "wwwwwwwwwwwwwwwwwwww",
        "many short words that have to go on the next line, and then on another one, because they are too many for one",
        "\u202eright to left", "\xff\xfe broken", "" };
    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        for (int with_font = 0; with_font < 2; with_font++) {
            char *text = long_pdf(notes[i], with_font ? dejavu : "/nowhere.ttf", "manual");
            cr_expect_eq(count_of(text, "manual topup:9"), PDF_LINES, "%s", notes[i]);
            cr_expect_eq(
                count_of(text, "113.25"), 4, "%s: the last line, the closing balance, the head twice", notes[i]);
            free(text);
        }
    }
}
