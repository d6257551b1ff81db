/* demo.c -- bots that make a market and trade in it, through the public API only, so that a newcomer sees life at once.
 *
 * For each market two makers keep a few levels on both sides of a drifting price, two takers hit them. Prices follow a
 * random walk from a seed; nothing here is known to the services as special. */
#include "cli.h"

#include "../../services/chassis/decimal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BOTS = 4, MAKERS = 2, LEVELS = 5, MARKETS = 2, CENTS = 2 };

struct bot {
    char email[64], path[256]; /* session file: api_call() reads PENSTOCK_SESSION */
    char resting[MARKETS][2 * LEVELS][24];
    size_t resting_count[MARKETS];
};

static const struct {
    const char *symbol, *base;
    int64_t start_cents, step_cents;
    const char *sizes[3], *stake;
} demo_markets[MARKETS] = {
    { "BTC-USD", "BTC", 6500000, 500, { "0.001", "0.0125", "0.05" }, "50" },
    { "ETH-USD", "ETH", 350000, 40, { "0.01", "0.2", "0.75" }, "800" },
};

static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
    (void)signal;
    stopping = 1;
}

static uint64_t next_random(uint64_t *state) /* xorshift64*, Vigna 2016 */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

static int call(struct cli *cli, struct bot *bot, const char *method, const char *path, json_t *body, json_t **ret_json)
{
    setenv("PENSTOCK_SESSION", bot->path, 1);
    return api_call(
        cli, &(struct api_call){ method, path, .body = body, .with_key = body, .with_token = true }, ret_json);
}

static int fund(struct cli *cli, struct bot *bot, const char *asset, const char *amount)
{
    json_t *json;
    int result =
        call(cli, bot, "POST", "/api/fund/topup", json_pack("{s:s, s:s}", "currency", asset, "amount", amount), &json);
    json_decref(json);
    return result;
}

/* A user of its own for this run, with money. The password is random and forgotten. */
static int start_bot(struct cli *cli, struct bot *bot, const char *folder, size_t number)
{
    char password[33], tag[33];
    struct error e = { 0 };
    json_t *session;
    random_key(password);
    random_key(tag);
    snprintf(bot->email, sizeof bot->email, "%s-%.12s@demo.invalid", number < MAKERS ? "maker" : "taker", tag);
    snprintf(bot->path, sizeof bot->path, "%s/bot-%zu.json", folder, number);
    setenv("PENSTOCK_SESSION", bot->path, 1);
    int result = api_call(cli,
        &(struct api_call){
            "POST", "/auth/signup", .body = json_pack("{s:s, s:s}", "email", bot->email, "password", password) },
        &session);
    if (result != CLI_OK)
        return result;
    bool kept = session_save(session, &e);
    json_decref(session);
    if (!kept)
        return cli_fail(CLI_REFUSED, &e);
    result = fund(cli, bot, "USD", "5000000");
    for (size_t m = 0; m < MARKETS && result == CLI_OK; m++)
        result = fund(cli, bot, demo_markets[m].base, demo_markets[m].stake);
    return result;
}

static int place(
    struct cli *cli, struct bot *bot, size_t market, bool buy, const char *quantity, int64_t cents, bool rest)
{
    char price[DECIMAL_TEXT_MAX];
    json_t *json, *body = json_pack("{s:s, s:s, s:s, s:s}", "symbol", demo_markets[market].symbol, "side",
                      buy ? "buy" : "sell", "quantity", quantity, "type", rest ? "limit" : "market");
    if (rest)
        json_object_set_new(body, "price", json_string(decimal_format(cents, CENTS, CENTS, price)));
    int result = call(cli, bot, "POST", "/api/orders", body, &json);
    const char *id = json_string_value(json_object_get(json, "order_id"));
    if (id && rest && bot->resting_count[market] < 2 * LEVELS)
        snprintf(bot->resting[market][bot->resting_count[market]++], 24, "%s", id);
    json_decref(json);
    return result;
}

/* Takes away the old quotes and puts new ones around `cents`. */
static int requote(struct cli *cli, struct bot *bot, size_t market, int64_t cents, uint64_t *random)
{
    for (size_t i = 0; i < bot->resting_count[market]; i++) {
        char path[64];
        json_t *json = NULL, *order = NULL;
        snprintf(path, sizeof path, "/api/orders/%s", bot->resting[market][i]);
        if (call(cli, bot, "GET", path, NULL, &order) == CLI_OK) {
            const char *status = json_string_value(json_object_get(order, "status"));
            if (status && (strcmp(status, "accepted") == 0 || strcmp(status, "partially_filled") == 0))
                call(cli, bot, "DELETE", path, NULL, &json);
        }
        json_decref(order);
        json_decref(json);
    }
    bot->resting_count[market] = 0;
    for (int level = 1; level <= LEVELS; level++) {
        int64_t distance = demo_markets[market].step_cents * level + (int64_t)(next_random(random) % 7);
        const char *size = demo_markets[market].sizes[next_random(random) % 3];
        int result = place(cli, bot, market, true, size, cents - distance, true);
        if (result == CLI_OK)
            result = place(cli, bot, market, false, size, cents + distance, true);
        if (result != CLI_OK)
            return result;
    }
    return CLI_OK;
}

static void pause_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static int trade(struct cli *cli, struct bot *bots, long interval_ms, long long orders)
{
    uint64_t random = (uint64_t)now_us() | 1;
    int64_t cents[MARKETS];
    for (size_t m = 0; m < MARKETS; m++)
        cents[m] = demo_markets[m].start_cents;
    for (long long step = 0; !stopping && (orders == 0 || step < orders); step++) {
        size_t market = (size_t)step % MARKETS;
        int64_t step_cents = demo_markets[market].step_cents;
        cents[market] += (int64_t)(next_random(&random) % (uint64_t)(2 * step_cents + 1)) - step_cents;
        if (cents[market] < demo_markets[market].start_cents / 2)
            cents[market] = demo_markets[market].start_cents / 2;
        int result = step % 8 < 4
                         ? requote(cli, &bots[step % MAKERS], market, cents[market], &random)
                         : place(cli, &bots[MAKERS + (size_t)step % (BOTS - MAKERS)], market, next_random(&random) & 1,
                               demo_markets[market].sizes[next_random(&random) % 2], 0, false);
        if (result == CLI_UNREACHABLE)
            pause_ms(1000); /* the system is being restarted: go on when it is back */
        pause_ms(interval_ms);
    }
    return CLI_OK;
}

int cmd_demo(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "interval-ms", required_argument, NULL, 'i' },
        { "orders", required_argument, NULL, 'n' }, { 0 } };
    long interval_ms = 500;
    long long orders = 0;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'i')
            interval_ms = strtol(optarg, NULL, 10);
        else if (option == 'n')
            orders = strtoll(optarg, NULL, 10);
        else
            return CLI_USAGE;
    }
    if (argc != optind || interval_ms < 0 || orders < 0)
        return cli_usage(cli, "--interval-ms and --orders take numbers from 0");
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    char folder[] = "/tmp/penstock-demo-XXXXXX";
    struct bot *bots = xcalloc(BOTS, sizeof *bots);
    int result = mkdtemp(folder) ? CLI_OK : CLI_REFUSED;
    for (size_t i = 0; i < BOTS && result == CLI_OK; i++)
        result = start_bot(cli, &bots[i], folder, i);
    if (result == CLI_OK) {
        fprintf(stderr, "demo market: %d bots trade\n", BOTS);
        result = trade(cli, bots, interval_ms, orders);
    }
    for (size_t i = 0; i < BOTS; i++)
        unlink(bots[i].path);
    rmdir(folder);
    xfree(bots);
    return result;
}
