/* snapshot.h -- snapshots as files, so that a start does not replay the whole log. What is in one: snapshot_format.h.
 *
 * A snapshot is taken between batches, after the commit: its offset is never past the committed one. File and offset
 * are one record: <topic>-<partition>-<next offset>.snapshot, written to a temporary name, fsynced, renamed, directory
 * fsynced. The last two are kept. The same state gives the same bytes.
 *
 * The owner's thread stops only for a fork(): the child sees the state as it was then and writes it, while the parent
 * goes on. The child does nothing but system calls: other threads' locks may be held for ever in it. */
#pragma once

#include "snapshot_format.h"

#include <sys/types.h>

enum { SNAPSHOTS_KEPT = 2 };

/* A snapshot under way. One at a time for each partition. */
struct snapshot_child;

/* Forks. Errors: TRANSIENT (directory, no process). */
MUST_CHECK bool snapshot_begin(const struct snapshot_identity *identity, const struct engine *engine,
    int64_t next_offset, struct snapshot_child **ret_child, struct error *e);
void snapshot_child_free(struct snapshot_child *child); /* ends one that still writes; NULL is fine */
DEFINE_CLEANUP(struct snapshot_child *, snapshot_child_free)

enum snapshot_progress { SNAPSHOT_RUNNING, SNAPSHOT_WRITTEN, SNAPSHOT_FAILED };

/* Looks, or waits for the end. *e is set when it has FAILED: TRANSIENT. */
enum snapshot_progress snapshot_look(struct snapshot_child *child, bool wait, struct error *e);

struct snapshot_result {
    int64_t next_offset;
    size_t size;          /* bytes */
    int64_t pause_us;     /* how long the caller stood still in snapshot_begin() */
    int64_t pause_cpu_us; /* how much of it it had a core */
    int64_t took_us;      /* from begin to written */
};
void snapshot_get_result(const struct snapshot_child *child, struct snapshot_result *ret_result);

/* Both in one, waiting: for a stop, and for tests. Errors: as above. */
MUST_CHECK bool snapshot_write(const struct snapshot_identity *identity, const struct engine *engine,
    int64_t next_offset, struct snapshot_result *ret_result, struct error *e);

/* A new engine with the state of the newest usable snapshot up to committed_offset, or an empty one and offset 0. What
 * cannot be used (corrupt, cut, of another cluster) is set aside as *.refused, and `note` is told why, once each.
 * Errors: TRANSIENT (directory), FATAL (no memory, or the state does not fit the configured limits). */
MUST_CHECK bool snapshot_load(const struct snapshot_identity *identity, int64_t committed_offset,
    const struct engine_options *options, void (*note)(const char *line), struct engine **ret_engine,
    int64_t *ret_next_offset, struct error *e);

/* Sets aside those past the committed offset: the log was made anew. Only for the owner, whose committed offset is
 * final. Errors: TRANSIENT (directory). */
MUST_CHECK bool snapshot_refuse_newer(const struct snapshot_identity *identity, int64_t committed_offset,
    void (*note)(const char *line), struct error *e);
