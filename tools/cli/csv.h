/* csv.h -- a line of history as a journal. Pure. */
#pragma once

#include "cli.h"

/* The first line: the columns' names. Errors: INVALID. */
MUST_CHECK bool csv_header(const char *line, struct error *e);

/* date,debit,credit,currency,amount,reference: amount goes from debit to credit; fields may be quoted as in RFC 4180.
 * NULL: an empty line (no error), or one that cannot be read (INVALID, with the field). */
json_t *csv_journal(const char *line, struct error *e);
