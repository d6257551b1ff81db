/* The rule of average cost by hand, and against a naive model with random movements. */
#include "../../chassis/service.h"
#include "markets.h"
#include "positions.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

static const struct asset btc = { .id = 2, .scale = 8, .code = "BTC" }, usd = { .id = 1, .scale = 8, .code = "USD" };
static const struct market btc_usd = {
    .id = 1, .symbol = "BTC-USD", .base = &btc, .quote = &usd, .lot_minor = 100, .notional_unit_minor = 1
};

static struct position after(const struct position_move *moves, size_t count)
{
    struct position position = { 0 };
    for (size_t i = 0; i < count; i++)
        position_move(&position, &moves[i]);
    return position;
}

Test(positions, by_hand)
{
    static const struct {
        const char *what;
        struct position_move moves[4];
        int64_t quantity, without_cost, cost, realised, proceeds_without_cost;
    } cases[] = {
        { "bought", { { 10, -100 } }, 10, 0, 100, 0, 0 },
        { "bought twice: the average", { { 10, -100 }, { 10, -300 } }, 20, 0, 400, 0, 0 },
        { "sold half at a gain", { { 10, -100 }, { 10, -300 }, { -10, 250 } }, 10, 0, 200, 50, 0 },
        { "sold all at a loss", { { 10, -100 }, { -10, 90 } }, 0, 0, 0, -10, 0 },
        { "a share that is no whole number stays with the rest", { { 3, -100 }, { -1, 40 } }, 2, 0, 67, 7, 0 },
        { "and comes out with the last", { { 3, -100 }, { -1, 40 }, { -1, 40 }, { -1, 40 } }, 0, 0, 0, 20, 0 },
        { "topped up, then sold: no profit", { { 5, 0 }, { -5, 60 } }, 0, 0, 0, 0, 60 },
        { "what was bought is sold first", { { 5, 0 }, { 5, -50 }, { -8, 160 } }, 0, 2, 0, 50, 60 },
        { "what has no cost goes out first", { { 5, 0 }, { 5, -50 }, { -7, 0 } }, 3, 0, 30, 0, 0 },
        { "bought again after all was sold", { { 4, -40 }, { -4, 44 }, { 2, -30 } }, 2, 0, 30, 4, 0 },
        { "only a fee on both sides: not a sale", { { 10, -100 }, { -1, -2 } }, 9, 0, 90, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct position p = after(cases[i].moves, ARRAY_LEN(cases[i].moves));
        cr_expect(p.quantity == cases[i].quantity && p.without_cost == cases[i].without_cost &&
                      p.cost == cases[i].cost && p.realised == cases[i].realised &&
                      p.proceeds_without_cost == cases[i].proceeds_without_cost,
            "%s: quantity %" PRId64 " without %" PRId64 " cost %" PRId64 " realised %" PRId64 " proceeds %" PRId64,
            cases[i].what, p.quantity, p.without_cost, (int64_t)p.cost, (int64_t)p.realised,
            (int64_t)p.proceeds_without_cost);
    }
}

Test(positions, a_value_is_the_price_of_its_lots_and_parts_of_lots)
{
    cr_expect_eq((int64_t)position_value(&btc_usd, 100000000, 6500000), 6500000000000); /* 1 BTC at 65,000 */
    cr_expect_eq((int64_t)position_value(&btc_usd, 50, 6500001), 3250000);              /* half a lot, rounded down */
    cr_expect_eq((int64_t)position_value(&btc_usd, 0, 6500000), 0);
}

/* Fractions instead of totals: the average per unit as a floating number, and every sum kept on its own. */
struct naive {
    long double quantity, average, realised, without, proceeds;
};

static long double least(long double a, long double b)
{
    return a < b ? a : b;
}

static long double size(long double a)
{
    return a < 0 ? -a : a;
}

static void naive_move(struct naive *n, int64_t base, int64_t quote)
{
    if (base > 0 && quote < 0) {
        n->average = (n->average * n->quantity - (long double)quote) / (n->quantity + (long double)base);
        n->quantity += (long double)base;
    } else if (base < 0 && quote > 0) {
        long double sold = (long double)-base, price = (long double)quote / sold;
        long double bought = least(sold, n->quantity);
        n->realised += bought * (price - n->average);
        n->quantity -= bought;
        n->proceeds += (sold - bought) * price;
        n->without -= sold - bought;
    } else if (base > 0) {
        n->without += (long double)base;
    } else {
        long double gone = (long double)-base, unknown = least(gone, n->without);
        n->without -= unknown;
        n->quantity -= gone - unknown;
    }
}

static int64_t random_below(unsigned short state[3], int64_t limit)
{
    return (int64_t)((uint64_t)nrand48(state) * 2147483648u + (uint64_t)nrand48(state)) % limit;
}

Test(positions, agree_with_a_naive_model_over_random_movements)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    unsigned short state[3] = { (unsigned short)seed, (unsigned short)(seed >> 16), 7 };
    cr_log_info("SEED=%u", seed);
    for (int run = 0; run < 50; run++) {
        struct position p = { 0 };
        struct naive n = { 0 };
        __int128 paid = 0, received = 0;
        for (int step = 1; step <= 500; step++) {
            int64_t total = p.quantity + p.without_cost, kind = random_below(state, 6);
            struct position_move move = { .base_delta = 1 + random_below(state, 1000000000) };
            if (kind <= 2)
                move.quote_delta = -(1 + random_below(state, 1000000000000));
            if (kind >= 3 && kind <= 4 && total > 0)
                move = (struct position_move){ -(1 + random_below(state, total)),
                    kind == 3 ? 1 + random_below(state, 1000000000000) : 0 };
            position_move(&p, &move);
            naive_move(&n, move.base_delta, move.quote_delta);
            paid -= move.base_delta > 0 && move.quote_delta < 0 ? move.quote_delta : 0;
            received += move.base_delta < 0 && move.quote_delta > 0 ? move.quote_delta : 0;
            cr_assert(
                p.quantity + p.without_cost == total + move.base_delta, "SEED=%u: the parts are the account", seed);
            cr_assert(p.cost + p.cost_of_sales + p.cost_gone == paid, "SEED=%u: a cost was lost", seed);
            cr_assert(p.realised + p.cost_of_sales + p.proceeds_without_cost == received, "SEED=%u: proceeds were lost",
                seed);
            cr_assert(p.quantity > 0 || p.cost == 0, "SEED=%u: a cost of nothing", seed);
            /* Each step rounds by less than one minor unit; a floating average is off by its own precision. */
            long double slack = 2 * step + size((long double)p.realised) * 1e-9L + (long double)p.cost * 1e-9L;
            cr_assert(size((long double)p.realised - n.realised) <= slack &&
                          size((long double)p.cost - n.average * n.quantity) <= slack,
                "SEED=%u run %d step %d: realised %Lg, naive %Lg; cost %Lg, naive %Lg", seed, run, step,
                (long double)p.realised, n.realised, (long double)p.cost, n.average * n.quantity);
        }
    }
}

Test(positions, an_asset_is_valued_in_its_first_market)
{
    static struct market all[] = { { .id = 9, .base = &btc, .quote = &usd }, { .id = 4, .base = &btc, .quote = &usd } };
    struct markets markets = { .markets = all, .market_count = 2 };
    cr_expect_eq(position_market(&markets, btc.id), &all[1]);
    cr_expect_null(position_market(&markets, usd.id));
}
