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

#include <stdatomic.h>

/* The service's state, shared by all its threads: constant but for the cache, which locks. */
struct trade_ledger {
    struct settings settings;
    struct markets_cache *markets;
    atomic_bool traders_exist; /* someone has fees or limits of his own, or is blocked: looked at once a second */
    struct position_cache *positions; /* positions_read.c; NULL: none are kept */
    int64_t interest_next_us;         /* when to look for interest again; the chores' thread alone */
    _Atomic int64_t differences;      /* that the self-check knows of */
};

enum command_kind {
    COMMAND_PLACE_ORDER,
    COMMAND_PLACE_MANY, /* each its own answer */
    COMMAND_MASS_QUOTE, /* all or none, in place of the user's earlier quotes of the set */
    COMMAND_AMEND_ORDER,
    COMMAND_CANCEL_ORDER,
    COMMAND_CANCEL_ALL,
    COMMAND_DEAD_MAN,
    COMMAND_TOP_UP,
    COMMAND_TRANSFER,
    COMMAND_TRANSFER_MANY, /* all or none, or each its own answer; parts are of kind COMMAND_TRANSFER */
    COMMAND_JOURNAL,       /* an operator's: any accounts */
    COMMAND_JOURNAL_MANY,  /* parts are of kind COMMAND_JOURNAL */
    COMMAND_ACCOUNT_CHANGE,
    COMMAND_TRANSFER_STEP, /* of a two-phase transfer */
    COMMAND_REVERSE,
    COMMAND_PROPOSE, /* a journal that is booked when another operator approves */
    COMMAND_DECIDE_ADJUSTMENT,
};

enum { DIGEST_LEN = 32, COMMANDS_MAX = 4096, DEAD_MAN_TIMEOUT_MAX_S = 86400 };

struct cancel_request {
    uint64_t order_id;           /* 0: by client_order_id */
    const char *client_order_id; /* "": by order_id */
};

struct amend_command {
    struct cancel_request target; /* the order, named as for a cancel */
    struct amend_request wanted;
};

struct cancel_all_request {
    const char *symbol; /* "": in every market */
};

struct dead_man_request {
    int64_t timeout_s; /* 0: disarm */
};

struct command;

/* Parts have no keys of their own. */
struct many {
    struct command *each;
    size_t count;
    bool each_alone;    /* transfers and journals: one that is refused does not take the others with it */
    const char *symbol; /* of a mass quote, and its set */
    int32_t quote_set;
};

struct topup_request {
    const char *currency, *amount;
    const char *reference; /* "": none */
};

/* An account by its id, or by owner, kind and the asset that goes with it. */
struct account_ref {
    int64_t id; /* 0: by the others */
    uint64_t owner_id;
    int kind; /* enum account_kind */
};

struct transfer_request {
    struct account_ref from, to; /* from: the user's own account unless it has an id */
    const char *currency, *amount;
    const char *note; /* "": none */
    bool pending;     /* only set aside, for so long */
    int64_t expires_in_s;
};

enum transfer_step { STEP_POST, STEP_VOID, STEP_EXPIRE };

struct step_request {
    int64_t transfer_id;
    enum transfer_step step;
    const char *amount; /* of a post: "": all of it */
};

struct reverse_request {
    int64_t journal_id;
    const char *note; /* "": none */
};

struct decision_request {
    int64_t adjustment_id;
    bool approve;
    const char *reason; /* "": none */
};

struct leg_request {
    struct account_ref account;
    const char *currency, *amount; /* signed */
    const struct asset *asset;     /* once understood */
    int64_t amount_minor;
};

struct journal_request {
    struct leg_request *legs;
    size_t leg_count;
    int kind;                /* enum journal_kind; 0: manual */
    const char *note;        /* "": none */
    int64_t effective_at_us; /* 0: now */
    int64_t reverses;        /* a proposal to undo this journal: its legs are that one's; 0: none */
};

struct account_change_request {
    int64_t account_id;
    int status;            /* enum account_status; 0: as it is */
    const char *overdraft; /* "": as it is */
    const char *reason;
};

/* Texts are borrowed for the batch, NUL-terminated UTF-8. */
struct command {
    enum command_kind kind;
    uint64_t user_id;
    union {
        struct order_request place;
        struct cancel_request cancel;
        struct amend_command amend;
        struct many many;
        struct cancel_all_request cancel_all;
        struct dead_man_request dead_man;
        struct topup_request topup;
        struct transfer_request transfer;
        struct journal_request journal;
        struct step_request step;
        struct reverse_request reverse;
        struct decision_request decision;
        struct account_change_request account_change;
    };
    const char *source, *key;                /* of the inbox; key NULL: not deduplicated */
    uint8_t digest[DIGEST_LEN];              /* of what was asked */
    const char *request_source, *request_id; /* repeated in the answer's event */
    const char *traceparent;
    bool by_event;    /* a refusal is an answer too: published and remembered */
    bool by_operator; /* may do what is the house's */

    struct error unread; /* of a part: it could not be read, and that is its answer */

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

/* Puts the part before the field: "quotes[3].price". Always false. */
bool error_in_part(struct error *e, const char *parts, size_t index);

/* Looks whether anyone has terms of his own; service->traders_exist. */
MUST_CHECK bool commands_look_for_traders(struct pg *pg, struct trade_ledger *service, struct error *e);

/* SHA-256 of kind and body. */
void command_digest(struct command *command, const char *what, struct bytes body);
