#include "publisher.h"

#include <stdio.h>
#include <unistd.h>

enum {
    CALL_TIMEOUT_MS = 10 * 1000,         /* one call; what it began is taken up again by the next */
    OPEN_TIMEOUT_US = 240 * 1000 * 1000, /* less than max.poll.interval.ms: the group waits for it */
    QUEUE_FULL_POLL_MS = 20,
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 2000,
};

struct publisher {
    rd_kafka_t *rk;
    char input_topic[KAFKA_TOPIC_MAX];
    int32_t partition;
    rd_kafka_topic_t *topics[OUTPUT_TOPICS];
};

static bool init_transactions(struct publisher *publisher, const atomic_bool *stop, struct error *e)
{
    int64_t give_up_us = monotonic_us() + OPEN_TIMEOUT_US;

    for (;;) {
        switch (kafka_react(rd_kafka_init_transactions(publisher->rk, CALL_TIMEOUT_MS), "init transactions", e)) {
        case KAFKA_DONE:
            return true;
        case KAFKA_AGAIN:
            if (atomic_load(stop) || monotonic_us() > give_up_us)
                return false;
            break;
        case KAFKA_ABORT:
        case KAFKA_GIVE_UP:
            return false;
        }
    }
}

bool publisher_open(const struct kafka_options *options, const char *bare_topic, int32_t partition,
    const atomic_bool *stop, struct publisher **ret_publisher, struct error *e)
{
    CLEANUP(publisher_free) struct publisher *publisher = xcalloc(1, sizeof *publisher);
    /* Large batches: the commit flushes, and waits for nobody. */
    static const char *const settings[] = { "linger.ms", "50", "compression.type", "lz4", NULL };
    char id[KAFKA_TOPIC_MAX], name[KAFKA_TOPIC_MAX];

    snprintf(id, sizeof id, "engine-%s-%d", bare_topic, partition);
    publisher->partition = partition;
    if (!kafka_topic_name(options, bare_topic, publisher->input_topic, e) ||
        !kafka_transactional_producer(options, id, settings, &publisher->rk, e))
        return false;
    for (size_t i = 0; i < OUTPUT_TOPICS; i++) {
        if (!kafka_topic_name(options, output_topic_names[i], name, e))
            return false;
        publisher->topics[i] = rd_kafka_topic_new(publisher->rk, name, NULL);
        if (!publisher->topics[i])
            return kafka_error(rd_kafka_last_error(), name, e);
    }
    if (!init_transactions(publisher, stop, e))
        return false;
    *ret_publisher = TAKE(publisher);
    return true;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    for (size_t i = 0; i < OUTPUT_TOPICS; i++)
        if (publisher->topics[i])
            rd_kafka_topic_destroy(publisher->topics[i]);
    if (publisher->rk) {
        rd_kafka_purge(publisher->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_poll(publisher->rk, 0);
        rd_kafka_destroy(publisher->rk);
    }
    xfree(publisher);
}

/* Blocks while librdkafka's queue is full: it drains to the broker inside the transaction. */
static bool produce(struct publisher *publisher, const struct output *output, struct error *e)
{
    rd_kafka_headers_t *headers = output_headers(output);
    rd_kafka_resp_err_t code;

    do {
        code = rd_kafka_producev(publisher->rk, RD_KAFKA_V_RKT(publisher->topics[output->topic]),
            RD_KAFKA_V_KEY(output->event.key.data, output->event.key.len),
            RD_KAFKA_V_VALUE((void *)output->event.value.data, output->event.value.len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(publisher->rk, QUEUE_FULL_POLL_MS);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rd_kafka_headers_destroy(headers);
    return kafka_error(code, output_topic_names[output->topic], e);
}

/* A produce call that fails inside a transaction (but for a fatal error) is settled by aborting. */
static enum kafka_reaction produce_all(struct publisher *publisher, const struct outputs *outputs, struct error *e)
{
    for (size_t i = 0; i < outputs_count(outputs); i++) {
        if (produce(publisher, outputs_at(outputs, i), e))
            continue;
        if (e->kind == ERROR_INVALID)
            e->kind = ERROR_FATAL; /* the same bytes would be refused again */
        return e->kind == ERROR_TRANSIENT ? KAFKA_ABORT : KAFKA_GIVE_UP;
    }
    rd_kafka_poll(publisher->rk, 0);
    return KAFKA_DONE;
}

/* While the broker is away a call is repeated; a stop ends that. */
static bool goes_on(enum kafka_reaction reaction, const atomic_bool *stop)
{
    return reaction == KAFKA_AGAIN && !atomic_load(stop);
}

static enum kafka_reaction send_offset(
    struct publisher *publisher, rd_kafka_t *consumer, int64_t next_offset, const atomic_bool *stop, struct error *e)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata(consumer);
    enum kafka_reaction reaction;

    rd_kafka_topic_partition_list_add(offsets, publisher->input_topic, publisher->partition)->offset = next_offset;
    do
        reaction = kafka_react(
            rd_kafka_send_offsets_to_transaction(publisher->rk, offsets, member, CALL_TIMEOUT_MS), "send offsets", e);
    while (goes_on(reaction, stop));
    rd_kafka_consumer_group_metadata_destroy(member);
    rd_kafka_topic_partition_list_destroy(offsets);
    return reaction;
}

static enum kafka_reaction attempt(struct publisher *publisher, rd_kafka_t *consumer, const struct outputs *outputs,
    int64_t next_offset, const atomic_bool *stop, struct publisher_times *ret_times, struct error *e)
{
    int64_t began_us = monotonic_us(), produced_us;
    enum kafka_reaction reaction = kafka_react(rd_kafka_begin_transaction(publisher->rk), "begin transaction", e);

    if (reaction != KAFKA_DONE)
        return reaction;
    reaction = produce_all(publisher, outputs, e);
    if (reaction != KAFKA_DONE)
        return reaction;
    produced_us = monotonic_us();
    crash_point("engine.produced");
    reaction = send_offset(publisher, consumer, next_offset, stop, e);
    if (reaction != KAFKA_DONE)
        return reaction;
    crash_point("engine.offsets_sent");
    /* A commit that timed out is resumed, never aborted: the broker may have it already. */
    do
        reaction = kafka_react(rd_kafka_commit_transaction(publisher->rk, CALL_TIMEOUT_MS), "commit transaction", e);
    while (goes_on(reaction, stop));
    if (reaction == KAFKA_DONE)
        crash_point("engine.committed");
    *ret_times = (struct publisher_times){ produced_us - began_us, monotonic_us() - produced_us };
    return reaction;
}

static bool abort_transaction(struct publisher *publisher, const atomic_bool *stop, struct error *e)
{
    enum kafka_reaction reaction;

    do
        reaction = kafka_react(rd_kafka_abort_transaction(publisher->rk, CALL_TIMEOUT_MS), "abort transaction", e);
    while (goes_on(reaction, stop));
    return reaction == KAFKA_DONE;
}

bool publisher_commit(struct publisher *publisher, rd_kafka_t *consumer, const struct outputs *outputs,
    int64_t next_offset, const atomic_bool *stop, struct publisher_times *ret_times, struct error *e)
{
    useconds_t backoff_ms = BACKOFF_MIN_MS;

    for (;;) {
        switch (attempt(publisher, consumer, outputs, next_offset, stop, ret_times, e)) {
        case KAFKA_DONE:
            return true;
        case KAFKA_ABORT:
            if (!abort_transaction(publisher, stop, e)) {
                e->kind = atomic_load(stop) ? ERROR_TRANSIENT : ERROR_FATAL;
                return false;
            }
            break;
        case KAFKA_AGAIN:
            e->kind = ERROR_TRANSIENT;
            return false;
        case KAFKA_GIVE_UP:
            e->kind = ERROR_FATAL;
            return false;
        }
        if (atomic_load(stop)) {
            e->kind = ERROR_TRANSIENT;
            return false;
        }
        usleep(backoff_ms * 1000);
        backoff_ms = backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff_ms * 2;
    }
}
