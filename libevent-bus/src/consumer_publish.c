/* consumer_publish.c -- a consumer into Kafka: what the handler put into the outbox and the offsets of its inputs go in
 * one Kafka transaction.
 *
 * What was encoded is kept until it is committed: an abort is followed by the same bytes, the handler is not asked
 * again. A member that lost its partitions without knowing (it was paused) is found out by the group's generation,
 * which goes with the offsets: its transaction is aborted and its batch dropped. Two with the same transactional id:
 * the older one is fenced, and ends. */
#include "consumer_private.h"
#include "outbox_private.h"
#include "text.h"

#include <stdio.h>
#include <unistd.h>

enum {
    CALL_TIMEOUT_MS = 10000, /* one call; what it began is taken up again by the next */
    OPEN_TIMEOUT_US = 60 * 1000 * 1000,
    QUEUE_FULL_POLL_MS = 20,
};

bool publish_open(struct consumer *consumer, struct error *e)
{
    static const char *const settings[] = { "linger.ms", "1", NULL };
    int64_t give_up_us = monotonic_us() + OPEN_TIMEOUT_US;
    if (!kafka_transactional_producer(
            &consumer->options->kafka, consumer->options->transactional_id, settings, &consumer->producer, e))
        return false;
    for (;;) {
        enum kafka_reaction reaction =
            kafka_react(rd_kafka_init_transactions(consumer->producer, CALL_TIMEOUT_MS), "init transactions", e);
        if (reaction == KAFKA_DONE)
            return true;
        if (reaction != KAFKA_AGAIN || monotonic_us() > give_up_us)
            return false;
    }
}

void publish_close(struct consumer *consumer)
{
    if (!consumer->producer)
        return;
    rd_kafka_purge(consumer->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_poll(consumer->producer, 0);
    consumer_destroy_handle(consumer->producer);
}

/* ---- One transaction ---- */

/* Where an event without a database gets its id from: the first input of its batch, of which only one is committed. */
static void make_id(const struct consumer *consumer, size_t row, char ret_id[EVENT_ID_MAX])
{
    const struct item *first = &consumer->batch.items[consumer->batch.done];
    snprintf(ret_id, EVENT_ID_MAX, "%.40s-%.40s-%d-%lld-%zu", consumer->options->group,
        consumer->options->topics[first->partition->topic], first->partition->number, (long long)first->message->offset,
        row);
}

static void subject_of(struct bytes key, char ret_subject[EVENT_SUBJECT_MAX])
{
    ret_subject[0] = '\0';
    if (!key.data || key.len >= EVENT_SUBJECT_MAX || !text_is_clean(key.data, key.len))
        return;
    memcpy(ret_subject, key.data, key.len);
    ret_subject[key.len] = '\0';
}

static bool produce_row(struct consumer *consumer, size_t i, struct error *e)
{
    struct outbox_row row = outbox_at(consumer->outbox, i);
    char id[EVENT_ID_MAX], subject[EVENT_SUBJECT_MAX], topic[KAFKA_TOPIC_MAX];
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t code;
    make_id(consumer, i, id);
    subject_of(row.key, subject);
    const struct event event = { .id = id,
        .source = consumer->options->source,
        .type = row.type,
        .subject = subject,
        .traceparent = row.traceparent,
        .time_us = consumer->encoded_us };
    if (!kafka_topic_name(&consumer->options->kafka, row.topic, topic, e) || !event_headers(&event, &headers, e))
        return false;
    for (const char *const *header = row.headers; header && header[0]; header += 2)
        rd_kafka_header_add(headers, header[0], -1, header[1], -1);
    do {
        code = rd_kafka_producev(consumer->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(row.key.data, row.key.len),
            RD_KAFKA_V_VALUE((void *)row.payload.data, row.payload.len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(consumer->producer, QUEUE_FULL_POLL_MS);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rd_kafka_headers_destroy(headers);
    return kafka_error(code, topic, e);
}

static bool goes_on(struct consumer *consumer, enum kafka_reaction reaction)
{
    return reaction == KAFKA_AGAIN && !atomic_load(&consumer->stopping);
}

static enum kafka_reaction send_offsets(struct consumer *consumer, struct error *e)
{
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(8);
    rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata(consumer->rk);
    enum kafka_reaction reaction;
    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct partition *partition = &consumer->partition_table[i];
        if (partition->assigned && partition->attempted >= 0)
            rd_kafka_topic_partition_list_add(offsets, consumer->topic_names[partition->topic], partition->number)
                ->offset = partition->attempted;
    }
    do
        reaction =
            kafka_react(rd_kafka_send_offsets_to_transaction(consumer->producer, offsets, member, CALL_TIMEOUT_MS),
                "send offsets", e);
    while (goes_on(consumer, reaction));
    rd_kafka_consumer_group_metadata_destroy(member);
    rd_kafka_topic_partition_list_destroy(offsets);
    return reaction;
}

static enum kafka_reaction attempt(struct consumer *consumer, struct error *e)
{
    enum kafka_reaction reaction = kafka_react(rd_kafka_begin_transaction(consumer->producer), "begin transaction", e);
    if (reaction != KAFKA_DONE)
        return reaction;
    for (size_t i = 0; i < outbox_count(consumer->outbox); i++)
        if (!produce_row(consumer, i, e))
            return error_is(e, ERROR_FATAL) ? KAFKA_GIVE_UP : KAFKA_ABORT;
    rd_kafka_poll(consumer->producer, 0);
    crash_point("publish.produced");
    reaction = send_offsets(consumer, e);
    if (reaction != KAFKA_DONE)
        return reaction;
    crash_point("publish.offsets_sent");
    /* A commit that timed out is resumed, never aborted: the broker may have it already. */
    do
        reaction =
            kafka_react(rd_kafka_commit_transaction(consumer->producer, CALL_TIMEOUT_MS), "commit transaction", e);
    while (goes_on(consumer, reaction));
    if (reaction == KAFKA_DONE)
        crash_point("publish.committed");
    return reaction;
}

bool publish_batch(struct consumer *consumer, struct error *e)
{
    struct error why = { 0 };
    enum kafka_reaction reaction = attempt(consumer, e), aborted;
    if (reaction == KAFKA_DONE)
        return true;
    if (reaction == KAFKA_GIVE_UP)
        e->kind = ERROR_FATAL;
    if (reaction != KAFKA_ABORT)
        return false; /* AGAIN: it is stopping */
    do
        aborted =
            kafka_react(rd_kafka_abort_transaction(consumer->producer, CALL_TIMEOUT_MS), "abort transaction", &why);
    while (goes_on(consumer, aborted));
    if (aborted != KAFKA_DONE) {
        *e = why;
        e->kind = ERROR_FATAL;
    }
    return false;
}

/* ---- Where it stands ---- */

bool publish_positions(struct consumer *consumer, struct error *e)
{
    rd_kafka_topic_partition_list_t *list = position_list(consumer);
    rd_kafka_resp_err_t code = rd_kafka_committed(consumer->rk, list, KAFKA_QUERY_MS);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *found = &list->elems[i];
        code = found->err;
        position_find(consumer, found->topic, found->partition)->next_offset = found->offset >= 0 ? found->offset : -1;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    kafka_error(code, "committed offsets", e);
    e->kind = error_is(e, ERROR_DENIED) ? ERROR_FATAL : ERROR_TRANSIENT;
    return false;
}
