/* main.c -- the penstock command: finds the subcommand by its words and runs it. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *words; /* "order place" */
    cli_command run;
    const char *arguments, *meaning, *example;
} commands[] = {
    { "signup", cmd_signup, "--email E [--password P | --password-file F]", "create a user and log in",
        "penstock signup --email ada@example.com --password-file secret.txt" },
    { "login", cmd_login, "--email E [--password P | --password-file F]",
        "log in; tokens are kept for the next commands",
        "penstock login --email ada@example.com --password-file secret.txt" },
    { "logout", cmd_logout, "", "revoke and forget the tokens", "penstock logout" },
    { "whoami", cmd_whoami, "", "who is logged in", "penstock whoami --json" },
    { "topup", cmd_topup, "CURRENCY AMOUNT [--key K] [--reference R]", "add money", "penstock topup USD 10000" },
    { "portfolio", cmd_portfolio, "[--as-of TIME]", "balances, as they are or as they were",
        "penstock portfolio --as-of 2026-01-02T03:04:05Z" },
    { "balance", cmd_balance, "ACCOUNT|ASSET [--as-of TIME]", "one account's balance", "penstock balance USD" },
    { "interest", cmd_interest, "", "what one's accounts earn, and what is accrued and not yet booked",
        "penstock interest" },
    { "schedule add", cmd_schedule_add,
        "USER CURRENCY AMOUNT --first TIME [--every once|day|week|month] [--reference R] [--key K]",
        "a transfer that is made later, once or again and again",
        "penstock schedule add 7 USD 100 --every month --first 2027-01-31T08:00:00Z" },
    { "schedule list", cmd_schedule_list, "[--limit N] [--cursor C]", "scheduled transfers, newest first",
        "penstock schedule list" },
    { "schedule show", cmd_schedule_show, "ID", "one with its last attempts", "penstock schedule show 3" },
    { "schedule pause", cmd_schedule_pause, "ID", "not until it is resumed", "penstock schedule pause 3" },
    { "schedule resume", cmd_schedule_resume, "ID", "go on; what came due meanwhile is left out",
        "penstock schedule resume 3" },
    { "schedule cancel", cmd_schedule_cancel, "ID", "never again", "penstock schedule cancel 3" },
    { "positions", cmd_positions, "", "what is held, what it cost, what was gained", "penstock positions" },
    { "ledger reconcile", cmd_reconcile, "FILE --account ACCOUNT|ASSET [--reverse true] [--days-apart N]",
        "a bank's statement (CSV, or CAMT.053 as .xml) against an account; exit code 1 when they differ",
        "penstock ledger reconcile january.csv --account USD" },
    { "statement", cmd_statement,
        "ACCOUNT|ASSET [--from TIME] [--to TIME] [--holds true] [--format csv|html|pdf] [--output FILE]",
        "an account's movements between two balances; html and pdf are made to be printed",
        "penstock statement USD --from 2026-01-01T00:00:00Z --format pdf --output january.pdf" },
    { "entries", cmd_entries,
        "[--reference R] [--account ID] [--asset A] [--from TIME] [--to TIME] [--min-amount A] [--max-amount A] "
        "[--limit N] [--cursor C]",
        "ledger entries, newest first", "penstock entries --asset USD --min-amount 100 --limit 20" },
    { "accounts", cmd_accounts, "", "your accounts, with status and overdraft", "penstock accounts" },
    { "transfers", cmd_transfers, "[--status pending|posted|voided|expired]",
        "transfers in two phases, to and from you", "penstock transfers --status pending" },
    { "transfer post", cmd_transfer_post, "TRANSFER_ID [AMOUNT]",
        "pay what was set aside, all or a part; the rest comes back", "penstock transfer post 40 12.50" },
    { "transfer void", cmd_transfer_void, "TRANSFER_ID", "give back what was set aside for you",
        "penstock transfer void 40" },
    { "transfer", cmd_transfer, "USER_ID CURRENCY AMOUNT [--hold SECONDS] [--reference R] [--key K]",
        "send money to another user; --hold only sets it aside, for so long",
        "penstock transfer 17 USD 12.50 --reference lunch" },
    { "ledger import", cmd_ledger_import, "FILE.csv [--mode all|each] [--dry-run]",
        "book dated history (operators): columns date,debit,credit,currency,amount,reference; accounts are user:ID, "
        "account:ID, funding, "
        "fees, suspense, house",
        "penstock ledger import history.csv --mode each" },
    { "admin propose", cmd_admin_propose, "DEBIT CREDIT CURRENCY AMOUNT REFERENCE",
        "an adjustment that another operator has to approve; accounts as for ledger import",
        "penstock admin propose house user:7 USD 5 goodwill" },
    { "admin propose-reversal", cmd_admin_propose_reversal, "JOURNAL_ID REASON",
        "undo a journal, which another operator has to approve", "penstock admin propose-reversal 41 'paid twice'" },
    { "admin approve", cmd_admin_approve, "ADJUSTMENT_ID [REASON]", "book what another operator has proposed",
        "penstock admin approve 3 seen" },
    { "admin reject", cmd_admin_reject, "ADJUSTMENT_ID [REASON]", "do not", "penstock admin reject 3 'no receipt'" },
    { "admin adjustments", cmd_admin_adjustments, "[proposed|approved|rejected]", "who proposed and decided what",
        "penstock admin adjustments proposed" },
    { "admin reverse", cmd_admin_reverse, "JOURNAL_ID REASON", "undo a journal by a new one (operators)",
        "penstock admin reverse 41 'paid twice'" },
    { "admin grant", cmd_admin_grant, "EMAIL operator|admin",
        "give a role; it holds with the next token. Needs IDENTITY_POSTGRES_URL",
        "penstock admin grant ada@example.com operator" },
    { "admin revoke", cmd_admin_revoke, "EMAIL operator|admin",
        "take a role away; old tokens keep it until they expire", "penstock admin revoke ada@example.com operator" },
    { "admin accounts", cmd_admin_accounts, "[--user ID] [--kind K] [--asset A] [--status S] [--after ID] [--limit N]",
        "anyone's accounts (operators)", "penstock admin accounts --status frozen" },
    { "admin schedules", cmd_admin_schedules, "[--limit N] [--cursor C]",
        "scheduled transfers that fail, are given up or suspended, anyone's (operators)", "penstock admin schedules" },
    { "admin freeze", cmd_admin_freeze, "ACCOUNT_ID REASON", "nothing goes out any more (operators)",
        "penstock admin freeze 12 'court order 7'" },
    { "admin unfreeze", cmd_admin_unfreeze, "ACCOUNT_ID REASON", "open an account again (operators)",
        "penstock admin unfreeze 12 lifted" },
    { "admin close", cmd_admin_close, "ACCOUNT_ID REASON", "close an empty account (operators)",
        "penstock admin close 12 'asked for'" },
    { "admin overdraft", cmd_admin_overdraft, "ACCOUNT_ID AMOUNT REASON", "how far below zero it may go (operators)",
        "penstock admin overdraft 12 500 'credit line'" },
    { "order place", cmd_order_place,
        "SYMBOL buy|sell QUANTITY [PRICE] [--type T] [--tif TIF] [--stop PRICE] [--expires TIME] [--display QUANTITY]\n"
        "                [--post-only | --slide] [--self-trade MODE] [--quote-amount] [--client-order-id ID] [--key K]",
        "place an order; without a price it is a market order, with --stop a stop or stop-limit order; --quote-amount: "
        "QUANTITY is money",
        "penstock order place BTC-USD buy 0.01 64000" },
    { "order batch", cmd_order_batch, "FILE [--key K]",
        "place up to 100 orders at once, each with its own answer; FILE: JSON, an array of bodies of POST /api/orders, "
        "or -",
        "penstock order batch orders.json" },
    { "order amend", cmd_order_amend, "ORDER_ID [--price P] [--quantity Q]",
        "ask the engine for another price or total quantity", "penstock order amend 17 --price 63900" },
    { "order cancel-all", cmd_order_cancel_all, "[--symbol S | --after SECONDS]",
        "cancel all open orders; --after: unless it is called again in time (0: never)",
        "penstock order cancel-all --after 60" },
    { "order cancel", cmd_order_cancel, "ORDER_ID", "ask the engine to cancel", "penstock order cancel 17" },
    { "order get", cmd_order_get, "ORDER_ID", "one order", "penstock order get 17" },
    { "order fills", cmd_order_fills, "ORDER_ID", "the executions of one order", "penstock order fills 17" },
    { "order list", cmd_order_list, "[--status S] [--symbol S] [--from TIME] [--to TIME] [--limit N] [--before ID]",
        "orders, newest first", "penstock order list --status open" },
    { "asset add", cmd_asset_add, "CODE DECIMALS currency|crypto", "a new asset; it never changes",
        "penstock asset add DOGE 8 crypto" },
    { "market add", cmd_market_add,
        "BASE QUOTE --tick T --lot L [--max-price P] [--max-quantity Q] [--maker-fee PPM] [--taker-fee PPM] [--band "
        "PPM]\n"
        "                [--market-band PPM] [--status S]",
        "a new market, open within a second. This and the next: needs TRADE_LEDGER_OWNER_POSTGRES_URL",
        "penstock market add DOGE USD --tick 0.0001 --lot 0.01" },
    { "market set", cmd_market_set,
        "SYMBOL [limits as of market add] [--min-price P] [--min-quantity Q] [--min-notional N] [--max-notional N]",
        "change limits, fees and bands; the price band needs a reference",
        "penstock market set BTC-USD --band 100000" },
    { "market status", cmd_market_status, "SYMBOL open|halted|cancel_only|auction",
        "halt, resume, call an auction; open after auction uncrosses at one price",
        "penstock market status BTC-USD halted" },
    { "market reference", cmd_market_reference, "SYMBOL PRICE", "what the price band is measured from",
        "penstock market reference BTC-USD 65000" },
    { "market kill", cmd_market_kill, "USER_ID [--symbol S] [--off]",
        "kill switch: cancel all orders of a user and refuse new ones; --off lets him trade again",
        "penstock market kill 17" },
    { "markets", cmd_markets, "", "what can be traded", "penstock markets" },
    { "book", cmd_book, "SYMBOL [--depth N]", "the order book", "penstock book BTC-USD --depth 5" },
    { "trades", cmd_trades, "SYMBOL [--limit N]", "last trades of a market", "penstock trades BTC-USD" },
    { "events tail", cmd_events_tail,
        "TOPIC [--from beginning|end|OFFSET|TIME] [--count N] [--until-end] [--key K] [--type T]",
        "events of any topic, decoded; TIME is RFC 3339 or -10m",
        "penstock events tail trades.v1 --from beginning --json" },
    { "dlq list", cmd_dlq_list, "", "dead-letter topics and what is in them", "penstock dlq list" },
    { "dlq show", cmd_dlq_show, "TOPIC [--offset N]", "dead letters with their reasons",
        "penstock dlq show orders.requests.v1.ledger-requests.dead" },
    { "dlq retry", cmd_dlq_retry, "TOPIC --offset N | --all",
        "try dead letters again: those that others wait behind in their place, the rest at the end of their topic",
        "penstock dlq retry orders.requests.v1.ledger-requests.dead --offset 3" },
    { "dlq drop", cmd_dlq_drop, "TOPIC --offset N", "give a dead letter up that others wait behind; they go on",
        "penstock dlq drop ledger.postings.v1.ledger-postings.dead --offset 3" },
    { "relay status", cmd_relay_status, "", "each source of the outbox relay: state, lag, rate, parked rows",
        "penstock relay status --json" },
    { "relay pause", cmd_relay_pause, "SOURCE", "stop publishing a source; kept over restarts",
        "penstock relay pause trade-ledger" },
    { "relay resume", cmd_relay_resume, "SOURCE", "go on", "penstock relay resume trade-ledger" },
    { "relay replay", cmd_relay_replay, "SOURCE --from ID|TIME --yes",
        "publish rows again that are still in the outbox: same ce_id, header ce_replay",
        "penstock relay replay trade-ledger --from 2026-01-02T03:04:05Z --yes" },
    { "relay parked list", cmd_relay_parked_list, "SOURCE", "rows that Kafka refused, and those that wait behind them",
        "penstock relay parked list trade-ledger" },
    { "relay parked retry", cmd_relay_parked_retry, "SOURCE --topic T | --key K | --all",
        "publish parked rows after all, in the order of their keys",
        "penstock relay parked retry trade-ledger --key order-17" },
    { "verify", cmd_verify, "[--timeout SECONDS]",
        "recompute every balance and open order from the log; compare with database and engine", "penstock verify" },
    { "demo", cmd_demo, "[--orders N] [--interval-ms N]", "bots that quote and trade through the public API",
        "penstock demo --interval-ms 250" },
};

static void help(FILE *out)
{
    fputs("penstock -- command-line client\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-18s %-52s\n                     %s\n", commands[i].words, commands[i].arguments,
            commands[i].meaning);
    fputs("\nAll commands take --json and --help.\n"
          "Environment: PENSTOCK_URL or GATEWAY_PORT, KAFKA_BROKERS, TOPIC_PREFIX, PENSTOCK_TOKEN, PENSTOCK_SESSION "
          "(file),\n"
          "             verify: TRADE_LEDGER_POSTGRES_URL[_FILE], MATCHING_ENGINE_URL; dlq: also "
          "IDENTITY_POSTGRES_URL[_FILE]\n"
          "             market, asset: TRADE_LEDGER_OWNER_POSTGRES_URL[_FILE], of the role that owns the database\n"
          "Exit codes: 0 done, 1 refused or different, 2 usage, 3 not reachable, 4 not logged in\n"
          "Example:    penstock signup --email ada@example.com --password-file secret.txt && penstock topup USD 10000 "
          "&&\n"
          "            penstock order place BTC-USD buy 0.01 64000 && penstock portfolio\n",
        out);
}

/* How many words of argv the command's words match: 0 for no match. */
static int matches(const char *words, int argc, char **argv)
{
    char copy[64], *rest = NULL;
    int n = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest), n++)
        if (n >= argc || strcmp(argv[n], word) != 0)
            return 0;
    return n;
}

/* Takes the options that all commands have out of argv. */
static int take_common(struct cli *cli, int argc, char **argv, bool *ret_help)
{
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            cli->json = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            *ret_help = true;
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return kept;
}

static const char *from_env(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    bool wants_help = false;
    CLEANUP(xfree) char *url = xasprintf("http://127.0.0.1:%s", from_env("GATEWAY_PORT", "8080"));
    CLEANUP(xfree) char *brokers = xasprintf("127.0.0.1:%s", from_env("KAFKA_PORT", "9092"));
    cli.gateway_url = from_env("PENSTOCK_URL", url);
    cli.kafka = (struct kafka_options){ .brokers = from_env("KAFKA_BROKERS", brokers),
        .topic_prefix = from_env("TOPIC_PREFIX", ""),
        .client_id = "penstock-cli",
        .security_protocol = getenv("KAFKA_SECURITY_PROTOCOL"),
        .sasl_mechanism = getenv("KAFKA_SASL_MECHANISM"),
        .sasl_username = getenv("KAFKA_SASL_USERNAME"),
        .sasl_password = getenv("KAFKA_SASL_PASSWORD"),
        .ssl_ca_location = getenv("KAFKA_SSL_CA_LOCATION") };
    argc = take_common(&cli, argc - 1, argv + 1, &wants_help);
    argv++;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        int words = matches(commands[i].words, argc, argv);
        if (words == 0)
            continue;
        CLEANUP(xfree)
        char *usage = xasprintf("usage: penstock %s %s\n       %s\nexample: %s\n", commands[i].words,
            commands[i].arguments, commands[i].meaning, commands[i].example);
        cli.usage = usage;
        if (wants_help)
            return fputs(usage, stdout) < 0;
        return commands[i].run(&cli, argc - words + 1, argv + words - 1);
    }
    if (wants_help || (argc > 0 && strcmp(argv[0], "help") == 0)) {
        help(stdout);
        return CLI_OK;
    }
    if (argc > 0)
        fprintf(stderr, "penstock: no command '%s%s%s'\n\n", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    help(stderr);
    return CLI_USAGE;
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("penstock: ", stderr);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n%s", cli->usage);
    va_end(args);
    return CLI_USAGE;
}

int cli_fail(enum cli_exit code, const struct error *e)
{
    fprintf(stderr, "penstock: %s%s%s\n", e->field, *e->field ? ": " : "", e->message);
    return code;
}

int cli_option(const struct cli *cli, int argc, char **argv, const struct option *options)
{
    int option = getopt_long(argc, argv, "", options, NULL);
    if (option == '?')
        fputs(cli->usage, stderr);
    return option;
}
