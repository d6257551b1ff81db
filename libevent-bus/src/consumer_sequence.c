/* consumer_sequence.c -- repeats of a relay that works without Kafka's transactions (consumer_drop_repeats()): each
 * event has ce_sequence, ascending in its source, and one that comes again has the number that it had. The highest of
 * each partition and source is kept: into Postgres in consumer_sequences, moved in the transaction of the effects; else
 * in memory. */
#include "consumer_private.h"

#include "event_bus_sql.h"

#include <stdlib.h>

enum { SOURCES_MAX = 1000, /* of a partition */ DIGITS_MAX = 20 };

struct sequence {
    char *source;
    int64_t highest;   /* durable; 0: none */
    int64_t attempted; /* with the attempt in hand */
};

/* Of what the relay writes: digits only. 0: there is none, or it is somebody else's. */
static int64_t read_number(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) || rd_kafka_header_get_last(headers, "ce_sequence", &value, &len) ||
        !value || len == 0 || len > DIGITS_MAX)
        return 0;
    __int128 number = 0;
    for (size_t i = 0; i < len; i++) {
        char digit = ((const char *)value)[i];
        if (digit < '0' || digit > '9')
            return 0;
        number = number * 10 + (digit - '0');
    }
    return number > INT64_MAX ? 0 : (int64_t)number;
}

/* NULL: there are too many. */
static struct sequence *find(struct partition *partition, const char *source)
{
    for (size_t i = 0; i < partition->sequence_count; i++)
        if (strcmp(partition->sequences[i].source, source) == 0)
            return &partition->sequences[i];
    if (partition->sequence_count == SOURCES_MAX)
        return NULL;
    size_t size = (partition->sequence_count + 1) * sizeof *partition->sequences;
    partition->sequences = xrealloc(partition->sequences, size);
    struct sequence *sequence = &partition->sequences[partition->sequence_count++];
    *sequence = (struct sequence){ .source = xstrdup(source) };
    return sequence;
}

static void forget(struct partition *partition)
{
    for (size_t i = 0; i < partition->sequence_count; i++)
        xfree(partition->sequences[i].source);
    xfree(partition->sequences);
    partition->sequences = NULL;
    partition->sequence_count = 0;
}

void sequence_free(struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++)
        forget(&consumer->partition_table[i]);
}

bool sequence_load(struct consumer *consumer, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!consumer->drop_repeats || !consumer->pg)
        return true;
    sequence_free(consumer);
    pg_arg_text(consumer->pg, consumer->options->group);
    if (!pg_query(consumer->pg, &sql_event_bus_sequences_read, &rows, e))
        return false;
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *partition = &consumer->partition_table[i];
        for (size_t row = 0; row < pg_rows(rows); row++) {
            if (partition->number != (int32_t)pg_get_int64(rows, row, 1) ||
                strcmp(consumer->options->topics[partition->topic], pg_get_text(rows, row, 0)) != 0)
                continue;
            struct sequence *sequence = find(partition, pg_get_text(rows, row, 2));
            if (sequence)
                sequence->highest = pg_get_int64(rows, row, 3);
        }
    }
    return true;
}

void sequence_begin(struct consumer *consumer)
{
    for (size_t i = 0; consumer->drop_repeats && i < consumer->partition_count; i++) {
        struct partition *partition = &consumer->partition_table[i];
        for (size_t k = 0; k < partition->sequence_count; k++)
            partition->sequences[k].attempted = partition->sequences[k].highest;
    }
}

bool sequence_repeats(struct consumer *consumer, const struct item *item, const struct event *event)
{
    int64_t number = consumer->drop_repeats ? read_number(item->message) : 0;
    if (number == 0)
        return false;
    struct sequence *sequence = find(item->partition, event->source);
    if (!sequence) {
        error_set(&consumer->fatal, ERROR_FATAL, "%s[%d] has events of more than %d sources with ce_sequence",
            event->topic, event->partition, SOURCES_MAX);
        return false;
    }
    if (number <= sequence->attempted)
        return true;
    sequence->attempted = number;
    return false;
}

bool sequence_write(struct consumer *consumer, struct error *e)
{
    size_t count = 0, max = 0;
    for (size_t i = 0; consumer->drop_repeats && i < consumer->partition_count; i++)
        max += consumer->partition_table[i].sequence_count;
    if (max == 0)
        return true;
    const char **topics = arena_alloc(consumer->arena, max * sizeof *topics),
               **sources = arena_alloc(consumer->arena, max * sizeof *sources);
    int32_t *partitions = arena_alloc(consumer->arena, max * sizeof *partitions);
    int64_t *numbers = arena_alloc(consumer->arena, max * sizeof *numbers);
    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct partition *partition = &consumer->partition_table[i];
        for (size_t k = 0; k < partition->sequence_count; k++) {
            const struct sequence *sequence = &partition->sequences[k];
            if (sequence->attempted == sequence->highest)
                continue;
            topics[count] = consumer->options->topics[partition->topic];
            partitions[count] = partition->number;
            sources[count] = sequence->source;
            numbers[count++] = sequence->attempted;
        }
    }
    if (count == 0)
        return true;
    pg_arg_text(consumer->pg, consumer->options->group);
    pg_arg_texts(consumer->pg, topics, count);
    pg_arg_int32s(consumer->pg, partitions, count);
    pg_arg_texts(consumer->pg, sources, count);
    pg_arg_int64s(consumer->pg, numbers, count);
    return pg_send(consumer->pg, &sql_event_bus_sequences_write, NULL, e);
}

void sequence_committed(struct consumer *consumer)
{
    for (size_t i = 0; consumer->drop_repeats && i < consumer->partition_count; i++) {
        struct partition *partition = &consumer->partition_table[i];
        for (size_t k = 0; k < partition->sequence_count; k++)
            partition->sequences[k].highest = partition->sequences[k].attempted;
    }
}

bool consumer_drop_repeats(struct consumer *consumer, struct error *e)
{
    if (consumer->producer)
        return error_set(e, ERROR_INVALID, "a consumer into Kafka has no place to remember what it has seen");
    consumer->drop_repeats = true;
    return true;
}
