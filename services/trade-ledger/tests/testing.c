#include "testing.h"

#include "../../chassis/service.h"

#include "positions.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct trade_ledger ledger;

/* ---- What is freed at the end of a test; answers are taken by its one thread ---- */

enum { KEPT_MAX = 20000 };

static struct {
    void (*release)(void *what);
    void *what;
} kept[KEPT_MAX];
static size_t kept_count;

static void *keep(void *what, void (*release)(void *what))
{
    cr_assert(kept_count < KEPT_MAX);
    kept[kept_count].release = release;
    kept[kept_count++].what = what;
    return what;
}

static void release_json(void *what)
{
    json_decref(what);
}

static void release_pg(void *what)
{
    pg_free(what);
}

static void release_arena(void *what)
{
    arena_free(what);
}

static void release_bytes(void *what)
{
    xfree(what);
}

static void release_world(void *what)
{
    struct world *world = what;
    outbox_free(world->outbox);
    xfree(world);
}

struct arena *test_arena(void)
{
    return keep(arena_new(), release_arena);
}

void world_end(void)
{
    while (kept_count > 0) {
        kept_count--;
        kept[kept_count].release(kept[kept_count].what);
        kept[kept_count].what = NULL;
    }
    markets_cache_free(ledger.markets);
    position_cache_free(ledger.positions);
    ledger = (struct trade_ledger){ 0 };
}

void *service_state(void)
{
    return &ledger;
}

struct trade_ledger *world_service(void)
{
    return &ledger;
}

static struct pg *open_as(const char *dsn)
{
    struct pg *pg = NULL;
    struct error e = { 0 };
    struct pg_options *options = keep(xcalloc(1, sizeof *options), release_bytes); /* outlives the connection */
    *options = (struct pg_options){ .dsn = dsn, .application_name = "ledger-test", .statement_timeout_ms = 30000 };
    cr_assert(pg_open(options, &pg, &e), "%s", e.message);
    return keep(pg, release_pg);
}

struct pg *world_connect(const struct world *world)
{
    return open_as(world->database.url);
}

struct world *world_new(void)
{
    struct world *world = keep(xcalloc(1, sizeof *world), release_world);
    struct error e = { 0 };
    size_t count;
    support_database_open("trade-ledger", &world->database);
    world->pg = open_as(world->database.url);
    world->outbox = outbox_new();
    markets_cache_free(ledger.markets);
    ledger = (struct trade_ledger){ .settings = { .funding_mode = FUNDING_SANDBOX, .statement_font = "" },
        .markets = markets_cache_new() };
    cr_assert(pg_begin(world->pg, &e) && markets_publish(world->pg, world->outbox, &count, &e) &&
                  outbox_write(world->outbox, world->pg, &e) && pg_commit(world->pg, &e) &&
                  markets_reload(ledger.markets, world->pg, &e),
        "%s", e.message);
    return world;
}

int64_t ask(struct world *world, const char *sql)
{
    PGconn *connection = PQconnectdb(world->database.admin_url);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s: %s", sql, PQresultErrorMessage(result));
    int64_t value =
        status == PGRES_TUPLES_OK && PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(connection);
    return value;
}

void *last_event(struct world *world, const ProtobufCMessageDescriptor *type)
{
    const char *values[] = { type->name };
    PGconn *connection = PQconnectdb(world->database.admin_url);
    PGresult *result = PQexecParams(connection, "SELECT payload FROM outbox WHERE type = $1 ORDER BY id DESC LIMIT 1",
        1, NULL, values, NULL, NULL, 1);
    cr_assert(PQntuples(result) == 1, "no event %s", type->name);
    ProtobufCMessage *message = protobuf_c_message_unpack(
        type, NULL, (size_t)PQgetlength(result, 0, 0), (const uint8_t *)PQgetvalue(result, 0, 0));
    cr_assert(message, "%s cannot be read", type->name);
    PQclear(result);
    PQfinish(connection);
    return message;
}

const char *sqlstate_of(const char *url, const char *sql, char ret_state[6])
{
    PGconn *connection = PQconnectdb(url);
    PGresult *result = PQexec(connection, sql);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(ret_state, 6, "%s", state ? state : "00000");
    PQclear(result);
    PQfinish(connection);
    return ret_state;
}

static void fill_call(const struct ask *ask, struct http_call *call)
{
    *call = (struct http_call){ .request = { .method = ask->method,
                                    .path = ask->path,
                                    .query = ask->query ? ask->query : "",
                                    .params = { ask->id },
                                    .authorization = "",
                                    .idempotency_key = ask->key ? ask->key : "",
                                    .content_type = "application/json",
                                    .claims.user_id = ask->user_id,
                                    .peer = "127.0.0.1" } };
    snprintf(call->request.claims.scope, sizeof call->request.claims.scope, "%s",
        ask->by_operator ? "trade operator" : "trade");
    if (ask->body) {
        call->request.json = json_loads(ask->body, 0, NULL);
        cr_assert(call->request.json, "the test's own JSON: %s", ask->body);
    }
}

static void forget(struct http_call *call)
{
    json_decref(call->reply.json);
    xfree(call->reply.body);
    call->reply = (struct http_reply){ 0 };
    error_clear(&call->error);
}

static struct answer answer_of(struct http_call *call)
{
    struct answer answer = { .status = call->reply.status ? call->reply.status : 200,
        .replayed = call->reply.replayed };
    if (call->error.kind != ERROR_NONE) {
        answer.status = http_status(&call->error);
        memcpy(answer.problem, call->error.problem, sizeof answer.problem);
        memcpy(answer.field, call->error.field, sizeof answer.field);
        memcpy(answer.message, call->error.message, sizeof answer.message);
    }
    if (call->reply.json)
        answer.json = json_incref(call->reply.json);
    else if (call->reply.body)
        answer.json = json_loadb(call->reply.body, call->reply.body_len, 0, NULL);
    forget(call);
    json_decref(call->request.json);
    return answer;
}

bool command_batch(
    struct pg *pg, struct outbox *outbox, const struct ask *asks, struct answer *ret_answers, size_t count)
{
    struct http_call *calls = xcalloc(count, sizeof *calls), **pointers = xcalloc(count, sizeof *pointers);
    bool done = false;
    for (size_t i = 0; i < count; i++) {
        fill_call(&asks[i], &calls[i]);
        pointers[i] = &calls[i];
    }
    for (int attempt = 0; attempt < 50 && !done; attempt++) {
        struct error e = { 0 };
        done = pg_begin(pg, &e) && http_commands(pg, outbox, pointers, count, &e) && outbox_write(outbox, pg, &e) &&
               pg_commit(pg, &e);
        if (done)
            break;
        pg_rollback(pg);
        outbox_clear(outbox);
        for (size_t i = 0; i < count; i++)
            forget(&calls[i]);
        if (e.kind != ERROR_TRANSIENT && e.code != PG_CODE_UNIQUE_VIOLATION) { /* as a lane does */
            fprintf(stderr, "batch failed: %s: %s\n", error_kind_name(e.kind), e.message);
            break;
        }
        usleep(5000);
    }
    for (size_t i = 0; i < count; i++)
        ret_answers[i] = answer_of(&calls[i]);
    xfree(calls);
    xfree(pointers);
    return done;
}

static struct answer taken(struct answer answer)
{
    if (answer.json)
        keep(answer.json, release_json);
    return answer;
}

void answers_taken(const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        taken(answers[i]);
}

struct answer command(struct world *world, struct ask ask)
{
    struct answer answer;
    cr_assert(command_batch(world->pg, world->outbox, &ask, &answer, 1));
    return taken(answer);
}

struct answer place(struct world *world, uint64_t user_id, const char *key, const char *body)
{
    return command(world, (struct ask){ user_id, "POST", "/orders", NULL, key, body, NULL });
}

struct answer top_up(struct world *world, uint64_t user_id, const char *key, const char *body)
{
    return command(world, (struct ask){ user_id, "POST", "/fund/topup", NULL, key, body, NULL });
}

struct answer cancel(struct world *world, uint64_t user_id, const char *order_id)
{
    return command(world, (struct ask){ user_id, "DELETE", "/orders/x", order_id, NULL, NULL, NULL });
}

struct answer transfer(struct world *world, uint64_t user_id, const char *key, const char *body)
{
    return command(world, (struct ask){ user_id, "POST", "/transfers", NULL, key, body, NULL });
}

struct answer journal(struct world *world, const char *key, const char *body)
{
    return command(world, (struct ask){ 1000, "POST", "/ledger/journals", NULL, key, body, NULL, .by_operator = true });
}

struct answer change_account(struct world *world, int64_t account_id, const char *body)
{
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, account_id);
    return command(
        world, (struct ask){ 1000, "PATCH", "/admin/accounts/1", id, NULL, body, NULL, .by_operator = true });
}

struct answer get(struct world *world, http_handler handler, struct ask ask)
{
    struct http_call call;
    fill_call(&ask, &call);
    if (!handler(world->pg, world->outbox, &call.request, &call.reply, &call.error))
        cr_assert(call.error.kind != ERROR_NONE);
    return taken(answer_of(&call));
}

const char *text_of(const struct answer *answer, const char *name)
{
    const char *text = json_string_value(json_object_get(answer->json, name));
    return text ? text : "";
}

bool deliver(struct world *world, consumer_handler handler, struct delivery *deliveries, size_t count, struct error *e)
{
    if (pg_begin(world->pg, e) && handler(world->pg, world->outbox, deliveries, count, &ledger, e) &&
        outbox_write(world->outbox, world->pg, e) && pg_commit(world->pg, e))
        return true;
    pg_rollback(world->pg);
    outbox_clear(world->outbox);
    return false;
}

struct delivery delivery_of(const char *topic, const char *source, const char *id, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    void *packed = keep(xmalloc(len + 1), release_bytes);
    protobuf_c_message_pack(message, packed);
    return (struct delivery){ .event = { .topic = topic,
                                  .id = id,
                                  .source = source,
                                  .type = message->descriptor->name,
                                  .subject = "",
                                  .traceparent = "",
                                  .value = { packed, len } } };
}

void check_invariants(struct world *world)
{
    static const struct {
        const char *what, *sql;
    } rules[] = {
        { "each asset sums to zero", "SELECT count(*) FROM (SELECT asset_id FROM accounts GROUP BY 1 HAVING "
                                     "sum(available::numeric + held) <> 0) x" },
        { "each journal sums to zero",
            "SELECT count(*) FROM (SELECT journal_id FROM entries GROUP BY journal_id, asset_id "
            "HAVING sum(available_delta::numeric + held_delta) <> 0) x" },
        { "each account is the sum of its entries",
            "SELECT count(*) FROM accounts a LEFT JOIN (SELECT account_id, sum(available_delta) av, sum(held_delta) he "
            "FROM entries GROUP BY 1) e ON e.account_id = a.id "
            "WHERE (a.available, a.held) IS DISTINCT FROM (coalesce(e.av, 0), coalesce(e.he, 0))" },
        { "the last entry of an account is its balance",
            "SELECT count(*) FROM accounts a JOIN LATERAL (SELECT * FROM entries e WHERE e.account_id = a.id "
            "ORDER BY e.id DESC LIMIT 1) l ON true WHERE (a.available, a.held) <> (l.available_after, l.held_after)" },
        { "along an account time never goes back",
            "SELECT count(*) FROM (SELECT j.posted_at, lag(j.posted_at) OVER (PARTITION BY e.account_id ORDER BY e.id) "
            "AS before FROM entries e JOIN journals j ON j.id = e.journal_id) x WHERE x.posted_at < x.before" },
        { "nobody is below his limit",
            "SELECT count(*) FROM accounts WHERE held < 0 OR (kind = 1 AND available < -overdraft_minor)" },
        { "what is held is what open orders say",
            "SELECT count(*) FROM accounts a LEFT JOIN (SELECT o.user_id, CASE o.side WHEN 1 THEN m.quote_asset_id "
            "ELSE m.base_asset_id END AS asset_id, sum(o.held_minor + coalesce(o.amend_hold_minor, 0)) held FROM "
            "orders o JOIN markets m ON m.id = "
            "o.market_id GROUP BY 1, 2) h ON h.user_id = a.owner_id AND h.asset_id = a.asset_id "
            "WHERE a.kind = 1 AND a.held <> coalesce(h.held, 0) + coalesce((SELECT sum(p.amount) FROM "
            "pending_transfers p WHERE p.from_account_id = a.id AND p.status = 1), 0)" },
        { "each two-phase transfer was set aside once and ended at most once",
            "SELECT count(*) FROM pending_transfers p WHERE (SELECT string_agg(j.kind::text, ',' ORDER BY j.kind) FROM "
            "journals j WHERE j.reference = 'transfer:' || p.id) IS DISTINCT FROM CASE p.status WHEN 1 THEN '6' WHEN 2 "
            "THEN '6,7' ELSE '6,8' END" },
        { "a reversal undoes what it reverses, once",
            "SELECT count(*) FROM journals r JOIN journals j ON j.id::text = split_part(r.reference, ':', 2) CROSS "
            "JOIN "
            "LATERAL (SELECT account_id FROM entries WHERE journal_id IN (r.id, j.id) GROUP BY 1 HAVING "
            "sum(available_delta + held_delta) <> 0) x WHERE r.kind = 10" },
        { "each order has one hold, one acceptance and one event for its user",
            "SELECT count(*) FROM orders o WHERE 1 <> (SELECT count(*) FROM journals j WHERE j.kind = 2 AND "
            "j.reference = 'order:' || o.id)" },
        { "there are as many acceptances in the outbox as orders",
            "SELECT abs((SELECT count(*) FROM orders) - (SELECT count(*) FROM outbox WHERE type = "
            "'penstock.orders.v1.OrderAccepted' AND topic = 'orders.events.v1')) + abs((SELECT count(*) FROM orders "
            "WHERE quote_set IS NULL) - (SELECT count(*) FROM outbox WHERE type = 'penstock.orders.v1.OrderAccepted' "
            "AND topic = 'orders.accepted.v1'))" },
        { "each journal is published",
            "SELECT abs((SELECT count(*) FROM (SELECT DISTINCT e.journal_id, a.owner_id FROM entries e JOIN accounts a "
            "ON a.id = e.account_id) x) - (SELECT count(*) FROM outbox WHERE topic = 'ledger.entries.v1'))" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        cr_assert(ask(world, rules[i].sql) == 0, "broken: %s", rules[i].what);
}
