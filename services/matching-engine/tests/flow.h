/* flow.h -- a command log for the engine process: generated from a seed, fed to Kafka as the relay does (in
 * transactions, some of them aborted), what must come out of it computed in this process, and what did come out read
 * back. */
#pragma once

#include <event_bus/event.h>
#include <event_bus/kafka.h>

enum { FLOW_PARTITIONS_MAX = 16 };

struct flow;

/* The topics with this prefix exist. Both live until the test's process ends. */
struct flow *flow_new(const char *brokers, const char *topic_prefix);

/* Appends to the log in memory. */
void flow_add(struct flow *flow, const char *key, const ProtobufCMessage *message);
void flow_add_raw(struct flow *flow, const char *key, const char *type, struct bytes value);
void flow_add_market(struct flow *flow, const char *symbol, uint32_t market_id);
/* side: "buy" or "sell"; flags: "", "ioc", "fok", "post" */
void flow_add_order(struct flow *flow, const char *symbol, uint64_t order_id, uint64_t user_id, const char *side,
    int64_t quantity_lots, int64_t price_ticks, const char *flags);
void flow_add_cancel(struct flow *flow, const char *symbol, uint64_t order_id, uint64_t user_id);
/* Six markets, then `count` random orders and cancels. */
void flow_add_random(struct flow *flow, uint64_t seed, size_t count);
size_t flow_count(const struct flow *flow);
size_t flow_fed(const struct flow *flow); /* how many of them were published */

/* Publishes commands from … to - 1 to orders.accepted.v1. */
void flow_feed(struct flow *flow, size_t from, size_t to);

/* Waits until the engine has committed all that was fed. Fails after timeout_ms. */
void flow_wait_drained(struct flow *flow, uint32_t timeout_ms);

/* The engine's committed offsets by partition, 0 where there is none: what it has answered, though later transactions
 * be open. */
void flow_committed(struct flow *flow, int64_t ret_offsets[FLOW_PARTITIONS_MAX]);

/* Fails unless the committed records of trades, order events, postings and book changes are, per key and symbol, byte
 * for byte those that the core gives for the commands fed so far. Returns how many. */
size_t flow_check_outputs(struct flow *flow);

/* One committed record a line, in its partition's order: "ce_id key json-of-the-value". The caller's (xfree). */
char *flow_read_topic(struct flow *flow, const char *topic);

/* Headers of the records of a topic, "name=value name=value …", one record a line. The caller's (xfree). */
char *flow_read_headers(struct flow *flow, const char *topic);
