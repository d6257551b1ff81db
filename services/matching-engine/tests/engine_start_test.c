/* The engine's start while Kafka is not itself yet, as on a busy machine: coordinators unknown or loading, requests
 * that time out, a broker that takes seconds. It waits for it and becomes the owner; it does not end. Against
 * librdkafka's mock of a cluster, which refuses what it is told to. */
#include "support.h"

#include <event_bus/base.h>

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTITIONS = 4, READY_TIMEOUT_MS = 120000, POLL_MS = 200, REFUSALS_MAX = 30 };

/* Kafka's api keys */
enum api {
    NOTHING = -1,
    METADATA = 3,
    OFFSET_FETCH = 9,
    FIND_COORDINATOR = 10,
    JOIN_GROUP = 11,
    INIT_PRODUCER_ID = 22
};

static const struct {
    const char *name;
    enum api api;
    rd_kafka_resp_err_t code;
    size_t refusals;
    int answer_after_ms;
} troubles[] = {
    /* For longer than a request for committed offsets may take: what has timed out comes back to nobody. */
    { "no coordinator", FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 30, 0 },
    { "coordinator unknown for loading", FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 30, 0 },
    { "offsets are being loaded", OFFSET_FETCH, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 30, 0 },
    { "offsets are elsewhere", OFFSET_FETCH, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 20, 0 },
    { "transactions are being loaded", INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 20, 0 },
    { "transactions are elsewhere", INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 10, 0 },
    { "the group is being loaded", JOIN_GROUP, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 3, 0 },
    { "metadata time out", METADATA, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 20, 0 },
    { "a slow broker", NOTHING, 0, 0, 1500 },
};

struct run {
    rd_kafka_mock_cluster_t *cluster;
    struct support_process engine;
    uint16_t port;
    char directory[64];
};

static rd_kafka_mock_cluster_t *cluster_new(size_t trouble)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_resp_err_t codes[REFUSALS_MAX];

    cr_assert(rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why) == RD_KAFKA_CONF_OK);

    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);

    cr_assert(rk, "%s", why);

    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);

    rd_kafka_mock_topic_create(cluster, "orders.accepted.v1", PARTITIONS, 1);
    for (size_t i = 0; i < troubles[trouble].refusals; i++)
        codes[i] = troubles[trouble].code;
    if (troubles[trouble].refusals > 0)
        rd_kafka_mock_push_request_errors_array(cluster, troubles[trouble].api, troubles[trouble].refusals, codes);
    if (troubles[trouble].answer_after_ms > 0)
        rd_kafka_mock_broker_set_rtt(cluster, 1, troubles[trouble].answer_after_ms);
    return cluster;
}

static void run_begin(struct run *run, size_t trouble)
{
    char path[SUPPORT_PATH_MAX], env[5][256];
    const char *variables[ARRAY_LEN(env) + 1] = { 0 }, *folder = getenv("TMPDIR");

    run->cluster = cluster_new(trouble);
    run->port = support_free_port();
    snprintf(run->directory, sizeof run->directory, "%.40s/engine-XXXXXX", folder ? folder : "/tmp");
    cr_assert(mkdtemp(run->directory));
    snprintf(env[0], sizeof env[0], "KAFKA_BROKERS=%s", rd_kafka_mock_cluster_bootstraps(run->cluster));
    snprintf(env[1], sizeof env[1], "MATCHING_ENGINE_PORT=%u", run->port);
    snprintf(env[2], sizeof env[2], "MATCHING_ENGINE_DATA_DIR=%s", run->directory);
    snprintf(env[3], sizeof env[3], "MATCHING_ENGINE_ORDERS_MAX=1000");
    snprintf(env[4], sizeof env[4], "MATCHING_ENGINE_PAGES_MAX=64");
    for (size_t i = 0; i < ARRAY_LEN(env); i++)
        variables[i] = env[i];
    support_process_start(&run->engine,
        (const char *const[]){ support_build_path("services/matching-engine/penstock-matching-engine", path), NULL },
        variables);
}

static size_t partitions_owned(const struct run *run)
{
    char body[SUPPORT_BODY_MAX];
    size_t count = 0;

    if (support_http(run->port, "GET", "/internal/partitions", "", NULL, body) != 200)
        return 0;
    for (const char *c = body; (c = strstr(c, "\"owner\"")) != NULL; c++)
        count++;
    return count;
}

static void run_end(struct run *run, size_t trouble)
{
    int64_t give_up_us = monotonic_us() + READY_TIMEOUT_MS * INT64_C(1000);

    while (partitions_owned(run) < PARTITIONS) {
        cr_assert(support_process_running(&run->engine), "%s: the engine ended", troubles[trouble].name);
        cr_assert(monotonic_us() < give_up_us, "%s: the engine owns nothing", troubles[trouble].name);
        usleep(POLL_MS * 1000);
    }
    support_process_kill(&run->engine);
    cr_assert(rmdir(run->directory) == 0);
}

/* All at the same time: each waits most of its time. */
Test(engine_start, waits_for_kafka_instead_of_ending_whatever_it_is_refused)
{
    static struct run runs[ARRAY_LEN(troubles)];

    for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
        run_begin(&runs[i], i);
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
        run_end(&runs[i], i);
}
