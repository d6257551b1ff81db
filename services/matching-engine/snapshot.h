/* snapshot.h -- the state of a shard in a file, so that a start does not replay the whole log.
 *
 * A snapshot is taken between batches, after the commit: its offset is never past the committed one. File and offset
 * are one record: <topic>-<partition>-<next offset>.snapshot, written to a temporary name, fsynced, renamed, directory
 * fsynced. The last two are kept. The same state gives the same bytes.
 *
 * Format, version 1, little endian: "PSENGSNP", u32 version, u32 CRC-32C of what follows, u64 its length; then topic
 * and cluster id (u16 length, bytes), i32 partition, i64 next offset, u16 number of markets; each market: symbol, u32
 * market, base and quote id, i64 lot and notional unit, u32 maker and taker fee, u8 status, u64 seq, trade_id,
 * posting_seq, book_seq, i64 clock, last price, then for buys and sells: u64 number of orders, and each in trading
 * order: u64 order and user id, i64 price, filled, remaining. */
#pragma once

#include "engine_core.h"

#include <event_bus/error.h>

enum { SNAPSHOTS_KEPT = 2 };

/* What a snapshot is of. One that names another topic, partition or cluster is not used. */
struct snapshot_identity {
    const char *directory;
    const char *topic; /* full */
    const char *cluster_id;
    int32_t partition;
};

/* Writes one and removes all but the newest SNAPSHOTS_KEPT. *ret_size: bytes of the file. Errors: TRANSIENT (disk). */
MUST_CHECK bool snapshot_write(const struct snapshot_identity *identity, const struct engine *engine,
    int64_t next_offset, size_t *ret_size, struct error *e);

/* A new engine with the newest usable snapshot's state, or an empty one and offset 0. What cannot be used (corrupt,
 * cut, of another cluster, beyond committed_offset: the log was made anew) is set aside as *.refused, and `note` is
 * told why, once each. Errors: TRANSIENT (directory), FATAL (no memory, or the state does not fit the configured
 * limits). */
MUST_CHECK bool snapshot_load(const struct snapshot_identity *identity, int64_t committed_offset,
    const struct engine_options *options, void (*note)(const char *line), struct engine **ret_engine,
    int64_t *ret_next_offset, struct error *e);

/* The same on bytes, without files: for tests and fuzzers. The text is the caller's (xfree). */
void snapshot_encode(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    char **ret_data, size_t *ret_size);
/* `engine` is new. Errors: INVALID (not a snapshot of this identity, or damaged); FATAL (limits). */
MUST_CHECK bool snapshot_decode(const struct snapshot_identity *identity, struct bytes data, struct engine *engine,
    int64_t *ret_next_offset, struct error *e);
