/* main.c -- penstock-load: places and cancels orders of a realistic flow over HTTP, as many users on many connections,
 * and says how fast they were durable and how late the fills came out of Kafka. With --acked FILE it writes each order
 * that was answered with 201, so that a test can look for it after everything has been killed. */
#include "flow.h"
#include "http_client.h"
#include "recorder.h"
#include "users.h"

#include "../../services/chassis/decimal.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MAX = 4096, BATCH_MAX = 1000, PART_JSON_MAX = 192 };

struct options {
    const char *host, *port, *direct_port, *path, *symbol, *acked_path, *users_path, *brokers, *prefix;
    uint64_t connections, users, batch, accounts, first_account, orders, rate, seed;
    double seconds, drain_seconds;
    bool fills, place_only, duplicates, json;
};

/* One connection's orders, all of one user. */
struct lane {
    const char *token;
    uint64_t open[OPEN_MAX];
    size_t open_count;
    bool placing, ioc;
    uint64_t cancelling;
};

struct load {
    const struct options *options;
    struct flow flow;       /* one price for all */
    struct flow_step first; /* with --duplicates: the only one */
    struct lane *lanes;
    struct recorder *recorder;
    struct load_client *client;
    FILE *acked;
    uint64_t run_id, issued, placed, cancelled, refused, failed;
    int64_t started_us;
};

/* Between two different accounts, any. */
static int write_transfer(struct load *load, char ret_json[PART_JSON_MAX])
{
    uint64_t count = load->options->accounts, from = flow_random(&load->flow) % count;
    uint64_t to = (from + 1 + flow_random(&load->flow) % (count - 1)) % count;
    return snprintf(ret_json, PART_JSON_MAX,
        "{\"from_account_id\":\"%" PRIu64 "\",\"to_account_id\":\"%" PRIu64
        "\",\"currency\":\"USD\",\"amount\":\"0.000001\"}",
        load->options->first_account + from, load->options->first_account + to);
}

static int write_order(const struct load *load, const struct flow_step *step, char ret_json[PART_JSON_MAX])
{
    char price[DECIMAL_TEXT_MAX], quantity[DECIMAL_TEXT_MAX];
    decimal_format(step->price_cents, 2, 2, price);
    decimal_format(step->quantity_lots, 6, 6, quantity);
    return snprintf(ret_json, PART_JSON_MAX,
        "{\"symbol\":\"%s\",\"side\":\"%s\",\"type\":\"limit\",\"price\":\"%s\",\"quantity\":\"%s\",\"time_in_force\":"
        "\"%s\"}",
        load->options->symbol, step->buy ? "buy" : "sell", price, quantity, step->ioc ? "IOC" : "GTC");
}

static size_t write_post(
    const struct load *load, const struct lane *lane, const char *path, const char *body, int len, char *request)
{
    int all = snprintf(request, LOAD_REQUEST_MAX,
        "POST %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %" PRIx64 "-%" PRIu64
        "\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        load->options->path, path, load->options->host, lane->token, load->run_id,
        load->options->duplicates ? 0 : load->issued, len, body);
    return all < LOAD_REQUEST_MAX ? (size_t)all : 0;
}

static size_t write_place(struct load *load, struct lane *lane, const struct flow_step *step, char *request)
{
    char body[PART_JSON_MAX];
    int len = load->options->accounts > 0 ? write_transfer(load, body) : write_order(load, step, body);
    return write_post(load, lane, "", body, len, request);
}

/* As many orders or transfers as a batch has, in one request. */
static size_t write_batch(struct load *load, struct lane *lane, char *request)
{
    char body[BATCH_MAX * PART_JSON_MAX + 64];
    struct flow_step step;
    bool transfers = load->options->accounts > 0;
    int len = snprintf(body, sizeof body, transfers ? "{\"mode\":\"each\",\"transfers\":[" : "{\"orders\":[");
    for (size_t i = 0; i < load->options->batch; i++) {
        flow_next(&load->flow, 0, &step);
        len += transfers ? write_transfer(load, body + len) : write_order(load, &step, body + len);
        body[len++] = i + 1 < load->options->batch ? ',' : ']';
    }
    body[len++] = '}';
    body[len] = '\0';
    return write_post(load, lane, "/batch", body, len, request);
}

static size_t write_cancel(struct load *load, struct lane *lane, char *request)
{
    int all = snprintf(request, LOAD_REQUEST_MAX,
        "DELETE %s/%" PRIu64 " HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", load->options->path,
        lane->cancelling, load->options->host, lane->token);
    return all < LOAD_REQUEST_MAX ? (size_t)all : 0;
}

static bool due(const struct load *load)
{
    const struct options *o = load->options;
    if (o->orders > 0 && load->issued >= o->orders)
        return false;
    return o->rate == 0 || load->issued < (uint64_t)(monotonic_us() - load->started_us) * o->rate / 1000000;
}

static size_t next_request(void *context, size_t index, char request[LOAD_REQUEST_MAX])
{
    struct load *load = context;
    struct lane *lane = &load->lanes[index];
    if (load->options->orders > 0 && load->issued >= load->options->orders)
        load_client_stop(load->client);
    if (!due(load))
        return 0;
    struct flow_step step = load->first;
    load->issued++;
    lane->placing = true;
    if (load->options->batch > 0)
        return write_batch(load, lane, request);
    if (!load->options->duplicates)
        flow_next(&load->flow, load->options->place_only ? 0 : lane->open_count, &step);
    lane->placing = step.kind == FLOW_PLACE;
    lane->ioc = step.ioc;
    if (lane->placing)
        return write_place(load, lane, &step, request);
    size_t pick = step.pick % lane->open_count;
    lane->cancelling = lane->open[pick];
    lane->open[pick] = lane->open[--lane->open_count];
    return write_cancel(load, lane, request);
}

static uint64_t accepted_in(const char *body)
{
    uint64_t count = 0;
    for (const char *at = body; (at = strstr(at, "\"status\":201")); at++)
        count++;
    return count;
}

static uint64_t order_id_of(const char *body)
{
    const char *field = strstr(body, "\"order_id\"");
    const char *digits = field ? strpbrk(field, "0123456789") : NULL;
    return digits ? strtoull(digits, NULL, 10) : 0;
}

static void done(void *context, size_t index, const struct load_answer *answer)
{
    struct load *load = context;
    struct lane *lane = &load->lanes[index];
    if (lane->placing)
        recorder_answer(load->recorder, answer->ended_us - answer->started_us);
    if (load->options->batch > 0 && (answer->status == 200 || answer->status == 201)) {
        uint64_t accepted = accepted_in(answer->body);
        load->placed += accepted;
        load->refused += load->options->batch - accepted;
    } else if (lane->placing && answer->status == 201) {
        uint64_t id = order_id_of(answer->body);
        load->placed++;
        recorder_placed(load->recorder, id, answer->started_us);
        if (load->acked)
            fprintf(load->acked, "%" PRIu64 "\n", id);
        if (!lane->ioc && lane->open_count < OPEN_MAX)
            lane->open[lane->open_count++] = id;
    } else if (!lane->placing && (answer->status == 202 || answer->status == 409)) {
        load->cancelled++; /* 409: it was filled in the meantime */
    } else if (answer->status == 422 || (load->options->duplicates && answer->status == 409)) {
        load->refused++; /* 409: the first of them is still under way */
    } else if (load->failed++ < 5) {
        fprintf(stderr, "penstock-load: HTTP %d: %.300s\n", answer->status, answer->body);
    }
}

static void report(const struct load *load, double seconds, size_t unanswered, uint64_t reconnects)
{
    struct recorder_summary http, fills;
    recorder_summary(load->recorder, &http, &fills);
    json_t *json = json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I}", "seconds",
        seconds, "placed", (json_int_t)load->placed, "cancelled", (json_int_t)load->cancelled, "refused",
        (json_int_t)load->refused, "failed", (json_int_t)load->failed, "unanswered", (json_int_t)unanswered,
        "reconnects", (json_int_t)reconnects, "orders_per_second", (double)load->placed / seconds,
        "requests_per_second", (double)(load->placed + load->cancelled + load->refused) / seconds, "http_p50_us",
        (json_int_t)http.p50_us, "http_p99_us", (json_int_t)http.p99_us, "fills", (json_int_t)fills.count,
        "fill_p50_us", (json_int_t)fills.p50_us, "fill_p99_us", (json_int_t)fills.p99_us);
    json_dumpf(json, stdout,
        JSON_PRESERVE_ORDER | (load->options->json ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(json);
}

static bool run(const struct options *options, struct error *e)
{
    struct load load = { .options = options, .run_id = (uint64_t)now_us() };
    CLEANUP(users_free) struct users *users = NULL;
    CLEANUP(recorder_free) struct recorder *recorder = NULL;
    CLEANUP(load_client_free) struct load_client *client = NULL;
    if (!users_open(options->host, options->port, options->users, options->users_path, &users, e) ||
        !recorder_open(options->fills ? options->brokers : NULL, options->prefix, &recorder, e) ||
        !load_client_open(options->host, options->direct_port ? options->direct_port : options->port,
            options->connections, next_request, done, &load, &client, e))
        return false;
    load.recorder = recorder;
    load.client = client;
    load.acked = options->acked_path ? fopen(options->acked_path, "w") : NULL;
    if (options->acked_path && !load.acked)
        return error_field(e, ERROR_INVALID, "", "--acked", "cannot be written");
    load.lanes = xcalloc(options->connections, sizeof *load.lanes);
    for (size_t i = 0; i < options->connections; i++)
        load.lanes[i].token = users_token(users, i % options->users);
    flow_init(&load.flow, options->seed, 6500000);
    if (options->duplicates)
        flow_next(&load.flow, 0, &load.first);
    load.started_us = monotonic_us();
    int64_t until_us = load.started_us + (int64_t)(options->seconds * 1e6);
    size_t unanswered = load_client_run(client, until_us, (int64_t)(options->drain_seconds * 1e6));
    double seconds = (double)(monotonic_us() - load.started_us) / 1e6;
    recorder_settle(recorder, 2000);
    report(&load, seconds, unanswered, load_client_reconnects(client));
    if (load.acked)
        fclose(load.acked);
    xfree(load.lanes);
    return unanswered == 0 || error_set(e, ERROR_TRANSIENT, "%zu requests were never answered", unanswered);
}

static const char usage[] =
    "usage: penstock-load [--host H] [--port P] [--users N] [--connections N] [--seconds S] [--drain S] [--rate N]\n"
    "                     [--orders N] [--seed N] [--symbol S] [--acked FILE] [--fills] [--place-only] [--json]\n"
    "                     [--direct PORT] [--batch N] [--duplicates] [--users-in FILE]\n"
    "                     [--accounts N --first-account ID]\n"
    "       --direct: users by the gateway (--port), orders straight to trade-ledger\n"
    "       --orders: so many requests (placing and cancelling), then end; latencies of HTTP are those of POST\n"
    "       --batch: N orders (or transfers) a request, by POST /orders/batch; --duplicates: all requests are one "
    "request, with one "
    "key\n"
    "       --fills reads trades.v1 (KAFKA_BROKERS, TOPIC_PREFIX) and measures from POST to the fill\n";

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_SECONDS, OPTION_FLAG };

#define AT(member) offsetof(struct options, member)
static const struct {
    const char *name;
    enum option_kind kind;
    size_t offset;
} option_table[] = {
    { "host", OPTION_TEXT, AT(host) },
    { "port", OPTION_TEXT, AT(port) },
    { "direct", OPTION_TEXT, AT(direct_port) },
    { "symbol", OPTION_TEXT, AT(symbol) },
    { "acked", OPTION_TEXT, AT(acked_path) },
    { "users-in", OPTION_TEXT, AT(users_path) },
    { "users", OPTION_NUMBER, AT(users) },
    { "connections", OPTION_NUMBER, AT(connections) },
    { "batch", OPTION_NUMBER, AT(batch) },
    { "accounts", OPTION_NUMBER, AT(accounts) },
    { "first-account", OPTION_NUMBER, AT(first_account) },
    { "rate", OPTION_NUMBER, AT(rate) },
    { "orders", OPTION_NUMBER, AT(orders) },
    { "seed", OPTION_NUMBER, AT(seed) },
    { "seconds", OPTION_SECONDS, AT(seconds) },
    { "drain", OPTION_SECONDS, AT(drain_seconds) },
    { "fills", OPTION_FLAG, AT(fills) },
    { "place-only", OPTION_FLAG, AT(place_only) },
    { "duplicates", OPTION_FLAG, AT(duplicates) },
    { "json", OPTION_FLAG, AT(json) },
};
#undef AT

static void option_set(struct options *options, size_t index, const char *value)
{
    void *at = (char *)options + option_table[index].offset;
    switch (option_table[index].kind) {
    case OPTION_TEXT:
        *(const char **)at = value;
        break;
    case OPTION_NUMBER:
        *(uint64_t *)at = strtoull(value, NULL, 10);
        break;
    case OPTION_SECONDS:
        *(double *)at = strtod(value, NULL);
        break;
    case OPTION_FLAG:
        *(bool *)at = true;
        break;
    }
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    struct option names[ARRAY_LEN(option_table) + 1] = { 0 };
    int index = 0, result;
    for (size_t i = 0; i < ARRAY_LEN(option_table); i++)
        names[i] = (struct option){ option_table[i].name,
            option_table[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL, 0 };
    while ((result = getopt_long(argc, argv, "", names, &index)) == 0)
        option_set(options, (size_t)index, optarg);
    if (options->direct_port)
        options->path = "/orders";
    if (options->accounts > 0) {
        options->path = options->direct_port ? "/transfers" : "/api/transfers";
        options->place_only = true;
    }
    if (options->duplicates)
        options->users = 1;
    return result == -1 && optind == argc && options->users > 0 && options->connections > 0 && options->seconds > 0 &&
           options->batch <= BATCH_MAX && options->accounts != 1;
}

int main(int argc, char **argv)
{
    const char *port = getenv("GATEWAY_PORT"), *brokers = getenv("KAFKA_BROKERS"), *prefix = getenv("TOPIC_PREFIX");
    struct options options = { .host = "127.0.0.1",
        .port = port ? port : "8080",
        .path = "/api/orders",
        .symbol = "BTC-USD",
        .brokers = brokers ? brokers : "127.0.0.1:9092",
        .prefix = prefix ? prefix : "",
        .connections = 16,
        .users = 8,
        .seconds = 10,
        .drain_seconds = 60,
        .seed = 1 };
    struct error e = { 0 };
    if (!options_parse(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    if (run(&options, &e))
        return 0;
    fprintf(stderr, "penstock-load: %s%s%s\n", e.field, *e.field ? ": " : "", e.message);
    return 1;
}
