#include "commands.h"

#include "../chassis/http.h"
#include "events.h"
#include "sql.h"
#include "store.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { MARKETS_RELOAD_MIN_US = 1000000 }; /* an unknown symbol makes the cache look again, not more often than this */

/* ---- The batch's tables ---- */

/* A text and a prefix, unambiguous because the prefix has its length before it. */
static const char *pair_key(struct arena *arena, const char *first, const char *second, size_t *ret_len)
{
    size_t first_len = strlen(first), second_len = strlen(second);
    *ret_len = sizeof first_len + first_len + second_len;
    char *key = arena_alloc(arena, *ret_len);
    memcpy(key, &first_len, sizeof first_len);
    memcpy(key + sizeof first_len, first, first_len);
    memcpy(key + sizeof first_len + first_len, second, second_len);
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

void batch_add_open_market(struct batch *batch, uint64_t user_id, const struct market *market)
{
    struct open_market **first = (struct open_market **)table_slot(batch->open_markets, &user_id, sizeof user_id);
    for (const struct open_market *known = *first; known; known = known->next) {
        if (known->market == market)
            return;
    }
    struct open_market *added = arena_alloc(batch->arena, sizeof *added);
    *added = (struct open_market){ market, *first };
    *first = added;
}

void batch_drop_order(struct batch *batch)
{
    struct order *order = batch->new_orders[--batch->new_order_count];
    *table_slot(batch->orders, &order->id, sizeof order->id) = NULL;
    if (order->client_order_id) {
        size_t len;
        const char *key = client_key(batch->arena, order->user_id, order->client_order_id, &len);
        *table_slot(batch->client_orders, key, len) = NULL;
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

bool error_in_part(struct error *e, const char *parts, size_t index)
{
    char field[sizeof e->field];
    snprintf(field, sizeof field, "%s[%zu]%s%.24s", parts, index, e->field[0] ? "." : "", e->field);
    memcpy(e->field, field, sizeof field);
    return false;
}

/* ---- Before the load: what can be said of a command alone ---- */

static const struct market *published_market(const struct markets *markets, const char *symbol)
{
    const struct market *market = market_by_symbol(markets, symbol);
    return market && market->published_version > 0 ? market : NULL; /* else the engine does not know it yet */
}

static bool has_parts(const struct command *command)
{
    return command->kind == COMMAND_PLACE_MANY || command->kind == COMMAND_MASS_QUOTE ||
           command->kind == COMMAND_TRANSFER_MANY || command->kind == COMMAND_JOURNAL_MANY;
}

/* Does a command name something that this set does not have, but a newer one might? */
static bool names_unknown(const struct markets *markets, const struct command *command)
{
    bool quotes = command->kind == COMMAND_MASS_QUOTE;
    return (command->kind == COMMAND_PLACE_ORDER && !published_market(markets, command->place.symbol)) ||
           (quotes && !published_market(markets, command->many.symbol)) ||
           (command->kind == COMMAND_CANCEL_ALL && command->cancel_all.symbol[0] &&
               !published_market(markets, command->cancel_all.symbol)) ||
           (command->kind == COMMAND_TOP_UP && !asset_by_code(markets, command->topup.currency)) ||
           money_names_unknown(markets, command);
}

static bool find_market(struct command *command, const struct markets *markets, const char *symbol, struct error *e)
{
    command->market = published_market(markets, symbol);
    return command->market || error_field(e, ERROR_REFUSED, "unknown-symbol", "symbol", "there is no such market");
}

static bool prepare_place(struct command *command, const struct markets *markets, struct error *e)
{
    if (command->unread.kind != ERROR_NONE) {
        *e = command->unread;
        return false;
    }
    return order_check(&command->place, e) && find_market(command, markets, command->place.symbol, e);
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

/* Where two have to agree no operator books alone; the ledger itself, which books interest, does. */
static bool approved(const struct settings *settings, bool by_ledger, struct error *e)
{
    return settings->manual_journals != MANUAL_JOURNALS_CHECKED || by_ledger ||
           error_field(e, ERROR_DENIED, "approval-needed", "", "another operator has to approve: propose it");
}

static bool prepare_kind(
    struct command *command, const struct markets *markets, const struct settings *settings, struct error *e)
{
    switch (command->kind) {
    case COMMAND_PLACE_ORDER:
        return prepare_place(command, markets, e);
    case COMMAND_MASS_QUOTE:
        return find_market(command, markets, command->many.symbol, e);
    case COMMAND_AMEND_ORDER:
        return prepare_amend(&command->amend, e);
    case COMMAND_CANCEL_ORDER:
        return check_named(&command->cancel, e);
    case COMMAND_CANCEL_ALL:
        return !command->cancel_all.symbol[0] || find_market(command, markets, command->cancel_all.symbol, e);
    case COMMAND_TOP_UP:
        return prepare_topup(command, markets, settings, e);
    case COMMAND_JOURNAL:
        return approved(settings, command->journal.kind != 0, e) && money_prepare(command, markets, e);
    case COMMAND_REVERSE:
        return approved(settings, false, e) && money_prepare(command, markets, e);
    case COMMAND_TRANSFER:
    case COMMAND_ACCOUNT_CHANGE:
    case COMMAND_PROPOSE:
    case COMMAND_DECIDE_ADJUSTMENT:
        return money_prepare(command, markets, e);
    case COMMAND_PLACE_MANY:
    case COMMAND_TRANSFER_MANY:
    case COMMAND_JOURNAL_MANY:
    case COMMAND_TRANSFER_STEP:
    case COMMAND_DEAD_MAN:
        break;
    }
    return true;
}

/* What was refused is left in command->error: it is the answer unless the request turns out to have been seen before.
 */
static void prepare(struct command *command, const struct markets *markets, const struct settings *settings)
{
    error_clear(&command->error);
    bool ok = command->user_id > 0 && command->user_id <= INT64_MAX;
    if (!ok)
        error_field(&command->error, ERROR_INVALID, "missing-field", "client_id", "client_id must name a user");
    else
        ok = prepare_kind(command, markets, settings, &command->error);
    assert(ok == (command->error.kind == ERROR_NONE));
}

/* ---- What to load ---- */

void want_account(struct wants *wants, uint64_t owner_id, enum account_kind kind, int32_t asset_id, bool known_only)
{
    wants->known_only[wants->account_count] = known_only;
    wants->owners[wants->account_count] = owner_id;
    wants->kinds[wants->account_count] = (int32_t)kind;
    wants->assets[wants->account_count] = asset_id;
    wants->account_count++;
}

static void want_place(struct wants *wants, const struct command *command)
{
    const struct order_request *place = &command->place;
    want_account(wants, command->user_id, ACCOUNT_USER, hold_asset(command->market, (enum side)place->side)->id, false);
    wants->market_ids[wants->market_count++] = command->market->id;
    wants->traders[wants->trader_count++] = (int64_t)command->user_id;
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

static struct wants *wants_new(struct arena *arena, struct command *const *commands, size_t count, size_t market_count)
{
    struct wants *wants = arena_alloc(arena, sizeof *wants);
    size_t n = count + 1, accounts = 1;
    for (size_t i = 0; i < count; i++)
        accounts += 2 + money_accounts_max(commands[i]);
    *wants = (struct wants){
        .owners = arena_alloc(arena, accounts * sizeof(uint64_t)),
        .kinds = arena_alloc(arena, accounts * sizeof(int32_t)),
        .assets = arena_alloc(arena, accounts * sizeof(int32_t)),
        .known_only = arena_alloc(arena, accounts * sizeof(int32_t)),
        .account_ids = arena_alloc(arena, accounts * sizeof(int64_t)),
        .pending_ids = arena_alloc(arena, n * sizeof(int64_t)),
        .reversed_ids = arena_alloc(arena, n * sizeof(int64_t)),
        .adjustment_ids = arena_alloc(arena, n * sizeof(int64_t)),
        .seen_sources = arena_alloc(arena, n * sizeof(char *)),
        .seen_keys = arena_alloc(arena, n * sizeof(char *)),
        .client_users = arena_alloc(arena, n * sizeof(int64_t)),
        .client_ids = arena_alloc(arena, n * sizeof(char *)),
        .named_ids = arena_alloc(arena, n * sizeof(int64_t)),
        .named_users = arena_alloc(arena, n * sizeof(int64_t)),
        .named_client_ids = arena_alloc(arena, n * sizeof(char *)),
        .market_ids = arena_alloc(arena, (n + market_count) * sizeof(int32_t)),
        .traders = arena_alloc(arena, n * sizeof(int64_t)),
        .cancelling = arena_alloc(arena, n * sizeof(int64_t)),
    };
    return wants;
}

static void want(struct wants *wants, const struct command *command)
{
    if (command->key) {
        wants->seen_sources[wants->seen_count] = command->source;
        wants->seen_keys[wants->seen_count++] = command->key;
    }
    if (command->error.kind != ERROR_NONE)
        return;
    if (command->kind == COMMAND_PLACE_ORDER)
        want_place(wants, command);
    else if (command->kind == COMMAND_CANCEL_ORDER)
        want_named(wants, command, &command->cancel);
    else if (command->kind == COMMAND_AMEND_ORDER)
        want_amend(wants, command);
    else if (command->kind == COMMAND_CANCEL_ALL && !command->cancel_all.symbol[0])
        wants->cancelling[wants->cancelling_count++] = (int64_t)command->user_id;
    else
        money_want(wants, command);
}

static struct wants *gather(struct arena *arena, const struct markets *markets, const struct trade_ledger *service,
    struct command *const *commands, size_t count)
{
    struct wants *wants = wants_new(arena, commands, count, markets->market_count);
    for (size_t i = 0; i < count; i++) { /* first those whose accounts may have to be made */
        const struct command *command = commands[i];
        if (command->kind == COMMAND_TOP_UP && command->error.kind == ERROR_NONE) {
            want_account(wants, command->user_id, ACCOUNT_USER, command->asset->id, false);
            want_account(wants, 0, ACCOUNT_FUNDING, command->asset->id, false);
            wants->topups++;
            wants->journals++;
            wants->entries += 2;
        }
        if (command->error.kind == ERROR_NONE)
            money_want_created(wants, command);
    }
    wants->create_count = wants->account_count;
    for (size_t i = 0; i < count; i++)
        want(wants, commands[i]);
    want_markets(wants, markets);
    wants->count_orders = service->settings.open_orders_max > 0 || service->settings.orders_per_second_max > 0;
    wants->find_traders = wants->count_orders || atomic_load(&service->traders_exist);
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
    else if (command->kind == COMMAND_TOP_UP)
        event_topup_rejected(outbox, command, batch->now_us);
    else
        event_cancel_rejected(outbox, command, batch->now_us);
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

static void decide_kind(struct batch *batch, struct outbox *outbox, struct command *command)
{
    switch (command->kind) {
    case COMMAND_PLACE_ORDER:
        place_order_decide(batch, outbox, command);
        break;
    case COMMAND_PLACE_MANY:
        place_many_decide(batch, outbox, command);
        break;
    case COMMAND_MASS_QUOTE:
        mass_quote_decide(batch, outbox, command);
        break;
    case COMMAND_AMEND_ORDER:
        amend_order_decide(batch, outbox, command);
        break;
    case COMMAND_CANCEL_ORDER:
        cancel_order_decide(batch, outbox, command);
        break;
    case COMMAND_CANCEL_ALL:
        cancel_all_decide(batch, outbox, command);
        break;
    case COMMAND_DEAD_MAN:
        dead_man_decide(batch, command);
        break;
    case COMMAND_TOP_UP:
        top_up_decide(batch, outbox, command);
        break;
    case COMMAND_TRANSFER:
        transfer_decide(batch, outbox, command);
        break;
    case COMMAND_JOURNAL:
        journal_decide(batch, outbox, command);
        break;
    case COMMAND_TRANSFER_MANY:
    case COMMAND_JOURNAL_MANY:
        many_journals_decide(batch, outbox, command);
        break;
    case COMMAND_ACCOUNT_CHANGE:
        account_change_decide(batch, outbox, command);
        break;
    case COMMAND_TRANSFER_STEP:
        transfer_step_decide(batch, outbox, command);
        break;
    case COMMAND_REVERSE:
        reverse_decide(batch, outbox, command);
        break;
    case COMMAND_PROPOSE:
        propose_decide(batch, command);
        break;
    case COMMAND_DECIDE_ADJUSTMENT:
        adjustment_decide(batch, outbox, command);
        break;
    }
}

/* ce_source and ce_id of an event; who asked and the Idempotency-Key of an HTTP request. */
static const char *cause_of(struct arena *arena, const struct command *command)
{
    if (!command->key)
        return NULL;
    return arena_printf(arena, "%s %s", command->by_event ? command->request_source : command->source, command->key);
}

static void decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct seen *seen = command->key ? batch_seen(batch, command->source, command->key) : NULL;
    if (seen) {
        answer_again(batch, outbox, command, seen);
        return;
    }
    batch->ledger->cause = cause_of(batch->arena, command);
    if (command->error.kind == ERROR_NONE)
        decide_kind(batch, outbox, command);
    bool refused = command->error.kind != ERROR_NONE;
    if (refused && command->by_event) {
        command->status = http_status(&command->error);
        publish_refusal(batch, outbox, command);
    }
    if (command->key && (!refused || command->by_event))
        remember(batch, command);
}

struct batch *batch_new(struct arena *arena, const struct markets *markets, size_t count, int64_t now_us)
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
        .traders = table_new(arena),
        .killed = table_new(arena),
        .open_markets = table_new(arena),
        .pending = table_new(arena),
        .old_journals = table_new(arena),
        .adjustments = table_new(arena),
        .new_adjustments = arena_alloc(arena, (count + 1) * sizeof(struct adjustment *)),
        .decisions = arena_alloc(arena, (count + 1) * sizeof(struct adjustment *)),
        .new_pending = arena_alloc(arena, (count + 1) * sizeof(struct pending_transfer *)),
        .pending_steps = arena_alloc(arena, (count + 1) * sizeof(struct pending_transfer *)),
        .dead_men = arena_alloc(arena, (count + 1) * sizeof(struct dead_man)),
        .account_changes = arena_alloc(arena, (count + 1) * sizeof(struct account_change)),
        .new_orders = arena_alloc(arena, (count + 1) * sizeof(struct order *)),
        .cancels = arena_alloc(arena, (count + 1) * sizeof(struct order *)),
        .amended = arena_alloc(arena, (count + 1) * sizeof(struct order *)),
        .new_topups = arena_alloc(arena, (count + 1) * sizeof(struct topup)),
        .new_seen = arena_alloc(arena, (count + 1) * sizeof(struct seen *)),
    };
    return batch;
}

/* Has a market's configuration moved on since the cached set was read? */
static bool is_stale(const struct batch *batch, const struct market *market)
{
    const struct market_state *state = table_find(batch->market_states, &market->id, sizeof market->id);
    return state && state->version != market->version;
}

static bool markets_are_stale(const struct batch *batch, struct command *const *commands, size_t count)
{
    bool amends = false;
    for (size_t i = 0; i < count; i++) {
        amends = amends || commands[i]->kind == COMMAND_AMEND_ORDER;
        if (commands[i]->kind == COMMAND_PLACE_ORDER && commands[i]->market && is_stale(batch, commands[i]->market))
            return true;
    }
    for (size_t i = 0; amends && i < batch->markets->market_count; i++) {
        if (is_stale(batch, &batch->markets->markets[i]))
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

/* The commands and their parts, each before its parts. */
static struct command **with_parts(struct arena *arena, struct command *commands, size_t count, size_t *ret_count)
{
    size_t all = count, n = 0;
    for (size_t i = 0; i < count; i++)
        all += has_parts(&commands[i]) ? commands[i].many.count : 0;
    struct command **pointers = arena_alloc(arena, (all + 1) * sizeof(struct command *));
    for (size_t i = 0; i < count; i++) {
        pointers[n++] = &commands[i];
        for (size_t j = 0; has_parts(&commands[i]) && j < commands[i].many.count; j++)
            pointers[n++] = &commands[i].many.each[j];
    }
    *ret_count = n;
    return pointers;
}

static bool run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct command *commands, size_t count, int64_t now_us, const struct markets **markets, struct error *e)
{
    bool unknown = false;
    size_t all_count;
    struct command **all = with_parts(arena, commands, count, &all_count);
    for (size_t i = 0; i < all_count && !unknown; i++)
        unknown = names_unknown(*markets, all[i]);
    if (unknown && monotonic_us() - (*markets)->loaded_at_us > MARKETS_RELOAD_MIN_US) {
        if (!markets_reload(service->markets, pg, e))
            return false;
        use_markets(service, markets);
    }
    for (size_t i = 0; i < all_count; i++)
        prepare(all[i], *markets, &service->settings);

    struct batch *batch = batch_new(arena, *markets, all_count, now_us);
    batch->settings = &service->settings;
    if (!store_load(pg, batch, gather(arena, *markets, service, all, all_count), e))
        return false;
    if (markets_are_stale(batch, all, all_count))
        return markets_reload(service->markets, pg, e) &&
               error_set(e, ERROR_TRANSIENT, "a market was configured anew; the batch begins again");
    for (size_t i = 0; i < count; i++)
        decide(batch, outbox, &commands[i]);
    /* What they point to goes with the set: answers are text in the arena. */
    for (size_t i = 0; i < all_count; i++) {
        all[i]->market = NULL;
        all[i]->asset = NULL;
    }
    return accounts_woken(pg, outbox, batch->markets, batch->ledger, batch->now_us, e) && store_save(pg, batch, e);
}

bool commands_look_for_traders(struct pg *pg, struct trade_ledger *service, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!pg_query(pg, &sql_traders_exist, &rows, e))
        return false;
    atomic_store(&service->traders_exist, pg_get_bool(rows, 0, 0));
    return true;
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
    markets_put(service->markets, markets);
    return ok;
}
