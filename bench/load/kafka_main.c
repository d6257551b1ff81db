/* kafka_main.c -- penstock-load-kafka: the same flow as penstock-load, written to orders.requests.v1 as any producer
 * outside may, and the answers read from orders.events.v1: OrderAccepted or OrderRejected for a PlaceOrder, and for a
 * CancelOrder what the engine made of it (OrderCancelled, or CancelRejected when it was filled before). So the time
 * until all is answered is the time of the whole way: Kafka, ledger, relay, and for cancels the engine too. One thread.
 */
#include "flow.h"
#include "recorder.h"

#include "../../services/chassis/decimal.h"
#include "../../tools/cli/reader.h"

#include "orders_v1.pb-c.h"
#include "topups_v1.pb-c.h"

#include <event_bus/producer.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPEN_MAX = 4096,
    USERS_MAX = 10000,
    IN_FLIGHT_MAX = 100000,
    REQUESTS_MAX = 20 * 1000 * 1000,
    POSITION_MS = 30000, /* until every partition's end is known */
    TOPUP_MS = 60000,
    POLL_MS = 1,
    ID_MAX = 48,
    KEY_MAX = 24,
};

struct options {
    const char *symbol;
    struct kafka_options kafka;
    size_t users, in_flight;
    double seconds, drain_seconds;
    uint64_t requests, rate, seed;
    bool json, place_only;
};

struct request {
    int64_t sent_us;
    uint64_t order_id; /* CANCEL: of what; PLACE: 0 */
    uint32_t user;     /* index */
    bool ioc, answered;
};

/* One user. Cancels are answered by order_id, so those on their way are kept; together at most in_flight. */
struct lane {
    uint64_t open[OPEN_MAX];
    size_t open_count, cancel_count, cancel_capacity;
    uint64_t *cancels; /* indices of requests */
    char key[KEY_MAX]; /* client_id */
};

struct load {
    const struct options *options;
    struct producer *producer;
    struct reader *reader;
    struct recorder *recorder;
    struct flow flow; /* one price for all */
    struct lane *lanes;
    struct request *requests;
    size_t request_count, request_capacity;
    uint64_t first_user, run_id;
    uint64_t answered, accepted, cancelled, cancel_rejected, refused, topups_booked;
    int64_t started_us, answered_us;
};

static const char source[] = "/penstock/bench";

static char *request_id(const struct load *load, uint64_t number, char ret_id[ID_MAX])
{
    snprintf(ret_id, ID_MAX, "%" PRIx64 "-%" PRIu64, load->run_id, number);
    return ret_id;
}

/* ---- Requests ---- */

static size_t add_request(struct load *load, const struct request *request)
{
    if (load->request_count == load->request_capacity) {
        load->request_capacity = load->request_capacity ? load->request_capacity * 2 : 65536;
        load->requests = xrealloc(load->requests, load->request_capacity * sizeof *load->requests);
    }
    load->requests[load->request_count] = *request;
    return load->request_count++;
}

static bool send_place(struct load *load, uint32_t user, const struct flow_step *step, struct error *e)
{
    char price[DECIMAL_TEXT_MAX], quantity[DECIMAL_TEXT_MAX], id[ID_MAX];
    Penstock__Orders__V1__PlaceOrder order = PENSTOCK__ORDERS__V1__PLACE_ORDER__INIT;
    size_t number = add_request(load, &(struct request){ .sent_us = monotonic_us(), .user = user, .ioc = step->ioc });
    order.client_id = load->first_user + user;
    order.symbol = (char *)load->options->symbol;
    order.side = step->buy ? PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY : PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL;
    order.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    order.time_in_force = step->ioc ? PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_IOC
                                    : PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC;
    decimal_format(step->price_cents, 2, 2, price);
    decimal_format(step->quantity_lots, 6, 6, quantity);
    order.price = price;
    order.quantity = quantity;
    return producer_send(load->producer, "orders.requests.v1", load->lanes[user].key, request_id(load, number, id),
        &order.base, NULL, e);
}

static bool send_cancel(struct load *load, uint32_t user, const struct flow_step *step, struct error *e)
{
    char id[ID_MAX];
    struct lane *lane = &load->lanes[user];
    size_t pick = step->pick % lane->open_count;
    uint64_t order_id = lane->open[pick];
    lane->open[pick] = lane->open[--lane->open_count];
    size_t number =
        add_request(load, &(struct request){ .sent_us = monotonic_us(), .user = user, .order_id = order_id });
    if (lane->cancel_count == lane->cancel_capacity) {
        lane->cancel_capacity = lane->cancel_capacity ? lane->cancel_capacity * 2 : 16;
        lane->cancels = xrealloc(lane->cancels, lane->cancel_capacity * sizeof *lane->cancels);
    }
    lane->cancels[lane->cancel_count++] = number;
    Penstock__Orders__V1__CancelOrder cancel = PENSTOCK__ORDERS__V1__CANCEL_ORDER__INIT;
    cancel.client_id = load->first_user + user;
    cancel.target_case = PENSTOCK__ORDERS__V1__CANCEL_ORDER__TARGET_ORDER_ID;
    cancel.order_id = order_id;
    return producer_send(
        load->producer, "orders.requests.v1", lane->key, request_id(load, number, id), &cancel.base, NULL, e);
}

static bool send_next(struct load *load, struct error *e)
{
    uint32_t user = (uint32_t)(load->request_count % load->options->users);
    struct lane *lane = &load->lanes[user];
    struct flow_step step;
    flow_next(&load->flow, load->options->place_only ? 0 : lane->open_count, &step);
    return step.kind == FLOW_PLACE ? send_place(load, user, &step, e) : send_cancel(load, user, &step, e);
}

/* ---- Answers ---- */

static void answer(struct load *load, struct request *request, uint64_t *counter)
{
    if (request->answered)
        return;
    request->answered = true;
    load->answered_us = monotonic_us();
    load->answered++;
    (*counter)++;
    recorder_answer(load->recorder, load->answered_us - request->sent_us);
}

/* The request that request_source and request_id name, if it is of this run. */
static struct request *request_of(struct load *load, const char *request_source, const char *id)
{
    char prefix[ID_MAX];
    int len = snprintf(prefix, sizeof prefix, "%" PRIx64 "-", load->run_id);
    if (strcmp(request_source, source) != 0 || strncmp(id, prefix, (size_t)len) != 0)
        return NULL;
    uint64_t number = strtoull(id + len, NULL, 10);
    return number < load->request_count ? &load->requests[number] : NULL;
}

static void on_accepted(struct load *load, const Penstock__Orders__V1__OrderAccepted *message)
{
    struct request *request = request_of(load, message->request_source, message->request_id);
    if (!request || request->answered)
        return;
    struct lane *lane = &load->lanes[request->user];
    if (!request->ioc && lane->open_count < OPEN_MAX)
        lane->open[lane->open_count++] = message->order_id;
    answer(load, request, &load->accepted);
}

static void on_closed(struct load *load, uint64_t user_id, uint64_t order_id, uint64_t *counter)
{
    if (user_id < load->first_user || user_id >= load->first_user + load->options->users)
        return;
    struct lane *lane = &load->lanes[user_id - load->first_user];
    for (size_t i = 0; i < lane->cancel_count; i++) {
        struct request *request = &load->requests[lane->cancels[i]];
        if (request->order_id != order_id)
            continue;
        lane->cancels[i] = lane->cancels[--lane->cancel_count];
        answer(load, request, counter);
        return;
    }
}

static void on_message(struct load *load, const ProtobufCMessage *message)
{
    if (message->descriptor == &penstock__orders__v1__order_accepted__descriptor) {
        on_accepted(load, (const Penstock__Orders__V1__OrderAccepted *)message);
    } else if (message->descriptor == &penstock__orders__v1__order_rejected__descriptor) {
        const Penstock__Orders__V1__OrderRejected *rejected = (const Penstock__Orders__V1__OrderRejected *)message;
        struct request *request = request_of(load, rejected->request_source, rejected->request_id);
        if (request)
            answer(load, request, &load->refused);
    } else if (message->descriptor == &penstock__orders__v1__order_cancelled__descriptor) {
        const Penstock__Orders__V1__OrderCancelled *cancelled = (const Penstock__Orders__V1__OrderCancelled *)message;
        on_closed(load, cancelled->user_id, cancelled->order_id, &load->cancelled);
    } else if (message->descriptor == &penstock__orders__v1__cancel_rejected__descriptor) {
        const Penstock__Orders__V1__CancelRejected *rejected = (const Penstock__Orders__V1__CancelRejected *)message;
        on_closed(load, rejected->user_id, rejected->order_id, &load->cancel_rejected);
    } else {
        const Penstock__Topups__V1__TopupBooked *booked = (const Penstock__Topups__V1__TopupBooked *)message;
        load->topups_booked += booked->user_id >= load->first_user && strcmp(booked->request_source, source) == 0;
    }
}

static bool on_event(struct load *load, const struct event *event, struct error *e)
{
    static const ProtobufCMessageDescriptor *const wanted[] = { &penstock__orders__v1__order_accepted__descriptor,
        &penstock__orders__v1__order_rejected__descriptor, &penstock__orders__v1__order_cancelled__descriptor,
        &penstock__orders__v1__cancel_rejected__descriptor, &penstock__topups__v1__topup_booked__descriptor };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        ProtobufCMessage *message;
        if (strcmp(event->type, wanted[i]->name) != 0)
            continue;
        if (!event_decode(event, wanted[i], &message, e))
            return false;
        on_message(load, message);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return true;
}

/* Handles what has arrived; waits up to timeout_ms for the first. *ret_done: the end of the topics as they were opened.
 */
static bool receive(struct load *load, int timeout_ms, bool *ret_done, struct error *e)
{
    for (;;) {
        struct event event;
        struct error malformed = { 0 };
        switch (reader_next(load->reader, timeout_ms, &event, &malformed, e)) {
        case READER_EVENT:
            if (malformed.kind != ERROR_NONE) {
                *e = malformed;
                return false;
            }
            if (!on_event(load, &event, e))
                return false;
            timeout_ms = 0;
            break;
        case READER_DONE:
            *ret_done = true;
            break;
        case READER_IDLE:
            return true;
        case READER_FAILED:
            return false;
        }
    }
}

/* ---- Phases ---- */

/* The reader stands at the end of every partition before the first request is sent. */
static bool take_position(struct load *load, struct error *e)
{
    bool done = false;
    for (int64_t until_us = monotonic_us() + POSITION_MS * 1000; !done && monotonic_us() < until_us;)
        if (!receive(load, POLL_MS, &done, e))
            return false;
    return done || error_set(e, ERROR_TRANSIENT, "the ends of the answers' topics cannot be found");
}

static bool give_money(struct load *load, struct error *e)
{
    static const char *const money[][2] = { { "USD", "10000000" }, { "BTC", "100000" }, { "ETH", "1000000" } };
    uint64_t wanted = load->options->users * ARRAY_LEN(money);
    bool ignored;
    for (size_t user = 0; user < load->options->users; user++) {
        for (size_t i = 0; i < ARRAY_LEN(money); i++) {
            char id[ID_MAX];
            Penstock__Topups__V1__TopupRequested topup = PENSTOCK__TOPUPS__V1__TOPUP_REQUESTED__INIT;
            topup.client_id = load->first_user + user;
            topup.currency = (char *)money[i][0];
            topup.amount = (char *)money[i][1];
            snprintf(id, sizeof id, "%" PRIx64 "-topup-%zu-%zu", load->run_id, user, i);
            if (!producer_send(load->producer, "topups.requests.v1", load->lanes[user].key, id, &topup.base, NULL, e))
                return false;
        }
    }
    for (int64_t until_us = monotonic_us() + TOPUP_MS * 1000; load->topups_booked < wanted;)
        if (!receive(load, POLL_MS, &ignored, e))
            return false;
        else if (monotonic_us() > until_us)
            return error_set(e, ERROR_TRANSIENT, "%" PRIu64 " of %" PRIu64 " top-ups were booked in time",
                load->topups_booked, wanted);
    return true;
}

static bool may_send(const struct load *load, int64_t now)
{
    const struct options *o = load->options;
    uint64_t sent = load->request_count;
    return sent - load->answered < o->in_flight && sent < REQUESTS_MAX && (o->requests == 0 || sent < o->requests) &&
           (o->rate == 0 || sent < (uint64_t)(now - load->started_us) * o->rate / 1000000);
}

static bool send_all(struct load *load, struct error *e)
{
    const struct options *o = load->options;
    int64_t until_us = load->started_us + (int64_t)(o->seconds * 1e6);
    uint64_t most = o->requests ? o->requests : REQUESTS_MAX;
    bool ignored;
    for (int64_t now = load->started_us; now < until_us && load->request_count < most; now = monotonic_us()) {
        bool sent = false;
        for (int burst = 0; burst < 64 && may_send(load, now); burst++, sent = true)
            if (!send_next(load, e))
                return false;
        if (!receive(load, sent ? 0 : POLL_MS, &ignored, e))
            return false;
    }
    return true;
}

static bool await_answers(struct load *load, struct error *e)
{
    int64_t until_us = monotonic_us() + (int64_t)(load->options->drain_seconds * 1e6);
    bool ignored;
    while (load->answered < load->request_count && monotonic_us() < until_us)
        if (!receive(load, POLL_MS, &ignored, e))
            return false;
    return true;
}

static void report(const struct load *load)
{
    struct recorder_summary answers, fills;
    recorder_summary(load->recorder, &answers, &fills);
    double seconds = (double)(load->answered_us - load->started_us) / 1e6;
    if (seconds <= 0)
        seconds = 1e-6;
    json_t *json = json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I}", "seconds", seconds, "requests",
        (json_int_t)load->request_count, "accepted", (json_int_t)load->accepted, "cancelled",
        (json_int_t)load->cancelled, "cancel_rejected", (json_int_t)load->cancel_rejected, "refused",
        (json_int_t)load->refused, "unanswered", (json_int_t)(load->request_count - load->answered),
        "orders_per_second", (double)load->accepted / seconds, "requests_per_second", (double)load->answered / seconds,
        "answer_p50_us", (json_int_t)answers.p50_us, "answer_p99_us", (json_int_t)answers.p99_us);
    json_dumpf(json, stdout,
        JSON_PRESERVE_ORDER | (load->options->json ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(json);
}

static void lanes_release(struct load *load)
{
    for (size_t i = 0; load->lanes && i < load->options->users; i++)
        xfree(load->lanes[i].cancels);
    xfree(load->lanes);
    xfree(load->requests);
}

static bool run(const struct options *options, struct error *e)
{
    static const char *const topics[] = { "orders.events.v1", "topups.events.v1", NULL };
    CLEANUP(producer_free) struct producer *producer = NULL;
    CLEANUP(reader_free) struct reader *reader = NULL;
    CLEANUP(recorder_free) struct recorder *recorder = NULL;
    __attribute__((cleanup(lanes_release))) struct load load = { .options = options, .run_id = (uint64_t)now_us() };
    if (!producer_open(&options->kafka, source, &producer, e) ||
        !reader_open(&options->kafka, topics, (struct reader_start){ READER_END, 0 }, true, &reader, e) ||
        !recorder_open(NULL, "", &recorder, e))
        return false;
    load.producer = producer;
    load.reader = reader;
    load.recorder = recorder;
    load.lanes = xcalloc(options->users, sizeof *load.lanes);
    /* Fresh for each run, and far from the ids that identity gives. */
    load.first_user = 1000000000000u + load.run_id / 1000 % 1000000000u * USERS_MAX;
    for (size_t i = 0; i < options->users; i++)
        snprintf(load.lanes[i].key, sizeof load.lanes[i].key, "%" PRIu64, load.first_user + i);
    flow_init(&load.flow, options->seed, 6500000);
    if (!take_position(&load, e) || !give_money(&load, e))
        return false;
    load.started_us = load.answered_us = monotonic_us();
    if (!send_all(&load, e) || !await_answers(&load, e))
        return false;
    report(&load);
    return load.answered == load.request_count ||
           error_set(
               e, ERROR_TRANSIENT, "%" PRIu64 " requests were never answered", load.request_count - load.answered);
}

static const char usage[] =
    "usage: penstock-load-kafka [--users N] [--requests N] [--seconds S] [--drain S] [--rate N] [--in-flight N]\n"
    "                           [--seed N] [--symbol S] [--place-only] [--json]\n"
    "       KAFKA_BROKERS, TOPIC_PREFIX: where; --in-flight: how many requests may wait for their answer\n";

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = { { "users", required_argument, NULL, 'u' },
        { "requests", required_argument, NULL, 'n' }, { "seconds", required_argument, NULL, 's' },
        { "drain", required_argument, NULL, 'd' }, { "rate", required_argument, NULL, 'r' },
        { "in-flight", required_argument, NULL, 'f' }, { "seed", required_argument, NULL, 'e' },
        { "symbol", required_argument, NULL, 'y' }, { "place-only", no_argument, NULL, 'p' },
        { "json", no_argument, NULL, 'j' }, { 0 } };
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'u':
            options->users = strtoul(optarg, NULL, 10);
            break;
        case 'n':
            options->requests = strtoull(optarg, NULL, 10);
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
        case 'f':
            options->in_flight = strtoul(optarg, NULL, 10);
            break;
        case 'e':
            options->seed = strtoull(optarg, NULL, 10);
            break;
        case 'y':
            options->symbol = optarg;
            break;
        case 'p':
            options->place_only = true;
            break;
        case 'j':
            options->json = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc && options->users > 0 && options->users <= USERS_MAX && options->in_flight > 0 &&
           options->in_flight <= IN_FLIGHT_MAX && options->requests <= REQUESTS_MAX && options->seconds > 0;
}

int main(int argc, char **argv)
{
    const char *brokers = getenv("KAFKA_BROKERS"), *prefix = getenv("TOPIC_PREFIX");
    struct options options = { .symbol = "BTC-USD",
        .kafka = { .brokers = brokers ? brokers : "127.0.0.1:9092",
            .topic_prefix = prefix ? prefix : "",
            .client_id = "penstock-load-kafka" },
        .users = 64,
        .in_flight = 5000,
        .seconds = 10,
        .drain_seconds = 60,
        .seed = 1 };
    struct error e = { 0 };
    if (!parse(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    if (run(&options, &e))
        return 0;
    fprintf(stderr, "penstock-load-kafka: %s%s%s\n", e.field, *e.field ? ": " : "", e.message);
    return 1;
}
