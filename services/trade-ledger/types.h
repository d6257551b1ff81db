/* types.h -- the nouns of the ledger, as they are in memory. Enumerations are those of proto/, under shorter names. */
#pragma once

#include <event_bus/base.h>

#include <ledger_v1.pb-c.h>
#include <markets_v1.pb-c.h>
#include <orders_v1.pb-c.h>
#include <topups_v1.pb-c.h>

enum side { SIDE_BUY = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY, SIDE_SELL = PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL };

enum order_type {
    ORDER_LIMIT = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT,
    ORDER_MARKET = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_MARKET,
    ORDER_STOP = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_STOP,
    ORDER_STOP_LIMIT = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_STOP_LIMIT,
};

enum time_in_force {
    TIF_DEFAULT = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_UNSPECIFIED,
    TIF_GTC = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC,
    TIF_IOC = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_IOC,
    TIF_FOK = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_FOK,
    TIF_GTD = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTD,
};

enum post_only_mode {
    POST_ONLY_DEFAULT = PENSTOCK__ORDERS__V1__POST_ONLY_MODE__POST_ONLY_MODE_UNSPECIFIED,
    POST_ONLY_REJECT = PENSTOCK__ORDERS__V1__POST_ONLY_MODE__POST_ONLY_MODE_REJECT,
    POST_ONLY_SLIDE = PENSTOCK__ORDERS__V1__POST_ONLY_MODE__POST_ONLY_MODE_SLIDE,
};

enum self_trade_prevention {
    SELF_TRADE_DEFAULT = PENSTOCK__ORDERS__V1__SELF_TRADE_PREVENTION__SELF_TRADE_PREVENTION_UNSPECIFIED,
    SELF_TRADE_CANCEL_NEWEST = PENSTOCK__ORDERS__V1__SELF_TRADE_PREVENTION__SELF_TRADE_PREVENTION_CANCEL_NEWEST,
    SELF_TRADE_DECREMENT = PENSTOCK__ORDERS__V1__SELF_TRADE_PREVENTION__SELF_TRADE_PREVENTION_DECREMENT,
};

enum order_status {
    ORDER_ACCEPTED = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_ACCEPTED,
    ORDER_PARTIALLY_FILLED = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_PARTIALLY_FILLED,
    ORDER_FILLED = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_FILLED,
    ORDER_CANCELLED = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_CANCELLED,
    ORDER_REJECTED = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_REJECTED,
    ORDER_EXPIRED = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_EXPIRED,
};

enum account_kind {
    ACCOUNT_USER = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER,
    ACCOUNT_FUNDING = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_FUNDING,
    ACCOUNT_FEES = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_FEES,
    ACCOUNT_SUSPENSE = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_SUSPENSE,
    ACCOUNT_HOUSE = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_HOUSE,
};

/* As in the table. */
enum account_status {
    ACCOUNT_OPEN = PENSTOCK__LEDGER__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_OPEN,
    ACCOUNT_FROZEN = PENSTOCK__LEDGER__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_FROZEN,
    ACCOUNT_CLOSED = PENSTOCK__LEDGER__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_CLOSED,
};

enum journal_kind {
    JOURNAL_TOPUP = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TOPUP,
    JOURNAL_HOLD = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_HOLD,
    JOURNAL_TRADE = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TRADE,
    JOURNAL_RELEASE = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_RELEASE,
    JOURNAL_TRANSFER = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TRANSFER,
    JOURNAL_TRANSFER_HOLD = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TRANSFER_HOLD,
    JOURNAL_TRANSFER_POST = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TRANSFER_POST,
    JOURNAL_TRANSFER_VOID = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_TRANSFER_VOID,
    JOURNAL_MANUAL = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_MANUAL,
    JOURNAL_REVERSAL = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_REVERSAL,
    JOURNAL_INTEREST = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_INTEREST,
};

enum market_status {
    MARKET_OPEN = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_OPEN,
    MARKET_HALTED = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_HALTED,
    MARKET_CANCEL_ONLY = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_CANCEL_ONLY,
    MARKET_AUCTION = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_AUCTION,
};

/* Of an order's last amendment; as in the table. */
enum amend_status { AMEND_NONE, AMEND_REQUESTED, AMEND_APPLIED, AMEND_REJECTED };

enum {
    ASSET_CODE_MAX = 13, /* bytes with the NUL */
    SYMBOL_MAX = 26,
    CLIENT_ORDER_ID_MAX = 64, /* bytes without the NUL */
    REFERENCE_MAX = 64,
    NOTE_MAX = 140,         /* of a transfer or journal */
    DECIMAL_FIELD_MAX = 64, /* of a price, quantity or amount as text */
    QUOTE_SET_MAX = 65535,
    BATCH_ORDERS_MAX = 100,      /* of one batch or mass quote */
    TRANSFER_LIFE_S = 7 * 86400, /* of a two-phase transfer, unless it says otherwise, and at most */
    TRANSFER_LIFE_MAX_S = 90 * 86400,
    BATCH_TRANSFERS_MAX = 1000, /* transfers or journals of one request */
};

static const int64_t time_max_us = 253402300799999999; /* the end of year 9999 */

struct asset {
    int32_t id;
    uint32_t scale; /* one unit is 10^scale minor units */
    int32_t class;  /* penstock.markets.v1.AssetClass */
    char code[ASSET_CODE_MAX];
};

/* What never changes: everything down to notional_unit_minor. tick = tick_units × 10^-tick_scale. */
struct market {
    int32_t id;
    char symbol[SYMBOL_MAX];
    const struct asset *base, *quote;
    uint32_t tick_scale;
    int64_t tick_units;
    int64_t lot_minor;
    int64_t notional_unit_minor;
    char tick_size[DECIMAL_FIELD_MAX], lot_size[DECIMAL_FIELD_MAX];
    int64_t min_quantity_lots, max_quantity_lots, max_price_ticks;
    /* 0: no such limit. */
    int64_t quantity_step_lots, min_price_ticks, price_step_ticks, min_notional_minor, max_notional_minor;
    int32_t price_band_ppm;
    int32_t maker_fee_ppm, taker_fee_ppm;
    int32_t fee_ceiling_ppm; /* the highest it ever had */
    int32_t market_band_ppm;
    int64_t reference_price_ticks; /* 0: none */
    enum market_status status;
    int64_t version;
    int64_t published_version; /* 0: the engine has not been told of it yet */
};

struct order {
    int64_t id;
    uint64_t user_id;
    int32_t market_id;
    enum side side;
    enum order_type type;
    enum time_in_force time_in_force;
    bool post_only;
    int64_t price_ticks; /* a market order's protection limit */
    int64_t quantity_lots, filled_lots;
    int64_t held_minor;
    enum order_status status;
    int32_t reason; /* penstock.orders.v1.CancelReason, once closed */
    bool cancel_requested;
    const char *client_order_id; /* NULL: none */
    int64_t created_at_us, updated_at_us;
    /* 0: none, for all of these. */
    int64_t stop_price_ticks;
    int64_t quote_minor; /* a market order by quote amount; a buy's quantity_lots is 0 then */
    int64_t display_lots;
    int64_t expires_at_us;
    enum post_only_mode post_only_mode;
    enum self_trade_prevention self_trade_prevention;
    int32_t quote_set;
    int32_t maker_fee_ppm, taker_fee_ppm; /* -1: not known */
    struct {
        int64_t id;
        enum amend_status status;
        int64_t price_ticks, quantity_lots;
        int64_t hold_minor; /* set aside for it, while it is under way */
    } amend;
    bool changed; /* in this batch: to be stored */
};

/* As in the table. */
enum pending_status { PENDING_OPEN = 1, PENDING_POSTED, PENDING_VOIDED, PENDING_EXPIRED };

/* A transfer in two phases: set aside, then posted or given back. */
struct pending_transfer {
    int64_t id; /* that of the journal that set it aside */
    int64_t from_account_id, to_account_id;
    int32_t asset_id;
    int64_t amount, posted;
    enum pending_status status;
    uint64_t created_by;
    const char *note; /* NULL: none */
    int64_t expires_at_us, created_at_us;
    bool changed; /* in this batch: to be stored */
};

/* As in the table. */
enum adjustment_status { ADJUSTMENT_PROPOSED = 1, ADJUSTMENT_APPROVED, ADJUSTMENT_REJECTED };

static inline bool order_is_open(const struct order *order)
{
    return order->status == ORDER_ACCEPTED || order->status == ORDER_PARTIALLY_FILLED;
}

static inline bool order_is_quote_buy(const struct order *order)
{
    return order->quote_minor > 0 && order->side == SIDE_BUY;
}
