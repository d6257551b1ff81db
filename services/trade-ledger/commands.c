#include "commands.h"

#include "../chassis/http.h"
#include "events.h"
#include "store.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

enum { MARKETS_RELOAD_MIN_US = 1000000 }; /* an unknown symbol makes the cache look again, not more often than this */

/* ---- The batch's tables ---- */

/* A text and a prefix, unambiguous because the prefix has its length before it. */
static const char *pair_key(struct arena *arena, const char *first, const char *second, size_t *ret_len)
{
    char *key = arena_printf(arena, "%zu:%s%s", strlen(first), first, second);
    *ret_len = strlen(key);
    return key;
}

static const char *client_key(struct arena *arena, uint64_t user_id, const char *client_order_id, size_t *ret_len)
{
    char *key = arena_printf(arena, "%llu:%s", (unsigned long long)user_id, client_order_id);
    *ret_len = strlen(key);
    return key;
}

void batch_add_order(struct batch *batch, struct order *order)
{
    *table_slot(batch->orders, &order->id, sizeof order->id) = order;
    if (order->client_order_id) {
        size_t len;
        const char *key = client_key(batch->arena, order->user_id, order->client_order_id, &len);
        *table_slot(batch->client_orders, key, len) = order;
    }
}

struct order *batch_order(const struct batch *batch, int64_t order_id)
{
    return table_find(batch->orders, &order_id, sizeof order_id);
}

struct order *batch_client_order(const struct batch *batch, uint64_t user_id, const char *client_order_id)
{
    size_t len;
    const char *key = client_key(batch->arena, user_id, client_order_id, &len);
    return table_find(batch->client_orders, key, len);
}

void batch_add_seen(struct batch *batch, struct seen *seen)
{
    size_t len;
    const char *key = pair_key(batch->arena, seen->source, seen->key, &len);
    *table_slot(batch->seen, key, len) = seen;
}

struct seen *batch_seen(const struct batch *batch, const char *source, const char *key)
{
    size_t len;
    const char *pair = pair_key(batch->arena, source, key, &len);
    return table_find(batch->seen, pair, len);
}

void command_digest(struct command *command, const char *what, struct bytes body)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned len = 0;
    bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(context, what, strlen(what) + 1) == 1 &&
              EVP_DigestUpdate(context, body.data, body.len) == 1 &&
              EVP_DigestFinal_ex(context, command->digest, &len) == 1;
    EVP_MD_CTX_free(context);
    assert(ok && len == DIGEST_LEN);
}

/* ---- Before the load: what can be said of a command alone ---- */

static const struct market *published_market(const struct markets *markets, const char *symbol)
{
    const struct market *market = market_by_symbol(markets, symbol);
    return market && market->published_version > 0 ? market : NULL; /* else the engine does not know it yet */
}

/* Does a command name something that this set does not have, but a newer one might? */
static bool names_unknown(const struct markets *markets, const struct command *command)
{
    return (command->kind == COMMAND_PLACE_ORDER && !published_market(markets, command->place.symbol)) ||
           (command->kind == COMMAND_TOP_UP && !asset_by_code(markets, command->topup.currency));
}

static bool prepare_place(struct command *command, const struct markets *markets, struct error *e)
{
    if (!order_check(&command->place, e))
        return false;
    command->market = published_market(markets, command->place.symbol);
    return command->market || error_field(e, ERROR_REFUSED, "unknown-symbol", "symbol", "there is no such market");
}

static bool prepare_topup(
    struct command *command, const struct markets *markets, const struct settings *settings, struct error *e)
{
    const struct topup_request *topup = &command->topup;
    if (settings->funding_mode != FUNDING_SANDBOX)
        return error_field(e, ERROR_DENIED, "funding-disabled", "", "top-ups are switched off");
    if (topup->currency[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "currency", "currency is missing");
    if (topup->amount[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "amount", "amount is missing");
    if (strlen(topup->reference) > REFERENCE_MAX || !input_is_clean(topup->reference))
        return error_field(e, ERROR_REFUSED, "invalid-reference", "reference",
            "reference must be at most %d bytes without control characters", REFERENCE_MAX);
    command->asset = asset_by_code(markets, topup->currency);
    if (!command->asset)
        return error_field(e, ERROR_REFUSED, "unknown-currency", "currency", "there is no such currency");
    return amount_parse(topup->amount, command->asset, "invalid-amount", "amount", &command->amount_minor, e);
}

static bool check_named(const struct cancel_request *cancel, struct error *e)
{
    if (cancel->order_id == 0 && cancel->client_order_id[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "order_id", "order_id or client_order_id is missing");
    if (cancel->order_id > INT64_MAX || strlen(cancel->client_order_id) > CLIENT_ORDER_ID_MAX)
        return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
    return true;
}

static bool prepare_amend(const struct amend_command *amend, struct error *e)
{
    if (!check_named(&amend->target, e))
        return false;
    return amend->wanted.price[0] || amend->wanted.quantity[0] ||
           error_field(e, ERROR_INVALID, "missing-field", "price", "a new price or a new quantity is needed");
}

/* What was refused is left in command->error: it is the answer unless the request turns out to have been seen before.
 */
static void prepare(struct command *command, const struct markets *markets, const struct settings *settings)
{
    error_clear(&command->error);
    bool ok = command->user_id > 0 && command->user_id <= INT64_MAX;
    if (!ok)
        error_field(&command->error, ERROR_INVALID, "missing-field", "client_id", "client_id must name a user");
    else if (command->kind == COMMAND_PLACE_ORDER)
        ok = prepare_place(command, markets, &command->error);
    else if (command->kind == COMMAND_TOP_UP)
        ok = prepare_topup(command, markets, settings, &command->error);
    else if (command->kind == COMMAND_AMEND_ORDER)
        ok = prepare_amend(&command->amend, &command->error);
    else
        ok = check_named(&command->cancel, &command->error);
    assert(ok == (command->error.kind == ERROR_NONE));
}

/* ---- What to load ---- */

static void want_account(struct wants *wants, uint64_t owner_id, enum account_kind kind, int32_t asset_id)
{
    wants->owners[wants->account_count] = owner_id;
    wants->kinds[wants->account_count] = (int32_t)kind;
    wants->assets[wants->account_count] = asset_id;
    wants->account_count++;
}

static void want_place(struct wants *wants, const struct command *command)
{
    const struct order_request *place = &command->place;
    want_account(wants, command->user_id, ACCOUNT_USER, hold_asset(command->market, (enum side)place->side)->id);
    wants->market_ids[wants->market_count++] = command->market->id;
    if (place->client_order_id[0] != '\0') {
        wants->client_users[wants->client_count] = (int64_t)command->user_id;
        wants->client_ids[wants->client_count++] = place->client_order_id;
    }
    wants->orders++;
    wants->journals++;
    wants->entries++;
}

static void want_named(struct wants *wants, const struct command *command, const struct cancel_request *named)
{
    if (named->order_id != 0) {
        wants->named_ids[wants->named_count++] = (int64_t)named->order_id;
        return;
    }
    wants->named_users[wants->named_client_count] = (int64_t)command->user_id;
    wants->named_client_ids[wants->named_client_count++] = named->client_order_id;
}

static void want_amend(struct wants *wants, const struct command *command)
{
    want_named(wants, command, &command->amend.target);
    wants->amends++;
    wants->journals++;
    wants->entries++;
}

/* Which market an amended order is in shows only when it is loaded. */
static void want_markets(struct wants *wants, const struct markets *markets)
{
    for (size_t i = 0; wants->amends > 0 && i < markets->market_count; i++)
        wants->market_ids[wants->market_count++] = markets->markets[i].id;
}

static struct wants *wants_new(struct arena *arena, size_t count, size_t market_count)
{
    struct wants *wants = arena_alloc(arena, sizeof *wants);
    size_t n = count + 1;
    *wants = (struct wants){
        .owners = arena_alloc(arena, 2 * n * sizeof(uint64_t)),
        .kinds = arena_alloc(arena, 2 * n * sizeof(int32_t)),
        .assets = arena_alloc(arena, 2 * n * sizeof(int32_t)),
        .seen_sources = arena_alloc(arena, n * sizeof(char *)),
        .seen_keys = arena_alloc(arena, n * sizeof(char *)),
        .client_users = arena_alloc(arena, n * sizeof(int64_t)),
        .client_ids = arena_alloc(arena, n * sizeof(char *)),
        .named_ids = arena_alloc(arena, n * sizeof(int64_t)),
        .named_users = arena_alloc(arena, n * sizeof(int64_t)),
        .named_client_ids = arena_alloc(arena, n * sizeof(char *)),
        .market_ids = arena_alloc(arena, (n + market_count) * sizeof(int32_t)),
    };
    return wants;
}

static struct wants *gather(
    struct arena *arena, const struct markets *markets, const struct command *commands, size_t count)
{
    struct wants *wants = wants_new(arena, count, markets->market_count);
    for (size_t i = 0; i < count; i++) { /* first those whose accounts may have to be made */
        const struct command *command = &commands[i];
        if (command->kind == COMMAND_TOP_UP && command->error.kind == ERROR_NONE) {
            want_account(wants, command->user_id, ACCOUNT_USER, command->asset->id);
            want_account(wants, 0, ACCOUNT_FUNDING, command->asset->id);
            wants->topups++;
            wants->journals++;
            wants->entries += 2;
        }
    }
    wants->create_count = wants->account_count;
    for (size_t i = 0; i < count; i++) {
        const struct command *command = &commands[i];
        if (command->key) {
            wants->seen_sources[wants->seen_count] = command->source;
            wants->seen_keys[wants->seen_count++] = command->key;
        }
        if (command->error.kind != ERROR_NONE)
            continue;
        if (command->kind == COMMAND_PLACE_ORDER)
            want_place(wants, command);
        else if (command->kind == COMMAND_CANCEL_ORDER)
            want_named(wants, command, &command->cancel);
        else if (command->kind == COMMAND_AMEND_ORDER)
            want_amend(wants, command);
    }
    want_markets(wants, markets);
    return wants;
}

/* ---- Deciding ---- */

static void remember(struct batch *batch, const struct command *command)
{
    struct seen *seen = arena_alloc(batch->arena, sizeof *seen);
    *seen = (struct seen){
        .source = command->source, .key = command->key, .status = command->status, .reply = command->reply
    };
    memcpy(seen->digest, command->digest, DIGEST_LEN);
    batch_add_seen(batch, seen);
    batch->new_seen[batch->new_seen_count++] = seen;
}

static void publish_refusal(struct batch *batch, struct outbox *outbox, const struct command *command)
{
    if (command->kind == COMMAND_PLACE_ORDER)
        event_order_rejected(outbox, command, batch->now_us);
    else if (command->kind == COMMAND_AMEND_ORDER)
        event_amend_rejected(outbox, command, batch->now_us);
    else if (command->kind == COMMAND_CANCEL_ORDER)
        event_cancel_rejected(outbox, command, batch->now_us);
    else
        event_topup_rejected(outbox, command, batch->now_us);
}

static void answer_again(struct batch *batch, struct outbox *outbox, struct command *command, const struct seen *seen)
{
    error_clear(&command->error);
    if (memcmp(seen->digest, command->digest, DIGEST_LEN) != 0) {
        error_field(&command->error, ERROR_REFUSED, "idempotency-key-reused", "Idempotency-Key",
            "this key came before with another request");
        if (command->by_event)
            publish_refusal(batch, outbox, command);
        return;
    }
    command->status = seen->status;
    command->reply = seen->reply;
    command->replayed = true;
}

static void decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct seen *seen = command->key ? batch_seen(batch, command->source, command->key) : NULL;
    if (seen) {
        answer_again(batch, outbox, command, seen);
        return;
    }
    if (command->error.kind == ERROR_NONE) {
        if (command->kind == COMMAND_PLACE_ORDER)
            place_order_decide(batch, outbox, command);
        else if (command->kind == COMMAND_AMEND_ORDER)
            amend_order_decide(batch, outbox, command);
        else if (command->kind == COMMAND_CANCEL_ORDER)
            cancel_order_decide(batch, outbox, command);
        else
            top_up_decide(batch, outbox, command);
    }
    bool refused = command->error.kind != ERROR_NONE;
    if (refused && command->by_event) {
        command->status = http_status(&command->error);
        publish_refusal(batch, outbox, command);
    }
    if (command->key && (!refused || command->by_event))
        remember(batch, command);
}

static struct batch *batch_new(struct arena *arena, const struct markets *markets, size_t count, int64_t now_us)
{
    struct batch *batch = arena_alloc(arena, sizeof *batch);
    *batch = (struct batch){
        .arena = arena,
        .markets = markets,
        .ledger = ledger_new(arena),
        .now_us = now_us,
        .seen = table_new(arena),
        .orders = table_new(arena),
        .client_orders = table_new(arena),
        .market_states = table_new(arena),
        .new_orders = arena_alloc(arena, (count + 1) * sizeof(struct order *)),
        .cancels = arena_alloc(arena, (count + 1) * sizeof(struct order *)),
        .amended = arena_alloc(arena, (count + 1) * sizeof(struct order *)),
        .new_topups = arena_alloc(arena, (count + 1) * sizeof(struct topup)),
        .new_seen = arena_alloc(arena, (count + 1) * sizeof(struct seen *)),
    };
    return batch;
}

/* Has a market's configuration moved on since the cached set was read? */
static bool markets_are_stale(const struct batch *batch, const struct command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct market *market = commands[i].kind == COMMAND_PLACE_ORDER ? commands[i].market : NULL;
        const struct market_state *state =
            market ? table_find(batch->market_states, &market->id, sizeof market->id) : NULL;
        if (state && state->version != market->version)
            return true;
    }
    return false;
}

/* ---- The sets of markets that one batch goes through ---- */

static void use_markets(struct trade_ledger *service, const struct markets **markets)
{
    if (*markets)
        markets_put(service->markets, *markets);
    *markets = markets_get(service->markets);
}

static bool run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct command *commands, size_t count, int64_t now_us, const struct markets **markets, struct error *e)
{
    bool unknown = false;
    for (size_t i = 0; i < count && !unknown; i++)
        unknown = names_unknown(*markets, &commands[i]);
    if (unknown && monotonic_us() - (*markets)->loaded_at_us > MARKETS_RELOAD_MIN_US) {
        if (!markets_reload(service->markets, pg, e))
            return false;
        use_markets(service, markets);
    }
    for (size_t i = 0; i < count; i++)
        prepare(&commands[i], *markets, &service->settings);

    struct batch *batch = batch_new(arena, *markets, count, now_us);
    if (!store_load(pg, batch, gather(arena, *markets, commands, count), e))
        return false;
    if (markets_are_stale(batch, commands, count))
        return markets_reload(service->markets, pg, e) &&
               error_set(e, ERROR_TRANSIENT, "a market was configured anew; the batch begins again");
    for (size_t i = 0; i < count; i++)
        decide(batch, outbox, &commands[i]);
    return store_save(pg, batch, e);
}

bool commands_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct command *commands, size_t count, int64_t now_us, struct error *e)
{
    assert(count <= COMMANDS_MAX);
    if (count == 0)
        return true;
    const struct markets *markets = NULL;
    use_markets(service, &markets);
    bool ok = run(pg, outbox, service, arena, commands, count, now_us, &markets, e);
    /* What they point to goes with the set: answers are text in the arena. */
    for (size_t i = 0; i < count; i++) {
        commands[i].market = NULL;
        commands[i].asset = NULL;
    }
    markets_put(service->markets, markets);
    return ok;
}
