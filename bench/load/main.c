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

enum { OPEN_MAX = 4096 };

struct options {
    const char *host, *port, *direct_port, *path, *symbol, *acked_path, *brokers, *prefix;
    size_t connections, users;
    double seconds, drain_seconds;
    uint64_t orders, rate, seed;
    bool fills, place_only, json;
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
    struct flow flow; /* one price for all */
    struct lane *lanes;
    struct recorder *recorder;
    struct load_client *client;
    FILE *acked;
    uint64_t run_id, issued, placed, cancelled, refused, failed;
    int64_t started_us;
};

static size_t write_place(struct load *load, struct lane *lane, const struct flow_step *step, char *request)
{
    char price[DECIMAL_TEXT_MAX], quantity[DECIMAL_TEXT_MAX], body[512];
    decimal_format(step->price_cents, 2, 2, price);
    decimal_format(step->quantity_lots, 6, 6, quantity);
    int len = snprintf(body, sizeof body,
        "{\"symbol\":\"%s\",\"side\":\"%s\",\"type\":\"limit\",\"price\":\"%s\",\"quantity\":\"%s\",\"time_in_force\":"
        "\"%s\"}",
        load->options->symbol, step->buy ? "buy" : "sell", price, quantity, step->ioc ? "IOC" : "GTC");
    int all = snprintf(request, LOAD_REQUEST_MAX,
        "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %" PRIx64 "-%" PRIu64
        "\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        load->options->path, load->options->host, lane->token, load->run_id, load->issued, len, body);
    return all < LOAD_REQUEST_MAX ? (size_t)all : 0;
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
    struct flow_step step;
    flow_next(&load->flow, load->options->place_only ? 0 : lane->open_count, &step);
    load->issued++;
    lane->placing = step.kind == FLOW_PLACE;
    lane->ioc = step.ioc;
    if (lane->placing)
        return write_place(load, lane, &step, request);
    size_t pick = step.pick % lane->open_count;
    lane->cancelling = lane->open[pick];
    lane->open[pick] = lane->open[--lane->open_count];
    return write_cancel(load, lane, request);
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
    if (lane->placing && answer->status == 201) {
        uint64_t id = order_id_of(answer->body);
        load->placed++;
        recorder_placed(load->recorder, id, answer->started_us);
        if (load->acked)
            fprintf(load->acked, "%" PRIu64 "\n", id);
        if (!lane->ioc && lane->open_count < OPEN_MAX)
            lane->open[lane->open_count++] = id;
    } else if (!lane->placing && (answer->status == 202 || answer->status == 409)) {
        load->cancelled++; /* 409: it was filled in the meantime */
    } else if (answer->status == 422) {
        load->refused++;
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
    if (!users_open(options->host, options->port, options->users, &users, e) ||
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
    "                     [--direct PORT]\n"
    "       --direct: users by the gateway (--port), orders straight to trade-ledger\n"
    "       --orders: so many requests (placing and cancelling), then end; latencies of HTTP are those of POST\n"
    "       --fills reads trades.v1 (KAFKA_BROKERS, TOPIC_PREFIX) and measures from POST to the fill\n";

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = { { "host", required_argument, NULL, 'h' },
        { "port", required_argument, NULL, 'p' }, { "users", required_argument, NULL, 'u' },
        { "connections", required_argument, NULL, 'c' }, { "seconds", required_argument, NULL, 's' },
        { "drain", required_argument, NULL, 'd' }, { "rate", required_argument, NULL, 'r' },
        { "orders", required_argument, NULL, 'o' }, { "seed", required_argument, NULL, 'e' },
        { "symbol", required_argument, NULL, 'y' }, { "acked", required_argument, NULL, 'a' },
        { "fills", no_argument, NULL, 'f' }, { "place-only", no_argument, NULL, 'n' },
        { "json", no_argument, NULL, 'j' }, { "direct", required_argument, NULL, 'D' }, { 0 } };
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'h':
            options->host = optarg;
            break;
        case 'p':
            options->port = optarg;
            break;
        case 'u':
            options->users = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            options->connections = strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->seconds = strtod(optarg, NULL);
            break;
        case 'd':
            options->drain_seconds = strtod(optarg, NULL);
            break;
        case 'r':
            options->rate = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            options->orders = strtoull(optarg, NULL, 10);
            break;
        case 'e':
            options->seed = strtoull(optarg, NULL, 10);
            break;
        case 'y':
            options->symbol = optarg;
            break;
        case 'a':
            options->acked_path = optarg;
            break;
        case 'f':
            options->fills = true;
            break;
        case 'n':
            options->place_only = true;
            break;
        case 'j':
            options->json = true;
            break;
        case 'D':
            options->direct_port = optarg;
            options->path = "/orders";
            break;
        default:
            return false;
        }
    }
    return optind == argc && options->users > 0 && options->connections > 0 && options->seconds > 0;
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
