/* JSON → command. */
#include "requests.h"

#include "requests_parts.h"

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

bool time_from_json(const json_t *json, const char *field, int64_t *ret_us, struct error *e)
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

/* A whole number within bounds. */
bool int_from_json(const json_t *json, const char *field, int64_t min, int64_t max, int64_t *ret_value, struct error *e)
{
    const json_t *value = json_object_get(json, field);
    if (!value)
        return error_field(e, ERROR_INVALID, "missing-field", field, "%s is missing", field);
    if (!json_is_integer(value))
        return error_field(e, ERROR_INVALID, "wrong-type", field, "%s must be a whole number", field);
    *ret_value = json_integer_value(value);
    if (*ret_value < min || *ret_value > max)
        return error_field(e, ERROR_REFUSED, "out-of-range", field, "%s must be within %lld and %lld", field,
            (long long)min, (long long)max);
    return true;
}

bool array_from_json(
    const json_t *json, const char *field, size_t min, size_t max, const json_t **ret_array, struct error *e)
{
    const json_t *array = json_object_get(json, field);
    if (!array)
        return error_field(e, ERROR_INVALID, "missing-field", field, "%s is missing", field);
    if (!json_is_array(array))
        return error_field(e, ERROR_INVALID, "wrong-type", field, "%s must be an array", field);
    if (json_array_size(array) < min || json_array_size(array) > max)
        return error_field(
            e, ERROR_REFUSED, "out-of-range", field, "%s must have %zu to %zu elements", field, min, max);
    *ret_array = array;
    return true;
}

/* A part of another command: its answer is a part of that one's. */
static struct command part_of(const struct command *whole)
{
    struct command part = *whole;
    part.kind = COMMAND_PLACE_ORDER;
    part.key = NULL;
    part.place = (struct order_request){ .symbol = "",
        .price = "",
        .quantity = "",
        .client_order_id = "",
        .stop_price = "",
        .quote_amount = "",
        .display_quantity = "" };
    return part;
}

/* Each element is an order of its own: what cannot be read of one is its answer, not that of the others. */
static bool batch_from_json(const json_t *json, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { "orders", NULL };
    const json_t *orders = NULL;
    if (!json_only_fields(json, fields, e) || !array_from_json(json, "orders", 1, BATCH_ORDERS_MAX, &orders, e))
        return false;
    command->many = (struct many){ .symbol = "", .count = json_array_size(orders) };
    command->many.each = arena_alloc(arena, command->many.count * sizeof *command->many.each);
    for (size_t i = 0; i < command->many.count; i++) {
        struct command *part = &command->many.each[i];
        const json_t *order = json_array_get(orders, i);
        *part = part_of(command);
        if (!json_is_object(order))
            error_field(&part->unread, ERROR_INVALID, "wrong-type", "orders", "an order must be an object");
        else if (!place_from_json(order, &part->place, &part->unread))
            part->place.symbol = part->place.symbol ? part->place.symbol : "";
    }
    return true;
}

static bool quote_from_json(const json_t *json, const char *symbol, struct order_request *place, struct error *e)
{
    static const char *const fields[] = { "side", "price", "quantity", "post_only", "post_only_mode",
        "self_trade_prevention", "client_order_id", NULL };
    place->symbol = symbol;
    place->type = ORDER_LIMIT;
    place->time_in_force = TIF_GTC;
    return json_only_fields(json, fields, e) && enum_from_json(json, "side", sides, true, 0, &place->side, e) &&
           json_get_string(json, "price", &place->price, e) && json_get_string(json, "quantity", &place->quantity, e) &&
           json_opt_bool(json, "post_only", false, &place->post_only, e) &&
           enum_from_json(json, "post_only_mode", post_only_modes, false, 0, &place->post_only_mode, e) &&
           enum_from_json(
               json, "self_trade_prevention", self_trade_modes, false, 0, &place->self_trade_prevention, e) &&
           json_opt_string(json, "client_order_id", "", &place->client_order_id, e);
}

/* All quotes or none: what is wrong with one is the answer, its field "quotes[3].price". */
static bool quotes_from_json(const json_t *json, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { "symbol", "quote_set", "quotes", NULL };
    const char *symbol = NULL;
    const json_t *quotes = NULL;
    int64_t set = 0;
    if (!json_only_fields(json, fields, e) || !json_get_string(json, "symbol", &symbol, e) ||
        !int_from_json(json, "quote_set", 1, QUOTE_SET_MAX, &set, e) ||
        !array_from_json(json, "quotes", 0, BATCH_ORDERS_MAX, &quotes, e))
        return false;
    command->many = (struct many){ .symbol = symbol, .quote_set = (int32_t)set, .count = json_array_size(quotes) };
    command->many.each = arena_alloc(arena, (command->many.count + 1) * sizeof *command->many.each);
    for (size_t i = 0; i < command->many.count; i++) {
        struct command *part = &command->many.each[i];
        const json_t *quote = json_array_get(quotes, i);
        *part = part_of(command);
        if (!json_is_object(quote))
            error_field(e, ERROR_INVALID, "wrong-type", "", "a quote must be an object");
        if (e->kind != ERROR_NONE || !quote_from_json(quote, symbol, &part->place, e))
            return error_in_part(e, "quotes", i);
    }
    return true;
}

static bool cancel_all_from_json(const json_t *json, struct command *command, struct error *e)
{
    static const char *const fields[] = { "symbol", NULL };
    return json_only_fields(json, fields, e) && json_opt_string(json, "symbol", "", &command->cancel_all.symbol, e);
}

static bool dead_man_from_json(const json_t *json, struct command *command, struct error *e)
{
    static const char *const fields[] = { "timeout_s", NULL };
    return json_only_fields(json, fields, e) &&
           int_from_json(json, "timeout_s", 0, DEAD_MAN_TIMEOUT_MAX_S, &command->dead_man.timeout_s, e);
}

static bool order_from_path(const struct http_request *request, struct cancel_request *ret, struct error *e)
{
    *ret = (struct cancel_request){ .client_order_id = "" };
    if (parse_id(request->params[0], "order_id", &ret->order_id, e))
        return true;
    return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
}

static bool read_place(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return place_from_json(r->json, &command->place, e);
}

static bool read_topup(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return topup_from_json(r->json, &command->topup, e);
}

static bool read_amend(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return order_from_path(r, &command->amend.target, e) && amend_from_json(r->json, &command->amend.wanted, e);
}

static bool read_cancel(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return order_from_path(r, &command->cancel, e);
}

static bool read_batch(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    return batch_from_json(r->json, arena, command, e);
}

static bool read_quotes(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    return quotes_from_json(r->json, arena, command, e);
}

static bool read_cancel_all(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return cancel_all_from_json(r->json, command, e);
}

static bool read_dead_man(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return dead_man_from_json(r->json, command, e);
}

/* What each route asks for. The first that fits counts; path NULL: any, "*" in it: one id. Where no key is needed the
 * same request twice does no more than once anyhow; a key that is given is heeded. */
static const struct door {
    const char *method, *path;
    enum command_kind kind;
    bool needs_key;
    bool (*read)(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
    bool for_operators;
} doors[] = {
    { "POST", "/orders", COMMAND_PLACE_ORDER, true, read_place },
    { "POST", "/orders/batch", COMMAND_PLACE_MANY, true, read_batch },
    { "POST", "/quotes/mass", COMMAND_MASS_QUOTE, true, read_quotes },
    { "POST", "/orders/cancel-all", COMMAND_CANCEL_ALL, false, read_cancel_all },
    { "POST", "/orders/cancel-all-after", COMMAND_DEAD_MAN, false, read_dead_man },
    { "POST", "/fund/topup", COMMAND_TOP_UP, true, read_topup },
    { "POST", "/transfers", COMMAND_TRANSFER, true, read_transfer },
    { "POST", "/transfers/batch", COMMAND_TRANSFER_MANY, true, read_transfers },
    { "POST", "/transfers/*/post", COMMAND_TRANSFER_STEP, true, read_post },
    { "POST", "/transfers/*/void", COMMAND_TRANSFER_STEP, true, read_void },
    { "POST", "/ledger/journals/*/reverse", COMMAND_REVERSE, true, read_reverse, .for_operators = true },
    { "POST", "/ledger/journals", COMMAND_JOURNAL, true, read_journal, .for_operators = true },
    { "POST", "/ledger/journals/batch", COMMAND_JOURNAL_MANY, true, read_journals, .for_operators = true },
    { "POST", "/ledger/adjustments", COMMAND_PROPOSE, true, read_proposal, .for_operators = true },
    { "POST", "/ledger/adjustments/*/approve", COMMAND_DECIDE_ADJUSTMENT, true, read_approve, .for_operators = true },
    { "POST", "/ledger/adjustments/*/reject", COMMAND_DECIDE_ADJUSTMENT, true, read_reject, .for_operators = true },
    { "PATCH", "/admin/accounts/*", COMMAND_ACCOUNT_CHANGE, false, read_account_change, .for_operators = true },
    { "PATCH", NULL, COMMAND_AMEND_ORDER, false, read_amend },
    { "DELETE", NULL, COMMAND_CANCEL_ORDER, false, read_cancel },
};

static bool path_fits(const char *pattern, const char *path)
{
    for (; *pattern; pattern++) {
        size_t id = strcspn(path, "/");
        if (*pattern == '*' && id > 0)
            path += id;
        else if (*pattern == *path)
            path++;
        else
            return false;
    }
    return *path == '\0';
}

static const struct door *door_of(const struct http_request *request)
{
    for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
        if (strcmp(doors[i].method, request->method) == 0 &&
            (!doors[i].path || path_fits(doors[i].path, request->path)))
            return &doors[i];
    }
    return NULL;
}

bool claims_operator(const struct jwt_claims *claims)
{
    char scope[sizeof claims->scope], *rest = NULL;
    memcpy(scope, claims->scope, sizeof scope);
    for (char *word = strtok_r(scope, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strcmp(word, "operator") == 0 || strcmp(word, "admin") == 0)
            return true;
    return false;
}

/* Two bodies that say the same, whatever their spacing and the order of their fields, are the same request. */
static void digest_request(const struct http_request *request, struct arena *arena, struct command *command)
{
    char *canonical = request->json ? json_dumps(request->json, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    const char *text = canonical ? canonical : "";
    command_digest(
        command, arena_printf(arena, "%s %s", request->method, request->path), (struct bytes){ text, strlen(text) });
    free(canonical);
}

bool command_from_request(
    const struct http_request *request, struct arena *arena, struct command *command, struct error *e)
{
    const struct door *door = door_of(request);
    if (!door)
        return error_field(e, ERROR_NOT_FOUND, "not-found", "", "there is nothing here");
    *command = (struct command){
        .kind = door->kind,
        .user_id = request->claims.user_id,
        .source = arena_printf(arena, "user:%llu", (unsigned long long)request->claims.user_id),
        .request_source = "http",
        .request_id = request->idempotency_key,
        .traceparent = request->trace.parent,
        .by_operator = claims_operator(&request->claims),
    };
    if (door->for_operators && !command->by_operator)
        return error_field(e, ERROR_DENIED, "role-needed", "", "this needs the role of an operator");
    if (door->needs_key && !request->idempotency_key[0])
        return error_field(
            e, ERROR_INVALID, "idempotency-key-missing", "Idempotency-Key", "an Idempotency-Key is needed");
    if (request->idempotency_key[0] && door->kind != COMMAND_CANCEL_ORDER) {
        command->key = request->idempotency_key;
        digest_request(request, arena, command);
    }
    return door->read(request, arena, command, e);
}
