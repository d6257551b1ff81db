/* orders.c -- place, batch, amend, cancel, get, fills, list. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const order_columns[] = { "order_id", "symbol", "side", "type", "time_in_force", "price", "quantity",
    "filled_quantity", "status", "client_order_id", NULL };

static const char *text(const json_t *json, const char *field)
{
    const char *value = json_string_value(json_object_get(json, field));
    return value ? value : "-";
}

static void json_decref_cleanup(json_t **json)
{
    json_decref(*json);
}

/* Prints the answer: the JSON, or the order and its status. Takes it. */
static int say_order(const struct cli *cli, json_t *json)
{
    return show_line(cli, json, "order {order_id} {status}");
}

int cmd_order_place(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "type", required_argument, NULL, 't' },
        { "tif", required_argument, NULL, 'i' }, { "post-only", no_argument, NULL, 'p' },
        { "client-order-id", required_argument, NULL, 'c' }, { "key", required_argument, NULL, 'k' },
        { "stop", required_argument, NULL, 's' }, { "display", required_argument, NULL, 'd' },
        { "expires", required_argument, NULL, 'e' }, { "slide", no_argument, NULL, 'l' },
        { "self-trade", required_argument, NULL, 'f' }, { "quote-amount", no_argument, NULL, 'q' }, { 0 } };
    static const char *const fields[128] = { ['s'] = "stop_price",
        ['d'] = "display_quantity",
        ['e'] = "expires_at",
        ['f'] = "self_trade_prevention",
        ['c'] = "client_order_id",
        ['i'] = "time_in_force" };
    const char *type = NULL, *key = NULL;
    bool post_only = false, slide = false, by_quote = false, stops = false;
    __attribute__((cleanup(json_decref_cleanup))) json_t *body = json_object();
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        switch (option) {
        case 't':
            type = optarg;
            break;
        case 'l':
            slide = true;
            /* fall through */
        case 'p':
            post_only = true;
            break;
        case 'q':
            by_quote = true;
            break;
        case 'k':
            key = optarg;
            break;
        case '?':
            return CLI_USAGE;
        default:
            stops = stops || option == 's';
            json_object_set_new(body, fields[option], json_string(optarg));
        }
    }
    int given = argc - optind;
    if (given != 3 && given != 4)
        return cli_usage(cli, "symbol, side and quantity are needed, and a price unless it is a market or stop order");
    const char *with_price = stops ? "stop_limit" : "limit", *without = stops ? "stop" : "market";
    json_object_set_new(body, "symbol", json_string(argv[optind]));
    json_object_set_new(body, "side", json_string(argv[optind + 1]));
    json_object_set_new(body, by_quote ? "quote_amount" : "quantity", json_string(argv[optind + 2]));
    json_object_set_new(body, "type", json_string(type ? type : given == 4 ? with_price : without));
    if (given == 4)
        json_object_set_new(body, "price", json_string(argv[optind + 3]));
    if (post_only)
        json_object_set_new(body, "post_only", json_true());
    if (slide)
        json_object_set_new(body, "post_only_mode", json_string("slide"));
    json_t *json;
    int result = api_call(cli,
        &(struct api_call){ "POST", "/api/orders", .body = json_incref(body), .with_key = true, .idempotency_key = key,
            .with_token = true },
        &json);
    return result == CLI_OK ? say_order(cli, json) : result;
}

/* GET or DELETE of the one order that argv names, or of what belongs to it. */
static int one_order(struct cli *cli, int argc, char **argv, const char *method, const char *below, json_t **ret_json)
{
    if (argc != 2 || !*argv[1] || strspn(argv[1], "0123456789") != strlen(argv[1]))
        return cli_usage(cli, "one order id is needed, a number");
    CLEANUP(xfree) char *path = xasprintf("/api/orders/%s%s", argv[1], below);
    return api_call(cli, &(struct api_call){ method, path, .with_token = true }, ret_json);
}

int cmd_order_cancel(struct cli *cli, int argc, char **argv)
{
    json_t *json;
    int result = one_order(cli, argc, argv, "DELETE", "", &json);
    return result == CLI_OK ? say_order(cli, json) : result;
}

int cmd_order_get(struct cli *cli, int argc, char **argv)
{
    json_t *json;
    int result = one_order(cli, argc, argv, "GET", "", &json);
    return result == CLI_OK ? show_table(cli, json, NULL, order_columns) : result;
}

int cmd_order_batch(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "key", required_argument, NULL, 'k' }, { 0 } };
    const char *key = NULL;
    json_error_t why;
    json_t *json, *answer;
    size_t i;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1; key = optarg)
        if (option == '?')
            return CLI_USAGE;
    if (argc - optind != 1)
        return cli_usage(cli, "one file is needed, - for standard input");
    const char *path = argv[optind];
    json_t *orders = strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &why) : json_load_file(path, 0, &why);
    if (!orders)
        return cli_usage(cli, "%s, line %d: %s", path, why.line, why.text);
    int result = api_call(cli,
        &(struct api_call){ "POST", "/api/orders/batch",
            .body = json_is_array(orders) ? json_pack("{s:o}", "orders", orders) : orders, .with_key = true,
            .idempotency_key = key, .with_token = true },
        &json);
    if (result != CLI_OK)
        return result;
    if (cli->json)
        print_json(json);
    json_array_foreach(json_object_get(json, "orders"), i, answer)
    {
        const json_t *order = json_object_get(answer, "order"), *problem = json_object_get(answer, "problem");
        result = problem ? CLI_REFUSED : result;
        if (problem)
            fprintf(stderr, "penstock: order %zu of the file: %s: %s\n", i + 1, text(problem, "field"),
                text(problem, "detail"));
        else if (!cli->json)
            printf("order %s %s\n", text(order, "order_id"), text(order, "status"));
    }
    json_decref(json);
    return result;
}

int cmd_order_fills(struct cli *cli, int argc, char **argv)
{
    static const char *const columns[] = { "trade_id", "side", "price", "quantity", "role", "fee", "executed_at",
        NULL };
    json_t *json;
    int result = one_order(cli, argc, argv, "GET", "/fills", &json);
    return result == CLI_OK ? show_table(cli, json, "trades", columns) : result;
}

int cmd_order_amend(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "price", required_argument, NULL, 0 },
        { "quantity", required_argument, NULL, 1 }, { 0 } };
    __attribute__((cleanup(json_decref_cleanup))) json_t *body = json_object();
    json_t *json;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == '?')
            return CLI_USAGE;
        json_object_set_new(body, options[option].name, json_string(optarg));
    }
    if (argc - optind != 1 || json_object_size(body) == 0 ||
        strspn(argv[optind], "0123456789") != strlen(argv[optind]) || !*argv[optind])
        return cli_usage(cli, "one order id is needed, a number, and a new price or quantity");
    CLEANUP(xfree) char *path = xasprintf("/api/orders/%s", argv[optind]);
    int result =
        api_call(cli, &(struct api_call){ "PATCH", path, .body = json_incref(body), .with_token = true }, &json);
    return result == CLI_OK ? say_order(cli, json) : result;
}

int cmd_order_cancel_all(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "symbol", required_argument, NULL, 's' },
        { "after", required_argument, NULL, 'a' }, { 0 } };
    const char *symbol = NULL, *after = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == '?')
            return CLI_USAGE;
        *(option == 's' ? &symbol : &after) = optarg;
    }
    if (optind != argc || (symbol && after) || (after && strspn(after, "0123456789") != strlen(after)))
        return cli_usage(cli, "a symbol, or a number of seconds, or neither");
    json_t *body = after    ? json_pack("{s:I}", "timeout_s", (json_int_t)strtoll(after, NULL, 10))
                   : symbol ? json_pack("{s:s}", "symbol", symbol)
                            : json_object();
    return call_line(cli,
        &(struct api_call){ "POST", after ? "/api/orders/cancel-all-after" : "/api/orders/cancel-all", .body = body,
            .with_token = true },
        "{status}");
}

int cmd_order_list(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "status", required_argument, NULL, 0 },
        { "symbol", required_argument, NULL, 1 }, { "limit", required_argument, NULL, 2 },
        { "before", required_argument, NULL, 3 }, { "from", required_argument, NULL, 4 },
        { "to", required_argument, NULL, 5 }, { 0 } };
    char *path = xstrdup("/api/orders?");
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == '?') {
            xfree(path);
            return CLI_USAGE;
        }
        char *longer = xasprintf("%s%s=%s&", path, options[option].name, optarg);
        xfree(path);
        path = longer;
    }
    path[strlen(path) - 1] = '\0'; /* the last '?' or '&' */
    int result = optind == argc
                     ? call_table(cli, &(struct api_call){ "GET", path, .with_token = true }, "orders", order_columns)
                     : cli_usage(cli, "order list takes no argument");
    xfree(path);
    return result;
}
