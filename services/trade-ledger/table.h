/* table.h -- bytes → pointer, for the life of one batch. Lives in an arena: nothing is removed, nothing is freed. One
 * thread. */
#pragma once

#include <event_bus/base.h>

struct table;

struct table *table_new(struct arena *arena);

/* NULL: not there. */
void *table_find(const struct table *table, const void *key, size_t key_len);

/* The place of the key's value, NULL in it when the key is new. The key is copied. The place is valid until the next
 * call. */
void **table_slot(struct table *table, const void *key, size_t key_len);
