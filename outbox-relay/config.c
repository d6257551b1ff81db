#include "settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ITEM(member) offsetof(struct relay_settings, member)

static const char compressions[] = "none|lz4|snappy|zstd|gzip";
static const char *const compression_names[] = { "none", "lz4", "snappy", "zstd", "gzip" };

const struct config_item relay_settings_items[] = {
    { "OUTBOX_RELAY_SOURCES", CONFIG_STRING, ITEM(sources), NULL,
        "what to publish: identity,trade-ledger; each has RELAY_<NAME>_POSTGRES_URL, the relay role's DSN" },
    { "OUTBOX_RELAY_MAX_LAG_SECONDS", CONFIG_INT, ITEM(max_lag_s), "30", "more lag than this and /health is 503", 1,
        86400 },
    { "OUTBOX_RELAY_TRANSACTION_MS", CONFIG_INT, ITEM(transaction_ms), "50",
        "under load a Kafka transaction is committed after this long", 1, 5000 },
    { "OUTBOX_RELAY_PAUSE_US", CONFIG_INT, ITEM(pause_us), "2000",
        "between two transactions of one transactional.id, while the broker writes markers; there are two ids", 0,
        100000 },
    { "OUTBOX_RELAY_TRANSACTION_TIMEOUT_MS", CONFIG_INT, ITEM(transaction_timeout_ms), "10000",
        "after which the broker aborts what a dead relay left open", 1000, 900000 },
    { "OUTBOX_RELAY_PAGE_ROWS", CONFIG_INT, ITEM(page_rows), "5000", "rows read at once", 1, 100000 },
    { "OUTBOX_RELAY_PAGE_BYTES", CONFIG_INT, ITEM(page_bytes), "4194304", "payload read at once", 1, 1073741824 },
    { "OUTBOX_RELAY_POLL_MAX_MS", CONFIG_INT, ITEM(poll_max_ms), "10",
        "longest sleep between two looks at a quiet table", 1, 10000 },
    { "OUTBOX_RELAY_QUEUE_KBYTES", CONFIG_INT, ITEM(queue_kbytes_max), "8192",
        "what may wait for the broker in memory, for each source", 1024, 1048576 },
    { "OUTBOX_RELAY_COMPRESSION", CONFIG_CHOICE, ITEM(compression), "lz4", "of Kafka batches",
        .choices = compressions },
    { "OUTBOX_RELAY_LEASE_MS", CONFIG_INT, ITEM(lease_ms), "2000",
        "a relay silent for this long is taken over by one that waits", 500, 600000 },
    { "OUTBOX_RELAY_CLEANUP", CONFIG_BOOL, ITEM(cleanup), "true", "delete published rows" },
    { "OUTBOX_RELAY_CLEANUP_DELAY_SECONDS", CONFIG_INT, ITEM(cleanup_delay_s), "60", "how long published rows are kept",
        0, 31536000 },
    { "OUTBOX_RELAY_ON_REFUSAL", CONFIG_CHOICE, ITEM(on_refusal), "park",
        "a row that Kafka refuses (too large, unknown topic): set it aside, or stop its source",
        .choices = "park|stop" },
    { "OUTBOX_RELAY_WAL_CATCH_UP_BYTES", CONFIG_INT, ITEM(wal_catch_up_bytes), "67108864",
        "wal mode: with more log than this to catch up on, it is read by SQL, which is faster than the stream", 1048576,
        INT64_MAX },
    { "OUTBOX_RELAY_WAL_PEEK_CHANGES", CONFIG_INT, ITEM(wal_peek_changes), "10000000",
        "wal mode: read so many changes at once when catching up; Postgres keeps them in a temporary file", 1000,
        100000000 },
    { "OUTBOX_RELAY_WAL_SPILL_FOLDER", CONFIG_STRING, ITEM(wal_spill_folder), "/tmp",
        "wal mode: where large transactions wait for their commit" },
    { "OUTBOX_RELAY_WAL_MAX_RETAINED_BYTES", CONFIG_INT, ITEM(wal_max_retained_bytes), "4294967296",
        "wal mode: more log than this kept for a slot on the server's disk and /health is 503", 16777216, INT64_MAX },
    { "OUTBOX_RELAY_RESET", CONFIG_STRING, ITEM(reset), "",
        "sources that may begin anew on a database their stored position is not of: identity,…" },
    { 0 },
};

const char *relay_compression(const struct relay_settings *settings)
{
    return compression_names[settings->compression];
}

/* Is `name` one of the comma-separated `list`? */
static bool list_has(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

static bool source_add(struct relay_sources *sources, const char *name, size_t len, struct error *e)
{
    struct relay_source_setting *source = &sources->items[sources->count];

    if (len == 0 || len >= RELAY_SOURCE_NAME_MAX)
        return error_field(
            e, ERROR_INVALID, "", "OUTBOX_RELAY_SOURCES", "a source has 1 to %d characters", RELAY_SOURCE_NAME_MAX - 1);
    if (sources->count == RELAY_SOURCES_MAX)
        return error_field(e, ERROR_INVALID, "", "OUTBOX_RELAY_SOURCES", "more than %d sources", RELAY_SOURCES_MAX);
    for (size_t i = 0; i < len; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '-')
            return error_field(e, ERROR_INVALID, "", "OUTBOX_RELAY_SOURCES", "a source is of a-z, 0-9 and -: \"%.*s\"",
                (int)len, name);
    memcpy(source->name, name, len);
    source->name[len] = '\0';
    for (size_t i = 0; i < sources->count; i++)
        if (strcmp(sources->items[i].name, source->name) == 0)
            return error_field(e, ERROR_INVALID, "", "OUTBOX_RELAY_SOURCES", "\"%s\" is there twice", source->name);
    sources->count++;
    return true;
}

#define SOURCE(member) offsetof(struct relay_source_setting, member)

const struct config_item relay_source_items[] = {
    { "POSTGRES_URL", CONFIG_SECRET, SOURCE(dsn), NULL, "the relay role's DSN" },
    { "MODE", CONFIG_CHOICE, SOURCE(mode), "poll", "read the table by SQL, or Postgres' log (logical replication)",
        .choices = "poll|wal" },
    { "SLOT", CONFIG_STRING, SOURCE(slot), "", "wal mode: the replication slot; none: outbox_relay_<source>" },
    { "PUBLICATION", CONFIG_STRING, SOURCE(publication), "outbox", "wal mode: the publication of the table" },
    { "TABLE", CONFIG_STRING, SOURCE(mapping.table), "outbox", "the outbox table, or schema.table" },
    { "ORDER_COLUMN", CONFIG_STRING, SOURCE(mapping.order_column), "id",
        "unique ascending integer: the order of rows written at the same time" },
    { "XID_COLUMN", CONFIG_STRING, SOURCE(mapping.xid_column), "xid",
        "xid8 DEFAULT pg_current_xact_id(): which transaction wrote the row" },
    { "ID_COLUMN", CONFIG_STRING, SOURCE(mapping.id_column), "", "what ce_id is made of; none: the order column" },
    { "ID_FORMAT", CONFIG_STRING, SOURCE(mapping.id_format), "", "ce_id, with {} for the id; none: <source>-{}" },
    { "TOPIC_COLUMN", CONFIG_STRING, SOURCE(mapping.topic_column), "topic", "the topic" },
    { "TOPIC_FORMAT", CONFIG_STRING, SOURCE(mapping.topic_format), "{}",
        "the topic, with {} for the column: shop.{}.v1; without {} all rows go to that topic" },
    { "KEY_COLUMN", CONFIG_STRING, SOURCE(mapping.key_column), "key", "the Kafka key; none: no key" },
    { "TYPE_COLUMN", CONFIG_STRING, SOURCE(mapping.type_column), "type", "ce_type" },
    { "TYPE_FORMAT", CONFIG_STRING, SOURCE(mapping.type_format), "{}", "ce_type, with {} for the column" },
    { "PAYLOAD_COLUMN", CONFIG_STRING, SOURCE(mapping.payload_column), "payload",
        "the value: bytea as it is, any other type as its text" },
    { "HEADERS_COLUMN", CONFIG_STRING, SOURCE(mapping.headers_column), "headers",
        "more headers: text[] (name, value, …), json or jsonb (an object); none: no more" },
    { "TRACE_COLUMN", CONFIG_STRING, SOURCE(mapping.trace_column), "traceparent", "W3C traceparent; none: no trace" },
    { "TIME_COLUMN", CONFIG_STRING, SOURCE(mapping.time_column), "created_at",
        "ce_time: timestamptz, timestamp (UTC) or integer (milliseconds); none: no ce_time" },
    { "CONTENT_TYPE", CONFIG_STRING, SOURCE(mapping.content_type), "",
        "none: by the payload's type, application/protobuf, application/json or text/plain" },
    { "CE_SOURCE", CONFIG_STRING, SOURCE(mapping.ce_source), "", "ce_source; none: /penstock/<source>" },
    { "GUARANTEE", CONFIG_CHOICE, SOURCE(guarantee), "exactly-once",
        "exactly-once: Kafka transactions; idempotent: less latency, readers drop repeats by ce_sequence",
        .choices = "exactly-once|idempotent" },
    { "PARKED_TABLE", CONFIG_STRING, SOURCE(mapping.parked_table), "outbox_parked", "rows that Kafka refused" },
    { "CONTROL_TABLE", CONFIG_STRING, SOURCE(mapping.control_table), "outbox_relay", "what is asked of the relay" },
    { 0 },
};

/* A slot's name has a-z, 0-9 and _. */
static void source_name_slot(struct relay_source_setting *source)
{
    if (*source->slot)
        return;
    xfree(source->slot);
    source->slot = xasprintf("outbox_relay_%.40s", source->name);
    for (char *c = source->slot; *c; c++)
        if (*c == '-')
            *c = '_';
}

static bool source_load(struct relay_source_setting *source, struct error *e)
{
    snprintf(source->setting, sizeof source->setting, "RELAY_%s", source->name);
    for (char *c = source->setting; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    for (const struct config_item *item = relay_source_items; item->name; item++) {
        CLEANUP(xfree) char *name = xasprintf("%s_%s", source->setting, item->name);
        struct config_item items[] = { *item, { 0 } };

        items[0].name = name;
        if (!config_load(items, source, e))
            return false;
    }
    source_name_slot(source);
    return true;
}

bool relay_sources_load(const struct relay_settings *settings, struct relay_sources *ret_sources, struct error *e)
{
    *ret_sources = (struct relay_sources){ 0 };
    for (const char *name = settings->sources; name;) {
        const char *end = strchrnul(name, ',');

        if (!source_add(ret_sources, name, (size_t)(end - name), e))
            return false;
        name = *end ? end + 1 : NULL;
    }
    for (size_t i = 0; i < ret_sources->count; i++) {
        struct relay_source_setting *source = &ret_sources->items[i];

        source->reset = list_has(settings->reset, source->name);
        if (!source_load(source, e))
            return false;
    }
    return true;
}

void relay_sources_release(struct relay_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        config_release(relay_source_items, &sources->items[i]);
    *sources = (struct relay_sources){ 0 };
}
