/* orders.c -- place, cancel, get, list. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char *const order_columns[] = { "order_id", "symbol", "side", "type", "time_in_force", "price", "quantity",
    "filled_quantity", "status", "client_order_id", NULL };

static const char *text(const json_t *json, const char *field)
{
    const char *value = json_string_value(json_object_get(json, field));
    return value ? value : "-";
}

int cmd_order_place(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "type", required_argument, NULL, 't' },
        { "tif", required_argument, NULL, 'i' }, { "post-only", no_argument, NULL, 'p' },
        { "client-order-id", required_argument, NULL, 'c' }, { "key", required_argument, NULL, 'k' }, { 0 } };
    const char *type = NULL, *tif = NULL, *client_order_id = NULL, *given_key = NULL;
    bool post_only = false;
    char key[33];
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        switch (option) {
        case 't':
            type = optarg;
            break;
        case 'i':
            tif = optarg;
            break;
        case 'p':
            post_only = true;
            break;
        case 'c':
            client_order_id = optarg;
            break;
        case 'k':
            given_key = optarg;
            break;
        default:
            return CLI_USAGE;
        }
    }
    int given = argc - optind;
    if (given != 3 && given != 4)
        return cli_usage(cli, "symbol, side and quantity are needed, and a price unless it is a market order");
    json_t *body = json_pack("{s:s, s:s, s:s, s:s}", "symbol", argv[optind], "side", argv[optind + 1], "quantity",
        argv[optind + 2], "type",
        type         ? type
        : given == 4 ? "limit"
                     : "market");
    if (given == 4)
        json_object_set_new(body, "price", json_string(argv[optind + 3]));
    if (tif)
        json_object_set_new(body, "time_in_force", json_string(tif));
    if (post_only)
        json_object_set_new(body, "post_only", json_true());
    if (client_order_id)
        json_object_set_new(body, "client_order_id", json_string(client_order_id));
    random_key(key);
    json_t *json;
    int result = api_call(cli,
        &(struct api_call){
            "POST", "/api/orders", .body = body, .idempotency_key = given_key ? given_key : key, .with_token = true },
        &json);
    if (result != CLI_OK)
        return result;
    if (cli->json)
        print_json(json);
    else
        printf("order %s %s\n", text(json, "order_id"), text(json, "status"));
    json_decref(json);
    return CLI_OK;
}

/* GET or DELETE of the one order that argv names. */
static int one_order(struct cli *cli, int argc, char **argv, const char *method, json_t **ret_json)
{
    if (argc != 2 || !*argv[1] || strspn(argv[1], "0123456789") != strlen(argv[1]))
        return cli_usage(cli, "one order id is needed, a number");
    CLEANUP(xfree) char *path = xasprintf("/api/orders/%s", argv[1]);
    return api_call(cli, &(struct api_call){ method, path, .with_token = true }, ret_json);
}

int cmd_order_cancel(struct cli *cli, int argc, char **argv)
{
    json_t *json;
    int result = one_order(cli, argc, argv, "DELETE", &json);
    if (result != CLI_OK)
        return result;
    if (cli->json)
        print_json(json);
    else
        printf("order %s %s\n", text(json, "order_id"), text(json, "status"));
    json_decref(json);
    return CLI_OK;
}

int cmd_order_get(struct cli *cli, int argc, char **argv)
{
    json_t *json;
    int result = one_order(cli, argc, argv, "GET", &json);
    if (result != CLI_OK)
        return result;
    if (cli->json) {
        print_json(json);
    } else {
        json_t *rows = json_pack("[O]", json);
        print_table(rows, order_columns);
        json_decref(rows);
    }
    json_decref(json);
    return CLI_OK;
}

int cmd_order_list(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "status", required_argument, NULL, 0 },
        { "symbol", required_argument, NULL, 1 }, { "limit", required_argument, NULL, 2 },
        { "before", required_argument, NULL, 3 }, { 0 } };
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
    json_t *json;
    int result = optind == argc ? api_call(cli, &(struct api_call){ "GET", path, .with_token = true }, &json)
                                : cli_usage(cli, "order list takes no argument");
    xfree(path);
    if (result != CLI_OK)
        return result;
    if (cli->json)
        print_json(json);
    else
        print_table(json_object_get(json, "orders"), order_columns);
    json_decref(json);
    return CLI_OK;
}
