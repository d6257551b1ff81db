/* market.c -- markets under control: made, changed, halted, and users shut out. Rows of trade-ledger's database,
 * written as its owner; the service publishes a change to the engine within a second. */
#include "cli.h"
#include "cli_sql.h"

#include <event_bus/pg.h>

#include <stdio.h>
#include <string.h>

#define DATABASE "TRADE_LEDGER_OWNER_POSTGRES_URL"

enum { ARGUMENTS_MAX = 12 };

struct change {
    const struct pg_statement *statement;
    const char *texts[ARGUMENTS_MAX]; /* NULL: SQL NULL */
    size_t count;
    const bool *flag; /* a last argument; NULL: none */
    const char *none; /* what it means when no row comes back; NULL: nothing */
};

static bool run(const struct change *change, struct pg_result **ret_rows, struct error *e)
{
    char dsn[CLI_DSN_MAX];
    CLEANUP(pg_free) struct pg *pg = NULL;

    if (!cli_database_url(DATABASE, dsn))
        return error_field(e, ERROR_INVALID, "", DATABASE, "is not set: of the role that owns trade-ledger's database");

    const struct pg_options options = { .dsn = dsn, .application_name = "penstock-market" };

    if (!pg_open(&options, &pg, e))
        return false;
    for (size_t i = 0; i < change->count; i++)
        pg_arg_text(pg, change->texts[i]);
    if (change->flag)
        pg_arg_bool(pg, *change->flag);
    if (!pg_query(pg, change->statement, ret_rows, e))
        return false;
    return pg_rows(*ret_rows) > 0 || error_set(e, ERROR_REFUSED, "%s", change->none);
}

/* Says `done` with the first column of the answer, or what was wrong. */
static int carry_out(const struct cli *cli, const struct change *change, const char *done, const char *what)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct error e = { 0 };

    if (!run(change, &rows, &e))
        return cli_fail(e.kind == ERROR_TRANSIENT || e.field[0] ? CLI_UNREACHABLE : CLI_REFUSED, &e);
    if (cli->json) {
        json_t *answer = json_pack("{s:s, s:s}", "done", done, "on", what);

        print_json(answer);
        json_decref(answer);
    } else
        printf("%s: %s\n", what, done);
    return CLI_OK;
}

int cmd_asset_add(struct cli *cli, int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[3], "currency") != 0 && strcmp(argv[3], "crypto") != 0))
        return cli_usage(cli, "a code, a number of decimals, and currency or crypto are needed");
    return carry_out(cli,
        &(struct change){ &sql_asset_add, { argv[1], argv[2], argv[3] }, 3, NULL, "no such asset can be" }, "added",
        argv[1]);
}

static const struct option limits[] = { { "max-price", required_argument, NULL, 0 },
    { "max-quantity", required_argument, NULL, 1 }, { "maker-fee", required_argument, NULL, 2 },
    { "taker-fee", required_argument, NULL, 3 }, { "band", required_argument, NULL, 4 },
    { "market-band", required_argument, NULL, 5 }, { "status", required_argument, NULL, 6 },
    { "tick", required_argument, NULL, 7 }, { "lot", required_argument, NULL, 8 },
    { "min-price", required_argument, NULL, 9 }, { "min-quantity", required_argument, NULL, 10 },
    { "min-notional", required_argument, NULL, 11 }, { "max-notional", required_argument, NULL, 12 }, { 0 } };
enum { STATUS = 6, TICK = 7, LOT = 8, MIN_PRICE = 9, LIMITS = 13 };

static bool parse_limits(struct cli *cli, int argc, char **argv, const char *ret_values[LIMITS])
{
    for (int option; (option = cli_option(cli, argc, argv, limits)) != -1;) {
        if (option >= LIMITS)
            return false;
        ret_values[option] = optarg;
    }
    return true;
}

int cmd_market_add(struct cli *cli, int argc, char **argv)
{
    const char *v[LIMITS] = { NULL };

    if (!parse_limits(cli, argc, argv, v))
        return CLI_USAGE;
    if (argc != optind + 2 || !v[TICK] || !v[LOT])
        return cli_usage(cli, "base and quote asset, --tick and --lot are needed");
    for (size_t i = MIN_PRICE; i < LIMITS; i++)
        if (v[i])
            return cli_usage(cli, "--%s goes to market set", limits[i].name);

    CLEANUP(xfree) char *symbol = xasprintf("%s-%s", argv[optind], argv[optind + 1]);

    return carry_out(cli,
        &(struct change){ &sql_market_add,
            { argv[optind], argv[optind + 1], v[TICK], v[LOT], v[0], v[1], v[2], v[3], v[4], v[5], v[STATUS] }, 11,
            NULL,
            "an asset is not there, or tick × lot is no whole number of the quote's minor units, or price × quantity "
            "can be "
            "too large" },
        "added", symbol);
}

int cmd_market_set(struct cli *cli, int argc, char **argv)
{
    const char *v[LIMITS] = { NULL };

    if (!parse_limits(cli, argc, argv, v))
        return CLI_USAGE;
    if (argc != optind + 1 || v[STATUS] || v[TICK] || v[LOT])
        return cli_usage(cli, "a symbol and limits are needed; tick and lot never change, the status by market status");
    return carry_out(cli,
        &(struct change){ &sql_market_set,
            { argv[optind], v[0], v[1], v[2], v[3], v[4], v[5], v[9], v[10], v[11], v[12] }, 11, NULL,
            "there is no such market" },
        "changed", argv[optind]);
}

int cmd_market_status(struct cli *cli, int argc, char **argv)
{
    if (argc != 3)
        return cli_usage(cli, "a symbol and a status are needed");
    return carry_out(cli, &(struct change){ &sql_market_status, { argv[1], argv[2] }, 2, NULL, "" }, argv[2], argv[1]);
}

int cmd_market_reference(struct cli *cli, int argc, char **argv)
{
    if (argc != 3)
        return cli_usage(cli, "a symbol and a price are needed");

    CLEANUP(xfree) char *done = xasprintf("reference price %s", argv[2]);

    return carry_out(cli, &(struct change){ &sql_market_reference, { argv[1], argv[2] }, 2, NULL, "" }, done, argv[1]);
}

int cmd_market_kill(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "symbol", required_argument, NULL, 's' },
        { "off", no_argument, NULL, 'o' }, { 0 } };
    const char *symbol = NULL;
    bool engaged = true;

    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == '?')
            return CLI_USAGE;
        if (option == 's')
            symbol = optarg;
        else
            engaged = false;
    }
    if (argc != optind + 1)
        return cli_usage(cli, "a user's id is needed");

    CLEANUP(xfree) char *who = xasprintf("user %s in %s", argv[optind], symbol ? symbol : "every market");

    return carry_out(cli, &(struct change){ &sql_kill_switch, { argv[optind], symbol }, 2, &engaged, "" },
        engaged ? "orders cancelled, new ones refused" : "may trade again", who);
}
