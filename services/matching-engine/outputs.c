#include "outputs.h"

#include "settlement.h"
#include "wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SOURCE "/penstock/matching-engine"
#define GROUP  "matching-engine"

enum {
    NUMBER_TEXT_MAX = 24,
    HEADERS = 8,
};

const char *const output_topic_names[OUTPUT_TOPICS] = {
    [OUTPUT_TRADES] = "trades.v1",
    [OUTPUT_EVENTS] = "orders.events.v1",
    [OUTPUT_POSTINGS] = "ledger.postings.v1",
    [OUTPUT_BOOK] = "market.book.v1",
    [OUTPUT_ORDERS] = "market.orders.v1",
    [OUTPUT_DEAD] = "orders.accepted.v1.matching-engine.dead",
};

/* What follows the symbol in ce_id. */
static const char *const shorthands[OUTPUT_TOPICS] = {
    [OUTPUT_TRADES] = "-trades-",
    [OUTPUT_EVENTS] = "-events-",
    [OUTPUT_POSTINGS] = "-postings-",
    [OUTPUT_BOOK] = "-book-",
    [OUTPUT_ORDERS] = "-orders-",
};

struct outputs {
    struct arena *arena;
    struct output *items;
    size_t count, capacity, bytes;
    const struct engine *engine;
    const char *traceparent; /* of the command at hand */
    int64_t time_us;         /* the time that `time` says; many events share one */
    const char *time;
    bool muted;
    struct wire message;                 /* the event at hand */
    struct wire postings, order_changes; /* fields of the next GROUP's parts */
    size_t postings_count, orders_count;
    struct outputs_stats stats;
};

struct outputs *outputs_new(void)
{
    struct outputs *outputs = xcalloc(1, sizeof *outputs);

    outputs->arena = arena_new();
    outputs_clear(outputs);
    return outputs;
}

void outputs_free(struct outputs *outputs)
{
    if (!outputs)
        return;
    outputs_abandon(outputs);
    arena_free(outputs->arena);
    wire_release(&outputs->message);
    wire_release(&outputs->postings);
    wire_release(&outputs->order_changes);
    xfree(outputs->items);
    xfree(outputs);
}

void outputs_clear(struct outputs *outputs)
{
    assert(outputs->postings_count == 0 && outputs->orders_count == 0);
    for (size_t i = 0; i < outputs->count; i++)
        if (outputs->items[i].headers)
            rd_kafka_headers_destroy(outputs->items[i].headers);
    outputs->count = outputs->bytes = 0;
    outputs->traceparent = outputs->time = "";
    outputs->time_us = 0;
    arena_clear(outputs->arena);
}

void outputs_abandon(struct outputs *outputs)
{
    wire_clear(&outputs->postings);
    wire_clear(&outputs->order_changes);
    outputs->postings_count = outputs->orders_count = 0;
    outputs->engine = NULL;
    outputs_clear(outputs);
}

size_t outputs_count(const struct outputs *outputs)
{
    return outputs->count;
}

size_t outputs_bytes(const struct outputs *outputs)
{
    return outputs->bytes;
}

const struct output *outputs_at(const struct outputs *outputs, size_t index)
{
    assert(index < outputs->count);
    return &outputs->items[index];
}

void outputs_set_engine(struct outputs *outputs, const struct engine *engine)
{
    outputs->engine = engine;
}

void outputs_set_muted(struct outputs *outputs, bool muted)
{
    outputs->muted = muted;
}

void outputs_begin_command(struct outputs *outputs, const char *traceparent)
{
    outputs->traceparent = traceparent[0] == '\0' || outputs->muted ? "" : arena_strdup(outputs->arena, traceparent);
}

void outputs_get_stats(const struct outputs *outputs, struct outputs_stats *ret_stats)
{
    *ret_stats = outputs->stats;
}

static struct output *add(struct outputs *outputs)
{
    if (outputs->count == outputs->capacity) {
        outputs->capacity = outputs->capacity ? 2 * outputs->capacity : 1024;
        outputs->items = xrealloc(outputs->items, outputs->capacity * sizeof *outputs->items);
    }
    struct output *output = &outputs->items[outputs->count++];
    memset(output, 0, sizeof *output);
    return output;
}

/* ---- Texts in the batch's memory ---- */

static const char *number_text(uint64_t number, char text[NUMBER_TEXT_MAX], size_t *ret_len)
{
    char *at = text + NUMBER_TEXT_MAX;

    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    *ret_len = (size_t)(text + NUMBER_TEXT_MAX - at);
    return at;
}

static const char *id_text(struct outputs *outputs, const char *symbol, enum output_topic topic, uint64_t n)
{
    char digits[NUMBER_TEXT_MAX];
    size_t symbol_len = strlen(symbol), middle_len = strlen(shorthands[topic]), number_len;
    const char *number = number_text(n, digits, &number_len);
    char *id = arena_alloc(outputs->arena, symbol_len + middle_len + number_len + 1);

    memcpy(id, symbol, symbol_len);
    memcpy(id + symbol_len, shorthands[topic], middle_len);
    memcpy(id + symbol_len + middle_len, number, number_len);
    id[symbol_len + middle_len + number_len] = '\0';
    return id;
}

static const char *user_key(struct outputs *outputs, uint64_t user_id)
{
    char digits[NUMBER_TEXT_MAX];
    size_t len;
    const char *number = number_text(user_id, digits, &len);
    char *key = arena_alloc(outputs->arena, len + 1);

    memcpy(key, number, len);
    key[len] = '\0';
    return key;
}

static const char *time_text(struct outputs *outputs, int64_t time_us)
{
    if (time_us != outputs->time_us) {
        char *text = arena_alloc(outputs->arena, EVENT_TIME_MAX);

        event_time_format(time_us, text);
        outputs->time = text;
        outputs->time_us = time_us;
    }
    return outputs->time;
}

/* ---- Events ---- */

static const struct engine_market_config *config_of(const struct outputs *outputs, const struct engine_record *record)
{
    return &engine_market_get(outputs->engine, record->market)->config;
}

/* The bytes of outputs->message become an event keyed by `key`; n is its number within symbol and topic. */
static void emit(struct outputs *outputs, enum output_topic topic, const char *type, const struct engine_record *record,
    const char *key, uint64_t n)
{
    const struct wire *message = &outputs->message;
    void *value = memcpy(arena_alloc(outputs->arena, message->len), message->data, message->len);
    struct output *output = add(outputs);

    output->topic = topic;
    output->time = time_text(outputs, record->at_us);
    output->event = (struct event){
        .topic = output_topic_names[topic],
        .key = { key, strlen(key) },
        .id = id_text(outputs, config_of(outputs, record)->symbol, topic, n),
        .source = SOURCE,
        .type = type,
        .subject = key,
        .traceparent = outputs->traceparent,
        .time_us = record->at_us,
        .value = { value, message->len },
    };
    outputs->bytes += message->len;
}

/* Most events begin like this: fields 1 to 3. */
static struct wire *begin_order_event(
    struct outputs *outputs, const struct engine_record *record, uint64_t order_id, uint64_t user_id)
{
    const char *symbol = config_of(outputs, record)->symbol;
    struct wire *w = &outputs->message;

    wire_clear(w);
    wire_uint(w, 1, order_id);
    wire_uint(w, 2, user_id);
    wire_text(w, 3, symbol, strlen(symbol));
    return w;
}

static void emit_order_event(
    struct outputs *outputs, const char *type, const struct engine_record *record, uint64_t user_id, uint64_t seq)
{
    emit(outputs, OUTPUT_EVENTS, type, record, user_key(outputs, user_id), seq);
}

/* ---- Postings and level 3: gathered until the GROUP that has them ---- */

struct order_state {
    uint64_t order_id, user_id;
    uint8_t status, reason;
    int64_t filled_lots, remaining_lots;
    int64_t price_ticks, quantity_lots; /* where this posting changed them */
    uint64_t amend_id;
};

static void put_order_state(struct wire *w, const struct order_state *state)
{
    size_t begin = wire_open(w, 7);

    wire_uint(w, 1, state->order_id);
    wire_uint(w, 2, state->user_id);
    wire_uint(w, 3, state->status);
    wire_int(w, 4, state->filled_lots);
    wire_int(w, 5, state->remaining_lots);
    wire_uint(w, 6, state->reason);
    wire_int(w, 7, state->price_ticks);
    wire_int(w, 8, state->quantity_lots);
    wire_uint(w, 9, state->amend_id);
    wire_close(w, begin);
}

static void put_legs(struct wire *w, const struct settlement_leg *legs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t begin = wire_open(w, 6);

        wire_uint(w, 1, legs[i].owner_id);
        wire_uint(w, 2, legs[i].kind);
        wire_uint(w, 3, legs[i].asset_id);
        wire_int(w, 4, legs[i].available_delta_minor);
        wire_int(w, 5, legs[i].held_delta_minor);
        wire_close(w, begin);
    }
}

static void post_fill(struct outputs *outputs, const struct engine_fill *fill)
{
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    const struct engine_party *parties[] = { &fill->maker, &fill->taker };
    size_t count = settlement_of_fill(config_of(outputs, &fill->record), fill, legs);
    struct wire *w = &outputs->postings;
    size_t begin = wire_open(w, 5);

    wire_uint(w, 1, fill->trade_id);
    wire_int(w, 2, fill->price_ticks);
    wire_int(w, 3, fill->quantity_lots);
    wire_uint(w, 4, fill->maker.order_id);
    wire_uint(w, 5, fill->taker.order_id);
    put_legs(w, legs, count);
    for (size_t i = 0; i < ARRAY_LEN(parties); i++)
        put_order_state(w, &(struct order_state){ .order_id = parties[i]->order_id,
                               .user_id = parties[i]->user_id,
                               .status = parties[i]->status,
                               .filled_lots = parties[i]->filled_lots,
                               .remaining_lots = parties[i]->remaining_lots });
    wire_uint(w, 8, fill->record.side);
    wire_int(w, 9, fill->maker.fee_minor);
    wire_int(w, 10, fill->taker.fee_minor);
    wire_close(w, begin);
    outputs->postings_count++;
}

/* A posting that is no trade: an order's new state, and what it no longer holds. */
static void post_release(struct outputs *outputs, const struct engine_record *record, const struct order_state *state,
    int64_t released_minor)
{
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    size_t count = settlement_of_release(
        config_of(outputs, record), (enum engine_side)record->side, state->user_id, released_minor, legs);
    struct wire *w = &outputs->postings;
    size_t begin = wire_open(w, 5);

    put_legs(w, legs, count);
    put_order_state(w, state);
    wire_close(w, begin);
    outputs->postings_count++;
}

static void note_order_changes(struct outputs *outputs, const struct engine_record *record)
{
    struct engine_order_change changes[2];
    size_t count = engine_level3_of(record, changes);
    struct wire *w = &outputs->order_changes;

    for (size_t i = 0; i < count; i++) {
        size_t begin = wire_open(w, 3);

        wire_uint(w, 1, changes[i].order_id);
        wire_uint(w, 2, changes[i].side);
        wire_int(w, 3, changes[i].price_ticks);
        wire_int(w, 4, changes[i].visible_lots);
        wire_uint(w, 5, changes[i].requeued);
        wire_close(w, begin);
    }
    outputs->orders_count += count;
}

static struct wire *begin_group_event(
    struct outputs *outputs, const struct engine_market_config *config, uint64_t part_seq)
{
    struct wire *w = &outputs->message;

    wire_clear(w);
    wire_text(w, 1, config->symbol, strlen(config->symbol));
    wire_uint(w, 2, part_seq);
    return w;
}

static void emit_postings(struct outputs *outputs, const struct engine_group *group, uint64_t seq)
{
    const struct engine_market_config *config = config_of(outputs, &group->record);
    struct wire *w = begin_group_event(outputs, config, group->posting_seq);

    assert(outputs->postings_count == group->postings);
    wire_uint(w, 3, seq);
    wire_int(w, 4, group->record.at_us);
    wire_append(w, &outputs->postings);
    wire_clear(&outputs->postings);
    outputs->postings_count = 0;
    emit(outputs, OUTPUT_POSTINGS, "penstock.ledger.v1.PostingsEmitted", &group->record, config->symbol,
        group->posting_seq);
}

static void emit_book(struct outputs *outputs, const struct engine_group *group, uint64_t seq)
{
    const struct engine_market_config *config = config_of(outputs, &group->record);
    struct wire *w = begin_group_event(outputs, config, group->book_seq);

    for (size_t i = 0; i < group->levels; i++) {
        const struct engine_level_change *change = &group->changes[i];
        size_t begin = wire_open(w, 3);

        wire_uint(w, 1, change->side);
        wire_int(w, 2, change->price_ticks);
        wire_int(w, 3, change->total_lots);
        wire_uint(w, 4, change->orders);
        wire_close(w, begin);
    }
    wire_uint(w, 4, seq);
    wire_int(w, 5, group->record.at_us);
    if (group->last)
        wire_uint(w, 6, engine_book_checksum(outputs->engine, group->record.market));
    emit(outputs, OUTPUT_BOOK, "penstock.market_data.v1.BookChanged", &group->record, config->symbol, group->book_seq);
}

static void emit_orders(struct outputs *outputs, const struct engine_group *group, uint64_t seq)
{
    const struct engine_market_config *config = config_of(outputs, &group->record);
    struct wire *w = begin_group_event(outputs, config, group->orders_seq);

    assert(outputs->orders_count == group->orders);
    wire_append(w, &outputs->order_changes);
    wire_uint(w, 4, seq);
    wire_int(w, 5, group->record.at_us);
    wire_clear(&outputs->order_changes);
    outputs->orders_count = 0;
    emit(outputs, OUTPUT_ORDERS, "penstock.market_data.v1.BookOrdersChanged", &group->record, config->symbol,
        group->orders_seq);
}

static void emit_group(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_group *group = (const void *)record;
    uint64_t seq = record->seq;

    if (group->postings > 0)
        emit_postings(outputs, group, seq++);
    if (group->levels > 0)
        emit_book(outputs, group, seq++);
    if (group->orders > 0)
        emit_orders(outputs, group, seq);
}

/* ---- Trades and order events ---- */

static void emit_order_filled(struct outputs *outputs, const struct engine_fill *fill, bool is_taker)
{
    enum { MAKER = 1, TAKER = 2 };
    const struct engine_party *party = is_taker ? &fill->taker : &fill->maker;
    bool buys = is_taker == (fill->record.side == ENGINE_BUY);
    uint64_t seq = fill->record.seq + (is_taker ? 2 : 1);
    struct wire *w = begin_order_event(outputs, &fill->record, party->order_id, party->user_id);

    wire_uint(w, 4, fill->trade_id);
    wire_uint(w, 5, buys ? ENGINE_BUY : ENGINE_SELL);
    wire_uint(w, 6, is_taker ? TAKER : MAKER);
    wire_int(w, 7, fill->price_ticks);
    wire_int(w, 8, fill->quantity_lots);
    wire_int(w, 9, party->remaining_lots);
    wire_uint(w, 10, party->status);
    wire_int(w, 11, party->fee_minor);
    wire_uint(w, 12, seq);
    wire_int(w, 13, fill->record.at_us);
    emit_order_event(outputs, "penstock.orders.v1.OrderFilled", &fill->record, party->user_id, seq);
}

static void emit_fill(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_fill *fill = (const void *)record;
    const char *symbol = config_of(outputs, record)->symbol;
    struct wire *w = &outputs->message;

    wire_clear(w);
    wire_uint(w, 1, fill->trade_id);
    wire_text(w, 2, symbol, strlen(symbol));
    wire_int(w, 3, fill->price_ticks);
    wire_int(w, 4, fill->quantity_lots);
    wire_uint(w, 5, record->side);
    wire_uint(w, 6, fill->maker.order_id);
    wire_uint(w, 7, fill->taker.order_id);
    wire_uint(w, 8, record->seq);
    wire_int(w, 9, record->at_us);
    emit(outputs, OUTPUT_TRADES, "penstock.trades.v1.TradeExecuted", record, symbol, fill->trade_id);
    emit_order_filled(outputs, fill, false);
    emit_order_filled(outputs, fill, true);
    post_fill(outputs, fill);
    outputs->stats.fills++;
}

static void emit_opened(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_opened *opened = (const void *)record;
    struct wire *w = begin_order_event(outputs, record, opened->order_id, opened->user_id);

    wire_int(w, 4, opened->remaining_lots);
    wire_uint(w, 5, record->seq);
    wire_int(w, 6, record->at_us);
    emit_order_event(outputs, "penstock.orders.v1.OrderOpened", record, opened->user_id, record->seq);
}

static void emit_closed(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_closed *closed = (const void *)record;
    struct wire *w = begin_order_event(outputs, record, closed->order_id, closed->user_id);

    wire_uint(w, 4, closed->reason);
    wire_int(w, 5, closed->remaining_lots);
    wire_uint(w, 6, closed->status);
    wire_uint(w, 7, record->seq);
    wire_int(w, 8, record->at_us);
    emit_order_event(outputs, "penstock.orders.v1.OrderCancelled", record, closed->user_id, record->seq);
    post_release(outputs, record,
        &(struct order_state){ .order_id = closed->order_id,
            .user_id = closed->user_id,
            .status = closed->status,
            .reason = closed->reason,
            .filled_lots = closed->filled_lots,
            .remaining_lots = closed->remaining_lots },
        closed->released_minor);
}

static void emit_cancel_rejected(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_cancel_rejected *rejected = (const void *)record;
    const char *problem = rejected->known ? "order-not-found" : "order-not-open";
    const char *text = rejected->known ? "there is no such order of yours" : "the order is no longer open";
    struct wire *w = begin_order_event(outputs, record, rejected->order_id, rejected->user_id);

    wire_text(w, 4, problem, strlen(problem));
    wire_text(w, 5, text, strlen(text));
    wire_uint(w, 8, record->seq);
    wire_int(w, 9, record->at_us);
    emit_order_event(outputs, "penstock.orders.v1.CancelRejected", record, rejected->user_id, record->seq);
}

static void emit_triggered(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_triggered *triggered = (const void *)record;
    struct wire *w = begin_order_event(outputs, record, triggered->order_id, triggered->user_id);

    wire_int(w, 4, triggered->last_price_ticks);
    wire_uint(w, 5, record->seq);
    wire_int(w, 6, record->at_us);
    emit_order_event(outputs, "penstock.orders.v1.OrderTriggered", record, triggered->user_id, record->seq);
}

static void emit_amended(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_amended *amended = (const void *)record;
    struct wire *w = begin_order_event(outputs, record, amended->order_id, amended->user_id);

    wire_uint(w, 4, amended->amend_id);
    wire_int(w, 5, amended->price_ticks);
    wire_int(w, 6, amended->quantity_lots);
    wire_int(w, 7, amended->remaining_lots);
    wire_uint(w, 8, amended->kept_priority);
    wire_uint(w, 9, record->seq);
    wire_int(w, 10, record->at_us);
    emit_order_event(outputs, "penstock.orders.v1.OrderAmended", record, amended->user_id, record->seq);
    post_release(outputs, record,
        &(struct order_state){ .order_id = amended->order_id,
            .user_id = amended->user_id,
            .status = amended->status,
            .filled_lots = amended->filled_lots,
            .remaining_lots = amended->remaining_lots,
            .price_ticks = amended->price_ticks,
            .quantity_lots = amended->quantity_lots,
            .amend_id = amended->amend_id },
        amended->released_minor);
}

static void emit_amend_rejected(struct outputs *outputs, const struct engine_record *record)
{
    const struct engine_amend_rejected *rejected = (const void *)record;
    const char *problem = engine_amend_problem_name((enum engine_amend_problem)rejected->problem);
    const char *text = engine_amend_problem_text((enum engine_amend_problem)rejected->problem);
    struct wire *w = begin_order_event(outputs, record, rejected->order_id, rejected->user_id);

    wire_uint(w, 4, rejected->amend_id);
    wire_text(w, 5, problem, strlen(problem));
    wire_text(w, 6, text, strlen(text));
    wire_uint(w, 9, record->seq);
    wire_int(w, 10, record->at_us);
    emit_order_event(outputs, "penstock.orders.v1.AmendRejected", record, rejected->user_id, record->seq);
    post_release(outputs, record,
        &(struct order_state){ .order_id = rejected->order_id,
            .user_id = rejected->user_id,
            .status = rejected->status,
            .filled_lots = rejected->filled_lots,
            .remaining_lots = rejected->remaining_lots,
            .amend_id = rejected->amend_id },
        rejected->released_minor);
}

void outputs_records(void *context, const struct engine_record *first, size_t size)
{
    static void (*const emitters[])(struct outputs *, const struct engine_record *) = {
        [ENGINE_RECORD_FILL] = emit_fill,
        [ENGINE_RECORD_OPENED] = emit_opened,
        [ENGINE_RECORD_CLOSED] = emit_closed,
        [ENGINE_RECORD_CANCEL_REJECTED] = emit_cancel_rejected,
        [ENGINE_RECORD_TRIGGERED] = emit_triggered,
        [ENGINE_RECORD_AMENDED] = emit_amended,
        [ENGINE_RECORD_AMEND_REJECTED] = emit_amend_rejected,
        [ENGINE_RECORD_GROUP] = emit_group,
    };
    struct outputs *outputs = context;

    if (outputs->muted)
        return;
    for (engine_each_record(record, first, size)) {
        assert(record->kind > 0 && record->kind < ARRAY_LEN(emitters));
        emitters[record->kind](outputs, record);
        note_order_changes(outputs, record);
    }
}

/* ---- Headers ---- */

static void add_header(rd_kafka_headers_t *list, const char *name, size_t name_len, const char *value)
{
    size_t len = strlen(value);

    if (len > 0)
        rd_kafka_header_add(list, name, (ssize_t)name_len, value, (ssize_t)len);
}

#define ADD_HEADER(list, name, value) add_header(list, name, sizeof name - 1, value)

rd_kafka_headers_t *output_headers(const struct output *output)
{
    if (output->headers)
        return rd_kafka_headers_copy(output->headers);

    rd_kafka_headers_t *list = rd_kafka_headers_new(HEADERS);

    ADD_HEADER(list, "ce_specversion", "1.0");
    ADD_HEADER(list, "ce_id", output->event.id);
    ADD_HEADER(list, "ce_source", SOURCE);
    ADD_HEADER(list, "ce_type", output->event.type);
    ADD_HEADER(list, "ce_time", output->time);
    ADD_HEADER(list, "ce_subject", output->event.subject);
    ADD_HEADER(list, "content-type", "application/protobuf");
    ADD_HEADER(list, "traceparent", output->event.traceparent);
    return list;
}

/* ---- Dead letters ---- */

static struct bytes copy(struct arena *arena, const void *data, size_t len)
{
    if (!data)
        return (struct bytes){ NULL, 0 };

    void *copied = arena_alloc(arena, len + 1);

    memcpy(copied, data, len);
    return (struct bytes){ copied, len };
}

void outputs_dead_letter(
    struct outputs *outputs, const rd_kafka_message_t *message, const char *bare_topic, const struct error *why)
{
    if (outputs->muted)
        return;

    char partition[16], offset[24];
    rd_kafka_headers_t *original = NULL;
    struct output *output = add(outputs);

    snprintf(partition, sizeof partition, "%d", message->partition);
    snprintf(offset, sizeof offset, "%ld", message->offset);
    output->topic = OUTPUT_DEAD;
    output->time = "";
    output->event.topic = output_topic_names[OUTPUT_DEAD];
    output->event.key = copy(outputs->arena, message->key, message->key_len);
    output->event.value = copy(outputs->arena, message->payload, message->len);
    output->headers = rd_kafka_message_headers(message, &original) == RD_KAFKA_RESP_ERR_NO_ERROR
                          ? rd_kafka_headers_copy(original)
                          : rd_kafka_headers_new(8);

    const char *const added[][2] = {
        { "dlq_reason", why->message },
        { "dlq_field", why->field },
        { "dlq_kind", error_kind_name(why->kind) },
        { "dlq_topic", bare_topic },
        { "dlq_partition", partition },
        { "dlq_offset", offset },
        { "dlq_group", GROUP },
    };

    for (size_t i = 0; i < ARRAY_LEN(added); i++)
        rd_kafka_header_add(output->headers, added[i][0], -1, added[i][1], -1);
    outputs->stats.dead_letters++;
}
