#include "parking.h"

#include "control.h"
#include "relay_sql.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARKING_TOPIC_MAX = 256, PARKING_REASON_MAX = 192 };

struct parking_entry {
    char *topic;
    void *key; /* NULL: all keys, or with an id that row alone */
    size_t key_len;
    uint64_t id;
};

struct parking {
    struct pg_options pg_options;
    struct pg *pg; /* NULL while not needed */
    struct pg_statement park, park_behind, keys, parked_of;
    struct parking_entry *entries; /* in the order of entry_compare() */
    size_t count, capacity;
    uint64_t refused_id;                   /* 0: none */
    char refused_topic[PARKING_TOPIC_MAX]; /* "": none */
    char reason[PARKING_REASON_MAX];
};

enum parking_verdict { PARKING_PASS, PARKING_BEHIND, PARKING_ALONE, PARKING_WHOLE_TOPIC };

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

    return parking->count > 0 && bsearch(&wanted, parking->entries, parking->count, sizeof wanted, entry_compare);
}

static bool parking_blocks(const struct parking *parking, const struct source_row *row)
{
    const struct bytes any_key = { 0 };

    return parking_has(parking, row->topic, any_key, 0) ||
           (row->key.data ? parking_has(parking, row->topic, row->key, 0)
                          : parking_has(parking, row->topic, any_key, row->id));
}

/* What is parked here and now blocks the rest of its page too. */
static void parking_insert(struct parking *parking, const struct source_row *row, bool whole_topic)
{
    const struct bytes no_key = { 0 };
    bool keyed = row->key.data && !whole_topic;

    parking_add(parking, row->topic, keyed ? row->key : no_key, keyed || whole_topic ? 0 : row->id);
    qsort(parking->entries, parking->count, sizeof *parking->entries, entry_compare);
}

static bool parking_connect(struct parking *parking, struct error *e)
{
    return parking->pg || pg_open(&parking->pg_options, &parking->pg, e);
}

bool parking_load(struct parking *parking, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;

    if (!parking_connect(parking, e))
        return false;
    pg_arg_int64(parking->pg, PARKING_ENTRIES_MAX + 1);
    if (!pg_query(parking->pg, &parking->keys, &result, e))
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

bool parking_open(const char *dsn, const struct mapping *mapping, struct parking **ret_parking, struct error *e)
{
    CLEANUP(parking_free) struct parking *parking = xcalloc(1, sizeof *parking);
    struct mapping_sql sql;

    mapping_sql_init(&sql, mapping);
    parking->park = control_statement(&sql, &sql_park);
    parking->park_behind = control_statement(&sql, &sql_park_behind);
    parking->keys = control_statement(&sql, &sql_parked_keys);
    parking->parked_of = control_statement(&sql, &sql_parked_of);
    mapping_sql_release(&sql);
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
    control_statement_release(&parking->park);
    control_statement_release(&parking->park_behind);
    control_statement_release(&parking->keys);
    control_statement_release(&parking->parked_of);
    xfree(parking->entries);
    pg_free(parking->pg);
    xfree(parking);
}

void parking_refuse(struct parking *parking, uint64_t row_id, const char *topic, const char *reason)
{
    parking->refused_id = topic ? 0 : row_id;
    snprintf(parking->refused_topic, sizeof parking->refused_topic, "%s", topic ? topic : "");
    snprintf(parking->reason, sizeof parking->reason, "%s", reason);
}

static enum parking_verdict parking_judge(
    const struct parking *parking, const struct source_row *row, const char **ret_reason)
{
    *ret_reason = row->flaw ? row->flaw : parking->reason;
    if (parking_blocks(parking, row))
        return PARKING_BEHIND;
    if (row->flaw || (parking->refused_id && row->id == parking->refused_id))
        return PARKING_ALONE;
    return *parking->refused_topic && strcmp(row->topic, parking->refused_topic) == 0 ? PARKING_WHOLE_TOPIC
                                                                                      : PARKING_PASS;
}

static void parking_args(struct parking *parking, const struct source_row *row, struct arena *arena)
{
    const char **headers = arena_alloc(arena, (row->header_count + 1) * sizeof *headers);

    for (size_t i = 0; i < row->header_count; i++)
        headers[i] = arena_printf(arena, "%.*s", (int)row->headers[i].len, (const char *)row->headers[i].data);
    pg_arg_int64(parking->pg, (int64_t)row->id);
    pg_arg_text(parking->pg, row->event_id);
    pg_arg_text(parking->pg, row->topic);
    pg_arg_bytes(parking->pg, row->key);
    pg_arg_text(parking->pg, row->type);
    pg_arg_bytes(parking->pg, row->payload);
    pg_arg_text(parking->pg, *row->traceparent ? row->traceparent : NULL);
    pg_arg_texts(parking->pg, headers, row->header_count);
    pg_arg_int64(parking->pg, row->created_at_us);
}

static bool parking_park(struct parking *parking, const struct source_row *row, enum parking_verdict verdict,
    const char *reason, struct arena *arena, struct error *e)
{
    parking_args(parking, row, arena);
    if (verdict == PARKING_BEHIND)
        return pg_send(parking->pg, &parking->park_behind, NULL, e);
    pg_arg_text(parking->pg, reason);
    pg_arg_bool(parking->pg, verdict == PARKING_WHOLE_TOPIC);
    parking_insert(parking, row, verdict == PARKING_WHOLE_TOPIC);
    return pg_send(parking->pg, &parking->park, NULL, e);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Marks which of the rows are parked in the table: those behind a key that was given up meanwhile are not. */
static void parking_mark(
    const struct source_page *page, const struct pg_result *parked, bool *ret_parked, size_t *ret_count)
{
    size_t count = pg_rows(parked);
    int64_t *ids = xmalloc((count + 1) * sizeof *ids);

    for (size_t i = 0; i < count; i++)
        ids[i] = pg_get_int64(parked, i, 0);
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 0; i < page->count; i++) {
        int64_t id = (int64_t)page->rows[i].id;

        ret_parked[i] = ret_parked[i] && bsearch(&id, ids, count, sizeof id, compare_ids);
    }
    *ret_count = count;
    xfree(ids);
}

/* Sends an insert for each row of the page that is not to pass. */
static bool parking_send(struct parking *parking, const struct source_page *page, bool *ret_parked, int64_t *ids,
    size_t *ret_count, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();

    for (size_t i = 0; i < page->count; i++) {
        const char *reason;
        enum parking_verdict verdict = parking_judge(parking, &page->rows[i], &reason);

        if (verdict == PARKING_PASS)
            continue;
        if (*ret_count == 0 && !(parking_connect(parking, e) && pg_begin(parking->pg, e)))
            return false;
        if (!parking_park(parking, &page->rows[i], verdict, reason, arena, e))
            return false;
        ret_parked[i] = true;
        ids[(*ret_count)++] = (int64_t)page->rows[i].id;
        arena_clear(arena);
    }
    return true;
}

bool parking_filter(
    struct parking *parking, const struct source_page *page, bool *ret_parked, size_t *ret_count, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *parked = NULL;
    CLEANUP(xfree) char *buffer = xmalloc((page->count + 1) * sizeof(int64_t));
    int64_t *ids = (int64_t *)(void *)buffer;
    size_t sent = 0;

    *ret_count = 0;
    memset(ret_parked, 0, page->count * sizeof *ret_parked);
    if (!parking_send(parking, page, ret_parked, ids, &sent, e)) {
        if (parking->pg)
            pg_rollback(parking->pg);
        return false;
    }
    if (sent == 0)
        return true;
    pg_arg_int64s(parking->pg, ids, sent);
    if (!pg_send(parking->pg, &parking->parked_of, &parked, e) || !pg_commit(parking->pg, e)) {
        pg_rollback(parking->pg);
        return false;
    }
    parking_mark(page, parked, ret_parked, ret_count);
    return *ret_count == sent || parking_load(parking, e); /* some were given up meanwhile */
}
