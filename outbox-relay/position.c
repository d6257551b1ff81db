#include "position.h"

#include "bus_v1.pb-c.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* Reads one xid at *cursor and moves past it. 0 is no xid. */
static bool read_xid(const char **cursor, uint64_t *ret_xid)
{
    uint64_t xid = 0;

    if (!isdigit((unsigned char)**cursor))
        return false;
    for (; isdigit((unsigned char)**cursor); (*cursor)++)
        if (__builtin_mul_overflow(xid, 10, &xid) || __builtin_add_overflow(xid, (uint64_t)(**cursor - '0'), &xid))
            return false;
    *ret_xid = xid;
    return xid > 0;
}

static bool read_xip(const char *cursor, struct snapshot *snapshot)
{
    size_t capacity = 0;

    while (*cursor) {
        uint64_t xid;

        if (snapshot->xip_count > 0 && *cursor++ != ',')
            return false;
        if (!read_xid(&cursor, &xid) || xid < snapshot->xmin || xid >= snapshot->xmax)
            return false;
        if (snapshot->xip_count > 0 && xid <= snapshot->xip[snapshot->xip_count - 1])
            return false;
        if (snapshot->xip_count == SNAPSHOT_XIP_MAX)
            return false;
        if (snapshot->xip_count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            snapshot->xip = xrealloc(snapshot->xip, capacity * sizeof *snapshot->xip);
        }
        snapshot->xip[snapshot->xip_count++] = xid;
    }
    return true;
}

bool snapshot_parse(const char *text, struct snapshot *ret_snapshot, struct error *e)
{
    struct snapshot snapshot = { 0 };
    const char *cursor = text;
    bool ok = strnlen(text, SNAPSHOT_TEXT_MAX) < SNAPSHOT_TEXT_MAX && read_xid(&cursor, &snapshot.xmin) &&
              *cursor++ == ':' && read_xid(&cursor, &snapshot.xmax) && snapshot.xmin <= snapshot.xmax &&
              *cursor++ == ':' && read_xip(cursor, &snapshot);

    if (!ok) {
        snapshot_release(&snapshot);
        return error_set(e, ERROR_INVALID, "not a pg_snapshot: \"%.60s\"", text);
    }
    snapshot.text = xstrdup(text);
    *ret_snapshot = snapshot;
    return true;
}

void snapshot_empty(struct snapshot *ret_snapshot)
{
    *ret_snapshot = (struct snapshot){ .text = xstrdup("1:1:"), .xmin = 1, .xmax = 1 };
}

void snapshot_copy(const struct snapshot *from, struct snapshot *ret_snapshot)
{
    *ret_snapshot = *from;
    ret_snapshot->text = xstrdup(from->text);
    ret_snapshot->xip = NULL;
    if (from->xip_count > 0) {
        ret_snapshot->xip = xmalloc(from->xip_count * sizeof *from->xip);
        memcpy(ret_snapshot->xip, from->xip, from->xip_count * sizeof *from->xip);
    }
}

void snapshot_release(struct snapshot *snapshot)
{
    xfree(snapshot->text);
    xfree(snapshot->xip);
    memset(snapshot, 0, sizeof *snapshot);
}

bool snapshot_equal(const struct snapshot *a, const struct snapshot *b)
{
    return strcmp(a->text, b->text) == 0;
}

static int compare_xids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

bool snapshot_sees(const struct snapshot *snapshot, uint64_t xid)
{
    if (xid < snapshot->xmin)
        return true;
    if (xid >= snapshot->xmax || snapshot->xip_count == 0)
        return xid < snapshot->xmax;
    return !bsearch(&xid, snapshot->xip, snapshot->xip_count, sizeof xid, compare_xids);
}

void position_init(struct position *ret_position)
{
    *ret_position = (struct position){ 0 };
    snapshot_empty(&ret_position->before);
    snapshot_empty(&ret_position->now);
}

void position_release(struct position *position)
{
    snapshot_release(&position->before);
    snapshot_release(&position->now);
    memset(position, 0, sizeof *position);
}

static void snapshot_assign(const struct snapshot *from, struct snapshot *to)
{
    if (to->text && snapshot_equal(from, to))
        return;
    snapshot_release(to);
    snapshot_copy(from, to);
}

void position_copy(const struct position *from, struct position *to)
{
    snapshot_assign(&from->before, &to->before);
    snapshot_assign(&from->now, &to->now);
    to->last_id = from->last_id;
    to->published_rows = from->published_rows;
    to->system_identifier = from->system_identifier;
    to->timeline = from->timeline;
    to->commit_lsn = from->commit_lsn;
    to->commit_index = from->commit_index;
    to->log_lsn = from->log_lsn;
    to->redrive = from->redrive;
    to->redrive_place = from->redrive_place;
    to->replay = from->replay;
    to->replay_id = from->replay_id;
}

void position_begin_round(struct position *position, struct snapshot *now)
{
    snapshot_release(&position->now);
    position->now = *now;
    position->last_id = 0;
    memset(now, 0, sizeof *now);
}

void position_finish_round(struct position *position)
{
    snapshot_assign(&position->now, &position->before);
    position->last_id = 0;
}

bool position_in_round(const struct position *position)
{
    return !snapshot_equal(&position->before, &position->now);
}

void position_encode(
    const struct position *position, const char *source, int64_t at_us, void **ret_data, size_t *ret_len)
{
    Penstock__Bus__V1__OutboxPosition message = PENSTOCK__BUS__V1__OUTBOX_POSITION__INIT;

    message.source = (char *)(uintptr_t)source; /* protobuf-c has no const; packing only reads */
    message.before = position->before.text;
    message.now = position->now.text;
    message.last_id = position->last_id;
    message.published_rows = position->published_rows;
    message.system_identifier = position->system_identifier;
    message.timeline = position->timeline;
    message.commit_lsn = position->commit_lsn;
    message.commit_index = position->commit_index;
    message.log_lsn = position->log_lsn;
    message.redrive = position->redrive;
    message.redrive_place = position->redrive_place;
    message.replay = position->replay;
    message.replay_id = position->replay_id;
    message.at_us = at_us;

    *ret_len = penstock__bus__v1__outbox_position__get_packed_size(&message);
    *ret_data = xmalloc(*ret_len + 1);
    penstock__bus__v1__outbox_position__pack(&message, *ret_data);
}

static void position_message_free(Penstock__Bus__V1__OutboxPosition *message)
{
    penstock__bus__v1__outbox_position__free_unpacked(message, NULL);
}
DEFINE_CLEANUP(Penstock__Bus__V1__OutboxPosition *, position_message_free)

bool position_decode(struct bytes data, const char *source, struct position *ret_position, struct error *e)
{
    CLEANUP(position_message_free)
    Penstock__Bus__V1__OutboxPosition *message = penstock__bus__v1__outbox_position__unpack(NULL, data.len, data.data);
    struct position position = { 0 };

    if (!message)
        return error_set(e, ERROR_INVALID, "the stored position of source %s is not an OutboxPosition", source);
    if (strcmp(message->source, source) != 0)
        return error_set(
            e, ERROR_INVALID, "the stored position of source %s says it is of \"%.40s\"", source, message->source);
    if (!snapshot_parse(message->before, &position.before, e) || !snapshot_parse(message->now, &position.now, e)) {
        position_release(&position);
        return false;
    }
    position.last_id = message->last_id;
    position.published_rows = message->published_rows;
    position.system_identifier = message->system_identifier;
    position.timeline = message->timeline;
    position.commit_lsn = message->commit_lsn;
    position.commit_index = message->commit_index;
    position.log_lsn = message->log_lsn;
    position.redrive = message->redrive;
    position.redrive_place = message->redrive_place;
    position.replay = message->replay;
    position.replay_id = message->replay_id;
    *ret_position = position;
    return true;
}

bool position_check_database(const struct position *position, uint64_t system_identifier, uint32_t timeline,
    const struct snapshot *present, struct error *e)
{
    if (position->system_identifier && position->system_identifier != system_identifier)
        return error_set(e, ERROR_FATAL,
            "the stored position is of another Postgres (system identifier %" PRIu64 ", this one is %" PRIu64
            "): wrong database under this source's name, or a new one",
            position->system_identifier, system_identifier);
    if (position->timeline > timeline)
        return error_set(e, ERROR_FATAL,
            "the stored position is of timeline %" PRIu32 ", this Postgres is on the older timeline %" PRIu32
            ": a former primary, or a restored backup",
            position->timeline, timeline);
    if (position->now.xmax > present->xmax)
        return error_set(e, ERROR_FATAL,
            "the stored position has seen transaction %" PRIu64 ", this Postgres has come only to %" PRIu64
            ": it has lost transactions (restored backup, failover to a lagging standby)",
            position->now.xmax - 1, present->xmax - 1);
    return true;
}
