/* Events in: what arrives from Kafka becomes commands. (What goes out is in facts.c.) */
#include "events.h"

#include "commands_postings.h"
#include "sql.h"

#include <event_bus/error.h>

#include <identity_v1.pb-c.h>
#include <orders_v1.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <topups_v1.pb-c.h>

/* Messages of one batch: commands borrow their texts. */
struct messages {
    ProtobufCMessage **items; /* NULL where nothing could be decoded */
    size_t count;
};

static void messages_release(struct messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        if (messages->items[i])
            protobuf_c_message_free_unpacked(messages->items[i], NULL);
    }
    xfree(messages->items);
}

static const void *field_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->offset;
}

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return true;
    return *(const uint32_t *)(const void *)((const char *)message + field->quantifier_offset) == field->id;
}

/* proto3 strings are UTF-8; protobuf-c does not look. Postgres and every other reader would choke on it later. */
static bool check_texts(const ProtobufCMessage *message, struct error *e)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING || field->label == PROTOBUF_C_LABEL_REPEATED ||
            !is_set(message, field))
            continue;
        const char *text = *(char *const *)field_at(message, field);
        if (text && !input_is_clean(text))
            return error_field(e, ERROR_INVALID, "malformed-text", field->name, "%s is not clean UTF-8", field->name);
    }
    return true;
}

static bool decode(const struct event *event, const ProtobufCMessageDescriptor *descriptor,
    ProtobufCMessage **ret_message, struct error *e)
{
    ProtobufCMessage *message;
    if (!event_decode(event, descriptor, &message, e))
        return false;
    if (!check_texts(message, e)) {
        protobuf_c_message_free_unpacked(message, NULL);
        return false;
    }
    *ret_message = message;
    return true;
}

static void place_order_from(const Penstock__Orders__V1__PlaceOrder *message, struct command *command)
{
    command->kind = COMMAND_PLACE_ORDER;
    command->user_id = message->client_id;
    command->place = (struct order_request){
        .symbol = message->symbol,
        .side = (int)message->side,
        .type = (int)message->type,
        .time_in_force = (int)message->time_in_force,
        .price = message->price,
        .quantity = message->quantity,
        .client_order_id = message->client_order_id,
        .stop_price = message->stop_price,
        .quote_amount = message->quote_amount,
        .display_quantity = message->display_quantity,
        .expires_at_us = message->expires_at_us,
        .post_only_mode = (int)message->post_only_mode,
        .self_trade_prevention = (int)message->self_trade_prevention,
        .post_only = message->post_only,
    };
}

static void cancel_order_from(const Penstock__Orders__V1__CancelOrder *message, struct command *command)
{
    command->kind = COMMAND_CANCEL_ORDER;
    command->user_id = message->client_id;
    command->cancel = (struct cancel_request){ .client_order_id = "" };
    if (message->target_case == PENSTOCK__ORDERS__V1__CANCEL_ORDER__TARGET_ORDER_ID)
        command->cancel.order_id = message->order_id;
    else if (message->target_case == PENSTOCK__ORDERS__V1__CANCEL_ORDER__TARGET_CLIENT_ORDER_ID)
        command->cancel.client_order_id = message->client_order_id;
}

static void amend_order_from(const Penstock__Orders__V1__AmendOrder *message, struct command *command)
{
    command->kind = COMMAND_AMEND_ORDER;
    command->user_id = message->client_id;
    command->amend = (struct amend_command){ .target.client_order_id = "",
        .wanted = { .price = message->price, .quantity = message->quantity } };
    if (message->target_case == PENSTOCK__ORDERS__V1__AMEND_ORDER__TARGET_ORDER_ID)
        command->amend.target.order_id = message->order_id;
    else if (message->target_case == PENSTOCK__ORDERS__V1__AMEND_ORDER__TARGET_CLIENT_ORDER_ID)
        command->amend.target.client_order_id = message->client_order_id;
}

static void cancel_all_from(const Penstock__Orders__V1__CancelAllOrders *message, struct command *command)
{
    command->kind = COMMAND_CANCEL_ALL;
    command->user_id = message->client_id;
    command->cancel_all.symbol = message->symbol;
}

static void topup_from(const Penstock__Topups__V1__TopupRequested *message, struct command *command)
{
    command->kind = COMMAND_TOP_UP;
    command->user_id = message->client_id;
    command->topup = (struct topup_request){
        .currency = message->currency, .amount = message->amount, .reference = message->reference
    };
}

static void from_place(const ProtobufCMessage *message, struct command *command)
{
    place_order_from((const Penstock__Orders__V1__PlaceOrder *)message, command);
}

static void from_amend(const ProtobufCMessage *message, struct command *command)
{
    amend_order_from((const Penstock__Orders__V1__AmendOrder *)message, command);
}

static void from_cancel(const ProtobufCMessage *message, struct command *command)
{
    cancel_order_from((const Penstock__Orders__V1__CancelOrder *)message, command);
}

static void from_cancel_all(const ProtobufCMessage *message, struct command *command)
{
    cancel_all_from((const Penstock__Orders__V1__CancelAllOrders *)message, command);
}

static void from_topup(const ProtobufCMessage *message, struct command *command)
{
    topup_from((const Penstock__Topups__V1__TopupRequested *)message, command);
}

/* What each topic carries. */
static const struct request_kind {
    const char *topic;
    const ProtobufCMessageDescriptor *descriptor;
    void (*read)(const ProtobufCMessage *message, struct command *command);
} request_kinds[] = {
    { "orders.requests.v1", &penstock__orders__v1__place_order__descriptor, from_place },
    { "orders.requests.v1", &penstock__orders__v1__amend_order__descriptor, from_amend },
    { "orders.requests.v1", &penstock__orders__v1__cancel_order__descriptor, from_cancel },
    { "orders.requests.v1", &penstock__orders__v1__cancel_all_orders__descriptor, from_cancel_all },
    { "topups.requests.v1", &penstock__topups__v1__topup_requested__descriptor, from_topup },
};

static bool request_from_event(
    const struct event *event, ProtobufCMessage **ret_message, struct command *command, struct error *e)
{
    const struct request_kind *kind = NULL;
    if (!input_is_clean(event->source) || !input_is_clean(event->id))
        return error_field(e, ERROR_INVALID, "malformed-text", "ce_id", "ce_source or ce_id is not clean UTF-8");
    for (size_t i = 0; i < ARRAY_LEN(request_kinds); i++) {
        if (strcmp(event->topic, request_kinds[i].topic) == 0 &&
            strcmp(event->type, request_kinds[i].descriptor->name) == 0)
            kind = &request_kinds[i];
    }
    if (!kind)
        return error_field(
            e, ERROR_INVALID, "unknown-type", "ce_type", "%.64s is no request of this topic", event->type);
    if (!decode(event, kind->descriptor, ret_message, e))
        return false;
    kind->read(*ret_message, command);
    return true;
}

bool events_requests(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    __attribute__((cleanup(messages_release))) struct messages messages = { xcalloc(count, sizeof(ProtobufCMessage *)),
        count };
    struct command *commands = arena_alloc(arena, (count + 1) * sizeof *commands);
    size_t command_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &deliveries[i].event;
        struct command *command = &commands[command_count];
        if (deliveries[i].verdict.kind != ERROR_NONE)
            continue;
        *command = (struct command){
            .source = arena_printf(arena, "event:%s", event->source), /* nobody outside can claim an HTTP key */
            .key = event->id,
            .request_source = event->source,
            .request_id = event->id,
            .traceparent = event->traceparent,
            .by_event = true,
        };
        command_digest(command, event->type, event->value);
        if (request_from_event(event, &messages.items[i], command, &deliveries[i].verdict))
            command_count++;
    }
    return commands_run(pg, outbox, context, arena, commands, command_count, now_us(), e);
}

bool events_postings(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    __attribute__((cleanup(messages_release))) struct messages messages = { xcalloc(count, sizeof(ProtobufCMessage *)),
        count };
    Penstock__Ledger__V1__PostingsEmitted **events = arena_alloc(arena, (count + 1) * sizeof *events);
    for (size_t i = 0; i < count; i++) {
        events[i] = NULL;
        if (deliveries[i].verdict.kind == ERROR_NONE &&
            decode(&deliveries[i].event, &penstock__ledger__v1__postings_emitted__descriptor, &messages.items[i],
                &deliveries[i].verdict))
            events[i] = (Penstock__Ledger__V1__PostingsEmitted *)messages.items[i];
    }
    if (!postings_run(pg, outbox, context, arena, deliveries, events, count, now_us(), e))
        return false;
    crash_point("ledger.booked");
    return true;
}

/* Whoever has signed up can be paid, before he has an account. */
bool events_users(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    int64_t *ids = arena_alloc(arena, (count + 1) * sizeof *ids);
    size_t known = 0;
    (void)outbox, (void)context;
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *message;
        if (deliveries[i].verdict.kind != ERROR_NONE ||
            !decode(&deliveries[i].event, &penstock__identity__v1__user_signed_up__descriptor, &message,
                &deliveries[i].verdict))
            continue;
        uint64_t id = ((const Penstock__Identity__V1__UserSignedUp *)message)->user_id;
        protobuf_c_message_free_unpacked(message, NULL);
        if (id > 0 && id <= INT64_MAX)
            ids[known++] = (int64_t)id;
        else
            error_field(&deliveries[i].verdict, ERROR_REFUSED, "invalid-id", "user_id", "no user has this id");
    }
    if (known == 0)
        return true;
    pg_arg_int64s(pg, ids, known);
    return pg_send(pg, &sql_owners_add, NULL, e);
}
