/* statement.h -- an account's statement: CSV for spreadsheets, HTML for screen and paper, PDF for paper. Pure, but for
 * the font that PDF needs.
 *
 * References and notes are other people's words. In HTML all text is escaped, and the page may load and run nothing. In
 * CSV a cell of text that a spreadsheet would take for a formula begins with an apostrophe. */
#pragma once

#include "types.h"

struct statement_line {
    const char *posted_at, *kind, *reference, *note; /* "": none */
    int64_t amount;                                  /* of the total; 0: moved between available and held */
    int64_t available, held;                         /* after it */
    int64_t entry_id;
};

struct statement {
    int64_t account_id;
    uint64_t owner_id;
    const struct asset *asset;
    const char *from, *to;                   /* RFC 3339 */
    int64_t opening_available, opening_held; /* when the period begins, and … */
    int64_t closing_available, closing_held; /* … when it ends */
    const struct statement_line *lines;
    size_t line_count;
};

/* What came in and what went out (below 0) over all lines. They do not overflow: the sums are of what was booked. */
struct statement_turnover {
    __int128 in, out;
};
struct statement_turnover statement_turnover(const struct statement *statement);

/* The caller's (xfree), NUL-terminated. */
char *statement_csv(const struct statement *statement, size_t *ret_len);
char *statement_html(const struct statement *statement, size_t *ret_len);
/* With the TrueType font at font_path; where there is none, what is not ASCII is shown as a question mark. NULL: it
 * could not be made. */
char *statement_pdf(const struct statement *statement, const char *font_path, size_t *ret_len);
