/* consumer_delay.c -- a partition that fails for a passing reason waits by itself, while the others go on.
 *
 * A batch mixes partitions, and a handler that fails seldom says whose fault it was. So after such a failure (the
 * database answers, or nothing here is of use) the batch is sorted by partition and each tried by itself. One that
 * fails alone is set aside: its events are thrown away, it is paused, and after its back-off read again from its
 * position. */
#include "consumer_private.h"

#include <assert.h>
#include <stdlib.h>

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = (x->partition->failures > 0) - (y->partition->failures > 0);
    if (order == 0)
        order = (x->partition > y->partition) - (x->partition < y->partition);
    if (order == 0)
        order = (x->message->offset > y->message->offset) - (x->message->offset < y->message->offset);
    return order;
}

void delay_isolate(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    qsort(batch->items + batch->done, batch->count - batch->done, sizeof *batch->items, compare_items);
    batch->isolating = true;
}

static bool is_alone(const struct batch *batch)
{
    for (size_t i = 1; i < batch->attempt; i++)
        if (batch->items[batch->done + i].partition != batch->items[batch->done].partition)
            return false;
    return true;
}

void delay_reset(struct consumer *consumer, struct partition *partition)
{
    consumer->delayed -= partition->delayed_until_us != 0;
    partition->failures = 0;
    partition->failing_since_us = partition->delayed_until_us = 0;
}

void delay_succeeded(struct consumer *consumer)
{
    struct batch *batch = &consumer->batch;
    for (size_t i = batch->done; i < batch->done + batch->attempt; i++) {
        struct partition *partition = batch->items[i].partition;
        if (partition->failures == 0)
            continue;
        delay_reset(consumer, partition);
    }
}

static rd_kafka_topic_partition_list_t *list_of(struct consumer *consumer, const struct partition *partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const char *topic_name = consumer->topic_names[partition->topic];
    rd_kafka_topic_partition_list_add(list, topic_name, partition->number)->offset = partition->next_offset;
    return list;
}

static void pause_one(struct consumer *consumer, const struct partition *partition)
{
    rd_kafka_topic_partition_list_t *list = list_of(consumer, partition);
    rd_kafka_pause_partitions(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Throws its events away, all that the batch still holds: they are the next in line, and sorted. */
static void set_aside(struct consumer *consumer, struct partition *partition)
{
    struct batch *batch = &consumer->batch;
    size_t kept = batch->done;
    for (size_t i = batch->done; i < batch->count; i++) {
        if (batch->items[i].partition == partition)
            rd_kafka_message_destroy(batch->items[i].message);
        else
            batch->items[kept++] = batch->items[i];
    }
    batch->count = kept;
    partition->attempted = -1;
    partition->delayed_until_us = monotonic_us() + consumer_backoff_us(partition->failures - 1);
    consumer->delayed++;
    pause_one(consumer, partition);
    if (batch->done == batch->count)
        batch_drop(consumer);
}

/* It has been failing for too long. The event that stands alone is the culprit. */
static bool give_up(struct consumer *consumer, const struct partition *partition, struct error *e)
{
    struct batch *batch = &consumer->batch;
    struct item *item = &batch->items[batch->done];
    struct error last = *e;
    long long seconds = (long long)(monotonic_us() - partition->failing_since_us) / 1000000;
    error_set(e, ERROR_REFUSED, "%s[%d]@%lld still fails after %lld s: %.100s",
        consumer->options->topics[partition->topic], partition->number, (long long)item->message->offset, seconds,
        last.message);
    if (consumer->options->retry_then == CONSUMER_STOPS) {
        e->kind = ERROR_FATAL;
        return false;
    }
    item->dead = *e;
    return true;
}

bool delay_failed(struct consumer *consumer, struct error *e)
{
    struct batch *batch = &consumer->batch;
    struct partition *partition = batch->items[batch->done].partition;
    int64_t max_us = (int64_t)consumer->options->retry_max_ms * 1000;
    if (!is_alone(batch)) {
        consumer_tell_error(consumer, e);
        delay_isolate(consumer);
        return true;
    }
    if (partition->failures++ == 0) {
        partition->failing_since_us = monotonic_us();
        partition->attempt_max = consumer->batch_max;
    }
    bool single = batch->attempt == 1;
    if (single && max_us > 0 && monotonic_us() - partition->failing_since_us >= max_us)
        return give_up(consumer, partition, e);
    if (max_us > 0)
        partition->attempt_max = (batch->attempt + 1) / 2;
    if (atomic_load(&consumer->assigned) > 1) {
        consumer_tell_error(consumer, e);
        if (!batch->isolating)
            delay_isolate(consumer);
        set_aside(consumer, partition);
        return true;
    }
    e->kind = ERROR_TRANSIENT; /* nobody else to go on: the batch is kept */
    return false;
}

static struct partition *next_due(struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *partition = &consumer->partition_table[i];
        if (partition->assigned && partition->delayed_until_us && monotonic_us() >= partition->delayed_until_us)
            return partition;
    }
    return NULL;
}

bool delay_resume(struct consumer *consumer, struct error *e)
{
    for (struct partition *partition; consumer->delayed > 0 && (partition = next_due(consumer));) {
        rd_kafka_topic_partition_list_t *list = list_of(consumer, partition);
        rd_kafka_error_t *error = rd_kafka_seek_partitions(consumer->rk, list, KAFKA_QUERY_MS);
        if (!error && list->elems[0].err)
            error = rd_kafka_error_new(list->elems[0].err, "%s", rd_kafka_err2str(list->elems[0].err));
        if (!error)
            rd_kafka_resume_partitions(consumer->rk, list);
        rd_kafka_topic_partition_list_destroy(list);
        if (error) {
            partition->delayed_until_us = monotonic_us() + consumer_backoff_us(partition->failures);
            kafka_error_take(error, "seek", e);
            e->kind = ERROR_TRANSIENT;
            return false;
        }
        partition->delayed_until_us = 0;
        partition->at_end = false;
        consumer->delayed--;
    }
    return true;
}

void delay_pause_again(struct consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++)
        if (consumer->partition_table[i].assigned && consumer->partition_table[i].delayed_until_us)
            pause_one(consumer, &consumer->partition_table[i]);
}
