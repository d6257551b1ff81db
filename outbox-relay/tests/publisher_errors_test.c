/* What the publisher makes of each error that a broker can answer, on librdkafka's mock broker: a table for each
 * request, one line an error, printed as it came out. Whatever comes back, a row may be lost or doubled only if the
 * publisher believes in a commit that did not happen, or in an abort that did not: so it goes on, or aborts and sends
 * again, or gives itself up.
 *
 * The tables name what librdkafka treats in a way of its own; whatever else a broker might answer is treated as
 * `others` says. PUBLISHER_ERRORS=all tries that too, with every code that librdkafka knows. */
#include "publisher.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROWS = 3,
    TRIES_MAX = 3,
    CASES_MAX = 1000,
    ROW_PAUSE_US = 100 * 1000,
    APIS_PRODUCE = 0,
    APIS_INIT = 22,
    APIS_ADD = 24,
    APIS_END = 26
};

static const char topic[] = "orders.accepted.v1", other_topic[] = "orders.events.v1",
                  position_topic[] = "outbox.positions.v1";

enum reaction {
    GOES_ON,       /* tries again by itself: done */
    SENDS_AGAIN,   /* aborted, and the same publisher can publish the rows again */
    REFUSES_ROW,   /* aborted; it names the row to be parked */
    REFUSES_TOPIC, /* aborted; the whole topic is to be parked */
    STARTS_OVER,   /* the outcome is not known: another publisher must read the position */
    IS_FENCED,     /* another relay has the source */
    CANNOT_OPEN,   /* publisher_open() says why and will be tried again with back-off */
};
static const char *const reaction_names[] = { "goes on", "sends again", "refuses the row", "refuses the topic",
    "starts over", "is fenced", "cannot open" };

struct mock {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
    struct kafka_options kafka;
    struct publisher *publisher;
    struct publisher_options options;
    bool slow; /* rows come one by one: the error is there before the last */
};

static void mock_open(struct mock *mock)
{
    char why[256];

    mock->handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    cr_assert_not_null(mock->handle, "%s", why);
    mock->cluster = rd_kafka_mock_cluster_new(mock->handle, 1);
    rd_kafka_mock_topic_create(mock->cluster, topic, 1, 1);
    rd_kafka_mock_topic_create(mock->cluster, other_topic, 1, 1);
    rd_kafka_mock_topic_create(mock->cluster, position_topic, 1, 1);
    mock->kafka = (struct kafka_options){ .brokers = rd_kafka_mock_cluster_bootstraps(mock->cluster),
        .client_id = "publisher-test" };
    mock->publisher = NULL;
    mock->slow = false;
    mock->options = (struct publisher_options){ .kafka = &mock->kafka,
        .source = "trade-ledger",
        .mapping = &mapping_default,
        .compression = "none",
        .queue_kbytes_max = 4096,
        .transaction_timeout_ms = 3000 };
}

static void mock_close(struct mock *mock)
{
    publisher_free(mock->publisher);
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->handle);
}

static bool add_rows(struct mock *mock, const char *to, struct error *e)
{
    for (uint64_t id = 1; id <= ROWS; id++) {
        const struct source_row row = { .id = id,
            .topic = to,
            .type = "penstock.test.v1.Happened",
            .traceparent = "",
            .key = { "k", 1 },
            .payload = { "value", 5 } };

        if (!publisher_add(mock->publisher, &row, e))
            return false;
        if (mock->slow)
            usleep(ROW_PAUSE_US);
    }
    return true;
}

static bool publish(struct mock *mock, const char *to, struct error *e)
{
    struct position position;
    bool ok;

    position_init(&position);
    ok =
        add_rows(mock, to, e) && publisher_flush(mock->publisher, e) && publisher_commit(mock->publisher, &position, e);
    position_release(&position);
    return ok;
}

/* What came of it, and whether that is true: who says it can go on must be able to. */
static enum reaction classify(struct mock *mock, bool ok, struct error *e)
{
    struct error again = { 0 };
    const struct publisher_refusal refusal = *publisher_refusal(mock->publisher);

    if (!ok && !publisher_usable(mock->publisher))
        return publisher_fenced(mock->publisher) ? IS_FENCED : STARTS_OVER;
    cr_assert_eq(publisher_count(mock->publisher), 0, "no transaction is left open");
    for (int tries = 1; !publish(mock, refusal.whole_topic ? other_topic : topic, &again); tries++)
        cr_assert(tries < TRIES_MAX && publisher_usable(mock->publisher), "%s: %s, then %d times: %s",
            rd_kafka_err2name(e->code), e->message, tries, again.message);
    if (ok)
        return GOES_ON;
    if (e->kind == ERROR_REFUSED) {
        cr_assert(refusal.row_id >= 1 && refusal.row_id <= ROWS);
        return refusal.whole_topic ? REFUSES_TOPIC : REFUSES_ROW;
    }
    return e->kind == ERROR_TRANSIENT ? SENDS_AGAIN : STARTS_OVER; /* as relay_recover() decides */
}

struct answer {
    rd_kafka_resp_err_t code;
    int times;
    enum reaction reaction;
};

static enum reaction meet(int16_t api, const struct answer *answer, bool abort, bool slow, struct error *e)
{
    rd_kafka_resp_err_t codes[64];
    int times = answer->times;
    struct mock mock;
    enum reaction reaction;

    for (int i = 0; i < times; i++)
        codes[i] = answer->code;
    mock_open(&mock);
    mock.slow = slow;
    if (api == APIS_INIT)
        rd_kafka_mock_push_request_errors_array(mock.cluster, api, (size_t)times, codes);
    if (!publisher_open(&mock.options, &mock.publisher, e)) {
        mock_close(&mock);
        return CANNOT_OPEN;
    }
    if (api != APIS_INIT)
        rd_kafka_mock_push_request_errors_array(mock.cluster, api, (size_t)times, codes);
    if (abort) {
        cr_assert(add_rows(&mock, topic, e) && publisher_flush(mock.publisher, e), "%s", e->message);
        publisher_abort(mock.publisher);
        reaction = classify(&mock, publisher_usable(mock.publisher), e);
    } else {
        reaction = classify(&mock, publish(&mock, topic, e), e);
    }
    mock_close(&mock);
    return reaction;
}

#define E(name) RD_KAFKA_RESP_ERR_##name

static const struct answer init_answers[] = {
    { E(COORDINATOR_LOAD_IN_PROGRESS), 3, GOES_ON },
    { E(COORDINATOR_NOT_AVAILABLE), 3, GOES_ON },
    { E(NOT_COORDINATOR), 3, GOES_ON },
    { E(CONCURRENT_TRANSACTIONS), 3, GOES_ON },
    { E(REQUEST_TIMED_OUT), 1, GOES_ON },
    { E(NETWORK_EXCEPTION), 1, GOES_ON },
    { E(_TRANSPORT), 1, GOES_ON },
    { E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1, CANNOT_OPEN },
    { E(CLUSTER_AUTHORIZATION_FAILED), 1, CANNOT_OPEN },
    { E(INVALID_TRANSACTION_TIMEOUT), 1, CANNOT_OPEN },
    { E(INVALID_PRODUCER_EPOCH), 1, CANNOT_OPEN },
    { E(PRODUCER_FENCED), 1, CANNOT_OPEN },
};

static const struct answer add_answers[] = {
    { E(COORDINATOR_LOAD_IN_PROGRESS), 3, GOES_ON },
    { E(COORDINATOR_NOT_AVAILABLE), 3, GOES_ON },
    { E(NOT_COORDINATOR), 3, GOES_ON },
    { E(CONCURRENT_TRANSACTIONS), 3, GOES_ON },
    { E(_TRANSPORT), 1, GOES_ON },
    { E(UNKNOWN_TOPIC_OR_PART), 1, GOES_ON },
    { E(OPERATION_NOT_ATTEMPTED), 1, SENDS_AGAIN },
    { E(TOPIC_AUTHORIZATION_FAILED), 1, REFUSES_TOPIC },
    { E(TOPIC_EXCEPTION), 1, REFUSES_TOPIC },
    { E(MSG_SIZE_TOO_LARGE), 1, REFUSES_ROW },
    { E(RECORD_LIST_TOO_LARGE), 1, REFUSES_ROW },
    { E(INVALID_MSG_SIZE), 1, REFUSES_ROW },
    { E(INVALID_RECORD), 1, REFUSES_ROW },
    { E(POLICY_VIOLATION), 1, REFUSES_ROW },
    { E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(CLUSTER_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(INVALID_PRODUCER_ID_MAPPING), 1, SENDS_AGAIN },
    { E(INVALID_TXN_STATE), 1, STARTS_OVER },
    { E(INVALID_PRODUCER_EPOCH), 1, IS_FENCED },
    { E(PRODUCER_FENCED), 1, IS_FENCED },
};

static const struct answer produce_answers[] = {
    { E(NOT_LEADER_FOR_PARTITION), 2, GOES_ON },
    { E(LEADER_NOT_AVAILABLE), 2, GOES_ON },
    { E(NOT_ENOUGH_REPLICAS), 2, GOES_ON },
    { E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), 2, GOES_ON },
    { E(REQUEST_TIMED_OUT), 2, GOES_ON },
    { E(KAFKA_STORAGE_ERROR), 2, GOES_ON },
    { E(BROKER_NOT_AVAILABLE), 2, GOES_ON },
    { E(REPLICA_NOT_AVAILABLE), 2, GOES_ON },
    { E(COORDINATOR_LOAD_IN_PROGRESS), 2, GOES_ON },
    { E(COORDINATOR_NOT_AVAILABLE), 2, GOES_ON },
    { E(NOT_COORDINATOR), 2, GOES_ON },
    { E(_TRANSPORT), 1, GOES_ON },
    { E(UNKNOWN_TOPIC_OR_PART), 1, GOES_ON },
    { E(INVALID_MSG), 1, SENDS_AGAIN },
    { E(MSG_SIZE_TOO_LARGE), 1, REFUSES_ROW },
    { E(RECORD_LIST_TOO_LARGE), 1, REFUSES_ROW },
    { E(INVALID_RECORD), 1, REFUSES_ROW },
    { E(INVALID_MSG_SIZE), 1, REFUSES_ROW },
    { E(POLICY_VIOLATION), 1, REFUSES_ROW },
    { E(TOPIC_EXCEPTION), 1, REFUSES_TOPIC },
    { E(TOPIC_AUTHORIZATION_FAILED), 1, REFUSES_TOPIC },
    { E(CLUSTER_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(GROUP_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(UNSUPPORTED_SASL_MECHANISM), 1, STARTS_OVER },
    { E(UNSUPPORTED_VERSION), 1, STARTS_OVER },
    { E(OFFSET_OUT_OF_RANGE), 1, STARTS_OVER },
    { E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(SASL_AUTHENTICATION_FAILED), 1, STARTS_OVER },
    { E(FENCED_INSTANCE_ID), 1, STARTS_OVER },
    { E(UNSUPPORTED_FOR_MESSAGE_FORMAT), 1, SENDS_AGAIN },
    { E(OUT_OF_ORDER_SEQUENCE_NUMBER), 1, STARTS_OVER },
    { E(UNKNOWN_PRODUCER_ID), 1, SENDS_AGAIN },
    { E(INVALID_PRODUCER_ID_MAPPING), 1, SENDS_AGAIN },
    { E(INVALID_PRODUCER_EPOCH), 1, IS_FENCED },
    { E(PRODUCER_FENCED), 1, STARTS_OVER },
};

static const struct answer commit_answers[] = {
    { E(COORDINATOR_LOAD_IN_PROGRESS), 3, GOES_ON },
    { E(COORDINATOR_NOT_AVAILABLE), 3, GOES_ON },
    { E(NOT_COORDINATOR), 3, GOES_ON },
    { E(CONCURRENT_TRANSACTIONS), 3, GOES_ON },
    { E(_TRANSPORT), 1, GOES_ON },
    { E(NETWORK_EXCEPTION), 1, STARTS_OVER },
    { E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(INVALID_PRODUCER_ID_MAPPING), 1, STARTS_OVER },
    { E(INVALID_TXN_STATE), 1, STARTS_OVER },
    { E(UNKNOWN), 1, STARTS_OVER },
    { E(INVALID_PRODUCER_EPOCH), 1, IS_FENCED },
    { E(PRODUCER_FENCED), 1, IS_FENCED },
};

static const struct answer abort_answers[] = {
    { E(COORDINATOR_LOAD_IN_PROGRESS), 3, GOES_ON },
    { E(COORDINATOR_NOT_AVAILABLE), 3, GOES_ON },
    { E(NOT_COORDINATOR), 3, GOES_ON },
    { E(CONCURRENT_TRANSACTIONS), 3, GOES_ON },
    { E(_TRANSPORT), 1, GOES_ON },
    { E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), 1, STARTS_OVER },
    { E(INVALID_PRODUCER_ID_MAPPING), 1, GOES_ON },
    { E(UNKNOWN_PRODUCER_ID), 1, GOES_ON },
    { E(INVALID_TXN_STATE), 1, STARTS_OVER },
    { E(INVALID_PRODUCER_EPOCH), 1, STARTS_OVER },
    { E(PRODUCER_FENCED), 1, STARTS_OVER },
};

static const struct request {
    const char *name;
    int16_t api;
    bool abort;
    enum reaction others; /* to codes that are not in the table */
    const struct answer *answers;
    size_t count;
} requests[] = {
    { "init", APIS_INIT, false, GOES_ON, init_answers, ARRAY_LEN(init_answers) },
    { "add partitions", APIS_ADD, false, SENDS_AGAIN, add_answers, ARRAY_LEN(add_answers) },
    { "produce", APIS_PRODUCE, false, SENDS_AGAIN, produce_answers, ARRAY_LEN(produce_answers) },
    { "commit", APIS_END, false, STARTS_OVER, commit_answers, ARRAY_LEN(commit_answers) },
    { "abort", APIS_END, true, STARTS_OVER, abort_answers, ARRAY_LEN(abort_answers) },
};

static bool is_listed(const struct request *request, rd_kafka_resp_err_t code)
{
    if (code == E(DUPLICATE_SEQUENCE_NUMBER)) /* "I have these rows": the mock has not, and says so later */
        return true;
    for (size_t i = 0; i < request->count; i++)
        if (request->answers[i].code == code)
            return true;
    return false;
}

struct error_case {
    size_t request;
    struct answer answer;
};

static size_t list_cases(struct error_case cases[CASES_MAX])
{
    const char *which = getenv("PUBLISHER_ERRORS");
    const bool all = which && strcmp(which, "all") == 0;
    const struct rd_kafka_err_desc *known;
    size_t known_count, count = 0;

    rd_kafka_get_err_descs(&known, &known_count);
    for (size_t r = 0; r < ARRAY_LEN(requests); r++) {
        for (size_t i = 0; i < requests[r].count; i++)
            cases[count++] = (struct error_case){ r, requests[r].answers[i] };
        for (size_t i = 0; all && i < known_count && count < CASES_MAX; i++)
            if (known[i].code > 0 && known[i].name && !is_listed(&requests[r], known[i].code))
                cases[count++] = (struct error_case){ r, { known[i].code, 1, requests[r].others } };
    }
    return count;
}

/* A process for each: they wait more than they work. */
ParameterizedTestParameters(publisher, treats_each_error_as_the_tables_say)
{
    static struct error_case cases[CASES_MAX];

    return cr_make_param_array(struct error_case, cases, list_cases(cases));
}

ParameterizedTest(struct error_case *error_case, publisher, treats_each_error_as_the_tables_say)
{
    const struct request *request = &requests[error_case->request];
    const struct answer *answer = &error_case->answer;
    struct error e = { 0 };
    enum reaction reaction = meet(request->api, answer, request->abort, false, &e);

    printf("%-15s %-40s %d times: %s\n", request->name, rd_kafka_err2name(answer->code), answer->times,
        reaction_names[reaction]);
    cr_expect_eq(reaction, answer->reaction, "%s, %s: it %s instead of %s: %s", request->name,
        rd_kafka_err2name(answer->code), reaction_names[reaction], reaction_names[answer->reaction], e.message);
}

/* Then librdkafka refuses the next row without a reason. */
Test(publisher, treats_an_error_alike_that_comes_while_rows_are_still_added)
{
    static const struct {
        int16_t api;
        struct answer answer;
    } cases[] = {
        { APIS_PRODUCE, { E(INVALID_REQUIRED_ACKS), 1, SENDS_AGAIN } },
        { APIS_PRODUCE, { E(MSG_SIZE_TOO_LARGE), 1, REFUSES_ROW } },
        { APIS_ADD, { E(INVALID_PRODUCER_ID_MAPPING), 1, SENDS_AGAIN } },
        { APIS_ADD, { E(TOPIC_AUTHORIZATION_FAILED), 1, REFUSES_TOPIC } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error e = { 0 };
        enum reaction reaction = meet(cases[i].api, &cases[i].answer, false, true, &e);

        cr_expect_eq(reaction, cases[i].answer.reaction, "%s: it %s instead of %s: %s",
            rd_kafka_err2name(cases[i].answer.code), reaction_names[reaction], reaction_names[cases[i].answer.reaction],
            e.message);
    }
}
