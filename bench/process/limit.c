/* penstock-engine-limit [COMMANDS] -- the limit of what penstock-matching-engine can publish: reads the first COMMANDS
 * (all) of orders.accepted.v1, matches them and encodes all that follows; then, with the clock running, does nothing
 * but publish that as the engine does: a transactional producer a partition, in transactions of as many commands, the
 * input's offset with them. Prints one JSON object. KAFKA_BROKERS and TOPIC_PREFIX from the environment; no engine may
 * be running. */
#include "commands.h"
#include "outputs.h"
#include "publisher.h"
#include "shard.h"

#include <event_bus/kafka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define TOPIC "orders.accepted.v1"

enum { PARTITIONS_MAX = 64, POLL_MS = 5000, METADATA_MS = 10000 };

/* What one transaction of the engine would publish. */
struct batch {
    struct outputs *outputs;
    int64_t next_offset;
    struct batch *next;
};

struct partition {
    struct limit *limit;
    int32_t number;
    struct engine *engine;
    struct outputs *outputs; /* of the batch at hand; where the engine's records go */
    size_t in_batch;
    struct batch *first, **last;
    struct publisher *publisher;
    pthread_t thread;
};

struct limit {
    struct kafka_options kafka;
    char topic[KAFKA_TOPIC_MAX];
    rd_kafka_t *consumer;
    struct arena *scratch;
    uint64_t commands, commands_max, events;
    size_t partitions_count, ended;
    struct partition partitions[PARTITIONS_MAX];
};

static void must(bool fine, const struct error *e)
{
    if (fine)
        return;
    fprintf(stderr, "penstock-engine-limit: %s\n", e->message);
    exit(1);
}

static void open_consumer(struct limit *limit)
{
    char group[KAFKA_TOPIC_MAX], why[128];
    struct error e = { 0 };
    rd_kafka_conf_t *conf;

    limit->kafka = (struct kafka_options){
        .brokers = getenv("KAFKA_BROKERS"), .topic_prefix = getenv("TOPIC_PREFIX"), .client_id = "penstock-engine-limit"
    };
    must(kafka_topic_name(&limit->kafka, TOPIC, limit->topic, &e) &&
             kafka_topic_name(&limit->kafka, "engine-limit", group, &e) && kafka_conf(&limit->kafka, &conf, &e) &&
             kafka_conf_set(conf, "group.id", group, &e) && kafka_conf_set(conf, "enable.auto.commit", "false", &e) &&
             kafka_conf_set(conf, "enable.partition.eof", "true", &e),
        &e);
    limit->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    must(limit->consumer || error_set(&e, ERROR_INVALID, "%s", why), &e);
}

static void assign_all(struct limit *limit)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(limit->consumer, limit->topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(limit->consumer, 0, topic, &metadata, METADATA_MS);
    struct error e = { 0 };

    must(code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, limit->topic, &e), &e);
    must(
        metadata->topics[0].partition_cnt <= PARTITIONS_MAX || error_set(&e, ERROR_INVALID, "too many partitions"), &e);
    limit->partitions_count = (size_t)metadata->topics[0].partition_cnt;

    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);

    for (int32_t i = 0; i < metadata->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, limit->topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    code = rd_kafka_assign(limit->consumer, list);
    must(code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error(code, limit->topic, &e), &e);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
}

static void keep_records(void *context, const struct engine_record *first, size_t size)
{
    struct partition *partition = context;

    outputs_records(partition->outputs, first, size);
}

static void open_partition(struct limit *limit, int32_t number)
{
    struct partition *partition = &limit->partitions[number];
    struct engine_options options = {
        .orders_max = 4000000, .markets_max = 1024, .level3 = true, .drain = keep_records, .context = partition
    };

    partition->limit = limit;
    partition->number = number;
    partition->last = &partition->first;
    partition->engine = engine_new(&options);
}

/* ---- What there is to publish ---- */

static void close_batch(struct partition *partition, int64_t next_offset)
{
    if (!partition->outputs)
        return;

    struct batch *batch = xmalloc(sizeof *batch);

    *batch = (struct batch){ TAKE(partition->outputs), next_offset, NULL };
    partition->limit->events += outputs_count(batch->outputs);
    partition->in_batch = 0;
    *partition->last = batch;
    partition->last = &batch->next;
}

static void apply(struct limit *limit, const rd_kafka_message_t *message)
{
    struct partition *partition = &limit->partitions[message->partition];
    struct event event;
    struct error e = { 0 };

    if (!partition->outputs) {
        partition->outputs = outputs_new();
        outputs_set_engine(partition->outputs, partition->engine);
    }
    must(event_parse(message, TOPIC, &event, &e), &e);
    outputs_begin_command(partition->outputs, event.traceparent);
    must(commands_apply(partition->engine, limit->scratch, &event, &e), &e);
    engine_flush(partition->engine);
    limit->commands++;
    if (++partition->in_batch == SHARD_BATCH_MAX)
        close_batch(partition, message->offset + 1);
}

static void read_log(struct limit *limit)
{
    struct error e = { 0 };

    while (limit->ended < limit->partitions_count && limit->commands < limit->commands_max) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(limit->consumer, POLL_MS);

        must(message || error_set(&e, ERROR_TRANSIENT, "the log cannot be read"), &e);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            limit->ended++;
        else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            apply(limit, message);
        rd_kafka_message_destroy(message);
    }
    for (size_t i = 0; i < limit->partitions_count; i++)
        close_batch(&limit->partitions[i], 1); /* any offset: nobody reads it */
}

/* ---- Publishing ---- */

static void *publish(void *context)
{
    struct partition *partition = context;
    struct publisher_times times;
    struct error e = { 0 };
    atomic_bool stop = false;

    for (const struct batch *batch = partition->first; batch; batch = batch->next)
        must(publisher_commit(partition->publisher, partition->limit->consumer, batch->outputs, batch->next_offset,
                 &stop, &times, &e),
            &e);
    return NULL;
}

static double cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    struct limit *limit = xcalloc(1, sizeof *limit);
    struct error e = { 0 };
    atomic_bool stop = false;

    limit->commands_max = argc > 1 ? strtoull(argv[1], NULL, 10) : UINT64_MAX;
    limit->scratch = arena_new();
    open_consumer(limit);
    assign_all(limit);
    for (size_t i = 0; i < limit->partitions_count; i++)
        open_partition(limit, (int32_t)i);
    read_log(limit);
    rd_kafka_assign(limit->consumer, NULL);
    for (size_t i = 0; i < limit->partitions_count; i++)
        must(publisher_open(&limit->kafka, TOPIC, (int32_t)i, &stop, &limit->partitions[i].publisher, &e), &e);

    int64_t began_us = monotonic_us();
    double began_cpu_s = cpu_s();

    for (size_t i = 0; i < limit->partitions_count; i++)
        must(pthread_create(&limit->partitions[i].thread, NULL, publish, &limit->partitions[i]) == 0, &e);
    for (size_t i = 0; i < limit->partitions_count; i++)
        pthread_join(limit->partitions[i].thread, NULL);

    double seconds = (double)(monotonic_us() - began_us) / 1e6;

    printf("{\"commands\":%lu,\"events\":%lu,\"seconds\":%.3f,\"commands_per_second\":%.0f,\"events_per_second\":%.0f,"
           "\"cpu_seconds\":%.2f}\n",
        limit->commands, limit->events, seconds, (double)limit->commands / seconds, (double)limit->events / seconds,
        cpu_s() - began_cpu_s);
    for (size_t i = 0; i < limit->partitions_count; i++)
        publisher_free(limit->partitions[i].publisher);
    return 0; /* what was encoded goes with the process */
}
