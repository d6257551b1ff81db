/* consumer_position.c -- where each partition stands: a row in the handler's database, or memory in a plain consumer.
 */
#include "consumer_private.h"

#include "event_bus_sql.h"

#include <stdlib.h>

/* ---- The table of partitions ---- */

static struct partition *find_any(struct consumer *consumer, const char *topic_name, int32_t number)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        /* events come in runs of one partition: begin where the last was found */
        size_t at = (consumer->last_found + i) % consumer->partition_count;
        struct partition *partition = &consumer->partition_table[at];
        if (partition->number == number && strcmp(consumer->topic_names[partition->topic], topic_name) == 0) {
            consumer->last_found = at;
            return partition;
        }
    }
    return NULL;
}

struct partition *position_find(struct consumer *consumer, const char *topic_name, int32_t number)
{
    struct partition *partition = find_any(consumer, topic_name, number);
    return partition && partition->assigned ? partition : NULL;
}

static struct partition *add(struct consumer *consumer, const char *topic_name, int32_t number)
{
    for (size_t topic = 0; topic < consumer->topic_count; topic++) {
        if (strcmp(consumer->topic_names[topic], topic_name) != 0)
            continue;
        if (consumer->partition_count == PARTITIONS_MAX)
            break;
        size_t size = (consumer->partition_count + 1) * sizeof *consumer->partition_table;
        consumer->partition_table = xrealloc(consumer->partition_table, size);
        struct partition *partition = &consumer->partition_table[consumer->partition_count++];
        *partition = (struct partition){ .topic = topic,
            .number = number,
            .late = consumer->discovered,
            .next_offset = -1,
            .attempted = -1,
            .last_offset = -1 };
        return partition;
    }
    return NULL;
}

void position_assign(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    uint32_t assigned = 0;
    for (size_t i = 0; i < consumer->partition_count; i++) {
        consumer->partition_table[i].assigned = false;
        delay_reset(consumer, &consumer->partition_table[i]);
    }
    consumer->parked = consumer->options->ordered; /* until it is known */
    consumer->parked_look_us = 0;
    for (int i = 0; list && i < list->cnt; i++) {
        const char *topic_name = list->elems[i].topic;
        int32_t number = list->elems[i].partition;
        struct partition *partition = find_any(consumer, topic_name, number);
        if (!partition)
            partition = add(consumer, topic_name, number);
        if (!partition) {
            error_set(&consumer->fatal, ERROR_FATAL, "more than %d partitions are assigned", PARTITIONS_MAX);
            return;
        }
        partition->assigned = true;
        partition->at_end = false;
        partition->attempted = -1;
        partition->checking = partition->unchecked = false;
        partition->behind_since_us = 0;
        assigned++;
    }
    atomic_store(&consumer->assigned, assigned);
}

rd_kafka_topic_partition_list_t *position_list(const struct consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)atomic_load(&consumer->assigned));
    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct partition *partition = &consumer->partition_table[i];
        if (partition->assigned)
            rd_kafka_topic_partition_list_add(list, consumer->topic_names[partition->topic], partition->number)
                ->offset = partition->next_offset;
    }
    return list;
}

/* ---- Rows ---- */

/* Partitions as columns of a statement; memory is the arena's. */
struct columns {
    size_t count;
    struct partition **partitions;
    const char **topics;
    int32_t *numbers;
    int64_t *next_offsets, *attempted;
};

typedef bool (*partition_filter)(const struct partition *partition);

static bool is_assigned(const struct partition *partition)
{
    return partition->assigned;
}

static bool is_unknown(const struct partition *partition)
{
    return partition->assigned && partition->next_offset < 0;
}

static bool is_touched(const struct partition *partition)
{
    return partition->assigned && partition->attempted >= 0;
}

static struct columns collect(struct consumer *consumer, partition_filter wanted)
{
    size_t max = consumer->partition_count;
    struct columns columns = {
        .partitions = arena_alloc(consumer->arena, max * sizeof *columns.partitions),
        .topics = arena_alloc(consumer->arena, max * sizeof *columns.topics),
        .numbers = arena_alloc(consumer->arena, max * sizeof *columns.numbers),
        .next_offsets = arena_alloc(consumer->arena, max * sizeof *columns.next_offsets),
        .attempted = arena_alloc(consumer->arena, max * sizeof *columns.attempted),
    };
    for (size_t i = 0; i < max; i++) {
        struct partition *partition = &consumer->partition_table[i];
        if (!wanted(partition))
            continue;
        columns.partitions[columns.count] = partition;
        columns.topics[columns.count] = consumer->options->topics[partition->topic];
        columns.numbers[columns.count] = partition->number;
        columns.next_offsets[columns.count] = partition->next_offset;
        columns.attempted[columns.count++] = partition->attempted;
    }
    return columns;
}

static void arg_partitions(struct consumer *consumer, const struct columns *columns)
{
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_texts(consumer->pg, columns->topics, columns->count);
    pg_arg_int32s(consumer->pg, columns->numbers, columns->count);
}

DEFINE_CLEANUP(char *, free)

/* An offset of another cluster means nothing here: reading on from it would skip or repeat events. */
static bool check_cluster(struct consumer *consumer, const struct columns *columns, size_t i, const char *stored,
    const char *cluster, struct error *e)
{
    if (strcmp(stored, cluster) == 0)
        return true;
    return error_set(e, ERROR_FATAL,
        "the position of %s in %s[%d] was taken on Kafka cluster %.32s, but this is cluster %.32s",
        consumer->options->group, columns->topics[i], columns->numbers[i], stored, cluster);
}

/* Reads the rows of all assigned partitions into next_offset; -1 where there is none. */
static bool read_rows(struct consumer *consumer, const char *cluster, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct columns columns = collect(consumer, is_assigned);
    arg_partitions(consumer, &columns);
    if (!pg_query(consumer->pg, &sql_event_bus_positions_read, &rows, e))
        return false;
    for (size_t i = 0; i < columns.count; i++) {
        bool absent = pg_is_null(rows, i, 0);
        if (!absent && !check_cluster(consumer, &columns, i, pg_get_text(rows, i, 1), cluster, e))
            return false;
        columns.partitions[i]->next_offset = absent ? -1 : pg_get_int64(rows, i, 0);
        columns.partitions[i]->last_offset = pg_is_null(rows, i, 2) ? -1 : pg_get_int64(rows, i, 2);
        columns.partitions[i]->last_digest = pg_get_int64(rows, i, 3);
    }
    return true;
}

/* Of a partition that was never read, whose log reaches from low to high. */
static int64_t first_offset(
    const struct consumer_options *options, const struct partition *partition, int64_t low, int64_t high)
{
    if (partition->late)
        return low;
    if (options->tail > 0)
        return high - low > options->tail ? high - options->tail : low;
    return options->from_end ? high : low;
}

/* Asks for the log's ends to know where to begin, for partitions that were never read. */
static bool ask_first(struct consumer *consumer, struct columns *columns, struct error *e)
{
    for (size_t i = 0; i < columns->count; i++) {
        const char *topic_name = consumer->topic_names[columns->partitions[i]->topic];
        int64_t low, high;
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
            consumer->rk, topic_name, columns->numbers[i], &low, &high, KAFKA_QUERY_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            kafka_error(code, topic_name, e);
            e->kind = ERROR_TRANSIENT;
            return false;
        }
        columns->next_offsets[i] = first_offset(consumer->options, columns->partitions[i], low, high);
    }
    return true;
}

static bool load_rows(struct consumer *consumer, struct error *e)
{
    CLEANUP(free) char *cluster = rd_kafka_clusterid(consumer->rk, KAFKA_QUERY_MS);
    if (!cluster)
        return error_set(e, ERROR_TRANSIENT, "Kafka does not tell its cluster id");
    if (!read_rows(consumer, cluster, e))
        return false;
    struct columns missing = collect(consumer, is_unknown);
    if (missing.count == 0)
        return true;
    if (!ask_first(consumer, &missing, e))
        return false;
    arg_partitions(consumer, &missing);
    pg_arg_int64s(consumer->pg, missing.next_offsets, missing.count);
    pg_arg_text(consumer->pg, cluster);
    /* Read again rather than believed: another consumer may have been first. */
    return pg_query(consumer->pg, &sql_event_bus_positions_insert, NULL, e) && read_rows(consumer, cluster, e);
}

/* Where nothing is stored (yet), from the log's ends. */
static bool load_ends(struct consumer *consumer, struct error *e)
{
    struct columns missing = collect(consumer, is_unknown);
    if (!ask_first(consumer, &missing, e))
        return false;
    for (size_t i = 0; i < missing.count; i++)
        missing.partitions[i]->next_offset = missing.next_offsets[i];
    return true;
}

/* Where to begin: at the record handled last, if it is known, to see that it is still the same. */
static rd_kafka_topic_partition_list_t *first_list(struct consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = position_list(consumer);
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition = position_find(consumer, list->elems[i].topic, list->elems[i].partition);
        partition->checking = partition->last_offset >= 0 && !partition->unchecked;
        if (partition->checking)
            list->elems[i].offset = partition->last_offset;
    }
    return list;
}

bool position_load(struct consumer *consumer, struct error *e)
{
    bool loaded = consumer->pg         ? load_rows(consumer, e)
                  : consumer->producer ? publish_positions(consumer, e) && load_ends(consumer, e)
                                       : load_ends(consumer, e);
    if (!loaded || !sequence_load(consumer, e))
        return false;
    rd_kafka_topic_partition_list_t *list = first_list(consumer);
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer->rk, list);
    for (int i = 0; i < list->cnt; i++)
        consumer_say(consumer, "%s[%d] from offset %lld", list->elems[i].topic, list->elems[i].partition,
            (long long)list->elems[i].offset);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(code, "assign", e);
    delay_pause_again(consumer);
    consumer->state = READING;
    return true;
}

/* ---- Is it still the same log? ---- */

static uint64_t mix(uint64_t digest, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        digest = (digest ^ bytes[i]) * 0x100000001b3;
    return (digest ^ len) * 0x100000001b3;
}

/* FNV-1a of time, key and value: tells records apart, and is no defence against someone who makes them alike. */
int64_t position_digest(const rd_kafka_message_t *message)
{
    int64_t timestamp = rd_kafka_message_timestamp(message, NULL);
    uint64_t digest = mix(0xcbf29ce484222325, &timestamp, sizeof timestamp);
    digest = mix(digest, message->key, message->key_len);
    digest = mix(digest, message->payload, message->len);
    int64_t result;
    memcpy(&result, &digest, sizeof result);
    return result;
}

bool position_recheck(struct consumer *consumer, struct partition *partition, const rd_kafka_message_t *message)
{
    partition->checking = false;
    if (message->offset != partition->last_offset) { /* compaction has removed it */
        consumer_say(consumer, "%s[%d]@%lld is gone: cannot compare", consumer->topic_names[partition->topic],
            partition->number, (long long)partition->last_offset);
        return message->offset < partition->next_offset;
    }
    if (position_digest(message) != partition->last_digest)
        error_set(&consumer->fatal, ERROR_FATAL,
            "%s[%d]@%lld is not the record that %s has handled there: the topic was deleted and made again, or lost "
            "data",
            consumer->options->topics[partition->topic], partition->number, (long long)message->offset,
            consumer->options->group);
    return true;
}

void position_recheck_end(struct consumer *consumer, struct partition *partition, int64_t end_offset)
{
    partition->checking = false;
    if (consumer->pg && end_offset < partition->next_offset)
        error_set(&consumer->fatal, ERROR_FATAL,
            "the position in %s[%d] is outside of the log: it is %lld, and the log ends at %lld",
            consumer->options->topics[partition->topic], partition->number, (long long)partition->next_offset,
            (long long)end_offset);
}

/* ---- Moving on ---- */

bool position_advance(struct consumer *consumer, struct error *e)
{
    struct columns columns = collect(consumer, is_touched);
    arg_partitions(consumer, &columns);
    pg_arg_int64s(consumer->pg, columns.next_offsets, columns.count);
    pg_arg_int64s(consumer->pg, columns.attempted, columns.count);
    for (size_t i = 0; i < columns.count; i++) {
        columns.next_offsets[i] = columns.partitions[i]->attempted_last;
        columns.attempted[i] = columns.partitions[i]->attempted_digest;
    }
    pg_arg_int64s(consumer->pg, columns.next_offsets, columns.count);
    pg_arg_int64s(consumer->pg, columns.attempted, columns.count);
    return pg_send(consumer->pg, &sql_event_bus_positions_advance, NULL, e);
}

bool position_fence(struct consumer *consumer, struct partition *partition, struct error *e)
{
    const char *topic = consumer->options->topics[partition->topic];
    const int64_t none = -1, no_digest = 0;
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_texts(consumer->pg, &topic, 1);
    pg_arg_int32s(consumer->pg, &partition->number, 1);
    pg_arg_int64s(consumer->pg, &partition->next_offset, 1);
    pg_arg_int64s(consumer->pg, &partition->next_offset, 1);
    pg_arg_int64s(consumer->pg, &none, 1);
    pg_arg_int64s(consumer->pg, &no_digest, 1);
    return pg_send(consumer->pg, &sql_event_bus_positions_advance, NULL, e);
}

void position_advanced(struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *partition = &consumer->partition_table[i];
        if (!is_touched(partition))
            continue;
        partition->next_offset = partition->attempted;
        partition->last_offset = consumer->pg ? partition->attempted_last : -1;
        partition->last_digest = partition->attempted_digest;
        partition->attempted = -1;
    }
}

bool position_verify(struct consumer *consumer, enum position_verdict *ret_verdict, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct columns columns = collect(consumer, is_touched);
    size_t unmoved = 0, moved = 0;
    arg_partitions(consumer, &columns);
    if (!pg_query(consumer->pg, &sql_event_bus_positions_read, &rows, e))
        return false;
    for (size_t i = 0; i < columns.count; i++) {
        int64_t next_offset = pg_is_null(rows, i, 0) ? -1 : pg_get_int64(rows, i, 0);
        unmoved += next_offset == columns.next_offsets[i];
        moved += next_offset == columns.attempted[i];
    }
    *ret_verdict = unmoved == columns.count ? POSITION_UNMOVED
                   : moved == columns.count ? POSITION_MOVED
                                            : POSITION_LOST;
    return true;
}
