#include "table.h"

#include <string.h>

struct slot {
    const void *key; /* NULL: free */
    size_t key_len;
    uint64_t hash;
    void *value;
};

struct table {
    struct arena *arena;
    struct slot *slots;
    size_t size; /* a power of two */
    size_t used;
};

enum { TABLE_FIRST_SIZE = 256 };

/* FNV-1a with a final mix. A crowd of colliding keys costs time within one bounded batch, no more. */
static uint64_t hash_bytes(const void *key, size_t len)
{
    const unsigned char *bytes = key;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash ^ (hash >> 29);
}

static struct slot *slots_new(struct arena *arena, size_t size)
{
    struct slot *slots = arena_alloc(arena, size * sizeof *slots);
    memset(slots, 0, size * sizeof *slots);
    return slots;
}

static struct slot *slot_of(const struct table *table, uint64_t hash, const void *key, size_t key_len)
{
    for (size_t i = hash & (table->size - 1);; i = (i + 1) & (table->size - 1)) {
        struct slot *slot = &table->slots[i];
        if (!slot->key || (slot->hash == hash && slot->key_len == key_len && memcmp(slot->key, key, key_len) == 0))
            return slot;
    }
}

static void grow(struct table *table)
{
    struct slot *old = table->slots;
    size_t old_size = table->size;
    table->size *= 2;
    table->slots = slots_new(table->arena, table->size);
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].key)
            *slot_of(table, old[i].hash, old[i].key, old[i].key_len) = old[i];
    }
}

struct table *table_new(struct arena *arena)
{
    struct table *table = arena_alloc(arena, sizeof *table);
    *table = (struct table){ .arena = arena, .slots = slots_new(arena, TABLE_FIRST_SIZE), .size = TABLE_FIRST_SIZE };
    return table;
}

void *table_find(const struct table *table, const void *key, size_t key_len)
{
    return slot_of(table, hash_bytes(key, key_len), key, key_len)->value;
}

void **table_slot(struct table *table, const void *key, size_t key_len)
{
    if (table->used * 2 >= table->size)
        grow(table);
    uint64_t hash = hash_bytes(key, key_len);
    struct slot *slot = slot_of(table, hash, key, key_len);
    if (!slot->key) {
        void *copy = arena_alloc(table->arena, key_len ? key_len : 1);
        memcpy(copy, key, key_len);
        *slot = (struct slot){ .key = copy, .key_len = key_len, .hash = hash };
        table->used++;
    }
    return &slot->value;
}
