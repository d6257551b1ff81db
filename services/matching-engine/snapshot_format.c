#include "snapshot_format.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define MAGIC "PSENGSNP"

enum {
    TEXT_LEN_MAX = 1024,
    END = 0,   /* of a list */
    ORDER = 1, /* bits of an order's first byte */
    ORDER_VISIBLE = 1 << 1,
    ORDER_MORE = 1 << 2,
    CRC_SLICES = 8,
};

/* ---- CRC-32C (Castagnoli), reflected, eight bytes at a time. ---- */

struct crc_tables {
    uint32_t of[CRC_SLICES][256];
};

static void crc_tables_init(struct crc_tables *tables)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        tables->of[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (size_t slice = 1; slice < CRC_SLICES; slice++)
            tables->of[slice][i] = tables->of[slice - 1][i] >> 8 ^ tables->of[0][tables->of[slice - 1][i] & 0xff];
}

/* Begins with UINT32_MAX; the sum is the complement of the last. */
static uint32_t crc_add(const struct crc_tables *tables, uint32_t crc, const unsigned char *data, size_t len)
{
    for (; len >= CRC_SLICES; data += CRC_SLICES, len -= CRC_SLICES) {
        uint64_t word;

        memcpy(&word, data, sizeof word);
        word = le64toh(word) ^ crc;
        crc = 0;
        for (size_t slice = 0; slice < CRC_SLICES; slice++)
            crc ^= tables->of[CRC_SLICES - 1 - slice][word >> (8 * slice) & 0xff];
    }
    while (len-- > 0)
        crc = crc >> 8 ^ tables->of[0][(crc ^ *data++) & 0xff];
    return crc;
}

/* ---- Writing ---- */

struct writer {
    unsigned char *buffer;
    size_t used, size;
    struct snapshot_sink sink;
    struct crc_tables tables;
    uint32_t crc;
    uint64_t total;
    bool failed;
};

static void flush(struct writer *w)
{
    w->crc = crc_add(&w->tables, w->crc, w->buffer, w->used);
    w->total += w->used;
    w->failed = w->failed || !w->sink.write(w->sink.context, w->buffer, w->used);
    w->used = 0;
}

static void put_bytes(struct writer *w, const void *data, size_t len)
{
    assert(len <= w->size);
    if (w->size - w->used < len)
        flush(w);
    memcpy(w->buffer + w->used, data, len);
    w->used += len;
}

static void put_int(struct writer *w, uint64_t value, size_t width)
{
    uint64_t le = htole64(value);

    put_bytes(w, &le, width);
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);

    put_int(w, len, 2);
    put_bytes(w, text, len);
}

static bool has_more(const struct engine_order_more *more)
{
    return more->stop_price_ticks != 0 || more->quote_minor != 0 || more->display_lots != 0 ||
           more->expires_at_us != 0 || more->has_fees;
}

/* What shows of most orders. */
static int64_t usually_visible(const struct engine_resting *order)
{
    return order->waiting ? 0 : order->remaining_lots;
}

static bool put_order(void *context, const struct engine_resting *order)
{
    struct writer *w = context;
    bool visible = order->visible_lots != usually_visible(order), more = has_more(&order->more);

    put_int(w, ORDER | (visible ? ORDER_VISIBLE : 0u) | (more ? ORDER_MORE : 0u), 1);
    put_int(w, order->order_id, 8);
    put_int(w, order->user_id, 8);
    put_int(w, (uint64_t)order->price_ticks, 8);
    put_int(w, (uint64_t)order->filled_lots, 8);
    put_int(w, (uint64_t)order->remaining_lots, 8);
    put_int(w, order->quote_set, 2);
    put_int(w, order->type, 1);
    put_int(w, order->time_in_force, 1);
    put_int(w, order->post_only, 1);
    put_int(w, order->self_trade, 1);
    if (visible)
        put_int(w, (uint64_t)order->visible_lots, 8);
    if (more) {
        put_int(w, (uint64_t)order->more.stop_price_ticks, 8);
        put_int(w, (uint64_t)order->more.quote_minor, 8);
        put_int(w, (uint64_t)order->more.display_lots, 8);
        put_int(w, (uint64_t)order->more.expires_at_us, 8);
        put_int(w, order->more.maker_fee_ppm, 4);
        put_int(w, order->more.taker_fee_ppm, 4);
        put_int(w, order->more.has_fees, 1);
    }
    return !w->failed;
}

static bool put_killed(void *context, uint64_t user_id)
{
    struct writer *w = context;

    put_int(w, 1, 1);
    put_int(w, user_id, 8);
    return !w->failed;
}

static void put_config(struct writer *w, const struct engine_market_config *config)
{
    put_text(w, config->symbol);
    put_int(w, config->market_id, 4);
    put_int(w, config->base_asset_id, 4);
    put_int(w, config->quote_asset_id, 4);
    put_int(w, (uint64_t)config->lot_minor, 8);
    put_int(w, (uint64_t)config->notional_unit_minor, 8);
    put_int(w, config->maker_fee_ppm, 4);
    put_int(w, config->taker_fee_ppm, 4);
    put_int(w, config->status, 1);
    put_int(w, config->price_band_ppm, 4);
    put_int(w, (uint64_t)config->min_price_ticks, 8);
    put_int(w, (uint64_t)config->max_price_ticks, 8);
    put_int(w, (uint64_t)config->price_step_ticks, 8);
    put_int(w, (uint64_t)config->min_quantity_lots, 8);
    put_int(w, (uint64_t)config->max_quantity_lots, 8);
    put_int(w, (uint64_t)config->quantity_step_lots, 8);
    put_int(w, (uint64_t)config->min_notional_minor, 8);
    put_int(w, (uint64_t)config->max_notional_minor, 8);
}

static void put_market(struct writer *w, const struct engine *engine, uint16_t number)
{
    const struct engine_market *market = engine_market_get(engine, number);

    put_config(w, &market->config);
    put_int(w, market->seq, 8);
    put_int(w, market->trade_id, 8);
    put_int(w, market->posting_seq, 8);
    put_int(w, market->book_seq, 8);
    put_int(w, market->orders_seq, 8);
    put_int(w, (uint64_t)market->at_us, 8);
    put_int(w, (uint64_t)market->last_price_ticks, 8);
    put_int(w, (uint64_t)market->reference_price_ticks, 8);
    for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
        engine_each_order(engine, number, side, put_order, w);
        put_int(w, END, 1);
    }
    for (enum engine_side side = ENGINE_BUY; side <= ENGINE_SELL; side++) {
        engine_each_waiting(engine, number, side, put_order, w);
        put_int(w, END, 1);
    }
    engine_each_killed(engine, number, put_killed, w);
    put_int(w, END, 1);
}

bool snapshot_format_write(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    struct snapshot_sink sink, unsigned char *buffer, size_t buffer_size, unsigned char ret_head[SNAPSHOT_HEAD_SIZE])
{
    struct writer w = { .buffer = buffer, .size = buffer_size, .sink = sink, .crc = UINT32_MAX };

    assert(buffer_size >= SNAPSHOT_BUFFER_MIN);
    crc_tables_init(&w.tables);
    put_text(&w, identity->topic);
    put_text(&w, identity->cluster_id);
    put_int(&w, (uint32_t)identity->partition, 4);
    put_int(&w, (uint64_t)next_offset, 8);
    put_int(&w, engine_market_count(engine), 2);
    for (uint16_t number = 0; number < engine_market_count(engine) && !w.failed; number++)
        put_market(&w, engine, number);
    flush(&w);

    struct writer head = { .buffer = ret_head, .size = SNAPSHOT_HEAD_SIZE };

    put_bytes(&head, MAGIC, 8);
    put_int(&head, SNAPSHOT_VERSION, 4);
    put_int(&head, ~w.crc, 4);
    put_int(&head, w.total, 8);
    return !w.failed;
}

struct growing {
    char *data;
    size_t len, capacity;
};

static bool grow(void *context, const void *data, size_t len)
{
    struct growing *whole = context;

    if (whole->capacity - whole->len < len) {
        whole->capacity = (whole->capacity + len) * 2;
        whole->data = xrealloc(whole->data, whole->capacity);
    }
    memcpy(whole->data + whole->len, data, len);
    whole->len += len;
    return true;
}

void snapshot_encode(const struct snapshot_identity *identity, const struct engine *engine, int64_t next_offset,
    char **ret_data, size_t *ret_size)
{
    unsigned char buffer[SNAPSHOT_BUFFER_MIN], head[SNAPSHOT_HEAD_SIZE] = { 0 };
    struct growing whole = { 0 };

    grow(&whole, head, sizeof head);
    bool written = snapshot_format_write(
        identity, engine, next_offset, (struct snapshot_sink){ grow, &whole }, buffer, sizeof buffer, head);

    assert(written);
    memcpy(whole.data, head, sizeof head);
    *ret_data = whole.data;
    *ret_size = whole.len;
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
    memcpy(&value, r->at, width);
    r->at += width;
    return le64toh(value);
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

static bool read_head(struct reader *r, uint32_t *ret_version, struct error *e)
{
    struct crc_tables tables;

    if ((size_t)(r->end - r->at) < SNAPSHOT_HEAD_SIZE || memcmp(r->at, MAGIC, 8) != 0)
        return error_set(e, ERROR_INVALID, "not a snapshot");
    r->at += 8;

    uint64_t version = get_int(r, 4), crc = get_int(r, 4), len = get_int(r, 8);

    *ret_version = (uint32_t)version;
    if (version < SNAPSHOT_VERSION_OLDEST || version > SNAPSHOT_VERSION)
        return error_set(e, ERROR_INVALID, "format version %lu is not known here", version);
    if (len != (size_t)(r->end - r->at))
        return damaged(e, "its length is wrong");
    crc_tables_init(&tables);
    if (crc != (uint32_t)~crc_add(&tables, UINT32_MAX, r->at, len))
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

static bool read_orders_1(
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

static void read_order(struct reader *r, uint64_t bits, struct engine_resting *order)
{
    order->order_id = get_int(r, 8);
    order->user_id = get_int(r, 8);
    order->price_ticks = (int64_t)get_int(r, 8);
    order->filled_lots = (int64_t)get_int(r, 8);
    order->remaining_lots = (int64_t)get_int(r, 8);
    order->quote_set = (uint16_t)get_int(r, 2);
    order->type = (uint8_t)get_int(r, 1);
    order->time_in_force = (uint8_t)get_int(r, 1);
    order->post_only = (uint8_t)get_int(r, 1);
    order->self_trade = (uint8_t)get_int(r, 1);
    order->visible_lots = bits & ORDER_VISIBLE ? (int64_t)get_int(r, 8) : usually_visible(order);
    if ((bits & ORDER_MORE) == 0)
        return;
    order->more.stop_price_ticks = (int64_t)get_int(r, 8);
    order->more.quote_minor = (int64_t)get_int(r, 8);
    order->more.display_lots = (int64_t)get_int(r, 8);
    order->more.expires_at_us = (int64_t)get_int(r, 8);
    order->more.maker_fee_ppm = (uint32_t)get_int(r, 4);
    order->more.taker_fee_ppm = (uint32_t)get_int(r, 4);
    order->more.has_fees = get_int(r, 1) != 0;
}

static bool read_orders(
    struct reader *r, struct engine *engine, uint16_t number, enum engine_side side, bool waiting, struct error *e)
{
    for (uint64_t bits; (bits = get_int(r, 1)) != END;) {
        struct engine_resting order = { .side = (uint8_t)side, .waiting = waiting };

        if (bits & ~(uint64_t)(ORDER | ORDER_VISIBLE | ORDER_MORE))
            return damaged(e, "not an order");
        read_order(r, bits, &order);
        if (r->bad)
            return damaged(e, "cut in its orders");
        if (!restored(engine_restore_order(engine, number, &order), e))
            return false;
    }
    return !r->bad || damaged(e, "cut in its orders");
}

static bool read_killed(struct reader *r, struct engine *engine, uint16_t number, struct error *e)
{
    while (get_int(r, 1) != END) {
        uint64_t user_id = get_int(r, 8);

        if (r->bad)
            return damaged(e, "cut in its killed users");
        if (!restored(engine_restore_killed(engine, number, user_id), e))
            return false;
    }
    return !r->bad || damaged(e, "cut in its killed users");
}

static void read_config(struct reader *r, uint32_t version, struct engine_market_config *config)
{
    get_text(r, config->symbol, sizeof config->symbol);
    config->market_id = (uint32_t)get_int(r, 4);
    config->base_asset_id = (uint32_t)get_int(r, 4);
    config->quote_asset_id = (uint32_t)get_int(r, 4);
    config->lot_minor = (int64_t)get_int(r, 8);
    config->notional_unit_minor = (int64_t)get_int(r, 8);
    config->maker_fee_ppm = (uint32_t)get_int(r, 4);
    config->taker_fee_ppm = (uint32_t)get_int(r, 4);
    config->status = (uint8_t)get_int(r, 1);
    if (version == 1)
        return;
    config->price_band_ppm = (uint32_t)get_int(r, 4);
    config->min_price_ticks = (int64_t)get_int(r, 8);
    config->max_price_ticks = (int64_t)get_int(r, 8);
    config->price_step_ticks = (int64_t)get_int(r, 8);
    config->min_quantity_lots = (int64_t)get_int(r, 8);
    config->max_quantity_lots = (int64_t)get_int(r, 8);
    config->quantity_step_lots = (int64_t)get_int(r, 8);
    config->min_notional_minor = (int64_t)get_int(r, 8);
    config->max_notional_minor = (int64_t)get_int(r, 8);
}

static bool read_market(struct reader *r, uint32_t version, struct engine *engine, uint16_t number, struct error *e)
{
    struct engine_market market = { 0 };

    read_config(r, version, &market.config);
    market.seq = get_int(r, 8);
    market.trade_id = get_int(r, 8);
    market.posting_seq = get_int(r, 8);
    market.book_seq = get_int(r, 8);
    market.orders_seq = version == 1 ? 0 : get_int(r, 8);
    market.at_us = (int64_t)get_int(r, 8);
    market.last_price_ticks = (int64_t)get_int(r, 8);
    market.reference_price_ticks = version == 1 ? 0 : (int64_t)get_int(r, 8);
    if (r->bad)
        return damaged(e, "cut in a market");
    if (!restored(engine_restore_market(engine, &market), e))
        return false;
    if (version == 1)
        return read_orders_1(r, engine, number, ENGINE_BUY, e) && read_orders_1(r, engine, number, ENGINE_SELL, e);
    return read_orders(r, engine, number, ENGINE_BUY, false, e) &&
           read_orders(r, engine, number, ENGINE_SELL, false, e) &&
           read_orders(r, engine, number, ENGINE_BUY, true, e) &&
           read_orders(r, engine, number, ENGINE_SELL, true, e) && read_killed(r, engine, number, e);
}

bool snapshot_decode(const struct snapshot_identity *identity, struct bytes data, struct engine *engine,
    int64_t *ret_next_offset, struct error *e)
{
    struct reader r = { .at = data.data, .end = (const unsigned char *)data.data + data.len };

    uint32_t version;

    if (!read_head(&r, &version, e) || !read_identity(&r, identity, e))
        return false;

    int64_t next_offset = (int64_t)get_int(&r, 8);
    uint16_t markets = (uint16_t)get_int(&r, 2);

    if (r.bad || next_offset < 0)
        return damaged(e, "no offset");
    for (uint16_t number = 0; number < markets; number++)
        if (!read_market(&r, version, engine, number, e))
            return false;
    if (r.at != r.end)
        return damaged(e, "bytes are left over");
    *ret_next_offset = next_offset;
    return true;
}
