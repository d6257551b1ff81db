/* A statement as PDF: pages of A4 with the balance carried from one to the next, and their numbers. */
#include "statement.h"

#include "../chassis/decimal.h"

#include <hpdf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINES_OF_NOTE_MAX = 8, TEXT_MAX = 512 };

/* In points, from the lower left corner of a page. */
static const float left_pt = 45, right_pt = 550, top_pt = 800, bottom_pt = 70, what_pt = 150, what_width_pt = 210;
static const float amount_right_pt = 460, size_pt = 8, row_pt = 11;

struct paper {
    HPDF_Doc pdf;
    HPDF_Font font;
    bool unicode; /* else the font has ASCII only */
    HPDF_Page page;
    float y;
    size_t pages;
    const struct statement *statement;
};

static void text_at(struct paper *paper, float x, float y, float size, const char *text)
{
    HPDF_Page_SetFontAndSize(paper->page, paper->font, size);
    HPDF_Page_BeginText(paper->page);
    HPDF_Page_TextOut(paper->page, x, y, text);
    HPDF_Page_EndText(paper->page);
}

static void text_to(struct paper *paper, float x, float y, float size, const char *text)
{
    HPDF_Page_SetFontAndSize(paper->page, paper->font, size);
    text_at(paper, x - HPDF_Page_TextWidth(paper->page, text), y, size, text);
}

static void rule(struct paper *paper, float y, float width)
{
    HPDF_Page_SetLineWidth(paper->page, width);
    HPDF_Page_MoveTo(paper->page, left_pt, y);
    HPDF_Page_LineTo(paper->page, right_pt, y);
    HPDF_Page_Stroke(paper->page);
}

/* Bytes of the UTF-8 character at text, at least 1; 0 at the end. */
static size_t char_len(const char *text)
{
    size_t len = text[0] != '\0';
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len++;
    return len;
}

/* Other people's words: what the font has, as far as there is room; else a question mark. Characters above U+FFFF (four
 * bytes) are none that it has. */
static void show(const struct paper *paper, const char *text, char ret[TEXT_MAX])
{
    size_t used = 0;
    for (size_t len; (len = char_len(text)) > 0 && used + len < TEXT_MAX; text += len) {
        bool ascii = len == 1 && *text >= ' ' && *text <= '~';
        if (ascii || (paper->unicode && len > 1 && len < 4)) {
            memcpy(ret + used, text, len);
            used += len;
        } else {
            ret[used++] = '?';
        }
    }
    ret[used] = '\0';
}

/* As many bytes of text as fit the width, whole characters, if possible whole words; at least one character. */
static size_t fitting(struct paper *paper, const char *text, float width)
{
    char part[TEXT_MAX];
    size_t fits = 0, word = 0;
    HPDF_Page_SetFontAndSize(paper->page, paper->font, size_pt);
    if (HPDF_Page_TextWidth(paper->page, text) <= width)
        return strlen(text);
    for (size_t len; (len = char_len(text + fits)) > 0; fits += len) {
        memcpy(part, text, fits + len);
        part[fits + len] = '\0';
        if (fits > 0 && HPDF_Page_TextWidth(paper->page, part) > width)
            return word > 0 ? word : fits;
        if (text[fits] == ' ')
            word = fits + 1;
    }
    return fits;
}

static void begin_page(struct paper *paper)
{
    paper->page = HPDF_AddPage(paper->pdf);
    paper->pages++;
    HPDF_Page_SetSize(paper->page, HPDF_PAGE_SIZE_A4, HPDF_PAGE_PORTRAIT);
    paper->y = top_pt;
}

/* What the columns are. */
static void columns(struct paper *paper)
{
    text_at(paper, left_pt, paper->y, size_pt, "Booked (UTC)");
    text_at(paper, what_pt, paper->y, size_pt, "What");
    text_to(paper, amount_right_pt, paper->y, size_pt, "Amount");
    text_to(paper, right_pt, paper->y, size_pt, "Balance");
    rule(paper, paper->y - 4, 0.8F);
    paper->y -= row_pt + 6;
}

static const char *minor_text(const struct paper *paper, int64_t minor, char ret_text[DECIMAL_TEXT_MAX])
{
    return decimal_format(minor, paper->statement->asset->scale, 0, ret_text);
}

/* One row; amount NULL: none. Time as "2026-01-02 03:04:05", "": none. */
static void row(struct paper *paper, const char *time, const char *what, const int64_t *amount, int64_t balance)
{
    char text[DECIMAL_TEXT_MAX], when[24] = "";
    if (strlen(time) > 11)
        snprintf(when, sizeof when, "%.10s %.8s", time, time + 11);
    text_at(paper, left_pt, paper->y, size_pt, when);
    text_at(paper, what_pt, paper->y, size_pt, what);
    if (amount)
        text_to(paper, amount_right_pt, paper->y, size_pt, minor_text(paper, *amount, text));
    text_to(paper, right_pt, paper->y, size_pt, minor_text(paper, balance, text));
    paper->y -= row_pt;
}

/* Room for so many rows, on this page or the next one; then the balance goes with it. */
static void make_room(struct paper *paper, size_t rows, int64_t balance)
{
    if (paper->y - (float)rows * row_pt > bottom_pt)
        return;
    rule(paper, paper->y + row_pt - 3, 0.4F);
    row(paper, "", "Carried forward", NULL, balance);
    begin_page(paper);
    columns(paper);
    row(paper, "", "Brought forward", NULL, balance);
}

/* What a line says, cut into what fits the column. */
static size_t wrap(struct paper *paper, const char *text, char ret_parts[LINES_OF_NOTE_MAX][TEXT_MAX])
{
    char shown[TEXT_MAX];
    size_t count = 0;
    show(paper, text, shown);
    for (const char *at = shown; *at && count < LINES_OF_NOTE_MAX; count++) {
        size_t len = fitting(paper, at, what_width_pt);
        memcpy(ret_parts[count], at, len);
        ret_parts[count][len] = '\0';
        at += len;
    }
    return count;
}

static void line(struct paper *paper, const struct statement_line *l, int64_t balance_before)
{
    char parts[LINES_OF_NOTE_MAX][TEXT_MAX], notes[LINES_OF_NOTE_MAX][TEXT_MAX], first[TEXT_MAX];
    snprintf(first, sizeof first, "%s %s", l->kind, l->reference);
    size_t part_count = wrap(paper, first, parts), note_count = wrap(paper, l->note, notes);
    make_room(paper, part_count + note_count + 1, balance_before);
    row(paper, l->posted_at, parts[0], &l->amount, l->available + l->held);
    for (size_t i = 1; i < part_count + note_count; i++, paper->y -= row_pt)
        text_at(paper, what_pt, paper->y, size_pt, i < part_count ? parts[i] : notes[i - part_count]);
}

static void fact(struct paper *paper, const char *name, const char *value)
{
    text_at(paper, left_pt, paper->y, 9, name);
    text_at(paper, what_pt, paper->y, 9, value);
    paper->y -= 14;
}

static int64_t narrow(__int128 minor)
{
    return minor > INT64_MAX ? INT64_MAX : minor < INT64_MIN ? INT64_MIN : (int64_t)minor;
}

static void head(struct paper *paper)
{
    const struct statement *s = paper->statement;
    const struct statement_turnover turnover = statement_turnover(s);
    char text[128], amount[DECIMAL_TEXT_MAX];
    text_at(paper, left_pt, paper->y - 6, 16, "Statement of account");
    paper->y -= 34;
    snprintf(text, sizeof text, "%" PRId64 " (%s)", s->account_id, s->asset->code);
    fact(paper, "Account", text);
    snprintf(text, sizeof text, "%" PRIu64, s->owner_id);
    fact(paper, "Owner", text);
    snprintf(text, sizeof text, "%.19s to %.19s (UTC)", s->from, s->to);
    fact(paper, "Period", text);
    fact(paper, "Came in", minor_text(paper, narrow(turnover.in), amount));
    fact(paper, "Went out", minor_text(paper, narrow(turnover.out), amount));
    snprintf(
        text, sizeof text, "%s %s", minor_text(paper, s->closing_available + s->closing_held, amount), s->asset->code);
    fact(paper, "Closing balance", text);
    paper->y -= 10;
}

/* Only now it is known how many there are. */
static void number_pages(struct paper *paper, HPDF_Page *pages)
{
    char text[128];
    for (size_t i = 0; i < paper->pages; i++) {
        paper->page = pages[i];
        snprintf(text, sizeof text, "Account %" PRId64 " (%s), %.10s to %.10s", paper->statement->account_id,
            paper->statement->asset->code, paper->statement->from, paper->statement->to);
        text_at(paper, left_pt, 40, 7, text);
        snprintf(text, sizeof text, "Page %zu of %zu", i + 1, paper->pages);
        text_to(paper, right_pt, 40, 7, text);
    }
}

static void balance_row(struct paper *paper, const char *at, const char *name, int64_t available, int64_t held)
{
    char what[64], text[DECIMAL_TEXT_MAX];
    snprintf(what, sizeof what, held ? "%s, of which held %s" : "%s", name, minor_text(paper, held, text));
    row(paper, at, what, NULL, available + held);
}

static void write_pages(struct paper *paper)
{
    const struct statement *s = paper->statement;
    HPDF_Page *pages = xcalloc(s->line_count + 2, sizeof *pages);
    int64_t balance = s->opening_available + s->opening_held;
    begin_page(paper);
    pages[0] = paper->page;
    head(paper);
    columns(paper);
    balance_row(paper, s->from, "Opening balance", s->opening_available, s->opening_held);
    for (size_t i = 0; i < s->line_count; i++) {
        line(paper, &s->lines[i], balance);
        balance = s->lines[i].available + s->lines[i].held;
        pages[paper->pages - 1] = paper->page;
    }
    make_room(paper, 2, balance);
    pages[paper->pages - 1] = paper->page;
    rule(paper, paper->y + row_pt - 3, 0.4F);
    balance_row(paper, s->to, "Closing balance", s->closing_available, s->closing_held);
    number_pages(paper, pages);
    xfree(pages);
}

static void choose_font(struct paper *paper, const char *font_path)
{
    HPDF_UseUTFEncodings(paper->pdf);
    const char *name = *font_path ? HPDF_LoadTTFontFromFile(paper->pdf, font_path, HPDF_TRUE) : NULL;
    paper->unicode = name != NULL;
    if (!name)
        HPDF_ResetError(paper->pdf);
    paper->font = HPDF_GetFont(paper->pdf, name ? name : "Helvetica", name ? "UTF-8" : "StandardEncoding");
}

static char *contents(HPDF_Doc pdf, size_t *ret_len)
{
    HPDF_UINT32 len = HPDF_SaveToStream(pdf) == HPDF_OK ? HPDF_GetStreamSize(pdf) : 0, read = len;
    char *bytes = len > 0 ? xmalloc((size_t)len + 1) : NULL;
    if (!bytes || HPDF_GetError(pdf) != HPDF_OK || HPDF_ReadFromStream(pdf, (HPDF_BYTE *)bytes, &read) != HPDF_OK ||
        read != len) {
        xfree(bytes);
        return NULL;
    }
    bytes[len] = '\0';
    *ret_len = len;
    return bytes;
}

char *statement_pdf(const struct statement *s, const char *font_path, size_t *ret_len)
{
    struct paper paper = { .pdf = HPDF_New(NULL, NULL), .statement = s };
    if (!paper.pdf)
        return NULL;
    HPDF_SetCompressionMode(paper.pdf, HPDF_COMP_ALL);
    HPDF_SetInfoAttr(paper.pdf, HPDF_INFO_TITLE, "Statement of account");
    choose_font(&paper, font_path);
    write_pages(&paper);
    char *bytes = contents(paper.pdf, ret_len);
    HPDF_Free(paper.pdf);
    return bytes;
}
