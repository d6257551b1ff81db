#include "parking.h"

#include "relay_sql.h"

#include <inttypes.h>
#include <stdlib.h>

struct parking_entry {
    char *topic;
    void *key; /* NULL: all keys, or with an id that row alone */
    size_t key_len;
    uint64_t id;
};

struct parking {
    struct pg_options pg_options;
    struct pg *pg;                 /* NULL while not needed */
    struct parking_entry *entries; /* in the order of entry_compare() */
    size_t count, capacity;
};

static int entry_compare(const void *a, const void *b)
{
    const struct parking_entry *x = a, *y = b;
    size_t common = x->key_len < y->key_len ? x->key_len : y->key_len;
    int order = strcmp(x->topic, y->topic);

    if (order == 0)
        order = (x->key != NULL) - (y->key != NULL);
    if (order == 0 && x->key)
        order = memcmp(x->key, y->key, common);
    if (order == 0)
        order = (x->key_len > y->key_len) - (x->key_len < y->key_len);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static void parking_clear(struct parking *parking)
{
    for (size_t i = 0; i < parking->count; i++) {
        xfree(parking->entries[i].topic);
        xfree(parking->entries[i].key);
    }
    parking->count = 0;
}

static void parking_add(struct parking *parking, const char *topic, struct bytes key, uint64_t id)
{
    struct parking_entry *entry;

    if (parking->count == parking->capacity) {
        parking->capacity = parking->capacity ? parking->capacity * 2 : 64;
        parking->entries = xrealloc(parking->entries, parking->capacity * sizeof *parking->entries);
    }
    entry = &parking->entries[parking->count++];
    *entry = (struct parking_entry){ .topic = xstrdup(topic), .id = id };
    if (key.data) {
        entry->key = xmalloc(key.len + 1);
        entry->key_len = key.len;
        memcpy(entry->key, key.data, key.len);
    }
}

static bool parking_has(const struct parking *parking, const char *topic, struct bytes key, uint64_t id)
{
    const struct parking_entry wanted = { .topic = (char *)(uintptr_t)topic,
        .key = (void *)(uintptr_t)key.data,
        .key_len = key.data ? key.len : 0,
        .id = id };

    return bsearch(&wanted, parking->entries, parking->count, sizeof wanted, entry_compare) != NULL;
}

static bool parking_blocks(const struct parking *parking, const struct source_row *row)
{
    const struct bytes any_key = { 0 };

    return parking_has(parking, row->topic, any_key, 0) ||
           (row->key.data ? parking_has(parking, row->topic, row->key, 0)
                          : parking_has(parking, row->topic, any_key, row->id));
}

static bool parking_connect(struct parking *parking, struct error *e)
{
    return parking->pg || pg_open(&parking->pg_options, &parking->pg, e);
}

static bool parking_load(struct parking *parking, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;

    if (!parking_connect(parking, e))
        return false;
    pg_arg_int64(parking->pg, PARKING_ENTRIES_MAX + 1);
    if (!pg_query(parking->pg, &sql_parked_keys, &result, e))
        return false;
    if (pg_rows(result) > PARKING_ENTRIES_MAX)
        return error_set(
            e, ERROR_FATAL, "outbox_parked holds more than %d keys: see to them first", PARKING_ENTRIES_MAX);
    parking_clear(parking);
    for (size_t i = 0; i < pg_rows(result); i++) {
        struct bytes key = pg_get_bytes(result, i, 1);

        if (pg_is_null(result, i, 1) || pg_get_bool(result, i, 2))
            key = (struct bytes){ 0 };
        else if (!key.data)
            key.data = ""; /* an empty key is a key */
        parking_add(parking, pg_get_text(result, i, 0), key, (uint64_t)pg_get_int64(result, i, 3));
    }
    if (parking->count > 0) {
        qsort(parking->entries, parking->count, sizeof *parking->entries, entry_compare);
    } else {
        pg_free(parking->pg);
        parking->pg = NULL;
    }
    return true;
}

bool parking_open(const char *dsn, struct parking **ret_parking, struct error *e)
{
    CLEANUP(parking_free) struct parking *parking = xcalloc(1, sizeof *parking);

    parking->pg_options = (struct pg_options){ .dsn = dsn, .application_name = "outbox-relay parking" };
    if (!parking_load(parking, e))
        return false;
    *ret_parking = TAKE(parking);
    return true;
}

void parking_free(struct parking *parking)
{
    if (!parking)
        return;
    parking_clear(parking);
    xfree(parking->entries);
    pg_free(parking->pg);
    xfree(parking);
}

bool parking_park(struct parking *parking, uint64_t row_id, const char *reason, bool whole_topic, struct error *e)
{
    if (!parking_connect(parking, e))
        return false;
    pg_arg_int64(parking->pg, (int64_t)row_id);
    pg_arg_text(parking->pg, reason);
    pg_arg_bool(parking->pg, whole_topic);
    return pg_query(parking->pg, &sql_park, NULL, e) && parking_load(parking, e);
}

/* Parks rows `ids` as far as they are still blocked, and marks which are. */
static bool parking_hold(struct parking *parking, const struct source_page *page, const int64_t *ids, size_t count,
    bool *ret_parked, size_t *ret_count, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *parked = NULL;
    size_t next = 0;

    if (!parking_connect(parking, e) || !pg_begin(parking->pg, e))
        return false;
    pg_arg_int64s(parking->pg, ids, count);
    bool ok = pg_send(parking->pg, &sql_park_behind, NULL, e);
    pg_arg_int64s(parking->pg, ids, count);
    if (!ok || !pg_send(parking->pg, &sql_parked_of, &parked, e) || !pg_commit(parking->pg, e)) {
        pg_rollback(parking->pg);
        return false;
    }
    for (size_t i = 0; i < page->count && next < pg_rows(parked); i++) {
        ret_parked[i] = page->rows[i].id == (uint64_t)pg_get_int64(parked, next, 0);
        next += ret_parked[i];
    }
    *ret_count = next;
    return next == count || parking_load(parking, e); /* some were given up meanwhile */
}

bool parking_filter(
    struct parking *parking, const struct source_page *page, bool *ret_parked, size_t *ret_count, struct error *e)
{
    CLEANUP(xfree) char *buffer = NULL;
    int64_t *ids;
    size_t count = 0;

    *ret_count = 0;
    memset(ret_parked, 0, page->count * sizeof *ret_parked);
    for (size_t i = 0; i < page->count; i++)
        if (page->rows[i].flaw && !parking_park(parking, page->rows[i].id, page->rows[i].flaw, false, e))
            return false;
    if (parking->count == 0)
        return true;

    ids = xmalloc(page->count * sizeof *ids);
    buffer = (char *)ids;
    for (size_t i = 0; i < page->count; i++)
        if (parking_blocks(parking, &page->rows[i]))
            ids[count++] = (int64_t)page->rows[i].id;
    return count == 0 || parking_hold(parking, page, ids, count, ret_parked, ret_count, e);
}
