/* external_file.h -- somebody else's account of what moved: a CSV, or a bank's statement as ISO 20022 CAMT.053. Pure.
 *
 * Both are outside bytes. XML is read without entities, without a DTD and without the network: a document that brings a
 * DOCTYPE is refused. */
#pragma once

#include "types.h"

#include <event_bus/error.h>

enum { EXTERNAL_LINES_MAX = 10000, EXTERNAL_FILE_MAX = 4 * 1024 * 1024 };

struct external_line {
    size_t line;           /* of a CSV, from 1 with the header; of CAMT.053 the number of the entry */
    int32_t day;           /* since 1970-01-01 */
    int64_t amount;        /* above 0: came in */
    const char *reference; /* "": none */
};

/* Lines are in the arena. */
struct external_file {
    struct external_line *lines;
    size_t count;
};

/* Header with the columns date (YYYY-MM-DD), amount (signed decimal) and reference (may be missing), in any order among
 * others; then a row each. RFC 4180. Errors: INVALID, REFUSED: invalid-file, with the line. */
MUST_CHECK bool external_file_csv(
    struct arena *arena, const struct asset *asset, struct bytes text, struct external_file *ret, struct error *e);

/* Booked entries of all statements in the document. Errors: the same; also for another currency. */
MUST_CHECK bool external_file_camt053(
    struct arena *arena, const struct asset *asset, struct bytes xml, struct external_file *ret, struct error *e);

/* "2026-01-31" → days since 1970-01-01; only days that exist. */
bool day_parse(const char *text, int32_t *ret_day);
