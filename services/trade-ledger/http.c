/* HTTP in: JSON → command → reply. */
#include "http.h"

#include "../chassis/metrics.h"
#include "../chassis/service.h"
#include "commands.h"

#include <event_bus/event.h>

#include <stdlib.h>
#include <string.h>

struct name {
    const char *name;
    int value;
};

/* Names are matched as they are written: an unknown one is refused, never replaced. */
static bool enum_from_json(const json_t *json, const char *field, const struct name *names, bool needed, int fallback,
    int *ret_value, struct error *e)
{
    const char *text = NULL;
    if (!(needed ? json_get_string(json, field, &text, e) : json_opt_string(json, field, NULL, &text, e)))
        return false;
    *ret_value = fallback;
    if (!text)
        return true;
    const struct name *known = names;
    while (known->name && strcmp(known->name, text) != 0)
        known++;
    *ret_value = known->value;
    return known->name || error_field(e, ERROR_INVALID, "unknown-value", field, "%s has an unknown value", field);
}

static const struct name sides[] = { { "buy", SIDE_BUY }, { "sell", SIDE_SELL }, { NULL, 0 } };
static const struct name types[] = { { "limit", ORDER_LIMIT }, { "market", ORDER_MARKET }, { "stop", ORDER_STOP },
    { "stop_limit", ORDER_STOP_LIMIT }, { NULL, 0 } };
static const struct name tifs[] = { { "GTC", TIF_GTC }, { "IOC", TIF_IOC }, { "FOK", TIF_FOK }, { "GTD", TIF_GTD },
    { NULL, 0 } };

static const struct name post_only_modes[] = { { "reject", POST_ONLY_REJECT }, { "slide", POST_ONLY_SLIDE },
    { NULL, 0 } };
static const struct name self_trade_modes[] = { { "cancel_newest", SELF_TRADE_CANCEL_NEWEST },
    { "cancel_oldest", SELF_TRADE_CANCEL_NEWEST + 1 }, { "cancel_both", SELF_TRADE_CANCEL_NEWEST + 2 },
    { "decrement", SELF_TRADE_DECREMENT }, { NULL, 0 } };

static bool time_from_json(const json_t *json, const char *field, int64_t *ret_us, struct error *e)
{
    const char *text = NULL;
    *ret_us = 0;
    if (!json_opt_string(json, field, NULL, &text, e))
        return false;
    return !text || event_time_parse(text, ret_us) ||
           error_field(e, ERROR_INVALID, "invalid-time", field, "%s must be a time as in RFC 3339", field);
}

static bool place_from_json(const json_t *json, struct order_request *place, struct error *e)
{
    static const char *const fields[] = { "symbol", "side", "type", "price", "quantity", "time_in_force", "post_only",
        "client_order_id", "stop_price", "quote_amount", "display_quantity", "expires_at", "post_only_mode",
        "self_trade_prevention", NULL };
    return json_only_fields(json, fields, e) && json_get_string(json, "symbol", &place->symbol, e) &&
           enum_from_json(json, "side", sides, true, 0, &place->side, e) &&
           enum_from_json(json, "type", types, true, 0, &place->type, e) &&
           json_opt_string(json, "price", "", &place->price, e) &&
           json_opt_string(json, "quantity", "", &place->quantity, e) &&
           enum_from_json(json, "time_in_force", tifs, false, TIF_DEFAULT, &place->time_in_force, e) &&
           json_opt_bool(json, "post_only", false, &place->post_only, e) &&
           json_opt_string(json, "client_order_id", "", &place->client_order_id, e) &&
           json_opt_string(json, "stop_price", "", &place->stop_price, e) &&
           json_opt_string(json, "quote_amount", "", &place->quote_amount, e) &&
           json_opt_string(json, "display_quantity", "", &place->display_quantity, e) &&
           time_from_json(json, "expires_at", &place->expires_at_us, e) &&
           enum_from_json(json, "post_only_mode", post_only_modes, false, 0, &place->post_only_mode, e) &&
           enum_from_json(json, "self_trade_prevention", self_trade_modes, false, 0, &place->self_trade_prevention, e);
}

static bool amend_from_json(const json_t *json, struct amend_request *wanted, struct error *e)
{
    static const char *const fields[] = { "price", "quantity", NULL };
    return json_only_fields(json, fields, e) && json_opt_string(json, "price", "", &wanted->price, e) &&
           json_opt_string(json, "quantity", "", &wanted->quantity, e);
}

static bool topup_from_json(const json_t *json, struct topup_request *topup, struct error *e)
{
    static const char *const fields[] = { "currency", "amount", "reference", NULL };
    return json_only_fields(json, fields, e) && json_get_string(json, "currency", &topup->currency, e) &&
           json_get_string(json, "amount", &topup->amount, e) &&
           json_opt_string(json, "reference", "", &topup->reference, e);
}

/* Two bodies that say the same, whatever their spacing and the order of their fields, are the same request. */
static void digest_json(struct command *command, const char *what, const json_t *json)
{
    char *canonical = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT);
    command_digest(command, what, (struct bytes){ canonical, strlen(canonical) });
    free(canonical);
}

static bool order_from_path(const struct http_request *request, struct cancel_request *ret, struct error *e)
{
    *ret = (struct cancel_request){ .client_order_id = "" };
    if (parse_id(request->params[0], "order_id", &ret->order_id, e))
        return true;
    return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
}

static bool command_from_request(
    const struct http_request *request, struct arena *arena, struct command *command, struct error *e)
{
    *command = (struct command){
        .user_id = request->claims.user_id,
        .source = arena_printf(arena, "user:%llu", (unsigned long long)request->claims.user_id),
        .request_source = "http",
        .request_id = request->idempotency_key,
        .traceparent = request->trace.parent,
    };
    if (strcmp(request->method, "DELETE") == 0) {
        command->kind = COMMAND_CANCEL_ORDER; /* needs no key: asked again it does no more */
        return order_from_path(request, &command->cancel, e);
    }
    if (strcmp(request->method, "PATCH") == 0) {
        command->kind = COMMAND_AMEND_ORDER; /* a key is not needed, but heeded */
        if (request->idempotency_key[0]) {
            command->key = request->idempotency_key;
            digest_json(command, arena_printf(arena, "PATCH %s", request->path), request->json);
        }
        return order_from_path(request, &command->amend.target, e) &&
               amend_from_json(request->json, &command->amend.wanted, e);
    }
    command->key = request->idempotency_key;
    if (command->key[0] == '\0')
        return error_field(
            e, ERROR_INVALID, "idempotency-key-missing", "Idempotency-Key", "an Idempotency-Key is needed");
    if (strcmp(request->path, "/fund/topup") == 0) {
        command->kind = COMMAND_TOP_UP;
        digest_json(command, "POST /fund/topup", request->json);
        return topup_from_json(request->json, &command->topup, e);
    }
    command->kind = COMMAND_PLACE_ORDER;
    digest_json(command, "POST /orders", request->json);
    return place_from_json(request->json, &command->place, e);
}

/* The problem of error_kind REFUSED with two members of its own (RFC 9457, 3.2). */
static void reply_insufficient(const struct command *command, struct http_call *call)
{
    json_t *problem = http_problem(&command->error, &call->request.trace);
    json_object_set_new(problem, "asset", json_string(command->short_asset));
    json_object_set_new(problem, "available", json_string(command->available));
    call->reply = (struct http_reply){
        .status = http_status(&command->error), .json = problem, .content_type = "application/problem+json"
    };
}

static void reply_to(const struct command *command, struct http_call *call)
{
    if (command->error.kind != ERROR_NONE && command->short_asset) {
        reply_insufficient(command, call);
        return;
    }
    if (command->error.kind != ERROR_NONE) {
        call->error = command->error;
        return;
    }
    call->reply = (struct http_reply){
        .status = command->status,
        .body = xstrdup(command->reply ? command->reply : "{}"),
        .body_len = strlen(command->reply ? command->reply : "{}"),
        .replayed = command->replayed,
    };
}

static void count_answers(const struct command *commands, size_t count)
{
    size_t done = 0, replayed = 0, refused = 0;
    for (size_t i = 0; i < count; i++) {
        refused += commands[i].error.kind != ERROR_NONE;
        replayed += commands[i].replayed;
        done += commands[i].error.kind == ERROR_NONE && !commands[i].replayed;
    }
    static const char name[] = "ledger_commands_total", help[] = "Commands over HTTP by outcome";
    metric_add(metric_counter(name, "outcome=\"done\"", help), done);
    metric_add(metric_counter(name, "outcome=\"replayed\"", help), replayed);
    metric_add(metric_counter(name, "outcome=\"refused\"", help), refused);
}

bool http_commands(struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    struct command *commands = arena_alloc(arena, (count + 1) * sizeof *commands);
    struct http_call **asking = arena_alloc(arena, (count + 1) * sizeof(struct http_call *));
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (!command_from_request(&calls[i]->request, arena, &commands[asked], &calls[i]->error))
            continue;
        asking[asked++] = calls[i];
    }
    if (!commands_run(pg, outbox, service_state(), arena, commands, asked, now_us(), e))
        return false;
    for (size_t i = 0; i < asked; i++)
        reply_to(&commands[i], asking[i]);
    count_answers(commands, asked);
    crash_point("ledger.decided");
    return true;
}
