/* batch.h -- what one batch of commands works on: loaded by store.c, changed by the decisions, stored by store.c. All
 * of it lives in the batch's arena. */
#pragma once

#include "commands.h"

/* A request that had an effect, by (source, key). */
struct seen {
    const char *source, *key;
    uint8_t digest[DIGEST_LEN];
    int status;
    const char *reply; /* NULL: none */
};

struct topup {
    int64_t id;
    uint64_t user_id;
    int32_t asset_id;
    int64_t amount;
    const char *reference; /* NULL: none */
};

/* Terms of an account as an operator has set them. */
struct account_change {
    int64_t account_id;
    uint64_t changed_by;
    enum account_status status;
    int64_t overdraft_minor;
    const char *reason;
};

/* A journal that someone wants reversed. */
struct old_journal {
    int64_t id;
    enum journal_kind kind;
    bool reversed;
    bool too_new; /* committed after the accounts were locked: not there yet */
    struct leg legs[LEDGER_LEGS_MAX];
    size_t leg_count;
};

/* Of an operator, for another one to decide. */
struct adjustment {
    int64_t id;
    uint64_t proposed_by, decided_by;
    enum adjustment_status status;
    const char *note; /* NULL: none */
    int64_t effective_at_us;
    int64_t reverses; /* the journal that it undoes; 0: none */
    bool too_new;     /* as of an old journal */
    struct leg legs[LEDGER_LEGS_MAX];
    size_t leg_count;
    const char *reason; /* of the decision; NULL: none */
    int64_t journal_id; /* 0: not booked */
};

struct dead_man {
    uint64_t user_id;
    int64_t timeout_s; /* 0: disarm */
};

struct market_state {
    int64_t version;
    int64_t last_price_ticks; /* 0: none yet */
    int64_t band_price_ticks; /* what the price band is measured from; 0: none yet */
};

/* Terms of a user; limits -1: none. The counts grow with the batch's own orders. */
struct trader {
    int32_t maker_fee_ppm, taker_fee_ppm; /* -1: the market's */
    int64_t open_orders_max, orders_per_s_max, notional_minor_max;
    int64_t open_orders, orders_this_second;
};

struct batch {
    struct arena *arena;
    const struct markets *markets;
    const struct settings *settings;
    struct ledger *ledger;
    int64_t now_us; /* from the load on the database's clock, read under the locks: what is booked, is booked then */
    struct table *seen;          /* source and key → struct seen */
    struct table *orders;        /* int64_t id → struct order */
    struct table *client_orders; /* user and client_order_id → struct order */
    struct table *market_states; /* int32_t id → struct market_state */
    struct table *traders;       /* uint64_t user → struct trader */
    struct table *killed;        /* struct killed_key → anything: blocked there */
    struct table *open_markets;  /* uint64_t user → struct open_market, the first of a list */
    struct table *pending;       /* int64_t id → struct pending_transfer */
    struct table *old_journals;  /* int64_t id → struct old_journal */
    struct table *adjustments;   /* int64_t id → struct adjustment */
    const int64_t *order_ids, *topup_ids, *amend_ids, *adjustment_ids;

    /* What is to be stored besides the ledger. */
    struct order **new_orders, **cancels, **amended;
    struct topup *new_topups;
    struct seen **new_seen;
    struct dead_man *dead_men;
    struct account_change *account_changes;
    struct pending_transfer **new_pending, **pending_steps;
    struct adjustment **new_adjustments, **decisions;
    size_t new_adjustment_count, decision_count;
    size_t dead_man_count, account_change_count, new_pending_count, pending_step_count;
    size_t new_order_count, cancel_count, amend_count, new_topup_count, new_seen_count;
};

struct killed_key {
    uint64_t user_id;
    int64_t market_id;
};

/* Where a user has open orders: a list, for cancel-all. */
struct open_market {
    const struct market *market;
    struct open_market *next;
};

/* What a batch needs to see, gathered before the load. */
struct wants {
    uint64_t *owners; /* of accounts */
    int32_t *kinds, *assets;
    int32_t *known_only; /* of those to be made: not for an owner that nobody has heard of */
    size_t account_count;
    size_t create_count;  /* the first so many are made if they do not exist */
    int64_t *account_ids; /* accounts named by their ids */
    size_t account_id_count;
    int64_t *pending_ids; /* two-phase transfers, locked with their accounts */
    size_t pending_count;
    int64_t *adjustment_ids; /* locked with their accounts */
    size_t adjustment_count;
    int64_t *reversed_ids; /* journals, their accounts locked */
    size_t reversed_count;
    const char **seen_sources, **seen_keys;
    size_t seen_count;
    int64_t *client_users; /* orders by client_order_id, read only */
    const char **client_ids;
    size_t client_count;
    int64_t *named_ids; /* orders to cancel or amend, locked */
    size_t named_count;
    int64_t *named_users; /* the same by client_order_id */
    const char **named_client_ids;
    size_t named_client_count;
    int32_t *market_ids;
    size_t market_count;
    int64_t *traders; /* who places orders */
    size_t trader_count;
    bool find_traders, count_orders; /* someone has terms of his own; everybody's number of orders is limited */
    int64_t *cancelling;             /* who wants all orders cancelled, wherever they are */
    size_t cancelling_count;
    size_t journals, entries, orders, topups, amends,
        adjustments; /* ids; with amends, what named orders hold is locked too */
};

/* Room for the effects of count commands; everything in it is the arena's. */
struct batch *batch_new(struct arena *arena, const struct markets *markets, size_t count, int64_t now_us);
/* Each market of a user once. */
void batch_add_open_market(struct batch *batch, uint64_t user_id, const struct market *market);
/* Takes back the batch's last new order, which it has told nobody of. */
void batch_drop_order(struct batch *batch);
void batch_add_order(struct batch *batch, struct order *order);
struct order *batch_order(const struct batch *batch, int64_t order_id);
struct order *batch_client_order(const struct batch *batch, uint64_t user_id, const char *client_order_id);
void batch_add_seen(struct batch *batch, struct seen *seen);
struct seen *batch_seen(const struct batch *batch, const char *source, const char *key);

/* One decision each: changes the batch and adds its events, or sets command->error and changes nothing. */
void place_order_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void amend_order_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void cancel_all_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void dead_man_decide(struct batch *batch, struct command *command);
void place_many_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void mass_quote_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void cancel_order_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void top_up_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void transfer_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void journal_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void many_journals_decide(struct batch *batch, struct outbox *outbox, struct command *command); /* or transfers */
void transfer_step_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void propose_decide(struct batch *batch, struct command *command);
void adjustment_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void reverse_decide(struct batch *batch, struct outbox *outbox, struct command *command);
void account_change_decide(struct batch *batch, struct outbox *outbox, struct command *command);

/* The accounts of an operator's journal. false: command->error says which leg is wrong. */
/* A proposal's legs, or the booking of one that was approved: a reversal, by the rules of reverse_decide(). */
MUST_CHECK bool reversal_propose(
    const struct batch *batch, int64_t journal_id, struct adjustment *adjustment, struct error *e);
MUST_CHECK bool reversal_book(
    struct batch *batch, int64_t journal_id, const struct leg *legs, size_t leg_count, struct error *e);
/* Closed accounts that money came into: what the batch has made of them is kept and told. Queued. */
MUST_CHECK bool accounts_woken(struct pg *pg, struct outbox *outbox, const struct markets *markets,
    const struct ledger *ledger, int64_t now_us, struct error *e);
MUST_CHECK bool journal_legs(const struct batch *batch, struct command *command, struct leg legs[LEDGER_LEGS_MAX]);

/* The entries of the batch's journals from number `first` on. */
void publish_journals(const struct batch *batch, struct outbox *outbox, const struct command *command, size_t first);

/* Transfers, journals and accounts before the load (commands_money.c): what can be said of a command alone, and what it
 * needs to see. */
bool money_names_unknown(const struct markets *markets, const struct command *command);
MUST_CHECK bool money_prepare(struct command *command, const struct markets *markets, struct error *e);
void money_want_created(struct wants *wants, const struct command *command);
void money_want(struct wants *wants, const struct command *command);
size_t money_accounts_max(const struct command *command);

void want_account(struct wants *wants, uint64_t owner_id, enum account_kind kind, int32_t asset_id, bool known_only);

/* The refusal that says what is short, and how much there is. */
void insufficient_funds(
    struct arena *arena, struct command *command, const struct asset *asset, int64_t needed, int64_t available);
