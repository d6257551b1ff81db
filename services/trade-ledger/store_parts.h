/* store_parts.h -- what store.c and store_money.c share. */
#pragma once

#include "store.h"

/* One column of a batch: the value of an expression in `i` for each i below count. */
#define COLUMN(type, count, expression)                                                                                \
    ({                                                                                                                 \
        type *column_ = arena_alloc(arena, ((count) + 1) * sizeof(type));                                              \
        for (size_t i = 0; i < (count); i++)                                                                           \
            column_[i] = (expression);                                                                                 \
        column_;                                                                                                       \
    })

/* Rows, NULL for none, into the batch's tables. Accounts are loaded already. */
void store_fill_pending(struct batch *batch, const struct pg_result *rows);
void store_fill_old_journals(struct batch *batch, const struct pg_result *rows);
void store_fill_adjustments(struct batch *batch, const struct pg_result *rows);

/* Changes of accounts, transfers in two phases, adjustments. */
MUST_CHECK bool store_save_money(struct pg *pg, const struct batch *batch, struct error *e);
