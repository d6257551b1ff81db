/* reconcile.h -- which line of somebody else's file is which entry of an account. Pure.
 *
 *   by reference   a line and an entry that share a reference (the entry's own, or what its payer wrote) are the same
 *                  thing; with one amount they are matched, else the amount differs
 *   by amount      lines and entries that are left are matched when they have the same amount and lie at most so many
 * days apart, the nearest first the rest       a line without an entry is missing in the ledger; an entry without a
 * line is extra */
#pragma once

#include "external_file.h"

struct own_line {
    int64_t entry_id;
    int32_t day;
    int64_t amount;
    const char *reference, *note; /* "": none */
};

enum reconciled { RECONCILED_NOT, RECONCILED_MATCHED, RECONCILED_AMOUNT_DIFFERS };

/* For each line of the file: what became of it, and the index of its entry. */
struct reconciliation {
    struct {
        enum reconciled state;
        size_t own;
    } * lines;
    bool *own_taken; /* for each entry */
};

struct reconciliation reconcile(struct arena *arena, const struct external_line *lines, size_t line_count,
    const struct own_line *own, size_t own_count, int32_t days_apart_max);
