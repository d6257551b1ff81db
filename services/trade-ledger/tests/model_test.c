/* Random commands against a model that knows nothing of ledgers: two numbers a user and asset. SEED=<n> repeats a run.
 */
#include "fixture.h"
#include "posting_rules.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 4000, USERS = 5, ASSETS = 2 };

struct model_order {
    struct order *order;
    int64_t price, lots, filled;
    int user;
    bool buy, open;
};

struct model {
    int64_t available[USERS][ASSETS], held[USERS][ASSETS]; /* asset 0: USD, 1: BTC */
    int64_t fees[ASSETS], came_in[ASSETS];
    struct model_order orders[STEPS];
    size_t order_count;
};

struct run {
    uint64_t random;
    struct arena *arena;
    struct batch *batch;
    struct outbox *outbox;
    struct booking booking;
    struct market_progress progress;
    struct model model;
    uint64_t posting_seq, trade_id;
    size_t placed, refused, filled, released;
};

static uint64_t next(struct run *run) /* xorshift64* */
{
    run->random ^= run->random >> 12;
    run->random ^= run->random << 25;
    run->random ^= run->random >> 27;
    return run->random * 2685821657736338717u;
}

static int64_t below(struct run *run, int64_t n)
{
    return (int64_t)(next(run) % (uint64_t)n);
}

static void top_up(struct run *run)
{
    int user = (int)below(run, USERS), asset = (int)below(run, ASSETS);
    struct command command = { .kind = COMMAND_TOP_UP,
        .user_id = (uint64_t)user + 1,
        .topup.reference = "",
        .asset = &run->batch->markets->assets[asset],
        .amount_minor = 1 + below(run, 100 * USD_UNIT),
        .traceparent = "" };
    top_up_decide(run->batch, run->outbox, &command);
    cr_assert(command.error.kind == ERROR_NONE, "%s", command.error.message);
    run->model.available[user][asset] += command.amount_minor;
    run->model.came_in[asset] += command.amount_minor;
}

static void place(struct run *run)
{
    char price[32], quantity[32];
    int64_t ticks = 1000 + below(run, 200), lots = 1 + below(run, 2000000);
    int user = (int)below(run, USERS);
    bool buy = below(run, 2);
    snprintf(price, sizeof price, "%" PRId64 ".%02" PRId64, ticks / 100, ticks % 100);
    snprintf(quantity, sizeof quantity, "%" PRId64 ".%06" PRId64, lots / 1000000, lots % 1000000);
    struct command command = { .kind = COMMAND_PLACE_ORDER,
        .user_id = (uint64_t)user + 1,
        .market = fixture_btc_usd(),
        .place = { .symbol = "BTC-USD",
            .side = buy ? SIDE_BUY : SIDE_SELL,
            .type = ORDER_LIMIT,
            .price = price,
            .quantity = quantity,
            .client_order_id = "",
            .stop_price = "",
            .quote_amount = "",
            .display_quantity = "" },
        .traceparent = "" };
    size_t before = run->batch->new_order_count;
    place_order_decide(run->batch, run->outbox, &command);

    int64_t hold = buy ? ticks * lots : lots * 100;
    bool enough = run->model.available[user][buy ? 0 : 1] >= hold;
    cr_assert(enough == (command.error.kind == ERROR_NONE), "hold of %" PRId64 ": %s", hold, command.error.message);
    if (!enough) {
        run->refused++;
        return;
    }
    struct order *order = run->batch->new_orders[before];
    *table_slot(run->booking.orders, &order->id, sizeof order->id) = order;
    run->model.orders[run->model.order_count++] =
        (struct model_order){ .order = order, .price = ticks, .lots = lots, .user = user, .buy = buy, .open = true };
    run->model.available[user][buy ? 0 : 1] -= hold;
    run->model.held[user][buy ? 0 : 1] += hold;
    run->placed++;
}

static void book(struct run *run, Penstock__Ledger__V1__Posting *posting)
{
    struct error e = { 0 };
    bool booked = false;
    Penstock__Ledger__V1__PostingsEmitted *event =
        fixture_event(run->arena, fixture_btc_usd(), ++run->posting_seq, &posting, 1);
    cr_assert(
        posting_book(&run->booking, fixture_btc_usd(), &run->progress, event, &booked, &e) && booked, "%s", e.message);
}

static struct model_order *pick_open(struct run *run)
{
    for (int tries = 0; tries < 50 && run->model.order_count > 0; tries++) {
        struct model_order *order = &run->model.orders[below(run, (int64_t)run->model.order_count)];
        if (order->open)
            return order;
    }
    return NULL;
}

static void model_fill(struct model *m, struct model_order *o, int64_t price, int64_t lots, int64_t fee)
{
    o->filled += lots;
    o->open = o->filled < o->lots;
    if (o->buy) {
        m->held[o->user][0] -= o->price * lots;
        m->available[o->user][0] += (o->price - price) * lots;
        m->available[o->user][1] += lots * 100 - fee;
        m->fees[1] += fee;
    } else {
        m->held[o->user][1] -= lots * 100;
        m->available[o->user][0] += price * lots - fee;
        m->fees[0] += fee;
    }
}

static void fill(struct run *run)
{
    struct model_order *maker = pick_open(run), *taker = pick_open(run);
    if (!maker || !taker || maker->buy == taker->buy)
        return;
    struct model_order *buyer = maker->buy ? maker : taker, *seller = maker->buy ? taker : maker;
    if (buyer->price < seller->price)
        return;
    int64_t left = maker->lots - maker->filled, other = taker->lots - taker->filled;
    int64_t lots = 1 + below(run, left < other ? left : other);
    if (below(run, 3) == 0)
        lots = left < other ? left : other;
    int64_t price = maker->price;
    int64_t maker_fee = (maker->buy ? lots * 100 : price * lots) * 1000 / 1000000;
    int64_t taker_fee = (taker->buy ? lots * 100 : price * lots) * 2000 / 1000000;
    struct fixture_fill f = { fixture_btc_usd(), maker->order, taker->order, price, lots, ++run->trade_id, maker_fee,
        taker_fee };
    book(run, fixture_fill_posting(run->arena, &f));
    model_fill(&run->model, maker, price, lots, maker_fee);
    model_fill(&run->model, taker, price, lots, taker_fee);
    run->filled++;
}

static void release(struct run *run)
{
    struct model_order *o = pick_open(run);
    if (!o)
        return;
    book(run, fixture_release_posting(run->arena, fixture_btc_usd(), o->order, ORDER_CANCELLED, 1));
    int64_t held = o->buy ? o->price * (o->lots - o->filled) : (o->lots - o->filled) * 100;
    run->model.held[o->user][o->buy ? 0 : 1] -= held;
    run->model.available[o->user][o->buy ? 0 : 1] += held;
    o->open = false;
    run->released++;
}

static void compare(struct run *run, int step)
{
    const struct ledger *ledger = run->batch->ledger;
    for (int asset = 0; asset < ASSETS; asset++) {
        __int128 sum = 0;
        for (size_t i = 0; i < ledger->account_count; i++) {
            if (ledger->accounts[i]->asset_id == asset + 1)
                sum += (__int128)ledger->accounts[i]->available + ledger->accounts[i]->held;
        }
        cr_assert(sum == 0, "step %d: asset %d does not sum to zero", step, asset + 1);
        cr_assert(ledger_account(ledger, 0, ACCOUNT_FEES, asset + 1)->available == run->model.fees[asset]);
        cr_assert(ledger_account(ledger, 0, ACCOUNT_FUNDING, asset + 1)->available == -run->model.came_in[asset]);
        for (int user = 0; user < USERS; user++) {
            const struct account *account = ledger_account(ledger, (uint64_t)user + 1, ACCOUNT_USER, asset + 1);
            cr_assert(account->available == run->model.available[user][asset] &&
                          account->held == run->model.held[user][asset],
                "step %d: user %d asset %d has %" PRId64 "/%" PRId64 ", not %" PRId64 "/%" PRId64, step, user,
                asset + 1, account->available, account->held, run->model.available[user][asset],
                run->model.held[user][asset]);
        }
    }
}

/* What is held for users is what their open orders say. */
static void compare_holds(struct run *run)
{
    int64_t held[USERS][ASSETS] = { 0 };
    for (size_t i = 0; i < run->model.order_count; i++) {
        const struct model_order *o = &run->model.orders[i];
        held[o->user][o->buy ? 0 : 1] += o->order->held_minor;
        cr_assert(order_is_open(o->order) == o->open && o->order->filled_lots == o->filled);
    }
    for (int user = 0; user < USERS; user++) {
        for (int asset = 0; asset < ASSETS; asset++)
            cr_assert(held[user][asset] == run->model.held[user][asset]);
    }
}

/* Each account's last entry is its balance, and its entries add up to it. */
static void compare_entries(struct run *run)
{
    const struct ledger *ledger = run->batch->ledger;
    for (size_t i = 0; i < ledger->account_count; i++) {
        __int128 available = 0, held = 0;
        for (size_t j = 0; j < ledger->entry_count; j++) {
            const struct entry *entry = &ledger->entries[j];
            if (entry->account != ledger->accounts[i])
                continue;
            available += entry->available_delta;
            held += entry->held_delta;
            cr_assert(available == entry->available_after && held == entry->held_after);
        }
        cr_assert(available == ledger->accounts[i]->available && held == ledger->accounts[i]->held);
    }
}

static struct run *run_new(uint64_t seed)
{
    struct arena *arena = arena_new();
    struct run *run = xcalloc(1, sizeof *run);
    run->random = seed;
    run->arena = arena;
    run->batch = fixture_batch(arena, STEPS);
    run->outbox = outbox_new();
    run->booking = (struct booking){ .arena = arena,
        .ledger = run->batch->ledger,
        .orders = table_new(arena),
        .trades = arena_alloc(arena, STEPS * sizeof(struct trade)),
        .trade_max = STEPS,
        .trade_ids = run->batch->order_ids };
    run->progress.market_id = BTC_USD;
    for (int asset = USD; asset <= BTC; asset++) {
        fixture_account(run->batch, 0, ACCOUNT_FUNDING, asset);
        fixture_account(run->batch, 0, ACCOUNT_FEES, asset);
        for (uint64_t user = 1; user <= USERS; user++)
            fixture_account(run->batch, user, ACCOUNT_USER, asset);
    }
    return run;
}

Test(ledger_model, random_commands_leave_what_the_naive_model_says)
{
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : (uint64_t)now_us();
    struct run *run = run_new(seed | 1);
    fprintf(stderr, "ledger_model: SEED=%" PRIu64 "\n", seed);
    for (int step = 0; step < STEPS; step++) {
        int64_t what = below(run, 100);
        if (what < 15)
            top_up(run);
        else if (what < 55)
            place(run);
        else if (what < 90)
            fill(run);
        else
            release(run);
        compare(run, step);
    }
    compare_holds(run);
    compare_entries(run);
    cr_expect(run->placed > 100 && run->refused > 10 && run->filled > 50 && run->released > 50,
        "the run was too tame: %zu placed, %zu refused, %zu filled, %zu released", run->placed, run->refused,
        run->filled, run->released);
    outbox_free(run->outbox);
    arena_free(run->arena);
    xfree(run);
}
