#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC  "PSENGSNP"
#define SUFFIX ".snapshot"

enum {
    VERSION = 1,
    HEAD_SIZE = 8 + 4 + 4 + 8,
    PATH_LEN_MAX = 4096,
    FILES_MAX = 64,
    TEXT_LEN_MAX = 1024,
};

/* ---- CRC-32C (Castagnoli), reflected, a byte at a time from a table. ---- */

static uint32_t crc32c(const unsigned char *data, size_t len)
{
    uint32_t table[256], crc = UINT32_MAX;

    for (uint32_t i = 0; i < ARRAY_LEN(table); i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78u : 0);
    }
    for (size_t i = 0; i < len; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xff];
    return ~crc;
}

/* ---- Writing ---- */

struct writer {
    char *data;
    size_t len, capacity;
};

static void put_bytes(struct writer *w, const void *data, size_t len)
{
    if (w->capacity - w->len < len) {
        w->capacity = (w->capacity + len) * 2;
        w->data = xrealloc(w->data, w->capacity);
    }
    memcpy(w->data + w->len, data, len);
    w->len += len;
}

static void put_int(struct writer *w, uint64_t value, size_t width)
{
    unsigned char le[8];

    for (size_t i = 0; i < width; i++)
        le[i] = (unsigned char)(value >> (8 * i));
    put_bytes(w, le, width);
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);

    put_int(w, len, 2);
    put_bytes(w, text, len);
}

static bool put_order(void *context, const struct engine_resting *order)
{
    put_int(context, order->order_id, 8);
    put_int(context, order->user_id, 8);
    put_int(context, (uint64_t)order->price_ticks, 8);
    put_int(context, (uint64_t)order->filled_lots, 8);
    put_int(context, (uint64_t)order->remaining_lots, 8);
    return true;
}

static bool count_orders(void *context, const struct engine_level_change *level)
{
    *(uint64_t *)context += level->orders;
    return true;
}

static void put_market(struct writer *w, const struct engine *engine, uint16_t number)
{
    const struct engine_market *market = engine_market_get(engine, number);

    put_text(w, market->config.symbol);
    put_int(w, market->config.market_id, 4);
    put_int(w, market->config.base_asset_id, 4);
    put_int(w, market->config.quote_asset_id, 4);
    put_int(w, (uint64_t)market->config.lot_minor, 8);
    put_int(w, (uint64_t)market->config.notional_unit_minor, 8);
    put_int(w, market->config.maker_fee_ppm, 4);
    put_int(w, market->config.taker_fee_ppm, 4);
    put_int(w, market->config.status, 1);
    put_int(w, market->seq, 8);
    put_int(w, market->trade_id, 8);
    put_int(w, market->posting_seq, 8);
    put_int(w, market->book_seq, 8);
    put_int(w, (uint64_t)market->at_us, 8);
    put_int(w, (uint64_t)market->last_price_ticks, 8);
    for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
        uint64_t orders = 0;

        engine_each_level(engine, number, side, count_orders, &orders);
        put_int(w, orders, 8);
        engine_each_order(engine, number, side, put_order, w);
    }
}

void snapshot_encode(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    char **ret_data, size_t *ret_size)
{
    struct writer w = { 0 }, head = { 0 };

    put_bytes(&w, (char[HEAD_SIZE]){ 0 }, HEAD_SIZE);
    put_text(&w, identity->topic);
    put_text(&w, identity->cluster_id);
    put_int(&w, (uint32_t)identity->partition, 4);
    put_int(&w, (uint64_t)next_offset, 8);
    put_int(&w, engine_market_count(engine), 2);
    for (uint16_t number = 0; number < engine_market_count(engine); number++)
        put_market(&w, engine, number);
    put_bytes(&head, MAGIC, 8);
    put_int(&head, VERSION, 4);
    put_int(&head, crc32c((unsigned char *)w.data + HEAD_SIZE, w.len - HEAD_SIZE), 4);
    put_int(&head, w.len - HEAD_SIZE, 8);
    memcpy(w.data, head.data, HEAD_SIZE);
    xfree(head.data);
    *ret_data = w.data;
    *ret_size = w.len;
}

/* ---- Reading: every length is checked against what is left; the first failure makes all further reads give 0. ---- */

struct reader {
    const unsigned char *at, *end;
    bool bad;
};

static uint64_t get_int(struct reader *r, size_t width)
{
    uint64_t value = 0;

    if (r->bad || (size_t)(r->end - r->at) < width) {
        r->bad = true;
        return 0;
    }
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)r->at[i] << (8 * i);
    r->at += width;
    return value;
}

static void get_text(struct reader *r, char *ret_text, size_t size)
{
    size_t len = get_int(r, 2);

    ret_text[0] = '\0';
    if (r->bad || len >= size || (size_t)(r->end - r->at) < len) {
        r->bad = true;
        return;
    }
    memcpy(ret_text, r->at, len);
    ret_text[len] = '\0';
    r->at += len;
}

static bool damaged(struct error *e, const char *what)
{
    return error_set(e, ERROR_INVALID, "damaged: %s", what);
}

static bool read_head(struct reader *r, struct error *e)
{
    if ((size_t)(r->end - r->at) < HEAD_SIZE || memcmp(r->at, MAGIC, 8) != 0)
        return error_set(e, ERROR_INVALID, "not a snapshot");
    r->at += 8;

    uint64_t version = get_int(r, 4), crc = get_int(r, 4), len = get_int(r, 8);

    if (version != VERSION)
        return error_set(e, ERROR_INVALID, "format version %lu is not known here", version);
    if (len != (size_t)(r->end - r->at))
        return damaged(e, "its length is wrong");
    if (crc != crc32c(r->at, len))
        return damaged(e, "its checksum is wrong");
    return true;
}

static bool read_identity(struct reader *r, const struct snapshot_identity *identity, struct error *e)
{
    char topic[TEXT_LEN_MAX], cluster_id[TEXT_LEN_MAX];

    get_text(r, topic, sizeof topic);
    get_text(r, cluster_id, sizeof cluster_id);

    int32_t partition = (int32_t)get_int(r, 4);

    if (r->bad)
        return damaged(e, "cut in its identity");
    if (strcmp(topic, identity->topic) != 0 || partition != identity->partition)
        return error_set(e, ERROR_INVALID, "it is of %.80s, partition %d", topic, partition);
    if (strcmp(cluster_id, identity->cluster_id) != 0)
        return error_set(e, ERROR_INVALID, "it is of another Kafka cluster, %.80s", cluster_id);
    return true;
}

static bool restored(enum engine_verdict verdict, struct error *e)
{
    if (verdict == ENGINE_OK)
        return true;
    if (verdict == ENGINE_TOO_MANY_MARKETS)
        return error_set(e, ERROR_FATAL, "the snapshot does not fit the engine's limits: raise them");
    return damaged(e, engine_verdict_text(verdict));
}

static bool read_orders(
    struct reader *r, struct engine *engine, uint16_t number, enum engine_side side, struct error *e)
{
    for (uint64_t left = get_int(r, 8); left > 0; left--) {
        struct engine_resting order = {
            .order_id = get_int(r, 8),
            .user_id = get_int(r, 8),
            .price_ticks = (int64_t)get_int(r, 8),
            .filled_lots = (int64_t)get_int(r, 8),
            .remaining_lots = (int64_t)get_int(r, 8),
            .side = (uint8_t)side,
            .type = ENGINE_LIMIT,
            .time_in_force = ENGINE_GTC,
        };

        order.visible_lots = order.remaining_lots;

        if (r->bad)
            return damaged(e, "cut in its orders");
        if (!restored(engine_restore_order(engine, number, &order), e))
            return false;
    }
    return true;
}

static bool read_market(struct reader *r, struct engine *engine, uint16_t number, struct error *e)
{
    struct engine_market market = { 0 };

    get_text(r, market.config.symbol, sizeof market.config.symbol);
    market.config.market_id = (uint32_t)get_int(r, 4);
    market.config.base_asset_id = (uint32_t)get_int(r, 4);
    market.config.quote_asset_id = (uint32_t)get_int(r, 4);
    market.config.lot_minor = (int64_t)get_int(r, 8);
    market.config.notional_unit_minor = (int64_t)get_int(r, 8);
    market.config.maker_fee_ppm = (uint32_t)get_int(r, 4);
    market.config.taker_fee_ppm = (uint32_t)get_int(r, 4);
    market.config.status = (uint8_t)get_int(r, 1);
    market.seq = get_int(r, 8);
    market.trade_id = get_int(r, 8);
    market.posting_seq = get_int(r, 8);
    market.book_seq = get_int(r, 8);
    market.at_us = (int64_t)get_int(r, 8);
    market.last_price_ticks = (int64_t)get_int(r, 8);
    if (r->bad)
        return damaged(e, "cut in a market");
    return restored(engine_restore_market(engine, &market), e) && read_orders(r, engine, number, ENGINE_BUY, e) &&
           read_orders(r, engine, number, ENGINE_SELL, e);
}

bool snapshot_decode(const struct snapshot_identity *identity, struct bytes data, struct engine *engine,
    int64_t *ret_next_offset, struct error *e)
{
    struct reader r = { .at = data.data, .end = (const unsigned char *)data.data + data.len };

    if (!read_head(&r, e) || !read_identity(&r, identity, e))
        return false;

    int64_t next_offset = (int64_t)get_int(&r, 8);
    uint16_t markets = (uint16_t)get_int(&r, 2);

    if (r.bad || next_offset < 0)
        return damaged(e, "no offset");
    for (uint16_t number = 0; number < markets; number++)
        if (!read_market(&r, engine, number, e))
            return false;
    if (r.at != r.end)
        return damaged(e, "bytes are left over");
    *ret_next_offset = next_offset;
    return true;
}

/* ---- Files ---- */

struct files {
    size_t count;
    int64_t offsets[FILES_MAX]; /* newest first */
};

static void file_path(
    const struct snapshot_identity *identity, int64_t offset, const char *suffix, char path[PATH_LEN_MAX])
{
    snprintf(path, PATH_LEN_MAX, "%s/%s-%d-%020" PRId64 SUFFIX "%s", identity->directory, identity->topic,
        identity->partition, offset, suffix);
}

static void insert_newest_first(struct files *files, int64_t offset)
{
    size_t at = files->count < FILES_MAX ? files->count++ : FILES_MAX - 1;

    for (; at > 0 && files->offsets[at - 1] < offset; at--)
        files->offsets[at] = files->offsets[at - 1];
    files->offsets[at] = offset;
}

static bool list_files(const struct snapshot_identity *identity, struct files *ret_files, struct error *e)
{
    char prefix[PATH_LEN_MAX];
    size_t prefix_len = (size_t)snprintf(prefix, sizeof prefix, "%s-%d-", identity->topic, identity->partition);
    DIR *dir = opendir(identity->directory);

    ret_files->count = 0;
    if (!dir)
        return error_set(e, ERROR_TRANSIENT, "%.120s: %s", identity->directory, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char *end;

        if (strncmp(entry->d_name, prefix, prefix_len) != 0)
            continue;
        int64_t offset = strtoll(entry->d_name + prefix_len, &end, 10);
        if (end == entry->d_name + prefix_len + 20 && strcmp(end, SUFFIX) == 0)
            insert_newest_first(ret_files, offset);
    }
    closedir(dir);
    return true;
}

static bool write_file(const char *path, const char *data, size_t size, struct error *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t done = 0;

    if (fd < 0)
        return error_set(e, ERROR_TRANSIENT, "%.120s: %s", path, strerror(errno));
    while (done < size) {
        ssize_t written = write(fd, data + done, size - done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        done += (size_t)written;
    }

    bool kept = done == size && fsync(fd) == 0;

    if (!kept)
        error_set(e, ERROR_TRANSIENT, "%.120s: %s", path, strerror(errno));
    close(fd);
    return kept;
}

static bool sync_directory(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (!synced)
        error_set(e, ERROR_TRANSIENT, "%.120s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return synced;
}

static bool remove_old(const struct snapshot_identity *identity, struct error *e)
{
    char path[PATH_LEN_MAX];
    struct files files;

    if (!list_files(identity, &files, e))
        return false;
    for (size_t i = SNAPSHOTS_KEPT; i < files.count; i++) {
        file_path(identity, files.offsets[i], "", path);
        if (unlink(path) != 0 && errno != ENOENT)
            return error_set(e, ERROR_TRANSIENT, "%.120s: %s", path, strerror(errno));
    }
    return true;
}

bool snapshot_write(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    size_t *ret_size, struct error *e)
{
    char path[PATH_LEN_MAX], temporary[PATH_LEN_MAX];
    CLEANUP(xfree) char *data = NULL;
    size_t size;

    file_path(identity, next_offset, "", path);
    file_path(identity, next_offset, ".tmp", temporary);
    snapshot_encode(identity, engine, next_offset, &data, &size);
    if (!write_file(temporary, data, size, e))
        return false;
    if (rename(temporary, path) != 0)
        return error_set(e, ERROR_TRANSIENT, "%.120s: %s", path, strerror(errno));
    if (!sync_directory(identity->directory, e))
        return false;
    crash_point("engine.snapshot_written");
    *ret_size = size;
    return remove_old(identity, e);
}

static bool read_file(const char *path, char **ret_data, size_t *ret_size, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        if (fd >= 0)
            close(fd);
        return error_set(e, ERROR_INVALID, "%s", strerror(errno));
    }

    CLEANUP(xfree) char *data = xmalloc((size_t)status.st_size + 1);
    size_t len = 0;
    ssize_t got;

    while (len < (size_t)status.st_size && (got = read(fd, data + len, (size_t)status.st_size - len)) > 0)
        len += (size_t)got;
    close(fd);
    *ret_data = TAKE(data);
    *ret_size = len;
    return true;
}

static bool load_file(const struct snapshot_identity *identity, int64_t file_offset, int64_t committed_offset,
    struct engine *engine, struct error *e)
{
    char path[PATH_LEN_MAX];
    CLEANUP(xfree) char *data = NULL;
    size_t size = 0;
    int64_t offset;

    if (file_offset > committed_offset)
        return error_set(
            e, ERROR_INVALID, "it is past the committed offset %" PRId64 ": the log was made anew", committed_offset);
    file_path(identity, file_offset, "", path);
    if (!read_file(path, &data, &size, e) ||
        !snapshot_decode(identity, (struct bytes){ data, size }, engine, &offset, e))
        return false;
    return offset == file_offset || damaged(e, "its name and its offset differ");
}

static void set_aside(
    const struct snapshot_identity *identity, int64_t offset, const char *why, void (*note)(const char *line))
{
    char path[PATH_LEN_MAX], aside[PATH_LEN_MAX];
    CLEANUP(xfree) char *line = NULL;

    file_path(identity, offset, "", path);
    file_path(identity, offset, ".refused", aside);
    line = xasprintf("snapshot %s is not used: %s", path, why);
    note(line);
    if (rename(path, aside) != 0)
        note(strerror(errno));
}

static bool no_memory(struct error *e)
{
    return error_set(e, ERROR_FATAL, "no memory for the configured limits");
}

bool snapshot_load(const struct snapshot_identity *identity, int64_t committed_offset,
    const struct engine_options *options, void (*note)(const char *line), struct engine **ret_engine,
    int64_t *ret_next_offset, struct error *e)
{
    struct files files;

    if (mkdir(identity->directory, 0700) != 0 && errno != EEXIST)
        return error_set(e, ERROR_TRANSIENT, "%.120s: %s", identity->directory, strerror(errno));
    if (!list_files(identity, &files, e))
        return false;
    for (size_t i = 0; i < files.count; i++) {
        CLEANUP(engine_free) struct engine *engine = engine_new(options);

        if (!engine)
            return no_memory(e);
        if (load_file(identity, files.offsets[i], committed_offset, engine, e)) {
            *ret_next_offset = files.offsets[i];
            *ret_engine = TAKE(engine);
            return true;
        }
        if (e->kind != ERROR_INVALID)
            return false;
        set_aside(identity, files.offsets[i], e->message, note);
    }
    *ret_next_offset = 0;
    *ret_engine = engine_new(options);
    return *ret_engine || no_memory(e);
}
