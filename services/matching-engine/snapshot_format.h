/* snapshot_format.h -- the bytes of a snapshot: pure, no files. Written through a buffer that the caller brings, with
 * nothing but stores and the caller's sink, so that a forked child may do it.
 *
 * Little endian. Head: "PSENGSNP", u32 version, u32 CRC-32C of what follows, u64 its length. Then topic and cluster id
 * (u16 length, bytes), i32 partition, i64 next offset, u16 number of markets; each market: symbol, u32 market, base and
 * quote id, i64 lot and notional unit, u32 maker and taker fee, u8 status, u64 seq, trade_id, posting_seq, book_seq,
 * i64 clock, last price, then for buys and sells: u64 number of orders, and each in trading order: u64 order and user
 * id, i64 price, filled, remaining. */
#pragma once

#include "engine_core.h"

#include <event_bus/error.h>

enum {
    SNAPSHOT_VERSION = 1,
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
