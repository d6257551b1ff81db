#include "outputs.h"

#include "ledger_v1.pb-c.h"
#include "market_data_v1.pb-c.h"
#include "settlement.h"
#include "trades_v1.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SOURCE "/penstock/matching-engine"
#define GROUP  "matching-engine"

const char *const output_topic_names[OUTPUT_TOPICS] = {
    [OUTPUT_TRADES] = "trades.v1",
    [OUTPUT_EVENTS] = "orders.events.v1",
    [OUTPUT_POSTINGS] = "ledger.postings.v1",
    [OUTPUT_BOOK] = "market.book.v1",
    [OUTPUT_DEAD] = "orders.accepted.v1.matching-engine.dead",
};

/* The shorthand of a topic in ce_id. */
static const char *const shorthands[OUTPUT_TOPICS] = {
    [OUTPUT_TRADES] = "trades",
    [OUTPUT_EVENTS] = "events",
    [OUTPUT_POSTINGS] = "postings",
    [OUTPUT_BOOK] = "book",
};

struct outputs {
    struct arena *arena;
    struct output *items;
    size_t count, capacity;
    const struct engine *engine;
    const char *traceparent; /* of the command at hand */
    bool muted;
    Penstock__Ledger__V1__Posting *postings[ENGINE_POSTINGS_MAX]; /* since the last POSTINGS record */
    size_t postings_count;
    struct outputs_stats stats;
};

struct outputs *outputs_new(void)
{
    struct outputs *outputs = xcalloc(1, sizeof *outputs);

    outputs->arena = arena_new();
    outputs->traceparent = "";
    return outputs;
}

void outputs_free(struct outputs *outputs)
{
    if (!outputs)
        return;
    outputs_clear(outputs);
    arena_free(outputs->arena);
    xfree(outputs->items);
    xfree(outputs);
}

void outputs_clear(struct outputs *outputs)
{
    assert(outputs->postings_count == 0);
    for (size_t i = 0; i < outputs->count; i++)
        if (outputs->items[i].headers)
            rd_kafka_headers_destroy(outputs->items[i].headers);
    outputs->count = 0;
    outputs->traceparent = "";
    arena_clear(outputs->arena);
}

size_t outputs_count(const struct outputs *outputs)
{
    return outputs->count;
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

/* Encodes `message` into an event keyed by `key`; n is its number within symbol and topic. */
static void emit(struct outputs *outputs, enum output_topic topic, const struct engine_record *record, const char *key,
    uint64_t n, const ProtobufCMessage *message)
{
    const char *symbol = engine_market_get(outputs->engine, record->market)->config.symbol;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *value = arena_alloc(outputs->arena, len);
    struct output *output = add(outputs);

    protobuf_c_message_pack(message, value);
    output->topic = topic;
    output->event = (struct event){
        .topic = output_topic_names[topic],
        .key = { key, strlen(key) },
        .id = arena_printf(outputs->arena, "%s-%s-%lu", symbol, shorthands[topic], n),
        .source = SOURCE,
        .type = message->descriptor->name,
        .subject = key,
        .traceparent = outputs->traceparent,
        .time_us = record->at_us,
        .value = { value, len },
    };
}

static char *symbol_of(const struct outputs *outputs, const struct engine_record *record)
{
    /* protobuf-c wants a char * and does not write to it. */
    return (char *)engine_market_get(outputs->engine, record->market)->config.symbol;
}

static const char *user_key(struct outputs *outputs, uint64_t user_id)
{
    return arena_printf(outputs->arena, "%lu", user_id);
}

/* ---- Postings: gathered until the record that closes the group ---- */

static void add_legs(
    struct outputs *outputs, Penstock__Ledger__V1__Posting *posting, const struct settlement_leg *legs, size_t count)
{
    posting->legs = arena_alloc(outputs->arena, count * sizeof *posting->legs);
    posting->n_legs = count;
    for (size_t i = 0; i < count; i++) {
        Penstock__Ledger__V1__Leg *leg = arena_alloc(outputs->arena, sizeof *leg);

        *leg = (Penstock__Ledger__V1__Leg)PENSTOCK__LEDGER__V1__LEG__INIT;
        leg->owner_id = legs[i].owner_id;
        leg->kind = (Penstock__Ledger__V1__AccountKind)legs[i].kind;
        leg->asset_id = legs[i].asset_id;
        leg->available_delta_minor = legs[i].available_delta_minor;
        leg->held_delta_minor = legs[i].held_delta_minor;
        posting->legs[i] = leg;
    }
}

static Penstock__Ledger__V1__OrderState *order_state(
    struct outputs *outputs, uint64_t order_id, uint64_t user_id, int64_t filled_lots, int64_t remaining_lots)
{
    Penstock__Ledger__V1__OrderState *state = arena_alloc(outputs->arena, sizeof *state);

    *state = (Penstock__Ledger__V1__OrderState)PENSTOCK__LEDGER__V1__ORDER_STATE__INIT;
    state->order_id = order_id;
    state->user_id = user_id;
    state->filled_lots = filled_lots;
    state->remaining_lots = remaining_lots;
    state->status = remaining_lots > 0 ? PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_PARTIALLY_FILLED
                                       : PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_FILLED;
    return state;
}

static Penstock__Ledger__V1__Posting *posting_new(struct outputs *outputs, size_t orders)
{
    Penstock__Ledger__V1__Posting *posting = arena_alloc(outputs->arena, sizeof *posting);

    assert(outputs->postings_count < ENGINE_POSTINGS_MAX);
    *posting = (Penstock__Ledger__V1__Posting)PENSTOCK__LEDGER__V1__POSTING__INIT;
    posting->orders = arena_alloc(outputs->arena, orders * sizeof *posting->orders);
    posting->n_orders = orders;
    outputs->postings[outputs->postings_count++] = posting;
    return posting;
}

static void post_fill(struct outputs *outputs, const struct engine_fill *fill)
{
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    Penstock__Ledger__V1__Posting *posting = posting_new(outputs, 2);
    const struct engine_market_config *config = &engine_market_get(outputs->engine, fill->record.market)->config;

    posting->trade_id = fill->trade_id;
    posting->price_ticks = fill->price_ticks;
    posting->quantity_lots = fill->quantity_lots;
    posting->maker_order_id = fill->maker.order_id;
    posting->taker_order_id = fill->taker.order_id;
    posting->taker_side = (Penstock__Orders__V1__Side)fill->record.side;
    posting->maker_fee_minor = fill->maker.fee_minor;
    posting->taker_fee_minor = fill->taker.fee_minor;
    posting->orders[0] = order_state(
        outputs, fill->maker.order_id, fill->maker.user_id, fill->maker.filled_lots, fill->maker.remaining_lots);
    posting->orders[1] = order_state(
        outputs, fill->taker.order_id, fill->taker.user_id, fill->taker.filled_lots, fill->taker.remaining_lots);
    add_legs(outputs, posting, legs, settlement_of_fill(config, fill, legs));
}

static void post_release(struct outputs *outputs, const struct engine_closed *closed)
{
    struct settlement_leg legs[SETTLEMENT_LEGS_MAX];
    Penstock__Ledger__V1__Posting *posting = posting_new(outputs, 1);
    const struct engine_market_config *config = &engine_market_get(outputs->engine, closed->record.market)->config;

    posting->orders[0] =
        order_state(outputs, closed->order_id, closed->user_id, closed->filled_lots, closed->remaining_lots);
    posting->orders[0]->status = (Penstock__Orders__V1__OrderStatus)closed->status;
    posting->orders[0]->reason = (Penstock__Orders__V1__CancelReason)closed->reason;
    add_legs(outputs, posting, legs,
        settlement_of_release(
            config, (enum engine_side)closed->record.side, closed->user_id, closed->released_minor, legs));
}

static void emit_postings(struct outputs *outputs, const struct engine_group *record)
{
    Penstock__Ledger__V1__PostingsEmitted message = PENSTOCK__LEDGER__V1__POSTINGS_EMITTED__INIT;

    assert(outputs->postings_count == record->postings);
    message.symbol = symbol_of(outputs, &record->record);
    message.posting_seq = record->posting_seq;
    message.seq = record->record.seq;
    message.at_us = record->record.at_us;
    message.n_postings = outputs->postings_count;
    message.postings = outputs->postings;
    emit(outputs, OUTPUT_POSTINGS, &record->record, message.symbol, record->posting_seq, &message.base);
    outputs->postings_count = 0;
}

/* ---- Trades and order events ---- */

static void emit_order_filled(struct outputs *outputs, const struct engine_fill *fill, const struct engine_party *party,
    Penstock__Orders__V1__Liquidity liquidity, uint64_t seq)
{
    Penstock__Orders__V1__OrderFilled message = PENSTOCK__ORDERS__V1__ORDER_FILLED__INIT;
    bool is_taker = liquidity == PENSTOCK__ORDERS__V1__LIQUIDITY__LIQUIDITY_TAKER;
    bool taker_buys = fill->record.side == ENGINE_BUY;

    message.order_id = party->order_id;
    message.user_id = party->user_id;
    message.symbol = symbol_of(outputs, &fill->record);
    message.trade_id = fill->trade_id;
    message.side =
        is_taker == taker_buys ? PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY : PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL;
    message.liquidity = liquidity;
    message.price_ticks = fill->price_ticks;
    message.quantity_lots = fill->quantity_lots;
    message.remaining_lots = party->remaining_lots;
    message.status = party->remaining_lots > 0 ? PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_PARTIALLY_FILLED
                                               : PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_FILLED;
    message.fee_minor = party->fee_minor;
    message.seq = seq;
    message.at_us = fill->record.at_us;
    emit(outputs, OUTPUT_EVENTS, &fill->record, user_key(outputs, party->user_id), seq, &message.base);
}

static void emit_fill(struct outputs *outputs, const struct engine_fill *fill)
{
    Penstock__Trades__V1__TradeExecuted trade = PENSTOCK__TRADES__V1__TRADE_EXECUTED__INIT;

    trade.trade_id = fill->trade_id;
    trade.symbol = symbol_of(outputs, &fill->record);
    trade.price_ticks = fill->price_ticks;
    trade.quantity_lots = fill->quantity_lots;
    trade.taker_side = (Penstock__Orders__V1__Side)fill->record.side;
    trade.maker_order_id = fill->maker.order_id;
    trade.taker_order_id = fill->taker.order_id;
    trade.seq = fill->record.seq;
    trade.at_us = fill->record.at_us;
    emit(outputs, OUTPUT_TRADES, &fill->record, trade.symbol, fill->trade_id, &trade.base);
    emit_order_filled(
        outputs, fill, &fill->maker, PENSTOCK__ORDERS__V1__LIQUIDITY__LIQUIDITY_MAKER, fill->record.seq + 1);
    emit_order_filled(
        outputs, fill, &fill->taker, PENSTOCK__ORDERS__V1__LIQUIDITY__LIQUIDITY_TAKER, fill->record.seq + 2);
    post_fill(outputs, fill);
    outputs->stats.fills++;
}

static void emit_opened(struct outputs *outputs, const struct engine_opened *opened)
{
    Penstock__Orders__V1__OrderOpened message = PENSTOCK__ORDERS__V1__ORDER_OPENED__INIT;

    message.order_id = opened->order_id;
    message.user_id = opened->user_id;
    message.symbol = symbol_of(outputs, &opened->record);
    message.open_lots = opened->remaining_lots;
    message.seq = opened->record.seq;
    message.at_us = opened->record.at_us;
    emit(outputs, OUTPUT_EVENTS, &opened->record, user_key(outputs, opened->user_id), message.seq, &message.base);
}

static void emit_closed(struct outputs *outputs, const struct engine_closed *closed)
{
    Penstock__Orders__V1__OrderCancelled message = PENSTOCK__ORDERS__V1__ORDER_CANCELLED__INIT;

    message.order_id = closed->order_id;
    message.user_id = closed->user_id;
    message.symbol = symbol_of(outputs, &closed->record);
    message.reason = (Penstock__Orders__V1__CancelReason)closed->reason;
    message.remaining_lots = closed->remaining_lots;
    message.status = (Penstock__Orders__V1__OrderStatus)closed->status;
    message.seq = closed->record.seq;
    message.at_us = closed->record.at_us;
    emit(outputs, OUTPUT_EVENTS, &closed->record, user_key(outputs, closed->user_id), message.seq, &message.base);
    post_release(outputs, closed);
}

static void emit_cancel_rejected(struct outputs *outputs, const struct engine_cancel_rejected *rejected)
{
    Penstock__Orders__V1__CancelRejected message = PENSTOCK__ORDERS__V1__CANCEL_REJECTED__INIT;

    message.order_id = rejected->order_id;
    message.user_id = rejected->user_id;
    message.symbol = symbol_of(outputs, &rejected->record);
    message.problem = rejected->known ? "order-not-found" : "order-not-open";
    message.message = rejected->known ? "there is no such order of yours" : "the order is no longer open";
    message.seq = rejected->record.seq;
    message.at_us = rejected->record.at_us;
    emit(outputs, OUTPUT_EVENTS, &rejected->record, user_key(outputs, rejected->user_id), message.seq, &message.base);
}

static void emit_book(struct outputs *outputs, const struct engine_group *record)
{
    Penstock__MarketData__V1__BookChanged message = PENSTOCK__MARKET_DATA__V1__BOOK_CHANGED__INIT;

    message.changes = arena_alloc(outputs->arena, record->levels * sizeof *message.changes);
    message.n_changes = record->levels;
    for (size_t i = 0; i < record->levels; i++) {
        Penstock__MarketData__V1__LevelChange *change = arena_alloc(outputs->arena, sizeof *change);

        *change = (Penstock__MarketData__V1__LevelChange)PENSTOCK__MARKET_DATA__V1__LEVEL_CHANGE__INIT;
        change->side = (Penstock__Orders__V1__Side)record->changes[i].side;
        change->price_ticks = record->changes[i].price_ticks;
        change->quantity_lots = record->changes[i].total_lots;
        change->orders = record->changes[i].orders;
        message.changes[i] = change;
    }
    message.symbol = symbol_of(outputs, &record->record);
    message.book_seq = record->book_seq;
    message.seq = record->record.seq + (record->postings > 0);
    message.at_us = record->record.at_us;
    emit(outputs, OUTPUT_BOOK, &record->record, message.symbol, record->book_seq, &message.base);
}

static void emit_group(struct outputs *outputs, const struct engine_group *group)
{
    if (group->postings > 0)
        emit_postings(outputs, group);
    if (group->levels > 0)
        emit_book(outputs, group);
}

void outputs_records(void *context, const struct engine_record *first, size_t size)
{
    struct outputs *outputs = context;
    const char *end = (const char *)first + size;

    if (outputs->muted)
        return;
    for (const struct engine_record *record = first; (const char *)record < end;
         record = (const void *)((const char *)record + record->size))
        switch ((enum engine_record_kind)record->kind) {
        case ENGINE_RECORD_FILL:
            emit_fill(outputs, (const void *)record);
            break;
        case ENGINE_RECORD_OPENED:
            emit_opened(outputs, (const void *)record);
            break;
        case ENGINE_RECORD_CLOSED:
            emit_closed(outputs, (const void *)record);
            break;
        case ENGINE_RECORD_CANCEL_REJECTED:
            emit_cancel_rejected(outputs, (const void *)record);
            break;
        case ENGINE_RECORD_GROUP:
            emit_group(outputs, (const void *)record);
            break;
        case ENGINE_RECORD_TRIGGERED:
        case ENGINE_RECORD_AMENDED:
        case ENGINE_RECORD_AMEND_REJECTED:
            break; /* the core gives none of them yet */
        }
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
