/* commands.h -- everything that changes the ledger. A command is decided the same way whether it came over HTTP or from
 * Kafka.
 *
 * commands_run() takes all that is waiting as one batch in the caller's transaction: load and lock in one round trip,
 * decide each in C against the balances as the batch has left them, store by arrays. A refusal is a decision: it is in
 * command->error and disturbs nobody. Locks are always taken in the same order (accounts by id, orders by id), by every
 * transaction of this service, so that batches cannot deadlock; what has no row to lock (a key, a client order id) is
 * claimed on insert, and a claim that lost ends the transaction as TRANSIENT: the batch is repeated and finds the
 * winner. */
#pragma once

#include "config.h"
#include "ledger_rules.h"
#include "markets.h"
#include "order_rules.h"

#include <event_bus/outbox.h>
#include <event_bus/pg.h>

/* The service's state, shared by all its threads: constant but for the cache, which locks. */
struct trade_ledger {
    struct settings settings;
    struct markets_cache *markets;
};

enum command_kind { COMMAND_PLACE_ORDER, COMMAND_AMEND_ORDER, COMMAND_CANCEL_ORDER, COMMAND_TOP_UP };

enum { DIGEST_LEN = 32, COMMANDS_MAX = 4096 };

struct cancel_request {
    uint64_t order_id;           /* 0: by client_order_id */
    const char *client_order_id; /* "": by order_id */
};

struct amend_command {
    struct cancel_request target; /* the order, named as for a cancel */
    struct amend_request wanted;
};

struct topup_request {
    const char *currency, *amount;
    const char *reference; /* "": none */
};

/* Texts are borrowed for the batch, NUL-terminated UTF-8. */
struct command {
    enum command_kind kind;
    uint64_t user_id;
    union {
        struct order_request place;
        struct cancel_request cancel;
        struct amend_command amend;
        struct topup_request topup;
    };
    const char *source, *key;                /* of the inbox; key NULL: not deduplicated */
    uint8_t digest[DIGEST_LEN];              /* of what was asked */
    const char *request_source, *request_id; /* repeated in the answer's event */
    const char *traceparent;
    bool by_event; /* a refusal is an answer too: published and remembered */

    /* While it is decided. */
    const struct market *market;
    const struct asset *asset;
    int64_t amount_minor;

    /* The answer: error, or status with reply (JSON text in the batch's arena). */
    struct error error;
    int status;
    const char *reply;
    bool replayed;                       /* answered before: no second effect */
    const char *short_asset, *available; /* insufficient-funds: code of what is short, and how much there is */
};

/* Decides and stores `count` commands. false: nothing is stored (the caller rolls back). Errors: TRANSIENT, FATAL. */
MUST_CHECK bool commands_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct command *commands, size_t count, int64_t now_us, struct error *e);

/* SHA-256 of kind and body. */
void command_digest(struct command *command, const char *what, struct bytes body);
