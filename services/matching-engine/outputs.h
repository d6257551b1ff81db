/* outputs.h -- one batch of outgoing events, encoded. From the core's records straight to the wire's bytes; they stay
 * until the batch is committed, so that an aborted Kafka transaction is repeated with the same ones. One thread.
 *
 * Everything in an event follows from the command log alone: ce_id is
 * <symbol>-<trades|events|postings|book|orders>-<n>, ce_time the engine's time, traceparent the command's own. Events
 * of one command go out in the order of their seq. */
#pragma once

#include "engine_core.h"

#include <event_bus/event.h>

enum output_topic {
    OUTPUT_TRADES,
    OUTPUT_EVENTS,
    OUTPUT_POSTINGS,
    OUTPUT_BOOK,
    OUTPUT_ORDERS,
    OUTPUT_DEAD,
    OUTPUT_TOPICS,
};

extern const char *const output_topic_names[OUTPUT_TOPICS]; /* bare */

struct output {
    enum output_topic topic;
    struct event event;          /* key, value and attributes; all in the batch's memory */
    const char *time;            /* event.time_us as text; "" if 0 */
    rd_kafka_headers_t *headers; /* dead letters: complete; otherwise NULL and made from the event */
};

struct outputs;

struct outputs *outputs_new(void);
void outputs_free(struct outputs *outputs); /* NULL is fine */
DEFINE_CLEANUP(struct outputs *, outputs_free)

void outputs_clear(struct outputs *outputs);
void outputs_abandon(struct outputs *outputs); /* also what a command has half said: its engine is dropped */
size_t outputs_count(const struct outputs *outputs);
size_t outputs_bytes(const struct outputs *outputs); /* of values, about */
const struct output *outputs_at(const struct outputs *outputs, size_t index);

/* The headers of one: those of event_headers(), without its checks (what is in them was checked when it came in). The
 * caller's, until a produce call takes them. */
rd_kafka_headers_t *output_headers(const struct output *output);

/* The engine whose records come, and whether they are dropped (a replay of what was published before). */
void outputs_set_engine(struct outputs *outputs, const struct engine *engine);
void outputs_set_muted(struct outputs *outputs, bool muted);

/* The command whose records come next; traceparent is copied. Each command is flushed before the next is applied. */
void outputs_begin_command(struct outputs *outputs, const char *traceparent);

/* `drain` of engine_options, with the outputs as context. */
void outputs_records(void *outputs, const struct engine_record *first, size_t size);

/* A consumed message that was refused: as it came, plus dlq_* headers. Nothing while muted. */
void outputs_dead_letter(
    struct outputs *outputs, const rd_kafka_message_t *message, const char *bare_topic, const struct error *why);

/* Totals since outputs_new(), for metrics. */
struct outputs_stats {
    uint64_t fills, dead_letters;
};
void outputs_get_stats(const struct outputs *outputs, struct outputs_stats *ret_stats);
