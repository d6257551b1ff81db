#include "statement.h"

#include "../chassis/decimal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct statement_turnover statement_turnover(const struct statement *statement)
{
    struct statement_turnover turnover = { 0 };
    for (size_t i = 0; i < statement->line_count; i++) {
        int64_t amount = statement->lines[i].amount;
        *(amount > 0 ? &turnover.in : &turnover.out) += amount;
    }
    return turnover;
}

/* A turnover may be larger than a balance can be: then it is cut to what can be shown, and shown as such by its size.
 */
static int64_t narrow(__int128 minor)
{
    return minor > INT64_MAX ? INT64_MAX : minor < INT64_MIN ? INT64_MIN : (int64_t)minor;
}

static const char *amount_text(const struct asset *asset, int64_t minor, char ret_text[DECIMAL_TEXT_MAX])
{
    return decimal_format(minor, asset->scale, 0, ret_text);
}

/* ---- CSV: RFC 4180 ---- */

/* A cell of text. What a spreadsheet would compute gets an apostrophe before it; what has a comma, a quote or a line
 * end is quoted. */
static void csv_text(FILE *out, const char *text)
{
    bool formula = *text && strchr("=+-@\t\r", *text);
    bool quoted = formula || text[strcspn(text, ",\"\r\n")] != '\0';
    if (quoted)
        fputc('"', out);
    if (formula)
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (quoted)
        fputc('"', out);
}

static void csv_balance(
    FILE *out, const struct statement *s, const char *at, const char *kind, int64_t available, int64_t held)
{
    char total[DECIMAL_TEXT_MAX], free_part[DECIMAL_TEXT_MAX], held_part[DECIMAL_TEXT_MAX];
    fprintf(out, "%s,,%s,,,,%s,%s,%s\r\n", at, kind, amount_text(s->asset, available + held, total),
        amount_text(s->asset, available, free_part), amount_text(s->asset, held, held_part));
}

char *statement_csv(const struct statement *s, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    fputs("posted_at,entry_id,kind,reference,note,amount,balance,available,held\r\n", out);
    csv_balance(out, s, s->from, "opening balance", s->opening_available, s->opening_held);
    for (size_t i = 0; i < s->line_count; i++) {
        const struct statement_line *line = &s->lines[i];
        char amount[DECIMAL_TEXT_MAX], total[DECIMAL_TEXT_MAX], free_part[DECIMAL_TEXT_MAX], held[DECIMAL_TEXT_MAX];
        fprintf(out, "%s,%" PRId64 ",%s,", line->posted_at, line->entry_id, line->kind);
        csv_text(out, line->reference);
        fputc(',', out);
        csv_text(out, line->note);
        fprintf(out, ",%s,%s,%s,%s\r\n", amount_text(s->asset, line->amount, amount),
            amount_text(s->asset, line->available + line->held, total),
            amount_text(s->asset, line->available, free_part), amount_text(s->asset, line->held, held));
    }
    csv_balance(out, s, s->to, "closing balance", s->closing_available, s->closing_held);
    fclose(out);
    return text;
}

/* ---- HTML ---- */

static void html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

/* Times of a statement are shown to the second: "2026-01-02 03:04:05". */
static void html_time(FILE *out, const char *rfc3339)
{
    fprintf(out, "<td class=\"t\">%.10s %.8s</td>", rfc3339, strlen(rfc3339) > 11 ? rfc3339 + 11 : "");
}

static void html_amount(FILE *out, const struct asset *asset, int64_t minor)
{
    char text[DECIMAL_TEXT_MAX];
    fprintf(out, "<td class=\"n\">%s</td>", amount_text(asset, minor, text));
}

static const char html_style[] =
    "@page{size:A4;margin:18mm 15mm}"
    "body{font:10pt/1.4 'Helvetica Neue',Arial,sans-serif;color:#111;max-width:190mm;margin:10mm auto;padding:0 5mm}"
    "h1{font-size:16pt;font-weight:600;margin:0 0 4mm}dl{display:grid;grid-template-columns:max-content 1fr;gap:1mm "
    "6mm;"
    "margin:0 0 "
    "6mm}dt{color:#555}dd{margin:0}table{border-collapse:collapse;width:100%}thead{display:table-header-group}"
    "th,td{text-align:left;padding:1.2mm 2mm;border-bottom:.2mm solid #ccc;vertical-align:top;overflow-wrap:anywhere}"
    "th{border-bottom:.4mm solid "
    "#111;font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".t{white-space:nowrap}tr{break-inside:avoid}.b td{font-weight:600}small{color:#555}"
    "@media print{body{margin:0;max-width:none;padding:0}a{color:inherit;text-decoration:none}}";

static void html_head(FILE *out, const struct statement *s)
{
    char closing[DECIMAL_TEXT_MAX], in[DECIMAL_TEXT_MAX], gone[DECIMAL_TEXT_MAX];
    struct statement_turnover turnover = statement_turnover(s);
    fprintf(out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<title>Statement of account %" PRId64 "</title><style>%s</style></head><body>\n"
        "<h1>Statement of account</h1>\n<dl><dt>Account</dt><dd>%" PRId64 " (%s)</dd><dt>Owner</dt><dd>%" PRIu64
        "</dd><dt>Period</dt><dd>%.19s to %.19s (UTC)</dd><dt>Came in</dt><dd>%s</dd><dt>Went out</dt><dd>%s</dd>"
        "<dt>Closing balance</dt><dd>%s %s</dd></dl>\n",
        s->account_id, html_style, s->account_id, s->asset->code, s->owner_id, s->from, s->to,
        amount_text(s->asset, narrow(turnover.in), in), amount_text(s->asset, narrow(turnover.out), gone),
        amount_text(s->asset, s->closing_available + s->closing_held, closing), s->asset->code);
}

static void html_balance(
    FILE *out, const struct statement *s, const char *at, const char *name, int64_t available, int64_t held)
{
    char text[DECIMAL_TEXT_MAX];
    fputs("<tr class=\"b\">", out);
    html_time(out, at);
    fprintf(out, "<td>%s", name);
    if (held != 0)
        fprintf(out, " <small>of which held %s</small>", amount_text(s->asset, held, text));
    fputs("</td><td></td>", out);
    html_amount(out, s->asset, available + held);
    fputs("</tr>\n", out);
}

static void html_line(FILE *out, const struct statement *s, const struct statement_line *line)
{
    fputs("<tr>", out);
    html_time(out, line->posted_at);
    fputs("<td>", out);
    html_text(out, line->kind);
    fputs(" <small>", out);
    html_text(out, line->reference);
    fputs("</small>", out);
    if (*line->note) {
        fputs("<br>", out);
        html_text(out, line->note);
    }
    fputs("</td>", out);
    html_amount(out, s->asset, line->amount);
    html_amount(out, s->asset, line->available + line->held);
    fputs("</tr>\n", out);
}

char *statement_html(const struct statement *s, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    html_head(out, s);
    fputs("<table><thead><tr><th>Booked (UTC)</th><th>What</th><th class=\"n\">Amount</th><th "
          "class=\"n\">Balance</th></tr>"
          "</thead><tbody>\n",
        out);
    html_balance(out, s, s->from, "Opening balance", s->opening_available, s->opening_held);
    for (size_t i = 0; i < s->line_count; i++)
        html_line(out, s, &s->lines[i]);
    html_balance(out, s, s->to, "Closing balance", s->closing_available, s->closing_held);
    fputs("</tbody></table>\n</body></html>\n", out);
    fclose(out);
    return text;
}
