/* snapshot_format.h -- the bytes of a snapshot: pure, no files. Written through a buffer that the caller brings, with
 * nothing but stores and the caller's sink, so that a forked child may do it.
 *
 * Little endian. Head: "PSENGSNP", u32 version, u32 CRC-32C of what follows, u64 its length. Then topic and cluster id
 * (u16 length, bytes), i32 partition, i64 next offset, u16 number of markets; then each market.
 *
 * Version 2. A market is its symbol, u32 market, base and quote id, i64 lot and notional unit, u32 maker and taker fee,
 * u8 status, u32 price band, i64 least and most price and its step, the same of quantity, least and most notional; u64
 * seq, trade_id, posting_seq, book_seq, orders_seq; i64 clock, last and reference price. Then five lists, each item led
 * by a byte that is not 0, the end a 0: resting buys and resting sells in trading order, waiting buys and sells in
 * triggering order, killed users (u64). An order's first byte is made of ORDER_… bits; then u64 order and user id, i64
 * price, filled, remaining, u16 quote set, u8 type, time in force, post-only, self-trade mode; with ORDER_VISIBLE i64
 * visible (otherwise: remaining, or 0 of a waiting one); with ORDER_MORE i64 stop price, quote amount, display, expiry,
 * u32 maker and taker fee, u8 whether it has fees.
 *
 * Version 1, still read. The same market without price band, limits, orders_seq and reference price; buys and sells:
 * u64 number of orders, and each: u64 order and user id, i64 price, filled, remaining. */
#pragma once

#include "engine_core.h"

#include <event_bus/error.h>

enum {
    SNAPSHOT_VERSION = 2, /* the one that is written */
    SNAPSHOT_VERSION_OLDEST = 1,
    SNAPSHOT_HEAD_SIZE = 8 + 4 + 4 + 8,
    SNAPSHOT_BUFFER_MIN = 4096,
};

/* What a snapshot is of. One that names another topic, partition or cluster is not used. */
struct snapshot_identity {
    const char *directory;
    const char *topic; /* full */
    const char *cluster_id;
    int32_t partition;
};

/* Where the bytes behind the head go. false ends the writing. */
struct snapshot_sink {
    bool (*write)(void *context, const void *data, size_t len);
    void *context;
};

/* Writes all but the head to the sink, in pieces of at most buffer_size, and the head to ret_head. false: the sink
 * said so. */
MUST_CHECK bool snapshot_format_write(const struct snapshot_identity *identity, const struct engine *engine,
    int64_t next_offset, struct snapshot_sink sink, unsigned char *buffer, size_t buffer_size,
    unsigned char ret_head[SNAPSHOT_HEAD_SIZE]);

/* `engine` is new. Errors: INVALID (not a snapshot of this identity, or damaged); FATAL (limits). */
MUST_CHECK bool snapshot_decode(const struct snapshot_identity *identity, struct bytes data, struct engine *engine,
    int64_t *ret_next_offset, struct error *e);

/* The whole in memory, for tests and fuzzers. The bytes are the caller's (xfree). */
void snapshot_encode(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    char **ret_data, size_t *ret_size);
