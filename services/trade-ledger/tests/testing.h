/* testing.h -- the ledger on a real Postgres without sockets: requests and events go to the handlers as the chassis and
 * the consumer hand them over, in the same transactions. One database a test (tests/support/). */
#pragma once

#include "commands.h"
#include "events.h"
#include "http.h"

#include <support.h>

struct world {
    struct support_database database;
    struct pg *pg; /* as the service's role */
    struct outbox *outbox;
};

/* Migrated, markets published and loaded. The process's service_state() is set up. */
struct world *world_new(void);
struct trade_ledger *world_service(void);
/* The end of each test of a suite (TestSuite's .fini): frees its worlds, their connections and answers, and under
 * LeakSanitizer fails the test for what is left. */
void world_end(void);
/* Freed at the end of the test. */
struct arena *test_arena(void);

/* One connection more of the service's role: for threads. */
struct pg *world_connect(const struct world *world);

/* One number, asked as the superuser. Ends the test when the statement fails. */
int64_t ask(struct world *world, const char *sql);
/* The newest event of a type in the outbox, to be freed as protobuf-c says. Ends the test where there is none. */
void *last_event(struct world *world, const ProtobufCMessageDescriptor *type);
/* The SQLSTATE that a statement ends with on the server of `url`, "00000" when it works. */
const char *sqlstate_of(const char *url, const char *sql, char ret_state[6]);

struct ask {
    uint64_t user_id;
    const char *method, *path; /* "POST", "/orders" */
    const char *id;            /* for ":id" */
    const char *key, *body, *query;
    bool by_operator;
};

struct answer {
    int status;
    char problem[48], field[48], message[192];
    bool replayed;
    json_t *json;
};

/* A batch through http_commands() in one transaction, retried as the chassis does. false: it failed as a whole. */
bool command_batch(
    struct pg *pg, struct outbox *outbox, const struct ask *asks, struct answer *ret_answers, size_t count);
/* Answers of command_batch() are freed at the end of the test. */
void answers_taken(const struct answer *answers, size_t count);
struct answer command(struct world *world, struct ask ask);
struct answer place(struct world *world, uint64_t user_id, const char *key, const char *body);
struct answer top_up(struct world *world, uint64_t user_id, const char *key, const char *body);
struct answer cancel(struct world *world, uint64_t user_id, const char *order_id);
struct answer transfer(struct world *world, uint64_t user_id, const char *key, const char *body);
struct answer journal(struct world *world, const char *key, const char *body);           /* by operator 1000 */
struct answer change_account(struct world *world, int64_t account_id, const char *body); /* likewise */
struct answer get(struct world *world, http_handler handler, struct ask ask);
const char *text_of(const struct answer *answer, const char *name); /* a string member, "" if there is none */

/* A batch of events in one transaction with a handler; verdicts are left in the deliveries. */
bool deliver(struct world *world, consumer_handler handler, struct delivery *deliveries, size_t count, struct error *e);
struct delivery delivery_of(const char *topic, const char *source, const char *id, const ProtobufCMessage *message);

/* What must hold at any time: each asset sums to zero, each account is the sum of its entries, what is held is what
 * open orders say, nobody is below zero, and each effect has its inbox row and its events. Ends the test where it does
 * not. */
void check_invariants(struct world *world);
